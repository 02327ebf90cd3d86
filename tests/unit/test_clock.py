"""What the clocks promise: a jump lengthens a wait, and never shortens it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from kcibot.core import clock as module
from kcibot.core.clock import SystemClock
from kcibot.core.procedure import Context, Done, Step, Wait
from kcibot.core.run import RunState
from kcibot.sandbox.clock import SandboxClock
from tests.fakes.bench import HandClock
from tests.fakes.toys import toy_bench, wait_for

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wall", "steady", "cautious"),
    [
        (timedelta(hours=1), 3600.0, timedelta(hours=1)),
        (timedelta(hours=5), 3600.0, timedelta(hours=1)),
        (timedelta(hours=-5), 3600.0, timedelta(hours=-5)),
    ],
    ids=["time passes", "the clock jumps forward", "the clock jumps back"],
)
def test_a_jump_of_the_clock_never_shortens_a_wait(
    mocker: MockerFixture, wall: timedelta, steady: float, cautious: timedelta
) -> None:
    times = mocker.patch.object(module, "datetime")
    times.now.return_value = START
    monotonic = mocker.patch.object(module.time, "monotonic", return_value=100.0)
    clock = SystemClock()
    times.now.return_value = START + wall
    monotonic.return_value = 100.0 + steady
    assert clock.now() == START + wall
    assert clock.cautious_now() == START + cautious


class JumpedClock(HandClock):
    """It jumped forward by a day before anything began."""

    def cautious_now(self) -> datetime:
        return self.at - timedelta(days=1)


def test_a_jump_of_the_clock_does_not_lengthen_the_waits_that_begin_after_it(tmp_path: Path) -> None:
    room = toy_bench(tmp_path, wait_for(timedelta(hours=1)), clock=JumpedClock())
    room.say("operator", "!go")
    room.tick(timedelta(minutes=59))
    assert room.run().state is RunState.WAITING
    room.tick(timedelta(minutes=1))
    assert room.run().state is RunState.SUCCEEDED


def test_a_step_that_goes_by_the_other_clock_is_not_entered_all_the_time(tmp_path: Path) -> None:
    times = []

    def run(context: Context) -> Done[None] | Wait:
        times.append(context.clock.now())
        return Wait(context.clock.cautious_now() + timedelta(hours=1), "waiting") if len(times) == 1 else Done("", None)

    room = toy_bench(tmp_path, Step("wait", "Wait", run, type(None)), clock=JumpedClock())
    room.say("operator", "!go")
    room.tick(timedelta(minutes=59))
    assert len(times) == 1
    room.tick(timedelta(minutes=1))
    assert room.run().state is RunState.SUCCEEDED


def test_the_sandbox_clock_is_one_for_all_its_processes(tmp_path: Path) -> None:
    mine = SandboxClock.create(tmp_path / "clock.json", rate=60.0)
    theirs = SandboxClock(tmp_path / "clock.json")
    before = theirs.now()
    mine.advance(timedelta(days=1))
    assert theirs.now() - before >= timedelta(days=1)
    assert theirs.rate == 60.0
    assert mine.real_seconds(timedelta(minutes=1)) == 1.0
    with pytest.raises(ValueError, match="never put back"):
        theirs.advance(timedelta(days=-1))
