"""Report mails in a real mailbox: taken by OpenSMTPD, delivered, and found by Dovecot."""

import shutil
import smtplib
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kcibot.core.ports import Revision
from kcibot.errors import PermanentError
from kcibot.sandbox.report_inbox import report_mail
from kcibot.services.mail.imap import MailFolder
from kcibot.services.mail.reports import ImapReports
from tests.servers.mail import LIST, PASSWORD, MailServers, mail_servers

SECONDS = 10
OURS = Revision("stable", "linux-5.10.y", "v5.10.103")
SUBJECT = "stable/linux-5.10.y build: 183 builds: 45 failed, 138 passed, 1170 errors, 699 warnings (v5.10.103)"


@pytest.fixture(scope="module")
def servers() -> Iterator[MailServers]:
    with mail_servers() as found:
        yield found


@pytest.fixture(scope="module")
def inbox(servers: MailServers) -> ImapReports:
    """With the report of one build in it, and of a revision whose names begin as that one's."""
    deliver(servers, report_mail(OURS, "build", SUBJECT, datetime(2001, 1, 1, tzinfo=UTC)))
    for other in (replace(OURS, kernel="v5.10.103-94-g8a21dc3cefb9"), replace(OURS, tree="stable-rc")):
        deliver(servers, report_mail(other, "build", "another", datetime.now(UTC)))
    return looking(servers)


def looking(servers: MailServers, password: str = PASSWORD, folder: str = "INBOX") -> ImapReports:
    ca_file = str(servers.ca_file)
    return ImapReports(MailFolder("localhost", servers.user, lambda: password, folder, servers.imap_port, ca_file))


def deliver(servers: MailServers, raw: bytes) -> None:
    """Hand it over, and wait until it lies in the mailbox."""
    before = len(filed(servers))
    with smtplib.SMTP("127.0.0.1", servers.smtp_port, timeout=SECONDS) as session:
        session.sendmail("bot@localhost", [LIST], raw)
    deadline = time.monotonic() + SECONDS
    while len(filed(servers)) == before:
        assert time.monotonic() < deadline, "it was not delivered"
        time.sleep(0.02)


def filed(servers: MailServers) -> list[str]:
    """What lies in the INBOX, each name as the flags have it."""
    return sorted(path.name for kind in ("new", "cur") for path in (servers.maildir / kind).glob("*"))


def test_a_report_is_found_whole_and_by_the_time_at_which_it_came(inbox: ImapReports) -> None:
    (mail,) = inbox.reports(OURS.tree, OURS.branch, OURS.kernel)
    assert (mail.kind, mail.subject) == ("build", SUBJECT)
    assert abs(datetime.now(UTC) - mail.at) < timedelta(minutes=5), "its own date is of 2001"


def test_nobody_sees_that_somebody_looked(servers: MailServers, inbox: ImapReports) -> None:
    inbox.reports(OURS.tree, OURS.branch, OURS.kernel)
    assert not [name for name in filed(servers) if name.partition(":2,")[2]], "a flag was set"


def test_no_report_is_believed_only_of_a_tree_whose_reports_come_here(inbox: ImapReports) -> None:
    assert inbox.reports(OURS.tree, OURS.branch, "v5.10.104") == ()
    with pytest.raises(PermanentError, match="never got a report mail of next"):
        inbox.reports("next", "master", "next-20261123")
    with pytest.raises(PermanentError, match="never got a report mail of stabl,"):
        inbox.reports("stabl", OURS.branch, OURS.kernel)


def test_a_wrong_password_or_folder_is_no_empty_mailbox(servers: MailServers, inbox: ImapReports) -> None:
    assert inbox.reports(OURS.tree, OURS.branch, OURS.kernel)
    with pytest.raises(PermanentError, match="refused the login"):
        looking(servers, password="wrong").reports(OURS.tree, OURS.branch, OURS.kernel)
    with pytest.raises(PermanentError, match="cannot be opened"):
        looking(servers, folder="Nowhere").reports(OURS.tree, OURS.branch, OURS.kernel)


def test_names_with_quotes_are_asked_for_as_they_are(inbox: ImapReports) -> None:
    assert inbox.reports(OURS.tree, OURS.branch, 'v5.10.103" ALL') == ()
    assert inbox.reports(OURS.tree, OURS.branch, "v5.10.103\\") == ()


def test_odd_mails_in_the_mailbox_stop_nobody(servers: MailServers, inbox: ImapReports) -> None:
    raw = report_mail(OURS, "build", SUBJECT, datetime.now(UTC)).replace(b"\r\n", b"\n")
    odd = {
        "bytes": raw.replace(b"Subject: ", b"Subject: \xff\xfe =?utf-8?b?%%%?= "),
        "huge": raw.replace(b"X-Kernelci-Tree", b"X-Kernelci-Branch: x\n" * 5000 + b"X-Kernelci-Tree"),
        "folded": raw.replace(b"X-Kernelci-Tree: stable", b"X-Kernelci-Tree:\n stable"),
        "empty": b"",
    }
    for name, content in odd.items():
        path = servers.maildir / "new" / f"1700000000.{name}.localhost"
        path.write_bytes(content)
        shutil.chown(path, servers.user)
    found = inbox.reports(OURS.tree, OURS.branch, OURS.kernel)
    assert len(found) == 3, "the first one, the one with odd bytes, and the folded one"
    assert all(mail.subject.endswith(SUBJECT) and mail.subject.isprintable() for mail in found)
