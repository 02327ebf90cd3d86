"""The pipe cleaner's push: it always forces its branch, and asks two managers when the branch holds others' work."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from kcibot.core.run import RunState, StepState
from kcibot.sandbox.kernelci.jobs import Settings
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot.sdk import Gate, Procedure
from kcibot_commands import locks, runs
from kcibot_commands.pipecleaner.configs import PipecleanerArgs
from kcibot_commands.pipecleaner.verbs import prepare_pipe_cleaner
from kcibot_commands.production import take_production_lock
from tests.fakes.bench import ROOM, Bench
from tests.fakes.sandbox_bench import sandbox, sandbox_bench

PREPARED = Procedure("prepared", Gate("pipecleaner", "Go"), take_production_lock, prepare_pipe_cleaner)
FORCE = "force:prepare-pipe-cleaner"
BRANCH = "kernelci.org"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path, Settings(kernels=2, failure_rate=0.0)) as made:
        yield made


def begun(world: Sandbox, *modules: ModuleType) -> Bench:
    """The gate before it is open."""
    bench = sandbox_bench(world, *modules, sections={})
    bench.world.registry.procedures[PREPARED.name] = PREPARED
    outcome = bench.engine.start(
        PREPARED, bench.world.people.get("operator"), ROOM, "Test", PipecleanerArgs("kernelci")
    )
    bench.journal.commit(outcome.changes)
    bench.engine.wake(outcome.wake)
    bench.run()
    return bench


def approve(bench: Bench, *managers: str) -> None:
    (ask,) = bench.journal.open_asks()
    for manager in managers:
        bench.react(manager, ask.message_key)
    bench.run()


def git(world: Sandbox, *words: str) -> str:
    return world.backend._git("linux", *words)


def commit_of_theirs(world: Sandbox) -> str:
    """Somebody's fix, on top of the last pipe cleaner."""
    tree, parent = git(world, "rev-parse", f"{BRANCH}^{{tree}}"), git(world, "rev-parse", BRANCH)
    who = ("-c", "user.name=developer-1", "-c", "user.email=developer-1@example.org")
    made = git(world, *who, "commit-tree", tree, "-p", parent, "-m", "net: a fix to be tried")
    git(world, "update-ref", f"refs/heads/{BRANCH}", made)
    return made


def test_a_branch_of_releases_and_earlier_pipe_cleaners_is_forced_without_a_question(world: Sandbox) -> None:
    bench = begun(world)
    approve(bench, "manager-1")
    assert bench.run().state is RunState.SUCCEEDED
    assert git(world, "rev-parse", f"{BRANCH}^") == git(world, "rev-parse", "v5.10.80^{commit}")


def test_somebodys_own_commit_on_the_branch_needs_the_gate_force(world: Sandbox) -> None:
    theirs = commit_of_theirs(world)
    bench = begun(world)
    approve(bench, "manager-1")
    (ask,) = bench.journal.open_asks()
    assert ask.gate_id == FORCE
    shown = "\n".join(ask.display)
    assert f"{theirs[:10]} net: a fix to be tried, by developer-1" in shown
    assert shown.count("\n") == 1, "the last pipe cleaner's own commit and the stable release's are nobody's work"
    assert git(world, "rev-parse", BRANCH) == theirs
    approve(bench, "manager-1", "manager-2")
    assert bench.run().state is RunState.SUCCEEDED
    assert git(world, "rev-parse", f"{BRANCH}^") == git(world, "rev-parse", "v5.10.80^{commit}")


def test_a_run_whose_lock_was_taken_away_pushes_no_kernel(world: Sandbox) -> None:
    commit_of_theirs(world)
    before = git(world, "rev-parse", BRANCH)
    bench = begun(world, locks, runs)
    approve(bench, "manager-1")
    bench.say("manager-1", "!unlock")
    approve(bench, "manager-1", "manager-2")
    step = bench.run().step("prepare-pipe-cleaner")
    assert step.state is StepState.FAILED
    assert "the production lock was taken away from this run and nobody has it" in step.text
    assert git(world, "rev-parse", BRANCH) == before


@pytest.mark.parametrize("moved", ["refs/heads/kernelci.org", "tag"])
def test_branch_and_tag_are_both_read_back(world: Sandbox, moved: str) -> None:
    hook = Path(git(world, "rev-parse", "--absolute-git-dir")) / "hooks" / "post-receive"
    ref = moved if moved != "tag" else "$(git for-each-ref --format='%(refname)' 'refs/tags/kernelci-*.*' | tail -n 1)"
    hook.write_text(f'#!/bin/sh\ngit update-ref "{ref}" v5.10.79^{{commit}}\n')
    hook.chmod(0o755)
    bench = begun(world)
    approve(bench, "manager-1")
    step = bench.run().step("prepare-pipe-cleaner")
    assert step.state is StepState.UNKNOWN
    shown = git(world, "rev-parse", "v5.10.79^{commit}")[:10]
    assert f"at {shown}: look at the repository" in step.text
    assert ("the tag kernelci-" if moved == "tag" else "shows kernelci.org") in step.text
