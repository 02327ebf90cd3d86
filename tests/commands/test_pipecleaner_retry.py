"""Kernels that failed are built again, by the bot once, and by people as often as they like."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kcibot.core.journal import SaveRun
from kcibot.core.run import RunState, StepState, waiting
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.settings import Faults, Settings
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands.pipecleaner.attempts import FAILURES, RETRIES
from kcibot_commands.rules.verdict import Kind
from tests.fakes.bench import Bench
from tests.fakes.pipecleaner_bench import (
    KERNELS,
    approve,
    bot,
    cleaned,
    compared,
    forward,
    git,
    job,
    said,
    start,
    triggers,
)
from tests.fakes.sandbox_bench import sandbox

ONE = "mips defconfig gcc-8"
STEP = "run-pipe-cleaner"


@contextmanager
def kernelci(folder: Path, past: Faults = Faults(), **faults: Any) -> Iterator[Sandbox]:  # noqa: B008 (a frozen value)
    settings = Settings(kernels=KERNELS, failure_rate=0.0, lab_minutes=(2.0, 15.0), faults=Faults(**faults), past=past)
    with sandbox(folder, settings) as made:
        yield made


def compared_bot(world: Sandbox, **settings: Any) -> Bench:
    """With the sandbox's own earlier run to compare with, and time for the labs."""
    return bot(world, previous=world.baseline.kernel, tests_quiet=timedelta(minutes=20), **settings)


def built(world: Sandbox, text: str = ONE) -> list[int]:
    """The builds of that kernel."""
    arch, defconfig, _ = text.split()
    runs = job(world, kci.KERNEL_BUILD).runs.values()
    given = {run.number: {one.name: one.value for one in run.parameters} for run in runs}
    return [
        number
        for number, one in given.items()
        if (one["ARCH"], one["DEFCONFIG"]) == (arch, defconfig) and one["BUILD_CONFIG"] == "kernelci"
    ]


def counted(bench: Bench) -> dict[str, object]:
    (counts,) = bench.journal.recall(RETRIES).values()
    assert isinstance(counts, dict)
    return counts


def failing_once_begun(bench: Bench, world: Sandbox) -> int:
    """A run in which all is built, just before the failed kernel is built again."""
    number = start(bench)
    for _ in range(200):
        (mine,) = [run for run in job(world, kci.TRIGGER).runs.values() if run.number > 1] or [None]
        if mine and mine.result:
            return number
        bench.tick(timedelta(seconds=40))
    raise AssertionError("it never was built")


# ---- by the bot ------------------------------------------------------------------------------------------------


def test_a_kernel_that_fails_is_built_once_more_before_it_counts_and_then_is_a_regression(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails=(ONE,)) as world:
        bench = compared_bot(world)
        number = start(bench)
        forward(bench, number)
        found = compared(bench, number)
        assert found.verdict.kind is Kind.FAIL
        assert any(f"{ONE} failed 2 times" in reason.text for reason in found.verdict.reasons)
        assert cleaned(bench, number).retried == (ONE,)
        assert counted(bench) == {ONE: 1}
        assert len(built(world)) == 2
        assert "1 kernel built again, since one failure may be chance" in said(bench)


def test_a_kernel_that_passes_when_built_again_is_flaky_and_is_tested_then(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails_once=(ONE, "arm multi_v7_defconfig gcc-8")) as world:
        bench = compared_bot(world)
        number = start(bench)
        forward(bench, number)
        found = compared(bench, number)
        assert found.verdict.kind is Kind.PASS
        assert any(f"{ONE} is flaky" in reason.text for reason in found.verdict.reasons)
        assert cleaned(bench, number).failed == ()
        assert "rk3288-veyron-jaq" in {one.device for one in found.snapshot.tests}


def test_a_kernel_that_failed_in_the_baseline_is_not_built_again(tmp_path: Path) -> None:
    with kernelci(tmp_path, Faults(fails=(ONE,)), fails=(ONE,)) as world:
        bench = compared_bot(world)
        number = start(bench)
        forward(bench, number)
        assert compared(bench, number).verdict.kind is Kind.PASS
        assert len(built(world)) == 1


def test_a_retry_whose_answer_was_lost_is_looked_for_and_not_started_twice(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails=(ONE,)) as world:
        bench = compared_bot(world)
        number = failing_once_begun(bench, world)
        world.jenkins.faults.add(Fault(FaultKind.RESET_AFTER, "POST /job/kernel-build/buildWithParameters"))
        forward(bench, number)
        assert len(built(world)) == 2
        assert counted(bench) == {ONE: 1}
        (numbers,) = bench.journal.recall(FAILURES).values()
        assert numbers == {ONE: [built(world)[0]]}


def test_a_bot_that_was_killed_before_it_kept_what_it_started_knows_its_build_again(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails=(ONE,), unnoticed=(ONE,)) as world:
        bench = compared_bot(world)
        number = failing_once_begun(bench, world)
        while len(built(world)) < 2:
            bench.tick(timedelta(seconds=2))
        forget_started(bench, number)
        forward(bench, number)
        assert len(built(world)) == 2
        assert cleaned(bench, number).retried == (ONE,)
        assert counted(bench) == {ONE: 1}


def forget_started(bench: Bench, number: int) -> None:
    run = bench.run(number)
    step = run.step(STEP)
    assert isinstance(step.value, dict)
    assert step.value["again"]
    assert step.wake_at
    memory = {**step.value, "again": {}}
    bench.journal.commit([SaveRun(waiting(run, STEP, step.text, step.wake_at, bench.clock.now(), memory))])


def test_a_retry_that_was_cut_off_is_started_once_more_and_no_failure(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails_once=(ONE,)) as world:
        bench = compared_bot(world)
        number = failing_once_begun(bench, world)
        while len(built(world)) < 2:
            bench.tick(timedelta(seconds=2))
        world.jenkins.world.stop(job(world, kci.KERNEL_BUILD).runs[built(world)[1]], "somebody")
        forward(bench, number)
        assert len(built(world)) == 3
        assert counted(bench) == {ONE: 1}
        assert compared(bench, number).verdict.kind is Kind.PASS


def test_a_retry_that_a_killed_jenkins_lost_in_its_queue_is_started_anew(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails_once=(ONE,)) as world:
        bench = compared_bot(world)
        number = failing_once_begun(bench, world)
        for _ in range(10):
            if "built again" in bench.run(number).step(STEP).text:
                break
            bench.tick(timedelta(seconds=1))
        assert len(built(world)) == 1  # it is in the queue still
        world.jenkins.restart(kill=True)
        forward(bench, number)
        assert compared(bench, number).verdict.kind is Kind.PASS
        assert len(built(world)) == 2


def test_a_kernel_job_that_is_disabled_is_left_so_and_the_retry_is_refused(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails=(ONE,)) as world:
        bench = compared_bot(world)
        number = failing_once_begun(bench, world)
        bench.world.ports.ci.disable(kci.KERNEL_BUILD)
        forward(bench, number)
        assert f"{ONE} is not built again: kernel-build is disabled on Jenkins" in said(bench)
        assert bench.world.ports.ci.job(kci.KERNEL_BUILD).disabled
        assert compared(bench, number).verdict.kind is Kind.UNKNOWN


# ---- by people -------------------------------------------------------------------------------------------------


def test_without_automatic_retries_a_failure_is_unknown_until_people_had_it_built_again(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails=(ONE,)) as world:
        bench = compared_bot(world, retries=0)
        number = start(bench)
        forward(bench, number)
        assert compared(bench, number).verdict.kind is Kind.UNKNOWN
        assert "failed once and was not tried again" in bench.run(number).step("compare-results").text
        first = compared(bench, number).digest
        bench.say("operator", "!pipecleaner retry failed")
        again = bench.journal.runs(1)[0].id
        forward(bench, again, "build-failed-again")
        assert "failed again" in bench.run(again).step("build-failed-again").text
        bench.settle()
        bench.say("operator", "!pipecleaner compare")
        forward(bench, number)
        found = compared(bench, number)
        assert found.verdict.kind is Kind.FAIL
        assert any("failed 2 times" in reason.text for reason in found.verdict.reasons)
        (ask,) = bench.journal.open_asks()
        assert ask.facts["accept"]["snapshot"] == found.digest != first  # type: ignore[index,call-overload]


def test_retry_of_an_architecture_builds_only_its_failures(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails=(ONE, "arm defconfig gcc-8")) as world:
        bench = compared_bot(world)
        number = start(bench)
        forward(bench, number)
        bench.say("operator", "!pipecleaner retry arm")
        forward(bench, bench.journal.runs(1)[0].id, "build-failed-again")
        assert (len(built(world)), len(built(world, "arm defconfig gcc-8"))) == (2, 3)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with kernelci(tmp_path) as made:
        yield made


def test_retry_all_builds_the_same_commit_again_and_asks_for_the_new_snapshot(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    forward(bench, number)
    (ask,) = bench.journal.open_asks()
    commit = git(world, "rev-parse", "kernelci.org")
    bench.say("operator", "!pipecleaner retry all")
    assert bench.run(number).step(STEP).state is StepState.WAITING
    forward(bench, number, STEP)
    forward(bench, number)
    assert [one["ALLOW_REBUILD"] for one in triggers(world)] == ["false", "true"]
    assert git(world, "rev-parse", "kernelci.org") == commit
    (asked,) = bench.journal.open_asks()
    assert asked.ask == ask.ask + 1
    approve(bench)
    assert bench.run(number).state is RunState.SUCCEEDED
