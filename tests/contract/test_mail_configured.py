"""What is configured under services.mail is what the mailer does: its login, its sent folder, and the copies for it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kcibot.app import _mailer
from kcibot.config import Mail as MailBlock
from kcibot.config.secrets import FOLDER
from kcibot.core.ports import Mail, Sent
from kcibot.core.redact import Redactor
from kcibot.sandbox.mailbox import MailboxSecurity, MailboxStandIn
from tests.fakes.imap import COPIES, PASSWORD, USER, ImapServer, imap_server
from tests.fakes.imap import FOLDER as SENT

ONE = Mail("<one@example.org>", "kcibot@example.org", ("list@example.org",), "An update", "Text\n", datetime.now(UTC))


def configured(folder: Path, mailbox: MailboxStandIn, imap: ImapServer, **more: str) -> MailBlock:
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    login = {"user": USER, "password": {"file": "password"}}
    place = {"host": "127.0.0.1", "port": imap.server_address[1], "folder": SENT, **login, **more}
    values = {"host": mailbox.host, "port": mailbox.port, "ca_file": mailbox.ca_file, **login, "imap": place}
    return MailBlock.model_validate(values, context={FOLDER: folder})


@pytest.mark.parametrize(("copy_to", "before"), [(COPIES, Sent.NO), ("", Sent.CANNOT_TELL)])
def test_the_sent_folder_is_that_of_the_configuration(tmp_path: Path, copy_to: str, before: Sent) -> None:
    with MailboxStandIn(MailboxSecurity.STARTTLS, USER, PASSWORD) as mailbox, imap_server(mailbox) as imap:
        more = {"copy_to": copy_to} if copy_to else {}
        mailer = _mailer(configured(tmp_path, mailbox, imap, **more), Redactor())
        assert mailer.sent(ONE.message_id) is before
        mailer.send(ONE)
        assert mailer.sent(ONE.message_id) is (Sent.YES if copy_to else Sent.CANNOT_TELL)
        (received,) = mailbox.messages
        assert (received.user, COPIES in received.recipients) == (USER, bool(copy_to))
