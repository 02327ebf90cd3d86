"""The mailbox into which KernelCI's report mails come, looked into over IMAP and never changed."""

import email.errors
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32

from kcibot.core.ports import ReportMail
from kcibot.errors import PermanentError, TransientError
from kcibot.services.mail.imap import FolderSession, MailFolder, opened

TYPE, TREE, BRANCH, KERNEL = (f"X-Kernelci-{name}" for name in ("Report-Type", "Tree", "Branch", "Kernel"))
KINDS = frozenset({"build", "boot", "test", "bisect"})
AT_A_TIME = 200
MOST = 2000
"""Of very many mails only the newest are read: a revision has a dozen, of one tree a few suffice."""

_HEADERS = 8192
"""Bytes read of a mail's headers, whatever else somebody put in there."""
_WANTED = f"(UID INTERNALDATE BODY.PEEK[HEADER.FIELDS (SUBJECT {TYPE} {TREE} {BRANCH} {KERNEL})]<0.{_HEADERS}>)"
_ARRIVED = re.compile(rb'INTERNALDATE "([^"]+)"')


class ImapReports:
    """Fulfils `ReportInbox`.

    A server's search finds parts of headers, in any case, so that what it found is compared here. Only a mail whose
    headers name the revision counts: an answer to one, or a forwarded one, has its subject too. When it came is what
    the server says, not what stands in it.
    """

    def __init__(self, place: MailFolder, timeout_seconds: float = 30.0) -> None:
        self._place = place
        self._timeout = timeout_seconds

    def reports(self, tree: str, branch: str, kernel: str) -> tuple[ReportMail, ...]:
        """All that came of that revision, oldest first.

        TransientError or PermanentError if the folder cannot be seen, and PermanentError if no report of the tree ever
        came into it: then it may not be where they go.
        """
        wanted = {TREE: tree, BRANCH: branch, KERNEL: kernel}
        with opened(self._place, self._timeout) as folder:
            numbers = folder.search((KERNEL, kernel), (TREE, tree))
            found = tuple(mail for headers, at in _mails(folder, numbers) for mail in _reports(headers, at, wanted))
            if not found and not _any_of(folder, tree):
                raise PermanentError(f"never got a report mail of {tree}, so what it lacks proves nothing")
        return tuple(sorted(found, key=lambda mail: mail.at))


def _any_of(folder: FolderSession, tree: str) -> bool:
    return any(_reports(headers, at, {TREE: tree}) for headers, at in _mails(folder, folder.search((TREE, tree))))


def _mails(folder: FolderSession, numbers: list[int]) -> Iterator[tuple[Message, datetime]]:
    """Headers and time of arrival, the newest first, some at a time."""
    newest = numbers[: -MOST - 1 : -1]
    for start in range(0, len(newest), AT_A_TIME):
        yield from _read(folder.fetch(newest[start : start + AT_A_TIME], _WANTED))


def _read(answers: Iterable[object]) -> Iterator[tuple[Message, datetime]]:
    """A server may say when a mail came before or after its headers."""
    parser = BytesHeaderParser(policy=compat32)  # the newer policies stumble over some malformed headers
    headers, said = b"", b""
    for answer in (*answers, b""):
        if isinstance(answer, tuple):
            if headers:
                yield parser.parsebytes(headers), _arrived(said)
            said, headers = answer[0], answer[1]
        elif isinstance(answer, bytes):
            said += answer
    if headers:
        yield parser.parsebytes(headers), _arrived(said)


def _arrived(said: bytes) -> datetime:
    found = _ARRIVED.search(said)
    if not found:
        raise TransientError("does not tell when its mails came")
    return datetime.strptime(found[1].decode("ascii", "replace").strip(), "%d-%b-%Y %H:%M:%S %z").astimezone(UTC)


def _reports(headers: Message, at: datetime, wanted: dict[str, str]) -> tuple[ReportMail, ...]:
    """The mail if it is one of those."""
    kind = _only(headers, TYPE)
    if kind not in KINDS or any(_only(headers, name) != value for name, value in wanted.items()):
        return ()
    return (ReportMail(kind, _text(headers.get("Subject", "")), at),)


def _only(headers: Message, name: str) -> str:
    """Its value; none if it is there twice, since then nobody knows which holds."""
    values = headers.get_all(name, [])
    return _text(values[0]) if len(values) == 1 else ""


def _text(value: object) -> str:
    """On one line and readable, as far as it can be read: it is somebody else's text."""
    text = str(value)
    with suppress(email.errors.MessageError, LookupError, ValueError):  # encoded, as it says, and then it is not
        text = str(make_header(decode_header(text)))
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
