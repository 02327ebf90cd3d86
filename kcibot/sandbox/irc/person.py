"""A person on IRC whom a script plays: comes, logs in, says lines, reacts, and remembers what was to be seen."""

import base64
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kcibot.errors import TransientError

HOST = "127.0.0.1"
CAPABILITIES = ("message-tags", "account-tag", "echo-message", "server-time", "extended-join", "labeled-response")
PATIENCE_SECONDS = 20.0
LEAVING_SECONDS = 2.0
REFUSED = frozenset({"432", "433", "436", "902", "904", "905", "906", "907"})
_ESCAPED = re.compile(r"\\(.?)")
_PLAIN = {":": ";", "s": " ", "r": "\r", "n": "\n"}


@dataclass(frozen=True)
class Seen:
    """One line of the server. `text` is its last parameter, `target` its first."""

    command: str
    params: tuple[str, ...]
    nick: str
    tags: Mapping[str, str]

    @property
    def target(self) -> str:
        return self.params[0] if self.params else ""

    @property
    def text(self) -> str:
        return self.params[-1] if self.params else ""

    @property
    def msgid(self) -> str:
        return self.tags.get("msgid", "")

    @property
    def account(self) -> str:
        return self.tags.get("account", "")


class IrcPerson:
    """Connected as long as it is in use. With `ca_file` over TLS; with `account` logged in, or not there at all.

    Raises TransientError where the server does not let it in, or is silent for too long.
    """

    def __init__(
        self, port: int, nick: str, account: str = "", password: str = "", ca_file: Path | None = None
    ) -> None:
        self.nick = nick
        self.seen: list[Seen] = []
        self.capabilities: set[str] = set()
        self._changed = threading.Condition()
        self._using = threading.Lock()
        self._open = True
        self._socket = _connect(port, ca_file)
        self._reader = threading.Thread(target=self._read, name=f"irc-{nick}", daemon=True)
        self._reader.start()
        try:
            self._register(account, password)
        except TransientError:
            self.close()
            raise

    # ---- what a person does --------------------------------------------------------------------------------------

    def join(self, channel: str) -> None:
        self.send(f"JOIN {channel}")
        self.wait(lambda one: one.command == "366" and one.params[1].lower() == channel.lower())

    def say(self, target: str, text: str) -> None:
        self.send(f"PRIVMSG {target} :{text}")

    def react(self, channel: str, msgid: str, name: str) -> None:
        self.send(f"@+draft/reply={msgid};+draft/react={name} TAGMSG {channel}")

    def unreact(self, channel: str, msgid: str, name: str) -> None:
        self.send(f"@+draft/reply={msgid};+draft/unreact={name} TAGMSG {channel}")

    def rename(self, nick: str) -> None:
        self.send(f"NICK {nick}")
        self.wait(lambda one: one.command == "NICK" and one.text == nick)
        self.nick = nick

    def register_account(self, password: str) -> None:
        """Make an account under its nick, and log in."""
        self.say("NickServ", f"REGISTER {password} {self.nick}@example.org")
        self.wait(lambda one: one.command == "900")

    def send(self, line: str) -> None:
        self.send_bytes(line.encode())

    def send_bytes(self, line: bytes) -> None:
        """One line as it is, whatever it is."""
        try:
            with self._using:
                self._socket.sendall(line + b"\r\n")
        except OSError as error:
            raise TransientError(f"{self.nick} is not connected any more: {error}") from error

    def close(self) -> None:
        """Leave; the nick is free when this returns."""
        with suppress(TransientError):
            self.send("QUIT")
            self.wait(lambda _: False, self.mark, LEAVING_SECONDS)  # the server ends the connection
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._reader.join(PATIENCE_SECONDS)

    # ---- what a person sees --------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self._open

    @property
    def mark(self) -> int:
        """How much has been seen until now: for `wait` and `said`, which look at what comes after it."""
        return len(self.seen)

    def wait(self, fits: Callable[[Seen], bool], after: int = 0, seconds: float = PATIENCE_SECONDS) -> Seen:
        """The first line that fits, which may have come already."""
        deadline = time.monotonic() + seconds
        at = after
        with self._changed:
            while True:
                for one in self.seen[at:]:
                    if fits(one):
                        return one
                at = max(at, len(self.seen))
                left = deadline - time.monotonic()
                if left <= 0 or not (self._open or at < len(self.seen)):
                    raise TransientError(f"{self.nick} waited in vain; {self._last_words(after)}")
                self._changed.wait(left)

    def wait_for_text(self, text: str, nick: str = "", after: int = 0, seconds: float = PATIENCE_SECONDS) -> Seen:
        """A message with that text in it, by anybody or by that nick."""

        def fits(one: Seen) -> bool:
            return one.command in {"PRIVMSG", "NOTICE"} and text in one.text and (not nick or one.nick == nick)

        return self.wait(fits, after, seconds)

    def said(self, nick: str, after: int = 0) -> list[str]:
        """What that nick said in channels, oldest first."""
        return [
            one.text for one in self.seen[after:] if one.command == "PRIVMSG" and one.nick == nick and "#" in one.target
        ]

    # ---- below -----------------------------------------------------------------------------------------------------

    def _register(self, account: str, password: str) -> None:
        self.send("CAP LS 302")
        self.send(f"NICK {self.nick}")
        self.send(f"USER {self.nick} 0 * :{self.nick}")
        self._ask_for_capabilities(account)
        if account:
            proof = base64.b64encode(f"\0{account}\0{password}".encode()).decode()
            self.send("AUTHENTICATE PLAIN")
            self._answered("AUTHENTICATE")
            self.send(f"AUTHENTICATE {proof}")
            self._answered("903")
        self.send("CAP END")
        self._answered("001")

    def _ask_for_capabilities(self, account: str) -> None:
        answer = self._answered("CAP", "421", "001")
        if answer.command != "CAP":
            return  # a server that has none
        offered = {word.partition("=")[0] for word in answer.text.split()}
        wanted = offered & {*CAPABILITIES, *(["sasl"] if account else [])}
        if account and "sasl" not in wanted:
            raise TransientError("the server offers no login; its services are away")
        if wanted:
            mark = self.mark
            self.send(f"CAP REQ :{' '.join(sorted(wanted))}")
            self.wait(lambda one: one.command == "CAP" and one.params[1] in {"ACK", "NAK"}, mark)
            self.capabilities = wanted

    def _answered(self, *commands: str) -> Seen:
        found = self.wait(lambda one: one.command in {*commands, *REFUSED, "ERROR"})
        if found.command in {*REFUSED, "ERROR"}:
            raise TransientError(f"the server does not let {self.nick} in: {found.text}")
        return found

    def _last_words(self, after: int) -> str:
        lines = [f"{one.nick} {one.command} {one.text}" for one in self.seen[after:][-12:]]
        ended = "" if self._open else "the connection ended; "
        return f"{ended}the last lines were: {'; '.join(lines)}"

    def _read(self) -> None:
        rest = b""
        while True:
            some = self._receive()
            if some is None:
                continue
            *lines, rest = (rest + some).split(b"\n")
            self._keep([parse(line.decode(errors="replace").rstrip("\r")) for line in lines], ended=not some)
            if not some:
                return

    def _receive(self) -> bytes | None:
        """None for nothing yet. A TLS connection must not be read and written at the same moment."""
        try:
            if not _pending(self._socket) and not select.select([self._socket], [], [], 1.0)[0]:
                return None
            with self._using:
                return self._socket.recv(65536)
        except TimeoutError:
            return None
        except (OSError, ValueError):
            return b""

    def _keep(self, lines: list[Seen], *, ended: bool) -> None:
        for one in lines:
            if one.command == "PING":
                with suppress(TransientError):
                    self.send(f"PONG :{one.text}")
        with self._changed:
            self.seen.extend(lines)
            self._open = self._open and not ended
            self._changed.notify_all()


def parse(line: str) -> Seen:
    """One line of the protocol, without its end."""
    tags: dict[str, str] = {}
    if line.startswith("@"):
        words, _, line = line[1:].partition(" ")
        tags = {key: _value(value) for key, _, value in (word.partition("=") for word in words.split(";"))}
    source = ""
    if line.startswith(":"):
        source, _, line = line[1:].partition(" ")
    middle, colon, last = line.partition(" :")
    params = [*middle.split(), *([last] if colon else [])]
    return Seen((params or [""])[0].upper(), tuple(params[1:]), source.partition("!")[0], tags)


def _value(text: str) -> str:
    return _ESCAPED.sub(lambda found: _PLAIN.get(found[1], found[1]), text)


def _pending(connection: socket.socket) -> int:
    return connection.pending() if isinstance(connection, ssl.SSLSocket) else 0


def _connect(port: int, ca_file: Path | None) -> socket.socket:
    try:
        plain = socket.create_connection((HOST, port), PATIENCE_SECONDS)
        if ca_file is None:
            return plain
        return ssl.create_default_context(cafile=str(ca_file)).wrap_socket(plain, server_hostname="localhost")
    except OSError as error:
        raise TransientError(f"nobody answers at {HOST}:{port}: {error}") from error
