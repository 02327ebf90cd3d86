"""WebSocket frames out of a stream of bytes (RFC 6455, section 5.2), as a client gets them: not masked.

Slack's own reading calls itself for every frame that is there already, so that a burst ends in a RecursionError and a
stream that nobody understands any more; and a frame in which it pauses for three seconds loses its beginning.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

CONTINUATION, TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA
FIRST_CONTROL = 0x8
LONGEST = 64_000_000
"""A frame that pretends to be longer is taken for a stream that is out of step."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole message of Slack's, or a control frame."""

    opcode: int
    data: bytes


class Frames:
    """Takes bytes as they come, and gives what is whole. Raises ValueError if this is no stream of frames.

    The first byte may be the end of the last line of the handshake, which Slack's reading of that leaves behind.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._begun: list[Frame] = []
        self._is_first = True

    def feed(self, data: bytes) -> Iterator[Frame]:
        self._bytes += data.removeprefix(b"\n") if self._is_first else data
        self._is_first = False
        while (frame := self._next()) is not None:
            final, opcode, body = frame
            if opcode >= FIRST_CONTROL:
                yield Frame(opcode, body)
                continue
            self._begun.append(Frame(opcode, body))
            if final:
                parts, self._begun = self._begun, []
                yield Frame(parts[0].opcode, b"".join(part.data for part in parts))

    def _next(self) -> tuple[bool, int, bytes] | None:
        head = self._bytes[:10]
        if len(head) < 2:  # noqa: PLR2004 (flags and length)
            return None
        if head[1] & 0x80:
            raise ValueError("a server must not mask its frames")
        size, begin = head[1] & 0x7F, 2
        if size > 125:  # noqa: PLR2004 (then it stands in the next two or eight bytes)
            form, begin = ("!H", 4) if size == 126 else ("!Q", 10)  # noqa: PLR2004
            if len(head) < begin:
                return None
            (size,) = struct.unpack(form, head[2:begin])
        if size > LONGEST:
            raise ValueError("a frame is too long")
        if len(self._bytes) < begin + size:
            return None
        body = bytes(self._bytes[begin : begin + size])
        del self._bytes[: begin + size]
        return bool(head[0] & 0x80), head[0] & 0x0F, body
