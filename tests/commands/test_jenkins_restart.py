"""Restarting Jenkins: after an approval, when nothing runs, and looked over afterwards."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.run import RunState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.jenkins import succeed_after
from kcibot_commands.jenkins_restart import RestartSettings
from tests.fakes.ci_bench import MONITOR, SELF, TIMER, TRIGGER, CiBench, ci_bench, definition


@pytest.fixture
def ci(tmp_path: Path) -> Iterator[CiBench]:
    with ci_bench(tmp_path, policies={"restart": SELF}) as bench:
        yield bench


def busy(ci: CiBench, seconds: float) -> None:
    ci.jenkins.behave(TRIGGER, succeed_after(seconds))
    ci.jenkins.trigger(TRIGGER, {})
    ci.forward(seconds=11)


def test_a_restart_asks_waits_for_the_builds_and_is_seen_by_its_session(ci: CiBench) -> None:
    busy(ci, 120)
    session = ci.server.session()
    ci.say("!jenkins restart")
    assert not ci.server.quieting_down()
    run = ci.approve("operator")
    assert ci.server.quieting_down()
    assert f"nothing new starts on Jenkins; 1 running: {TRIGGER} #1" in run.step("restart-jenkins").text
    run = ci.tick_until_ended(timedelta(seconds=4))
    assert run.state is RunState.SUCCEEDED
    assert run.step("restart-jenkins").text == "restarted"
    assert ci.server.session() != session
    assert not ci.server.quieting_down()
    assert ci.server.builds(TRIGGER)[0].result == "SUCCESS"
    assert ci.bench.journal.recall("lock") == {}


def test_drain_status_says_that_nothing_starts_any_more(ci: CiBench) -> None:
    says = "Jenkins is being shut down: what is queued does not start."
    ci.say("!drain status")
    assert says not in ci.said()
    busy(ci, 120)
    ci.say("!jenkins restart")
    ci.approve("operator")
    ci.say("!drain status")
    assert says in ci.said()


def test_a_timer_that_the_restart_lost_is_an_alert(ci: CiBench) -> None:
    ci.jenkins.world.loses_timer_at_restart.add(MONITOR)
    ci.say("!jenkins restart")
    ci.approve("operator")
    run = ci.tick_until_ended(timedelta(seconds=4))
    assert run.state is RunState.SUCCEEDED
    assert "has lost its timer" in run.step("restart-jenkins").text
    assert "Jenkins is back, but not as it was" in ci.said()


def test_a_flag_that_changed_over_the_restart_is_an_alert(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.say("!jenkins restart")
    ci.approve("operator")
    ci.jenkins.create_job(MONITOR, definition("CONFIG_LIST", timer=TIMER))
    ci.tick_until_ended(timedelta(seconds=4))
    assert f"{MONITOR} was disabled and is enabled now" in ci.said()


def test_builds_that_do_not_end_call_it_off_and_a_retry_quiets_down_again(tmp_path: Path) -> None:
    sections = {RestartSettings: RestartSettings(wait_for_builds=timedelta(minutes=2))}
    with ci_bench(tmp_path, policies={"restart": SELF}, sections=sections) as ci:
        busy(ci, 600)
        ci.say("!jenkins restart")
        ci.approve("operator")
        run = ci.tick_until_ended(timedelta(seconds=30))
        assert run.state is RunState.FAILED
        assert "Jenkins was not restarted" in run.step("restart-jenkins").text
        assert not ci.server.quieting_down()
        ci.say("!release retry")
        assert ci.server.quieting_down()
        ci.forward(minutes=10)
        ci.say("!release retry")
        assert ci.tick_until_ended(timedelta(seconds=4)).state is RunState.SUCCEEDED


def test_it_can_be_called_off_by_hand(ci: CiBench) -> None:
    busy(ci, 600)
    ci.say("!jenkins restart")
    ci.approve("operator")
    assert ci.server.quieting_down()
    ci.bench.say("operator", "!jenkins cancel the builds take too long")
    ci.bench.settle()
    assert not ci.server.quieting_down()
    assert {run.procedure: run.state for run in ci.bench.journal.runs(2)} == {
        "jenkins restart": RunState.ABORTED,
        "jenkins cancel": RunState.SUCCEEDED,
    }


def test_a_lost_answer_to_the_restart_is_settled_by_the_session_or_asked_again(ci: CiBench) -> None:
    ci.jenkins.faults.add(Fault(FaultKind.RESET_BEFORE, "POST /safeRestart"))
    session = ci.server.session()
    ci.say("!jenkins restart")
    ci.approve("operator")
    run = ci.tick_until_ended(timedelta(seconds=4))
    assert run.state is RunState.SUCCEEDED
    assert ci.server.session() != session


def test_a_jenkins_that_does_not_come_back_is_reported(ci: CiBench) -> None:
    ci.say("!jenkins restart")
    ci.approve("operator")
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, status=503, times=999))
    run = ci.tick_until_ended(timedelta(minutes=3))
    assert run.state is RunState.FAILED
    assert "Jenkins is not back 15 min after it was asked to restart" in run.step("restart-jenkins").text
