"""The seed job: what it changes is told and kept, what it enables is disabled again, whenever it starts."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from kcibot.core.run import RunState, StepState
from kcibot.sandbox.jenkins import RunningBuild, Sleep, Steps
from kcibot_commands.jobs.compare import JobsSettings, Mode
from kcibot_commands.monitor.flags import MonitorSettings
from tests.fakes.ci_bench import BISECTION, MONITOR, TIMER, TRIGGER, definition
from tests.fakes.jobs_bench import (
    BACK,
    COMING,
    PASSWORD,
    REAL,
    SEED,
    World,
    heads,
    make_world,
    parameters,
    push,
    seed,
    texts,
)

SEED_MODE = JobsSettings(mode=Mode.SEED_JOB)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    with ExitStack() as stack:
        yield partial(make_world, stack, tmp_path)


def seed_more(world: World) -> None:
    """A seed job that changes a job, loses the placeholder of another, makes one and deletes one."""
    world.ci.jenkins.create_job("gone", definition("G"))
    world.ci.jenkins.create_job("keyed", PASSWORD.format(REAL, ""))

    def seeding(build: RunningBuild) -> Steps:
        build.log(f"Checking out Revision {heads(world.repository)['kernelci.org']} (refs/remotes/origin/x)")
        yield Sleep(20)
        world.ci.jenkins.create_job(MONITOR, COMING[MONITOR])
        world.ci.jenkins.create_job("keyed", PASSWORD.format("placeholder", ""))
        world.ci.jenkins.create_job("made", definition())
        inside = world.ci.jenkins.world
        gone = inside.jobs.find("gone")
        assert gone
        inside.delete(gone)
        return "SUCCESS"

    world.ci.jenkins.create_job(SEED, "<project/>", seeding)


def test_what_the_seed_job_changed_is_told_kept_and_can_be_rolled_back(make: Callable[..., World]) -> None:
    world = make(settings=SEED_MODE)
    seed_more(world)
    world.release()
    world.ci.approve("operator")
    run = world.ci.tick_until_ended()
    assert run.state is RunState.SUCCEEDED, texts(world)
    text = run.step("apply-job-definitions").text
    assert "; it changed kernel-tree-monitor and keyed, made made, deleted gone; " in text
    told = world.ci.notice(":seeded")
    assert told.title == f"What {SEED} did to the jobs"
    assert told.lines == (
        f"{MONITOR}:",
        "  parameter EXTRA added (String, default '')",
        "keyed:",
        "  parameter TOKEN: a secret changes",
        "made: a new job",
        "gone: deleted; its definition is kept",
    )
    kept = world.ci.bench.journal.recall("job-definitions")
    assert sorted(kept) == ["1/gone", f"1/{MONITOR}", "1/keyed"], "what did not change need not stay"
    world.release(BACK)
    assert world.ci.newest().state is RunState.SUCCEEDED, texts(world)
    assert parameters(world, MONITOR) == ["CONFIG_LIST"]
    assert parameters(world, "gone") == ["G"]
    assert REAL in world.live("keyed")
    assert world.ci.server.job(MONITOR).disabled


def test_before_the_seed_job_runs_every_definition_must_be_kept(make: Callable[..., World]) -> None:
    world = make(settings=SEED_MODE)
    seed(world)
    world.ci.jenkins.create_job("other", definition(extra="<authToken>a-secret-of-the-bot</authToken>"))
    world.ci.bench.journal.cleaner._redactor.add("a-secret-of-the-bot")
    branches = heads(world.repository)
    world.release()
    run = world.ci.approve("operator")
    assert run.state is RunState.FAILED
    assert "other: its definition on Jenkins holds a secret of the bot" in world.ci.said()
    assert heads(world.repository) == branches
    assert world.ci.server.builds(SEED) == ()


def test_a_seed_job_that_changes_nothing_is_told_so(make: Callable[..., World]) -> None:
    world = make(settings=SEED_MODE)
    world.ci.jenkins.create_job(SEED, "<project/>")
    world.ci.say("!jobs apply")
    world.ci.approve("operator")
    run = world.ci.tick_until_ended()
    assert run.state is RunState.SUCCEEDED, texts(world)
    assert run.step("apply-job-definitions").text.endswith("; it changed no job")
    assert world.ci.bench.journal.recall("job-definitions") == {}


def test_diff_of_a_seed_job_says_what_it_has_not_read_yet(make: Callable[..., World], tmp_path: Path) -> None:
    world = make(settings=SEED_MODE)
    run = world.ci.say("!jobs diff", "observer")
    assert run.state is RunState.SUCCEEDED, texts(world)
    assert "Jenkins has no job job-dsl" in world.ci.notice("run:1:answer").title
    seed_more(world)
    world.ci.say("!jobs diff", "observer")
    assert world.ci.notice("run:2:answer").title.startswith(f"{SEED} has not run yet; it would make the jobs from ")
    world.ci.jenkins.trigger(SEED, {})
    world.ci.forward(seconds=60)
    push(world, tmp_path, TRIGGER, definition("BUILD_CONFIG", "NOT_READ"))
    run = world.ci.say("!jobs diff", "observer")
    assert run.state is RunState.SUCCEEDED, texts(world)
    answer = world.ci.notice("run:3:answer")
    assert answer.title.startswith(f"1 commit since the last build of {SEED} ({SEED} #1, ")
    assert answer.lines[0].endswith(" more")
    assert "To check by hand; !jobs tick CODE ticks a line:" in answer.lines


def test_diff_of_a_seed_job_that_we_ran_needs_no_log(make: Callable[..., World]) -> None:
    world = make(settings=SEED_MODE)
    seed(world)
    world.ci.say("!jobs apply")
    world.ci.approve("operator")
    assert world.ci.tick_until_ended().state is RunState.SUCCEEDED, texts(world)
    world.ci.say("!jobs diff", "observer")
    assert world.ci.notice("run:2:answer").title.startswith(f"0 commits since the last build of {SEED} ")


def test_jobs_that_people_disabled_before_stay_so_over_the_seed_job(make: Callable[..., World]) -> None:
    """The monitor and its copy, with a pause and without one."""
    world = make(settings=SEED_MODE)
    world.ci.bench.world.sections[MonitorSettings] = MonitorSettings(run_job="monitor-copy")  # type: ignore[index]
    world.ci.jenkins.create_job("monitor-copy", definition("CONFIG_LIST", timer=TIMER))

    def seeding(_build: RunningBuild) -> Steps:
        yield Sleep(20)
        for job in (MONITOR, "monitor-copy", BISECTION):
            world.ci.jenkins.create_job(job, definition("SEEDED", timer=TIMER))
        return "SUCCESS"

    world.ci.jenkins.create_job(SEED, "<project/>", seeding)
    for job in (MONITOR, "monitor-copy"):
        world.ci.server.disable(job)
    world.ci.say("!jobs apply")
    world.ci.approve("operator")
    assert world.ci.tick_until_ended().state is RunState.SUCCEEDED, texts(world)
    assert [world.ci.server.job(job).disabled for job in (MONITOR, "monitor-copy", BISECTION)] == [True, True, False]
    world.release()
    world.ci.approve("operator")
    assert world.ci.tick_until_ended().state is RunState.SUCCEEDED, texts(world)
    assert world.ci.server.job(MONITOR).disabled
    assert world.ci.server.job("monitor-copy").disabled


@pytest.mark.parametrize("when", range(1, 7))
def test_a_seed_job_that_starts_or_ends_between_two_requests_is_not_overlooked(
    make: Callable[..., World], when: int
) -> None:
    """The seed job polls Git; it starts right behind the when-th request of a look of the waiting step."""
    world = make()

    def seeding(_build: RunningBuild) -> Steps:
        yield Sleep(10)
        world.ci.jenkins.create_job(MONITOR, COMING[MONITOR])
        return "SUCCESS"

    world.ci.jenkins.create_job(SEED, "<project/>", seeding)
    world.release()
    world.ci.approve("operator")
    world.ci.bench.tick(timedelta(seconds=15))
    assert world.ci.newest().step("apply-job-definitions").state is StepState.WAITING, texts(world)
    respond, count = world.ci.jenkins.respond, []

    def hook(request):  # type: ignore[no-untyped-def]  # the stand-in's own type
        answer = respond(request)
        count.append(request)
        if len(count) == when:
            inside = world.ci.jenkins.world
            with world.ci.jenkins.loop.lock:
                found = inside.jobs.find(SEED)
                assert found
                inside.schedule(found, {}, [], 0.0)
            world.ci.forward(seconds=0.5)
        return answer

    world.ci.jenkins.respond = hook  # type: ignore[method-assign]
    world.ci.bench.tick(timedelta(seconds=15))
    world.ci.jenkins.respond = respond  # type: ignore[method-assign]
    run = world.ci.tick_until_ended()
    world.ci.forward(seconds=60)
    assert run.state is RunState.SUCCEEDED, texts(world)
    if len(count) >= when:
        assert len(world.ci.server.builds(SEED)) == 1
    assert world.ci.server.job(MONITOR).disabled
