"""Pipe cleaners in the sandbox: real Git, real HTTP, two dozen kernels, time put forward by hand."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kcibot.core.run import Run, RunState, StepState
from kcibot.sandbox import kernelci_definitions as kci
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.jenkins import RunningBuild, Sleep, Steps
from kcibot.sandbox.jenkins.model import UpstreamCause
from kcibot.sandbox.kernelci import Sandbox
from kcibot.sandbox.kernelci_jobs import Settings
from kcibot.sdk import Gate, Procedure
from kcibot_commands import approvals, pipecleaner, pipecleaner_retry, runs
from kcibot_commands.pipecleaner import (
    about_results,
    accept_results,
    compare_results,
    prepare_pipe_cleaner,
    run_pipe_cleaner,
)
from kcibot_commands.pipecleaner_configs import How, PipecleanerArgs, PipecleanerSettings
from kcibot_commands.pipecleaner_results import Compared
from kcibot_commands.pipecleaner_run import Cleaned
from kcibot_commands.rules.results import Ended
from kcibot_commands.rules.verdict import Kind
from tests.fakes.bench import ROOM, Bench
from tests.fakes.sandbox_bench import sandbox, sandbox_bench

KERNELS = 24
ACCEPTED = Procedure(
    "accepted",
    prepare_pipe_cleaner,
    run_pipe_cleaner,
    compare_results,
    Gate("accept", "Accept the pipe cleaner's results", about=about_results),
    accept_results,
)
"""As inside a release: with the gate that accepts."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path, Settings(kernels=KERNELS, failure_rate=0.1)) as made:
        yield made


def bot(world: Sandbox, **settings: Any) -> Bench:
    given = PipecleanerSettings(**{"tests_quiet": timedelta(), **settings})
    bench = sandbox_bench(world, pipecleaner, pipecleaner_retry, approvals, runs, sections={PipecleanerSettings: given})
    bench.world.registry.procedures[ACCEPTED.name] = ACCEPTED
    return bench


def start(bench: Bench, config: str = "kernelci") -> int:
    """A run that ends with the gate `accept`."""
    outcome = bench.engine.start(ACCEPTED, bench.world.people.get("operator"), ROOM, "Test", PipecleanerArgs(config))
    bench.journal.commit(outcome.changes)
    bench.engine.wake(outcome.wake)
    return bench.run(outcome.wake[0]).id


def forward(bench: Bench, number: int, until: str = "compare-results", minutes: float = 3) -> Run:
    """Let time pass until that step is over, or the run is stuck or over."""
    for _ in range(60):
        run = bench.run(number)
        step = run.step(until)
        if run.ended or step.state not in {StepState.PENDING, StepState.WAITING} or run.state is RunState.FAILED:
            return run
        short = run.current and "monitor" in run.current.text
        bench.tick(timedelta(seconds=10) if short else timedelta(minutes=minutes))
    raise AssertionError(f"{until} is still {bench.run(number).step(until)}")


def approve(bench: Bench) -> None:
    (ask,) = bench.journal.open_asks()
    bench.react("manager-1", ask.message_key)


def compared(bench: Bench, number: int) -> Compared:
    return bench.journal.codec.load(Compared, bench.run(number).step("compare-results").value)


def cleaned(bench: Bench, number: int) -> Cleaned:
    return bench.journal.codec.load(Cleaned, bench.run(number).step("run-pipe-cleaner").value)


def job(world: Sandbox, name: str) -> Any:
    found = world.jenkins.world.jobs.find(name)
    assert found
    return found


def triggers(world: Sandbox, config: str = "kernelci") -> list[dict[str, str]]:
    given = [{one.name: one.value for one in run.parameters} for run in job(world, kci.TRIGGER).runs.values()]
    return [one for one in given if one["BUILD_CONFIG"] == config]


def git(world: Sandbox, *words: str) -> str:
    return world.backend._git("linux", *words)


def said(bench: Bench) -> str:
    bench.deliver()
    return "\n".join("\n".join((one.title, *one.lines)) for one in bench.notices.values())


# ---- preparing -------------------------------------------------------------------------------------------------


def test_the_branch_gets_one_commit_on_the_newest_release_and_an_annotated_tag(world: Sandbox) -> None:
    bench = bot(world)
    start(bench)
    tag = git(world, "show", "kernelci.org:kernelci.org")
    assert tag.startswith("kernelci-")
    assert git(world, "rev-parse", "kernelci.org^") == git(world, "rev-parse", "v5.10.80^{commit}")
    assert git(world, "log", "-1", "--format=%s", "kernelci.org") == tag
    assert git(world, "cat-file", "-t", tag) == "tag"
    assert git(world, "for-each-ref", "--format=%(contents:subject)", f"refs/tags/{tag}") == tag
    assert git(world, "rev-parse", f"{tag}^{{commit}}") == git(world, "rev-parse", "kernelci.org")


def test_alone_it_asks_first_and_shows_commit_tag_base_and_what_is_built(world: Sandbox) -> None:
    bench = bot(world)
    before = git(world, "rev-parse", "kernelci.org")
    bench.say("operator", "!pipecleaner")
    assert git(world, "rev-parse", "kernelci.org") == before
    (ask,) = bench.journal.open_asks()
    shown = "\n".join(ask.display)
    assert "which is v5.10.80 and one commit more" in shown
    assert "the reduced set of stable branches" in shown
    assert "started by the monitor for it alone" in shown
    approve(bench)
    assert git(world, "rev-parse", "kernelci.org") == ask.facts["prepare-pipe-cleaner"]["new"]  # type: ignore[index,call-overload]


def test_an_approval_is_void_when_somebody_moved_the_branch(world: Sandbox) -> None:
    bench = bot(world)
    bench.say("operator", "!pipecleaner kernelci")
    git(world, "branch", "--force", "kernelci.org", "v5.10.79")
    approve(bench)
    bench.run(1)
    (ask,) = bench.journal.open_asks()
    assert ask.ask == 2
    assert git(world, "rev-parse", "kernelci.org") == git(world, "rev-parse", "v5.10.79^{commit}")


def test_an_unknown_build_config_is_answered_with_the_nearest(world: Sandbox) -> None:
    bench = bot(world)
    bench.say("operator", "!pipecleaner kernelcy")
    assert "there is no build config kernelcy; did you mean kernelci?" in bench.run(1).steps[0].text


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
    assert run.step("run-pipe-cleaner").text.startswith(f"{KERNELS} kernels, {len(failing)} failed, in ")
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


def test_a_tree_that_is_not_ours_is_built_as_it_is_and_again_if_it_was_built(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench, "media")
    run = forward(bench, number, "run-pipe-cleaner")
    assert run.step("prepare-pipe-cleaner").state is StepState.NOT_NEEDED
    assert "started no build of media" in run.step("run-pipe-cleaner").text
    bench.say("operator", "!release retry run-pipe-cleaner")
    forward(bench, number, "run-pipe-cleaner")
    assert [one["ALLOW_REBUILD"] for one in triggers(world, "media")] == ["true"]
    assert cleaned(bench, number).tree == "media"


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


def test_one_look_takes_as_many_requests_for_a_few_builds_as_for_many(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    counts = []
    for _ in range(6):
        bench.tick(timedelta(minutes=2))
    for _ in range(3):
        before = len(world.jenkins.requests) + len(world.api.requests)
        bench.tick(timedelta(minutes=2))
        counts.append(len(world.jenkins.requests) + len(world.api.requests) - before)
    assert bench.run(number).step("run-pipe-cleaner").state is StepState.WAITING
    assert counts == [6, 6, 6]


# ---- judging ---------------------------------------------------------------------------------------------------


def once_accepted(bench: Bench) -> int:
    """A first run, accepted, which is the baseline from then on."""
    number = start(bench)
    forward(bench, number)
    approve(bench)
    assert bench.run(number).state is RunState.SUCCEEDED
    return number


def test_without_a_baseline_the_table_is_shown_and_people_decide(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    forward(bench, number)
    found = compared(bench, number)
    assert found.verdict.kind is Kind.NONE
    (ask,) = bench.journal.open_asks()
    assert ask.facts["accept"] == {"snapshot": found.digest, "verdict": "none"}
    assert any(f"of {KERNELS} passed (was -)" in line for line in ask.display)


def test_an_accepted_run_is_the_next_ones_baseline_and_the_same_failures_are_known(world: Sandbox) -> None:
    bench = bot(world, tests_quiet=timedelta(minutes=30))
    once_accepted(bench)
    number = start(bench)
    forward(bench, number)
    found = compared(bench, number)
    assert (found.verdict.kind, found.baseline) == (Kind.PASS, compared(bench, 1).snapshot.kernel)
    assert found.snapshot.tests
    assert any("fails, as in the baseline" in reason.text for reason in found.verdict.reasons)


def test_a_configured_earlier_run_is_the_first_baseline(world: Sandbox) -> None:
    earlier = world.baseline.kernel
    bench = bot(world, previous=earlier)
    number = start(bench)
    forward(bench, number)
    assert compared(bench, number).baseline == earlier


def test_an_api_that_does_not_answer_at_the_end_is_unknown_and_never_a_pass(world: Sandbox) -> None:
    bench = bot(world)
    once_accepted(bench)
    world.api.faults.add(Fault(FaultKind.STATUS, "/test", times=1000, status=502))
    number = start(bench)
    forward(bench, number)
    found = compared(bench, number)
    assert found.verdict.kind is Kind.UNKNOWN
    assert found.snapshot.unreachable == ("results API",)
    approve(bench)
    assert "is no baseline" in bench.run(number).step("accept-results").text


def test_a_new_failure_is_unknown_until_it_was_built_again_and_then_a_regression(world: Sandbox) -> None:
    bench = bot(world)
    once_accepted(bench)
    world.jobs._does._settings = replace(world.jobs.settings, failure_rate=0.3)
    number = start(bench)
    forward(bench, number)
    assert compared(bench, number).verdict.kind is Kind.UNKNOWN
    assert "failed once and was not tried again" in bench.run(number).step("compare-results").text
    bench.say("operator", "!pipecleaner retry failed")
    again = bench.journal.runs(1)[0].id
    forward(bench, again, "build-failed-again")
    assert "failed again" in bench.run(again).step("build-failed-again").text
    first = compared(bench, number).digest
    bench.say("operator", "!pipecleaner compare")
    forward(bench, number)
    found = compared(bench, number)
    assert found.verdict.kind is Kind.FAIL
    assert any("failed 2 times" in reason.text for reason in found.verdict.reasons)
    (ask,) = bench.journal.open_asks()
    assert ask.facts["accept"]["snapshot"] == found.digest != first  # type: ignore[index,call-overload]


def test_a_kernel_that_passes_when_built_again_is_only_flaky(world: Sandbox) -> None:
    bench = bot(world)
    once_accepted(bench)
    settings = world.jobs.settings
    world.jobs._does._settings = replace(settings, failure_rate=0.3)
    number = start(bench)
    forward(bench, number)
    world.jobs._does._settings = settings
    bench.say("operator", "!pipecleaner retry")
    forward(bench, bench.journal.runs(1)[0].id, "build-failed-again")
    bench.say("operator", "!pipecleaner compare")
    forward(bench, number)
    found = compared(bench, number)
    assert found.verdict.kind is Kind.PASS
    assert any("is flaky" in reason.text for reason in found.verdict.reasons)


def test_retry_of_an_architecture_builds_only_its_failures(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    forward(bench, number)
    arch = cleaned(bench, number).failed[0].arch
    before = len(job(world, kci.KERNEL_BUILD).runs)
    bench.say("operator", f"!pipecleaner retry {arch}")
    forward(bench, bench.journal.runs(1)[0].id, "build-failed-again")
    wanted = sum(one.arch == arch for one in cleaned(bench, number).failed)
    assert len(job(world, kci.KERNEL_BUILD).runs) == before + wanted
    bench.say("operator", "!pipecleaner retry sparc")
    assert "There is nothing to build again for “sparc”" in said(bench)


def test_retry_all_builds_the_same_commit_again_and_asks_for_the_new_snapshot(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    forward(bench, number)
    (ask,) = bench.journal.open_asks()
    commit = git(world, "rev-parse", "kernelci.org")
    bench.say("operator", "!pipecleaner retry all")
    assert bench.run(number).step("run-pipe-cleaner").state is StepState.WAITING
    forward(bench, number, "run-pipe-cleaner")
    forward(bench, number)
    assert [one["ALLOW_REBUILD"] for one in triggers(world)] == ["false", "true"]
    assert git(world, "rev-parse", "kernelci.org") == commit
    (asked,) = bench.journal.open_asks()
    assert asked.ask == ask.ask + 1
    approve(bench)
    assert bench.run(number).state is RunState.SUCCEEDED


def test_an_acceptance_of_a_snapshot_that_is_no_longer_the_newest_is_void(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    forward(bench, number)
    done = cleaned(bench, number)
    world.api.post_kernel(done.tree, done.branch, done.kernel, "0" * 40, "sparc", "defconfig", "gcc-8", "FAIL")
    bench.say("operator", "!release retry compare-results")
    forward(bench, number)
    approve(bench)
    bench.run(number)
    (ask,) = bench.journal.open_asks()
    assert ask.ask == 2
    approve(bench)
    assert bench.run(number).state is RunState.SUCCEEDED
    kept = bench.journal.recall("baseline")["5.10"]
    assert isinstance(kept, dict)
    assert any(row[0] == "sparc" for row in kept["results"]["kernels"])


# ---- verbs -----------------------------------------------------------------------------------------------------


def test_status_compare_and_history_tell_of_the_last_run(world: Sandbox) -> None:
    bench = bot(world)
    bench.say("observer", "!pipecleaner status")
    bench.say("observer", "!pipecleaner history")
    assert bench.replies() == [
        "There has been no pipe cleaner yet: !pipecleaner CONFIG runs one",
        "There has been no pipe cleaner yet",
    ]
    number = start(bench)
    bench.tick(timedelta(minutes=5))
    bench.say("observer", "!pipecleaner status")
    bench.say("operator", "!pipecleaner")
    replies = bench.replies()
    assert "Test is at it already: !pipecleaner status" in replies
    assert any(one.startswith("Test: ") for one in replies)
    forward(bench, number)
    approve(bench)
    bench.run(number)
    bench.say("observer", "!pipecleaner status")
    assert bench.replies()[0].startswith("The last pipe cleaner, kernelci-")
    bench.say("operator", "!pipecleaner compare")
    bench.settle()
    assert "Pipe cleaner: no verdict" in said(bench)
    bench.say("observer", "!pipecleaner history")
    assert "no" in said(bench)
    assert "accepted" in said(bench)


def test_stopping_nothing_is_refused(world: Sandbox) -> None:
    bench = bot(world)
    bench.say("operator", "!pipecleaner stop")
    assert bench.replies() == ["No pipe cleaner is running"]
