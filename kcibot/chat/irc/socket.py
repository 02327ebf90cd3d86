"""The socket to an IRC server: IPv4 or IPv6, with verified TLS, read by one thread while another writes."""

import select
import socket
import ssl
import threading
import time
from contextlib import nullcontext

from kcibot.chat.irc.settings import IrcSettings, Mechanism
from kcibot.errors import PermanentError, TransientError

CHUNK = 16_384


class Wire:
    """A connected socket. OpenSSL does not let two threads use it at once, so with TLS each call has it for itself."""

    def __init__(self, connected: socket.socket, seconds: float) -> None:
        connected.setblocking(False)  # noqa: FBT003 (the standard library's own signature)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connected
        self._file = connected.fileno()
        self._seconds = seconds
        self._secure = connected if isinstance(connected, ssl.SSLSocket) else None
        self._using = threading.Lock() if self._secure else nullcontext()

    def receive(self) -> bytes:
        """What has come, waiting for it without limit; nothing at the end of the connection. Raises OSError."""
        while True:
            if not self._has_more():
                self._wait(select.POLLIN)
            try:
                with self._using:
                    return self._socket.recv(CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)

    def _has_more(self) -> bool:
        """Whether TLS has taken more from the socket than it has given to us."""
        if self._secure is None:
            return False
        with self._using:
            return self._secure.pending() > 0

    def send(self, data: bytes) -> None:
        """Raises OSError: then a part of it may have been sent."""
        ends = time.monotonic() + self._seconds
        while data:
            try:
                with self._using:
                    data = data[self._socket.send(data) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(select.POLLOUT, ends)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN, ends)

    def _wait(self, event: int, ends: float | None = None) -> None:
        poll = select.poll()
        poll.register(self._file, event)
        left = None if ends is None else max(ends - time.monotonic(), 0.0) * 1000
        if not poll.poll(left):
            raise TimeoutError("the server takes nothing from us")

    def end(self) -> None:
        """Both directions at once: who waits in `receive` or `send` returns. The file stays open until `close`."""
        try:
            with self._using:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            return  # it is gone already

    def close(self) -> None:
        """Only when nobody uses it any more."""
        self._socket.close()


def dial(settings: IrcSettings) -> Wire:
    """Connect within `settings.timeout`. Raises TransientError or PermanentError, with the reason."""
    where, seconds = f"{settings.server}:{settings.port}", settings.timeout.total_seconds()
    try:
        plain = socket.create_connection((settings.server, settings.port), seconds)
    except OSError as error:
        raise TransientError(f"The IRC server {where} cannot be reached: {error}") from error
    try:
        secure = _context(settings).wrap_socket(plain, server_hostname=settings.server) if settings.tls else plain
        return Wire(secure, seconds)
    except PermanentError:
        plain.close()
        raise
    except ssl.SSLCertVerificationError as error:
        plain.close()
        why = error.verify_message
        raise PermanentError(f"The certificate of the IRC server {where} is not accepted: {why}") from error
    except OSError as error:
        plain.close()
        raise TransientError(f"No TLS with the IRC server {where}: {error}") from error


def _context(settings: IrcSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.mechanism is Mechanism.EXTERNAL:
            context.load_cert_chain(settings.certificate, password=lambda: "")  # never asks at a terminal
    except OSError as error:
        raise PermanentError(f"The certificates for IRC cannot be read: {error}") from error
    return context
