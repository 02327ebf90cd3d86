"""The monitor when something is tried again, starts that are made one with others, and what people are told."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.run import RunState, StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot_commands.monitor.flags import MonitorSettings
from tests.fakes.ci_bench import BISECTION, MONITOR, TIMER, CiBench, ci_bench, definition
from tests.fakes.monitor_bench import bisect, blind_once_after, disabled, monitor_behaves, paused, ticks, unnamed

COPY = "monitor-copy"


@pytest.fixture
def ci(tmp_path: Path) -> Iterator[CiBench]:
    with ci_bench(tmp_path) as bench:
        monitor_behaves(bench)
        yield bench


# ---- a copy of the monitor -------------------------------------------------------------------------------------


def test_a_copy_with_a_timer_of_its_own_is_refused_and_named_by_the_pause(tmp_path: Path) -> None:
    with ci_bench(tmp_path, sections={MonitorSettings: MonitorSettings(run_job=COPY)}) as ci:
        ci.jenkins.create_job(COPY, definition("CONFIG_LIST", timer=TIMER))
        run = ci.say("!monitor pause")
        assert f"{COPY} has a timer of its own" in run.step("pause-monitor").text
        run = ci.say("!monitor run kernelci")
        assert run.state is RunState.FAILED
        assert run.step("run-monitor").text.endswith("take it out")
        assert ci.server.builds(COPY) == ()
        ci.jenkins.create_job(COPY, definition("CONFIG_LIST"))
        ci.say("!release retry")
        assert ci.tick_until_ended(timedelta(seconds=5)).state is RunState.SUCCEEDED


# ---- a pause that is tried again -------------------------------------------------------------------------------


def test_a_pause_can_be_tried_again_after_somebody_enabled_it_meanwhile(ci: CiBench) -> None:
    sees = blind_once_after(ci, f"{MONITOR}/disable")
    ci.say("!monitor pause")
    sees()
    ci.server.enable(MONITOR)
    run = ci.tick_until_ended(timedelta(seconds=45))
    assert "somebody enabled it since; a retry disables it once more" in run.step("pause-monitor").text
    assert not disabled(ci), "not by itself against people"
    ci.say("!release retry")
    run = ci.tick_until_ended(timedelta(seconds=45))
    assert run.state is RunState.SUCCEEDED
    assert disabled(ci)
    assert paused(ci) == (MONITOR, BISECTION)


# ---- a start that Jenkins made one with another ----------------------------------------------------------------


def test_a_start_that_may_be_in_an_item_that_waited_is_unknown_and_not_doubled(ci: CiBench) -> None:
    ci.jenkins.trigger(MONITOR, {})  # the timer's
    ci.jenkins.faults.add(Fault(FaultKind.RESET_AFTER, f"POST .*{MONITOR}/buildWithParameters"))
    ci.say("!monitor resume")
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert run.state is RunState.UNKNOWN
    assert "waited in the queue already" in run.step("start-monitor").text
    ticks(ci, 10, 10)
    assert len(ci.server.builds(MONITOR)) == 1


def test_a_start_that_was_made_one_with_an_item_that_waited_is_followed_there(ci: CiBench) -> None:
    ci.jenkins.trigger(MONITOR, {})
    ci.say("!monitor resume")
    assert ci.tick_until_ended(timedelta(seconds=5)).state is RunState.SUCCEEDED
    assert len(ci.server.builds(MONITOR)) == 1


def takes_a_mark(ci: CiBench) -> None:
    """What is written for `starts.marker`: the job has the parameter."""
    ci.jenkins.create_job(MONITOR, definition("CONFIG_LIST", "KCIBOT", timer=TIMER))


def test_a_start_with_a_mark_is_no_other_start_and_not_made_one_with_it(ci: CiBench) -> None:
    takes_a_mark(ci)
    ci.jenkins.trigger(MONITOR, {})  # the timer's
    ci.jenkins.faults.add(Fault(FaultKind.RESET_AFTER, f"POST .*{MONITOR}/buildWithParameters"))
    ci.say("!monitor resume")
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert run.state is RunState.SUCCEEDED, run.step("start-monitor").text
    marks = [build.parameters["KCIBOT"] for build in ci.server.builds(MONITOR)]
    assert marks[0].startswith(f"run {run.id}, ")
    assert marks[1:] == [""]


def test_a_start_of_somebody_in_the_same_moment_is_not_taken_for_one_with_a_mark(ci: CiBench) -> None:
    takes_a_mark(ci)
    ci.jenkins.faults.add(Fault(FaultKind.RESET_BEFORE, f"POST .*{MONITOR}/buildWithParameters"))
    ci.say("!monitor resume")
    ci.jenkins.trigger(MONITOR, {})
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert run.state is RunState.SUCCEEDED, run.step("start-monitor").text
    ours = [build.ref.number for build in ci.server.builds(MONITOR) if build.parameters["KCIBOT"]]
    assert len(ours) == 1
    assert run.step("start-monitor").text.startswith(f"{MONITOR} #{ours[0]}")


def test_a_job_that_takes_no_mark_is_started_without(ci: CiBench) -> None:
    ci.say("!monitor resume")
    assert ci.tick_until_ended(timedelta(seconds=5)).state is RunState.SUCCEEDED
    assert [set(build.parameters) for build in ci.server.builds(MONITOR)] == [{"CONFIG_LIST"}]


# ---- what is said ----------------------------------------------------------------------------------------------


def test_a_pause_without_a_reason_says_that_none_was_given(ci: CiBench) -> None:
    run = ci.say("!monitor pause")
    assert run.step("abort-bisections").text == f"{BISECTION} is disabled, nothing to abort"
    ci.say("!monitor status")
    assert "no reason was given" in ci.said()
    assert "Pause of the monitor." not in ci.said()


def test_a_pause_says_what_it_cancelled_and_what_goes_on(ci: CiBench) -> None:
    ci.jenkins.trigger(MONITOR, {"CONFIG_LIST": "mainline"})
    ci.forward(seconds=11)
    ci.jenkins.trigger(MONITOR, {})
    run = ci.say("!monitor pause")
    assert run.step("pause-monitor").text == (
        f"{MONITOR} is disabled; that cancelled 1 build in the queue (for all configs); "
        f"{MONITOR} #1 goes on and may still start triggers"
    )


def test_the_advice_about_bisections_that_go_on_leads_somewhere(ci: CiBench) -> None:
    bisect(ci)
    ci.say("!monitor pause")
    bisect(ci)
    ci.approve()
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert "#2 began since and goes on: !monitor pause asks about it" in run.step("abort-bisections").text
    ci.say("!monitor pause")
    (ask,) = ci.bench.journal.open_asks()
    assert ask.facts == {"abort-bisections": {"job": BISECTION, "builds": [2]}}


def test_a_build_of_somebody_that_is_stopped_in_the_gap_is_named(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.say("!monitor run kernelci")
    ci.jenkins.trigger(MONITOR, {})
    ticks(ci, 10, 2)
    ci.tick_until_ended(timedelta(seconds=5))
    (stopped,) = [build.ref for build in ci.server.builds(MONITOR) if build.result == "ABORTED"]
    assert f"I stopped {stopped}: it began while {MONITOR} was enabled for another start only" in ci.said()


def test_a_lost_timer_without_a_configured_one_says_what_to_set(ci: CiBench) -> None:
    ci.jenkins.create_job(MONITOR, definition("CONFIG_LIST"))
    ci.say("!monitor status")
    assert "has lost its timer, as it happens when Jenkins restarts; with monitor.cron set" in ci.said()


def test_what_does_not_say_its_name_may_be_the_monitor_or_a_bisection(ci: CiBench) -> None:
    ci.say("!monitor pause")
    run = ci.say("!monitor pause")
    assert run.step("abort-bisections").state is StepState.NOT_NEEDED
    unnamed(ci)
    ci.say("!monitor status")
    assert "Running: nothing that says its name, but an executor does not say what it runs" in ci.said()
    run = ci.say("!monitor pause")
    assert f"it may be {BISECTION}" in run.step("abort-bisections").text
