"""The list's mail server and web archive: keeps what it is sent, and can be told to misbehave."""

import asyncio
import socket
import threading
from collections.abc import Awaitable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from kcibot.sandbox.certificate import new_certificate
from kcibot.sandbox.http import MAX_HANG_SECONDS, Request, Response, StandIn

PASSWORD = "mailbox-password"


class MailboxSecurity(StrEnum):
    """How a client must protect the connection."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class MailFault(StrEnum):
    """How the next mail goes wrong, once its text has been read.

    LOSE_ANSWER keeps it and closes the connection before the 250; LOSE_MAIL closes without keeping it; HANG neither
    keeps it nor answers; DEFER answers 451; REJECT answers 554.
    """

    LOSE_ANSWER = "lose-answer"
    LOSE_MAIL = "lose-mail"
    HANG = "hang"
    DEFER = "defer"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Received:
    """One accepted mail. `user` is who had logged in, empty if nobody had."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    raw: bytes
    user: str

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"]).strip()

    @property
    def text(self) -> str:
        """The decoded body as plain text, its lines ended by a line feed alone."""
        return self._body("plain")

    @property
    def html(self) -> str:
        """The decoded body as HTML, empty if it has none."""
        return self._body("html")

    def _body(self, form: str) -> str:
        found = self.message.get_body((form,))
        return str(found.get_content()).replace("\r\n", "\n") if found else ""


class ListArchive(StandIn):
    """The list's web archive: `GET /archive/<message id without brackets>` answers 200 and the text, or 404."""

    def __init__(self, mailbox: "MailboxStandIn") -> None:
        super().__init__()
        self._mailbox = mailbox

    def respond(self, request: Request) -> Response:
        _before, found, name = unquote(request.path).partition("/archive/")
        received = self._mailbox.by_id(f"<{name}>") if found else None
        if received is None:
            return Response(404, b"<html>404 Not Found</html>", {"Content-Type": "text/html"})
        return Response(200, received.raw, {"Content-Type": "text/plain; charset=utf-8"})


class MailboxStandIn:
    """A mail server on a free loopback port. Use it as a context manager, or call `start` and `stop`.

    With `security` it has a certificate of its own, made at start, which `ca_file` vouches for; with `user` it demands
    that login.
    """

    host = "127.0.0.1"

    def __init__(
        self, security: MailboxSecurity = MailboxSecurity.NONE, user: str = "", password: str = PASSWORD
    ) -> None:
        self._folder = TemporaryDirectory(prefix="kcibot-mailbox-")
        self._security = security
        self._login = (user, password)
        self._socket = socket.create_server((self.host, 0))
        self.port = int(self._socket.getsockname()[1])
        self._lock = threading.Lock()
        self._messages: list[Received] = []
        self._faults: list[MailFault] = []
        self._refused: dict[str, str] = {}
        self.archive = ListArchive(self)
        self._controller = _Controller(self._socket, _Handler(self), **self._options())

    @property
    def messages(self) -> tuple[Received, ...]:
        """What was accepted, oldest first."""
        with self._lock:
            return tuple(self._messages)

    @property
    def archive_url(self) -> str:
        return f"{self.archive.url}/archive"

    @property
    def ca_file(self) -> str:
        """The certificate to trust; there is a file only with `security`."""
        return str(Path(self._folder.name) / "certificate.pem")

    @property
    def key_file(self) -> str:
        """The certificate's private key, for another server at its side."""
        return str(Path(self._folder.name) / "key.pem")

    def by_id(self, message_id: str) -> Received | None:
        """The accepted mail of that Message-ID, brackets included."""
        return next((received for received in self.messages if received.message_id == message_id), None)

    def misbehave(self, fault: MailFault, times: int = 1) -> None:
        """Let the next mails go wrong, after those that were already told to."""
        with self._lock:
            self._faults += [fault] * times

    def refuse(self, recipient: str, reply: str = "550 5.1.1 No such user") -> None:
        """Answer that recipient so from now on, for example with 451."""
        with self._lock:
            self._refused[recipient] = reply

    def behave(self) -> None:
        """Forget all faults and refusals."""
        with self._lock:
            self._faults.clear()
            self._refused.clear()

    def start(self) -> None:
        self._controller.start()
        self.archive.start()

    def stop(self) -> None:
        self.archive.stop()
        self._controller.stop(no_assert=True)
        self._folder.cleanup()

    def __enter__(self) -> "MailboxStandIn":
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"enable_SMTPUTF8": False, "ident": "kcibot sandbox"}
        user = self._login[0]
        if user:
            options |= {"auth_required": True, "authenticator": self._authenticate}
        if self._security is MailboxSecurity.NONE:
            return options | {"auth_require_tls": False}
        context = new_certificate(Path(self.ca_file), Path(self.key_file))
        if self._security is MailboxSecurity.TLS:
            # aiosmtpd knows no difference between a socket that was TLS from the start and one that is not at all.
            return options | {"ssl_context": context, "auth_require_tls": False}
        return options | {"tls_context": context, "require_starttls": True, "auth_require_tls": True}

    def _authenticate(
        self, _server: object, session: Session, _envelope: object, _how: str, data: object
    ) -> AuthResult:
        expected = tuple(part.encode() for part in self._login)
        known = isinstance(data, LoginPassword) and (data.login, data.password) == expected
        # handled=True, the default, would close the connection without the 535 that tells the client why.
        return AuthResult(success=known, handled=False, auth_data=self._login[0] if known else None)

    def reply_to(self, recipient: str) -> str:
        """The answer to a RCPT."""
        with self._lock:
            return self._refused.get(recipient, "250 OK")

    def next_fault(self) -> MailFault | None:
        with self._lock:
            return self._faults.pop(0) if self._faults else None

    def keep(self, envelope: Envelope, user: str) -> None:
        raw = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        message = message_from_bytes(raw, policy=policy.default)
        received = Received(envelope.mail_from or "", tuple(envelope.rcpt_tos), message, raw, user)
        with self._lock:
            self._messages.append(received)


class _Handler:
    """What aiosmtpd calls back, on its own thread."""

    def __init__(self, mailbox: MailboxStandIn) -> None:
        self._mailbox = mailbox

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        reply = self._mailbox.reply_to(address)
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        fault = self._mailbox.next_fault()
        if fault in {None, MailFault.LOSE_ANSWER}:
            self._mailbox.keep(envelope, str(session.auth_data or ""))
        if fault in {MailFault.LOSE_ANSWER, MailFault.LOSE_MAIL} and server.transport is not None:
            server.transport.close()
        match fault:
            case None:
                return "250 OK, kept"
            case MailFault.DEFER:
                return "451 4.3.0 Try again later"
            case MailFault.REJECT:
                return "554 5.6.0 Rejected"
            case MailFault.HANG | MailFault.LOSE_ANSWER | MailFault.LOSE_MAIL:
                # Never answer: aiosmtpd cancels this when the connection is gone.
                await asyncio.sleep(MAX_HANG_SECONDS)
                return "421 Closing"


class _Controller(Controller):
    """Listens on a socket that is bound beforehand, so that the port is known and nobody else can take it."""

    def __init__(self, listening: socket.socket, handler: _Handler, **options: Any) -> None:
        host, port = listening.getsockname()[:2]
        super().__init__(handler, hostname=host, port=port, **options)
        self._listening = listening

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._listening, ssl=self.ssl_context)
