"""Steering runs by hand, and answering gates, in the words that people type."""

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.access import EVERYBODY
from kcibot.core.command import Outcome, Words, command
from kcibot.core.dispatch import Call
from kcibot.core.gate import GatePolicy
from kcibot.core.notice import Notice
from kcibot.core.procedure import Context, Done, Gate, NotHappened, Preview, Procedure, Step
from kcibot.core.registry import Registry
from kcibot.core.run import RunState, StepState
from kcibot.errors import OutcomeUnknown, PermanentError
from kcibot_commands import approvals, runs
from tests.fakes.bench import Bench, make_bench

GATE = "run:{}:gate:go:{}"


@dataclass
class Toys:
    """Steps that act on nothing but this."""

    done: list[str] = field(default_factory=list)
    trouble: dict[str, Exception] = field(default_factory=dict)

    def step(self, name: str) -> Step[str]:
        def act() -> str:
            if name in self.trouble:
                raise self.trouble[name]
            self.done.append(name)
            return name

        def run(context: Context) -> Done[str]:
            return Done(f"{name} is done", context.effect(name, act, self.cannot_see))

        return Step(
            name, name.capitalize(), run, str, preview=lambda _context: Preview({"what": name}, (f"do {name}",))
        )

    def cannot_see(self) -> NotHappened:
        raise PermanentError("nobody can see that")


@pytest.fixture
def toys() -> Toys:
    return Toys()


@pytest.fixture
def bench(tmp_path: Path, toys: Toys) -> Bench:
    registry = Registry()
    for module in (runs, approvals):
        registry.add(module)
    first, second = toys.step("first"), toys.step("second")
    release = Procedure("release", first, Gate("go", "Go"), second)
    plain = Procedure("plain", first, second)

    @command("start", role=EVERYBODY)
    def begin(call: Call, which: str, title: Words = ()) -> Outcome:
        """Start a toy."""
        return call.start(call.world.registry.procedure(which), " ".join(title))

    registry.commands["start"] = begin
    policies = {"go": GatePolicy(quorum=2)}
    return make_bench(tmp_path, release, plain, registry=registry, policies=policies)


def ask(bench: Bench, text: str, who: str = "operator") -> str:
    """Say it; the whole of the newest reply, empty if there is none."""
    bench.say(who, text)
    keys = [key for key in bench.deliver() if key.startswith("reply:")]
    if not keys:
        return ""
    notice = bench.notices[keys[-1]]
    return "\n".join((notice.title, *notice.lines))


def code(bench: Bench) -> str:
    (open_ask,) = bench.journal.open_asks()
    return open_ask.code


# ---- which run -------------------------------------------------------------------------------------------------


def test_without_a_run_people_are_told_where_to_look(bench: Bench) -> None:
    assert ask(bench, "!release status") == "Nothing is running. !release history lists what ran"
    assert ask(bench, "!status") == "Nothing is running."
    assert ask(bench, "!release history") == "There has been no run yet"


def test_the_release_is_meant_when_other_runs_are_open_too(bench: Bench, toys: Toys) -> None:
    toys.trouble["first"] = PermanentError("no")
    bench.say("operator", "!start plain Other work")
    del toys.trouble["first"]
    bench.say("operator", "!start release Release of today")
    bench.say("operator", "!release pause lunch")
    assert bench.run(2).state is RunState.PAUSED
    assert bench.run(1).holds == ()


def test_among_several_runs_one_must_be_named(bench: Bench, toys: Toys) -> None:
    toys.trouble["first"] = PermanentError("no")
    bench.say("operator", "!start plain One")
    bench.say("operator", "!start plain Two")
    assert ask(bench, "!release abort enough") == "Which run? Add --run N: 1 (One) and 2 (Two)"
    bench.say("operator", "!release abort enough --run 2")
    assert (bench.run(1).state, bench.run(2).state) == (RunState.FAILED, RunState.ABORTED)


def test_a_run_that_is_not_there_or_has_ended_cannot_be_steered(bench: Bench) -> None:
    bench.say("operator", "!start plain One")
    assert ask(bench, "!release pause lunch --run 9") == "There is no run 9."
    assert ask(bench, "!release pause lunch --run 1") == "One has ended: succeeded"
    assert ask(bench, "!release pause lunch --run one").startswith("RUN: “one” is no number. Usage: !release pause")


def test_a_run_that_has_ended_can_still_be_looked_at(bench: Bench) -> None:
    bench.say("operator", "!start plain One")
    assert ask(bench, "!release status --run 1", "observer").startswith("One · succeeded")


def test_the_history_lists_newest_first_with_how_each_ended(bench: Bench, toys: Toys) -> None:
    bench.say("operator", "!start plain One")
    toys.trouble["first"] = PermanentError("no")
    bench.say("manager-1", "!start plain Two")
    bench.say("operator", "!release abort enough of it")
    title, newest, oldest = ask(bench, "!release history").splitlines()
    assert title == "Runs, newest first"
    assert newest == "2. 23 Nov 09:00 UTC Two, by manager-1: aborted by operator: enough of it, 0 s"
    assert oldest == "1. 23 Nov 09:00 UTC One, by operator: succeeded, 0 s"
    assert ask(bench, "!release history 0").count("\n") == 1


# ---- steering --------------------------------------------------------------------------------------------------


def test_a_failed_step_is_tried_again_without_being_named(bench: Bench, toys: Toys) -> None:
    toys.trouble["second"] = PermanentError("the disk is full")
    bench.say("operator", "!start plain One")
    assert bench.run().step("second").state is StepState.FAILED
    del toys.trouble["second"]
    bench.say("operator", "!release retry")
    assert bench.run().state is RunState.SUCCEEDED
    assert toys.done == ["first", "second"]


def test_retry_without_a_broken_step_asks_which(bench: Bench) -> None:
    bench.say("operator", "!start release One")
    bench.say("operator", "!release retry third")
    assert "One has no step third. Its steps: first, go and second" in bench.replies()[-1]


def test_what_was_unknown_is_done_again_only_on_a_persons_word(bench: Bench, toys: Toys) -> None:
    toys.trouble["second"] = OutcomeUnknown("the answer was lost")
    bench.say("operator", "!start plain One")
    assert bench.run().step("second").state is StepState.UNKNOWN
    del toys.trouble["second"]
    bench.say("operator", "!release retry")
    assert bench.run().step("second").state is StepState.UNKNOWN
    assert toys.done == ["first"]
    bench.say("operator", "!release retry second --not-done")
    assert bench.run().state is RunState.SUCCEEDED
    assert toys.done == ["first", "second"]


def test_a_step_that_was_done_by_hand_is_skipped_with_a_reason(bench: Bench, toys: Toys) -> None:
    toys.trouble["first"] = PermanentError("no")
    bench.say("operator", "!start plain One")
    assert ask(bench, "!release skip first") == "Why? Say it in one line, and I go on."
    bench.say("operator", "I did it by hand")
    assert bench.run().step("first").text == "skipped by operator: I did it by hand"
    assert bench.run().state is RunState.SUCCEEDED
    assert toys.done == ["second"]


def test_a_gate_is_not_skipped(bench: Bench) -> None:
    bench.say("operator", "!start release One")
    assert ask(bench, "!release skip go no time").startswith("“Go” is a gate: approve it")


def test_an_aborted_run_says_what_was_done(bench: Bench) -> None:
    bench.say("operator", "!start release One")
    bench.say("operator", "!release abort a boot regression")
    said = [notice for notice in _said(bench) if notice.title == "One aborted by operator: a boot regression"]
    assert [notice.lines for notice in said] == [("Done: First.",)]
    assert bench.journal.open_asks() == ()


def _said(bench: Bench) -> list[Notice]:
    bench.deliver()
    return list(bench.notices.values())


def test_a_pause_and_its_end(bench: Bench, toys: Toys) -> None:
    bench.say("operator", "!start release One")
    bench.say("operator", "!release pause lunch")
    for who in ("manager-1", "manager-2"):
        bench.react(who, GATE.format(1, 1))
    assert (bench.run().state, toys.done) == (RunState.PAUSED, ["first"])
    assert "pause by operator: lunch" in ask(bench, "!release status")
    assert ask(bench, "!release continue") == "One goes on"
    assert (bench.run().state, toys.done) == (RunState.SUCCEEDED, ["first", "second"])
    assert ask(bench, "!release continue") == "Nothing is running. !release history lists what ran"


def test_an_observer_may_hold_and_an_operator_lifts_it(bench: Bench) -> None:
    bench.say("operator", "!start release One")
    bench.say("observer", "!hold wait for me")
    assert bench.run().state is RunState.PAUSED
    assert "One stands still, hold by observer: wait for me (!unhold lifts it)" in bench.deliver().values()
    assert "!unhold needs the role operator" in ask(bench, "!unhold", "observer")
    assert ask(bench, "!unhold") == "One goes on"
    assert bench.run().state is RunState.WAITING
    assert ask(bench, "!unhold") == "One is not held"


def test_stop_ends_all_runs_at_once_and_says_what_is_in_flight(tmp_path: Path) -> None:
    registry = Registry()
    registry.add(runs)
    entered, stopped = threading.Event(), threading.Event()

    def run(context: Context) -> Done[None]:
        def act() -> None:
            entered.set()
            assert context.cancellation.wait(20.0), "the action was not told to stop"
            stopped.set()

        context.effect("a long push", act, NotHappened)
        return Done("pushed", None)

    long = Procedure("long", Step("push", "Long push", run, type(None)))
    bench = make_bench(tmp_path, long, registry=registry)
    with bench.world.lock:
        outcome = bench.engine.start(long, bench.world.people.get("operator"), bench.world.rooms[0])
        bench.journal.commit(outcome.changes)
    bench.engine.wake(outcome.wake)
    assert entered.wait(20.0)
    bench.say("operator", "!stop")
    assert stopped.is_set()
    (notice,) = [n for n in _said(bench) if n.title.startswith("Stopped by operator. !release continue goes on.")]
    assert "in flight: a long push" in notice.lines[0]


def test_stop_without_a_run_says_so(bench: Bench) -> None:
    assert ask(bench, "!stop") == "Nothing is running."


def test_the_status_lists_runs_and_what_waits_for_an_answer(bench: Bench) -> None:
    bench.say("operator", "!start release One")
    said = ask(bench, "!status", "stranger")
    assert "1. One waiting: Go" in said
    assert f"“Go” waits for an answer: !approve {code(bench)}" in said


# ---- answers ---------------------------------------------------------------------------------------------------


def test_a_code_approves_like_a_reaction_and_may_carry_words(bench: Bench) -> None:
    bench.say("operator", "!start release One")
    bench.say("manager-1", f"!approve {code(bench)} looks good, don't wait")
    bench.say("manager-2", f"!approve {code(bench).upper()}")
    assert bench.run().state is RunState.SUCCEEDED
    assert bench.run().step("go").text == "by manager-1 and manager-2"


def test_a_rejection_says_why_and_retry_asks_again(bench: Bench) -> None:
    bench.say("operator", "!start release One")
    assert ask(bench, f"!reject {code(bench)}", "manager-1") == "Why? Say it in one line, and I go on."
    bench.say("manager-1", "the tag is missing a fix")
    assert bench.run().step("go").text == "rejected by manager-1: the tag is missing a fix"
    bench.say("operator", "!release retry")
    assert bench.run().step("go").state is StepState.WAITING


def test_a_vote_is_taken_back_as_long_as_nothing_began(bench: Bench) -> None:
    bench.say("operator", "!start release One")
    bench.say("manager-1", f"!approve {code(bench)}")
    bench.say("manager-1", f"!withdraw {code(bench)}")
    bench.say("manager-2", f"!approve {code(bench)}")
    assert bench.run().state is RunState.WAITING
    assert ask(bench, f"!withdraw {code(bench)}") == "You have no vote there to withdraw"


def test_a_wrong_code_is_answered_with_those_that_wait(bench: Bench) -> None:
    assert ask(bench, "!approve abcdef") == "No prompt has the code abcdef. Nothing waits for an answer"
    bench.say("operator", "!start release One")
    said = ask(bench, "!approve 000000", "manager-1")
    assert said == f"No prompt has the code 000000. Waiting for an answer: {code(bench)} (Go)"
    assert ask(bench, f"!approve {code(bench)[:3]}", "manager-1").startswith("No prompt has the code")


def test_breaking_the_glass_takes_the_role_and_a_reason_in_plain_words(bench: Bench) -> None:
    bench.say("operator", "!start release One")
    said = ask(bench, f"!approve {code(bench)} --override the database is down", "manager-1")
    assert said == "An override is for people with the role break-glass"
    said = ask(bench, f"!approve {code(bench)} --override", "manager-2")
    assert said == f"An override needs a reason: !approve {code(bench)} --override REASON"
    bench.say("manager-2", f"!approve {code(bench)} --override the database is down")
    assert bench.run().state is RunState.SUCCEEDED
    titles = [notice.title for notice in _said(bench)]
    assert "manager-2 overrides the approval of “Go”: the database is down" in titles


def test_a_run_that_only_answers_and_fails_leaves_nothing_to_steer(tmp_path: Path) -> None:
    registry = Registry()
    registry.add(runs)

    def run(_context: Context) -> Done[None]:
        raise PermanentError("the registry is closed")

    look = Procedure("look", Step("show", "Shown", run, type(None)), card=False)
    bench = make_bench(tmp_path, look, registry=registry)
    with bench.world.lock:
        outcome = bench.engine.start(look, bench.world.people.get("operator"), bench.world.rooms[0])
        bench.journal.commit(outcome.changes)
    bench.engine.wake(outcome.wake)
    bench.settle()
    assert "the registry is closed" in bench.deliver().values()
    assert ask(bench, "!status") == "Nothing is running."


def test_a_paused_run_goes_on_after_a_restart_only_when_told(bench: Bench, toys: Toys, tmp_path: Path) -> None:
    bench.say("operator", "!start release One")
    bench.say("operator", "!release pause lunch")
    bench.journal.close()
    second = make_bench(
        tmp_path,
        *bench.world.registry.procedures.values(),
        registry=bench.world.registry,
        policies=bench.world.policies,
    )
    second.events = 100
    second.engine.resume()
    second.tick(timedelta(hours=1))
    assert (second.run().state, toys.done) == (RunState.PAUSED, ["first"])
