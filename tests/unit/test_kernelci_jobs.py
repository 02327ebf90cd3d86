"""KernelCI's jobs in the sandbox, over the Jenkins stand-in and a backend in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.core.ports import Revision
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.jenkins import JenkinsStandIn
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.jobs import KernelciJobs, Settings
from tests.fakes.bench import BEGINS
from tests.fakes.kernelci_memory import Memory, forward, runs

SETTINGS = Settings(failure_rate=0.05, rootfs_failures=frozenset({("buster-igt", "armhf")}))


@pytest.fixture
def clock(tmp_path: Path) -> SandboxClock:
    return SandboxClock.create(tmp_path / "clock.json", begins=BEGINS)


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def jobs(clock: SandboxClock, memory: Memory) -> Iterator[KernelciJobs]:
    with JenkinsStandIn(clock, "bot", "token") as jenkins:
        yield KernelciJobs.install(jenkins, memory, SETTINGS)


def test_the_monitor_starts_a_trigger_for_new_commits_only(
    jobs: KernelciJobs, clock: SandboxClock, memory: Memory
) -> None:
    jobs.jenkins.trigger(kci.MONITOR, {})
    forward(jobs, clock, 2)
    (trigger,) = runs(jobs, kci.TRIGGER)
    assert {one.name: one.value for one in trigger.parameters}["BUILD_CONFIG"] == "kernelci"
    assert trigger.causes[0].text == 'Started by upstream project "kernel-tree-monitor" build number 1'


def test_a_pipe_cleaner_builds_two_hundred_kernels_and_succeeds_with_failed_ones(
    jobs: KernelciJobs, clock: SandboxClock, memory: Memory
) -> None:
    jobs.jenkins.trigger(kci.TRIGGER, {"BUILD_CONFIG": "kernelci"})
    forward(jobs, clock, 180)
    (trigger,) = runs(jobs, kci.TRIGGER)
    assert trigger.result == "SUCCESS"
    assert 30 * 60 < (trigger.ended or 0) - trigger.started < 60 * 60
    failed = [kernel for kernel, status in memory.kernels.items() if status == "FAIL"]
    assert len(memory.kernels) == 200
    assert {kernel.arch for kernel in memory.kernels} == {"arc", "arm", "arm64", "i386", "mips", "riscv", "x86_64"}
    assert 2 <= len(failed) <= 20
    assert memory.done == [(Revision("kernelci", "kernelci.org", "v5.15-aaaa"), frozenset())]
    assert {board.device for board, _ in memory.tests} >= {"rk3288-veyron-jaq", "odroid-xu3"}
    assert {device for _, device, _ in memory.submitted} == {board.device for board, _ in memory.tests}


def test_the_same_kernels_fail_in_every_run(jobs: KernelciJobs, clock: SandboxClock, memory: Memory) -> None:
    jobs.jenkins.trigger(kci.TRIGGER, {"BUILD_CONFIG": "kernelci"})
    forward(jobs, clock, 90)
    first = dict(memory.kernels)
    memory.kernels.clear()
    jobs.jenkins.trigger(kci.TRIGGER, {"BUILD_CONFIG": "kernelci", "ALLOW_REBUILD": "true"})
    forward(jobs, clock, 90)
    assert memory.kernels == first


def test_a_revision_that_was_built_is_aborted_unless_rebuilding_is_allowed(
    jobs: KernelciJobs, clock: SandboxClock, memory: Memory
) -> None:
    jobs.jenkins.trigger(kci.TRIGGER, {"BUILD_CONFIG": "gtucker_stable"})
    forward(jobs, clock, 5)
    (trigger,) = runs(jobs, kci.TRIGGER)
    assert (trigger.result, trigger.log[-2:]) == ("ABORTED", ["Revision already built", "Finished: ABORTED"])


def test_stopping_a_trigger_aborts_its_kernels(jobs: KernelciJobs, clock: SandboxClock) -> None:
    jobs.jenkins.trigger(kci.TRIGGER, {"BUILD_CONFIG": "kernelci"})
    forward(jobs, clock, 5)
    (trigger,) = runs(jobs, kci.TRIGGER)
    with jobs.jenkins.loop.lock:
        jobs.jenkins.world.stop(trigger, "bot")
    forward(jobs, clock, 1)
    results = {run.result for run in runs(jobs, kci.KERNEL_BUILD)}
    assert trigger.result == "ABORTED"
    assert None not in results
    assert "ABORTED" in results


def test_root_file_systems_partly_fail_while_their_trigger_succeeds(
    jobs: KernelciJobs, clock: SandboxClock, memory: Memory
) -> None:
    version = "20211119.0"
    jobs.jenkins.trigger(kci.ROOTFS_TRIGGER, {"PIPELINE_VERSION": version})
    forward(jobs, clock, 120)
    (trigger,) = runs(jobs, kci.ROOTFS_TRIGGER)
    failed = [run for run in runs(jobs, kci.ROOTFS_BUILDER) if run.result == "FAILURE"]
    assert (trigger.result, len(runs(jobs, kci.ROOTFS_BUILDER)), len(failed)) == ("SUCCESS", 25, 1)
    assert f"images/rootfs/debian/buster/{version}/armhf/initrd.cpio.gz" in memory.files
    assert not any(path.startswith(f"images/rootfs/debian/buster-igt/{version}/armhf/") for path in memory.files)


def test_one_rootfs_of_one_architecture_can_be_built(jobs: KernelciJobs, clock: SandboxClock) -> None:
    jobs.jenkins.trigger(kci.ROOTFS_TRIGGER, {"ROOTFS_CONFIG": "buster", "ROOTFS_ARCH": "arm64"})
    forward(jobs, clock, 120)
    (builder,) = runs(jobs, kci.ROOTFS_BUILDER)
    assert builder.result == "SUCCESS"


def test_a_push_of_job_definitions_enables_a_paused_monitor(
    jobs: KernelciJobs, clock: SandboxClock, memory: Memory
) -> None:
    monitor = jobs.jenkins.world.jobs.find(kci.MONITOR)
    assert monitor
    with jobs.jenkins.loop.lock:
        jobs.jenkins.world.set_disabled(monitor, disabled=True)
    forward(jobs, clock, 6)
    assert monitor.config.disabled
    memory.definitions_commit = "2" * 40
    forward(jobs, clock, 8)
    assert not monitor.config.disabled
    assert runs(jobs, kci.JOB_DSL)[0].causes[0].text == "Started by an SCM change"


def test_ambient_work_ends_when_it_was_told_to_and_touches_nothing(
    jobs: KernelciJobs, clock: SandboxClock, memory: Memory
) -> None:
    memory.built = dict(memory.heads)  # whenever the monitor's timer fires, there is nothing new
    jobs.start_ambient(minutes=40)
    forward(jobs, clock, 1)
    (trigger,) = runs(jobs, kci.TRIGGER)
    assert trigger.building
    assert runs(jobs, kci.KERNEL_BUILD)
    forward(jobs, clock, 37)
    assert trigger.building
    forward(jobs, clock, 4)
    assert trigger.result == "SUCCESS"
    assert not memory.kernels


def test_the_timer_starts_the_monitor_until_a_restart_loses_it(
    jobs: KernelciJobs, clock: SandboxClock, memory: Memory
) -> None:
    memory.built["kernelci"] = memory.heads["kernelci"]
    forward(jobs, clock, 5 * 60)
    before = len(runs(jobs, kci.MONITOR))
    assert before in {2, 3}
    jobs.jenkins.restart()
    forward(jobs, clock, 10 * 60)
    assert len(runs(jobs, kci.MONITOR)) == before
    monitor = jobs.jenkins.world.jobs.find(kci.MONITOR)
    assert monitor
    assert "TimerTrigger" not in monitor.xml


def test_a_backend_in_trouble_fails_the_build_and_says_why(
    jobs: KernelciJobs, clock: SandboxClock, memory: Memory
) -> None:
    del memory.heads["kernelci"]
    jobs.jenkins.trigger(kci.TRIGGER, {"BUILD_CONFIG": "kernelci"})
    forward(jobs, clock, 5)
    (trigger,) = runs(jobs, kci.TRIGGER)
    assert trigger.result == "FAILURE"
    assert any("kernelci" in line for line in trigger.log if line.startswith("ERROR"))
