"""The stand-in's WebSocket keeps RFC 6455, whoever is at the other end."""

import json
import os
import socket
import struct
from collections.abc import Iterator
from typing import BinaryIO

import pytest
import requests
from slack_sdk import WebClient

from kcibot.sandbox.slack import SlackStandIn
from kcibot.sandbox.slack.websocket import Close, Opcode, accept_key, encode
from tests.fakes.slack_people import OPERATOR, RELEASES, eventually, team


class Wire:
    """A client made by hand, which can do what no library would."""

    def __init__(self, slack: SlackStandIn) -> None:
        url = WebClient(base_url=slack.api).apps_connections_open(app_token=slack.app.app_token)["url"]
        self.path = url.split(str(slack.port), 1)[1]
        self.socket = socket.create_connection(("127.0.0.1", slack.port), timeout=5)
        self.stream: BinaryIO = self.socket.makefile("rb")
        self.status = self.open(self.path)

    def open(self, path: str) -> int:
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
        self.socket.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        lines = list(iter(lambda: self.stream.readline().strip(), b""))
        if b"101" in lines[0]:
            assert f"Sec-WebSocket-Accept: {accept_key(key)}".encode() in lines
        return int(lines[0].split()[1])

    def send(self, opcode: int, payload: bytes, more: bytes = b"\x80") -> None:
        self.socket.sendall(encode(Opcode(opcode), payload, os.urandom(4), more))

    def frame(self) -> tuple[int, bytes]:
        first, second = self.stream.read(2)
        assert not second & 0x80, "a server does not mask"
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self.stream.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.stream.read(8))
        return first & 0x0F, self.stream.read(length)

    def text(self) -> dict:
        opcode, payload = self.frame()
        assert opcode == Opcode.TEXT
        return json.loads(payload)

    def closed_with(self) -> int:
        opcode, payload = self.frame()
        assert opcode == Opcode.CLOSE
        return struct.unpack("!H", payload[:2])[0]

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with team() as here:
        yield here


@pytest.fixture
def wire(slack: SlackStandIn) -> Iterator[Wire]:
    here = Wire(slack)
    assert here.status == 101
    assert here.text()["type"] == "hello"
    yield here
    here.close()


def test_the_key_is_answered_as_in_the_standards_example():
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_ticket_opens_one_connection(slack, wire):
    again = Wire.__new__(Wire)
    again.socket = socket.create_connection(("127.0.0.1", slack.port), timeout=5)
    again.stream = again.socket.makefile("rb")
    assert again.open(wire.path) == 408
    again.close()


def test_a_plain_get_is_no_handshake(slack):
    assert requests.get(f"{slack.url}/link/?ticket=x", timeout=5).status_code == 400


def test_a_ping_is_answered_with_its_payload(wire):
    wire.send(Opcode.PING, b"1:2")
    assert wire.frame() == (Opcode.PONG, b"1:2")


def test_fragments_are_put_together_with_a_ping_between(slack, wire):
    slack.say(OPERATOR, RELEASES, "hello")
    ack = json.dumps({"envelope_id": wire.text()["envelope_id"]}).encode()
    wire.send(Opcode.TEXT, ack[:10], more=b"\x00")
    wire.send(Opcode.PING, b"between")
    wire.send(Opcode.CONTINUATION, ack[10:])
    assert wire.frame() == (Opcode.PONG, b"between")
    eventually(lambda: slack.acks)
    assert not slack.remarks


@pytest.mark.parametrize("length", [125, 126, 65_535, 65_536])
def test_every_length_of_a_frame_is_read(slack, wire, length):
    wire.send(Opcode.TEXT, b" " * length)
    eventually(lambda: slack.remarks)


def test_long_events_are_sent_whole(slack, wire):
    slack.say_raw(OPERATOR, RELEASES, "x" * 40_000)
    assert wire.text()["payload"]["event"]["text"] == "x" * 40_000


def test_a_close_is_answered(slack, wire):
    wire.send(Opcode.CLOSE, struct.pack("!H", 1000))
    assert wire.closed_with() == Close.NORMAL
    eventually(lambda: slack.connections == 0)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (encode(Opcode.TEXT, b"{}"), Close.PROTOCOL_ERROR),
        (encode(Opcode.CONTINUATION, b"{}", b"mask"), Close.PROTOCOL_ERROR),
        (encode(Opcode.BINARY, b"{}", b"mask"), Close.UNSUPPORTED),
        (encode(Opcode.TEXT, b"\xff", b"mask"), Close.BAD_DATA),
        (encode(Opcode.PING, b"x" * 126, b"mask"), Close.PROTOCOL_ERROR),
        (b"\xc1\x80mask", Close.PROTOCOL_ERROR),
        (b"\x8b\x80mask", Close.PROTOCOL_ERROR),
        (b"\x81\xff" + struct.pack("!Q", 1 << 40) + b"mask", Close.TOO_BIG),
    ],
    ids=["unmasked", "stray part", "binary", "no UTF-8", "long ping", "reserved bit", "unknown control", "too big"],
)
def test_a_broken_frame_ends_the_connection_with_its_code(slack, wire, data, code):
    wire.socket.sendall(data)
    assert wire.closed_with() == code
    eventually(lambda: slack.connections == 0)


def test_the_eleventh_connection_is_one_too_many(slack):
    wires = [Wire(slack) for _ in range(11)]
    hellos = [wire.text() for wire in wires]
    assert [hello.get("num_connections") for hello in hellos[:10]] == list(range(1, 11))
    assert hellos[10] == {"type": "disconnect", "reason": "too_many_websockets"}
    assert wires[10].closed_with() == Close.NORMAL
    for wire in wires:
        wire.close()
