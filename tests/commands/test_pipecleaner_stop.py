"""A pipe cleaner that people end, or that nobody follows any more; and jobs that are not followed at all."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.run import StepState
from kcibot.core.watching import Watching
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands.pipecleaner.left import FOLLOWED, LEFT
from kcibot_commands.pipecleaner.progress import lines
from kcibot_commands.rules.results import Ended
from tests.fakes.bench import Bench
from tests.fakes.pipecleaner_bench import bot, cleaned, forward, job, start
from tests.fakes.pipecleaner_following import (
    AMBIENT,
    KERNELS,
    STEP,
    TWO,
    kept,
    kernelci,
    messages,
    until,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with kernelci(tmp_path) as made:
        yield made


def watch(bench: Bench) -> Watching:
    """The bot's watches, as far as they look after pipe cleaners."""
    bench.world.registry.watches[LEFT.name] = LEFT
    return Watching(bench.world)


# ---- ended by people -------------------------------------------------------------------------------------------


def test_a_stop_ends_what_runs_and_what_waits_also_what_was_built_again(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails=("mips defconfig *", "riscv *")) as world:
        bench = bot(world)
        number = start(bench)
        until(bench, number, "built again")
        bench.tick(timedelta(minutes=1))
        bench.say("operator", "!pipecleaner stop")
        forward(bench, number, STEP, minutes=0.2)
        done = cleaned(bench, number)
        assert done.ended is Ended.STOPPED
        bench.tick(timedelta(seconds=30))
        mine = [run for run in job(world, kci.KERNEL_BUILD).runs.values() if run.number > AMBIENT]
        assert len(mine) == KERNELS + 2
        assert all(run.result for run in mine)
        assert [run.result for run in mine[-2:]] == ["ABORTED", "ABORTED"]


def test_builds_that_go_on_after_their_run_was_aborted_are_said_once(world: Sandbox) -> None:
    bench = bot(world)
    watching = watch(bench)
    number = start(bench)
    until(bench, number, f"/{KERNELS} kernels")
    bench.say("operator", "!release abort enough of it")
    for _ in range(3):
        bench.tick(timedelta(minutes=6))
        watching.tick()
    assert len(messages(bench, "goes on building, but run 1 has not looked at it")) == 1
    bench.tick(timedelta(hours=2))
    watching.tick()
    assert len(messages(bench, "goes on building")) == 1


def test_a_followed_run_is_never_taken_for_one_that_was_left(world: Sandbox) -> None:
    bench = bot(world)
    watching = watch(bench)
    number = start(bench)
    for _ in range(30):
        bench.tick(TWO)
        watching.tick()
    assert bench.run(number).step(STEP).state is StepState.DONE
    assert not messages(bench, "goes on building")
    assert not bench.journal.recall(FOLLOWED)


def test_settings_may_leave_completions_and_test_runs_out(world: Sandbox) -> None:
    bench = bot(world, complete_job="", test_job="")
    number = start(bench)
    forward(bench, number, STEP)
    assert cleaned(bench, number).ended is Ended.COMPLETE
    assert "completion" not in "\n".join(lines(kept(bench, number)))


def test_a_job_that_jenkins_does_not_have_is_said_and_not_followed(world: Sandbox) -> None:
    bench = bot(world, test_job="lava-submit")
    number = start(bench)
    forward(bench, number, STEP)
    assert cleaned(bench, number).ended is Ended.COMPLETE
    assert len(messages(bench, "Jenkins has no job lava-submit")) == 1
