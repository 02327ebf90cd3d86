"""The mailer against a real SMTP server that can misbehave, and its two ways to look for a mail afterwards."""

import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from kcibot.core.ports import Mail, Sent
from kcibot.errors import ConfigError, OutcomeUnknown, PermanentError, TransientError
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.mailbox import MailboxSecurity, MailboxStandIn, MailFault
from kcibot.services.mail.adapter import MailSecurity, SmtpMailer
from tests.fakes.imap import COPIES, PASSWORD, USER, ImapServer, folder_of, imap_server

LIST, SECOND = "kernelci@groups.io", "kernelci-results@groups.io"


def mail(number: int = 1, **changes: Any) -> Mail:
    values: dict[str, Any] = {
        "message_id": f"<release-{number}@kernelci.org>",
        "sender": "KernelCI bot <bot@kernelci.org>",
        "recipients": (LIST, SECOND),
        "subject": "KernelCI production update: kernelci-20190506",
        "text": "Summary:\n\n * core: Grüße aus dem Labor\n.a line that begins with a dot\n",
        "date": datetime(2019, 5, 6, 9, 30, tzinfo=UTC),
    }
    return Mail(**{**values, **changes})


@pytest.fixture
def mailbox() -> Iterator[MailboxStandIn]:
    with MailboxStandIn() as stand_in:
        yield stand_in


def mailer(mailbox: MailboxStandIn, timeout: float = 5.0, archive: str | None = None) -> SmtpMailer:
    return SmtpMailer(
        mailbox.host,
        mailbox.port,
        security=MailSecurity.NONE,
        timeout_seconds=timeout,
        archive_url=mailbox.archive_url if archive is None else archive,
    )


def secure_mailer(mailbox: MailboxStandIn, password: str = PASSWORD, **options: Any) -> SmtpMailer:
    values: dict[str, Any] = {
        "user": USER,
        "password": lambda: password,
        "security": MailSecurity.STARTTLS,
        "ca_file": mailbox.ca_file,
        "timeout_seconds": 5.0,
    }
    return SmtpMailer(mailbox.host, mailbox.port, **{**values, **options})


def test_an_accepted_mail_arrives_as_it_was_written(mailbox: MailboxStandIn) -> None:
    mailer(mailbox).send(mail())
    (received,) = mailbox.messages
    assert received.sender == "bot@kernelci.org"
    assert received.recipients == (LIST, SECOND)
    assert received.message["Subject"] == "KernelCI production update: kernelci-20190506"
    assert received.message["To"] == f"{LIST}, {SECOND}"
    assert received.message["From"] == "KernelCI bot <bot@kernelci.org>"
    assert received.message["Date"].datetime == datetime(2019, 5, 6, 9, 30, tzinfo=UTC)
    assert received.message.get_content_type() == "text/plain"
    assert received.text == mail().text
    assert received.raw.isascii()


HTML = "<!DOCTYPE html>\n<html><body>\n<p>Grüße</p>\n</body></html>\n"


def test_a_mail_with_html_goes_out_in_both_forms(mailbox: MailboxStandIn) -> None:
    mailer(mailbox).send(mail(html=HTML))
    (received,) = mailbox.messages
    assert received.message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in received.message.iter_parts()] == ["text/plain", "text/html"]
    assert (received.text, received.html) == (mail().text, HTML)
    assert received.raw.isascii()


def test_the_same_mail_is_the_same_bytes_whenever_it_is_sent(mailbox: MailboxStandIn) -> None:
    for _ in range(2):
        mailer(mailbox).send(mail(html=HTML))
    mailer(mailbox).send(mail(2, html=HTML))
    first, again, other = mailbox.messages
    assert first.raw == again.raw
    assert first.message.get_boundary() != other.message.get_boundary()


def test_answers_go_to_the_list_and_a_follow_up_is_found_below_its_mail(mailbox: MailboxStandIn) -> None:
    mailer(mailbox).send(mail(2, reply_to=(LIST,), in_reply_to=mail().message_id))
    (received,) = mailbox.messages
    assert received.message["Reply-To"] == LIST
    assert received.message["In-Reply-To"] == mail().message_id
    assert received.message["References"] == mail().message_id
    assert received.message["Auto-Submitted"] == "auto-generated"


def test_a_long_message_id_stays_one_line_to_be_found_by(mailbox: MailboxStandIn) -> None:
    long = f"<{'release-' * 15}@kernelci.org>"
    mailer(mailbox).send(mail(message_id=long))
    assert mailbox.by_id(long) is not None
    assert mailer(mailbox).sent(long) is Sent.YES


def test_a_lone_dot_does_not_end_the_mail(mailbox: MailboxStandIn) -> None:
    mailer(mailbox).send(mail(text="before\n.\nMAIL FROM:<x@example.org>\r.\rafter\n"))
    (received,) = mailbox.messages
    assert received.text == "before\n.\nMAIL FROM:<x@example.org>\n.\nafter\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Update\nBcc: everybody@example.org"},
        {"subject": "Update\rBcc: everybody@example.org"},
        {"subject": "Update\x00"},
        {"text": "core: fix \udcff\n"},
        {"sender": "bot@kernelci.org\nBcc: everybody@example.org"},
        {"sender": "nobody"},
        {"recipients": ()},
        {"recipients": ("a@example.org\nRCPT TO:<b@example.org>",)},
        {"recipients": ("a@example.org, b@example.org",)},
        {"recipients": ("not an address",)},
        {"sender": "KernelCI, bot <bot@kernelci.org>"},
        {"message_id": "release-1"},
        {"message_id": "<a@b>\r\nBcc: everybody@example.org"},
        {"message_id": '<a"b@c>'},
        {"html": "<p>\udcff</p>"},
        {"reply_to": ("a@example.org\nBcc: everybody@example.org",)},
        {"reply_to": ("nobody",)},
        {"in_reply_to": "<a@b>\nBcc: everybody@example.org"},
        {"in_reply_to": "release-1"},
    ],
    ids=repr,
)
def test_no_header_smuggles_in_another_one(mailbox: MailboxStandIn, changes: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="was not sent"):
        mailer(mailbox).send(mail(**changes))
    assert mailbox.messages == ()


def test_a_refused_recipient_is_named_and_nobody_gets_the_mail(mailbox: MailboxStandIn) -> None:
    mailbox.refuse(SECOND, "550 5.1.1 No such list")
    with pytest.raises(PermanentError, match=rf"{re.escape(SECOND)}: 550 5\.1\.1 No such list") as caught:
        mailer(mailbox).send(mail())
    assert LIST not in str(caught.value)
    assert mailbox.messages == ()


def test_recipients_refused_for_now_make_it_transient_only_if_all_are(mailbox: MailboxStandIn) -> None:
    mailbox.refuse(SECOND, "451 4.7.1 Greylisted")
    with pytest.raises(TransientError, match="Greylisted"):
        mailer(mailbox).send(mail())
    mailbox.refuse(LIST, "550 No such list")
    with pytest.raises(PermanentError, match="No such list"):
        mailer(mailbox).send(mail())
    mailbox.behave()
    mailer(mailbox).send(mail())
    assert len(mailbox.messages) == 1


@pytest.mark.parametrize(("fault", "error"), [(MailFault.DEFER, TransientError), (MailFault.REJECT, PermanentError)])
def test_a_mail_refused_after_its_text_has_no_effect(
    mailbox: MailboxStandIn, fault: MailFault, error: type[Exception]
) -> None:
    mailbox.misbehave(fault)
    with pytest.raises(error, match="refused the mail"):
        mailer(mailbox).send(mail())
    assert mailbox.messages == ()


def test_accepted_but_the_answer_lost_is_unknown_and_found_in_the_archive(mailbox: MailboxStandIn) -> None:
    mailbox.misbehave(MailFault.LOSE_ANSWER)
    with pytest.raises(OutcomeUnknown, match="it may have been sent"):
        mailer(mailbox).send(mail())
    assert len(mailbox.messages) == 1
    assert mailer(mailbox).sent(mail().message_id) is Sent.YES


def test_lost_with_its_answer_is_unknown_and_not_in_the_archive(mailbox: MailboxStandIn) -> None:
    mailbox.misbehave(MailFault.LOSE_MAIL)
    with pytest.raises(OutcomeUnknown):
        mailer(mailbox).send(mail())
    assert mailer(mailbox).sent(mail().message_id) is Sent.NO


def test_a_server_that_hangs_after_the_text_leaves_it_unknown(mailbox: MailboxStandIn) -> None:
    mailbox.misbehave(MailFault.HANG)
    with pytest.raises(OutcomeUnknown):
        mailer(mailbox, timeout=0.3).send(mail())


def test_a_server_that_hangs_before_the_text_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_mailer = SmtpMailer(
            "127.0.0.1", silent.getsockname()[1], security=MailSecurity.NONE, timeout_seconds=0.3
        )
        with pytest.raises(TransientError, match="Nothing was sent"):
            silent_mailer.send(mail())


def test_nobody_listening_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(TransientError, match="cannot be reached"):
        SmtpMailer("127.0.0.1", port, security=MailSecurity.NONE).send(mail())


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # aiosmtpd does not see that the socket is TLS from the start
@pytest.mark.parametrize("security", [MailboxSecurity.STARTTLS, MailboxSecurity.TLS])
def test_a_login_over_tls_is_made_and_the_certificate_verified(security: MailboxSecurity) -> None:
    with MailboxStandIn(security, USER, PASSWORD) as mailbox:
        secure_mailer(mailbox, security=MailSecurity(security.value)).send(mail())
        (received,) = mailbox.messages
    assert received.user == USER


def test_a_wrong_password_is_permanent_and_not_told() -> None:
    with MailboxStandIn(MailboxSecurity.STARTTLS, USER, PASSWORD) as mailbox:
        with pytest.raises(PermanentError, match=r"refused the login \(535\)") as caught:
            secure_mailer(mailbox, password="a-wrong-secret").send(mail())
        assert mailbox.messages == ()
    assert "a-wrong-secret" not in str(caught.value)


@pytest.mark.parametrize("password", ["geh\u00e9im", "two\nlines"])
def test_a_password_that_cannot_be_sent_is_permanent_and_not_told(password: str) -> None:
    with MailboxStandIn(MailboxSecurity.STARTTLS, USER, PASSWORD) as mailbox:
        with pytest.raises(PermanentError, match="Nothing was sent") as caught:
            secure_mailer(mailbox, password=password).send(mail())
        assert mailbox.messages == ()
    assert password not in str(caught.value)


def test_an_unknown_certificate_is_permanent() -> None:
    with MailboxStandIn(MailboxSecurity.STARTTLS, USER, PASSWORD) as mailbox:
        with pytest.raises(PermanentError, match="certificate"):
            secure_mailer(mailbox, ca_file="").send(mail())
        assert mailbox.messages == ()


def test_a_server_without_starttls_never_gets_the_password_in_the_clear(mailbox: MailboxStandIn) -> None:
    with pytest.raises(PermanentError, match="does not offer"):
        secure_mailer(mailbox, ca_file="").send(mail())
    assert mailbox.messages == ()


def test_a_server_that_wants_a_login_refuses_without_one() -> None:
    with MailboxStandIn(MailboxSecurity.STARTTLS, USER, PASSWORD) as mailbox:
        with pytest.raises(PermanentError, match="refused the sender"):
            secure_mailer(mailbox, user="").send(mail())
        assert mailbox.messages == ()


def test_a_login_without_protection_is_refused_at_start() -> None:
    with pytest.raises(ConfigError, match="in the clear"):
        SmtpMailer("mail.kernelci.org", 25, user=USER, password=lambda: PASSWORD, security=MailSecurity.NONE)


def test_without_a_place_to_look_nobody_can_tell(mailbox: MailboxStandIn) -> None:
    plain = mailer(mailbox, archive="")
    plain.send(mail())
    assert plain.sent(mail().message_id) is Sent.CANNOT_TELL


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.STATUS, status=500),
        Fault(FaultKind.STATUS, status=503),
        Fault(FaultKind.STATUS, status=403),
        Fault(FaultKind.HANG),
        Fault(FaultKind.RESET_BEFORE),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_an_archive_that_cannot_be_seen_tells_nothing(mailbox: MailboxStandIn, fault: Fault) -> None:
    mailer(mailbox).send(mail())
    mailbox.archive.faults.add(Fault(fault.kind, status=fault.status))
    assert mailer(mailbox, timeout=0.3).sent(mail().message_id) is Sent.CANNOT_TELL


# ---- the sent folder --------------------------------------------------------------------------------------------


@pytest.fixture
def secure_mailbox() -> Iterator[MailboxStandIn]:
    with MailboxStandIn(MailboxSecurity.STARTTLS, USER, PASSWORD) as stand_in:
        yield stand_in


@pytest.fixture
def imap(secure_mailbox: MailboxStandIn) -> Iterator[ImapServer]:
    with imap_server(secure_mailbox) as server:
        yield server


def looking(imap: ImapServer, archive: str = "", **folder: str) -> SmtpMailer:
    return secure_mailer(imap.mailbox, sent_folder=folder_of(imap, **folder), archive_url=archive)


def test_a_copy_of_every_mail_goes_to_the_sent_folder_and_nobody_reads_of_it(imap: ImapServer) -> None:
    looking(imap).send(mail())
    (received,) = imap.mailbox.messages
    assert received.recipients == (LIST, SECOND, COPIES)
    assert COPIES not in received.raw.decode()


def test_the_sent_folder_tells_what_went_out(imap: ImapServer) -> None:
    assert looking(imap).sent(mail().message_id) is Sent.NO
    looking(imap).send(mail())
    assert looking(imap).sent(mail().message_id) is Sent.YES
    assert looking(imap).sent(mail(2).message_id) is Sent.NO


def test_a_folder_into_which_nobody_files_is_no_proof_that_a_mail_was_not_sent(imap: ImapServer) -> None:
    plain = looking(imap, copy_to="")
    plain.send(mail())
    assert plain.sent(mail().message_id) is Sent.CANNOT_TELL
    assert looking(imap, imap.mailbox.archive_url, copy_to="").sent(mail().message_id) is Sent.YES
    assert looking(imap, imap.mailbox.archive_url, copy_to="").sent(mail(2).message_id) is Sent.NO, "by the archive"
    looking(imap).send(mail(3))
    assert plain.sent(mail(3).message_id) is Sent.YES, "what is there was sent"


def test_a_copy_that_is_refused_sends_nothing_to_anybody(imap: ImapServer) -> None:
    imap.mailbox.refuse(COPIES)
    with pytest.raises(PermanentError, match=f"refused {COPIES}"):
        looking(imap).send(mail())
    assert imap.mailbox.messages == ()


def test_a_sent_folder_that_cannot_be_opened_tells_nothing(imap: ImapServer) -> None:
    looking(imap).send(mail())
    assert looking(imap, password="wrong").sent(mail().message_id) is Sent.CANNOT_TELL
    assert looking(imap, password="geh\u00e9im").sent(mail().message_id) is Sent.CANNOT_TELL
    assert looking(imap, folder="Nowhere").sent(mail().message_id) is Sent.CANNOT_TELL


def test_two_places_must_agree_before_a_mail_was_not_sent(imap: ImapServer) -> None:
    both = looking(imap, imap.mailbox.archive_url)
    assert both.sent(mail(2).message_id) is Sent.NO
    both.send(mail(2))
    assert both.sent(mail(2).message_id) is Sent.YES
    imap.mailbox.archive.faults.add(Fault(FaultKind.STATUS))
    assert both.sent(mail(3).message_id) is Sent.CANNOT_TELL
