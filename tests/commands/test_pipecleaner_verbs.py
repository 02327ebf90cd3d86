"""The verbs of the pipe cleaner, typed by people before, during and after one: status, retry, compare, stop."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.chat.console_render import render
from kcibot.core.gate import AskState
from kcibot.core.notice import Level, Notice
from kcibot.core.run import Run, RunState, StepState
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.jobs import Settings
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands.rules.verdict import Kind
from tests.fakes.bench import Bench
from tests.fakes.pipecleaner_bench import approve, bot, cleaned, compared, forward, job, once_accepted, start
from tests.fakes.sandbox_bench import sandbox

KERNELS = 12
AGAIN = "build-failed-again"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    quick = Settings(kernels=KERNELS, failure_rate=0.2, kernel_minutes=(2.0, 6.0), lab_minutes=(1.0, 5.0))
    with sandbox(tmp_path, quick) as made:
        yield made


def ask(bench: Bench, text: str, who: str = "operator") -> Notice:
    """Say it; the reply."""
    bench.deliver()
    before = set(bench.notices)
    bench.say(who, text)
    bench.deliver()
    (key,) = [key for key in bench.notices if key not in before and (key.startswith("reply:") or ":answer" in key)]
    return bench.notices[key]


def text(notice: Notice) -> str:
    return "\n".join(render(notice, 200))


def said(bench: Bench, part: str) -> Notice:
    """The newest message whose key has that part."""
    bench.deliver()
    return [notice for key, notice in bench.notices.items() if part in key][-1]


def tick_until(bench: Bench, part: str, most: int = 60) -> Notice:
    """Put the time forward until `!pipecleaner status` has that part."""
    for _ in range(most):
        found = ask(bench, "!pipecleaner status", "observer")
        if part in text(found):
            return found
        bench.tick(timedelta(minutes=1))
    raise AssertionError(f"no status with “{part}”; the last: {text(found)}")


def newest(bench: Bench) -> Run:
    bench.settle()
    return bench.journal.runs(1)[0]


def until_ended(bench: Bench, number: int) -> Run:
    for _ in range(60):
        run = bench.run(number)
        if run.ended:
            return run
        bench.tick(timedelta(minutes=1))
    raise AssertionError(f"still {bench.run(number).steps}")


def until_asked(bench: Bench, number: int, nth: int) -> None:
    """Until the acceptance of that run is asked for the nth time."""
    for _ in range(60):
        asking = bench.journal.ask(number, "accept")
        if asking and asking.ask == nth and asking.state is AskState.OPEN:
            return
        bench.tick(timedelta(minutes=1))
    raise AssertionError(f"not asked: {bench.run(number).steps}")


# ---- before any ------------------------------------------------------------------------------------------------


NONE_YET = "There has been no pipe cleaner yet: !pipecleaner CONFIG runs one"
BEFORE = {
    "!pipecleaner status": NONE_YET,
    "!pipecleaner history": NONE_YET,
    "!pipecleaner show": NONE_YET,
    "!pipecleaner compare": NONE_YET,
    "!pipecleaner compare v5.10": NONE_YET,
    "!pipecleaner retry": NONE_YET,
    "!pipecleaner stop": "No pipe cleaner is running",
    "!pipecleaner statsu": "“statsu” looks like !pipecleaner status. Nothing was started",
    "!pipecleaner histroy": "“histroy” looks like !pipecleaner history. Nothing was started",
}


def test_before_any_pipe_cleaner_every_verb_says_so(world: Sandbox) -> None:
    bench = bot(world)
    assert {line: ask(bench, line).title[: len(reply)] for line, reply in BEFORE.items()} == BEFORE
    assert not bench.journal.runs(1)


# ---- while one runs --------------------------------------------------------------------------------------------


def test_status_tells_each_phase_to_everybody_who_may_observe(world: Sandbox) -> None:
    bench = bot(world, tests_quiet=timedelta(minutes=10))
    bench.say("operator", "!pipecleaner kernelci")
    waiting = tick_until(bench, "waiting for approval to begin", 1)
    assert "(release-manager): !approve " in text(waiting)
    assert "is there already, waiting for an answer" in ask(bench, "!pipecleaner").title
    (gate,) = bench.journal.open_asks()
    assert ask(bench, "!pipecleaner stop").title.endswith(f"has not begun: !reject {gate.code} REASON ends it")
    approve(bench)
    tick_until(bench, "starting the builds", 1)
    building = tick_until(bench, "failed: ")
    assert building.title == "Pipe cleaner kernelci: building"
    assert "Architectures: arm " in text(building)
    assert "/console" in text(building)
    assert "job/kernel-build-trigger/2/" in text(building)
    assert building.progress
    assert (building.progress.total, building.progress.unit) == (KERNELS, "kernels")
    assert building.picture
    assert "Kernels: 0 " in text(building)
    assert "is at it already: !pipecleaner status" in ask(bench, "!pipecleaner kernelci").title
    tick_until(bench, "building what failed once more")
    labs = tick_until(bench, "all built, waiting for labs and mails")
    assert "Test plans: lab-" in text(labs)
    tick_until(bench, "Report mails: build mail ", 30)
    assert "Built once more by me: " in text(labs)
    accept = tick_until(bench, "waiting for acceptance")
    assert "Proposed: no verdict" in text(accept)
    assert "!approve " in text(accept)
    assert "(role operator)" not in text(accept)
    assert "Tests: 0 " in text(accept)
    assert ask(bench, "!pipecleaner stop").title.startswith("All of Pipe cleaner kernelci is built, and nothing runs")


def test_alone_its_acceptance_is_asked_for_when_production_is_open_again(world: Sandbox) -> None:
    bench = bot(world)
    bench.say("operator", "!pipecleaner")
    approve(bench)
    until_asked(bench, 1, 1)
    assert bench.run(1).step("open-production").state is StepState.DONE
    shown = "\n".join(said(bench, "gate:accept").lines)
    assert "!pipecleaner retry failed" in shown
    assert "!release amend" not in shown, "there is no release to amend"
    assert "!release rollback" not in shown, "nor to roll back"
    approve(bench)
    assert bench.run(1).state is RunState.SUCCEEDED
    ended = ask(bench, "!pipecleaner status", "observer")
    assert ended.title == "The last pipe cleaner, kernelci-20261123.0: no verdict"
    assert "Accepted by manager-1" in ended.lines
    assert any("job/kernel-build-trigger/2/" in line for line in ended.lines)


def test_status_survives_a_restart_and_tells_what_a_run_is_stuck_with(world: Sandbox) -> None:
    first = bot(world)
    number = start(first)
    tick_until(first, "building")
    first.journal.close()
    bench = bot(world)
    assert ask(bench, "!pipecleaner status").title == "Test: building"
    bench.say("operator", "!release pause lunch")
    assert "stands still (pause by operator: lunch)" in ask(bench, "!pipecleaner status").title
    assert "“Test” stands still; !release continue" in ask(bench, "!pipecleaner stop").title
    bench.say("operator", "!release abort a fire drill")
    ended = ask(bench, "!pipecleaner status")
    assert ended.title == "The last pipe cleaner, Test, has no verdict: aborted by operator: a fire drill"
    assert bench.run(number).ended


def test_a_step_that_broke_is_told_with_what_to_do(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench, "media")
    bench.say("operator", "!release abort no")
    bench.world.ports.ci.disable(kci.TRIGGER)
    number = start(bench, "media")
    forward(bench, number, "run-pipe-cleaner")
    told = ask(bench, "!pipecleaner status")
    assert told.title == "Test stands still at “Pipe cleaner”"
    assert told.level is Level.WARNING
    assert f"!release retry run-pipe-cleaner --run {number}" in text(told)


def test_stop_says_what_it_ends_and_that_it_cannot_be_taken_back(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    tick_until(bench, "building")
    assert "needs the role operator" in ask(bench, "!pipecleaner stop", "observer").title
    reply = ask(bench, "!pipecleaner stop the lab moves today")
    assert reply.title == "I end “Test” at my next look."
    assert "That cannot be taken back: !pipecleaner retry all builds it anew." in reply.lines
    assert "is being stopped already" in ask(bench, "!pipecleaner stop").title
    assert ask(bench, "!pipecleaner status").title == "Test: being stopped"
    entry = next(one.entry for one in bench.journal.audit_tail(30) if one.entry.what == "pipecleaner stop")
    assert entry.detail["reason"] == "the lab moves today"
    forward(bench, number)
    assert compared(bench, number).verdict.kind is not Kind.PASS


# ---- building again --------------------------------------------------------------------------------------------


def test_a_retry_while_acceptance_is_open_voids_it_and_asks_anew_by_itself(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    forward(bench, number)
    until_asked(bench, number, 1)
    before = bench.journal.ask(number, "accept")
    assert before
    failed = len(cleaned(bench, number).failed)
    reply = ask(bench, "!pipecleaner retry")
    assert reply.title == f"I build {failed} kernels of kernelci-20261123.0 again."
    voided = bench.journal.ask(number, "accept")
    assert voided
    assert voided.state is AskState.VOID
    assert "no longer valid" in ask(bench, f"!approve {before.code}", "manager-1").title
    status = ask(bench, "!pipecleaner status")
    assert "building again what people asked for" in status.title
    assert "Also test: comparing" in status.lines
    assert "is still at it" in ask(bench, "!pipecleaner retry").title
    assert "run 2 builds " in bench.run(number).step("compare-results").text
    world.jobs._does._settings = Settings(kernels=KERNELS, failure_rate=0.0)
    assert until_ended(bench, 2).state is RunState.SUCCEEDED
    until_asked(bench, number, 2)
    found = compared(bench, number)
    asked = bench.journal.ask(number, "accept")
    assert asked
    assert asked.facts["accept"]["snapshot"] == found.digest  # type: ignore[index,call-overload]
    assert asked.digest != before.digest
    approve(bench)
    assert bench.run(number).state is RunState.SUCCEEDED


def test_what_is_built_again_can_be_stopped_and_the_rest_is_judged(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    forward(bench, number)
    until_asked(bench, number, 1)
    before = len(job(world, kci.KERNEL_BUILD).runs)
    ask(bench, "!pipecleaner retry arm --whole")
    bench.tick(timedelta(seconds=30))
    assert "I end “" in ask(bench, "!pipecleaner stop").title
    again = until_ended(bench, 2)
    assert "stopped before their end" in again.step(AGAIN).text
    until_asked(bench, number, 2)
    for _ in range(3):
        bench.tick(timedelta(minutes=1))
    ours = [run for number, run in job(world, kci.KERNEL_BUILD).runs.items() if number > before]
    assert ours
    assert [run.number for run in ours if run.result is None] == []


def test_compare_does_not_wait_for_what_is_built_again(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    forward(bench, number)
    until_asked(bench, number, 1)
    ask(bench, "!pipecleaner retry")
    bench.tick()
    assert bench.run(number).step("compare-results").state is StepState.WAITING
    assert "I look at the results of kernelci-20261123.0 again" in ask(bench, "!pipecleaner compare").title
    until_asked(bench, number, 2)
    assert not bench.run(2).ended


def test_a_retry_that_is_aborted_is_not_waited_for(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    forward(bench, number)
    until_asked(bench, number, 1)
    ask(bench, "!pipecleaner retry")
    bench.tick()
    bench.say("operator", "!release abort it is late --run 2")
    until_asked(bench, number, 2)


def test_a_retry_after_the_acceptance_asks_for_leave_then_judges_and_asks_again(world: Sandbox) -> None:
    bench = bot(world)
    once_accepted(bench)
    failed = cleaned(bench, 1).failed
    builds = len(job(world, kci.KERNEL_BUILD).runs)
    ask_before = bench.journal.open_asks()
    bench.say("operator", "!pipecleaner retry failed")
    (gate,) = bench.journal.open_asks()
    assert not ask_before
    assert gate.gate_id == "pipecleaner"
    assert len([line for line in gate.display if "kernel-build again for" in line]) == len(failed)
    assert len(job(world, kci.KERNEL_BUILD).runs) == builds, "nothing is built before people said so"
    approve(bench)
    until_asked(bench, 2, 1)
    assert len(job(world, kci.KERNEL_BUILD).runs) == builds + len(failed)
    assert compared(bench, 2).snapshot.kernel == compared(bench, 1).snapshot.kernel
    approve(bench)
    assert bench.run(2).state is RunState.SUCCEEDED
    assert [row[:2].strip() for row in ask(bench, "!pipecleaner history").lines[1:]] == ["2", "1"]


def test_only_what_is_named_is_built_again(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    forward(bench, number)
    until_asked(bench, number, 1)
    failed = cleaned(bench, number).failed
    arch = failed[0].arch
    passing = next(
        kernel.key.arch
        for kernel in compared(bench, number).snapshot.kernels
        if kernel.key.arch not in {one.arch for one in failed}
    )
    assert "Did you mean failed?" in ask(bench, "!pipecleaner retry faild").title
    assert "is no architecture and no compiler of kernelci-20261123.0" in ask(bench, "!pipecleaner retry sparc").title
    assert f"nothing failed on {passing}" in ask(bench, f"!pipecleaner retry {passing}").title.lower()
    assert "--whole goes with" in ask(bench, "!pipecleaner retry failed --whole").title
    before = len(job(world, kci.KERNEL_BUILD).runs)
    bench.say("operator", f"!pipecleaner retry {arch}")
    until_ended(bench, newest(bench).id)
    wanted = sum(one.arch == arch for one in failed)
    assert len(job(world, kci.KERNEL_BUILD).runs) == before + wanted
    until_asked(bench, number, 2)
    bench.say("operator", f"!pipecleaner retry {passing} --whole")
    until_ended(bench, newest(bench).id)
    until_asked(bench, number, 3)
    snapshot = compared(bench, number).snapshot
    whole = sum(kernel.key.arch == passing for kernel in snapshot.kernels)
    assert len(job(world, kci.KERNEL_BUILD).runs) == before + wanted + whole
    assert not [kernel for kernel in snapshot.kernels if kernel.key.arch == passing and kernel.failures]


def test_a_restart_in_the_middle_of_a_retry_loses_nothing(world: Sandbox) -> None:
    first = bot(world)
    number = start(first)
    forward(first, number)
    until_asked(first, number, 1)
    builds = len(job(world, kci.KERNEL_BUILD).runs)
    failed = len(cleaned(first, number).failed)
    ask(first, "!pipecleaner retry")
    first.tick(timedelta(seconds=30))
    first.journal.close()
    bench = bot(world)
    bench.engine.resume()
    until_asked(bench, number, 2)
    assert len(job(world, kci.KERNEL_BUILD).runs) == builds + failed
