"""Waiting for a drain over the real adapter and the Jenkins stand-in."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.notice import Level
from kcibot.core.run import RunState, StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.jenkins import RunningBuild, Steps, succeed_after
from kcibot_commands.drain import DrainSettings
from tests.fakes.ci_bench import BISECTION, MONITOR, TRIGGER, CiBench, busy, ci_bench, definition


@pytest.fixture
def ci(tmp_path: Path) -> Iterator[CiBench]:
    with ci_bench(tmp_path) as bench:
        bench.server.disable(MONITOR)
        yield bench


def step_text(ci: CiBench) -> str:
    return ci.newest().step("drain").text


def test_an_idle_jenkins_is_drained_after_a_first_and_a_confirming_look(ci: CiBench) -> None:
    run = ci.say("!drain wait")
    assert run.state is RunState.WAITING
    assert "I look again before I believe it" in step_text(ci)
    ci.bench.tick(timedelta(seconds=29))
    assert ci.newest().state is RunState.WAITING
    ci.bench.tick(timedelta(seconds=1))
    run = ci.newest()
    assert run.state is RunState.SUCCEEDED
    assert run.step("drain").text.startswith("3 jobs, idle since ")


def test_a_look_takes_three_requests_and_a_confirming_look_six(ci: CiBench) -> None:
    ci.jenkins.requests.clear()
    ci.say("!drain wait")
    first = [request.path for request in ci.jenkins.requests]
    assert first == ["/api/json", "/queue/api/json", "/computer/api/json"]
    ci.jenkins.requests.clear()
    ci.bench.tick(timedelta(seconds=30))
    look = ["/queue/api/json", "/computer/api/json"]
    assert [request.path for request in ci.jenkins.requests] == ["/api/json", *look, *look, "/api/json"]


def test_what_runs_and_what_waits_holds_the_drain_by_name(ci: CiBench) -> None:
    busy(ci)
    ci.jenkins.trigger(BISECTION, {})
    ci.say("!drain wait")
    assert step_text(ci).startswith(f"1 running, 1 queued: {TRIGGER} #1 (")
    assert f"{BISECTION} (item " in step_text(ci)
    run = ci.tick_until_ended(timedelta(seconds=30))
    assert run.state is RunState.SUCCEEDED


def test_work_that_is_triggered_when_a_build_ends_holds_it_too(ci: CiBench) -> None:
    def chain(build: RunningBuild) -> Steps:
        build.trigger(BISECTION, {})
        yield from succeed_after(20)(build)
        return "SUCCESS"

    ci.jenkins.behave(BISECTION, succeed_after(200))
    ci.jenkins.behave(TRIGGER, chain)
    ci.jenkins.trigger(TRIGGER, {})
    ci.say("!drain wait")
    run = ci.tick_until_ended(timedelta(seconds=7))
    bisections = ci.server.builds(BISECTION)
    ended = run.step("drain").ended_at
    assert ended is not None
    assert all(not b.building and ended - b.started > timedelta(seconds=200) for b in bisections)
    assert len(bisections) == 1


def test_an_enabled_monitor_keeps_it_from_being_drained(ci: CiBench) -> None:
    ci.server.enable(MONITOR)
    ci.say("!drain wait")
    ci.bench.tick(timedelta(minutes=2))
    assert ci.newest().state is RunState.WAITING
    assert step_text(ci).startswith(f"{MONITOR} is enabled")


def test_a_build_that_came_and_went_between_the_looks_starts_it_again(ci: CiBench) -> None:
    ci.say("!drain wait")
    ci.jenkins.trigger(TRIGGER, {})
    ci.bench.tick(timedelta(seconds=30))
    assert ci.newest().state is RunState.WAITING
    assert f"{TRIGGER} started builds in between" in step_text(ci)
    assert ci.tick_until_ended().state is RunState.SUCCEEDED


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.STATUS, status=500, times=99),
        Fault(FaultKind.STATUS, status=503, times=99),
        Fault(FaultKind.STATUS, status=401, times=99),
        Fault(FaultKind.STATUS, status=403, times=99),
        Fault(FaultKind.RESET_BEFORE, times=99),
        Fault(FaultKind.RESET_AFTER, times=99),
        Fault(FaultKind.HTML, times=99),
        Fault(FaultKind.TRUNCATED, times=99),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
@pytest.mark.parametrize("path", ["GET /api/json", "GET /queue/api/json", "GET /computer/api/json"])
def test_a_jenkins_that_cannot_be_seen_is_unknown_and_never_idle(ci: CiBench, fault: Fault, path: str) -> None:
    fault = Fault(fault.kind, f"^{path}$", fault.times, 0, fault.status)
    ci.jenkins.faults.add(fault)
    ci.say("!drain wait")
    for _ in range(3):
        assert ci.newest().state is RunState.WAITING
        assert step_text(ci).startswith("Jenkins cannot be seen since ")
        assert "is not known" in step_text(ci)
        ci.bench.tick(timedelta(minutes=5))
    ci.jenkins.faults.clear()
    assert ci.tick_until_ended(timedelta(minutes=1)).state is RunState.SUCCEEDED


@pytest.mark.parametrize("skip", range(6))
def test_a_fault_in_any_request_of_the_confirming_look_starts_it_again(ci: CiBench, skip: int) -> None:
    ci.say("!drain wait")
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, status=502, skip=skip))
    ci.bench.tick(timedelta(seconds=30))
    assert ci.newest().state is RunState.WAITING
    assert ci.tick_until_ended(timedelta(minutes=1)).state is RunState.SUCCEEDED


def test_looks_come_less_often_while_jenkins_does_not_answer(ci: CiBench) -> None:
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, times=99))
    ci.say("!drain wait")
    spans = []
    for _ in range(5):
        step = ci.newest().step("drain")
        assert step.wake_at is not None
        spans.append(round((step.wake_at - ci.bench.clock.now()).total_seconds()))
        ci.bench.tick(timedelta(minutes=5))
    assert spans == [30, 60, 120, 240, 300]


def test_a_restart_is_told_with_what_it_killed_and_proves_nothing(ci: CiBench) -> None:
    busy(ci)
    ci.say("!drain wait")
    ci.jenkins.restart(kill=True)
    ci.forward(seconds=20)
    run = ci.tick_until_ended(timedelta(minutes=1))
    assert run.state is RunState.SUCCEEDED
    assert "Jenkins was restarted during the drain" in ci.said()
    assert f"ran or waited when last seen: {TRIGGER} #1" in ci.said()


def test_a_restart_between_the_two_looks_starts_it_again(ci: CiBench) -> None:
    ci.say("!drain wait")
    with ci.jenkins.loop.lock:
        ci.jenkins.world.new_session()
    ci.bench.tick(timedelta(seconds=30))
    assert "Jenkins was restarted" in step_text(ci)


def test_it_survives_a_restart_of_the_bot(ci: CiBench, tmp_path: Path) -> None:
    busy(ci, 100)
    ci.say("!drain wait")
    with pytest.raises(AssertionError, match="still"):
        ci.tick_until_ended(timedelta(seconds=30), 2)
    memory = ci.newest().step("drain").value
    assert isinstance(memory, dict)
    ci.bench.engine.close(5)
    ci.bench.engine._closing = False
    ci.bench.engine.resume()
    assert ci.tick_until_ended().state is RunState.SUCCEEDED


def test_a_timeout_fails_and_says_what_holds_it_and_a_retry_waits_as_long_again(ci: CiBench) -> None:
    busy(ci, 3 * 3600)
    ci.say("!drain wait --timeout 1h")
    for _ in range(13):
        ci.bench.tick(timedelta(minutes=5))
    run = ci.newest()
    assert run.state is RunState.FAILED
    assert "not proven idle within" in run.step("drain").text
    assert f"{TRIGGER} #1" in run.step("drain").text
    run = ci.say("!release retry drain")
    assert run.state is RunState.WAITING
    ci.bench.tick(timedelta(minutes=50))
    assert ci.newest().state is RunState.WAITING


def test_a_slow_drain_is_warned_of_once(ci: CiBench) -> None:
    busy(ci, 3 * 3600)
    ci.say("!drain wait")
    for _ in range(25):
        ci.bench.tick(timedelta(minutes=5))
    assert ci.notice(":slow since").level is Level.WARNING


def test_at_the_end_everybody_who_waits_is_mentioned_in_an_alert(ci: CiBench) -> None:
    ci.bench.say("observer", "!notify drain")
    busy(ci, 60)
    ci.say("!drain wait")
    ci.bench.say("manager-1", "!drain wait")
    ci.bench.say("manager-2", "!notify drain")
    ci.bench.say("manager-2", "!notify drain --off")
    run = ci.tick_until_ended()
    assert len(ci.bench.journal.runs(10)) == 1, "the second wait must not start another run"
    alert = ci.notice(":drained")
    assert alert.level is Level.ALERT
    assert alert.mentions == ("operator", "manager-1", "observer")
    assert ci.bench.journal.recall("notify") == {"drain/observer": {"run": 0}}
    assert run.state is RunState.SUCCEEDED


def test_ignored_jobs_do_not_hold_it_and_are_named_at_the_end(ci: CiBench) -> None:
    busy(ci, 9000, BISECTION)
    ci.say("!drain wait")
    ci.bench.say("operator", f"!drain ignore {BISECTION} it is stuck in a lab")
    run = ci.tick_until_ended()
    assert run.state is RunState.SUCCEEDED
    assert f"apart from {BISECTION} #1" in run.step("drain").text
    assert any(entry.entry.what == "drain ignore" for entry in ci.bench.journal.audit_tail(50))
    assert ci.bench.journal.recall("drain-ignored") == {}


def test_a_job_can_be_left_out_from_the_start_but_never_the_monitor(ci: CiBench) -> None:
    busy(ci, 9000, BISECTION)
    ci.server.enable(MONITOR)
    ci.bench.say("operator", f"!drain wait --ignore {BISECTION} --ignore {MONITOR}")
    assert any("cannot be left out" in reply for reply in ci.bench.replies())
    ci.say(f"!drain wait --ignore {BISECTION}")
    ci.bench.tick(timedelta(minutes=2))
    assert step_text(ci).startswith(f"{MONITOR} is enabled")
    ci.bench.say("operator", f"!drain ignore {MONITOR} it never ends")
    assert any("cannot be left out" in reply for reply in ci.bench.replies())
    ci.server.disable(MONITOR)
    assert ci.tick_until_ended().state is RunState.SUCCEEDED


def test_cancel_ends_the_waiting(ci: CiBench) -> None:
    busy(ci)
    ci.say("!drain wait")
    run = ci.say("!drain cancel we go on tomorrow")
    assert run.state is RunState.ABORTED
    ci.bench.say("operator", "!drain cancel")
    assert any("Nobody is waiting for a drain" in reply for reply in ci.bench.replies())


def test_status_is_one_look_and_says_that_it_proves_nothing(ci: CiBench) -> None:
    ci.say("!drain status", "observer")
    answer = ci.notice(":answer")
    assert answer.title == "Jenkins: nothing runs or is queued in this one look"
    assert "That is no proof of a drain: !drain wait makes one." in answer.lines
    assert f"{MONITOR} is disabled." in answer.lines


def test_status_of_an_unreachable_jenkins_is_an_error(ci: CiBench) -> None:
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, times=99))
    run = ci.say("!drain status", "observer")
    assert run.step("drain-status").state is StepState.FAILED
    assert ci.notice(":answer").level is Level.ERROR


def test_history_lists_drains_with_their_durations(ci: CiBench) -> None:
    busy(ci, 300)
    ci.say("!drain wait")
    ci.tick_until_ended()
    busy(ci, 300)
    ci.say("!drain wait")
    ci.say("!drain cancel")
    ci.bench.say("observer", "!drain history")
    rows = next(n for key, n in ci_notices(ci).items() if n.title == "Drains, newest first").lines
    assert "aborted" in rows[0]
    assert "min: done, 3 jobs, idle since" in rows[1]


def ci_notices(ci: CiBench):  # type: ignore[no-untyped-def]
    ci.bench.deliver()
    return ci.bench.notices


def test_an_estimate_brings_the_looks_closer_near_the_end(ci: CiBench) -> None:
    busy(ci, 600)
    ci.forward(minutes=11)
    busy(ci, 600)
    ci.say("!drain wait")
    assert "of about 10 min" in step_text(ci)
    assert "; about " in step_text(ci)
    ci.bench.tick(timedelta(seconds=560))
    step = ci.newest().step("drain")
    assert step.wake_at is not None
    assert step.wake_at - ci.bench.clock.now() <= timedelta(seconds=10)


def test_who_may_not_wait_is_refused(ci: CiBench) -> None:
    ci.bench.say("observer", "!drain wait")
    assert ci.bench.journal.runs(1) == ()


def test_the_two_looks_lie_further_apart_than_the_longest_quiet_period_seen() -> None:
    assert DrainSettings().quiet_for > timedelta(seconds=9)


def test_a_job_that_is_not_there_is_not_taken_for_a_disabled_monitor(tmp_path: Path) -> None:
    with ci_bench(tmp_path) as ci:
        ci.jenkins.world.delete(ci.jenkins.world.jobs.find(MONITOR))  # type: ignore[arg-type]
        ci.jenkins.create_job("other", definition())
        ci.say("!drain wait")
        ci.bench.tick(timedelta(minutes=2))
        assert "there is no job kernel-tree-monitor" in step_text(ci)
