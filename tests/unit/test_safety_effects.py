"""An effect is done once: not again because its record was late, and never called undone by an error beside it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.gate import AskState, Choice
from kcibot.core.journal import Change, EffectState, SaveEffect, SaveRun
from kcibot.core.procedure import Context, Done, Gate, Needed, NotHappened, Proof, Step
from kcibot.core.run import HoldKind, Run, RunState, StepState, anew, settled
from kcibot.errors import BrokenOff, OutcomeUnknown, PermanentError, TransientError, UserError
from kcibot.store.journal import SqlJournal
from tests.fakes.bench import Bench
from tests.fakes.toys import MANAGER, MeddlingLock, Target, decide, person, push, toy_bench, wait_for

MINUTE = timedelta(minutes=1)


def failing_once(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The disk is full at the moment at which an effect is to be recorded as done."""
    plain, failed = SqlJournal.commit, []

    def commit(self: SqlJournal, changes: Sequence[Change]) -> None:
        done = any(isinstance(c, SaveEffect) and c.effect.state is EffectState.DONE for c in changes)
        if done and not failed:
            failed.append(1)
            raise error
        plain(self, changes)

    monkeypatch.setattr(SqlJournal, "commit", commit)


@pytest.mark.parametrize("error", [TransientError("the disk is full"), PermanentError("no such record")])
def test_an_effect_that_could_not_be_recorded_is_not_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    target = Target()
    room = toy_bench(tmp_path, push(target))
    failing_once(monkeypatch, error)
    room.say("operator", "!go")
    if room.run().state is not RunState.WAITING:
        decide(room, lambda: room.engine.retry(room.run(), "push", person(room, "operator")))
    room.tick(2 * MINUTE)
    assert (room.run().state, target.effects) == (RunState.SUCCEEDED, 1)


def test_progress_that_cannot_be_shown_does_not_make_an_effect_look_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target()
    room: Bench

    def act(context: Context) -> str:
        target.set("new")
        room.clock.forward(MINUTE)
        context.report("half way")
        return "new"

    def run(context: Context) -> Done[str]:
        return Done("", context.effect("set", lambda: act(context), lambda: target.look("new")))

    def submit(_self: SqlJournal, _changes: Sequence[Change]) -> None:
        raise TransientError("the disk is full")

    room = toy_bench(tmp_path, Step("push", "Push", run, str))
    monkeypatch.setattr(SqlJournal, "submit", submit)
    room.say("operator", "!go")
    room.tick(2 * MINUTE)
    assert (room.run().state, target.effects) == (RunState.SUCCEEDED, 1)


def test_a_bug_in_the_middle_of_an_effect_leaves_its_outcome_unknown(tmp_path: Path) -> None:
    target = Target()

    def act() -> str:
        target.set("new")
        raise ValueError("nobody thought of this")

    def run(context: Context) -> Done[str]:
        return Done("", context.effect("set", act, lambda: target.look("new")))

    room = toy_bench(tmp_path, Step("push", "Push", run, str))
    room.say("operator", "!go")
    assert room.run().state is RunState.UNKNOWN
    decide(room, lambda: room.engine.retry(room.run(), "push", person(room, "operator")))
    assert (room.run().state, target.effects) == (RunState.SUCCEEDED, 1)


def broken_off(target: Target) -> Step[str]:
    """Its first try leaves half of its work behind; killed before that was recorded, the probe tells it."""

    def act() -> str:
        if target.set("half") and target.effects == 1:
            raise BrokenOff("the second half is missing")
        return target.set("new")

    def probe() -> Proof[str]:
        if target.value == "half":
            raise BrokenOff("the second half is missing")
        return target.look("new")

    def run(context: Context) -> Done[str]:
        return Done("", context.effect("set", act, probe))

    def needed(_context: Context) -> Needed:
        return Needed(target.value == "old", "it is not old any more")

    return Step("push", "Push", run, str, needed=needed)


@pytest.mark.parametrize("killed", [False, True])
def test_what_broke_off_is_begun_again_only_by_people(tmp_path: Path, killed: bool) -> None:
    target = Target()
    room = toy_bench(tmp_path, broken_off(target))
    room.say("operator", "!go")
    if killed:
        (effect,) = room.journal.effects_in(EffectState.BROKEN_OFF, 1)
        acting = room.run().with_step("push", state=StepState.RUNNING)
        room.journal.commit([SaveRun(acting), SaveEffect(replace(effect, state=EffectState.IN_FLIGHT))])
        room.engine.resume()
        room.settle()
    room.tick(timedelta(hours=1))
    assert (room.run().state, target.effects) == (RunState.FAILED, 1)
    room.deliver()
    assert any("broken off half-way: set" in line for notice in room.notices.values() for line in notice.lines)
    decide(room, lambda: room.engine.retry(room.run(), "push", person(room, "operator")))
    assert (room.run().state, target.value) == (RunState.SUCCEEDED, "new")


def in_doubt(target: Target) -> None:
    target.lost_answer, target.hidden = True, TransientError("I cannot see it")


def test_a_run_is_not_amended_while_an_outcome_is_unknown(tmp_path: Path) -> None:
    target = Target()
    in_doubt(target)
    room = toy_bench(tmp_path, push(target))
    room.say("operator", "!go")
    assert room.run().state is RunState.UNKNOWN
    with pytest.raises(UserError, match="not known yet"):
        room.engine.amend(room.run(), person(room, "operator"))


def test_a_paused_run_can_be_amended_between_two_effects(tmp_path: Path) -> None:
    target = Target()
    room: Bench

    def paused(context: Context) -> None:
        if context.run.revision == 1:
            operator = person(room, "operator")
            room.journal.commit(room.engine.hold(room.journal.run(1), HoldKind.PAUSE, operator, "lunch").changes)

    room = toy_bench(tmp_path, push(target, before=paused))
    room.say("operator", "!go")
    assert room.run().step("push").state is StepState.RUNNING
    decide(room, lambda: room.engine.amend(room.run(), person(room, "operator")))
    decide(room, lambda: room.engine.release(room.run(), frozenset({HoldKind.PAUSE}), person(room, "operator")))
    assert (room.run().revision, target.effects) == (2, 1)


def test_a_step_that_was_skipped_in_doubt_is_looked_at_before_it_acts_again(tmp_path: Path) -> None:
    target = Target()
    in_doubt(target)
    room = toy_bench(tmp_path, push(target), wait_for(MINUTE))
    room.say("operator", "!go")
    decide(room, lambda: room.engine.skip(room.run(), "push", person(room, "operator"), "it looks done"))
    target.lost_answer, target.hidden = False, None
    decide(room, lambda: room.engine.retry(room.run(), "push", person(room, "operator")))
    assert (room.run().step("push").state, target.effects) == (StepState.DONE, 1)


# ---- late arrivals ---------------------------------------------------------------------------------------------


def test_how_late_an_effect_may_arrive_is_counted_from_the_lost_answer(tmp_path: Path) -> None:
    room: Bench
    tries: list[int] = []

    def act() -> str:
        tries.append(1)
        room.clock.forward(timedelta(minutes=30))  # a long push
        raise PermanentError("refused") if len(tries) > 1 else OutcomeUnknown("the answer was lost")

    def run(context: Context) -> Done[str]:
        return Done("", context.effect("set", act, NotHappened))

    room = toy_bench(tmp_path, Step("push", "Push", run, str))
    room.say("operator", "!go")
    room.tick(timedelta(seconds=11))
    assert len(tries) == 1, "it may still arrive"
    room.tick(MINUTE)
    assert len(tries) == 2


def test_how_late_an_effect_may_arrive_is_counted_from_the_start_after_a_kill(tmp_path: Path) -> None:
    target = Target()
    first = toy_bench(tmp_path, push(target))
    first.say("operator", "!go")
    _as_if_killed_in_the_effect(first)
    target.value = "old"
    second = toy_bench(tmp_path, push(target), clock=first.clock)
    second.clock.forward(timedelta(minutes=30))
    second.engine.resume()
    second.settle()
    assert target.effects == 1, "its sender was killed just now: it may still arrive"
    second.tick(2 * MINUTE)
    assert target.effects == 2


def _as_if_killed_in_the_effect(room: Bench) -> None:
    began = room.clock.now()
    done = room.journal.effects(1, "push", 1)["set the value"]
    run = replace(room.run().with_step("push", state=StepState.RUNNING), ended_at=None)
    flying = replace(done, state=EffectState.IN_FLIGHT, at=began, until=began + MINUTE)
    room.journal.commit([SaveEffect(flying), SaveRun(run)])
    room.journal.close()


# ---- decisions that come between -------------------------------------------------------------------------------


def meddling(room: Bench) -> MeddlingLock:
    lock = MeddlingLock()
    object.__setattr__(room.world, "lock", lock)
    return lock


def test_nothing_is_done_after_a_step_was_skipped(tmp_path: Path) -> None:
    target = Target()
    room: Bench

    def skip() -> None:
        skipped = settled(room.journal.run(1), "push", StepState.SKIPPED, room.clock.now(), "by hand")
        room.journal.commit([SaveRun(skipped)])

    room = toy_bench(tmp_path, push(target, before=lambda _c: lock.arm(skip)), wait_for(MINUTE))
    lock = meddling(room)
    room.say("operator", "!go")
    assert (room.run().step("push").state, target.effects) == (StepState.SKIPPED, 0)


def test_what_an_old_round_ends_with_does_not_settle_the_new_one(tmp_path: Path) -> None:
    room: Bench
    begun: list[int] = []

    def run(context: Context) -> Done[str]:
        begun.append(context.run.revision)
        if len(begun) == 1:
            now = room.journal.run(1)
            room.journal.commit([SaveRun(anew(replace(now, revision=2), "look"))])
        return Done(f"revision {context.run.revision}", "ok")

    room = toy_bench(tmp_path, Step("look", "Look", run, str))
    room.say("operator", "!go")
    room.tick()
    assert begun == [1, 2]
    assert room.run().step("look").text == "revision 2"


def test_a_run_does_not_end_while_a_step_is_begun_anew(tmp_path: Path) -> None:
    target = Target()
    room = toy_bench(tmp_path, push(target), Step("last", "Last", lambda _c: Done("", "ok"), str))
    lock = meddling(room)
    plain = room.journal.run
    armed: list[int] = []

    def run(run_id: int) -> Run:
        found = plain(run_id)
        if found.current is None and not found.ended and not armed:
            armed.append(1)
            lock.arm(lambda: room.journal.commit(room.engine.retry(plain(1), "push", person(room, "operator")).changes))
        return found

    room.journal.run = run  # type: ignore[method-assign]
    room.say("operator", "!go")
    room.tick()
    assert (room.run().state, room.run().step("push").round) == (RunState.SUCCEEDED, 2)


def test_a_reminder_does_not_reopen_what_was_answered_meanwhile(tmp_path: Path) -> None:
    target = Target()
    room = toy_bench(tmp_path, Gate("go", "Go"), wait_for(timedelta(days=1)), push(target), go=MANAGER)
    lock = meddling(room)
    room.say("operator", "!go")
    room.clock.forward(timedelta(hours=5))
    ask = room.journal.open_asks()[0]
    manager = person(room, "manager-1")
    lock.arm(lambda: room.journal.commit(room.engine.vote(ask, manager, "console", Choice.APPROVE).changes))
    room.tick()
    found = room.journal.ask(1, "go")
    assert found
    assert found.state is AskState.APPROVED
