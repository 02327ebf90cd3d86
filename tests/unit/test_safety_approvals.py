"""An effect needs a valid approval when it begins: not one that expired, was withdrawn or is stale."""

from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.access import People, Person
from kcibot.core.gate import Choice, GatePolicy
from kcibot.core.hours import MIDNIGHT, Hours
from kcibot.core.procedure import Context, Done, Gate, GateRequest, Needed, NotHappened, Preview, Procedure, Step
from kcibot.core.run import HoldKind, RunState, StepState
from kcibot.errors import PermanentError, TransientError, UserError
from tests.fakes.bench import PEOPLE, ROOM, Bench
from tests.fakes.toys import MANAGER, Target, decide, person, push, toy_bench, wait_for, with_people

HOUR = timedelta(hours=1)
SHORT = GatePolicy(role="release-manager", expires=2 * HOUR)
GO = Gate("go", "Go")


def forced(target: Target) -> Step[str]:
    asked = GateRequest("force", "Lose commits", Preview({"lost": ["a1"]}, ("a1 would be lost",)))
    return Step("push", "Push", push(target).run, str, asks=lambda _c: asked)


# ---- expiry ----------------------------------------------------------------------------------------------------


def test_a_vote_after_the_expiry_counts_for_nothing_even_if_the_run_was_held(tmp_path: Path) -> None:
    target = Target()
    room = toy_bench(tmp_path, GO, push(target), go=SHORT)
    room.say("operator", "!go")
    decide(room, lambda: room.engine.hold(room.run(), HoldKind.PAUSE, person(room, "operator"), "lunch"))
    room.clock.forward(3 * HOUR)
    room.react("manager-1", "run:1:gate:go:1")
    assert "expired" in room.replies()[-1]
    pauses = frozenset({HoldKind.PAUSE})
    decide(room, lambda: room.engine.release(room.run(), pauses, person(room, "operator")))
    assert (target.effects, room.run().step("go").state) == (0, StepState.WAITING)


def test_an_approval_that_expired_before_the_step_began_is_asked_for_again(tmp_path: Path) -> None:
    target = Target()
    room = toy_bench(tmp_path, GO, wait_for(3 * HOUR), push(target), go=SHORT)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:go:1")
    room.tick(4 * HOUR)
    assert target.effects == 0
    room.react("manager-1", "run:1:gate:go:2")
    assert (room.run().state, target.effects) == (RunState.SUCCEEDED, 1)


def test_an_approval_of_a_steps_own_gate_expires_too(tmp_path: Path) -> None:
    target = Target(broken=PermanentError("no"))
    room = toy_bench(tmp_path, forced(target), force=SHORT)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:force:push:1")
    assert room.run().state is RunState.FAILED
    target.broken = None
    room.clock.forward(3 * HOUR)
    decide(room, lambda: room.engine.retry(room.run(), "push", person(room, "operator")))
    assert target.effects == 0
    room.react("manager-1", "run:1:gate:force:push:2")
    assert target.effects == 1


class Release:
    """What a step would push, and what it pushed: looked at in the gate, kept by the step, refused while it is shut."""

    def __init__(self) -> None:
        self.commit, self.shut, self.pushed = "a", True, list[str]()

    def run(self, context: Context) -> Done[str]:
        commit = context.keep("commit", lambda: self.commit)

        def act() -> str:
            if self.shut:
                raise PermanentError("a hook refuses")
            self.pushed.append(commit)
            return commit

        return Done("pushed", context.effect("push", act, NotHappened))

    def preview(self, _context: Context) -> Preview:
        return Preview({"commit": self.commit})

    def asks(self, _context: Context) -> GateRequest:
        return GateRequest("force", "Force", Preview({"commit": self.commit}))


@pytest.mark.parametrize("own", [False, True], ids=["the gate before it", "its own gate"])
def test_what_a_step_kept_before_its_approval_was_void_is_looked_at_again(tmp_path: Path, own: bool) -> None:
    release = Release()
    step = Step("push", "Push", release.run, str, **({"asks": release.asks} if own else {"preview": release.preview}))  # type: ignore[arg-type]
    room = toy_bench(tmp_path, *([] if own else [GO]), step)
    gate = "force:push" if own else "go"
    room.say("operator", "!go")
    room.react("manager-1", f"run:1:gate:{gate}:1")
    assert room.run().state is RunState.FAILED
    release.commit, release.shut = "b", False
    decide(room, lambda: room.engine.retry(room.run(), "push", person(room, "operator")))
    assert release.pushed == []
    room.react("manager-1", f"run:1:gate:{gate}:2")
    assert (room.run().state, release.pushed) == (RunState.SUCCEEDED, ["b"])


def test_an_approval_for_production_hours_is_not_acted_upon_after_them(tmp_path: Path) -> None:
    target = Target()
    room = toy_bench(tmp_path, GO, wait_for(9 * HOUR), push(target), go=GatePolicy(hours=Hours()))
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:go:1")
    room.tick(10 * HOUR)
    assert target.effects == 0
    room.clock.forward(14 * HOUR)
    room.react("manager-1", "run:1:gate:go:2")
    assert target.effects == 1


def test_an_override_outside_production_hours_is_acted_upon(tmp_path: Path) -> None:
    target = Target()
    room = toy_bench(tmp_path, GO, push(target), go=GatePolicy(hours=Hours()))
    room.clock.forward(12 * HOUR)
    room.say("operator", "!go")
    ask = room.journal.open_asks()[0]
    decide(room, lambda: room.engine.vote(ask, person(room, "manager-2"), "console", Choice.OVERRIDE, "it burns"))
    assert target.effects == 1


def test_hours_that_go_on_behind_midnight_do_not_end_an_approval_there(tmp_path: Path) -> None:
    target = Target()
    always = Hours(frozenset(range(7)), MIDNIGHT, MIDNIGHT)
    room = toy_bench(tmp_path, GO, wait_for(20 * HOUR), push(target), go=GatePolicy(hours=always))
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:go:1")
    room.tick(21 * HOUR)
    assert target.effects == 1


# ---- withdrawal ------------------------------------------------------------------------------------------------


def test_a_vote_cannot_be_withdrawn_once_a_covered_step_is_done(tmp_path: Path) -> None:
    target = Target()
    room = toy_bench(tmp_path, GO, push(target), wait_for(HOUR), go=MANAGER)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:go:1")
    room.react("manager-1", "run:1:gate:go:1", removed=True)
    assert room.run().step("go").state is StepState.DONE
    assert "too late" in room.replies()[-1]


def test_a_vote_cannot_be_withdrawn_after_the_run_has_ended(tmp_path: Path) -> None:
    room = toy_bench(tmp_path, forced(Target()), force=MANAGER)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:force:push:1")
    assert room.run().state is RunState.SUCCEEDED
    room.react("manager-1", "run:1:gate:force:push:1", removed=True)
    assert room.run().state is RunState.SUCCEEDED


def test_a_vote_cannot_be_withdrawn_after_its_step_failed_half_way(tmp_path: Path) -> None:
    first, second = Target(), Target(broken=PermanentError("no"))

    def half(context: Context) -> None:
        context.effect("first", lambda: first.set("new"), NotHappened)

    room = toy_bench(tmp_path, GO, push(second, before=half), go=MANAGER)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:go:1")
    assert (room.run().state, first.effects) == (RunState.FAILED, 1)
    room.react("manager-1", "run:1:gate:go:1", removed=True)
    assert room.run().step("go").state is StepState.DONE


def test_a_withdrawn_approval_before_anything_began_closes_the_gate_again(tmp_path: Path) -> None:
    target = Target()
    room = toy_bench(tmp_path, GO, push(target), go=MANAGER)
    room.say("operator", "!go")
    decide(room, lambda: room.engine.hold(room.run(), HoldKind.HOLD, person(room, "operator"), "wait"))
    room.react("manager-1", "run:1:gate:go:1")
    assert room.run().step("go").state is StepState.DONE
    room.react("manager-1", "run:1:gate:go:1", removed=True)
    holds = frozenset({HoldKind.HOLD})
    decide(room, lambda: room.engine.release(room.run(), holds, person(room, "operator")))
    assert (target.effects, room.run().step("go").state) == (0, StepState.WAITING)


def test_taking_back_a_reaction_that_was_no_vote_is_not_worth_a_line(tmp_path: Path) -> None:
    room = toy_bench(tmp_path, GO, push(Target()), go=MANAGER)
    room.say("operator", "!go")
    room.react("observer", "run:1:gate:go:1", removed=True)
    assert room.replies() == []


# ---- skip, amend, abort, retry ---------------------------------------------------------------------------------


def test_a_vote_on_the_gate_of_a_step_that_was_skipped_does_not_run_it(tmp_path: Path) -> None:
    target = Target()
    room = toy_bench(tmp_path, forced(target), wait_for(HOUR), force=MANAGER)
    room.say("operator", "!go")
    decide(room, lambda: room.engine.skip(room.run(), "push", person(room, "operator"), "done by hand"))
    room.react("manager-1", "run:1:gate:force:push:1")
    assert (target.effects, room.run().step("push").state) == (0, StepState.SKIPPED)
    assert room.journal.open_asks() == ()


def test_an_amended_run_asks_again_for_a_steps_own_gate(tmp_path: Path) -> None:
    target = Target()
    room = toy_bench(tmp_path, forced(target), wait_for(HOUR), force=MANAGER)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:force:push:1")
    assert target.effects == 1
    target.value = "moved back by somebody"
    decide(room, lambda: room.engine.amend(room.run(), person(room, "operator")))
    assert target.effects == 1
    room.react("manager-1", "run:1:gate:force:push:2")
    assert target.effects == 2


def test_a_step_begun_anew_asks_again_for_its_own_gate(tmp_path: Path) -> None:
    target = Target()
    room = toy_bench(tmp_path, forced(target), wait_for(HOUR), force=MANAGER)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:force:push:1")
    decide(room, lambda: room.engine.retry(room.run(), "push", person(room, "operator")))
    assert target.effects == 1
    assert room.run().step("push").state is StepState.WAITING


def test_a_vote_on_an_ended_run_is_refused(tmp_path: Path) -> None:
    room = toy_bench(tmp_path, GO, push(Target()), go=MANAGER)
    room.say("operator", "!go")
    ask = room.journal.open_asks()[0]
    decide(room, lambda: room.engine.abort(room.run(), person(room, "operator"), "enough"))
    with pytest.raises(UserError):
        room.engine.vote(ask, person(room, "manager-1"), "console", Choice.APPROVE)


# ---- facts that move while a step is tried again ---------------------------------------------------------------


def test_facts_are_compared_again_when_a_failed_try_is_repeated(tmp_path: Path) -> None:
    target = Target(broken=TransientError("away"))
    room = toy_bench(tmp_path, GO, push(target), go=MANAGER)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:go:1")
    target.value, target.broken = "moved by somebody", None
    room.tick(timedelta(minutes=1))
    assert target.effects == 0
    assert room.run().step("go").state is StepState.WAITING


def test_facts_are_compared_again_when_the_bot_was_away_before_the_first_effect(tmp_path: Path) -> None:
    target = Target()
    room: Bench

    def paused(_context: object) -> None:
        operator = person(room, "operator")
        room.journal.commit(room.engine.hold(room.journal.run(1), HoldKind.PAUSE, operator, "lunch").changes)

    room = toy_bench(tmp_path, GO, push(target, before=paused), go=MANAGER)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:go:1")
    assert (room.run().step("push").state, target.effects) == (StepState.RUNNING, 0)
    target.value = "moved meanwhile"
    pauses = frozenset({HoldKind.PAUSE})
    decide(room, lambda: room.engine.release(room.run(), pauses, person(room, "operator")))
    assert (room.run().step("go").state, target.effects) == (StepState.WAITING, 0)


def test_a_step_that_wants_to_exit_fails_like_any_other(tmp_path: Path) -> None:
    def leave(_context: object) -> None:
        raise SystemExit(1)

    room = toy_bench(tmp_path, push(Target(), before=leave))
    room.say("operator", "!go")
    assert room.run().state is RunState.FAILED


# ---- people whose roles changed --------------------------------------------------------------------------------


def _without_manager_1() -> People:
    kept = [Person(p.id, frozenset({"observer"}) if p.id == "manager-1" else p.roles, p.identities) for p in PEOPLE]
    return People(kept, {"release-manager": frozenset({"operator"}), "operator": frozenset({"observer"})})


def test_a_vote_does_not_outlive_the_role_of_its_voter(tmp_path: Path) -> None:
    two = GatePolicy(role="release-manager", quorum=2)
    first = toy_bench(tmp_path, GO, push(Target()), go=two)
    first.say("operator", "!go")
    first.react("manager-1", "run:1:gate:go:1")
    second = with_people(first, _without_manager_1())
    second.react("manager-2", "run:1:gate:go:1")
    assert second.run().state is RunState.WAITING


def test_an_approval_does_not_outlive_the_role_of_its_voter(tmp_path: Path) -> None:
    target = Target()
    first = toy_bench(tmp_path, GO, wait_for(HOUR), push(target), go=MANAGER)
    first.say("operator", "!go")
    first.react("manager-1", "run:1:gate:go:1")
    second = with_people(first, _without_manager_1())
    second.tick(2 * HOUR)
    assert target.effects == 0
    second.react("manager-2", "run:1:gate:go:2")
    assert (second.run().state, target.effects) == (RunState.SUCCEEDED, 1)


@pytest.mark.parametrize(("starter", "voter"), [("operator", "manager-1"), ("manager-2", "manager-2")])
def test_only_break_glass_may_override_and_nobody_their_own_run(tmp_path: Path, starter: str, voter: str) -> None:
    room = toy_bench(tmp_path, GO, push(Target()), go=MANAGER)
    room.say(starter, "!go")
    ask = room.journal.open_asks()[0]
    with pytest.raises(UserError):
        room.engine.vote(ask, person(room, voter), "console", Choice.OVERRIDE, "hurry")


def test_a_prompt_that_too_few_may_approve_says_so_and_what_is_left(tmp_path: Path) -> None:
    room = toy_bench(tmp_path, GO, push(Target()), go=GatePolicy(quorum=2))
    room.say("manager-1", "!go")
    room.deliver()
    (field,) = [f for f in room.notices["run:1:gate:go:1"].fields if f.name == "Too few to approve it"]
    assert field.value == f"!approve {room.journal.open_asks()[0].code} --override REASON (manager-2)"


# ---- another version or configuration --------------------------------------------------------------------------


def test_a_gate_that_is_not_wanted_does_not_stop_what_follows(tmp_path: Path) -> None:
    target = Target()
    calm = Gate("go", "Go", when=lambda _c: Needed(needed=False, why="first revision"))
    room = toy_bench(tmp_path, calm, push(target), go=MANAGER)
    room.say("operator", "!go")
    assert (room.run().state, target.effects) == (RunState.SUCCEEDED, 1)


def test_gates_cover_what_they_covered_when_the_run_started(tmp_path: Path) -> None:
    one, two = Target(), Target()
    wait = wait_for(HOUR)
    later = Gate("later", "Later")
    room = toy_bench(tmp_path, GO, wait, push(one, "one"), push(two, "two"), later, go=MANAGER, later=MANAGER)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:go:1")
    items = room.world.registry.procedures["toy"].items
    room.world.registry.procedures["toy"] = Procedure("toy", items[0], items[1], items[2], items[4], items[3])
    room.tick(2 * HOUR)
    assert (one.effects, two.effects) == (1, 1)


def test_what_was_approved_is_compared_even_if_the_gate_has_moved_away_since(tmp_path: Path) -> None:
    target = Target()
    room = toy_bench(tmp_path, GO, wait_for(HOUR), push(target), go=MANAGER)
    room.say("operator", "!go")
    room.react("manager-1", "run:1:gate:go:1")
    go, wait, acting = room.world.registry.procedures["toy"].items
    room.world.registry.procedures["toy"] = Procedure("toy", wait, acting, go)
    target.value = "moved by somebody"
    room.tick(2 * HOUR)
    assert target.effects == 0


def test_a_run_of_a_procedure_that_is_gone_can_be_stopped_and_aborted(tmp_path: Path) -> None:
    room = toy_bench(tmp_path, GO, push(Target()), go=MANAGER)
    room.say("operator", "!go")
    del room.world.registry.procedures["toy"]
    decide(room, lambda: room.engine.hold(room.run(), HoldKind.STOP, person(room, "operator"), "stop"))
    decide(room, lambda: room.engine.abort(room.run(), person(room, "operator"), "renamed"))
    assert room.run().state is RunState.ABORTED


def test_a_run_of_a_procedure_that_is_gone_says_so(tmp_path: Path) -> None:
    room = toy_bench(tmp_path, wait_for(HOUR), push(Target()))
    room.say("operator", "!go")
    del room.world.registry.procedures["toy"]
    room.tick(2 * HOUR)
    assert room.run().state is RunState.FAILED


def test_a_run_has_the_steps_that_the_configuration_wants(tmp_path: Path) -> None:
    target, left_out = Target(), Target()
    full = Procedure("toy", push(left_out, "extra"), push(target), GO, push(Target(), "late"))
    room = toy_bench(tmp_path, *full.items)  # type: ignore[arg-type]
    room.world.registry.procedures["toy"] = full.reordered(("push",))
    decide(room, lambda: room.engine.start(full, person(room, "operator"), ROOM))
    assert ([step.id for step in room.run().steps], target.effects, left_out.effects) == (["push"], 1, 0)


@pytest.mark.parametrize("ids", [("push",), ("push", "go"), ("sure", "push", "go"), ("go", "sure", "push")])
def test_no_order_of_steps_takes_a_step_away_from_its_gate(ids: tuple[str, ...]) -> None:
    full = Procedure("toy", push(Target(), "before"), GO, push(Target()), Gate("sure", "Sure"))
    with pytest.raises(ValueError, match="push must stay between the gate go and the next"):
        full.reordered(ids)
    assert [item.id for item in full.reordered(("go", "push"))] == ["go", "push"]
