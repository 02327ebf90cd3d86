"""Pipe cleaners in the sandbox: three ways to start one, and everything that may come between it and its end."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.run import StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.jenkins import RunningBuild, Sleep, Steps
from kcibot.sandbox.jenkins.model import UpstreamCause
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.jobs import Settings
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands.pipecleaner.configs import How
from kcibot_commands.rules.results import Ended
from kcibot_commands.rules.verdict import Kind
from tests.fakes.pipecleaner_bench import (
    KERNELS,
    approve,
    bot,
    cleaned,
    compared,
    forward,
    job,
    said,
    start,
    triggers,
)
from tests.fakes.sandbox_bench import sandbox

MOST_REQUESTS = 12
"""Of one look at Jenkins and the results API together."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path, Settings(kernels=KERNELS, failure_rate=0.1)) as made:
        yield made


# ---- building --------------------------------------------------------------------------------------------------


def test_a_paused_monitor_builds_only_that_config_and_is_paused_again(world: Sandbox) -> None:
    bench = bot(world)
    bench.world.ports.ci.disable(kci.MONITOR)
    number = start(bench)
    forward(bench, number, "run-pipe-cleaner")
    assert bench.world.ports.ci.job(kci.MONITOR).disabled
    (trigger,) = triggers(world)
    assert trigger["ALLOW_REBUILD"] == "false"
    assert len(job(world, kci.TRIGGER).runs) == 2  # with somebody's build that ran before


def test_every_kernel_is_followed_to_its_end_whatever_jenkins_calls_the_trigger(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    run = forward(bench, number, "run-pipe-cleaner")
    done = cleaned(bench, number)
    failing = [one for one in bench.world.ports.results.kernels(done.revision) if one.status == "FAIL"]
    assert (done.kernels, done.ended, done.series) == (KERNELS, Ended.COMPLETE, "5.10")
    assert failing
    assert {(one.arch, one.defconfig) for one in done.failed} == {(one.arch, one.defconfig) for one in failing}
    assert run.step("run-pipe-cleaner").text.startswith(f"{KERNELS} kernels, {len(failing)} failed, ")
    assert f"{failing[0].arch} {failing[0].defconfig}" in said(bench)


def test_the_trigger_job_can_be_started_instead_of_the_monitor(world: Sandbox) -> None:
    bench = bot(world, how=How.TRIGGER_JOB)
    number = start(bench)
    forward(bench, number, "run-pipe-cleaner")
    assert cleaned(bench, number).kernels == KERNELS
    assert len(job(world, kci.MONITOR).runs) == 1  # somebody's


def test_a_commit_that_the_monitors_timer_was_quicker_to_build_is_followed_there(world: Sandbox) -> None:
    """It rings while the monitor is enabled for our start; then our build of it finds nothing new."""

    def robbed(_build: RunningBuild) -> Steps:
        jenkins = world.jenkins.world
        monitor, trigger = jenkins.jobs.find(kci.MONITOR), jenkins.jobs.find(kci.TRIGGER)
        assert monitor
        assert trigger
        by_timer = UpstreamCause(kci.MONITOR, 1, monitor.path)
        jenkins.schedule(trigger, {"BUILD_CONFIG": "kernelci"}, [by_timer], quiet=0.0)
        yield Sleep(30)
        return "SUCCESS"

    world.jenkins.behave(kci.MONITOR, robbed)
    bench = bot(world)
    number = start(bench)
    forward(bench, number, "run-pipe-cleaner")
    assert cleaned(bench, number).kernels == KERNELS
    assert len(triggers(world)) == 1


def test_a_tree_that_is_not_ours_is_built_as_it_is_although_it_may_have_been_built(world: Sandbox) -> None:
    world.api.preload("media", "master", "v5.12-rc8", kernels=3, labs=1)
    bench = bot(world)
    bench.say("operator", "!pipecleaner media")
    (ask,) = bench.journal.open_asks()
    shown = "\n".join(ask.display)
    assert "master of the tree media is not ours to push to and is built as it is; v5.12-rc8 of it was built" in shown
    assert "so that ALLOW_REBUILD is given" in shown
    assert "started by kernel-build-trigger" in shown
    approve(bench)
    run = forward(bench, 1, "run-pipe-cleaner")
    assert run.step("prepare-pipe-cleaner").state is StepState.NOT_NEEDED
    assert [one["ALLOW_REBUILD"] for one in triggers(world, "media")] == ["true"]
    assert cleaned(bench, 1).tree == "media"


def test_a_restarted_bot_follows_the_same_builds(world: Sandbox) -> None:
    first = bot(world)
    number = start(first)
    for _ in range(8):
        first.tick(timedelta(seconds=30))
    first.journal.close()
    second = bot(world)
    second.engine.resume()
    forward(second, number, "run-pipe-cleaner")
    assert cleaned(second, number).kernels == KERNELS
    assert len(triggers(world)) == 1


def test_a_jenkins_that_does_not_answer_for_a_while_is_looked_at_again(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    for _ in range(8):
        bench.tick(timedelta(seconds=30))
    world.jenkins.faults.add(Fault(FaultKind.STATUS, "/queue/", times=6, status=503))
    for _ in range(3):
        bench.tick(timedelta(minutes=2))
    assert bench.run(number).step("run-pipe-cleaner").state is StepState.WAITING
    assert "I look again" in bench.run(number).step("run-pipe-cleaner").text
    world.jenkins.faults.clear()
    forward(bench, number, "run-pipe-cleaner")
    assert cleaned(bench, number).kernels == KERNELS


def test_what_a_jenkins_restart_cut_off_is_never_a_pass(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    for _ in range(6):
        bench.tick(timedelta(minutes=2))
    world.jenkins.restart(kill=True)
    forward(bench, number)
    assert cleaned(bench, number).ended is Ended.STOPPED
    assert compared(bench, number).verdict.kind not in {Kind.PASS, Kind.WARN}


def test_people_can_stop_it_and_judge_what_there_is(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    for _ in range(8):
        bench.tick(timedelta(minutes=1))
    bench.say("operator", "!pipecleaner stop")
    forward(bench, number)
    assert cleaned(bench, number).ended is Ended.STOPPED
    assert cleaned(bench, number).kernels < KERNELS
    bench.tick(timedelta(seconds=30))
    assert all(run.result for run in job(world, kci.TRIGGER).runs.values() if run.number > 1)


def asked(world: Sandbox) -> int:
    """How many requests there were, but for those for the logs of what failed."""
    requests = (*world.jenkins.requests, *world.api.requests)
    return sum("/logText/" not in one.path for one in requests)


def test_one_look_takes_as_many_requests_for_a_few_builds_as_for_many(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    counts = []
    for _ in range(6):
        bench.tick(timedelta(minutes=2))
    for _ in range(3):
        before = asked(world)
        bench.tick(timedelta(minutes=2))
        counts.append(asked(world) - before)
    assert bench.run(number).step("run-pipe-cleaner").state is StepState.WAITING
    assert len(set(counts)) == 1, counts
    assert counts[0] <= MOST_REQUESTS
