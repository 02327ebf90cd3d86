"""How runs are driven: waits, failures, approvals, restarts. The store is real; steps are toys."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.access import EVERYBODY, Person
from kcibot.core.command import Outcome, Reason, command
from kcibot.core.dispatch import Call
from kcibot.core.gate import GatePolicy, StarterVote
from kcibot.core.message import EventKind, Incoming, Place
from kcibot.core.notice import Notice
from kcibot.core.procedure import (
    Context,
    Done,
    Gate,
    GateRequest,
    Happened,
    Needed,
    NotHappened,
    Preview,
    Procedure,
    Step,
    Wait,
)
from kcibot.core.registry import Registry
from kcibot.core.run import HoldKind, RunState, StepState
from kcibot.errors import OutcomeUnknown, PermanentError, TransientError
from tests.fakes.bench import Bench, HandClock, make_bench
from tests.fakes.second_network import two_networks

MANAGER = GatePolicy(role="release-manager", quorum=1)


@dataclass
class Target:
    """A piece of the outside world: what is there, and every effect that it saw."""

    value: str = "old"
    effects: int = 0
    broken: Exception | None = None
    lost_answer: bool = False

    def set(self, value: str) -> str:
        if self.broken:
            raise self.broken
        self.effects += 1
        self.value = value
        if self.lost_answer:
            raise OutcomeUnknown("the answer was lost")
        return value


def push(target: Target, new: str = "new", step_id: str = "push") -> Step[str]:
    def run(context: Context) -> Done[str]:
        value = context.effect(
            "set the value",
            lambda: target.set(new),
            lambda: Happened(target.value) if target.value == new else NotHappened(),
        )
        return Done(f"it is {value} now", value)

    return Step(
        step_id,
        "Set the value",
        run,
        str,
        preview=lambda _context: Preview({"old": target.value, "new": new}, (f"{target.value} -> {new}",)),
    )


def registry() -> Registry:
    found = Registry()

    @command("go", role="operator")
    def go(call: Call) -> Outcome:
        """Start the toy."""
        return call.start(call.world.registry.procedure("toy"))

    @command("hold", role="observer")
    def hold(_call: Call, reason: Reason) -> Outcome:
        """Say why."""
        return Outcome(Notice(f"held: {reason}"))

    @command("hello", role=EVERYBODY)
    def hello(_call: Call) -> Outcome:
        """Say hello."""
        return Outcome(Notice("hello there"))

    for spec in (go, hold, hello):
        found.commands[spec.name] = spec
    return found


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def bench(folder: Path, *items: Step[str] | Gate, clock: HandClock, **policies: GatePolicy) -> Bench:
    return make_bench(folder, Procedure("toy", *items), registry=registry(), policies=policies, clock=clock)


def test_a_run_without_gates_goes_through_at_once(tmp_path: Path, clock: HandClock) -> None:
    target = Target()
    room = bench(tmp_path, push(target), clock=clock)
    room.say("operator", "!go")
    run = room.run()
    assert (run.state, run.step("push").text) == (RunState.SUCCEEDED, "it is new now")
    assert target.effects == 1


def test_a_gate_waits_for_its_approvers_and_nobody_else(tmp_path: Path, clock: HandClock) -> None:
    target = Target()
    room = bench(tmp_path, Gate("go", "Go"), push(target), clock=clock, go=MANAGER)
    room.say("operator", "!go")
    assert room.run().state is RunState.WAITING
    room.react("operator", "run:1:gate:go:1")
    assert room.run().state is RunState.WAITING
    assert any("only a release-manager" in line.lower() for line in room.replies())
    room.react("manager-1", "run:1:gate:go:1")
    assert room.run().state is RunState.SUCCEEDED
    assert room.run().step("go").text == "by manager-1"


def test_the_starter_may_not_approve_their_own_run(tmp_path: Path, clock: HandClock) -> None:
    room = bench(tmp_path, Gate("go", "Go"), push(Target()), clock=clock, go=MANAGER)
    room.say("manager-1", "!go")
    room.react("manager-1", "run:1:gate:go:1")
    assert room.run().state is RunState.WAITING
    room.react("manager-2", "run:1:gate:go:1")
    assert room.run().state is RunState.SUCCEEDED


def test_a_person_counts_once_on_however_many_networks(tmp_path: Path) -> None:
    two = GatePolicy(role="release-manager", quorum=2, starter=StarterVote.ALLOWED)
    room, _ = two_networks(tmp_path, Gate("go", "Go"), push(Target()), go=two)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:go:1")
    room.react("m1", "run:1:gate:go:1", network="irc")
    assert room.run().state is RunState.WAITING
    room.react("manager-2", "run:1:gate:go:1", name="white_check_mark::skin-tone-2")
    assert room.run().state is RunState.SUCCEEDED


def test_an_approval_is_void_when_a_fact_moved_before_the_step_acted(tmp_path: Path, clock: HandClock) -> None:
    target = Target()
    wait = Step("wait", "Wait", lambda c: _wait_once(c, timedelta(hours=1)), str)
    room = bench(tmp_path, Gate("go", "Go"), wait, push(target), clock=clock, go=MANAGER)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:go:1")
    target.value = "moved by somebody"
    room.tick(timedelta(hours=2))
    assert target.effects == 0
    assert room.run().step("go").state is StepState.WAITING
    assert any("void" in title for title in room.deliver().values())
    room.react("manager-1", "run:1:gate:go:1")
    assert room.run().state is RunState.WAITING, "a vote on the old prompt counts for nothing"
    room.react("manager-2", "run:1:gate:go:2")
    assert room.run().state is RunState.SUCCEEDED
    assert target.effects == 1


def test_a_vote_withdrawn_before_the_step_starts_is_no_vote(tmp_path: Path, clock: HandClock) -> None:
    two = GatePolicy(role="release-manager", quorum=2)
    room = bench(tmp_path, Gate("go", "Go"), push(Target()), clock=clock, go=two)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:go:1")
    room.react("manager-1", "run:1:gate:go:1", removed=True)
    room.react("manager-2", "run:1:gate:go:1")
    assert room.run().state is RunState.WAITING


def test_a_rejection_stops_there_and_retry_asks_again(tmp_path: Path, clock: HandClock) -> None:
    target = Target()
    room = bench(tmp_path, Gate("go", "Go"), push(target), clock=clock, go=MANAGER)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:go:1", name="-1")
    assert room.run().state is RunState.FAILED
    _commit(room, room.engine.retry(room.run(), "go", _person(room, "operator")))
    room.react("manager-1", "run:1:gate:go:2")
    assert room.run().state is RunState.SUCCEEDED
    assert target.effects == 1


def test_an_unanswered_gate_expires_and_asks_again(tmp_path: Path, clock: HandClock) -> None:
    policy = GatePolicy(role="release-manager", expires=timedelta(hours=2))
    room = bench(tmp_path, Gate("go", "Go"), push(Target()), clock=clock, go=policy)
    room.say("operator", "!go")
    room.tick(timedelta(hours=3))
    assert room.run().step("go").state is StepState.WAITING
    room.react("manager-1", "run:1:gate:go:1")
    assert room.run().state is RunState.WAITING
    room.react("manager-1", "run:1:gate:go:2")
    assert room.run().state is RunState.SUCCEEDED


def test_a_gate_nobody_answers_is_reminded_of(tmp_path: Path, clock: HandClock) -> None:
    room = bench(tmp_path, Gate("go", "Go"), push(Target()), clock=clock, go=MANAGER)
    room.say("operator", "!go")
    room.deliver()
    room.tick(timedelta(hours=5))
    assert any("still waits" in title for title in room.deliver().values())
    room.tick(timedelta(minutes=5))
    assert not any("still waits" in title for title in room.deliver().values())


def test_a_wait_holds_no_thread_and_keeps_its_memory(tmp_path: Path, clock: HandClock) -> None:
    def count(context: Context) -> Done[str] | Wait:
        seen = int(str(context.memory or 0)) + 1
        if seen < 3:
            return Wait(context.clock.now() + timedelta(minutes=1), f"look {seen}", seen)
        return Done(f"{seen} looks", "ok")

    room = bench(tmp_path, Step("count", "Count", count, str), clock=clock)
    room.say("operator", "!go")
    room.tick(timedelta(seconds=30))
    assert room.run().step("count").text == "look 1"
    room.tick(timedelta(seconds=30))
    room.tick(timedelta(minutes=1))
    assert room.run().step("count").text == "3 looks"


def test_a_passing_error_is_tried_again_and_a_lasting_one_is_not(tmp_path: Path, clock: HandClock) -> None:
    target = Target(broken=TransientError("the server is away"))
    room = bench(tmp_path, push(target), clock=clock)
    room.say("operator", "!go")
    assert "I try again" in room.run().step("push").text
    target.broken = PermanentError("the server says no")
    room.tick(timedelta(seconds=11))
    assert (room.run().state, room.run().step("push").text) == (RunState.FAILED, "the server says no")
    target.broken = None
    _commit(room, room.engine.retry(room.run(), "push", _person(room, "operator")))
    assert room.run().state is RunState.SUCCEEDED
    assert target.effects == 1


def test_a_lost_answer_is_settled_by_looking(tmp_path: Path, clock: HandClock) -> None:
    target = Target(lost_answer=True)
    room = bench(tmp_path, push(target), clock=clock)
    room.say("operator", "!go")
    assert room.run().state is RunState.SUCCEEDED
    assert target.effects == 1


def test_what_cannot_be_seen_is_unknown_and_people_decide(tmp_path: Path, clock: HandClock) -> None:
    target = Target(lost_answer=True)

    def blind() -> Happened[str]:
        raise TransientError("I cannot see it")

    step = Step("push", "Push", lambda c: Done("", c.effect("set", lambda: target.set("new"), blind)), str)
    room = bench(tmp_path, step, clock=clock)
    room.say("operator", "!go")
    assert room.run().state is RunState.UNKNOWN
    _commit(room, room.engine.retry(room.run(), "push", _person(room, "operator")))
    assert room.run().state is RunState.UNKNOWN
    assert target.effects == 1, "not knowing is not a no"
    target.lost_answer = False
    _commit(room, room.engine.retry(room.run(), "push", _person(room, "operator"), not_done=True))
    assert room.run().state is RunState.SUCCEEDED
    assert target.effects == 2


def test_a_killed_bot_goes_on_where_it_was(tmp_path: Path, clock: HandClock) -> None:
    target = Target()
    first = bench(tmp_path, Gate("go", "Go"), push(target), clock=clock, go=MANAGER)
    first.say("operator", "!go")
    first.journal.close()
    second = bench(tmp_path, Gate("go", "Go"), push(target), clock=clock, go=MANAGER)
    second.events = 100
    second.engine.resume()
    second.react("manager-1", "run:1:gate:go:1")
    assert second.run().state is RunState.SUCCEEDED
    assert target.effects == 1


def test_a_step_may_ask_for_a_gate_of_its_own(tmp_path: Path, clock: HandClock) -> None:
    target = Target()
    plain = push(target)
    forced = Step(
        "push",
        "Push",
        plain.run,
        str,
        asks=lambda _c: GateRequest("force", "Lose commits", Preview({"lost": ["a1"]}, ("a1 would be lost",))),
    )
    room = bench(tmp_path, forced, clock=clock, force=MANAGER)
    room.say("operator", "!go")
    assert target.effects == 0
    room.react("manager-1", "run:1:gate:force:push:1")
    assert room.run().state is RunState.SUCCEEDED
    assert target.effects == 1


def test_a_step_that_is_not_needed_says_why_and_its_gate_does_not_ask(tmp_path: Path, clock: HandClock) -> None:
    idle = Step("push", "Push", push(Target()).run, str, needed=lambda _c: Needed(needed=False, why="nothing changed"))
    room = bench(tmp_path, Gate("go", "Go"), idle, clock=clock, go=MANAGER)
    room.say("operator", "!go")
    assert room.run().state is RunState.SUCCEEDED
    assert [step.state for step in room.run().steps] == [StepState.NOT_NEEDED, StepState.NOT_NEEDED]


def test_a_missing_reason_is_asked_for_in_the_next_line(tmp_path: Path, clock: HandClock) -> None:
    room = bench(tmp_path, push(Target()), clock=clock)
    room.say("observer", "!hold")
    room.say("operator", "not me")
    room.say("observer", "the lab's down")
    assert room.replies() == ["Why? Say it in one line, and I go on.", "held: the lab's down"]


def test_unknown_words_get_the_nearest_match_and_usage(tmp_path: Path, clock: HandClock) -> None:
    room = bench(tmp_path, push(Target()), clock=clock)
    room.say("observer", "!helo")
    room.say("observer", "!hello there")
    room.say("observer", "kcibot: hello")
    room.say("observer", "!go")
    replies = room.replies()
    assert "Did you mean !hello" in replies[0]
    assert "Usage: !hello" in replies[1]
    assert replies[2] == "hello there"
    assert replies[3] == "!go needs the role operator (operator, manager-1 and manager-2)"


def test_the_same_event_is_handled_once(tmp_path: Path, clock: HandClock) -> None:
    target = Target()
    room = bench(tmp_path, push(target), clock=clock)
    room.say("operator", "!go")
    room.events = 0
    before = len(room.journal.runs(10))
    event_was_new = room.journal.accept(_same_event(room))
    assert not event_was_new
    assert len(room.journal.runs(10)) == before


def _same_event(room: Bench) -> Incoming:
    return Incoming(
        f"{room.clock.at.isoformat()}-1",
        EventKind.MESSAGE,
        Place("console", "#kernelci"),
        "operator",
        "operator",
        "!go",
        room.clock.now(),
    )


def _wait_once(context: Context, span: timedelta) -> Done[str] | Wait:
    if context.memory:
        return Done("waited", "ok")
    return Wait(context.clock.now() + span, "waiting", "begun")


def _person(room: Bench, name: str) -> Person:
    return room.world.people.get(name)


def _commit(room: Bench, outcome: Outcome) -> None:
    with room.world.lock:
        room.journal.commit(outcome.changes)
    room.engine.wake(outcome.wake)
    room.settle()


def test_an_expired_gate_of_a_step_is_asked_again_and_nothing_is_done(tmp_path: Path, clock: HandClock) -> None:
    target = Target()
    asked = GateRequest("force", "Lose commits", Preview({"lost": ["a1"]}, ("a1 would be lost",)))
    forced = Step("push", "Push", push(target).run, str, asks=lambda _c: asked)
    policy = GatePolicy(role="release-manager", expires=timedelta(hours=2))
    room = bench(tmp_path, forced, clock=clock, force=policy)
    room.say("operator", "!go")
    room.tick(timedelta(hours=3))
    assert target.effects == 0
    room.react("manager-1", "run:1:gate:force:push:1")
    assert target.effects == 0, "the old prompt counts for nothing"
    room.react("manager-1", "run:1:gate:force:push:2")
    assert (room.run().state, target.effects) == (RunState.SUCCEEDED, 1)


def test_a_step_that_became_needed_after_its_gate_is_asked_about(tmp_path: Path, clock: HandClock) -> None:
    target, wanted = Target(), {"now": False}
    late = Step(
        "push",
        "Push",
        push(target).run,
        str,
        needed=lambda _c: Needed(wanted["now"], "nothing to do"),
        preview=lambda _c: Preview({"new": "new"}, ("new",)),
    )
    wait = Step("wait", "Wait", lambda c: _wait_once(c, timedelta(hours=1)), str)
    room = bench(tmp_path, Gate("go", "Go"), wait, late, clock=clock, go=MANAGER)
    room.say("operator", "!go")
    assert room.run().step("go").state is StepState.NOT_NEEDED
    wanted["now"] = True
    room.tick(timedelta(hours=2))
    assert target.effects == 0
    room.react("manager-1", "run:1:gate:go:1")
    assert (room.run().state, target.effects) == (RunState.SUCCEEDED, 1)


def test_a_run_that_only_answers_ends_with_its_error(tmp_path: Path, clock: HandClock) -> None:
    def fail(_context: Context) -> Done[str]:
        raise TransientError("Jenkins does not answer")

    toy = Procedure("toy", Step("look", "Look", fail, str), card=False)
    room = make_bench(tmp_path, toy, registry=registry(), clock=clock)
    room.say("observer", "!go")
    room.say("operator", "!go")
    assert room.run().ended
    assert "Jenkins does not answer" in room.deliver().values()


def test_a_paused_run_stands_still_between_two_effects(tmp_path: Path, clock: HandClock) -> None:
    first, second = Target(), Target()
    room: Bench

    def both(context: Context) -> Done[str]:
        context.effect("first", lambda: first.set("new"), NotHappened)
        if second.value == "old":
            outcome = room.engine.hold(room.journal.run(1), HoldKind.PAUSE, _person(room, "operator"), "lunch")
            room.journal.commit(outcome.changes)
        context.effect("second", lambda: second.set("new"), NotHappened)
        return Done("both", "ok")

    room = bench(tmp_path, Step("both", "Both", both, str), clock=clock)
    room.say("operator", "!go")
    assert (room.run().state, first.effects, second.effects) == (RunState.PAUSED, 1, 0)
    room.tick(timedelta(hours=1))
    assert second.effects == 0
    holds = frozenset({HoldKind.PAUSE})
    with room.world.lock:
        released = room.engine.release(room.run(), holds, _person(room, "operator"))
    second.value = "lunch is over"
    _commit(room, released)
    assert (room.run().state, first.effects, second.effects) == (RunState.SUCCEEDED, 1, 1)
