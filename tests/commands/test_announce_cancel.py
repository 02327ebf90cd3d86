"""The list is told that an announced release is called off: asked for at the abort, approved, and sent once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.core.run import RunState, StepState
from kcibot.sandbox.mailbox import MailFault
from tests.fakes.announcing import LIST, PROMPT, RELEASE, approve, ask, shown_mail
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import Kernelci, kernelci, lines, start

HINT = "The list was told of kernelci-20261123: !announce cancel REASON tells it that it is called off."
REASON = "it's Guillaume's board that burns"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


@pytest.fixture
def aborted(place: Kernelci) -> Bench:
    """A release that was announced and aborted."""
    bench = ask(place)
    approve(bench)
    bench.say("operator", "!release abort a boot regression")
    return bench


def left_behind(bench: Bench, run: int = 1) -> str:
    bench.deliver()
    key = f"run:{run}:left"
    return lines(bench, key) if key in bench.notices else ""


def test_an_abort_says_that_the_list_was_told(aborted: Bench) -> None:
    assert HINT in left_behind(aborted)


def test_an_abort_before_the_mail_says_nothing_of_the_list(place: Kernelci) -> None:
    bench = ask(place)
    bench.say("operator", "!release abort a boot regression")
    assert HINT not in left_behind(bench)
    bench.say("operator", "!announce cancel a boot regression")
    assert bench.replies()[-1] == "I announced nothing that could be called off"


def test_a_cancellation_is_shown_approved_and_follows_the_announcement(place: Kernelci, aborted: Bench) -> None:
    aborted.say("operator", f"!announce cancel {REASON}")
    assert len(place.mailbox.messages) == 1
    shown = lines(aborted, PROMPT.format(2, 1))
    assert "asks for approval" in shown
    assert f"In-Reply-To: {place.mailbox.messages[0].message_id}" in shown
    body = shown_mail(aborted, run=2)
    approve(aborted, run=2)
    announcement, cancellation = place.mailbox.messages
    assert cancellation.recipients == (LIST,)
    assert cancellation.message["Subject"] == "Called off: KernelCI production update kernelci-20261123"
    assert cancellation.message["In-Reply-To"] == announcement.message_id
    assert cancellation.text.startswith(body)
    assert "is called off. It\nwas announced for Tue 2026-11-24 10:00 UTC." in cancellation.text
    assert f"Reason:\n\n* {REASON}" in cancellation.text
    assert "<li>it&#x27;s Guillaume&#x27;s board that burns</li>" in cancellation.html
    assert aborted.run(2).state is RunState.SUCCEEDED


def test_the_list_is_told_once(place: Kernelci, aborted: Bench) -> None:
    aborted.say("operator", "!announce cancel a boot regression")
    aborted.say("operator", "!announce cancel a boot regression")
    assert aborted.replies()[-1] == "A cancellation is under way already; !status shows it"
    place.mailbox.misbehave(MailFault.LOSE_ANSWER)
    approve(aborted, run=2)
    assert aborted.run(2).step("send-cancellation").state is StepState.DONE
    assert len(place.mailbox.messages) == 2
    aborted.say("operator", "!announce cancel again")
    assert aborted.replies()[-1] == "The list knows already that kernelci-20261123 is called off"


def test_a_release_that_goes_on_is_not_called_off(place: Kernelci) -> None:
    bench = ask(place)
    approve(bench)
    bench.say("operator", "!announce cancel a boot regression")
    assert bench.replies()[-1] == "Release goes on: !release abort REASON ends it first"
    bench.say("observer", "!announce cancel a boot regression")
    assert bench.replies()[-1].startswith("!announce cancel needs the role operator")


def test_an_older_announcement_is_called_off_by_the_number_of_its_run(place: Kernelci, aborted: Bench) -> None:
    start(aborted, RELEASE)
    approve(aborted, run=2)
    assert len(place.mailbox.messages) == 2
    aborted.say("operator", "!announce cancel a boot regression")
    assert aborted.replies()[-1] == "Release goes on: !release abort REASON ends it first"
    aborted.say("operator", "!announce cancel a boot regression --run 1")
    approve(aborted, run=3)
    assert place.mailbox.messages[-1].message["In-Reply-To"] == place.mailbox.messages[0].message_id
    aborted.say("operator", "!announce cancel a boot regression --run 9")
    assert aborted.replies()[-1] == "I announced nothing in run 9 that could be called off"


def test_a_rejected_cancellation_sends_nothing(place: Kernelci, aborted: Bench) -> None:
    aborted.say("operator", "!announce cancel a boot regression")
    aborted.react("operator", PROMPT.format(2, 1), "-1")
    assert len(place.mailbox.messages) == 1
    assert aborted.run(2).state is RunState.FAILED
