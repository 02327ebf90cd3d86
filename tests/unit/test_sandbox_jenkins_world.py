"""What happens inside the Jenkins stand-in, in sandbox time, apart from HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.jenkins import JenkinsStandIn, RunningBuild, Sleep, Steps, Stopped, WaitFor, succeed_after
from kcibot.sandbox.jenkins.cron import next_fire
from kcibot.sandbox.jenkins.model import Item, Run
from kcibot.sandbox.jenkins.waiting import time_span

PIPELINE = "<flow-definition><properties/></flow-definition>"
SINGLE = "<project><concurrentBuild>false</concurrentBuild></project>"
TIMED = (
    "<project><triggers><hudson.triggers.TimerTrigger><spec>30 * * * *</spec>"
    "</hudson.triggers.TimerTrigger></triggers></project>"
)


@pytest.fixture
def clock(tmp_path: Path) -> SandboxClock:
    return SandboxClock.create(tmp_path / "clock.json", rate=1e-9)


@pytest.fixture
def jenkins(clock: SandboxClock) -> Iterator[JenkinsStandIn]:
    with JenkinsStandIn(clock, "bot", "token", nodes=1, executors=2) as server:
        yield server


def forward(jenkins: JenkinsStandIn, clock: SandboxClock, seconds: float) -> None:
    clock.advance(timedelta(seconds=seconds))
    jenkins.loop.catch_up()


def run_of(item: Item) -> Run:
    assert item.run
    return item.run


def test_hours_passed_at_once_happen_in_order_and_at_their_times(jenkins: JenkinsStandIn, clock: SandboxClock) -> None:
    told: list[tuple[str, float]] = []
    begun = clock.now()

    def chatty(name: str, seconds: float) -> None:
        def behaviour(build: RunningBuild) -> Steps:
            yield Sleep(seconds)
            told.append((name, (build.now - begun).total_seconds()))
            return "SUCCESS"

        jenkins.create_job(name, PIPELINE, behaviour)
        jenkins.trigger(name, {})

    chatty("long", 7200)
    chatty("short", 60)
    forward(jenkins, clock, 3 * 3600)
    assert [name for name, _ in told] == ["short", "long"]
    assert [round(when / 60) for _, when in told] == [1, 120]


def test_pipelines_start_although_every_executor_is_busy(jenkins: JenkinsStandIn, clock: SandboxClock) -> None:
    for name in ("one", "two", "three"):
        jenkins.create_job(name, SINGLE, succeed_after(600))
        jenkins.trigger(name, {})
    jenkins.create_job("pipe", PIPELINE, succeed_after(600))
    jenkins.trigger("pipe", {})
    forward(jenkins, clock, 11)
    (node,) = jenkins.world.nodes
    assert (len(node.busy), len(node.one_offs), len(jenkins.world.queue.active)) == (2, 1, 1)
    forward(jenkins, clock, 600)
    assert (len(node.busy), len(node.one_offs), len(jenkins.world.queue.active)) == (1, 0, 0)


def test_a_parent_waits_for_its_children_and_sees_how_they_ended(jenkins: JenkinsStandIn, clock: SandboxClock) -> None:
    def child(build: RunningBuild) -> Steps:
        yield Sleep(5)
        return "FAILURE" if build.parameters["N"] == "1" else "SUCCESS"

    def parent(build: RunningBuild) -> Steps:
        children = [build.trigger("child", {"N": str(number)}) for number in range(3)]
        runs = yield WaitFor(children)
        build.log(" ".join(str(run and run.result) for run in runs))
        return "SUCCESS"

    definition = "<hudson.model.StringParameterDefinition><name>N</name></hudson.model.StringParameterDefinition>"
    group = "hudson.model.ParametersDefinitionProperty"
    inner = f"<{group}><parameterDefinitions>{definition}</parameterDefinitions></{group}>"
    jenkins.create_job("child", f"<flow-definition><properties>{inner}</properties></flow-definition>", child)
    jenkins.create_job("parent", PIPELINE, parent)
    item = jenkins.trigger("parent", {})
    forward(jenkins, clock, 60)
    assert run_of(item).log[-2:] == ["SUCCESS FAILURE SUCCESS", "Finished: SUCCESS"]


def test_a_cancelled_child_does_not_hold_its_parent(jenkins: JenkinsStandIn, clock: SandboxClock) -> None:
    children: list[Item] = []

    def parent(build: RunningBuild) -> Steps:
        children.append(build.trigger("child", {}))
        (run,) = yield WaitFor(children)
        return "SUCCESS" if run is None else "FAILURE"

    jenkins.create_job("child", "<project><quietPeriod>3600</quietPeriod></project>")
    jenkins.create_job("parent", PIPELINE, parent)
    item = jenkins.trigger("parent", {})
    forward(jenkins, clock, 11)
    with jenkins.loop.lock:
        jenkins.world.cancel(children[0])
    forward(jenkins, clock, 1)
    assert run_of(item).result == "SUCCESS"


def test_a_stopped_build_may_say_its_last_words_and_is_aborted(jenkins: JenkinsStandIn, clock: SandboxClock) -> None:
    def stubborn(build: RunningBuild) -> Steps:
        try:
            yield Sleep(3600)
        except Stopped:
            build.log("cleaning up")
            yield Sleep(10)
        return "SUCCESS"

    jenkins.create_job("job", SINGLE, stubborn)
    run = _started(jenkins, clock, "job")
    with jenkins.loop.lock:
        jenkins.world.stop(run, "bot")
    forward(jenkins, clock, 5)
    assert run.building
    forward(jenkins, clock, 10)
    assert (run.result, run.log[-2:]) == ("ABORTED", ["cleaning up", "Finished: ABORTED"])


def test_trouble_in_a_behaviour_fails_its_build_only(jenkins: JenkinsStandIn, clock: SandboxClock) -> None:
    def broken(build: RunningBuild) -> Steps:
        yield Sleep(1)
        raise OSError("the disk is full")

    jenkins.create_job("job", SINGLE, broken)
    run = _started(jenkins, clock, "job")
    forward(jenkins, clock, 5)
    assert (run.result, "ERROR: the disk is full" in run.log) == ("FAILURE", True)


def test_disabling_cancels_what_waits_and_lets_the_build_go_on(jenkins: JenkinsStandIn, clock: SandboxClock) -> None:
    job = jenkins.create_job("job", SINGLE, succeed_after(100))
    run = _started(jenkins, clock, "job")
    waiting = jenkins.trigger("job", {})
    with jenkins.loop.lock:
        jenkins.world.set_disabled(job, disabled=True)
    assert (waiting.cancelled, run.building, job.colour) == (True, True, "disabled_anime")
    with pytest.raises(LookupError):
        jenkins.trigger("job", {})


@pytest.mark.parametrize(("kill", "results"), [(False, ["ABORTED", "ABORTED"]), (True, ["gone", "ABORTED"])])
def test_a_restart_ends_builds_and_gives_a_new_session(
    jenkins: JenkinsStandIn, clock: SandboxClock, kill: bool, results: list[str]
) -> None:
    jenkins.create_job("free", SINGLE, succeed_after(3600))
    jenkins.create_job("pipe", PIPELINE, succeed_after(3600))
    jobs = [_started(jenkins, clock, name).job for name in ("free", "pipe")]
    before = jenkins.world.session
    jenkins.restart(kill=kill)
    forward(jenkins, clock, 60)
    assert [str(job.runs[1].result) if job.runs else "gone" for job in jobs] == results
    assert [job.next_number for job in jobs] == [2, 2]
    assert jenkins.world.session != before
    assert all(executor.idle for node in jenkins.world.nodes for executor in node.executors)


def test_a_timer_starts_its_job_every_hour_until_it_is_taken_away(jenkins: JenkinsStandIn, clock: SandboxClock) -> None:
    job = jenkins.create_job("job", TIMED)
    forward(jenkins, clock, 3 * 3600)
    assert len(job.runs) == 3
    jenkins.create_job("job", SINGLE)
    forward(jenkins, clock, 3 * 3600)
    assert len(job.runs) == 3


@pytest.mark.parametrize(
    ("spec", "after", "expected"),
    [
        ("30 4 * * *", "2026-01-31T04:30", "2026-02-01T04:30"),
        ("0 0 * * 1", "2026-01-01T00:00", "2026-01-05T00:00"),
        ("*/20 * * * *", "2026-01-01T10:05", "2026-01-01T10:20"),
    ],
)
def test_cron_lines_fire_at_the_next_full_minute_that_matches(spec: str, after: str, expected: str) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert next_fire(spec, "job", moment) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_hashed_cron_line_spreads_jobs_and_keeps_its_stride() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    first = next_fire("H H/2 * * *", "kernel-tree-monitor", moment)
    assert first
    second = next_fire("H H/2 * * *", "kernel-tree-monitor", first)
    assert second == first + timedelta(hours=2)
    assert next_fire("nonsense", "job", moment) is None


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.33, "330 ms"),
        (4.97, "4.9 sec"),
        (59.2, "59 sec"),
        (99, "1 min 39 sec"),
        (800, "13 min"),
        (7500, "2 hr 5 min"),
    ],
)
def test_spans_are_written_as_jenkins_writes_them(seconds: float, shown: str) -> None:
    assert time_span(seconds) == shown


def _started(jenkins: JenkinsStandIn, clock: SandboxClock, job: str) -> Run:
    item = jenkins.trigger(job, {})
    forward(jenkins, clock, 11)
    return run_of(item)
