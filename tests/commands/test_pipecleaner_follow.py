"""Following a pipe cleaner in the sandbox: failures, builds of others, labs, mails, and what cannot be seen."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kcibot.core.run import StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.jenkins import RunningBuild, Sleep, Steps
from kcibot.sandbox.jenkins.running import succeed_after
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot.sdk import Remember
from kcibot_commands.pipecleaner.progress import lines
from kcibot_commands.pipecleaner.record import KERNELS as KERNEL_RECORD
from kcibot_commands.pipecleaner.record import load
from kcibot_commands.rules.results import Ended
from tests.fakes.bench import Bench
from tests.fakes.pipecleaner_bench import bot, cleaned, forward, job, said, start
from tests.fakes.pipecleaner_following import (
    ALWAYS,
    AMBIENT,
    KERNELS,
    STEP,
    TWO,
    given,
    kept,
    kernelci,
    messages,
    text,
    until,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with kernelci(tmp_path) as made:
        yield made


# ---- kernels ---------------------------------------------------------------------------------------------------


def test_a_failure_is_named_while_the_others_build_with_its_link_and_the_line_that_tells_why(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails=("mips defconfig *",)) as world:
        bench = bot(world)
        number = start(bench)
        until(bench, number, "1 failed")
        assert "0 left" not in text(bench, number)
        (told,) = messages(bench, "1 kernel failed")
        assert "mips defconfig gcc-8: http" in told
        assert "/console" in told
        assert "make: *** [Makefile:185: sub-make] Error 2" in told
        forward(bench, number, STEP)
        assert len(messages(bench, "1 kernel failed again")) == 1


def test_an_architecture_that_fails_as_a_whole_is_one_message_and_is_not_built_again(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails=("arm *",)) as world:
        bench = bot(world)
        number = start(bench)
        until(bench, number, "prepares", timedelta(seconds=10))
        bench.tick(timedelta(minutes=40))  # everything ends within one look
        forward(bench, number, STEP)
        (told,) = messages(bench, "failed")
        assert "9 kernels failed" in told
        assert "arm: 9 of 9 kernels, such as" in told
        assert told.count("/console") == 1
        assert cleaned(bench, number).retried == ()
        assert len(job(world, kci.KERNEL_BUILD).runs) == KERNELS + AMBIENT


def test_a_kernel_that_jenkins_calls_a_success_and_the_api_a_failure_is_named(tmp_path: Path) -> None:
    with kernelci(tmp_path, fails=("mips defconfig *",), unnoticed=("mips *",)) as world:
        bench = bot(world, retries=0)
        number = start(bench)
        forward(bench, number, STEP)
        assert "mips defconfig gcc-8 failed: Jenkins says SUCCESS, the results API FAIL" in said(bench)
        assert [one.defconfig for one in cleaned(bench, number).failed] == ["defconfig"]


def test_progress_is_told_by_architecture_and_all_of_it_is_kept(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    shown = until(bench, number, "mips 4/6")
    assert f"/{KERNELS} kernels (" in shown
    assert "left" in shown
    forward(bench, number, STEP)
    assert "mips 6/6" in "\n".join(lines(kept(bench, number)))
    assert "1 completion" in "\n".join(lines(kept(bench, number)))
    record = load(kept(bench, number), KERNEL_RECORD)
    assert record
    assert len(record.builds) == KERNELS
    assert all(one.seconds > 60 for one in record.builds.values())
    assert cleaned(bench, number).kernels_curve[-1][1] == KERNELS
    again = start(bench)
    until(bench, again, f"0/{KERNELS} kernels")
    assert "left" in text(bench, again)  # from how long they took before: nothing has ended yet


def test_what_jenkins_has_forgotten_is_neither_lost_nor_counted_twice(world: Sandbox) -> None:
    """It keeps kernel builds for two days, and so many only."""
    bench = bot(world)
    number = start(bench)
    until(bench, number, "mips 4/6")
    builds = job(world, kci.KERNEL_BUILD).runs
    for gone in [one for one, run in builds.items() if run.result]:
        del builds[gone]
    forward(bench, number, STEP)
    assert cleaned(bench, number).kernels == KERNELS
    assert cleaned(bench, number).ended is Ended.COMPLETE


def test_a_build_that_was_cut_off_is_built_again_and_is_no_failure_of_its_kernel(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    until(bench, number, f"/{KERNELS} kernels")
    runs = job(world, kci.KERNEL_BUILD).runs
    victim = next(run for run in runs.values() if run.number > AMBIENT and given(run)["ARCH"] == "riscv")
    world.jenkins.world.stop(victim, "somebody")
    forward(bench, number, STEP)
    assert "riscv allnoconfig gcc-8 was cut off (ABORTED)" in said(bench)
    assert cleaned(bench, number).retried == ("riscv allnoconfig gcc-8",)
    assert cleaned(bench, number).failed == ()
    assert not bench.journal.recall("pipecleaner-retries")


def test_looks_stay_as_small_when_more_and_more_has_ended(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    until(bench, number, f"/{KERNELS} kernels")
    sizes: list[int] = []
    answer = world.jenkins.respond

    def measured(request: Any) -> Any:
        response = answer(request)
        sizes.append(len(response.body))
        return response

    world.jenkins.respond = measured  # type: ignore[method-assign]
    found: list[tuple[int, int]] = []
    while bench.run(number).step(STEP).state is StepState.WAITING:
        sizes.clear()
        bench.tick(TWO)
        found.append((len(sizes), sum(sizes)))
    assert max(requests for requests, _ in found) <= 8
    assert found[-1][1] <= found[0][1]


# ---- completions and builds of others --------------------------------------------------------------------------


def test_a_completion_that_failed_is_said_and_one_started_by_hand_ends_the_wait(world: Sandbox) -> None:
    does = world.jobs._behaviours()[kci.COMPLETE]

    def fails(_build: RunningBuild) -> Steps:
        yield Sleep(5)
        return "FAILURE"

    world.jenkins.behave(kci.COMPLETE, fails)
    bench = bot(world)
    number = start(bench)
    until(bench, number, "all built; the results API still says BUILD")
    (told,) = messages(bench, "the results API may stay at BUILD")
    assert told.startswith("kernel-arch-complete #1 ended as FAILURE")
    world.jenkins.behave(kci.COMPLETE, does)
    about = given(job(world, kci.COMPLETE).runs[1])
    world.jenkins.trigger(kci.COMPLETE, {name: about[name] for name in ("TREE_NAME", "BRANCH", "GIT_DESCRIBE")})
    forward(bench, number, STEP)
    assert cleaned(bench, number).ended is Ended.COMPLETE


def test_a_completion_that_nobody_started_is_said(world: Sandbox) -> None:
    world.jenkins.behave(kci.COMPLETE, succeed_after(5.0))  # it tells the results API nothing
    bench = bot(world, complete_job=kci.BISECTION, timeout=timedelta(hours=2))
    number = start(bench)
    forward(bench, number, STEP, minutes=10)
    assert "lava-bisection was never started for this revision" in said(bench)
    assert cleaned(bench, number).ended is Ended.TIME_LIMIT


def test_a_trigger_of_somebody_else_for_the_same_config_is_said_and_not_counted(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    until(bench, number, f"/{KERNELS} kernels")
    world.jenkins.trigger(kci.TRIGGER, {"BUILD_CONFIG": "kernelci", "ALLOW_REBUILD": "true"}, "somebody")
    forward(bench, number, STEP)
    assert len(messages(bench, "builds kernelci too")) == 1
    assert cleaned(bench, number).kernels == KERNELS
    assert cleaned(bench, number).retried == ()


def test_another_config_that_is_built_while_the_monitor_is_paused_is_said(world: Sandbox) -> None:
    bench = bot(world)
    pause = {"who": "operator", "why": "a release", "since": bench.clock.now().isoformat(), "run": 1, "jobs": []}
    number = start(bench)
    until(bench, number, f"/{KERNELS} kernels")
    assert not messages(bench, "although the monitor is paused")
    remember(bench, "paused", "monitor", pause)
    world.jobs.start_ambient(build_config="next")
    bench.tick(TWO)
    assert len(messages(bench, "builds next")) == 1


def remember(bench: Bench, place: str, key: str, value: object) -> None:
    bench.journal.commit([Remember(place, key, value)])


# ---- labs and mails --------------------------------------------------------------------------------------------


def test_labs_are_waited_for_and_told_beside_the_baseline(world: Sandbox) -> None:
    bench = bot(world, tests_quiet=timedelta(minutes=30), previous=world.baseline.kernel)
    number = start(bench)
    shown = until(bench, number, "of 3 plans")
    assert shown.startswith(f"all {KERNELS} kernels built; ")
    assert any("plans" in line for line in lines(kept(bench, number)))
    forward(bench, number, STEP)
    done = cleaned(bench, number)
    assert done.tests_curve[-1][1] == sum(world_plans(world, bench, number).values())


def world_plans(_world: Sandbox, bench: Bench, number: int) -> Mapping[str, int]:
    return bench.world.ports.results.standing(cleaned(bench, number).revision).plans


def test_a_lab_that_still_has_a_job_of_this_kernel_is_not_done_however_quiet_it_is(world: Sandbox) -> None:
    bench = bot(world, tests_quiet=timedelta(minutes=30))
    number = start(bench)
    until(bench, number, "kernels built")
    kernel = bench.world.ports.results.revisions("kernelci", "kernelci.org", 1)[0].revision.kernel
    lab = world.labs["lab-collabora"]
    lab.submit(f"kernelci-{kernel}-arm-igt", "odroid-xu3", waits=timedelta(hours=2), runs=timedelta(minutes=30))
    lab.submit("somebody else's", "odroid-xu3", waits=timedelta(hours=20), runs=timedelta(minutes=30))
    until(bench, number, "lab-collabora has 1 open job of it")
    bench.tick(timedelta(hours=1))
    assert bench.run(number).step(STEP).state is StepState.WAITING
    bench.tick(timedelta(hours=2))
    forward(bench, number, STEP)
    assert cleaned(bench, number).ended is Ended.COMPLETE


def test_jobs_for_a_board_that_is_offline_are_not_waited_for(tmp_path: Path) -> None:
    with kernelci(tmp_path, boards=("lab-collabora *",)) as world:
        bench = bot(world, tests_quiet=timedelta(minutes=30))
        number = start(bench)
        until(bench, number, "kernels built")
        kernel = bench.world.ports.results.revisions("kernelci", "kernelci.org", 1)[0].revision.kernel
        never = timedelta(days=2)
        world.labs["lab-collabora"].submit(f"{kernel} igt", "odroid-xu3", waits=never, runs=never)
        forward(bench, number, STEP)
        assert cleaned(bench, number).ended is Ended.COMPLETE


def test_the_build_mail_is_waited_for_until_its_time_is_over(tmp_path: Path) -> None:
    with kernelci(tmp_path, mails=frozenset({"build"})) as world:
        bench = bot(world)
        number = start(bench)
        shown = until(bench, number, "the labs are done; build mail due")
        forward(bench, number, STEP)
        assert "UTC" in shown
        assert cleaned(bench, number).ended is Ended.COMPLETE


# ---- what cannot be seen ---------------------------------------------------------------------------------------


def test_an_api_that_is_silent_does_not_keep_jenkins_from_being_followed(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    until(bench, number, f"/{KERNELS} kernels")
    world.api.faults.add(Fault(FaultKind.STATUS, ".*", times=ALWAYS, status=503))
    until(bench, number, "all built; the results API does not answer since")
    world.api.faults.clear()
    forward(bench, number, STEP)
    assert cleaned(bench, number).ended is Ended.COMPLETE


def test_an_api_that_stays_silent_ends_the_wait(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    until(bench, number, f"/{KERNELS} kernels")
    world.api.faults.add(Fault(FaultKind.STATUS, ".*", times=ALWAYS, status=503))
    run = forward(bench, number, STEP)
    assert cleaned(bench, number).ended is Ended.TIME_LIMIT
    assert run.step(STEP).text.startswith("not complete in time")


def test_a_jenkins_that_cannot_be_seen_at_the_time_limit_is_said_and_not_waited_for(world: Sandbox) -> None:
    bench = bot(world, timeout=timedelta(minutes=40))
    number = start(bench)
    until(bench, number, "mips 4/6")
    world.jenkins.faults.add(Fault(FaultKind.STATUS, ".*", times=ALWAYS, status=503))
    run = forward(bench, number, STEP)
    done = cleaned(bench, number)
    assert (done.ended, done.unreachable) == (Ended.TIME_LIMIT, ("Jenkins",))
    assert 0 < done.kernels < KERNELS
    assert "Jenkins did not answer at the end" in run.step(STEP).text


def test_at_the_time_limit_it_is_judged_as_it_is_and_what_goes_on_is_said(tmp_path: Path) -> None:
    with kernelci(tmp_path, hangs=("riscv *",)) as world:
        bench = bot(world, timeout=timedelta(hours=1))
        number = start(bench)
        run = forward(bench, number, STEP)
        done = cleaned(bench, number)
        assert (done.ended, done.kernels, done.unreachable) == (Ended.TIME_LIMIT, KERNELS - 1, ())
        assert "1 build still running on Jenkins" in run.step(STEP).text
