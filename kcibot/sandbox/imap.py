"""An IMAP server over TLS, as much of one as a look into a folder takes; it shows folders and changes nothing."""

import re
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from kcibot.sandbox.http import MAX_HANG_SECONDS

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_CRITERION = re.compile(rf"HEADER (\S+) {_QUOTED}")
_EXAMINED = re.compile(rf"EXAMINE {_QUOTED}")
_LOGIN = re.compile(rf"LOGIN (\S+) {_QUOTED}")
_FETCH = re.compile(r"UID FETCH (\S+) .*HEADER\.FIELDS \(([^)]*)\)\](?:<0\.(\d+)>)?", re.IGNORECASE)
_END = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(rb"([^:\r\n]+):.*(?:\r?\n[ \t].*)*")


@dataclass(frozen=True, slots=True)
class Filed:
    """A mail in a folder, and when it came."""

    raw: bytes
    at: datetime

    def fields(self) -> Iterator[tuple[str, bytes]]:
        """Its header fields, folded as they are, by their names in lower case."""
        head = _END.split(self.raw, maxsplit=1)[0]
        for found in _FIELD.finditer(head):
            yield found[1].decode("latin-1").strip().lower(), found[0].rstrip(b"\r")

    def holds(self, name: str, text: str) -> bool:
        """As a search has it: the text is anywhere in one of those fields, in any case."""
        values = (b" ".join(field.partition(b":")[2].split()) for key, field in self.fields() if key == name.lower())
        return any(text.lower() in value.decode("latin-1").lower() for value in values)


Folders = Callable[[str], Sequence[Filed] | None]
"""What a folder holds, the oldest first; None if there is no such folder."""


class ImapStandIn(socketserver.ThreadingTCPServer):
    """On a free loopback port from the beginning on. Use it as a context manager, or call `start` and `stop`.

    `answers` replaces what a command (LOGIN, EXAMINE, SEARCH, FETCH) is answered, such as `NO [UNAVAILABLE] Later`;
    an empty answer closes the connection, and `HANG` says nothing. `requests` is all that was asked.
    """

    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False

    def __init__(self, context: ssl.SSLContext, user: str, password: str, folders: Folders) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.login = (user, password)
        self.folders = folders
        self.answers: dict[str, str] = {}
        self.requests: list[str] = []
        self.ending = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="imap", daemon=True)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(self.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.ending.set()
        if self._thread.is_alive():
            self.shutdown()
        self.server_close()

    def __enter__(self) -> "ImapStandIn":
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def handle_error(self, _request: object, _client: object) -> None:
        """A client that hangs up in the middle is nobody's trouble."""


class _Session(socketserver.StreamRequestHandler):
    server: ImapStandIn

    def handle(self) -> None:
        self.folder: Sequence[Filed] = ()
        self.wfile.write(b"* OK IMAP4rev1 ready\r\n")
        for line in self.rfile:
            tag, _blank, command = line.decode("ascii", "replace").strip().partition(" ")
            self.server.requests.append(command)
            if not self._answered(tag, command) or command.upper() == "LOGOUT":
                return

    def _answered(self, tag: str, command: str) -> bool:
        word = command.upper().removeprefix("UID ").split(" ")[0]
        told = self.server.answers.get(word)
        if told == "HANG":
            self.server.ending.wait(MAX_HANG_SECONDS)
        if told in {"", "HANG"}:
            return False
        end = told or self._end(word, command)
        lines = () if told else self._lines(word, command)
        self.wfile.write(b"\r\n".join((*lines, f"{tag} {end}\r\n".encode())))
        return True

    def _end(self, word: str, command: str) -> str:
        match word:
            case "LOGIN":
                found = _LOGIN.match(command)
                known = found and (found[1].strip('"'), _plain(found[2])) == self.server.login
                return "OK done" if known else "NO [AUTHENTICATIONFAILED] wrong password"
            case "EXAMINE":
                named = _EXAMINED.match(command)
                folder = self.server.folders(_plain(named[1])) if named else None
                self.folder = folder or ()
                return "OK [READ-ONLY] done" if folder is not None else "NO no such mailbox"
            case "CAPABILITY" | "SEARCH" | "FETCH" | "LOGOUT":
                return "OK done"
        return "BAD what?"

    def _lines(self, word: str, command: str) -> Iterator[bytes]:
        match word:
            case "CAPABILITY":
                yield b"* CAPABILITY IMAP4rev1"
            case "LOGOUT":
                yield b"* BYE"
            case "SEARCH":
                yield b" ".join((b"* SEARCH", *(str(number).encode() for number in self._found(command))))
            case "FETCH":
                yield from self._fetched(command)

    def _found(self, command: str) -> Iterator[int]:
        asked = [(found[1], _plain(found[2])) for found in _CRITERION.finditer(command)]
        for number, filed in enumerate(self.folder, 1):
            if all(filed.holds(name, text) for name, text in asked):
                yield number

    def _fetched(self, command: str) -> Iterator[bytes]:
        asked = _FETCH.match(command)
        if not asked:
            return
        names, most = set(asked[2].lower().split()), int(asked[3] or 0) or None
        for number in sorted(int(one) for one in asked[1].split(",")):
            filed = self.folder[number - 1]
            fields = b"".join(field + b"\r\n" for name, field in filed.fields() if name in names)
            head = (fields + b"\r\n")[:most]
            about = f'* {number} FETCH (UID {number} INTERNALDATE "{filed.at:%d-%b-%Y %H:%M:%S %z}"'
            yield f"{about} BODY[HEADER.FIELDS ({asked[2]})]<0> {{{len(head)}}}\r\n".encode() + head + b")"


def _plain(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted)
