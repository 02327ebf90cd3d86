"""One look into a mail folder: over TLS, read-only, and with everything that goes wrong told apart from "no mail"."""

import imaplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from kcibot.errors import ConfigError, PermanentError, TransientError

_FOR_NOW = ("[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]")
"""Codes of RFC 5530 for refusals that may pass."""


@dataclass(frozen=True, slots=True)
class MailFolder:
    """A folder of a mailbox that is shown over IMAP."""

    host: str
    user: str
    password: Callable[[], str]
    folder: str = "INBOX"
    port: int = 993
    ca_file: str = ""

    @property
    def called(self) -> str:
        return f"The mail folder {self.folder} on {self.host}"


class FolderSession:
    """A folder that is open for reading, inside `opened`, which makes sentences of what its methods raise."""

    def __init__(self, session: imaplib.IMAP4) -> None:
        self._session = session

    def search(self, *criteria: tuple[str, str]) -> list[int]:
        """The numbers (UIDs) of the mails whose headers contain those texts, whatever their case, oldest first."""
        words = [word for header, text in criteria for word in ("HEADER", header, quoted(text))]
        lines = [line for line in self._asked("SEARCH", *words) if isinstance(line, bytes)]
        if not lines:
            raise TransientError("answered a search with nothing")
        return sorted({int(number) for line in lines for number in line.split()})

    def fetch(self, numbers: list[int], what: str) -> list[object]:
        """What the server says of them, as imaplib has it: pairs with a literal, and single lines."""
        return self._asked("FETCH", ",".join(map(str, numbers)), what)

    def _asked(self, command: str, *words: str) -> list[object]:
        said, answers = self._session.uid(command, *words)
        if said != "OK":
            raise TransientError(f"refused a {command.lower()}")
        return list(answers)


@contextmanager
def opened(place: MailFolder, timeout: float) -> Iterator[FolderSession]:
    """The folder, opened read-only. TransientError if it cannot be seen now, PermanentError if it never will be."""
    with _translated(place.called):
        password = checked(place.password)
        context = ssl.create_default_context(cafile=place.ca_file or None)
        session = imaplib.IMAP4_SSL(place.host, place.port, ssl_context=context, timeout=timeout)
        try:
            _enter(session, place, password)
            yield FolderSession(session)
        finally:
            # What was seen is seen; a server that hangs up first changes nothing.
            with suppress(imaplib.IMAP4.error, OSError):
                session.logout()


def _enter(session: imaplib.IMAP4, place: MailFolder, password: str) -> None:
    try:
        session.login(quoted(place.user), password)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        # Not chained: some servers repeat the login in their answer.
        raise _refusal("refused the login", str(error)) from None
    said, answers = session.select(quoted(place.folder), readonly=True)
    if said != "OK":
        raise _refusal("cannot be opened", str(answers[0]))


def _refusal(what: str, answer: str) -> TransientError | PermanentError:
    return (TransientError if any(code in answer for code in _FOR_NOW) else PermanentError)(what)


@contextmanager
def _translated(called: str) -> Iterator[None]:
    try:
        yield
    except (TransientError, PermanentError) as error:
        raise type(error)(f"{called} {error}.") from error
    except ConfigError as error:
        raise PermanentError(f"{called} cannot be seen: {error}") from error
    except ssl.SSLCertVerificationError as error:
        raise PermanentError(f"{called}: its certificate could not be verified ({error.verify_message}).") from error
    except (imaplib.IMAP4.error, OSError, ValueError) as error:
        raise TransientError(f"{called} cannot be seen: {type(error).__name__}.") from error


def checked(password: Callable[[], str]) -> str:
    """The password, checked here because smtplib and imaplib would quote a wrong one in their errors."""
    secret = password()
    if not (secret.isascii() and secret.isprintable()):
        raise ConfigError("The mail password holds a line break or a character that is not ASCII.")
    return secret


def quoted(text: str) -> str:
    """As IMAP wants it between quotes; PermanentError for what could be taken for another command."""
    if not (text.isascii() and text.isprintable()):
        raise PermanentError(f"cannot be asked about {text!r}, which is not plain ASCII")
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
