"""Editing the announcement before it goes: lines keep their numbers, votes are void, and every edit can be undone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.core.run import RunState
from kcibot.sandbox.mailbox import MailFault
from tests.fakes.announcing import VERBS, approve, ask, number_of, numbered_rows, shown_mail
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import PRODUCTION, Kernelci, kernelci, lines

IGT = "config/rootfs: igt.sh: remove the sources after the build"
SMALLER = "smaller root file systems for IGT"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


def say(bench: Bench, text: str) -> str:
    """What the operator is answered."""
    bench.say("operator", text)
    return bench.replies()[-1]


# ---- lines -----------------------------------------------------------------------------------------------------


def test_an_edit_changes_the_line_and_asks_again(place: Kernelci) -> None:
    bench = ask(place)
    number = number_of(bench, f"core: {IGT}")
    assert say(bench, f"!announce edit {number} {SMALLER}") == f"Line {number} is changed."
    approve(bench)
    assert place.mailbox.messages == (), "a vote on the old text counts for nothing"
    assert f"* {SMALLER}" in shown_mail(bench, 2)
    approve(bench, 2)
    (mail,) = place.mailbox.messages
    assert f"* {SMALLER}" in mail.text
    assert f"<li>{SMALLER}</li>" in mail.html
    assert "igt.sh" not in mail.text + mail.html


TYPED = (
    "don't take Guillaume's tree",
    "build images with --no-cache",
    "--no-cache is the default",
    r"match \d+ and keep C:\temp",
    'say "kernelci.org" everywhere',
    "Grüße & <b>bold</b>",
)


def test_a_line_goes_out_as_it_was_typed(place: Kernelci) -> None:
    bench = ask(place)
    for number, text in enumerate(TYPED, start=1):
        assert say(bench, f"!announce edit {number} {text}") == f"Line {number} is changed."
    approve(bench, len(TYPED) + 1)
    (mail,) = place.mailbox.messages
    assert [text for text in TYPED if f"* {text}\n" not in mail.text] == []


def test_lines_keep_their_numbers_when_one_is_left_out(place: Kernelci) -> None:
    bench = ask(place)
    before = numbered_rows(bench)
    first = before[0].partition("core: ")[2]
    assert say(bench, "!announce edit 1") == "Line 1 is left out."
    after = numbered_rows(bench)
    assert after[0] == f"1. core: (left out) (was: {first})"
    assert after[1:] == before[1:]


def test_an_edited_line_is_shown_with_what_it_said_and_can_be_restored(place: Kernelci) -> None:
    bench = ask(place)
    before, number = numbered_rows(bench), number_of(bench, IGT)
    say(bench, f"!announce edit {number} {SMALLER}")
    say(bench, f"!announce edit {number} even smaller")
    assert f"{number}. core: even smaller (was: {IGT})" in numbered_rows(bench)
    assert say(bench, f"!announce restore {number}") == f"Line {number} says again what it said first."
    assert numbered_rows(bench) == before
    assert f"* {IGT}" in shown_mail(bench, 4)


def test_a_line_can_be_added_below_a_component(place: Kernelci) -> None:
    bench = ask(place)
    before = numbered_rows(bench)
    assert say(bench, "!announce add backend it's twice as fast") == "Added to backend."
    number = len(before) + 1
    assert numbered_rows(bench) == (*before, f"{number}. backend: it's twice as fast")
    body = shown_mail(bench, 2)
    backend, _, rest = body.partition("backend: ")[2].partition("frontend: ")
    assert "* it's twice as fast" in backend
    assert "twice" not in rest
    say(bench, f"!announce edit {number} three times as fast")
    assert "* three times as fast" in shown_mail(bench, 3)
    say(bench, f"!announce edit {number}")
    assert "as fast" not in shown_mail(bench, 4)


def test_the_summary_comes_first_and_can_be_taken_back(place: Kernelci) -> None:
    bench = ask(place)
    assert say(bench, "!announce edit summary a quiet week") == "The summary is changed."
    assert numbered_rows(bench)[0] == "summary: a quiet week"
    assert "Summary:\n\n* a quiet week\n\nTags:" in shown_mail(bench, 2)
    assert say(bench, "!announce restore summary") == "The summary says again what it said first."
    assert "Summary:" not in shown_mail(bench, 3)


def test_a_page_can_be_linked_for_this_one_release(place: Kernelci) -> None:
    bench = ask(place)
    url = "https://staging.kernelci.org/job/?tree=a&branch=b"
    assert say(bench, f'!announce link "Tested on staging" {url}') == "“Tested on staging” is linked."
    assert f"Links:\n\n  Tested on staging:\n    {url}" in shown_mail(bench, 2)
    assert f"link: Tested on staging: {url}" in numbered_rows(bench)
    assert say(bench, '!announce link "Tested on staging"') == "“Tested on staging” is left out."
    assert "Links:" not in shown_mail(bench, 3)
    say(bench, f"!announce link Staging {url}")
    approve(bench, 4)
    (mail,) = place.mailbox.messages
    assert '<a href="https://staging.kernelci.org/job/?tree=a&amp;branch=b">' in mail.html


# ---- what is refused -------------------------------------------------------------------------------------------


REFUSED = (
    ("edit 99 words", "There is no line 99: the announcement has"),
    ("edit 0 words", "There is no line 0: the announcement has"),
    ("edit ² words", "“²” is neither the number of a line nor the word summary: !announce edit 3 TEXT"),
    ("edit first words", "“first” is neither the number of a line nor the word summary: !announce edit 3 TEXT"),
    ("restore 99", "There is no line 99: the announcement has"),
    ("restore ٣", "“٣” is neither the number"),
    (
        "add linux a new scheduler",
        "The announcement says nothing of linux, but of core, backend, frontend, jenkins",
    ),
    (f"add core {IGT}", "That is line "),
    ("add core", "TEXT... is missing. Usage: !announce add COMPONENT TEXT..."),
    ("link Staging staging.kernelci.org", "“staging.kernelci.org” is no address that starts with https://"),
    ("link Staging javascript:alert(1)", "“javascript:alert(1)” is no address that starts with https://"),
)


def test_an_edit_that_makes_no_sense_is_refused_and_changes_nothing(place: Kernelci) -> None:
    bench = ask(place)
    for line, said in REFUSED:
        assert say(bench, f"!announce {line}").startswith(said), line
    approve(bench)
    assert len(place.mailbox.messages) == 1, "the vote is for what was shown"


EVERY_EDIT = ("edit 1 too late", "restore 1", "add core too late", "link Late https://example.org")


def test_a_sent_announcement_cannot_be_edited_but_is_shown(place: Kernelci) -> None:
    bench = ask(place)
    approve(bench)
    for edit in EVERY_EDIT:
        assert say(bench, f"!announce {edit}") == "There is no open release whose announcement is still to be sent"
    rows = numbered_rows(bench)
    assert rows[0].startswith("1. core: ")
    sent = "sent 09:00 UTC (now) as “KernelCI production update kernelci-20261123"
    assert any(sent in notice.title for notice in bench.notices.values())


def test_a_mail_that_may_have_been_sent_cannot_be_edited(place: Kernelci) -> None:
    place.mailbox.misbehave(MailFault.LOSE_MAIL)
    bench = ask(place)
    approve(bench)
    for edit in EVERY_EDIT:
        said = say(bench, f"!announce {edit}")
        assert said.startswith("The announcement is being sent now, or may have been sent")


def test_without_a_release_a_draft_of_the_next_announcement_is_shown(place: Kernelci) -> None:
    bench = place.bench(*VERBS)
    bench.say("observer", "!announce show")
    answer = lines(bench, "run:1:answer")
    assert answer.startswith("A draft of kernelci-20261123\n1. ")


# ---- a new revision --------------------------------------------------------------------------------------------


def test_edits_of_lines_that_are_gone_are_shown_and_not_taken_for_others(place: Kernelci) -> None:
    bench = ask(place)
    say(bench, "!announce edit 14 the last line of the first revision")
    for component in ("backend", "frontend", "jenkins"):
        place.git(component, "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")
    before = bench.run().revision
    bench.say("operator", "!release amend")
    assert (bench.run().state, bench.run().revision) == (RunState.WAITING, before + 1)
    assert "the last line of the first revision" not in shown_mail(bench, 3)
    prompt = lines(bench, "run:1:gate:announce:3")
    assert "Without effect, for the line is gone: " in prompt
    assert "the last line of the first revision" in prompt


def test_edits_of_lines_that_are_still_there_outlive_a_new_revision(place: Kernelci) -> None:
    bench = ask(place)
    number = number_of(bench, IGT)
    say(bench, f"!announce edit {number} {SMALLER}")
    say(bench, "!announce edit summary a quiet week")
    say(bench, "!announce add core twice as fast")
    place.commit("core", {"README.md": "new\n"}, "a: comes before all others")
    bench.say("operator", "!release amend")
    body = shown_mail(bench, 5)
    assert "* a: comes before all others" in body
    assert f"* {SMALLER}" in body
    assert "* a quiet week" in body
    assert "* twice as fast" in body
