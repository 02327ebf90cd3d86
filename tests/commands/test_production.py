"""Production branches are pushed exactly, once, by a lease, and read back."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kcibot.core.gate import GatePolicy
from kcibot.core.journal import EffectState
from kcibot.core.ports import GitRemote
from kcibot.core.procedure import Context, Done, Gate, Procedure, Step
from kcibot.core.run import Run, RunState, StepState
from kcibot_commands import runs
from kcibot_commands.plan.steps import plan
from kcibot_commands.production import (
    Pushed,
    open_production,
    push_branch,
    push_core,
    take_production_lock,
)
from kcibot_commands.tags import create_tags
from tests.fakes.kernelci_bench import (
    PRODUCTION,
    Followed,
    Kernelci,
    Preceded,
    alerts,
    kernelci,
    killed,
    lines,
    lost_answer,
    result,
    revive,
    start,
    stuck,
    with_ports,
)

AT_ONCE = Procedure("release", plan, push_core)
GATED = Procedure("release", plan, Gate("go", "Update production"), push_core)
TAG = "kernelci-20261123"
GO = "run:1:gate:go:1"
FORCE = "run:1:gate:force:push-core:1"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


def step(run: Run, step_id: str = "push-core") -> tuple[StepState, str]:
    return run.step(step_id).state, run.step(step_id).text


# ---- pushes ----------------------------------------------------------------------------------------------------


def test_the_production_branch_becomes_exactly_the_frozen_commit(place: Kernelci) -> None:
    bench = place.bench()
    old, new = place.head("core", PRODUCTION), place.head("core")
    run = start(bench, GATED)
    place.commit("core", {"README.md": "later\n"}, "later")
    bench.react("manager-1", GO)
    assert bench.run().state is RunState.SUCCEEDED
    assert place.head("core", PRODUCTION) == new
    assert result(bench, run, push_core) == Pushed("core", old, new)
    assert step(bench.run())[1] == f"{old[:10]} -> {new[:10]}"


def test_the_gate_shows_old_and_new_commit_and_the_tag(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, GATED)
    old, new = place.head("core", PRODUCTION)[:10], place.head("core")[:10]
    assert f"core: kernelci.org {old} -> {new} (kernelci-20261123)" in lines(bench, GO)


def test_an_unchanged_component_is_not_pushed(place: Kernelci) -> None:
    place.git("core", "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")
    place.hook("core", "pre-receive", "exit 1")
    state, text = step(start(place.bench(), AT_ONCE))
    assert (state, text.startswith("core unchanged since")) == (StepState.NOT_NEEDED, True)


def test_a_branch_moved_by_somebody_after_the_approval_is_left_alone(place: Kernelci) -> None:
    bench = place.bench(runs)
    start(bench, GATED)
    moved = place.commit("core", {"HOTFIX": "by hand\n"}, "hotfix by hand", branch=PRODUCTION)
    bench.react("manager-1", GO)
    state, text = step(bench.run())
    assert state is StepState.FAILED
    assert f"core's kernelci.org is at {moved[:10]}" in text
    assert "somebody moved it, and nothing was pushed. !release amend plans anew with what is there" in text
    assert place.head("core", PRODUCTION) == moved
    bench.say("operator", "!release amend")
    assert "would be lost" in lines(bench, "run:1:gate:go:2") or "loses" in lines(bench, "run:1:gate:go:2")


def bare_push() -> Step[Pushed]:
    """The push as it is between the last look and the server's answer: without its preview."""

    def run(context: Context) -> Done[Pushed]:
        return Done("pushed", push_branch(context, "core"))

    return Step("push-core", "Core production branch", run, Pushed, after=(plan,))


def test_a_branch_that_moves_in_the_last_moment_is_refused_by_the_lease(place: Kernelci) -> None:
    late = "if [ ! -e late ]; then touch late; git update-ref refs/heads/kernelci.org refs/heads/main~1; fi"
    place.hook("core", "pre-receive", f"unset GIT_QUARANTINE_PATH; {late}")
    state, text = step(start(place.bench(), Procedure("release", plan, bare_push())))
    assert state is StepState.FAILED
    assert "core: nothing was pushed" in text
    assert place.head("core", PRODUCTION) == place.git("core", "rev-parse", "main~1")


def test_a_server_that_takes_the_push_and_shows_something_else_is_not_believed(place: Kernelci) -> None:
    old = place.head("core", PRODUCTION)
    place.hook("core", "post-receive", f"git update-ref refs/heads/kernelci.org {old}")
    bench = place.bench()
    state, text = step(start(bench, AT_ONCE))
    assert state is StepState.UNKNOWN
    assert f"was pushed to {place.head('core')[:10]}, but the server shows at {old[:10]}" in text
    assert "Look for yourselves" in alerts(bench)


def test_a_push_whose_answer_was_lost_is_found_by_looking(place: Kernelci) -> None:
    git = Followed(place.ports.git, "push", lost_answer, of="core")
    run = start(place.bench(ports=with_ports(place.ports, git=git)), AT_ONCE)
    assert (run.state, git.calls) == (RunState.SUCCEEDED, 1)


def test_a_bot_that_is_killed_after_the_push_does_not_push_again(place: Kernelci) -> None:
    git = Followed(place.ports.git, "push", killed(place), of="core")
    first = place.bench(ports=with_ports(place.ports, git=git))
    old = place.head("core", PRODUCTION)
    run = start(first, AT_ONCE)
    revive(place, first)
    place.hook("core", "pre-receive", "exit 1")
    second = place.bench(procedures=[AT_ONCE])
    second.engine.resume()
    assert second.run().state is RunState.SUCCEEDED
    assert result(second, run, push_core) == Pushed("core", old, place.head("core"))


def test_a_step_begun_anew_leaves_a_branch_alone_that_is_there_already(place: Kernelci) -> None:
    bench = place.bench(runs)
    start(bench, Procedure("release", plan, push_core, stuck()))
    place.hook("core", "pre-receive", "exit 1")
    bench.say("operator", "!release retry push-core")
    assert step(bench.run())[0] is StepState.DONE


def test_what_was_pushed_by_hand_is_taken_as_it_is(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, GATED)
    place.git("core", "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")
    place.hook("core", "pre-receive", "exit 1")
    bench.react("manager-1", GO)
    assert step(bench.run())[0] is StepState.DONE


def hotfix_on_top(place: Kernelci) -> str:
    return place.commit("core", {"HOTFIX": "by hand\n"}, "hotfix by hand", branch=PRODUCTION)


def test_a_push_that_others_built_upon_is_not_said_to_be_nothing(place: Kernelci) -> None:
    git = Followed(place.ports.git, "push", killed(place), of="core")
    first = place.bench(ports=with_ports(place.ports, git=git))
    run = start(first, AT_ONCE)
    revive(place, first)
    hotfix = hotfix_on_top(place)
    second = place.bench(procedures=[AT_ONCE])
    second.engine.resume()
    state, text = step(second.run())
    assert state is StepState.UNKNOWN
    assert f"core's kernelci.org was pushed to {place.head('core')[:10]}, and somebody has pushed {hotfix[:10]}" in text
    effects = second.journal.effects(run.id, "push-core", second.run().step("push-core").round)
    assert effects["push core kernelci.org"].state is EffectState.DONE, "a rollback knows that it was moved"
    assert place.head("core", PRODUCTION) == hotfix


@dataclass
class KilledBeforeThePush:
    """The real Git servers, and a bot that is killed just before it pushes to core's."""

    place: Kernelci

    def names(self) -> tuple[str, ...]:
        return self.place.ports.git.names()

    def remote(self, name: str) -> GitRemote:
        found = self.place.ports.git.remote(name)
        return Preceded(found, "push", killed(self.place)) if name == "core" else found  # type: ignore[return-value]


def test_a_push_begun_and_a_branch_that_is_somewhere_else_cannot_be_told(place: Kernelci) -> None:
    first = place.bench(ports=with_ports(place.ports, git=KilledBeforeThePush(place)))
    start(first, AT_ONCE)
    revive(place, first)
    hotfix = hotfix_on_top(place)
    second = place.bench(procedures=[AT_ONCE])
    second.engine.resume()
    state, text = step(second.run())
    assert state is StepState.UNKNOWN
    assert f"core's kernelci.org is at {hotfix[:10]}, neither at " in text
    assert "others moved it before or after the push" in text


def test_a_push_that_the_server_refused_is_remembered_by_no_later_release(place: Kernelci) -> None:
    place.hook("core", "pre-receive", "exit 1")
    bench = place.bench()
    assert step(start(bench, AT_ONCE))[0] is StepState.FAILED
    assert bench.journal.recall("moved") == {}


# ---- the tag ---------------------------------------------------------------------------------------------------

TAGGED = Procedure("release", plan, create_tags, Gate("go", "Update production"), push_core)


def test_a_release_whose_tag_was_removed_is_not_pushed(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, TAGGED)
    place.git("core", "tag", "--delete", TAG)
    old = place.head("core", PRODUCTION)
    bench.react("manager-1", GO)
    state, text = step(bench.run())
    assert state is StepState.FAILED
    assert f"core's tag {TAG} is not there, and not on the frozen commit {place.head('core')[:10]}" in text
    assert place.head("core", PRODUCTION) == old


def by_hand(act: Callable[[], object]) -> Step[None]:
    """What somebody does in the middle of a run."""

    def run(_context: Context) -> Done[None]:
        act()
        return Done("done", None)

    return Step("by-hand", "By hand", run, type(None))


def test_a_release_whose_tag_was_moved_is_not_even_asked_about(place: Kernelci) -> None:
    bench = place.bench()
    move = by_hand(lambda: place.git("core", "tag", "--force", TAG, "main~1"))
    run = start(bench, Procedure("release", plan, create_tags, move, Gate("go", "Update production"), push_core))
    assert run.state is RunState.FAILED
    assert f"core's tag {TAG} is at {place.git('core', 'rev-parse', 'main~1')[:10]}, and not on" in alerts(bench)
    assert GO not in bench.notices


def test_a_tag_that_goes_in_the_last_moment_stops_the_push(place: Kernelci) -> None:
    """When the preview was looked at already: this push has none."""
    old = place.head("core", PRODUCTION)
    removed = by_hand(lambda: place.git("core", "tag", "--delete", TAG))
    state, text = step(start(place.bench(), Procedure("release", plan, create_tags, removed, bare_push())))
    assert state is StepState.FAILED
    assert f"core's tag {TAG} is not there" in text
    assert place.head("core", PRODUCTION) == old


# ---- lost commits ----------------------------------------------------------------------------------------------


def diverged(place: Kernelci) -> tuple[str, str]:
    """Production has a commit that is nowhere else, and one whose twin is on the development branch."""
    alone = place.commit("core", {"FIXUP": "alone\n"}, "FIXUP only here", branch=PRODUCTION)
    place.commit("core", {"both": "same\n"}, "the same change on main")
    place.commit("core", {"both": "same\n"}, "the same change in production", branch=PRODUCTION)
    return alone, place.git("core", "rev-parse", "main")


def test_a_push_that_loses_commits_asks_a_gate_of_its_own_and_marks_the_twins(place: Kernelci) -> None:
    alone, twin = diverged(place)
    bench = place.bench()
    start(bench, AT_ONCE)
    shown = lines(bench, FORCE)
    assert "Force core's production branch" in shown
    assert f"{alone[:10]} FIXUP only here (NOT on the development branch)" in shown
    assert f"the same change in production (twin {twin[:10]} on the development branch)" in shown
    assert "May approve: manager-1 and manager-2" in shown


def test_lost_commits_need_two_managers_and_then_the_push_is_forced(place: Kernelci) -> None:
    diverged(place)
    bench = place.bench()
    start(bench, AT_ONCE)
    bench.react("manager-1", FORCE)
    assert bench.run().state is RunState.WAITING
    bench.react("manager-2", FORCE)
    assert bench.run().state is RunState.SUCCEEDED
    assert place.head("core", PRODUCTION) == place.head("core")


def test_a_lost_mirror_is_filled_again_before_it_is_asked_what_would_be_lost(place: Kernelci) -> None:
    alone, _twin = diverged(place)
    bench = place.bench()
    gone = by_hand(lambda: shutil.rmtree(place.config.bot.state / "mirrors"))
    start(bench, Procedure("release", plan, gone, push_core))
    assert f"{alone[:10]} FIXUP only here (NOT on the development branch)" in lines(bench, FORCE)


def test_one_more_commit_to_lose_is_not_covered_by_the_approval(place: Kernelci) -> None:
    diverged(place)
    one = GatePolicy()
    bench = place.bench(policies={"force": one})
    start(bench, AT_ONCE)
    more = place.commit("core", {"MORE": "late\n"}, "one more", branch=PRODUCTION)
    bench.react("manager-1", FORCE)
    assert step(bench.run())[0] is StepState.FAILED
    assert place.head("core", PRODUCTION) == more


# ---- what was moved -------------------------------------------------------------------------------------------


def test_what_an_unfinished_release_moved_is_remembered_until_a_release_ends(place: Kernelci) -> None:
    bench = place.bench(runs)
    old = place.head("core", PRODUCTION)
    start(bench, Procedure("release", plan, take_production_lock, push_core, stuck()))
    bench.say("operator", "!release abort broken")
    again = start(bench, Procedure("release", plan, open_production))
    assert result(bench, again, plan).part("core").base == old
    after = start(bench, AT_ONCE)
    assert result(bench, after, plan).part("core").base == place.head("core", PRODUCTION)
