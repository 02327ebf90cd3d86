"""The monitor when people decide otherwise, two runs meet, or a release is in the middle of its work."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.journal import Forget, Say
from kcibot.core.notice import Notice
from kcibot.core.ports import BuildRef
from kcibot.core.procedure import Context, Done, Gate, Procedure, Step, Wait
from kcibot.core.run import Run, RunState, StepState
from kcibot.core.watch import Watch
from kcibot.core.watching import Look
from kcibot.sandbox.http import Fault, FaultKind
from kcibot_commands.drain import drain
from kcibot_commands.monitor.run import run_monitor_for
from kcibot_commands.monitor.steps import abort_bisections, pause_monitor, resume_monitor, start_monitor_once
from kcibot_commands.production import open_production, take_production_lock
from kcibot_commands.watch import FLAG, REMINDER
from tests.fakes.bench import ROOM
from tests.fakes.ci_bench import BISECTION, MONITOR, TRIGGER, CiBench, ci_bench
from tests.fakes.monitor_bench import bisect, blind_once_after, disabled, monitor_behaves, paused, ticks

COPY = "monitor-copy"


def clean(context: Context) -> Done[None] | Wait:
    """What a pipe cleaner does with the monitor."""
    found = run_monitor_for(context, ("kernelci",))
    return found if isinstance(found, Wait) else Done(str(found), None)


RELEASE = Procedure(
    "release",
    take_production_lock,
    pause_monitor,
    abort_bisections,
    drain,
    Gate("accept", "Go on"),
    resume_monitor,
    start_monitor_once,
    open_production,
    title="Release",
)
CLEANING = Procedure(
    "release",
    take_production_lock,
    pause_monitor,
    Step("run-pipe-cleaner", "Pipe cleaner", clean, type(None)),
    resume_monitor,
    title="Release",
)


@pytest.fixture
def ci(tmp_path: Path) -> Iterator[CiBench]:
    with ci_bench(tmp_path) as bench:
        monitor_behaves(bench)
        yield bench


def begin(ci: CiBench, procedure: Procedure) -> Run:
    bench = ci.bench
    bench.world.registry.procedures[procedure.name] = procedure
    with bench.world.lock:
        outcome = bench.engine.start(procedure, bench.world.people.get("operator"), ROOM)
        bench.journal.commit(outcome.changes)
    bench.engine.wake(outcome.wake)
    return ci.newest()


def in_the_middle(ci: CiBench) -> Run:
    """A release whose drain is over."""
    begin(ci, RELEASE)
    ticks(ci, 3, 31)
    run = ci.newest()
    assert run.step("drain").state is StepState.DONE
    return run


def look(ci: CiBench, watch: Watch) -> list[Notice]:
    changes = watch.look(Look(ci.bench.world, ci.bench.clock.now()))
    ci.bench.journal.commit(changes)
    return [change.notice for change in changes if isinstance(change, Say)]


def reply(ci: CiBench, text: str, who: str = "operator") -> str:
    ci.bench.say(who, text)
    return "\n".join(ci.bench.replies())


# ---- a run that is ended while it has the monitor enabled ------------------------------------------------------


def test_an_abort_of_a_run_that_has_it_open_disables_it_again_and_says_so(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.say("!monitor run kernelci")
    assert not disabled(ci)
    ci.say("!release abort no longer wanted")
    assert disabled(ci)
    assert ci.bench.journal.recall("monitor-opened") == {}
    assert f"{MONITOR} is enabled for a start that this run made, and will be disabled again now." in ci.said()
    assert f"{MONITOR} is disabled again; run 2 had it enabled for its start" in ci.said()
    assert ci.server.builds(MONITOR) == ()


def test_an_abort_disables_again_what_people_had_disabled(ci: CiBench) -> None:
    ci.server.disable(MONITOR)
    ci.say("!monitor run kernelci")
    ci.say("!release abort no longer wanted")
    assert disabled(ci)
    assert paused(ci) is None


def test_a_skip_of_the_step_that_has_it_open_disables_it_again_and_says_so(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.say("!monitor run kernelci")
    ci.say("!release skip run-monitor done by hand")
    assert disabled(ci)
    assert f"{MONITOR} is disabled again" in ci.said()


def test_a_release_that_is_aborted_while_it_has_it_open_leaves_it_paused_as_it_says(ci: CiBench) -> None:
    run = begin(ci, CLEANING)
    assert run.current
    assert run.current.id == "run-pipe-cleaner"
    assert not disabled(ci)
    ci.say("!release abort a boot regression")
    assert "The monitor stays paused" in ci.said()
    assert disabled(ci)


def test_what_is_on_its_way_when_the_run_is_ended_is_waited_for_and_disabled_too(ci: CiBench) -> None:
    """The answer to the start is lost, and so it may arrive late: after the abort."""
    ci.say("!monitor pause")
    ci.jenkins.faults.add(Fault(FaultKind.RESET_AFTER, f"POST .*{MONITOR}/buildWithParameters"))
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, "GET /queue/api", status=503, skip=1))
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, f"POST .*{MONITOR}/disable", status=503, times=9))
    run = ci.say("!monitor run kernelci")
    assert "is enabled until I can disable it again" in run.step("run-monitor").text
    ci.jenkins.faults.clear()
    ci.say("!release abort no longer wanted")
    assert disabled(ci), "at once"
    ci.server.enable(MONITOR)  # as if it arrived now
    ticks(ci, 8, 15)
    assert disabled(ci)
    assert f"{MONITOR} is disabled again" in ci.said()


def test_a_jenkins_that_is_away_just_then_is_waited_for(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.say("!monitor run kernelci")
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, status=503, times=9999))
    ci.say("!release abort no longer wanted")
    ticks(ci, 5, 30)
    ci.jenkins.faults.clear()
    ticks(ci, 8, 15)
    assert disabled(ci)


def test_one_that_cannot_be_disabled_again_is_said_and_asked_about(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.say("!monitor run kernelci")
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, f"POST .*{MONITOR}/disable", status=400, times=9))
    ci.say("!release abort no longer wanted")
    assert ci.newest().ended
    assert "400" in ci.said()
    ci.forward(minutes=11)
    (notice,) = look(ci, FLAG)
    assert f"I enabled {MONITOR} for a start that got stuck." in notice.lines[1]


@pytest.mark.parametrize("verb", ["!release amend", "!release retry pause-monitor"])
def test_a_run_that_goes_back_while_it_has_it_open_disables_it_first(ci: CiBench, verb: str) -> None:
    begin(ci, CLEANING)
    assert not disabled(ci)
    ci.say(verb)
    assert f"{MONITOR} is enabled for a start that this run made, and will be disabled again now." in ci.said()
    for _ in range(60):
        run = ci.bench.journal.run(1)
        if run.state is RunState.FAILED:
            ci.say("!release retry")
        ticks(ci, 1, 3)
    assert run.state is RunState.SUCCEEDED
    assert not disabled(ci), "the run's end has enabled it"
    assert paused(ci) is None


def test_a_stop_says_that_it_is_enabled_for_a_start(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.say("!monitor run kernelci")
    ci.bench.say("operator", "!stop")
    assert f"{MONITOR} is enabled for the start of this run, and stays so: !release continue --run 2" in ci.said()


def test_one_that_a_stopped_run_left_open_is_asked_about_without_any_pause(ci: CiBench) -> None:
    ci.server.disable(MONITOR)
    ci.say("!monitor run kernelci")
    ci.bench.say("operator", "!stop")
    ci.bench.settle()
    ci.forward(minutes=9)
    assert look(ci, FLAG) == []
    ci.forward(minutes=2)
    (notice,) = look(ci, FLAG)
    assert notice.title == f"{MONITOR} is enabled for a start that got stuck. Who wants what?"
    assert notice.lines[0].startswith("I enabled it for a start of run 1, ")
    assert look(ci, FLAG) == [], "once an interval"
    ci.forward(hours=2)
    assert len(look(ci, FLAG)) == 1


def test_the_watch_says_that_the_bot_opened_what_the_pause_holds(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.say("!monitor run kernelci")
    ci.bench.say("operator", "!stop")
    ci.bench.settle()
    ci.forward(minutes=11)
    (notice,) = look(ci, FLAG)
    assert f"I enabled {MONITOR} for a start that got stuck." in notice.lines[1]


# ---- in the middle of a release --------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["!monitor resume", "!monitor run mainline"])
def test_nothing_opens_the_monitor_while_a_run_changes_production(ci: CiBench, verb: str) -> None:
    run = in_the_middle(ci)
    said = reply(ci, verb)
    assert f"Release (run {run.id}) changes production" in said
    assert f"!release abort REASON --run {run.id}" in said
    ticks(ci, 12, 5)
    assert disabled(ci)
    assert ci.server.builds(TRIGGER) == ()


def test_a_pause_stays_allowed_while_a_run_changes_production(ci: CiBench) -> None:
    in_the_middle(ci)
    ci.server.enable(MONITOR)
    assert ci.say("!monitor pause").state is RunState.SUCCEEDED
    assert disabled(ci)


def test_after_an_abort_the_resume_is_not_refused_though_production_stays_locked(ci: CiBench) -> None:
    in_the_middle(ci)
    ci.say("!release abort a boot regression")
    ci.say("!monitor resume")
    assert ci.tick_until_ended(timedelta(seconds=5)).state is RunState.SUCCEEDED
    assert not disabled(ci)
    assert paused(ci) is None


def test_the_reminder_names_the_release_that_the_pause_belongs_to(ci: CiBench) -> None:
    run = in_the_middle(ci)
    ci.forward(hours=2)
    (notice,) = look(ci, REMINDER)
    assert notice.lines[1].startswith(f"It belongs to Release (run {run.id}), whose end enables it")
    assert notice.buttons == ()
    ci.server.enable(MONITOR)
    (notice,) = look(ci, FLAG)
    assert [button.command for button in notice.buttons] == ["!monitor pause"]
    ci.server.disable(MONITOR)
    ci.say("!release abort a boot regression")
    ci.forward(hours=2)
    (notice,) = look(ci, REMINDER)
    assert notice.lines[1] == "!monitor resume ends it."


def test_the_reminder_of_a_pause_from_before_a_release_waits_for_its_end_too(ci: CiBench) -> None:
    ci.say("!monitor pause the storage is being moved")
    run = in_the_middle(ci)
    ci.forward(hours=2)
    (notice,) = look(ci, REMINDER)
    assert notice.lines[1] == f"Release (run {run.id}) changes production now: !monitor resume is for after its end."


# ---- two runs at once ------------------------------------------------------------------------------------------


def test_a_resume_waits_for_a_run_that_has_it_open(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.say("!monitor run kernelci")
    run = ci.say("!monitor resume", "manager-1")
    assert run.step("resume-monitor").text.startswith(f"run 2 has {MONITOR} enabled for its own start")
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert run.state is RunState.SUCCEEDED
    assert ci.bench.journal.run(2).state is RunState.SUCCEEDED
    assert not disabled(ci)
    assert paused(ci) is None


def test_a_pause_waits_for_a_run_that_has_it_open_and_does_not_make_it_ours(ci: CiBench) -> None:
    ci.server.disable(MONITOR)
    ci.say("!monitor run kernelci")
    run = ci.say("!monitor pause", "manager-1")
    assert run.step("pause-monitor").state is StepState.WAITING
    run = ci.tick_until_ended(timedelta(seconds=5))
    assert run.state is RunState.SUCCEEDED
    assert paused(ci) == (BISECTION,)
    assert disabled(ci)


def test_a_pause_does_not_wait_for_a_run_that_stands_still_and_closes_behind_it(ci: CiBench) -> None:
    ci.server.disable(MONITOR)
    ci.say("!monitor run kernelci")
    ci.bench.say("operator", "!stop")
    ci.bench.settle()
    ci.forward(minutes=11)
    assert ci.say("!monitor pause").state is RunState.SUCCEEDED
    assert disabled(ci)
    assert paused(ci) == (BISECTION,)
    assert ci.bench.journal.recall("monitor-opened") == {}


def test_a_run_that_goes_on_after_a_resume_does_not_disable_what_that_enabled(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.say("!monitor run kernelci")
    ci.bench.say("operator", "!stop")
    ci.bench.settle()
    ci.forward(minutes=11)
    ci.say("!monitor resume")
    assert ci.tick_until_ended(timedelta(seconds=5)).state is RunState.SUCCEEDED
    ci.bench.say("operator", "!release continue --run 2")
    ticks(ci, 20, 5)
    assert ci.bench.journal.run(2).state is RunState.SUCCEEDED
    assert not disabled(ci)


def test_a_retry_after_a_resume_does_not_disable_what_that_enabled(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, f"POST .*{MONITOR}/buildWithParameters", status=400))
    assert ci.say("!monitor run kernelci").state is RunState.FAILED
    ci.say("!monitor resume")
    ci.tick_until_ended(timedelta(seconds=5))
    ci.bench.say("operator", "!release retry run-monitor --run 2")
    ticks(ci, 20, 5)
    assert ci.bench.journal.run(2).state is RunState.SUCCEEDED
    assert not disabled(ci)


def test_a_retry_in_doubt_after_a_resume_does_not_disable_what_that_enabled(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.jenkins.faults.add(Fault(FaultKind.RESET_BEFORE, f"POST .*{MONITOR}/buildWithParameters"))
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, "GET /queue/api/json", skip=1))
    assert ci.say("!monitor run kernelci").state is RunState.UNKNOWN
    ci.say("!monitor resume")
    ci.tick_until_ended(timedelta(seconds=5))
    ci.bench.say("operator", "!release retry run-monitor --run 2 --not-done")
    ticks(ci, 20, 5)
    assert ci.bench.journal.run(2).state is RunState.SUCCEEDED
    assert not disabled(ci)


def test_an_approval_after_a_resume_does_not_begin_a_new_pause(ci: CiBench) -> None:
    bisect(ci)
    ci.say("!monitor pause")
    (ask,) = ci.bench.journal.open_asks()
    ci.say("!monitor resume")
    ticks(ci, 20, 5)
    ci.say(f"!approve {ask.code}", "manager-1")
    ticks(ci, 2, 5)
    run = ci.bench.journal.run(1)
    assert run.step("abort-bisections").text == "the pause was ended meanwhile, so the bisections are left as they are"
    assert ci.server.build(BuildRef(BISECTION, 1)).building
    assert not disabled(ci, BISECTION)
    assert paused(ci) is None
    ci.forward(hours=3)
    assert look(ci, REMINDER) == []


def test_a_retry_of_an_old_resume_says_that_there_is_a_newer_pause_before_it_ends_that(ci: CiBench) -> None:
    ci.say("!monitor pause")
    sees = blind_once_after(ci, f"{MONITOR}/enable")
    run = ci.say("!monitor resume")
    sees()
    assert run.state is RunState.WAITING
    ci.bench.journal.commit([Forget("paused", "monitor")])
    ci.say("!monitor pause the storage is down", "manager-1")
    ticks(ci, 3, 15)
    old = ci.bench.journal.run(2)
    assert old.state is RunState.FAILED
    assert "was paused again by manager-1" in old.step("resume-monitor").text
    assert disabled(ci)
    assert paused(ci) == (MONITOR,)
    ci.bench.say("operator", "!release retry resume-monitor --run 2")
    ticks(ci, 20, 5)
    assert ci.bench.journal.run(2).state is RunState.SUCCEEDED
    assert not disabled(ci)
    assert paused(ci) is None
