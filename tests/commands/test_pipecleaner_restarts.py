"""Restarts of the bot and of Jenkins in every phase of a pipe cleaner: nothing is lost, nothing is counted twice."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.run import RunState, StepState
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.settings import Faults, Settings
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands.pipecleaner.results import Compared
from kcibot_commands.pipecleaner.state import Following
from kcibot_commands.rules.results import Ended
from kcibot_commands.rules.verdict import Kind, Level
from tests.fakes.bench import Bench
from tests.fakes.pipecleaner_bench import bot, cleaned, compared, git, job, start, triggers
from tests.fakes.sandbox_bench import sandbox

KERNELS = 14
FLAKY = ("arm multi_v5_defconfig gcc-8", "mips 32r2el_defconfig gcc-8")
BROKEN = "arm tinyconfig gcc-8"
FAILING = (*FLAKY, BROKEN)
RUN = "run-pipe-cleaner"
PHASES = ("monitor", "trigger", "tarball", "kernels", "again", "labs")
QUIET = timedelta(minutes=8)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    faults = Faults(fails=(BROKEN,), fails_once=FLAKY)
    quick = Settings(KERNELS, failure_rate=0.0, faults=faults, kernel_minutes=(2.0, 6.0), lab_minutes=(2.0, 5.0))
    with sandbox(tmp_path, quick) as made:
        yield made


def phase(bench: Bench, number: int) -> str:
    """Where it is, as what its last wait kept and said tells."""
    step = bench.run(number).step(RUN)
    if step.state is not StepState.WAITING:
        return ""
    state = Following.read(step.value)
    if not state.trigger:
        return "trigger" if state.monitor else "monitor"
    if "built again" in step.text:
        return "again"
    if state.plans_at:
        return "labs"
    return "kernels" if state.kernels_curve and state.kernels_curve[-1][1] else "tarball"


def a_life(world: Sandbox) -> Bench:
    """One of the bot's, which compares with the run before the first."""
    earlier = git(world, "tag", "--list", "kernelci-*").splitlines()[0]
    return bot(world, tests_quiet=QUIET, previous=earlier)


# ---- what happens ----------------------------------------------------------------------------------------------


def next_life(world: Sandbox, bench: Bench) -> Bench:
    """The bot was killed between two looks, and is started again."""
    bench.journal.close()
    second = a_life(world)
    second.notices = bench.notices
    second.engine.resume()
    return second


def killed_jenkins(world: Sandbox, bench: Bench) -> Bench:
    """What had just been queued is lost, and its ids are given out anew."""
    world.jenkins.restart(kill=True)
    return bench


def restarted_jenkins(world: Sandbox, bench: Bench) -> Bench:
    world.jenkins.restart()
    return bench


def both_killed(world: Sandbox, bench: Bench) -> Bench:
    return next_life(world, killed_jenkins(world, bench))


Happening = Callable[[Sandbox, Bench], Bench]


def played(world: Sandbox, happenings: Mapping[str, Happening]) -> tuple[Bench, int]:
    """A pipe cleaner to its verdict: in each of these phases that happens once; people retry a step that broke."""
    left, bench = dict(happenings), a_life(world)
    number, retries = start(bench), 0
    for _ in range(300):
        run = bench.run(number)
        if run.step("compare-results").state is StepState.DONE:
            assert not left, f"it never came to {set(left)}"
            bench.deliver()
            return bench, number
        if run.state is RunState.FAILED:
            retries += 1
            assert retries < 4, run.current
            bench.say("operator", f"!release retry {run.current.id if run.current else ''}")
            continue
        happens = left.pop(phase(bench, number), None)
        bench = happens(world, bench) if happens else bench
        bench.tick(timedelta(seconds=90 if Following.read(run.step(RUN).value).trigger else 15))
    raise AssertionError(f"it came to no end: {bench.run(number).step(RUN)}")


# ---- what must be true -----------------------------------------------------------------------------------------


def finished(world: Sandbox) -> Counter[str]:
    """How often each kernel of ours was built to an end."""
    runs = job(world, kci.KERNEL_BUILD).runs.values()
    given = [({one.name: one.value for one in run.parameters}, run.result) for run in runs]
    ours = [one for one, result in given if one["BUILD_CONFIG"] == "kernelci" and result != "ABORTED"]
    return Counter(f"{one['ARCH']} {one['DEFCONFIG']} {one['BUILD_ENVIRONMENT']}" for one in ours)


def named(bench: Bench) -> Counter[str]:
    """The builds that were named as failed, by their links."""
    bench.deliver()
    lines = [line for key, one in bench.notices.items() if ":failed after" in key for line in one.lines]
    return Counter(line.split(": ")[-1] for line in lines if line.endswith("/console"))


def assert_as_if_nothing_had_happened(world: Sandbox, bench: Bench, number: int) -> Compared:
    done, judged = cleaned(bench, number), compared(bench, number)
    assert (done.ended, done.kernels, done.unreachable) == (Ended.COMPLETE, KERNELS, ())
    assert sorted(done.retried) == sorted(FAILING)
    assert [str(one.key) for one in done.failed] == [BROKEN]
    counts = finished(world)
    assert len(counts) == KERNELS
    assert {key: count for key, count in counts.items() if count != 1} == dict.fromkeys(FAILING, 2)
    kernels = {str(one.key): [each.value for each in one.attempts] for one in judged.snapshot.kernels}
    assert kernels.pop(BROKEN) == ["FAIL", "FAIL"]
    assert [kernels.pop(key) for key in FLAKY] == [["FAIL", "PASS"]] * 2
    assert set(map(tuple, kernels.values())) == {("PASS",)}
    assert len(kernels) == KERNELS - len(FAILING)
    assert judged.verdict.kind is Kind.FAIL
    assert [one.rule for one in judged.verdict.reasons if one.level is Level.FAIL] == ["build regression"]
    assert set(named(bench).values()) == {1}
    return judged


# ---- the bot ---------------------------------------------------------------------------------------------------


def test_a_bot_that_is_killed_in_every_phase_comes_to_the_same_end(world: Sandbox) -> None:
    bench, number = played(world, dict.fromkeys(PHASES, next_life))
    assert_as_if_nothing_had_happened(world, bench, number)
    assert len(triggers(world)) == 1
    assert len(named(bench)) == len(FAILING) + 1, "each first failure, and the second one of the broken kernel"


# ---- Jenkins ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "happens"), [("monitor", both_killed), ("trigger", killed_jenkins), ("tarball", both_killed)]
)
def test_a_jenkins_that_is_killed_before_it_builds_is_started_again_by_a_retry(
    world: Sandbox, when: str, happens: Happening
) -> None:
    bench, number = played(world, {when: happens})
    assert_as_if_nothing_had_happened(world, bench, number)


@pytest.mark.parametrize("happens", [restarted_jenkins, both_killed])
def test_what_jenkins_was_building_is_cut_off_and_never_passes(world: Sandbox, happens: Happening) -> None:
    bench, number = played(world, {"kernels": happens})
    done, judged = cleaned(bench, number), compared(bench, number)
    assert done.ended is Ended.STOPPED
    assert judged.verdict.kind is not Kind.PASS
    assert done.kernels == sum(finished(world).values()), "those that ended are counted, each once"
    assert len(triggers(world)) == 1
    assert set(named(bench).values()) <= {1}


@pytest.mark.parametrize("happens", [restarted_jenkins, both_killed])
def test_kernels_that_were_cut_off_when_built_again_are_built_again(world: Sandbox, happens: Happening) -> None:
    bench, number = played(world, {"again": happens})
    assert_as_if_nothing_had_happened(world, bench, number)
    assert len(triggers(world)) == 1


def test_a_jenkins_that_is_killed_while_the_labs_test_changes_nothing(world: Sandbox) -> None:
    bench, number = played(world, {"labs": both_killed})
    assert_as_if_nothing_had_happened(world, bench, number)
    assert len(triggers(world)) == 1
