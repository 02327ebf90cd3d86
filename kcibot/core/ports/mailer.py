"""Mail to a list, and the report mails that come from the backend."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to be sent. `message_id` is made beforehand, so that a repeated one can be recognised.

    With `html` it goes out in both forms, of which readers see one. `reply_to` are the addresses that answers go to,
    `in_reply_to` is the Message-ID of the mail that this one follows; each may be empty.
    """

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    date: datetime
    html: str = ""
    reply_to: tuple[str, ...] = ()
    in_reply_to: str = ""


class Sent(StrEnum):
    """What can be known about a mail that may have gone out."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


class Mailer(Protocol):
    """Hands mails to the list's server."""

    def send(self, mail: Mail) -> None:
        """Returns when the server accepted the mail for every recipient; refused ones are named in PermanentError."""
        ...

    def sent(self, message_id: str) -> Sent:
        """Look for it in the sent folder or the list's archive, where one is configured."""
        ...


@dataclass(frozen=True, slots=True)
class ReportMail:
    """A report mail that arrived at that time. `kind` is build, boot, test or bisect, `subject` one line of text."""

    kind: str
    subject: str
    at: datetime


class ReportInbox(Protocol):
    """The mailbox into which report mails come; their headers `X-Kernelci-*` name what they are about."""

    def reports(self, tree: str, branch: str, kernel: str) -> tuple[ReportMail, ...]:
        """All that came of that revision, oldest first. Empty only if the mailbox was seen and has none.

        A mailbox into which no report of the tree ever came proves nothing by what it does not hold: PermanentError.
        """
        ...
