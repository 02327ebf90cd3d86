"""What people type: nothing is executed by accident, nobody drowns the others, and one bad event does not deafen."""

from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.command import Outcome, Reason, command
from kcibot.core.dispatch import Call, Dispatcher
from kcibot.core.journal import Remember
from kcibot.core.notice import Notice
from kcibot.core.procedure import Gate
from kcibot.core.run import HoldKind
from kcibot_commands import runs
from tests.fakes.bench import Bench
from tests.fakes.toys import MANAGER, Target, push, toy_bench


@pytest.fixture
def room(tmp_path: Path) -> Bench:
    bench = toy_bench(tmp_path, Gate("go", "Go"), push(Target()), go=MANAGER)

    @command("drop", role="observer")
    def drop(_call: Call, reason: Reason) -> Outcome:
        """Drop everything."""
        return Outcome(Notice(f"dropped: {reason}"))

    @command("ping", role="observer")
    def ping(_call: Call) -> Outcome:
        """Answer."""
        return Outcome(Notice("pong"))

    @command("spoil", role="observer")
    def spoil(_call: Call) -> Outcome:
        """Keep what cannot be kept."""
        return Outcome(Notice("kept"), (Remember("toys", "x", object()),))

    bench.world.registry.commands.update({spec.name: spec for spec in (drop, ping, spoil)})
    return bench


@pytest.mark.parametrize("between", ["!ping", "!pnig"])
def test_chat_after_another_command_is_not_taken_for_the_reason_that_was_asked_for(room: Bench, between: str) -> None:
    room.say("observer", "!drop")
    room.say("observer", between)
    room.say("observer", "shall we have lunch?")
    assert not any("dropped" in reply for reply in room.replies())


def test_a_reason_is_still_asked_for_after_a_restart(room: Bench) -> None:
    room.say("observer", "!drop")
    again = Bench(
        room.world, room.engine, Dispatcher(room.world, room.engine), room.journal, room.clock, room.outbox, events=100
    )
    again.say("observer", "the lab burns")
    again.say("observer", "and more chat")
    assert room.replies()[-1] == "dropped: the lab burns"


def test_a_flood_is_ignored_after_one_notice_and_for_a_minute_only(room: Bench) -> None:
    room.dispatcher = Dispatcher(room.world, room.engine, flood=3)
    for _ in range(6):
        room.say("observer", "!ping")
    room.say("operator", "!ping")
    replies = room.replies()
    assert replies.count("pong") == 4
    assert [line for line in replies if "ignore" in line] == [
        "More than 3 commands in a minute: I ignore the others of observer"
    ]
    assert sum(entry.entry.what == "flood" for entry in room.journal.audit_tail(20)) == 1
    room.clock.forward(timedelta(minutes=1))
    room.say("observer", "!ping")
    assert room.replies() == ["pong"]


def test_the_emergency_stop_is_heard_in_a_flood(room: Bench) -> None:
    room.world.registry.add(runs)
    room.dispatcher = Dispatcher(room.world, room.engine, flood=1)
    for _ in range(3):
        room.say("operator", "!go")
    room.say("operator", "!stop")
    assert [hold.kind for hold in room.run().holds] == [HoldKind.STOP]


def test_chat_that_is_not_for_the_bot_is_no_flood(room: Bench) -> None:
    room.dispatcher = Dispatcher(room.world, room.engine, flood=3)
    for _ in range(6):
        room.say("observer", "hello everybody")
    room.say("observer", "!ping")
    assert room.replies() == ["pong"]


def test_an_outcome_that_cannot_be_recorded_is_answered_and_not_tried_for_ever(room: Bench) -> None:
    room.say("observer", "!spoil")
    room.say("observer", "!ping")
    replies = room.replies()
    assert len(replies) == 2
    assert replies[-1] == "pong"
    assert room.journal.unsettled() == ()
