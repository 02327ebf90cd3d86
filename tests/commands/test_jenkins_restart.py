"""Restarting Jenkins: after an approval, when nothing runs, and looked over afterwards."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.journal import EffectState
from kcibot.core.notice import Level
from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import RunState, StepState
from kcibot.core.watching import Watching
from kcibot.sandbox.http import Fault, FaultKind
from kcibot_commands.drain import drain
from kcibot_commands.jenkins_restart import QUIETING, RestartSettings, end_quieting, restart_jenkins
from kcibot_commands.release import RELEASE
from tests.fakes.ci_bench import BISECTION, MONITOR, SELF, TIMER, TRIGGER, CiBench, busy, ci_bench, definition


@pytest.fixture
def ci(tmp_path: Path) -> Iterator[CiBench]:
    with ci_bench(tmp_path, policies={"restart": SELF}) as bench:
        yield bench


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


def test_any_job_that_lost_its_timer_is_named_and_those_that_kept_theirs_are_not(ci: CiBench) -> None:
    for job in ("nightly", "weekly"):
        ci.jenkins.create_job(job, definition(timer=TIMER))
    ci.jenkins.world.loses_timer_at_restart.add("nightly")
    ci.say("!jenkins restart")
    ci.approve("operator")
    run = ci.tick_until_ended(timedelta(seconds=4))
    assert run.state is RunState.SUCCEEDED
    assert "nightly has lost the timer H H/2 * * *: !jobs diff shows" in run.step("restart-jenkins").text
    assert "weekly" not in run.step("restart-jenkins").text


def test_a_definition_that_cannot_be_read_after_the_restart_may_have_lost_its_timer(ci: CiBench) -> None:
    ci.jenkins.create_job("nightly", definition(timer=TIMER))
    busy(ci, 60)
    ci.say("!jenkins restart")
    ci.approve("operator")
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, "GET /job/nightly/config.xml", times=9, status=404))
    run = ci.tick_until_ended(timedelta(seconds=4))
    assert (
        "nightly had the timer H H/2 * * *, and its definition cannot be read now" in run.step("restart-jenkins").text
    )


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


# ---- nobody is left with a Jenkins that starts nothing ---------------------------------------------------------


def watched(ci: CiBench, minutes: int) -> None:
    """Let the bot live for so long, with its watches."""
    watching = Watching(ci.bench.world)
    for _ in range(minutes):
        watching.tick()
        ci.bench.tick(timedelta(minutes=1))


def quieting(ci: CiBench, seconds: float = 6000) -> None:
    """A restart that waits for a build to end."""
    busy(ci, seconds)
    ci.say("!jenkins restart")
    ci.approve("operator")
    assert ci.server.quieting_down()


ALERT = "Jenkins starts no builds"


@pytest.mark.parametrize("verb", ["!release abort not today", "!stop", "!release pause lunch"])
def test_a_restart_that_is_left_alone_is_told_with_the_verb_that_ends_it(ci: CiBench, verb: str) -> None:
    quieting(ci)
    ci.bench.say("operator", verb)
    watched(ci, 8)
    notice = ci.notice("quieting:")
    assert (notice.title, notice.level) == (ALERT, Level.ALERT)
    assert "Restart of Jenkins (run 1) let nothing new start and does not go on" in notice.lines[0]
    ci.bench.say("operator", notice.lines[1].partition(" ends that")[0])
    ci.bench.settle()
    assert not ci.server.quieting_down()
    assert ci.bench.journal.recall(QUIETING) == {}


def test_a_restart_that_goes_on_is_not_told_as_left_alone(ci: CiBench) -> None:
    quieting(ci)
    watched(ci, 12)
    assert ALERT not in ci.said()
    assert ci.server.quieting_down()


def test_a_restart_that_was_left_alone_and_happened_all_the_same_is_forgotten(ci: CiBench) -> None:
    quieting(ci)
    ci.bench.say("operator", "!release abort not today")
    assert "Jenkins starts no builds: !jenkins cancel REASON ends that." in ci.said()
    ci.server.cancel_quiet_down()
    watched(ci, 8)
    assert ALERT not in [notice.title for notice in ci.bench.notices.values()]
    assert ci.bench.journal.recall(QUIETING) == {}


def test_a_jenkins_that_is_left_quiet_is_told_again_and_not_all_the_time(ci: CiBench) -> None:
    quieting(ci, 90000)
    ci.bench.say("operator", "!release abort not today")
    watched(ci, 100)
    ci.bench.deliver()
    assert sum(key.startswith("quieting:") for key in ci.bench.notices) == 2


def test_what_a_skipped_restart_began_is_taken_back(ci: CiBench) -> None:
    quieting(ci)
    run = ci.say("!release skip restart-jenkins not today")
    assert run.state is RunState.SUCCEEDED
    assert run.step("end-quieting").text == "Jenkins starts builds again"
    assert not ci.server.quieting_down()


def test_after_a_restart_nothing_is_left_to_take_back(ci: CiBench) -> None:
    ci.say("!jenkins restart")
    ci.approve("operator")
    run = ci.tick_until_ended(timedelta(seconds=4))
    assert run.step("end-quieting").state is StepState.NOT_NEEDED
    assert ci.bench.journal.recall(QUIETING) == {}


def test_a_jenkins_that_is_away_while_it_quiets_down_is_waited_for(ci: CiBench) -> None:
    quieting(ci, 600)
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, "GET /", status=503, times=999))
    for _ in range(30):
        ci.bench.tick(timedelta(seconds=30))
        assert ci.newest().state is RunState.WAITING
        assert "cannot be seen, so what runs is not known" in ci.newest().step("restart-jenkins").text
    ci.jenkins.faults.clear()
    assert ci.tick_until_ended(timedelta(seconds=4)).state is RunState.SUCCEEDED


def test_a_jenkins_that_stays_away_while_it_quiets_down_is_a_failure_and_is_not_forgotten(ci: CiBench) -> None:
    quieting(ci, 90000)
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, status=503, times=9999))
    run = ci.tick_until_ended(timedelta(minutes=3))
    assert run.state in {RunState.FAILED, RunState.UNKNOWN}
    watched(ci, 8)
    assert ALERT not in ci.said(), "whether it still is cannot be seen"
    ci.jenkins.faults.clear()
    watched(ci, 8)
    assert ALERT in ci.said()


# ---- a lost answer ---------------------------------------------------------------------------------------------


def test_a_lost_answer_of_a_restart_that_happened_goes_on(ci: CiBench) -> None:
    ci.jenkins.faults.add(Fault(FaultKind.RESET_AFTER, "POST /safeRestart"))
    ci.say("!jenkins restart")
    ci.approve("operator")
    assert ci.tick_until_ended(timedelta(seconds=4)).state is RunState.SUCCEEDED


def test_a_lost_answer_of_a_jenkins_that_never_comes_back_has_an_end(ci: CiBench) -> None:
    ci.jenkins.faults.add(Fault(FaultKind.RESET_AFTER, "POST /safeRestart"))
    ci.say("!jenkins restart")
    ci.approve("operator")
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, status=503, times=9999))
    run = ci.tick_until_ended(timedelta(minutes=1))
    assert run.state is RunState.UNKNOWN
    assert "Jenkins is not back 15 min after it was asked to restart" in run.step("restart-jenkins").text


def test_a_bot_that_dies_right_after_asking_for_the_restart_sees_it_happen(ci: CiBench) -> None:
    ci.jenkins.faults.add(Fault(FaultKind.RESET_AFTER, "POST /safeRestart"))
    ci.say("!jenkins restart")
    ci.approve("operator")
    flying = ci.bench.journal.effects_in(EffectState.IN_FLIGHT, 1)
    assert [effect.key for effect in flying] == ["safe restart"]
    ci.bench.engine.close(5)
    ci.bench.engine._closing = False
    ci.bench.engine.resume()
    assert ci.tick_until_ended(timedelta(seconds=4)).state is RunState.SUCCEEDED
    assert sum(request.path == "/safeRestart" for request in ci.jenkins.requests) == 1


# ---- in a release ----------------------------------------------------------------------------------------------


def ids_of_release() -> list[str]:
    return [item.id for item in RELEASE]


def test_a_release_may_restart_jenkins_after_the_drain_behind_its_gate() -> None:
    ids = ids_of_release()
    begin = ids.index("drain-labs")
    assert ids[begin : begin + 3] == ["drain-labs", "restart-jenkins", "end-quieting"]
    assert ids.index("go") < ids.index("drain") < ids.index("restart-jenkins") < ids.index("push-core")
    with pytest.raises(ValueError, match="must come after drain"):
        Procedure("release", restart_jenkins, drain)


def in_release(ci: CiBench) -> None:
    ci.bench.world.registry.procedures["release"] = Procedure(
        "release", Gate("go", "Update production"), drain, restart_jenkins, end_quieting
    )
    ci.server.disable(MONITOR)
    person = ci.bench.world.people.get("operator")
    place = ci.bench.world.rooms[0]
    started = ci.bench.engine.start(ci.bench.world.registry.procedures["release"], person, place, "Release", None)
    ci.bench.journal.commit(started.changes)
    ci.bench.engine.wake(started.wake)
    ci.bench.settle()


def test_a_release_restarts_jenkins_only_if_that_is_configured(ci: CiBench) -> None:
    session = ci.server.session()
    in_release(ci)
    assert not ci.bench.journal.open_asks(), "nothing of it wants an approval"
    run = ci.tick_until_ended()
    assert run.step("restart-jenkins").state is StepState.NOT_NEEDED
    assert ci.server.session() == session


def test_a_release_that_restarts_jenkins_shows_it_and_does_it(tmp_path: Path) -> None:
    sections = {RestartSettings: RestartSettings(in_release=True)}
    with ci_bench(tmp_path, policies={"go": SELF}, sections=sections) as ci:
        session = ci.server.session()
        busy(ci, 60)
        ci.jenkins.trigger(BISECTION, {})
        in_release(ci)
        shown = "\n".join(ci.bench.journal.open_asks()[0].display)
        assert "For “Jenkins restarted”:" in shown
        assert f"now: 1 running, 1 queued: {TRIGGER} #1" in shown
        ci.approve("operator")
        run = ci.tick_until_ended(timedelta(seconds=7))
        assert run.state is RunState.SUCCEEDED, "what runs has changed since, and that voids no approval"
        assert run.step("restart-jenkins").text == "restarted"
        assert ci.server.session() != session


def test_cancel_lets_a_release_go_on_without_the_restart(tmp_path: Path) -> None:
    sections = {RestartSettings: RestartSettings(in_release=True)}
    with ci_bench(tmp_path, policies={"go": SELF}, sections=sections) as ci:
        in_release(ci)
        ci.approve("operator")
        ci.bench.tick(timedelta(seconds=29))
        assert ci.newest().step("drain").state is StepState.WAITING
        ci.jenkins.faults.add(Fault(FaultKind.STATUS, "GET /queue", status=503, times=9999, skip=2))
        ci.bench.tick(timedelta(seconds=2))
        assert ci.newest().step("restart-jenkins").state is StepState.WAITING
        assert ci.server.quieting_down()
        ci.bench.say("operator", "!jenkins cancel no restart today")
        ci.bench.settle()
        run = ci.bench.journal.run(1)
        assert run.state is RunState.SUCCEEDED
        assert run.step("restart-jenkins").state is StepState.SKIPPED
        assert not ci.server.quieting_down()
