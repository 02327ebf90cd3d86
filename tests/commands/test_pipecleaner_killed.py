"""A pipe cleaner's bot that was killed before it kept what a look of its had done, and was away for long."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from kcibot.core.journal import EffectState, SaveEffect, SaveRun
from kcibot.core.run import StepState, waiting
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.world import Sandbox
from tests.fakes.bench import Bench
from tests.fakes.pipecleaner_bench import bot, cleaned, forward, job, start
from tests.fakes.pipecleaner_following import AMBIENT, STEP, given, kernelci, messages

ONE = "mips defconfig gcc-8"
LONG = timedelta(hours=2)
AT_ONCE = timedelta(seconds=2)


def until(bench: Bench, happened: Callable[[], object], step: timedelta = AT_ONCE) -> None:
    for _ in range(3000):
        if happened():
            return
        bench.tick(step)
    raise AssertionError("it never happened")


def times_built(world: Sandbox) -> int:
    ours = [given(run) for run in job(world, kci.KERNEL_BUILD).runs.values() if run.number > AMBIENT]
    return sum(f"{one['ARCH']} {one['DEFCONFIG']} {one['BUILD_ENVIRONMENT']}" == ONE for one in ours)


def memory_of(bench: Bench, number: int) -> dict[str, Any]:
    step = bench.run(number).step(STEP)
    assert step.state is StepState.WAITING
    assert isinstance(step.value, dict)
    return step.value


def kept_only(bench: Bench, number: int, **memory: Any) -> None:
    """What the last wait kept is as if the bot had been killed before, and then nobody looked for long."""
    run = bench.run(number)
    step = run.step(STEP)
    assert step.wake_at
    kept = {**memory_of(bench, number), **memory}
    bench.journal.commit([SaveRun(waiting(run, STEP, step.text, step.wake_at, bench.clock.now(), kept))])
    bench.clock.forward(LONG)


def test_a_message_that_named_failures_stays_as_it_was_said(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails=(ONE,)) as world:
        bench = bot(world)
        number = start(bench)
        until(bench, lambda: messages(bench, "1 kernel failed"))
        until(bench, lambda: times_built(world) == 2)
        (said,) = messages(bench, "1 kernel failed")
        kept_only(bench, number, told=[])
        forward(bench, number, STEP)
        first, second = messages(bench, "1 kernel failed")
        assert first == said
        assert second != said


def test_a_kernel_that_was_built_again_is_ours_though_nobody_knew_yet_how_the_revision_is_called(
    tmp_path: Path,
) -> None:
    with kernelci(tmp_path, fails=(ONE,)) as world:
        bench = bot(world)
        number = start(bench)
        until(bench, lambda: times_built(world) == 2)
        kept_only(bench, number, kernel="")
        forward(bench, number, STEP)
        assert cleaned(bench, number).retried == (ONE,)
        assert times_built(world) == 2


def test_the_start_of_a_test_run_is_settled_though_the_run_is_there_already(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails_once=(ONE,)) as world:
        bench = bot(world)
        number = start(bench)
        before = len(job(world, kci.TEST_RUNNER).runs)
        until(bench, lambda: len(starts(bench, number)) == 1)
        (begun,) = starts(bench, number)
        bench.journal.commit([SaveEffect(replace(begun, state=EffectState.IN_FLIGHT, value=None))])
        kept_only(bench, number)
        forward(bench, number, STEP)
        assert [one.state for one in starts(bench, number)] == [EffectState.DONE]
        assert len(job(world, kci.TEST_RUNNER).runs) > before


def starts(bench: Bench, number: int) -> list[Any]:
    """The starts of test runs of what was built again."""
    found = bench.journal.effects(number, STEP, bench.run(number).step(STEP).round)
    return [one for key, one in found.items() if key.startswith(f"start {kci.TEST_RUNNER}")]
