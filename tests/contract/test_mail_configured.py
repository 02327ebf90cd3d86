"""What is configured is what is done: the mailer's login, its sent folder with the copies, the reports' mailbox."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kcibot.config import Mail as MailBlock
from kcibot.config import ReportInbox
from kcibot.config.secrets import FOLDER
from kcibot.core.ports import Mail, Revision, Sent
from kcibot.core.redact import Redactor
from kcibot.sandbox.mailbox import MailboxSecurity, MailboxStandIn
from kcibot.sandbox.report_inbox import ReportInboxStandIn
from kcibot.wiring import _mailer, _report_inbox
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


def test_the_mailbox_of_the_reports_is_that_of_the_configuration(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    ours = Revision("kernelci", "kernelci.org", "v5.10.80")
    with ReportInboxStandIn(tmp_path / "inbox", PASSWORD) as inbox:
        inbox.deliver(ours, "build", "done", datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
        values = {**inbox.place, "password": {"file": "password"}}
        found = _report_inbox(ReportInbox.model_validate(values, context={FOLDER: tmp_path}), Redactor())
        assert [mail.subject for mail in found.reports(ours.tree, ours.branch, ours.kernel)] == ["done"]
