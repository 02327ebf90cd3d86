"""Pausing, resuming and starting the monitor over the real adapter and the Jenkins stand-in."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.ports import BuildRef, ItemState
from kcibot.core.run import RunState, StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.jenkins import RunningBuild, Sleep, Steps
from kcibot.services.jenkins.adapter import JenkinsServer
from kcibot_commands.monitor.flags import Bisections, MonitorSettings, read_pause
from kcibot_commands.rules.job_definitions import differences, timer_specs, with_timer
from tests.fakes.ci_bench import BISECTION, MONITOR, SELF, TIMER, TRIGGER, CiBench, ci_bench, definition
from tests.fakes.monitor_bench import bisect, monitor_behaves, paused


@pytest.fixture
def ci(tmp_path: Path) -> Iterator[CiBench]:
    with ci_bench(tmp_path) as bench:
        yield bench


# ---- pausing ---------------------------------------------------------------------------------------------------


def test_a_pause_disables_the_monitor_and_remembers_who_why_and_what(ci: CiBench) -> None:
    run = ci.say("!monitor pause the storage is being moved")
    assert run.state is RunState.SUCCEEDED
    assert ci.server.job(MONITOR).disabled
    pause = read_pause(ci.bench.journal.recall("paused").get("monitor"))
    assert pause is not None
    assert (pause.who, pause.why, pause.jobs) == ("operator", "the storage is being moved", (MONITOR, BISECTION))


def test_it_says_what_it_cancelled_in_the_queue(ci: CiBench) -> None:
    ci.jenkins.trigger(MONITOR, {"CONFIG_LIST": "a"})
    ci.jenkins.trigger(MONITOR, {"CONFIG_LIST": "b"})
    run = ci.say("!monitor pause")
    text = run.step("pause-monitor").text
    assert text == f"{MONITOR} is disabled; that cancelled 2 builds in the queue (for a and b)"


def test_a_monitor_that_somebody_else_disabled_is_not_given_back_by_the_resume(ci: CiBench) -> None:
    ci.server.disable(MONITOR)
    run = ci.say("!monitor pause")
    assert "was disabled already, not by me" in run.step("pause-monitor").text
    assert paused(ci) == (BISECTION,)


def test_a_second_pause_is_not_needed_and_keeps_the_first_ones_story(ci: CiBench) -> None:
    ci.say("!monitor pause the first reason")
    run = ci.say("!monitor pause another reason", "manager-1")
    assert run.step("pause-monitor").state is StepState.NOT_NEEDED
    assert "paused already, by operator" in run.step("pause-monitor").text
    assert "the first reason" in run.step("pause-monitor").text


def test_a_monitor_that_came_back_is_disabled_again_by_a_second_pause(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.server.enable(MONITOR)
    ci.say("!monitor pause")
    assert ci.server.job(MONITOR).disabled
    assert paused(ci) == (MONITOR, BISECTION)


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER])
def test_a_lost_answer_is_settled_by_looking_at_the_flag(ci: CiBench, kind: FaultKind) -> None:
    ci.jenkins.faults.add(Fault(kind, f"POST .*{MONITOR}/disable"))
    ci.say("!monitor pause")
    run = ci.tick_until_ended()
    assert run.state is RunState.SUCCEEDED
    assert ci.server.job(MONITOR).disabled
    assert paused(ci) == (MONITOR, BISECTION)


def test_a_jenkins_without_the_monitor_stops_the_pause_with_a_sentence(tmp_path: Path) -> None:
    with ci_bench(tmp_path, sections={MonitorSettings: MonitorSettings(job="no-such-job")}) as ci:
        run = ci.say("!monitor pause")
        assert run.state is RunState.FAILED
        assert "no-such-job" in run.step("pause-monitor").text


# ---- bisections ------------------------------------------------------------------------------------------------


def test_running_bisections_are_aborted_after_an_approval_that_names_them(ci: CiBench) -> None:
    bisect(ci, 2)
    run = ci.say("!monitor pause")
    (ask,) = ci.bench.journal.open_asks()
    assert ask.facts == {"abort-bisections": {"job": BISECTION, "builds": [1, 2]}}
    assert not ci.server.job(BISECTION).disabled
    ci.approve()
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert run.state is RunState.SUCCEEDED
    assert run.step("abort-bisections").text == f"{BISECTION} is disabled, 2 builds aborted"
    assert [build.result for build in ci.server.builds(BISECTION)] == ["ABORTED", "ABORTED"]
    assert ci.server.job(BISECTION).disabled


def test_a_bisection_that_began_after_the_asking_is_not_covered_by_the_approval(ci: CiBench) -> None:
    bisect(ci)
    ci.say("!monitor pause")
    bisect(ci)
    ci.approve()
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert "1 build aborted; #2 began since and goes on" in run.step("abort-bisections").text
    assert ci.server.build(BuildRef(BISECTION, 2)).building


def test_a_rejection_leaves_the_bisections_alone(ci: CiBench) -> None:
    bisect(ci)
    ci.say("!monitor pause")
    (ask,) = ci.bench.journal.open_asks()
    run = ci.say(f"!reject {ask.code} it is nearly done", "manager-1")
    assert run.state is RunState.FAILED
    assert ci.server.build(BuildRef(BISECTION, 1)).building
    assert not ci.server.job(BISECTION).disabled


def test_bisections_are_aborted_without_asking_if_that_is_the_policy(tmp_path: Path) -> None:
    with ci_bench(tmp_path, sections={MonitorSettings: MonitorSettings(bisections=Bisections.ABORT)}) as ci:
        bisect(ci)
        ci.say("!monitor pause")
        assert ci.bench.journal.open_asks() == ()
        ci.tick_until_ended(timedelta(seconds=5))
        assert ci.server.builds(BISECTION)[0].result == "ABORTED"


@pytest.mark.parametrize("settings", [MonitorSettings(bisections=Bisections.LEAVE), MonitorSettings(bisection_job="")])
def test_bisections_are_left_alone_if_that_is_the_policy(tmp_path: Path, settings: MonitorSettings) -> None:
    with ci_bench(tmp_path, sections={MonitorSettings: settings}) as ci:
        bisect(ci)
        run = ci.say("!monitor pause")
        assert run.step("abort-bisections").state is StepState.NOT_NEEDED
        assert not ci.server.job(BISECTION).disabled
        assert paused(ci) == (MONITOR,)


# ---- resuming --------------------------------------------------------------------------------------------------


def test_a_resume_enables_exactly_what_the_pause_disabled_and_starts_the_monitor_once(ci: CiBench) -> None:
    monitor_behaves(ci)
    ci.jenkins.create_job("another", definition(disabled=True))
    ci.say("!monitor pause")
    ci.say("!monitor resume")
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert run.state is RunState.SUCCEEDED
    assert [job.name for job in ci.server.jobs().values() if job.disabled] == ["another"]
    assert paused(ci) is None
    assert run.step("start-monitor").text == f"{MONITOR} #1 ran, 2 triggers of it seen"


def test_a_resume_by_hand_enables_a_monitor_that_nobody_paused_here(ci: CiBench) -> None:
    monitor_behaves(ci)
    ci.server.disable(MONITOR)
    ci.say("!monitor resume")
    assert ci.tick_until_ended(timedelta(seconds=5)).state is RunState.SUCCEEDED
    assert not ci.server.job(MONITOR).disabled


def test_a_lost_timer_is_an_alert(ci: CiBench) -> None:
    monitor_behaves(ci)
    ci.say("!monitor pause")
    ci.jenkins.create_job(MONITOR, definition("CONFIG_LIST", disabled=True))
    ci.say("!monitor resume")
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert "has lost its timer" in run.step("resume-monitor").text
    assert "The monitor will not start by itself" in ci.said()


@pytest.mark.parametrize("live", [definition("CONFIG_LIST"), definition("CONFIG_LIST", timer=TIMER)])
def test_a_timer_other_than_the_configured_one_is_put_back_after_an_approval(tmp_path: Path, live: str) -> None:
    settings = MonitorSettings(cron="H * * * *")
    with ci_bench(tmp_path, sections={MonitorSettings: settings}, policies={"timer": SELF}) as ci:
        monitor_behaves(ci)
        ci.jenkins.create_job(MONITOR, live)
        ci.say("!monitor pause")
        run = ci.say("!monitor resume")
        had = "H H/2 * * *" if TIMER in live else "none"
        (ask,) = ci.bench.journal.open_asks()
        assert ask.display == (f"{MONITOR}: timer H * * * *, instead of {had}",)
        assert timer_specs(ci.server.definition(MONITOR)) != ("H * * * *",), "not before somebody said so"
        ci.approve("operator")
        run = ci.tick_until_ended(timedelta(seconds=5))
        assert run.state is RunState.SUCCEEDED, ci.said()
        assert differences(live, ci.server.definition(MONITOR)) == tuple(
            line for line in differences(live, with_timer(live, "H * * * *")) if line.startswith("trigger ")
        )
        assert timer_specs(ci.server.definition(MONITOR)) == ("H * * * *",)


def test_a_timer_that_is_there_is_left_alone(tmp_path: Path) -> None:
    with ci_bench(tmp_path, sections={MonitorSettings: MonitorSettings(cron="H H/2 * * *")}) as ci:
        monitor_behaves(ci)
        ci.say("!monitor resume")
        run = ci.tick_until_ended(timedelta(seconds=5))
        assert run.step("restore-timer").state is StepState.NOT_NEEDED


def test_a_monitor_that_fails_is_not_taken_for_one_that_ran(ci: CiBench) -> None:
    def broken(build: RunningBuild) -> Steps:
        build.log("cannot clone")
        yield Sleep(5)
        return "FAILURE"

    ci.jenkins.behave(MONITOR, broken)
    ci.say("!monitor pause")
    ci.say("!monitor resume")
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert run.state is RunState.FAILED
    assert f"{MONITOR} #1 ended as FAILURE" in run.step("start-monitor").text
    monitor_behaves(ci)
    ci.say("!release retry")
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert run.step("start-monitor").text.startswith(f"{MONITOR} #2 ran")


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER])
def test_a_start_whose_answer_was_lost_is_looked_for_and_never_doubled(ci: CiBench, kind: FaultKind) -> None:
    monitor_behaves(ci)
    ci.jenkins.faults.add(Fault(kind, f"POST .*{MONITOR}/buildWithParameters"))
    ci.say("!monitor resume")
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert run.state is RunState.SUCCEEDED
    assert len(ci.server.builds(MONITOR)) == 1


def test_a_build_that_was_cancelled_in_the_queue_can_be_started_again(ci: CiBench) -> None:
    monitor_behaves(ci)
    ci.say("!monitor resume")
    (item,) = ci.server.look().queued
    ci.server.cancel(item.item_id)
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert run.state is RunState.FAILED
    assert "was cancelled in the queue before it started" in run.step("start-monitor").text
    ci.say("!release retry")
    assert ci.tick_until_ended(timedelta(seconds=5)).state is RunState.SUCCEEDED


def test_a_build_that_a_killed_jenkins_lost_is_not_waited_for_for_ever(ci: CiBench) -> None:
    monitor_behaves(ci)
    ci.say("!monitor resume")
    ci.jenkins.restart(kill=True)
    ci.forward(seconds=20)
    run = ci.tick_until_ended(timedelta(seconds=30))
    assert run.state is RunState.FAILED
    assert "Jenkins lost queue item" in run.step("start-monitor").text


def test_a_build_that_began_and_was_forgotten_in_the_queue_between_two_requests_is_found(
    ci: CiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor_behaves(ci)
    item = JenkinsServer.item

    def after_a_long_time(server: JenkinsServer, item_id: int) -> ItemState:
        ci.forward(minutes=10)
        return item(server, item_id)

    monkeypatch.setattr(JenkinsServer, "item", after_a_long_time)
    ci.say("!monitor resume")
    assert ci.tick_until_ended(timedelta(seconds=5)).state is RunState.SUCCEEDED
    assert len(ci.server.builds(MONITOR)) == 1


# ---- for chosen build configs ----------------------------------------------------------------------------------


def test_the_monitor_is_enabled_only_around_the_start(ci: CiBench) -> None:
    monitor_behaves(ci)
    ci.say("!monitor pause")
    ci.say("!monitor run kernelci gtucker_stable")
    assert not ci.server.job(MONITOR).disabled, "the item would be cancelled if it were disabled now"
    assert ci.bench.journal.recall("monitor-opened").keys() == {MONITOR}
    for _ in range(6):
        ci.bench.tick(timedelta(seconds=2))
    assert ci.server.job(MONITOR).disabled
    assert ci.server.build(BuildRef(MONITOR, 1)).building
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert run.step("run-monitor").text == f"{MONITOR} #1 ran, 2 triggers of it seen"
    assert dict(ci.server.build(BuildRef(MONITOR, 1)).parameters) == {"CONFIG_LIST": "kernelci gtucker_stable"}
    assert ci.bench.journal.recall("monitor-opened") == {}
    assert paused(ci) == (MONITOR, BISECTION)


def test_an_enabled_monitor_stays_enabled(ci: CiBench) -> None:
    monitor_behaves(ci)
    ci.say("!monitor run kernelci")
    assert ci.tick_until_ended(timedelta(seconds=5)).state is RunState.SUCCEEDED
    assert not ci.server.job(MONITOR).disabled


def test_another_build_that_came_while_it_was_enabled_is_stopped(ci: CiBench) -> None:
    monitor_behaves(ci)
    ci.say("!monitor pause")
    ci.say("!monitor run kernelci")
    ci.jenkins.trigger(MONITOR, {})
    for _ in range(10):
        ci.bench.tick(timedelta(seconds=2))
    ci.tick_until_ended(timedelta(seconds=5))
    builds = {build.parameters["CONFIG_LIST"]: build.result for build in ci.server.builds(MONITOR)}
    assert builds == {"kernelci": "SUCCESS", "": "ABORTED"}
    assert [build.parameters["BUILD_CONFIG"] for build in ci.server.builds(TRIGGER)] == ["kernelci"]
    assert ci.server.job(MONITOR).disabled


def test_a_start_that_fails_leaves_the_monitor_disabled(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, f"POST .*{MONITOR}/buildWithParameters", status=400))
    run = ci.say("!monitor run kernelci")
    assert run.state is RunState.FAILED
    assert ci.server.job(MONITOR).disabled
    monitor_behaves(ci)
    ci.say("!release retry")
    assert ci.tick_until_ended(timedelta(seconds=3)).state is RunState.SUCCEEDED
    assert ci.server.job(MONITOR).disabled


def test_a_copy_of_the_monitor_is_used_if_there_is_one_and_toggled_if_it_is_fresh(tmp_path: Path) -> None:
    with ci_bench(tmp_path, sections={MonitorSettings: MonitorSettings(run_job="monitor-copy")}) as ci:
        copy = ci.jenkins.create_job("monitor-copy", definition("CONFIG_LIST"))
        with ci.jenkins.loop.lock:
            copy.held = True
        ci.say("!monitor pause")
        ci.say("!monitor run kernelci")
        assert ci.tick_until_ended(timedelta(seconds=5)).state is RunState.SUCCEEDED
        assert ci.server.job(MONITOR).disabled
        assert ci.server.builds(MONITOR) == ()
        assert len(ci.server.builds("monitor-copy")) == 1


def test_what_cannot_be_a_build_config_is_refused(ci: CiBench) -> None:
    ci.bench.say("operator", "!monitor run kernelci 'a;b'")
    assert ci.bench.replies() == ["A;b cannot be the name of a build config"]


# ---- status ----------------------------------------------------------------------------------------------------


def test_status_says_flag_pause_and_timer(ci: CiBench) -> None:
    ci.say("!monitor pause because")
    ci.bench.deliver()
    ci.say("!monitor status", "observer")
    answer = ci.notice(":answer")
    assert answer.title == f"{MONITOR} is disabled"
    assert any(line.startswith("Paused by operator, ") and line.endswith(": because") for line in answer.lines)
    assert "Timer: in the job." in answer.lines
    ci.server.enable(MONITOR)
    ci.say("!monitor status", "observer")
    assert "It is enabled in spite of that" in ci.said()


def test_the_policy_of_a_gate_may_let_the_starter_vote(tmp_path: Path) -> None:
    with ci_bench(tmp_path, policies={"bisections": SELF}) as ci:
        bisect(ci)
        ci.say("!monitor pause")
        ci.approve("operator")
        assert ci.tick_until_ended(timedelta(seconds=5)).state is RunState.SUCCEEDED


def test_a_start_of_unknown_outcome_is_closed_each_time_it_is_tried(ci: CiBench) -> None:
    monitor_behaves(ci)
    ci.say("!monitor pause")
    ci.jenkins.faults.add(Fault(FaultKind.RESET_BEFORE, f"POST .*{MONITOR}/buildWithParameters"))
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, "GET /queue/api/json", skip=1))
    run = ci.say("!monitor run kernelci")
    assert run.state is RunState.UNKNOWN
    assert ci.server.job(MONITOR).disabled
    ci.say("!release retry run-monitor")
    run = ci.tick_until_ended(timedelta(seconds=3))
    assert run.state is RunState.SUCCEEDED
    assert ci.server.job(MONITOR).disabled
    assert len(ci.server.builds(MONITOR)) == 1
