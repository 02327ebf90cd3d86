"""A rollback finds everything that the release moved, also what a broken or skipped step had moved before it broke."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.journal import Effect, EffectState, Remember, SaveEffect, SaveRun
from kcibot.core.run import Run, StepRecord, StepState
from kcibot_commands.images.verbs import DIGESTS
from kcibot_commands.plan.steps import MOVED, Part, Plan
from kcibot_commands.rollback.found import Move, Replaced, RollbackArgs
from kcibot_commands.rollback.verbs import ROLLBACK, release_rollback
from tests.fakes.bench import ROOM, Bench
from tests.fakes.toys import toy_bench, wait_for

OLD, OLDER, NEW, NEWEST = "a" * 40, "b" * 40, "c" * 40, "d" * 40
PUSH = "push backend kernelci.org"


@pytest.fixture
def room(tmp_path: Path) -> Bench:
    bench = toy_bench(tmp_path, wait_for(timedelta(hours=1)))
    bench.world.registry.commands[release_rollback.name] = release_rollback
    bench.world.registry.procedures[ROLLBACK.name] = ROLLBACK
    return bench


def ran(room: Bench, procedure: str, *steps: StepRecord, args: object = None, aborted: str = "x") -> int:
    """A run of that procedure that has ended; its number."""
    now = room.clock.now()
    number = room.journal.new_run_id()
    run = Run(
        number, procedure, f"{procedure} {number}", "operator", ROOM, now, steps, args, ended_at=now, aborted=aborted
    )
    room.journal.commit([SaveRun(run)])
    return number


def released(room: Bench, part: Part | None, state: StepState, effect: EffectState | None = None) -> int:
    """An aborted release whose step `deploy-backend` is in that state, with a push that came so far."""
    now = room.clock.now()
    parts = {part.component: part} if part else {}
    frozen = room.journal.codec.dump(Plan("kernelci-20191115.0", 1, now, "<x@y>", parts))
    plan = StepRecord("plan", "Plan", state=StepState.DONE, value=frozen) if part else StepRecord("plan", "Plan")
    number = ran(room, "release", plan, StepRecord("deploy-backend", "Backend deployed", state=state))
    if effect:
        did(room, number, "deploy-backend", PUSH, effect)
    return number


def did(
    room: Bench, run: int, step: str, key: str, state: EffectState = EffectState.DONE, value: object = None
) -> None:
    now = room.clock.now()
    room.journal.commit([SaveEffect(Effect(run, step, 1, key, state, now, now, value))])


def rolled(room: Bench, words: str = "") -> RollbackArgs:
    """What the rollback that is begun now would take back."""
    room.say("operator", f"!release rollback {words}".strip())
    run = room.journal.runs(1)[0]
    assert run.procedure == ROLLBACK.name, room.replies()
    return room.journal.codec.load(RollbackArgs, run.args)


def refused(room: Bench, words: str = "") -> str:
    room.say("operator", f"!release rollback {words}".strip())
    return room.replies()[-1]


def end_rollback(room: Bench, state: StepState) -> int:
    """Every step of the rollback that was begun is in that state; the run has ended."""
    run = room.journal.runs(1)[0]
    steps = tuple(replace(step, state=state) for step in run.steps)
    aborted = "" if state is StepState.DONE else "x"
    room.journal.commit([SaveRun(replace(run, steps=steps, ended_at=room.clock.now(), aborted=aborted))])
    return run.id


PART = Part("backend", OLD, NEW, NEW, base=OLD)


# ---- branches --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [StepState.FAILED, StepState.UNKNOWN, StepState.SKIPPED, StepState.RUNNING])
@pytest.mark.parametrize("effect", [EffectState.DONE, EffectState.IN_FLIGHT])
def test_a_branch_moved_by_a_step_that_did_not_end_well_is_rolled_back(
    room: Bench, state: StepState, effect: EffectState
) -> None:
    released(room, PART, state, effect)
    assert rolled(room).branches == {"backend": Move(OLD, (NEW,))}


def test_a_branch_moved_by_an_earlier_revision_is_rolled_back_to_where_it_was(room: Bench) -> None:
    released(room, replace(PART, production=NEW, base=OLDER), StepState.NOT_NEEDED)
    assert rolled(room).branches == {"backend": Move(OLDER, (NEW,))}


def test_a_branch_that_only_an_earlier_revision_moved_is_taken_back_from_where_that_left_it(room: Bench) -> None:
    number = released(room, Part("backend", NEW, NEWEST, NEWEST, base=OLD), StepState.FAILED)
    did(room, number, "deploy-backend", PUSH, value=NEW)
    assert rolled(room).branches == {"backend": Move(OLD, (NEW,))}


def test_a_branch_whose_second_push_was_lost_may_be_where_either_revision_left_it(room: Bench) -> None:
    released(room, Part("backend", NEW, NEWEST, NEWEST, base=OLD), StepState.UNKNOWN, EffectState.IN_FLIGHT)
    assert rolled(room).branches == {"backend": Move(OLD, (NEWEST, NEW))}


def test_a_release_that_was_aborted_while_it_was_planned_anew_is_taken_back_too(room: Bench) -> None:
    number = released(room, None, StepState.PENDING)
    did(room, number, "deploy-backend", PUSH, value=NEW)
    room.journal.commit([Remember(MOVED, "backend", OLD)])
    assert rolled(room).branches == {"backend": Move(OLD, (NEW,))}


@pytest.mark.parametrize("effect", [None, EffectState.REFUSED])
def test_what_was_certainly_not_moved_is_not_rolled_back(room: Bench, effect: EffectState | None) -> None:
    released(room, PART, StepState.FAILED, effect)
    assert "nothing to roll back" in refused(room)


# ---- images, and the playbooks of before -----------------------------------------------------------------------


def pushed(room: Bench, before: Mapping[str, str], after: Mapping[str, str], procedure: str = "images push") -> int:
    number = ran(room, procedure, StepRecord("push-images", "Docker images pushed", state=StepState.FAILED))
    room.journal.commit([Remember(DIGESTS, str(number), {"before": dict(before), "after": dict(after)})])
    return number


def test_images_that_an_earlier_revision_pushed_are_known_by_what_it_left(room: Bench) -> None:
    number = pushed(room, {"a": "sha256:1"}, {"a": "sha256:3"}, "release")
    did(room, number, "push-images", "push a", value="sha256:2")
    assert rolled(room).images == {"a": Replaced("sha256:1", ("sha256:3", "sha256:2"))}


def test_an_image_whose_push_was_cut_off_is_taken_back_from_whatever_it_is(room: Bench) -> None:
    number = pushed(room, {}, {})
    did(room, number, "push-images", "before a", EffectState.SEEN, "sha256:1")
    did(room, number, "push-images", "push a", EffectState.IN_FLIGHT)
    assert rolled(room, f"--run {number}").images == {"a": Replaced("sha256:1", ())}


def test_an_image_whose_push_was_refused_is_left_alone(room: Bench) -> None:
    number = pushed(room, {}, {})
    did(room, number, "push-images", "before a", EffectState.SEEN, "sha256:1")
    did(room, number, "push-images", "push a", EffectState.REFUSED)
    assert "has not changed production" in refused(room, f"--run {number}")


def test_the_playbooks_of_before_are_those_of_the_last_deployment_before_the_release(room: Bench) -> None:
    def deployed(version: str, configuration: str) -> StepRecord:
        value = {"component": "backend", "version": version, "configuration": configuration}
        return StepRecord("run-playbook", "Deployed", state=StepState.DONE, value=value)

    ran(room, "deploy", deployed("2019.9", OLDER))
    ran(room, "deploy", deployed("2019.10", OLD))
    ran(room, "deploy", StepRecord("run-playbook", "Deployed", state=StepState.FAILED))
    released(room, PART, StepState.DONE, EffectState.DONE)
    ran(room, "deploy", deployed("2019.11", NEW))
    playbooks = rolled(room).playbooks["backend"]
    assert (playbooks.version, playbooks.configuration) == ("2019.10", OLD)


# ---- which run -------------------------------------------------------------------------------------------------


def test_a_release_that_came_to_nothing_does_not_hide_the_one_before(room: Bench) -> None:
    first = released(room, PART, StepState.DONE, EffectState.DONE)
    released(room, PART, StepState.PENDING)
    assert rolled(room).run == first


def test_a_release_is_found_behind_any_number_of_small_runs(room: Bench) -> None:
    first = released(room, PART, StepState.DONE, EffectState.DONE)
    for _ in range(120):
        ran(room, "monitor status", StepRecord("monitor-status", "State of the monitor", state=StepState.DONE))
    assert rolled(room).run == first


def test_what_is_being_rolled_back_is_not_rolled_back_a_second_time_at_once(room: Bench) -> None:
    released(room, PART, StepState.DONE, EffectState.DONE)
    rolled(room)
    assert "is under way: !release status --run 2 shows it" in refused(room)


def test_what_was_rolled_back_is_done_again_only_if_people_name_it(room: Bench) -> None:
    older = released(room, PART, StepState.DONE, EffectState.DONE)
    number = released(room, PART, StepState.DONE, EffectState.DONE)
    rolled(room)
    done = end_rollback(room, StepState.DONE)
    assert f"was rolled back by run {done} already. !release rollback --run {number} does it once more" in refused(room)
    assert rolled(room, f"--run {older}").run == older


def test_a_rollback_that_was_aborted_is_gone_on_with_by_the_next(room: Bench) -> None:
    number = released(room, PART, StepState.DONE, EffectState.DONE)
    rolled(room)
    broken = end_rollback(room, StepState.FAILED)
    assert rolled(room).runs == (number, broken)


def test_a_deployment_by_itself_is_taken_back_by_another_one(room: Bench) -> None:
    number = ran(room, "deploy", StepRecord("run-playbook", "Deployed", state=StepState.DONE))
    assert "!deploy COMPONENT REVISION" in refused(room, f"--run {number}")


def test_a_rollback_is_not_taken_back_by_another_one(room: Bench) -> None:
    released(room, PART, StepState.DONE, EffectState.DONE)
    rolled(room)
    number = end_rollback(room, StepState.DONE)
    assert "!release prepare brings production forward again" in refused(room, f"--run {number}")
