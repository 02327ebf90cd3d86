"""The announcement: the whole mail is shown, that very mail goes out once, and a new revision says what is new."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from kcibot.core.run import RunState, StepState
from kcibot.errors import ConfigError
from kcibot_commands.announce.mail import AnnounceSettings
from kcibot_commands.plan.parts import Planned
from kcibot_commands.plan.steps import default_components, plan
from kcibot_commands.rules import changelog
from kcibot_commands.rules.problem import RuleError
from tests.fakes.announcing import LIST, OFFICE, PROMPT, RELEASE, TAGGED, VERBS, approve, ask, sent, shown_mail
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import (
    PRODUCTION,
    START,
    Kernelci,
    kernelci,
    lines,
    result,
    start,
)

SENDER = "kcibot@example.org"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


# ---- the mail --------------------------------------------------------------------------------------------------


def test_the_gate_shows_the_whole_mail_and_that_very_mail_is_sent(place: Kernelci) -> None:
    bench = ask(place)
    shown = lines(bench, PROMPT.format(1, 1))
    for header in (f"From: {SENDER}", f"To: {LIST}", f"Reply-To: {LIST}", "The same lines go along as HTML."):
        assert header in shown
    assert place.mailbox.messages == ()
    body = shown_mail(bench)
    approve(bench)
    (mail,) = place.mailbox.messages
    assert mail.recipients == (LIST,)
    assert (mail.message["From"], mail.message["Reply-To"]) == (SENDER, LIST)
    assert f"Subject: {mail.message['Subject']}" in shown
    assert mail.text.startswith(body)
    assert sent(bench) == (StepState.DONE, f"to {LIST}")


def test_the_mail_tells_what_goes_out_when_and_until_when_to_comment(place: Kernelci) -> None:
    bench = ask(place)
    body = shown_mail(bench)
    assert "Roll-out: Tue 2026-11-24 10:00 UTC" in body
    assert "until: Tue 2026-11-24 16:00 UTC" in body
    assert "Comments: until Tue 2026-11-24 10:00 UTC" in body
    assert "core: 7 commits since kernelci-20261116" in body
    assert "* README.md: say what kci_rootfs needs" in body
    assert "backend   2026.11.1" in body
    assert "developer-1" in body


def test_both_forms_say_the_same_and_what_commits_say_is_no_html(place: Kernelci) -> None:
    place.commit("core", {"README.md": "new\n"}, "docs: <script>alert('x')</script> & <b>more</b>")
    bench = ask(place)
    approve(bench)
    (mail,) = place.mailbox.messages
    assert "* docs: <script>alert('x')</script> & <b>more</b>" in mail.text
    assert "<li>docs: &lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &lt;b&gt;more&lt;/b&gt;</li>" in mail.html
    assert "<script" not in mail.html
    plain = re.sub(r"<[^>]*>", " ", mail.html.partition("<html>")[2])
    assert html.unescape(plain).split() == [word for word in mail.text.split() if word not in {"*", "--"}]


@pytest.mark.parametrize(("leave_out", "listed"), [(("somebody else",), True), (("Developer-1",), False)])
def test_bots_are_no_contributors(place: Kernelci, leave_out: tuple[str, ...], listed: bool) -> None:
    settings = AnnounceSettings(SENDER, (LIST,), leave_out=leave_out)
    bench = place.bench(*VERBS, hours=OFFICE, sections=[settings])
    start(bench, RELEASE)
    contributors = shown_mail(bench).partition("Contributors:")[2]
    assert ("developer-1" in contributors) is listed


def test_the_bot_that_makes_commits_is_no_contributor_by_default() -> None:
    commits = [Planned("1", "KernelCI bot <bot@kernelci.org>", "update rootfs"), Planned("2", "A. First <a@x>", "x")]
    assert changelog.contributors(commits, AnnounceSettings().leave_out) == ("A. First",)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"recipients": ()}, "goes to nobody"),
        ({"recipients": ("kernelci",)}, "no mail address: kernelci"),
        ({"recipients": ("a@example.org, b@example.org",)}, "no mail address"),
        ({"links": {"Staging": "staging.kernelci.org"}}, "no address that starts with https://"),
    ],
)
def test_settings_with_which_nothing_could_be_sent_are_refused_at_the_start(changed: dict[str, Any], said: str) -> None:
    with pytest.raises((ConfigError, RuleError), match=said):
        AnnounceSettings(**changed)


def test_a_roll_out_is_announced_for_production_hours(place: Kernelci) -> None:
    bench = place.bench(*VERBS, hours=OFFICE)
    bench.clock.forward(timedelta(days=4, hours=8))  # Friday 17:00
    start(bench, RELEASE)
    assert "Roll-out: Mon 2026-11-30 08:00 UTC" in shown_mail(bench)


def test_the_message_id_stays_the_same_for_the_same_plan(place: Kernelci) -> None:
    bench = ask(place)
    message_id = result(bench, bench.run(), plan).message_id
    bench.say("operator", "!announce edit summary a quiet week")
    approve(bench, 2)
    assert [mail.message_id for mail in place.mailbox.messages] == [message_id]


def test_nothing_is_announced_when_nothing_changes(place: Kernelci) -> None:
    for component in (name for name, one in default_components().items() if not one.read_only):
        place.git(component, "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")
    bench = ask(place)
    assert bench.run().state is RunState.SUCCEEDED
    assert sent(bench) == (StepState.NOT_NEEDED, "nothing changes")
    assert place.mailbox.messages == ()


def test_a_mail_that_is_approved_late_is_shown_again_with_times_still_to_come(place: Kernelci) -> None:
    bench = ask(place)
    bench.clock.forward(timedelta(hours=5))
    approve(bench)
    assert place.mailbox.messages == ()
    assert "Roll-out: Tue 2026-11-24 15:00 UTC" in shown_mail(bench, 2)
    bench.clock.forward(timedelta(minutes=50))
    approve(bench, 2)
    (mail,) = place.mailbox.messages
    assert "Comments: until Tue 2026-11-24 15:00 UTC" in mail.text


def test_a_void_approval_says_what_moved_without_the_whole_mail(place: Kernelci) -> None:
    bench = ask(place)
    bench.clock.forward(timedelta(hours=5))
    approve(bench)
    said = lines(bench, f"{PROMPT.format(1, 1)}:void")
    assert "Tue 2026-11-24 10:00 UTC, is now KernelCI production update kernelci-20261123, Tue 2026-11-24 15:00" in said
    assert "igt.sh" not in said


def test_the_date_of_the_mail_is_when_it_was_sent(place: Kernelci) -> None:
    bench = ask(place)
    bench.clock.forward(timedelta(minutes=30))
    approve(bench)
    (mail,) = place.mailbox.messages
    assert parsedate_to_datetime(str(mail.message["Date"])) == START + timedelta(minutes=30)


# ---- another revision ------------------------------------------------------------------------------------------


def amended(bench: Bench) -> None:
    revision = bench.run().revision
    bench.say("operator", "!release amend")
    assert bench.run().revision == revision + 1


def test_a_revision_of_the_same_commits_is_not_announced_again(place: Kernelci) -> None:
    bench = ask(place, TAGGED)
    approve(bench)
    bench.tick(timedelta(hours=3))
    amended(bench)
    assert len(place.mailbox.messages) == 1
    state, text = sent(bench)
    assert state is StepState.NOT_NEEDED
    assert text.startswith("these commits were announced 09:00 UTC")
    assert bench.run().step("announce").state is StepState.NOT_NEEDED
    window = bench.run().step("comment-window")
    assert window.text.startswith("comments until Tue 24 Nov 10:00 UTC"), "people have had three hours already"


def test_what_reached_production_meanwhile_needs_no_other_announcement(place: Kernelci) -> None:
    bench = ask(place, TAGGED)
    approve(bench)
    place.git("core", "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")
    amended(bench)
    assert sent(bench)[0] is StepState.NOT_NEEDED
    assert len(place.mailbox.messages) == 1


def test_a_revision_of_other_commits_follows_its_announcement_and_says_so(place: Kernelci) -> None:
    bench = ask(place, TAGGED)
    approve(bench)
    bench.tick(timedelta(hours=3))
    place.commit("core", {"README.md": "new\n"}, "docs: one more")
    amended(bench)
    first = place.mailbox.messages[0]
    assert f"In-Reply-To: {first.message_id}" in lines(bench, PROMPT.format(1, 2))
    assert "This replaces the announcement of Mon 2026-11-23 09:00 UTC." in shown_mail(bench, 2)
    approve(bench, 2)
    _, second = place.mailbox.messages
    assert second.message_id != first.message_id
    assert second.message["In-Reply-To"] == first.message_id
    assert "(revision 2)" in second.message["Subject"]
    assert "* docs: one more" in second.text
    assert "comments until Tue 24 Nov 13:00 UTC" in bench.run().step("comment-window").text, "a day from the second on"
    amended(bench)
    assert len(place.mailbox.messages) == 2
