"""A bot that starts hears what people said while it was away before it goes on with what it was doing."""

import time
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot import app
from kcibot.core.message import EventKind, Incoming, Place
from kcibot.core.procedure import Procedure
from kcibot.core.registry import Registry
from kcibot.core.run import StepState
from tests.fakes import irc_bot
from tests.fakes.both_bot import Both, both
from tests.fakes.irc_bot import Life
from tests.fakes.irc_server import until
from tests.fakes.slack_people import OPERATOR, RELEASES
from tests.fakes.toys import Target, push, wait_for

WAITS = 0.5


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """A release that waits for a moment, and then acts without asking anybody."""
    known = irc_bot.commands

    def commands(target: Target, *more: object) -> Registry:
        found = known(target, *more)  # type: ignore[arg-type]
        toy = Procedure("toy", wait_for(timedelta(seconds=WAITS)), push(target), title="Toy release")
        found.procedures["toy"] = toy
        return found

    monkeypatch.setattr(irc_bot, "commands", commands)
    monkeypatch.setattr(app, "HEAR_FIRST_SECONDS", 3.0)
    with both(tmp_path) as made:
        yield made


def begin(rooms: Both, life: Life) -> None:
    rooms.slack.say(OPERATOR, RELEASES, "!toy start")
    until(lambda: bool(life.bot.world.journal.open_runs()) and life.run.step("wait").state is StepState.WAITING)


def test_a_stop_that_was_typed_while_the_bot_was_away_is_heard_before_anything_goes_on(rooms: Both) -> None:
    with rooms.bot() as life:
        begin(rooms, life)
    rooms.slack.say(OPERATOR, RELEASES, "!stop")
    time.sleep(WAITS)  # what it waited for is over when it comes back
    with rooms.bot() as life:
        rooms.tell("Stopped by operator")
        assert life.run.holds
        assert life.target.effects == 0


def test_a_stop_that_was_stored_and_not_yet_dealt_with_is_heard_before_anything_goes_on(rooms: Both) -> None:
    with rooms.bot() as life:
        begin(rooms, life)
        life.bot.world.journal.on_event = lambda _event: None  # type: ignore[attr-defined]  # as if it were killed now
        stop = Incoming(
            "stop-1", EventKind.MESSAGE, Place("slack", RELEASES), OPERATOR, "op", "!stop", life.bot.world.clock.now()
        )
        life.bot.world.journal.accept(stop)  # type: ignore[attr-defined]
    time.sleep(WAITS)
    with rooms.bot() as life:
        until(lambda: bool(life.run.holds), lambda: f"{life.run}")
        assert life.target.effects == 0


def test_a_network_that_is_away_does_not_keep_the_bot_from_going_on(
    rooms: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "HEAR_FIRST_SECONDS", 0.5)
    with rooms.bot() as life:
        begin(rooms, life)
    rooms.irc.stop()
    with rooms.bot() as life:
        life.ends()
        assert life.target.effects == 1


def test_a_bot_that_is_stopped_before_it_went_on_ends_at_once_and_goes_on_the_next_time(rooms: Both) -> None:
    with rooms.bot() as life:
        begin(rooms, life)
    rooms.irc.stop()
    with rooms.bot():
        begun = time.monotonic()
    assert time.monotonic() - begun < 3.0
    rooms.irc.start()
    with rooms.bot() as life:
        life.ends()
        assert life.target.effects == 1
