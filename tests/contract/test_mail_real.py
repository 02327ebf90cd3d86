"""The round trip with real servers: handed to OpenSMTPD, delivered, and found by Dovecot in the folder of the copies.

STARTTLS and logins are tested against aiosmtpd: that build of OpenSMTPD cannot do the first.
"""

import email
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage

import pytest

from kcibot.core.ports import Mail, Sent
from kcibot.errors import PermanentError
from kcibot.services.mail.adapter import MailSecurity, SentFolder, SmtpMailer
from tests.servers.mail import COPIES, LIST, PASSWORD, MailServers, mail_servers

HTML = "<!DOCTYPE html>\n<html><body>\n<p>Grüße &amp; more</p>\n</body></html>\n"
TEXT = "Summary:\n\n* Grüße & more\n.a line that begins with a dot\nFrom here on\n"
SECONDS = 10


@pytest.fixture(scope="module")
def servers() -> Iterator[MailServers]:
    with mail_servers() as found:
        yield found


def mailer(servers: MailServers, password: str = PASSWORD, copy_to: str = COPIES, folder: str = "Sent") -> SmtpMailer:
    place = SentFolder(
        "localhost", servers.user, lambda: password, folder, servers.imap_port, str(servers.ca_file), copy_to
    )
    return SmtpMailer("127.0.0.1", servers.smtp_port, security=MailSecurity.NONE, sent_folder=place)


def mail(*recipients: str, in_reply_to: str = "") -> Mail:
    """A new one: the server's queue is the machine's, and may bring an older test's mail."""
    at = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    message_id = f"<kernelci-20261123.{uuid.uuid4().hex}@kernelci.org>"
    to = recipients or (LIST,)
    return Mail(message_id, "kcibot@localhost", to, "An update", TEXT, at, HTML, (LIST,), in_reply_to)


def until_sent(looking: SmtpMailer, message_id: str, wanted: Sent = Sent.YES) -> Sent:
    """What the adapter sees in the end: a delivery takes its time."""
    deadline = time.monotonic() + SECONDS
    while (seen := looking.sent(message_id)) is not wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen


def delivered(servers: MailServers, message_id: str) -> list[EmailMessage]:
    """What lies in the mailbox under that id."""
    files = [path for path in servers.maildir.rglob("*") if path.is_file() and path.parent.name in {"new", "cur"}]
    found = [email.message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]
    return [message for message in found if message["Message-ID"] == message_id]


def test_a_mail_that_was_sent_is_found_in_the_folder_of_the_copies(servers: MailServers) -> None:
    one = mail()
    looking = mailer(servers)
    looking.send(mail())  # with the first copy the folder comes into being
    assert until_sent(looking, one.message_id, Sent.NO) is Sent.NO, "a copy would be in it"
    looking.send(one)
    assert until_sent(looking, one.message_id) is Sent.YES
    assert looking.sent(mail().message_id) is Sent.NO


def test_it_arrives_as_it_was_written_in_both_forms(servers: MailServers) -> None:
    one = mail(in_reply_to="<first@kernelci.org>")
    looking = mailer(servers)
    looking.send(one)
    until_sent(looking, one.message_id)
    until_sent(mailer(servers, folder="INBOX"), one.message_id)
    message, copy = delivered(servers, one.message_id)
    assert message.as_string().partition("Message-ID:")[2] == copy.as_string().partition("Message-ID:")[2]
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == TEXT
    assert html.get_content().replace("\r\n", "\n") == HTML
    assert (message["In-Reply-To"], message["Reply-To"]) == ("<first@kernelci.org>", LIST)
    assert message["To"] == LIST
    assert COPIES not in message.as_string().partition("Message-ID:")[2], "only the envelope names it"


def test_without_a_copy_a_folder_says_nothing_of_what_it_does_not_hold(servers: MailServers) -> None:
    assert mailer(servers, copy_to="").sent(mail().message_id) is Sent.CANNOT_TELL


def test_a_recipient_that_the_server_does_not_know_stops_the_mail_for_all(servers: MailServers) -> None:
    one = mail(LIST, "nobody-there@localhost")
    looking = mailer(servers)
    with pytest.raises(PermanentError, match=r"refused nobody-there@localhost: 550 .*Nothing was sent to anybody"):
        looking.send(one)
    assert looking.sent(one.message_id) is Sent.NO
    assert delivered(servers, one.message_id) == []


def test_a_folder_that_does_not_let_us_in_tells_nothing(servers: MailServers) -> None:
    one = mail()
    mailer(servers).send(one)
    assert until_sent(mailer(servers), one.message_id) is Sent.YES
    assert mailer(servers, password="wrong").sent(one.message_id) is Sent.CANNOT_TELL


def test_a_long_message_id_is_found_whole(servers: MailServers) -> None:
    one = mail()
    long = Mail(f"<{'release-' * 15}{one.message_id[1:]}", *[getattr(one, name) for name in one.__slots__[1:]])
    looking = mailer(servers)
    looking.send(long)
    assert until_sent(looking, long.message_id) is Sent.YES
    assert looking.sent(one.message_id) is Sent.NO, "a part of an id is another one"
