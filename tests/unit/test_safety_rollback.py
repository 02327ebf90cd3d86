"""A rollback finds everything that the release moved, also what a broken or skipped step had moved before it broke."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.journal import Effect, EffectState, SaveEffect, SaveRun
from kcibot.core.run import Run, StepRecord, StepState
from kcibot_commands.plan import Part, Plan
from kcibot_commands.rollback import ROLLBACK, RollbackArgs, release_rollback
from tests.fakes.bench import ROOM, Bench
from tests.fakes.toys import toy_bench, wait_for

OLD, OLDER, NEW = "a" * 40, "b" * 40, "c" * 40


@pytest.fixture
def room(tmp_path: Path) -> Bench:
    bench = toy_bench(tmp_path, wait_for(timedelta(hours=1)))
    bench.world.registry.commands[release_rollback.name] = release_rollback
    bench.world.registry.procedures[ROLLBACK.name] = ROLLBACK
    return bench


def released(room: Bench, part: Part, state: StepState, effect: EffectState | None) -> None:
    """An aborted release whose step `deploy-backend` is in that state, with a push that came so far."""
    now = room.clock.now()
    frozen = Plan("kernelci-20191115.0", 1, now, "<x@y>", {part.component: part})
    steps = (
        StepRecord("plan", "Plan", state=StepState.DONE, value=room.journal.codec.dump(frozen)),
        StepRecord("deploy-backend", "Backend deployed", state=state),
    )
    run = Run(room.journal.new_run_id(), "release", "Release", "operator", ROOM, now, steps, ended_at=now, aborted="x")
    room.journal.commit([SaveRun(run)])
    if effect:
        one = Effect(run.id, "deploy-backend", 1, "push backend kernelci.org", effect, now, now)
        room.journal.commit([SaveEffect(one)])


PART = Part("backend", OLD, NEW, NEW, base=OLD)


@pytest.mark.parametrize("state", [StepState.FAILED, StepState.UNKNOWN, StepState.SKIPPED, StepState.RUNNING])
@pytest.mark.parametrize("effect", [EffectState.DONE, EffectState.IN_FLIGHT])
def test_a_branch_moved_by_a_step_that_did_not_end_well_is_rolled_back(
    room: Bench, state: StepState, effect: EffectState
) -> None:
    released(room, PART, state, effect)
    room.say("operator", "!release rollback")
    args = room.journal.codec.load(RollbackArgs, room.journal.run(2).args)
    assert (args.branches["backend"].old, args.branches["backend"].new) == (OLD, NEW)


def test_a_branch_moved_by_an_earlier_revision_is_rolled_back_to_where_it_was(room: Bench) -> None:
    released(room, replace(PART, production=NEW, base=OLDER), StepState.NOT_NEEDED, None)
    room.say("operator", "!release rollback")
    args = room.journal.codec.load(RollbackArgs, room.journal.run(2).args)
    assert (args.branches["backend"].old, args.branches["backend"].new) == (OLDER, NEW)


@pytest.mark.parametrize("effect", [None, EffectState.REFUSED])
def test_what_was_certainly_not_moved_is_not_rolled_back(room: Bench, effect: EffectState | None) -> None:
    released(room, PART, StepState.FAILED, effect)
    room.say("operator", "!release rollback")
    assert "nothing to roll back" in room.replies()[-1]
