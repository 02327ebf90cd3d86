"""What people may do to a step that waits: not skip one that says so, and let it look again at once."""

from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.procedure import Context, Done, Step, Wait
from kcibot.core.run import RunState, StepState
from kcibot.errors import UserError
from kcibot_commands import runs
from tests.fakes.bench import Bench
from tests.fakes.toys import Target, decide, push, toy_bench


class Bell:
    """A step that waits until it is rung, and looks only every hour."""

    def __init__(self) -> None:
        self.rung = False
        self.looks = 0
        self.step = Step("bell", "Bell", self._run, str, instead_of_skip="ring it", limit=timedelta(days=9))

    def _run(self, context: Context) -> Done[str] | Wait:
        self.looks += 1
        if self.rung:
            return Done("rung", "rung")
        return Wait(context.clock.now() + timedelta(hours=1), "the bell", self.looks)


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def room(tmp_path: Path, bell: Bell) -> Bench:
    bench = toy_bench(tmp_path, bell.step, push(Target()))
    bench.world.registry.add(runs)
    bench.say("operator", "!go")
    return bench


def look_now(bench: Bench, step: str = "bell") -> None:
    decide(bench, lambda: bench.engine.look_now(bench.journal.run(1), step))


@pytest.mark.parametrize("who", ["operator", "manager-1"])
def test_a_step_that_nobody_can_skip_says_what_to_do_instead(room: Bench, who: str) -> None:
    room.say(who, "!release skip bell we hurry")
    assert room.replies()[-1] == "“Bell” cannot be skipped: ring it"
    assert room.run().step("bell").state is StepState.WAITING
    room.say("operator", "!release skip push done by hand")
    assert room.run().step("push").state is StepState.SKIPPED


def test_a_waiting_step_looks_at_once_where_it_is_let(room: Bench, bell: Bell) -> None:
    begun = room.run().step("bell").started_at
    room.clock.forward(timedelta(minutes=1))
    room.tick()
    assert bell.looks == 1
    look_now(room)
    assert bell.looks == 2
    record = room.run().step("bell")
    assert (record.state, record.started_at, record.round) == (StepState.WAITING, begun, 1)
    bell.rung = True
    look_now(room)
    assert room.run().state is RunState.SUCCEEDED


def test_only_the_step_whose_turn_it_is_looks(room: Bench) -> None:
    with pytest.raises(UserError, match="not yet its turn"):
        look_now(room, "push")
    room.say("observer", "!hold a fire")
    look_now(room)
    assert room.run().state is RunState.PAUSED
