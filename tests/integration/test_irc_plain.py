"""A plain IRC server without tags, services or accounts, and a person's own client: what is for everybody works."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.sandbox.irc.person import IrcPerson
from tests.fakes.irc_bot import Life, bot_on_plain
from tests.fakes.irc_person import CHANNEL, ask, hear, meet, stranger
from tests.servers.inspircd import BOT
from tests.servers.irssi import irssi
from tests.servers.ngircd import ngircd


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ngircd() as one:
        yield one


@pytest.fixture
def life(port: int, tmp_path: Path) -> Iterator[Life]:
    with bot_on_plain(port, tmp_path) as one:
        yield one


@pytest.fixture
def visitor(port: int, life: Life) -> Iterator[IrcPerson]:
    with stranger(port, "visitor") as one:
        meet(one)
        yield one


def test_everybody_gets_what_is_for_everybody(visitor: IrcPerson) -> None:
    ask(visitor, "!ping hello", "pong hello")
    ask(visitor, "!help release", "!release plan: ")
    ask(visitor, "!whoami", "vouches for nobody")
    ask(visitor, "!version", "kcibot")
    ask(visitor, "!relase plan", "Did you mean !release plan")


def test_nobody_has_authority_where_nobody_is_vouched_for(port: int, life: Life, visitor: IrcPerson) -> None:
    with stranger(port, "operator") as thief:
        ask(thief, "!toy start", "needs the role")
        ask(thief, "!ping still", "pong still")
    assert life.bot.world.journal.open_runs() == ()


def test_long_answers_arrive_whole_in_lines_that_the_server_does_not_cut(visitor: IrcPerson) -> None:
    word = "ü" * 150
    answer = ask(visitor, f"!ping {word} end", "pong").text
    last = hear(visitor, "end").text
    assert "�" not in answer + last
    assert (answer + last).count("ü") >= 150


def test_lines_that_are_no_text_do_no_harm(visitor: IrcPerson) -> None:
    visitor.send_bytes(b"PRIVMSG #kernelci :\xff\xfe !ping")
    visitor.send_bytes(b"PRIVMSG #kernelci :!ping \xff\xfe")
    visitor.send_bytes(b"PRIVMSG #kernelci :" + b"!ping " + b"x" * 450)
    visitor.send_bytes(b"NOTICE #kernelci :!ping notice")
    visitor.send_bytes(b"PRIVMSG #kernelci :\x01ACTION !ping action\x01")
    visitor.send_bytes(b"PRIVMSG #kernelci :!ping one\rPRIVMSG #kernelci :two")
    ask(visitor, "!ping whole", "pong whole")
    assert [line for line in visitor.said(BOT) if "notice" in line or "action" in line] == []


def test_a_person_types_help_in_irssi_and_sees_the_answer(port: int, life: Life, visitor: IrcPerson) -> None:
    with irssi(port, "human") as client:
        client.see("Your host is ng.test")
        client.type(f"/join {CHANNEL}")
        visitor.wait(lambda one: one.command == "JOIN" and one.nick == "human")
        client.see(BOT)
        client.type("!help")
        screen = client.see("!whoami")
        assert "Commands (!help VERB explains one)" in screen
    assert life.bot.world.journal.open_runs() == ()
