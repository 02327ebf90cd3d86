"""Words typed while the bot was away: what only holds things back counts however late, all else is reported."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.dispatch import Dispatcher
from kcibot.core.gate import AskState, GatePolicy
from kcibot.core.message import EventKind, Incoming
from kcibot.core.procedure import Gate
from kcibot.core.run import RunState
from kcibot_commands.approvals import approve, reject, withdraw
from kcibot_commands.runs import hold, release_pause, stop
from tests.fakes.bench import ROOM, Bench
from tests.fakes.toys import Target, push, toy_bench

STALE = timedelta(minutes=5)


def asked(folder: Path, quorum: int = 1) -> tuple[Bench, Target]:
    target = Target()
    policy = GatePolicy(quorum=quorum)
    room = toy_bench(folder, Gate("go", "Go"), push(target), go=policy)
    room.world.registry.commands.update(
        {one.name: one for one in (approve, reject, withdraw, hold, release_pause, stop)}
    )
    room = replace(room, dispatcher=Dispatcher(room.world, room.engine, stale_after=STALE))
    room.say("operator", "!go")
    room.settle()
    return room, target


def typed(room: Bench, who: str, text: str, ago: timedelta = timedelta(hours=1)) -> None:
    room.events += 1
    at = room.clock.now() - ago
    room.dispatcher.handle(Incoming(f"late-{room.events}", EventKind.MESSAGE, ROOM, who, who, text, at))
    room.settle()


def code(room: Bench) -> str:
    return room.journal.asks(1)[0].code


def test_a_rejection_in_words_counts_however_late_it_is_heard(tmp_path: Path) -> None:
    room, target = asked(tmp_path)
    typed(room, "manager-2", f"!reject {code(room)} a fix is missing")
    room.react("manager-1", "run:1:gate:go:1")
    assert target.effects == 0
    assert room.journal.asks(1)[0].state is AskState.REJECTED


def test_a_vote_taken_back_in_words_is_taken_back_however_late_it_is_heard(tmp_path: Path) -> None:
    room, _ = asked(tmp_path, quorum=2)
    room.react("manager-1", "run:1:gate:go:1")
    typed(room, "manager-1", f"!withdraw {code(room)}")
    [vote] = room.journal.votes(room.journal.asks(1)[0])
    assert vote.withdrawn


@pytest.mark.parametrize("text", ["!stop", "!hold the lab is down", "!release pause the lab is down"])
def test_what_holds_a_run_holds_it_however_late_it_is_heard(tmp_path: Path, text: str) -> None:
    room, _ = asked(tmp_path)
    typed(room, "operator", text)
    assert room.run().state is not RunState.ABORTED
    assert room.run().holds


def test_an_approval_in_words_of_long_ago_is_reported_and_not_counted(tmp_path: Path) -> None:
    room, target = asked(tmp_path)
    typed(room, "manager-1", f"!approve {code(room)}")
    assert target.effects == 0
    assert "it was not done" in room.replies()[-1]


@pytest.mark.parametrize(("ago", "done"), [(STALE, True), (STALE + timedelta(microseconds=1), False)])
def test_at_the_limit_itself_a_command_is_still_run(tmp_path: Path, ago: timedelta, done: bool) -> None:
    room, target = asked(tmp_path)
    typed(room, "manager-1", f"!approve {code(room)}", ago)
    assert bool(target.effects) is done


def test_a_clock_that_is_ahead_does_not_make_a_command_old(tmp_path: Path) -> None:
    room, target = asked(tmp_path)
    typed(room, "manager-1", f"!approve {code(room)}", -timedelta(hours=1))
    assert target.effects == 1
