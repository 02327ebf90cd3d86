"""The server's half of a WebSocket connection (RFC 6455): handshake, frames, ping and pong, closing."""

import base64
import binascii
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from io import BufferedIOBase

from kcibot.sandbox.http import Response

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LONGEST_MESSAGE = 1_000_000
SEND_SECONDS = 2.0
SMALL, TWO_BYTES = 125, 126


class Opcode(IntEnum):
    """What a frame carries (section 5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class Close(IntEnum):
    """Why a connection is closed (section 7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED = 1003
    NO_STATUS = 1005
    BAD_DATA = 1007
    TOO_BIG = 1009


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, unmasked."""

    final: bool
    opcode: int
    payload: bytes


class ProtocolError(Exception):
    """The client broke the protocol; the connection is closed with `code`."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def accept_key(key: str) -> str:
    """What proves to the client that its key was read (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(f"{key}{GUID}".encode(), usedforsecurity=False).digest()).decode()


def handshake(headers: Mapping[str, str], upgraded: Callable[[BufferedIOBase, socket.socket], None]) -> Response:
    """The answer to an opening handshake; one that is none is refused with 400, or 426 for another version."""
    given = {name.lower(): value for name, value in headers.items()}
    connection = {token.strip().lower() for token in given.get("connection", "").split(",")}
    if given.get("upgrade", "").lower() != "websocket" or "upgrade" not in connection:
        return Response(400, b"This address speaks WebSocket only.")
    if given.get("sec-websocket-version") != "13":
        return Response(426, b"", {"Sec-WebSocket-Version": "13"})
    key = given.get("sec-websocket-key", "")
    if not _is_key(key):
        return Response(400, b"Sec-WebSocket-Key is not 16 bytes in base64.")
    accepted = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept_key(key)}
    return Response(101, b"", accepted, upgraded=upgraded)


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16  # noqa: PLR2004 (bytes of a nonce, section 4.1)
    except binascii.Error:
        return False


def encode(opcode: Opcode, payload: bytes, mask: bytes | None = None, more: bytes = b"\x80") -> bytes:
    """One frame. A server does not mask (section 5.1); `more` is a zero byte when further fragments follow."""
    first = bytes([more[0] | opcode])
    bit = 0x80 if mask else 0
    if len(payload) <= SMALL:
        head = first + bytes([bit | len(payload)])
    elif len(payload) <= 0xFFFF:  # noqa: PLR2004 (what two bytes hold)
        head = first + struct.pack("!BH", bit | TWO_BYTES, len(payload))
    else:
        head = first + struct.pack("!BQ", bit | 127, len(payload))
    return head + (mask + masked(payload, mask) if mask else payload)


def masked(payload: bytes, mask: bytes) -> bytes:
    """Masking and unmasking are one operation (section 5.3)."""
    whole = mask * (len(payload) // 4 + 1)
    return bytes(byte ^ key for byte, key in zip(payload, whole, strict=False))


def read_frame(stream: BufferedIOBase) -> Frame:
    """The client's next frame. Raises EOFError at the end, ProtocolError for a frame that a client must not send."""
    first, second = _exactly(stream, 2)
    if first & 0x70:
        raise ProtocolError(Close.PROTOCOL_ERROR, "a reserved bit is set, and no extension was agreed")
    if not second & 0x80:
        raise ProtocolError(Close.PROTOCOL_ERROR, "a client must mask its frames")
    length = _length(stream, second & 0x7F)
    if length > LONGEST_MESSAGE:
        raise ProtocolError(Close.TOO_BIG, "the frame is too long")
    mask = _exactly(stream, 4)
    frame = Frame(bool(first & 0x80), first & 0x0F, masked(_exactly(stream, length), mask))
    if frame.opcode >= Opcode.CLOSE and (not frame.final or length > SMALL):
        raise ProtocolError(Close.PROTOCOL_ERROR, "a control frame is short and whole")
    return frame


def _length(stream: BufferedIOBase, short: int) -> int:
    if short < TWO_BYTES:
        return short
    size, form = (2, "!H") if short == TWO_BYTES else (8, "!Q")
    return int(struct.unpack(form, _exactly(stream, size))[0])


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


class WebSocket:
    """One open connection. `receive` is for one thread; sending and closing are for any."""

    def __init__(self, stream: BufferedIOBase, connection: socket.socket) -> None:
        self._stream = stream
        self._connection = connection
        self._sending = threading.Lock()
        self._closing = False
        self.answers_pings = True
        self.pongs: list[bytes] = []
        self.pings: list[bytes] = []
        connection.settimeout(None)
        seconds = struct.pack("ll", int(SEND_SECONDS), 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)  # a client that never reads is given up

    def send(self, text: str) -> None:
        """Raises OSError when the connection is gone."""
        self._write(encode(Opcode.TEXT, text.encode()))

    def send_in_parts(self, text: str, size: int) -> None:
        """The same message in fragments of `size` bytes, as section 5.4 allows."""
        data = text.encode()
        parts = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        for number, part in enumerate(parts):
            opcode = Opcode.TEXT if number == 0 else Opcode.CONTINUATION
            self._write(encode(opcode, part, more=b"\x80" if number == len(parts) - 1 else b"\x00"))

    def ping(self, payload: bytes = b"") -> None:
        self._write(encode(Opcode.PING, payload))

    def close(self, code: int = Close.NORMAL, reason: str = "") -> None:
        """Say goodbye; the client answers, and `receive` then ends."""
        if not self._closing:
            self._closing = True
            self._write(encode(Opcode.CLOSE, struct.pack("!H", code) + reason.encode()))

    def drop(self) -> None:
        """Be gone without a goodbye, as a broken line is."""
        self._closing = True
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # it was gone before
            return

    def receive(self) -> str | None:
        """The next text, with its fragments put together; None once the connection is closed or lost."""
        try:
            return self._message()
        except ProtocolError as broken:
            self._try_to_close(broken.code, str(broken))
        except (OSError, EOFError, ValueError):  # a stream that was closed meanwhile raises ValueError
            self._closing = True
        return None

    def _message(self) -> str | None:
        parts: list[bytes] = []
        while True:
            frame = read_frame(self._stream)
            if frame.opcode >= Opcode.CLOSE:
                if self._controlled(frame):
                    continue
                return None
            self._check(frame, parts)
            parts.append(frame.payload)
            if frame.final:
                return _text(b"".join(parts))

    @staticmethod
    def _check(frame: Frame, parts: list[bytes]) -> None:
        if frame.opcode == Opcode.BINARY:
            raise ProtocolError(Close.UNSUPPORTED, "only text is understood")
        if frame.opcode not in {Opcode.TEXT, Opcode.CONTINUATION}:
            raise ProtocolError(Close.PROTOCOL_ERROR, "an unknown opcode")
        if (frame.opcode == Opcode.CONTINUATION) != bool(parts):
            raise ProtocolError(Close.PROTOCOL_ERROR, "a fragment out of its place")
        if sum(map(len, parts)) + len(frame.payload) > LONGEST_MESSAGE:
            raise ProtocolError(Close.TOO_BIG, "the message is too long")

    def _controlled(self, frame: Frame) -> bool:
        """Answer a control frame; false when it ends the connection."""
        if frame.opcode == Opcode.PING:
            self.pings.append(frame.payload)
            if self.answers_pings:
                self._write(encode(Opcode.PONG, frame.payload))
            return True
        if frame.opcode == Opcode.PONG:
            self.pongs.append(frame.payload)
            return True
        if frame.opcode != Opcode.CLOSE:
            raise ProtocolError(Close.PROTOCOL_ERROR, "an unknown control frame")
        self._try_to_close(Close.NORMAL, "")
        return False

    def _try_to_close(self, code: int, reason: str) -> None:
        try:
            self.close(code, reason)
        except OSError:  # the client did not wait for it
            self._closing = True

    def _write(self, data: bytes) -> None:
        with self._sending:
            self._connection.sendall(data)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ProtocolError(Close.BAD_DATA, "the text is not UTF-8") from None
