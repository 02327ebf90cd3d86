"""Mails to the list: handed to its server over SMTP, looked for in the sent folder or the list's archive."""

import logging
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never
from urllib.parse import quote

from kcibot.core.ports import Mail, Sent
from kcibot.errors import ConfigError, KcibotError, OutcomeUnknown, PermanentError, TransientError
from kcibot.services.mail.imap import MailFolder, checked, opened
from kcibot.services.mail.message import MESSAGE_ID, bare, message_of

log = logging.getLogger(__name__)


class MailSecurity(StrEnum):
    """How the connection is protected. STARTTLS and TLS never fall back to none."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class SentFolder(MailFolder):
    """An IMAP folder (over TLS) in which mails that went out are found.

    Few servers file what they send. `copy_to` is an address whose mail arrives in that folder: every mail goes to it
    too, without saying so. Only with it does a folder without the mail prove that the mail was not sent.
    """

    folder: str = "Sent"
    copy_to: str = ""


class SmtpMailer:
    """Fulfils `Mailer`.

    `archive_url` is the list's web archive, where a mail is at `<archive_url>/<message id without brackets>`; a page
    that exists answers 200 and one that does not 404. ConfigError for a login over an unprotected connection.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        user: str = "",
        password: Callable[[], str] | None = None,
        security: MailSecurity = MailSecurity.STARTTLS,
        ca_file: str = "",
        timeout_seconds: float = 30.0,
        sent_folder: SentFolder | None = None,
        archive_url: str = "",
    ) -> None:
        if user and security is MailSecurity.NONE:
            raise ConfigError("A mail login needs starttls or tls: without, the password would travel in the clear.")
        if user and password is None:
            raise ConfigError("A mail login needs a password.")
        self._host = host
        self._port = port
        self._user = user
        self._password = password
        self._security = security
        self._ca_file = ca_file
        self._timeout = timeout_seconds
        self._sent_folder = sent_folder
        self._archive_url = archive_url.rstrip("/")
        self._server = f"The mail server {host}"

    def send(self, mail: Mail) -> None:
        """Returns when the server accepted the mail for every recipient.

        If it refuses one of them, nothing is sent to anybody, and the error names who was refused and why:
        PermanentError, or TransientError if all refusals are for now only. OutcomeUnknown if the connection broke
        after the text was handed over: look with `sent`.
        """
        message = message_of(mail).as_bytes()
        with _nothing_sent(self._server):
            session = self._connect()
        try:
            with _nothing_sent(self._server):
                self._log_in(session)
                self._address(session, mail)
            self._hand_over(session, message, mail.message_id)
        finally:
            # What counts is said already; a server that hangs up first changes nothing.
            with suppress(smtplib.SMTPException, OSError):
                session.quit()
            session.close()

    def sent(self, message_id: str) -> Sent:
        """Look in the sent folder, then in the archive, as far as they are configured.

        Both lag behind by minutes: a NO is worth believing only some time after the sending. That of a folder counts
        only if a copy of every mail is sent to it.
        """
        found = []
        if self._sent_folder is not None:
            seen = _in_folder(self._sent_folder, message_id, self._timeout)
            found += [] if seen is Sent.NO and not self._sent_folder.copy_to else [seen]
        if self._archive_url and Sent.YES not in found:
            found.append(_in_archive(self._archive_url, message_id, self._timeout))
        if Sent.YES in found:
            return Sent.YES
        return Sent.NO if found and set(found) == {Sent.NO} else Sent.CANNOT_TELL

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=self._ca_file or None)
        match self._security:
            case MailSecurity.TLS:
                return smtplib.SMTP_SSL(self._host, self._port, timeout=self._timeout, context=context)
            case MailSecurity.STARTTLS:
                session = smtplib.SMTP(self._host, self._port, timeout=self._timeout)
                try:
                    session.starttls(context=context)
                except (smtplib.SMTPException, OSError):
                    session.close()
                    raise
                return session
            case MailSecurity.NONE:
                return smtplib.SMTP(self._host, self._port, timeout=self._timeout)
            case _:
                assert_never(self._security)

    def _log_in(self, session: smtplib.SMTP) -> None:
        session.ehlo_or_helo_if_needed()
        if self._user and self._password is not None:
            session.login(self._user, checked(self._password))

    def _address(self, session: smtplib.SMTP, mail: Mail) -> None:
        """Name sender and recipients; raises if any of them is refused, before the text is handed over.

        `smtplib.sendmail` would go on with those accepted, and a mail to half a list cannot be taken back.
        """
        code, reply = session.mail(bare(mail.sender))
        if not _accepted(code):
            raise _refusal([code], f"{self._server} refused the sender {mail.sender}: {_text(code, reply)}")
        copy = self._sent_folder.copy_to if self._sent_folder else ""
        everybody = (*mail.recipients, *([copy] if copy else []))
        answers = [(recipient, *session.rcpt(bare(recipient))) for recipient in everybody]
        refused = [(recipient, code, reply) for recipient, code, reply in answers if not _accepted(code)]
        if refused:
            who = "; ".join(f"{recipient}: {_text(code, reply)}" for recipient, code, reply in refused)
            codes = [code for _recipient, code, _reply in refused]
            raise _refusal(codes, f"{self._server} refused {who}. Nothing was sent to anybody")

    def _hand_over(self, session: smtplib.SMTP, message: bytes, message_id: str) -> None:
        try:
            code, reply = session.data(message)
        except smtplib.SMTPDataError as error:  # refused before a word of the text was said
            said = _text(error.smtp_code, error.smtp_error)
            raise _refusal([error.smtp_code], f"{self._server} refused the mail: {said}") from error
        except (smtplib.SMTPException, OSError) as error:
            raise OutcomeUnknown(
                f"{self._server} was given the mail {message_id} and did not answer; it may have been sent."
            ) from error
        if 400 <= code < 600:  # noqa: PLR2004 (SMTP's range of refusals)
            raise _refusal([code], f"{self._server} refused the mail: {_text(code, reply)}")
        if not _accepted(code):
            raise OutcomeUnknown(f"{self._server} answered the mail {message_id} with nonsense; it may have been sent.")


@contextmanager
def _nothing_sent(server: str) -> Iterator[None]:
    """Translate what goes wrong before the text is handed over: it certainly had no effect."""
    try:
        yield
    except ConfigError as error:
        raise PermanentError(f"{str(error).rstrip('.')}. Nothing was sent.") from error
    except smtplib.SMTPAuthenticationError as error:
        # Not chained: some servers repeat the login in their answer.
        raise _refusal([error.smtp_code], f"{server} refused the login ({error.smtp_code})") from None
    except smtplib.SMTPNotSupportedError as error:
        raise PermanentError(f"{server} does not offer what is configured: {error}") from error
    except smtplib.SMTPResponseException as error:
        raise _refusal([error.smtp_code], f"{server}: {_text(error.smtp_code, error.smtp_error)}") from error
    except ssl.SSLCertVerificationError as error:
        raise PermanentError(f"{server}: its certificate could not be verified ({error.verify_message}).") from error
    except (smtplib.SMTPException, OSError) as error:
        raise TransientError(f"{server} cannot be reached, or closed the connection. Nothing was sent.") from error


def _accepted(code: int) -> bool:
    return 200 <= code < 300  # noqa: PLR2004 (SMTP's range of success)


def _refusal(codes: list[int], said: str) -> KcibotError:
    """TransientError if every code is a 4xx, which means "not now"."""
    for_now = all(400 <= code < 500 for code in codes)  # noqa: PLR2004
    return TransientError(f"{said}.") if for_now else PermanentError(f"{said}.")


def _text(code: int, reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return f"{code} {' '.join(text.split())[:200]}".rstrip(" .")


def _in_folder(place: SentFolder, message_id: str, timeout: float) -> Sent:
    if not MESSAGE_ID.fullmatch(message_id):
        return Sent.NO  # `send` refuses such a mail, so there is none
    try:
        with opened(place, timeout) as folder:
            return Sent.YES if folder.search(("Message-ID", message_id)) else Sent.NO
    except KcibotError as error:
        log.warning("%s", error)
        return Sent.CANNOT_TELL


def _in_archive(archive_url: str, message_id: str, timeout: float) -> Sent:
    import requests  # noqa: PLC0415 (imported at first use: the bot starts without it)

    try:
        answer = requests.get(f"{archive_url}/{quote(message_id.strip('<>'), safe='@')}", timeout=timeout)
    except requests.RequestException as error:
        log.warning("The list's archive cannot be seen: %s", type(error).__name__)
        return Sent.CANNOT_TELL
    match answer.status_code:
        case requests.codes.ok:
            return Sent.YES
        case requests.codes.not_found:
            return Sent.NO
        case status:
            log.warning("The list's archive answered %s.", status)
            return Sent.CANNOT_TELL
