"""The mailbox into which the backend's report mails come, shown over IMAP."""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from email.mime.text import MIMEText
from email.utils import format_datetime
from pathlib import Path

from kcibot.core.ports import Revision
from kcibot.sandbox.certificate import new_certificate
from kcibot.sandbox.imap import Filed, ImapStandIn

USER = "kernelci-results"
FOLDER = "INBOX"


def report_mail(revision: Revision, kind: str, subject: str, at: datetime) -> bytes:
    """A report as the backend writes it: its headers name the revision, a long subject is folded."""
    mail = MIMEText(f"{subject}\n", "plain", "utf-8")
    mail["Date"] = format_datetime(at)
    mail["X-Kernelci-Report-Type"] = kind
    mail["X-Kernelci-Tree"] = revision.tree
    mail["X-Kernelci-Branch"] = revision.branch
    mail["X-Kernelci-Kernel"] = revision.kernel
    mail["Subject"] = subject
    mail["To"] = "kernelci-results@example.org"
    mail["From"] = '"kernelci.org bot" <bot@kernelci.org>'
    return mail.as_bytes().replace(b"\n", b"\r\n")


class ReportInboxStandIn:
    """One folder of one user. It is there before it is started, and its certificate is in the given folder.

    `before_look` is called whenever somebody opens the folder, so that what is due can come.
    """

    host = "127.0.0.1"

    def __init__(self, folder: Path, password: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = folder / "certificate.pem"
        self.before_look: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._filed: list[Filed] = []
        self.imap = ImapStandIn(new_certificate(self.ca_file, folder / "key.pem"), USER, password, self._folder)
        self.port = self.imap.port

    @property
    def place(self) -> Mapping[str, object]:
        """How a client finds it, but for the password."""
        return {"host": self.host, "port": self.port, "user": USER, "folder": FOLDER, "ca_file": str(self.ca_file)}

    def deliver(self, revision: Revision, kind: str, subject: str, at: datetime) -> None:
        """A report of that subject came at that time."""
        self.file(report_mail(revision, kind, subject, at), at)

    def file(self, raw: bytes, at: datetime) -> None:
        """Any mail came."""
        with self._lock:
            self._filed.append(Filed(raw, at))

    def start(self) -> None:
        self.imap.start()

    def stop(self) -> None:
        self.imap.stop()

    def __enter__(self) -> "ReportInboxStandIn":
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _folder(self, name: str) -> Sequence[Filed] | None:
        self.before_look()
        with self._lock:
            return tuple(self._filed) if name == FOLDER else None
