"""The announcement goes out once: a lost answer or a kill is settled by looking, else by asking the people."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.ports import Ports
from kcibot.core.run import StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.mailbox import MailboxSecurity, MailboxStandIn, MailFault
from kcibot.services.mail.adapter import MailSecurity, SentFolder, SmtpMailer
from tests.fakes.announcing import AT_ONCE, LIST, OFFICE, RELEASE, VERBS, approve, ask, sent, shown_mail
from tests.fakes.imap import COPIES, folder_of, imap_server
from tests.fakes.kernelci_bench import (
    Followed,
    Kernelci,
    alerts,
    kernelci,
    killed,
    revive,
    start,
    with_ports,
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


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


def test_people_who_say_it_was_not_sent_send_it_with_times_still_to_come(place: Kernelci) -> None:
    place.mailbox.misbehave(MailFault.LOSE_MAIL)
    place.mailbox.archive.faults.add(Fault(FaultKind.STATUS, "GET /archive", times=9))
    bench = ask(place)
    approve(bench)
    assert sent(bench)[0] is StepState.UNKNOWN
    bench.clock.forward(timedelta(hours=5))
    bench.say("operator", "!release retry send-announcement --not-done")
    assert place.mailbox.messages == (), "its times have moved, so people are asked again"
    bench.say("operator", "!announce edit 1 in other words")
    assert "Comments: until Tue 2026-11-24 15:00 UTC" in shown_mail(bench, 3)
    approve(bench, 3)
    (mail,) = place.mailbox.messages
    assert "Comments: until Tue 2026-11-24 15:00 UTC" in mail.text
    assert "* in other words" in mail.text


def test_a_password_that_cannot_be_sent_leaves_nothing_in_doubt(place: Kernelci) -> None:
    with MailboxStandIn(MailboxSecurity.STARTTLS, "kcibot", "right") as mailbox:
        bench = place.bench(*VERBS, hours=OFFICE, ports=with_ports(place.ports, mailer=secure(mailbox, "geh\u00e9im")))
        start(bench, RELEASE)
        approve(bench)
        state, text = sent(bench)
        assert state is StepState.FAILED
        assert "Nothing was sent" in text
        assert bench.journal.recall("announce-sending") == {}
        bench.say("operator", "!announce edit summary a quiet week")
        assert bench.replies()[-1] == "The summary is changed."


def secure(mailbox: MailboxStandIn, password: str, folder: SentFolder | None = None) -> SmtpMailer:
    """A mailer that logs in, and looks in a sent folder alone, if anywhere."""
    return SmtpMailer(
        mailbox.host,
        mailbox.port,
        user="kcibot",
        password=lambda: password,
        security=MailSecurity.STARTTLS,
        ca_file=mailbox.ca_file,
        timeout_seconds=5.0,
        sent_folder=folder,
    )


@contextmanager
def filed(place: Kernelci, copy_to: str = COPIES) -> Iterator[tuple[MailboxStandIn, Ports]]:
    """A mail server with a sent folder beside it, and no archive."""
    with MailboxStandIn(MailboxSecurity.STARTTLS, "kcibot", "right") as mailbox, imap_server(mailbox) as server:
        mailer = secure(mailbox, "right", folder_of(server, copy_to=copy_to))
        yield mailbox, with_ports(place.ports, mailer=mailer)


def test_a_mail_whose_answer_was_lost_is_found_in_the_sent_folder(place: Kernelci) -> None:
    with filed(place) as (mailbox, ports):
        mailbox.misbehave(MailFault.LOSE_ANSWER)
        bench = place.bench(*VERBS, hours=OFFICE, ports=ports)
        start(bench, AT_ONCE)
        assert sent(bench)[0] is StepState.DONE
        assert [mail.recipients for mail in mailbox.messages] == [(LIST, COPIES)]


def test_a_kill_after_the_mail_went_out_is_settled_by_the_sent_folder(place: Kernelci) -> None:
    with filed(place) as (mailbox, ports):
        mailer = Followed(ports.mailer, "send", killed(place))
        first = place.bench(ports=with_ports(ports, mailer=mailer))
        start(first, AT_ONCE)
        revive(place, first)
        second = place.bench(procedures=[AT_ONCE], ports=ports)
        second.engine.resume()
        assert sent(second)[0] is StepState.DONE
        assert len(mailbox.messages) == 1


def test_a_mail_that_is_not_in_the_sent_folder_is_sent_again_after_its_time(place: Kernelci) -> None:
    with filed(place) as (mailbox, ports):
        mailbox.misbehave(MailFault.LOSE_MAIL)
        bench = place.bench(*VERBS, hours=OFFICE, ports=ports)
        start(bench, AT_ONCE)
        for _ in range(9):
            bench.tick(timedelta(minutes=1))
            assert mailbox.messages == ()
        bench.tick(timedelta(minutes=2))
        assert sent(bench)[0] is StepState.DONE
        assert len(mailbox.messages) == 1


def test_a_folder_into_which_nobody_files_leaves_it_to_the_people(place: Kernelci) -> None:
    with filed(place, copy_to="") as (mailbox, ports):
        mailbox.misbehave(MailFault.LOSE_ANSWER)
        bench = place.bench(*VERBS, hours=OFFICE, ports=ports)
        start(bench, AT_ONCE)
        for _ in range(3):
            bench.tick(timedelta(hours=1))
        assert sent(bench)[0] is StepState.UNKNOWN
        assert len(mailbox.messages) == 1, "a mail to a public list must not go out twice"


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
