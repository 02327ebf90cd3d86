"""Whose lines are counted together: who is not known can change their name, and does not escape the limit by that."""

from pathlib import Path

import pytest

from kcibot.core.command import Outcome, command
from kcibot.core.dispatch import Call, Dispatcher
from kcibot.core.flood import MOST, Refusals, counted_as
from kcibot.core.message import EventKind, Incoming
from kcibot.core.notice import Notice
from tests.fakes.bench import ROOM, Bench
from tests.fakes.toys import Target, push, toy_bench


@pytest.fixture
def room(tmp_path: Path) -> Bench:
    bench = toy_bench(tmp_path, push(Target()))

    @command("ping", role="everybody")
    def ping(call: Call) -> Outcome:
        """Answer."""
        return Outcome(Notice(f"pong {call.event.nick}"))

    bench.world.registry.commands["ping"] = ping
    bench.dispatcher = Dispatcher(bench.world, bench.engine, flood=3)
    return bench


def heard(room: Bench, nick: str, identity: str) -> bool:
    """Whether it was worth being stored; if so, it is dealt with."""
    room.events += 1
    at = room.clock.now()
    event = Incoming(f"e{room.events}", EventKind.MESSAGE, ROOM, identity, nick, "!ping", at)
    if not room.dispatcher.concerns(event):
        return False
    room.journal.accept(event)
    return room.dispatcher.handle(event)


def test_without_an_account_another_nick_is_no_other_user(room: Bench) -> None:
    assert [heard(room, f"guest{number}", "") for number in range(6)] == [True] * 4 + [False] * 2
    assert heard(room, "operator", "operator")
    replies = room.replies()
    assert [line for line in replies if "pong" in line] == [
        "pong guest0",
        "pong guest1",
        "pong guest2",
        "pong operator",
    ]
    assert [line for line in replies if "ignore" in line] == [
        "More than 3 commands in a minute: I ignore the others of users of console without an account"
    ]


def test_an_account_that_is_nobody_we_know_is_counted_by_itself_under_whatever_nick(room: Bench) -> None:
    assert [heard(room, f"nick{number}", "stranger") for number in range(6)] == [True] * 4 + [False] * 2
    assert heard(room, "guest", "")


def test_a_person_is_counted_once_on_all_networks() -> None:
    assert counted_as("irc", "manager-1", "m1") == counted_as("slack", "manager-1", "U1")
    assert counted_as("irc", "", "x") != counted_as("slack", "", "x")
    assert counted_as("irc", "", "") != counted_as("slack", "", "")


def test_who_chooses_names_cannot_fill_the_memory_with_refusals() -> None:
    refusals = Refusals()
    for number in range(2 * MOST):
        assert refusals.count(f"guest{number}", "no") == 1
        refusals.count("often", "no")
    assert len(refusals._counts) == MOST
    assert refusals.count("often", "no") == 0
