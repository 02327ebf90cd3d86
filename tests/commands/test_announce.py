"""The announcement: the whole mail is shown, people edit it, it goes out once, and people get their time to comment."""

from collections.abc import Iterator
from datetime import time, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from kcibot.core.hours import Hours
from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import RunState, StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.mailbox import MailFault
from kcibot_commands import announce, runs
from kcibot_commands.announce import AnnounceSettings, comment_window, send_announcement
from kcibot_commands.plan import default_components, plan
from kcibot_commands.rules.hours import Counting
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import (
    PRODUCTION,
    START,
    Followed,
    Kernelci,
    alerts,
    kernelci,
    killed,
    lines,
    result,
    revive,
    start,
    stuck,
    with_ports,
)

RELEASE = Procedure("release", plan, Gate("announce", "Send the announcement"), send_announcement, comment_window)
AT_ONCE = Procedure("release", plan, send_announcement, comment_window)
PROMPT = "run:1:gate:announce:{}"
OFFICE = Hours(start=time(8), end=time(16))
LIST = "release-list@example.org"
DAY = timedelta(hours=24)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


def ask(place: Kernelci, procedure: Procedure = RELEASE) -> Bench:
    bench = place.bench(announce, runs, hours=OFFICE)
    start(bench, procedure)
    return bench


def approve(bench: Bench, number: int = 1) -> None:
    bench.react("operator", PROMPT.format(number))


def sent(bench: Bench) -> tuple[StepState, str]:
    step = bench.run().step("send-announcement")
    return step.state, step.text


def shown_mail(bench: Bench, number: int = 1) -> str:
    """What the prompt shows of the body."""
    rows = [row.removeprefix("  ") for row in lines(bench, PROMPT.format(number)).splitlines()]
    first, last = rows.index("KernelCI production is going to be updated."), rows.index("-- ")
    return "\n".join(rows[first:last])


# ---- the mail --------------------------------------------------------------------------------------------------


def test_the_gate_shows_the_whole_mail_and_that_very_mail_is_sent(place: Kernelci) -> None:
    bench = ask(place)
    shown = lines(bench, PROMPT.format(1))
    assert f"To: {LIST}" in shown
    assert place.mailbox.messages == ()
    body = shown_mail(bench)
    approve(bench)
    (mail,) = place.mailbox.messages
    assert mail.recipients == (LIST,)
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


def test_a_roll_out_is_announced_for_production_hours(place: Kernelci) -> None:
    bench = place.bench(announce, hours=OFFICE)
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
    for component in default_components():
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


# ---- editing ---------------------------------------------------------------------------------------------------


def test_an_edit_changes_the_line_and_asks_again(place: Kernelci) -> None:
    bench = ask(place)
    bench.say("observer", "!announce show")
    rows = bench.notices[[key for key in bench.deliver() if key.startswith("reply:")][-1]].lines
    number, text = next(row.split(". ", 1) for row in rows if "igt.sh" in row)
    assert text == "core: config/rootfs: igt.sh: remove the sources after the build"
    bench.say("operator", f"!announce edit {number} smaller root file systems for IGT")
    assert bench.replies()[-1] == f"Line {number} is changed."
    approve(bench)
    assert place.mailbox.messages == (), "a vote on the old text counts for nothing"
    assert "* smaller root file systems for IGT" in shown_mail(bench, 2)
    approve(bench, 2)
    (mail,) = place.mailbox.messages
    assert "* smaller root file systems for IGT" in mail.text
    assert "igt.sh" not in mail.text


def test_lines_keep_their_numbers_when_one_is_left_out(place: Kernelci) -> None:
    bench = ask(place)
    bench.say("operator", "!announce show")
    before = shown_rows(bench)
    bench.say("operator", "!announce edit 1")
    assert bench.replies()[-1] == "Line 1 is left out."
    bench.say("operator", "!announce show")
    after = shown_rows(bench)
    assert after[0].endswith("(left out)")
    assert after[1:] == before[1:]


def shown_rows(bench: Bench) -> tuple[str, ...]:
    key = next(key for key, title in reversed(bench.deliver().items()) if title.startswith("Announcement of"))
    return bench.notices[key].lines


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("99", "There is no line 99: the announcement has"),
        ("0", "There is no line 0: the announcement has"),
        ("first", "“first” is neither the number of a line nor the word summary: !announce edit 3 TEXT"),
    ],
)
def test_an_edit_of_a_line_that_is_not_there_is_refused(place: Kernelci, line: str, said: str) -> None:
    bench = ask(place)
    bench.say("operator", f"!announce edit {line} words")
    assert bench.replies()[-1].startswith(said)
    approve(bench)
    assert len(place.mailbox.messages) == 1


def test_a_sent_announcement_cannot_be_edited(place: Kernelci) -> None:
    bench = ask(place)
    approve(bench)
    bench.say("operator", "!announce edit 1 too late")
    assert bench.replies()[-1] == "There is no open release whose announcement is still to be sent"


def test_a_mail_that_may_have_been_sent_cannot_be_edited(place: Kernelci) -> None:
    place.mailbox.misbehave(MailFault.LOSE_MAIL)
    bench = ask(place)
    approve(bench)
    bench.say("operator", "!announce edit 1 too late")
    assert bench.replies()[-1].startswith("The announcement is being sent now, or may have been sent")


def test_edits_of_one_plan_are_not_taken_for_the_next(place: Kernelci) -> None:
    bench = ask(place)
    bench.say("operator", "!announce edit 14 the last line of the first revision")
    assert bench.replies()[-1] == "Line 14 is changed."
    for component in ("backend", "frontend", "jenkins"):
        place.git(component, "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")
    before = bench.run().revision
    bench.say("operator", "!release amend")
    assert (bench.run().state, bench.run().revision) == (RunState.WAITING, before + 1)
    assert "the last line of the first revision" not in shown_mail(bench, 3)


def test_without_a_release_a_draft_of_the_next_announcement_is_shown(place: Kernelci) -> None:
    bench = place.bench(announce)
    bench.say("observer", "!announce show")
    answer = lines(bench, "run:1:answer")
    assert answer.startswith("A draft of kernelci-20261123\n1. ")


# ---- sending once ----------------------------------------------------------------------------------------------


def test_a_mail_whose_answer_was_lost_is_found_in_the_archive(place: Kernelci) -> None:
    place.mailbox.misbehave(MailFault.LOSE_ANSWER)
    bench = ask(place, AT_ONCE)
    assert sent(bench)[0] is StepState.DONE
    assert len(place.mailbox.messages) == 1


def test_an_archive_that_does_not_show_the_mail_yet_is_no_proof_that_it_was_not_sent(place: Kernelci) -> None:
    place.mailbox.misbehave(MailFault.LOSE_ANSWER)
    place.mailbox.archive.faults.add(Fault(FaultKind.STATUS, "GET /archive", status=404))
    bench = ask(place, AT_ONCE)
    assert sent(bench)[0] is StepState.WAITING
    bench.tick(timedelta(seconds=15))
    assert sent(bench)[0] is StepState.DONE
    assert len(place.mailbox.messages) == 1


def test_a_mail_that_was_lost_is_sent_again_once_the_archive_had_its_time(place: Kernelci) -> None:
    place.mailbox.misbehave(MailFault.LOSE_MAIL)
    bench = ask(place, AT_ONCE)
    assert sent(bench)[0] is StepState.WAITING
    assert place.mailbox.messages == ()
    for _ in range(9):
        bench.tick(timedelta(minutes=1))
        assert place.mailbox.messages == (), "the archive may still be behind"
    bench.tick(timedelta(minutes=2))
    assert sent(bench)[0] is StepState.DONE
    assert len(place.mailbox.messages) == 1


def test_an_archive_that_cannot_be_seen_leaves_it_to_the_people(place: Kernelci) -> None:
    place.mailbox.misbehave(MailFault.LOSE_MAIL)
    place.mailbox.archive.faults.add(Fault(FaultKind.STATUS, "GET /archive", times=9))
    bench = ask(place, AT_ONCE)
    state, text = sent(bench)
    assert state is StepState.UNKNOWN
    assert "neither a sent folder nor the list's archive tells whether it was sent" in text
    assert place.mailbox.messages == ()
    bench.say("operator", "!release retry send-announcement --not-done")
    assert sent(bench)[0] is StepState.DONE
    assert len(place.mailbox.messages) == 1


def test_a_refused_recipient_fails_the_step_and_nothing_is_recorded(place: Kernelci) -> None:
    place.mailbox.refuse(LIST)
    bench = ask(place, AT_ONCE)
    state, text = sent(bench)
    assert state is StepState.FAILED
    assert f"refused {LIST}: 550 5.1.1 No such user. Nothing was sent to anybody" in text
    assert bench.run().step("send-announcement").value is None
    assert bench.journal.recall("announce-sending") == {}
    assert "!release skip send-announcement REASON" in alerts(bench)
    place.mailbox.behave()
    bench.say("operator", "!release retry")
    assert sent(bench)[0] is StepState.DONE


def test_a_mail_server_that_says_not_now_is_asked_again(place: Kernelci) -> None:
    place.mailbox.misbehave(MailFault.DEFER)
    bench = ask(place, AT_ONCE)
    assert sent(bench)[0] is StepState.WAITING
    bench.tick(timedelta(minutes=1))
    assert sent(bench)[0] is StepState.DONE
    assert len(place.mailbox.messages) == 1


def test_a_bot_that_is_killed_after_the_mail_went_out_does_not_send_it_again(place: Kernelci) -> None:
    mailer = Followed(place.ports.mailer, "send", killed(place))
    first = place.bench(ports=with_ports(place.ports, mailer=mailer))
    start(first, AT_ONCE)
    assert len(place.mailbox.messages) == 1
    revive(place, first)
    second = place.bench(procedures=[AT_ONCE])
    second.engine.resume()
    assert sent(second)[0] is StepState.DONE
    assert len(place.mailbox.messages) == 1


# ---- the comment window ----------------------------------------------------------------------------------------


def test_people_get_a_day_at_least_and_until_the_announced_time(place: Kernelci) -> None:
    bench = ask(place, AT_ONCE)
    window = bench.run().step("comment-window")
    assert (window.state, window.wake_at) == (StepState.WAITING, START + DAY + timedelta(hours=1))
    bench.tick(DAY + timedelta(minutes=59))
    assert bench.run().state is RunState.WAITING
    bench.tick(timedelta(minutes=1))
    assert bench.run().state is RunState.SUCCEEDED


def test_the_window_ends_in_production_hours(place: Kernelci) -> None:
    bench = place.bench(hours=OFFICE)
    bench.clock.forward(timedelta(days=4, hours=1))  # Friday 10:00
    start(bench, AT_ONCE)
    wake_at = bench.run().step("comment-window").wake_at
    assert wake_at is not None
    assert f"{wake_at:%a %H:%M}" == "Mon 08:00"


def test_a_bot_that_slept_through_the_opening_waits_for_the_next(place: Kernelci) -> None:
    bench = ask(place, AT_ONCE)
    bench.tick(timedelta(hours=36))  # Tuesday 21:00
    window = bench.run().step("comment-window")
    assert window.state is StepState.WAITING
    assert window.wake_at is not None
    assert f"{window.wake_at:%a %H:%M}" == "Wed 08:00"


def test_weekends_do_not_count_where_working_days_are_configured(place: Kernelci) -> None:
    settings = AnnounceSettings(recipients=(LIST,), sender="kcibot@example.org", counting=Counting.WORKING_DAYS)
    bench = place.bench(hours=OFFICE, sections=[settings])
    bench.clock.forward(timedelta(days=4, hours=1))
    start(bench, AT_ONCE)
    wake_at = bench.run().step("comment-window").wake_at
    assert wake_at is not None
    assert f"{wake_at:%a %H:%M}" == "Mon 11:00"


def test_an_announcement_by_hand_gives_people_their_day_too(place: Kernelci) -> None:
    place.mailbox.refuse(LIST)
    bench = ask(place, AT_ONCE)
    bench.clock.forward(timedelta(hours=2))
    bench.say("operator", "!release skip send-announcement sent from my own mailbox")
    window = bench.run().step("comment-window")
    assert (window.state, window.wake_at) == (StepState.WAITING, START + timedelta(hours=2) + DAY)
    bench.tick(DAY)
    assert bench.run().state is RunState.SUCCEEDED


def test_the_release_does_not_begin_before_the_announced_time(place: Kernelci) -> None:
    bench = place.bench(announce, hours=OFFICE)
    bench.clock.forward(timedelta(minutes=30))
    start(bench, RELEASE)
    approve(bench)
    (mail,) = place.mailbox.messages
    assert "Roll-out: Tue 2026-11-24 11:00 UTC" in mail.text
    wake_at = bench.run().step("comment-window").wake_at
    assert wake_at == START + DAY + timedelta(hours=2)


def test_a_void_approval_says_what_moved_without_the_whole_mail(place: Kernelci) -> None:
    bench = ask(place)
    bench.clock.forward(timedelta(hours=5))
    approve(bench)
    said = lines(bench, f"{PROMPT.format(1)}:void")
    assert "Tue 2026-11-24 10:00 UTC, is now KernelCI production update kernelci-20261123, Tue 2026-11-24 15:00" in said
    assert "igt.sh" not in said


def test_a_hold_stops_the_release_after_the_window(place: Kernelci) -> None:
    bench = ask(place, Procedure("release", *AT_ONCE, stuck()))
    bench.say("observer", "!hold the mail server is down")
    bench.tick(DAY + timedelta(hours=2))
    assert bench.run().state is RunState.PAUSED
    bench.say("operator", "!unhold")
    bench.tick(timedelta(minutes=1))
    assert bench.run().step("stuck").state is StepState.FAILED


def test_the_date_of_the_mail_is_when_it_was_sent(place: Kernelci) -> None:
    bench = ask(place)
    bench.clock.forward(timedelta(minutes=30))
    approve(bench)
    (mail,) = place.mailbox.messages
    assert parsedate_to_datetime(str(mail.message["Date"])) == START + timedelta(minutes=30)
