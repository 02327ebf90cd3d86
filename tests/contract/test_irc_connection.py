"""A connection that lasts: TLS, pings, silence, kicks, junk, floods and servers that go away."""

import re
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kcibot.chat.irc.adapter import IrcChat
from kcibot.chat.irc.pace import Backoff, Pace
from kcibot.chat.irc.settings import Mechanism
from kcibot.chat.irc.socket import dial
from kcibot.core.notice import Notice
from kcibot.errors import PermanentError, TransientError
from tests.fakes.irc_bench import HASTY, PLAIN, ROOM, Ear, irc_chat, joined
from tests.fakes.irc_bench import settings as irc_settings
from tests.fakes.irc_server import Client, IrcServer, certificate, irc_server, until

JUNK = st.binary(max_size=400).filter(lambda data: b"ERROR" not in data.upper())


def secured(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


# ---- reaching it -------------------------------------------------------------------------------------------------


def test_over_tls_the_certificate_is_verified_and_both_directions_work(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    with (
        irc_server(context=secured(pem)) as server,
        joined(server, tls=True, server="localhost", ca_file=str(pem), **PLAIN) as (chat, ear, client),
    ):
        client.send("@account=alice :alice!u@h PRIVMSG #rel :!ping")
        assert ear.heard().identity == "alice"
        for number in range(20):
            chat.post(ROOM, Notice(f"pong {number}"), f"k{number}")
        client.saw("pong 19")


def test_lines_of_several_threads_are_written_one_after_the_other(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    with (
        irc_server(context=secured(pem)) as server,
        joined(server, tls=True, server="localhost", ca_file=str(pem), rate=10_000.0, burst=10_000) as (
            chat,
            _,
            client,
        ),
    ):
        link = chat._session.link if chat._session else None
        assert link

        def say(number: int) -> None:
            for _ in range(50):
                link.say([f"PRIVMSG #rel :{number} {'x' * 400} {number}\r\n".encode()], 5)
                client.send("PING :now")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(say, range(8)))
        until(lambda: len(client.seen("^PRIVMSG")) == 400)
        assert all(re.fullmatch(r"PRIVMSG #rel :(\d) x{400} \1", line) for line in client.seen("PRIVMSG"))


@pytest.mark.parametrize("name", ["localhost", "elsewhere.example.org"])
def test_a_certificate_of_an_unknown_authority_or_of_another_name_is_not_accepted(tmp_path: Path, name: str) -> None:
    pem = certificate(tmp_path, name)
    trusted = "" if name == "localhost" else str(pem)
    with irc_server(context=secured(pem)) as server:
        ours = irc_settings(server, tls=True, server="localhost", ca_file=trusted)
        with pytest.raises(PermanentError, match="certificate of the IRC server"):
            dial(ours)


def test_a_certificate_of_ours_is_shown_for_external(tmp_path: Path) -> None:
    pem, ours = certificate(tmp_path), certificate(tmp_path, "relbot")
    context = secured(pem)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ours)
    login = {"mechanism": Mechanism.EXTERNAL, "certificate": str(ours), "ca_file": str(pem)}
    with irc_server(context=context) as server, joined(server, tls=True, server="localhost", **login):
        assert server.client().seen("AUTHENTICATE EXTERNAL")


def test_a_server_that_does_not_answer_the_handshake_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        server = IrcServer(port=deaf.getsockname()[1])
        with pytest.raises(TransientError, match="No TLS"):
            dial(irc_settings(server, tls=True, timeout=timedelta(seconds=0.2)))


def test_an_address_of_the_new_kind_works_too() -> None:
    server = IrcServer()
    try:
        server.start(socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 on loopback")
    try:
        with joined(server, server="::1") as (_, _, client):
            assert client.nick == "relbot"
    finally:
        server.stop()


# ---- staying -----------------------------------------------------------------------------------------------------


def test_a_ping_is_answered_ahead_of_what_waits() -> None:
    with irc_server() as server, joined(server, rate=5.0, burst=8) as (chat, _, client):
        chat._memory.set_rest("#rel", [f"line {number}" for number in range(8)])
        client.send(":alice!u@h PRIVMSG #rel :!more")
        client.send("PING :are you there")
        client.saw("^PONG :are you there")
        assert len(client.seen("line")) < 8


def test_silence_is_asked_about_and_then_the_connection_is_given_up() -> None:
    with irc_server() as server, joined(server, ping=timedelta(seconds=0.2)) as (chat, _, client):
        client.saw("^PING kcibot$", times=2)
        assert not client.closed.is_set()  # it was answered
        server.special["PING"] = lambda _client, _line: True
        assert client.closed.wait(5)
        until(lambda: "silent" in chat.last_error)


def test_a_server_that_takes_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = IrcServer(port=listening.getsockname()[1])
        wire = dial(irc_settings(server, timeout=timedelta(seconds=0.2)))
        with pytest.raises(TimeoutError):
            wire.send(b"x" * 50_000_000)
        wire.close()


def test_the_bot_comes_back_when_the_server_does() -> None:
    with irc_server() as server, joined(server) as (chat, ear, _):
        server.stop()
        until(lambda: chat.connected_since is None)
        with pytest.raises(TransientError, match="I am not in #rel"):
            patient(chat, 0.05).post(ROOM, Notice("lost"), "k")
        server.start()
        until(lambda: ear.connections == 2)
        patient(chat, 3).post(ROOM, Notice("back"), "k2")
        server.client(2).saw("back")


def patient(chat: IrcChat, seconds: float) -> IrcChat:
    chat._pace = replace(HASTY, patience=seconds)
    return chat


def test_waits_double_are_spread_and_begin_anew_after_a_good_hour() -> None:
    lowest, highest = Backoff(Pace(), lambda: 0.0), Backoff(Pace(), lambda: 1.0)
    assert [lowest.wait(0) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [highest.wait(600) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert highest.wait(3600) == 1


def test_an_error_of_the_server_ends_the_connection_with_its_words() -> None:
    with irc_server() as server, joined(server) as (chat, ear, client):
        client.send("ERROR :Closing link: Excess Flood")
        until(lambda: ear.connections == 2)
        assert "Excess Flood" in chat.last_error


def test_who_is_kicked_comes_back_after_a_pause() -> None:
    with irc_server() as server, joined(server) as (chat, _, client):
        client.send(":op!u@h KICK #rel relbot :out")
        client.saw("^JOIN #rel", times=2)
        until(lambda: "kicked from #rel by op" in chat.last_error)
        chat.post(ROOM, Notice("here again"), "k")
        client.saw("here again")


def test_a_channel_that_lets_nobody_in_does_not_keep_the_bot_from_the_others() -> None:
    def closed_door(client: Client, line: str) -> bool:
        if line != "JOIN #closed":
            return False
        client.numeric("473", "#closed", text="Cannot join channel (+i)")
        return True

    with (
        irc_server(special={"JOIN": closed_door}) as server,
        joined(server, channels=("#closed", "#rel")) as (chat, _, client),
    ):
        chat.post(ROOM, Notice("hello"), "k")
        client.saw("^JOIN #closed", times=3)
        assert "#closed" in chat.last_error


def test_a_stop_takes_leave() -> None:
    with irc_server() as server:
        with joined(server) as (_, _, client):
            pass
        client.saw("^QUIT :")
        assert client.closed.wait(5)


# ---- what must not end it ----------------------------------------------------------------------------------------

BAD = [
    b":alice!u@h QUIT\r\n",
    b":alice!u@h PRIVMSG #rel\r\n",
    b":alice!u@h PRIVMSG\r\n",
    b":alice!u@h NICK\r\n",
    b"KICK\r\n:a JOIN\r\nBATCH\r\nCAP\r\n005\r\n353\r\n366\r\n354\r\n330\r\n318\r\nACCOUNT\r\nCHGHOST\r\nPONG\r\n",
    b":alice!u@h PRIVMSG #rel :Ol\xe9 \xff\xfe\r\n",
    b"@time=yesterday;msgid= :alice!u@h PRIVMSG #rel :when?\r\n",
    b":irc.test 433 * relbot :Nickname is already in use\r\n",
    b"@+draft/react=x;+draft/reply=1 TAGMSG #rel\r\n",
    b"\r\n\r\n \r\n:\r\n@\r\n: \r\n@ \r\n",
]


@pytest.mark.parametrize("data", BAD)
def test_a_line_without_its_text_or_with_other_bytes_never_ends_the_connection(data: bytes) -> None:
    with irc_server() as server, joined(server) as (_, ear, client):
        client.send_bytes(data)
        client.send(":alice!u@h PRIVMSG #rel :still there?")
        until(lambda: any(event.text == "still there?" for event in ear.events))
        assert not client.closed.is_set()


def test_a_store_that_fails_never_ends_the_connection() -> None:
    with irc_server() as server, joined(server) as (_, ear, client):
        ear.fail_next = 1
        client.send(":alice!u@h PRIVMSG #rel :one", ":alice!u@h PRIVMSG #rel :two")
        assert ear.heard().text == "two"


def test_a_listener_that_fails_never_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_ear: Ear, _network: str) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(Ear, "connected", fail)
    with irc_server() as server, irc_chat(server) as (chat, ear):
        chat.post(ROOM, Notice("hello"), "k")
        server.client().send(":alice!u@h PRIVMSG #rel :!ping")
        assert ear.heard().text == "!ping"


def test_random_bytes_never_end_the_connection() -> None:
    with irc_server() as server, joined(server) as (_, ear, client):

        @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(JUNK, max_size=5))
        def torture(junk: list[bytes]) -> None:
            heard = len(ear.events)
            client.send_bytes(b"\r\n".join(junk) + b"\r\n")
            client.send(":alice!u@h PRIVMSG #rel :still there?")
            until(lambda: any(event.text == "still there?" for event in ear.events[heard:]))

        torture()
        assert not client.closed.is_set()


WORDS = (
    "PRIVMSG NOTICE TAGMSG JOIN PART KICK QUIT NICK ACCOUNT CHGHOST BATCH CAP PONG AUTHENTICATE "
    "001 005 318 330 353 354 366 376 396 401 404 433 473 900 904"
)
COMMANDS = st.sampled_from(WORDS.split())
PARAMS = st.lists(
    st.sampled_from(
        ["#rel", "relbot", "alice", "+1", "-1", "*", "0", "ACK", "NEW", "DEL", ":", ":text", "k1", "=", "é"]
    ),
    max_size=5,
)
SOURCES = st.sampled_from(["", ":alice!u@h ", ":relbot!u@h ", ":irc.test ", ":! ", ":@ "])
TAGS = st.sampled_from(
    ["", "@msgid=1 ", "@batch=1 ", "@+draft/react=x;+draft/reply=1 ", "@label=k1;time=now ", "@;;= "]
)
LINES = st.builds(
    lambda tags, source, command, params: f"{tags}{source}{' '.join([command, *params])}",
    TAGS,
    SOURCES,
    COMMANDS,
    PARAMS,
)


def test_lines_that_are_almost_right_are_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    with irc_server() as server, joined(server, rate=1e6, burst=10_000) as (chat, ear, client):
        session = chat._session
        assert session

        @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(LINES, min_size=1, max_size=8))
        def torture(lines: list[str]) -> None:
            for line in lines:
                session.link._heard(line)

        torture()
        assert not [one for one in caplog.records if one.exc_info]
        assert not client.closed.is_set()
        assert chat.connected_since
        assert ear.connections == 1


def test_a_thousand_lines_at_once_are_all_heard_while_the_bot_speaks_slowly() -> None:
    with irc_server() as server, joined(server, rate=2.0, burst=8) as (chat, ear, client):
        chat._memory.set_rest("#rel", [f"line {number}" for number in range(8)])
        begun = time.monotonic()
        client.send(":alice!u@h PRIVMSG #rel :!more")
        client.send(*(f"@msgid=m{number} :alice!u@h PRIVMSG #rel :{number}" for number in range(1000)))
        assert ear.heard(1000).text == "999"
        assert time.monotonic() - begun < 5
