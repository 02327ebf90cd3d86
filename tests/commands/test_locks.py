"""One holds production at a time; everybody sees who, is told of it, and is reminded; and nobody walks around it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from kcibot.core.command import Outcome, Reason
from kcibot.core.dispatch import Call
from kcibot.core.journal import Change, Say
from kcibot.core.message import EventKind, Incoming, Place
from kcibot.core.notice import Notice
from kcibot.core.procedure import Context, Gate, Procedure, Step
from kcibot.core.run import Run, RunState, StepState
from kcibot_commands import approvals, locks, runs
from kcibot_commands.lock_reminder import REMINDER, LockSettings
from kcibot_commands.locks import open_production, take_lock_from, take_production_lock
from kcibot_commands.plan.steps import plan
from kcibot_commands.production import push_core
from tests.fakes.bench import ROOM, Bench
from tests.fakes.kernelci_bench import PRODUCTION, Kernelci, kernelci, start, stuck

S = TypeVar("S")
GO = "run:1:gate:go:1"
LOCKED = Procedure("release", plan, take_production_lock, push_core, open_production)
GATED = Procedure("release", plan, Gate("go", "Go"), take_production_lock, push_core, open_production)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


@pytest.fixture
def bench(place: Kernelci) -> Bench:
    return place.bench(locks, runs)


def skip_the_lock(bench: Bench, procedure: Procedure = GATED) -> None:
    start(bench, procedure)
    bench.react("manager-1", GO)
    bench.say("operator", "!release skip production-lock hurry")


# ---- taking it, and giving it back -------------------------------------------------------------------------------


def step(run: Run, step_id: str = "push-core") -> tuple[StepState, str]:
    return run.step(step_id).state, run.step(step_id).text


def test_a_release_takes_the_lock_and_gives_it_back(place: Kernelci) -> None:
    bench = place.bench()
    run = start(bench, LOCKED)
    assert step(run, "production-lock") == (StepState.DONE, "held by this run")
    assert step(run, "open-production") == (StepState.DONE, "the lock is given back")
    assert bench.journal.recall("lock") == {}
    assert bench.journal.recall("moved") == {}


def test_a_run_waits_for_whoever_has_the_lock_and_says_who(place: Kernelci) -> None:
    bench = place.bench(locks)
    bench.say("manager-1", "!lock the database is being moved")
    run = start(bench, LOCKED)
    state, text = step(run, "production-lock")
    assert state is StepState.WAITING
    assert text.startswith("production is locked by manager-1, 09:00 UTC")
    assert "the database is being moved" in text
    bench.tick(timedelta(minutes=2))
    assert bench.run().state is RunState.WAITING
    bench.say("manager-1", "!unlock")
    bench.tick(timedelta(minutes=2))
    assert bench.run().state is RunState.SUCCEEDED


def test_a_second_lock_is_refused_with_who_and_why(place: Kernelci) -> None:
    bench = place.bench(locks)
    bench.clock.forward(-timedelta(minutes=5))
    bench.say("operator", "!lock lunch")
    bench.clock.forward(timedelta(minutes=5))
    bench.say("manager-1", "!lock dinner")
    assert set(bench.replies()) == {
        "Production is locked: no run changes it until !unlock.",
        "Production is locked by operator, 08:55 UTC (5 min ago): lunch",
    }


def test_a_missing_reason_for_the_lock_is_asked_for(place: Kernelci) -> None:
    bench = place.bench(locks)
    bench.say("operator", "!lock")
    bench.say("operator", "the database is being moved")
    assert bench.replies() == [
        "Why? Say it in one line, and I go on.",
        "Production is locked: no run changes it until !unlock.",
    ]


def test_anothers_lock_needs_a_release_manager(place: Kernelci) -> None:
    bench = place.bench(locks)
    bench.say("manager-1", "!lock lunch")
    bench.say("operator", "!unlock")
    assert bench.replies()[-1] == "The lock is manager-1's; only a release-manager may take it away"
    bench.say("manager-2", "!unlock")
    assert bench.replies()[-1] == "Production is open."


def test_ones_own_lock_is_ones_own_to_take_away(place: Kernelci) -> None:
    bench = place.bench(locks)
    bench.say("operator", "!lock lunch")
    bench.say("operator", "!unlock")
    bench.say("operator", "!unlock")
    assert bench.replies()[1:] == ["Production is open.", "Production is not locked."]


def test_the_lock_of_a_live_run_is_not_its_starters_to_take_away(place: Kernelci) -> None:
    bench = place.bench(locks, runs)
    start(bench, Procedure("release", plan, take_production_lock, stuck()))
    bench.say("operator", "!unlock")
    assert bench.replies()[-1] == "Run 1 (Release) is still using it; only a release-manager may take it away"
    bench.say("operator", "!release abort broken")
    bench.say("operator", "!unlock")
    assert bench.replies()[-1] == "Production is open."


def test_a_run_whose_lock_was_taken_away_pushes_nothing_more(place: Kernelci) -> None:
    bench = place.bench(locks, runs)
    gated = Procedure("release", plan, take_production_lock, Gate("go", "Go"), push_core, open_production)
    start(bench, gated)
    bench.say("manager-1", "!unlock")
    assert "Run 1 (Release) had it, and stops before its next push." in bench.replies()[-1]
    old = place.head("core", PRODUCTION)
    bench.react("manager-1", GO)
    state, text = step(bench.run())
    assert state is StepState.FAILED
    assert "taken away from this run and nobody has it, so nothing more was done" in text
    assert place.head("core", PRODUCTION) == old
    bench.say("operator", "!release retry production-lock")
    bench.say("operator", "!release retry push-core")
    assert bench.run().state is RunState.SUCCEEDED


def test_an_aborted_run_keeps_production_locked_and_says_so(place: Kernelci) -> None:
    bench = place.bench(approvals, runs, locks)
    start(bench, Procedure("release", plan, take_production_lock, stuck()))
    bench.say("operator", "!release abort broken")
    bench.deliver()
    assert any("!unlock opens it" in line for notice in bench.notices.values() for line in notice.lines)
    run = start(bench, LOCKED)
    bench.tick(timedelta(minutes=2))
    assert bench.run(run.id).state is RunState.WAITING, "nobody looked yet whether production is in order"
    bench.say("operator", "!unlock")
    bench.tick(timedelta(minutes=2))
    assert bench.run(run.id).state is RunState.SUCCEEDED


# ---- walking around it -----------------------------------------------------------------------------------------


def test_a_skipped_lock_does_not_pass_anothers(place: Kernelci, bench: Bench) -> None:
    bench.say("manager-1", "!lock the database is being moved")
    old = place.head("core", PRODUCTION)
    skip_the_lock(bench)
    step = bench.run().step("push-core")
    assert step.state is StepState.FAILED
    assert "production is locked by manager-1, 09:00 UTC" in step.text
    assert "the database is being moved; this run does not hold it, so nothing was done. !unlock opens it" in step.text
    assert place.head("core", PRODUCTION) == old
    bench.say("manager-1", "!unlock")
    bench.say("operator", "!release retry push-core")
    assert bench.run().state is RunState.SUCCEEDED


def test_a_skipped_lock_that_nobody_else_has_stops_nothing(place: Kernelci, bench: Bench) -> None:
    bench.say("manager-1", "!lock lunch")
    start(bench, GATED)
    bench.react("manager-1", GO)
    bench.say("manager-1", "!unlock")
    bench.say("operator", "!release skip production-lock hurry")
    assert bench.run().state is RunState.SUCCEEDED
    assert place.head("core", PRODUCTION) == place.head("core")


def test_a_lock_is_taken_over_from_the_run_that_left_it_and_from_no_other(bench: Bench) -> None:
    def take_over(run: int) -> Procedure:
        def run_(context: Context) -> object:
            return take_lock_from(context, run)

        return Procedure(f"after-{run}", Step("production-lock", "Lock", run_, type(None)), stuck())  # type: ignore[arg-type]

    start(bench, Procedure("release", plan, take_production_lock, stuck()))
    bench.say("operator", "!release abort broken --run 1")
    waiting = start(bench, take_over(7))
    assert bench.run(waiting.id).step("production-lock").state is StepState.WAITING
    taking = start(bench, take_over(1))
    assert bench.run(taking.id).step("production-lock").state is StepState.DONE
    assert bench.journal.recall("lock")["production"]["run"] == taking.id  # type: ignore[index,call-overload]


# ---- seeing it -------------------------------------------------------------------------------------------------


def test_status_shows_who_holds_production(bench: Bench) -> None:
    bench.say("manager-1", "!lock the database is being moved")
    bench.clock.forward(timedelta(minutes=5))
    bench.say("operator", "!status")
    shown = shown_status(bench)
    assert shown.title == "Nothing is running."
    assert shown.lines == ("Production is locked by manager-1, 09:00 UTC (5 min ago): the database is being moved",)


def test_status_names_the_run_that_holds_production(bench: Bench) -> None:
    start(bench, Procedure("release", take_production_lock, stuck()))
    bench.say("operator", "!status")
    assert shown_status(bench).lines[-1].startswith("Production is locked by operator's run 1, 09:00 UTC")


def shown_status(bench: Bench) -> Notice:
    bench.deliver()
    return next(one for one in reversed(bench.notices.values()) if one.title in {"Status", "Nothing is running."})


def test_the_other_rooms_are_told_who_locked_production_and_who_opened_it(bench: Bench) -> None:
    """The caller's own room has the reply."""
    other = Place("irc", "#kernelci")
    world = replace(bench.world, rooms=(ROOM, other))
    event = Incoming("1", EventKind.MESSAGE, ROOM, "operator", "operator", "", bench.clock.now())
    call = Call(bench.world.people.get("operator"), event, world, bench.engine)
    locked = locks.lock.handler(call, Reason("the database is being moved"))
    bench.journal.commit(locked.changes)
    opened = locks.unlock.handler(call)
    assert said(locked) == [
        (other, "operator locked production: no run changes it until !unlock.", ("the database is being moved",))
    ]
    shown = "production is locked by operator, 09:00 UTC (now): the database is being moved"
    assert said(opened) == [(other, "operator unlocked production.", (shown,))]


def said(outcome: Outcome) -> list[tuple[Place, str, tuple[str, ...]]]:
    return [
        (change.place, change.notice.title, change.notice.lines)
        for change in outcome.changes
        if isinstance(change, Say)
    ]


# ---- not forgetting it -----------------------------------------------------------------------------------------


class Looking:
    """A watcher over the bench's world."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.ports = bench.world.ports

    @property
    def now(self) -> datetime:
        return self.bench.clock.now()

    def settings(self, kind: type[S]) -> S:
        return self.bench.world.settings(kind)

    def recall(self, topic: str) -> Mapping[str, object]:
        return self.bench.journal.recall(topic)

    def say(self, key: str, notice: Notice) -> tuple[Change, ...]:
        return self.bench.world.everywhere(key, notice)

    def after(self, hours: float) -> Notice | None:
        self.bench.clock.forward(timedelta(hours=hours))
        changes = REMINDER.look(self)
        self.bench.journal.commit(changes)
        return next((change.notice for change in changes if isinstance(change, Say)), None)


def test_a_lock_by_hand_is_told_again_every_few_hours(place: Kernelci) -> None:
    bench = place.bench(locks, sections=[LockSettings(remind=timedelta(hours=3))])
    bench.say("operator", "!lock the database is being moved")
    look = Looking(bench)
    assert look.after(2.9) is None
    first = look.after(0.2)
    assert first
    assert first.title == "Production is locked for 3 h 06 min now, and no run is at work there"
    assert (
        first.lines[0] == "Production is locked by operator, 09:00 UTC (3 h 06 min ago): the database is being moved."
    )
    assert first.mentions == ("operator",)
    assert look.after(2.8) is None
    assert look.after(0.2)
    assert look.after(0) is None
    bench.say("operator", "!unlock")
    assert look.after(9) is None


def test_the_lock_of_a_run_at_work_is_told_only_when_it_was_aborted(bench: Bench) -> None:
    look = Looking(bench)
    start(bench, Procedure("release", plan, take_production_lock, stuck()))
    assert look.after(9) is None
    bench.say("operator", "!release abort broken")
    told = look.after(0)
    assert told
    assert "operator's run 1" in told.lines[0]


def test_a_span_of_nothing_is_no_flood(place: Kernelci) -> None:
    bench = place.bench(locks, sections=[LockSettings(remind=timedelta())])
    bench.say("operator", "!lock lunch")
    assert Looking(bench).after(0.01) is None
