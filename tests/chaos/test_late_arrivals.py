"""What a killed bot had sent may arrive after it has come back and looked: a "no" is believed only after a while."""

from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.journal import Effect, EffectState, SaveEffect
from kcibot.core.procedure import ARRIVES_WITHIN, Context, Done, Happened, NotHappened, Procedure, Step
from kcibot.core.registry import Registry
from kcibot.core.run import RunState
from kcibot.errors import OutcomeUnknown
from tests.chaos.campaign import Release
from tests.chaos.points import SENT, Point
from tests.chaos.small import Small
from tests.fakes.bench import ROOM, Bench, HandClock, make_bench

LATE_SECONDS = 1.5
"""Longer than a start of the bot takes."""


class Target:
    """A piece of the outside world that a message may reach late."""

    def __init__(self) -> None:
        self.effects = 0
        self.lost_answers = 0

    def set(self) -> str:
        if self.lost_answers:
            self.lost_answers -= 1
            raise OutcomeUnknown("the answer was lost")
        self.effects += 1
        return "new"

    def step(self) -> Step[str]:
        def run(context: Context) -> Done[str]:
            return Done("", context.effect("set", self.set, lambda: Happened("new") if self.effects else NotHappened()))

        return Step("set", "Set", run, str)


def started(folder: Path, target: Target) -> Bench:
    bench = make_bench(folder, Procedure("toy", target.step()), registry=Registry(), clock=HandClock())
    begin = bench.engine.start(bench.world.registry.procedure("toy"), bench.world.people.get("operator"), ROOM)
    bench.journal.commit(begin.changes)
    return bench


def test_a_no_right_after_a_kill_is_not_believed(tmp_path: Path) -> None:
    target = Target()
    bench = started(tmp_path, target)
    bench.journal.commit([in_flight(bench)])
    bench.engine.resume()
    assert (bench.run().state, target.effects) == (RunState.WAITING, 0)
    target.effects = 1  # it arrives after all
    bench.tick(timedelta(minutes=2))
    assert (bench.run().state, target.effects) == (RunState.SUCCEEDED, 1)


def test_a_no_that_stands_for_a_while_lets_it_be_done_again(tmp_path: Path) -> None:
    target = Target()
    bench = started(tmp_path, target)
    bench.journal.commit([in_flight(bench)])
    bench.engine.resume()
    bench.settle()
    bench.tick(timedelta(minutes=2))
    assert (bench.run().state, target.effects) == (RunState.SUCCEEDED, 1)


def test_a_lost_answer_is_looked_for_again_before_it_is_done_again(tmp_path: Path) -> None:
    target = Target()
    target.lost_answers = 1
    bench = started(tmp_path, target)
    bench.engine.resume()
    bench.settle()
    bench.tick(timedelta(seconds=11))
    assert (bench.run().state, target.effects) == (RunState.WAITING, 0)
    target.effects = 1
    bench.tick(timedelta(minutes=2))
    assert (bench.run().state, target.effects) == (RunState.SUCCEEDED, 1)


def test_answers_that_are_always_lost_end_in_an_unknown_outcome(tmp_path: Path) -> None:
    target = Target()
    target.lost_answers = 100
    bench = started(tmp_path, target)
    bench.engine.resume()
    for _ in range(20):
        bench.settle()
        bench.tick(timedelta(minutes=2))
    assert (bench.run().state, target.lost_answers) == (RunState.UNKNOWN, 96)


@pytest.mark.chaos
@pytest.mark.parametrize(
    "label",
    [
        "jenkins POST /job/kernel-build/buildWithParameters",
        "mailbox keeps a mail",
        "git server takes a push to core",
    ],
)
def test_what_arrives_after_the_bot_came_back_is_not_done_twice(tmp_path: Path, label: str) -> None:
    point = Point(label, SENT)
    played = Release(Small(LATE_SECONDS), tmp_path / "release").play([point])
    assert played.kills == (point,)
    assert played.violations == ()


def in_flight(bench: Bench) -> SaveEffect:
    """As the journal has it after a kill in the middle of the effect."""
    now = bench.clock.now()
    return SaveEffect(Effect(1, "set", 1, "set", EffectState.IN_FLIGHT, now, now + ARRIVES_WITHIN))
