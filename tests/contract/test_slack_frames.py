"""Frames are read whole, however the bytes come, in bursts of any size, and nonsense ends the connection."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcibot.chat.slack.frames import CLOSE, CONTINUATION, PING, TEXT, Frame, Frames


def framed(opcode: int, data: bytes, final: int = 0x80) -> bytes:
    size = len(data)
    if size < 126:
        length = bytes([size])
    else:
        length = struct.pack("!BH", 126, size) if size < 65_536 else struct.pack("!BQ", 127, size)
    return bytes([final | opcode]) + length + data


@given(
    st.lists(st.tuples(st.sampled_from([TEXT, PING, CLOSE]), st.binary(max_size=200)), max_size=20),
    st.lists(st.integers(1, 50), min_size=1),
    st.booleans(),
)
def test_however_the_bytes_are_cut_the_frames_are_the_same(
    sent: list[tuple[int, bytes]], cuts: list[int], line_feed: bool
) -> None:
    stream = b"\n" * line_feed + b"".join(framed(opcode, data) for opcode, data in sent)
    frames, got, number = Frames(), list[Frame](), 0
    while stream:
        size = cuts[number % len(cuts)]
        got += frames.feed(stream[:size])
        stream, number = stream[size:], number + 1
    assert got == [Frame(opcode, data) for opcode, data in sent]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 1_000_000])
def test_every_form_of_length_is_understood(size: int) -> None:
    assert list(Frames().feed(framed(TEXT, b"x" * size))) == [Frame(TEXT, b"x" * size)]


def test_ten_thousand_frames_at_once_are_no_recursion() -> None:
    assert len(list(Frames().feed(framed(TEXT, b"{}") * 10_000))) == 10_000


def test_a_message_in_parts_is_put_together_around_a_ping() -> None:
    stream = framed(TEXT, b"one ", final=0) + framed(PING, b"?") + framed(CONTINUATION, b"two")
    assert list(Frames().feed(stream)) == [Frame(PING, b"?"), Frame(TEXT, b"one two")]


@pytest.mark.parametrize("stream", [b"\x81\x82abcdxx", b"\x81\x7f" + b"\xff" * 8])
def test_what_is_no_stream_of_a_servers_frames_is_refused(stream: bytes) -> None:
    with pytest.raises(ValueError, match="frame"):
        list(Frames().feed(stream))
