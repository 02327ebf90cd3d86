"""Job definitions from a real repository to the Jenkins stand-in, alone and as part of a release."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from kcibot.core.run import RunState, StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.jenkins import RunningBuild, Sleep, Steps, succeed_after
from kcibot_commands.jobs.compare import JobsSettings, Mode
from kcibot_commands.rules.job_definitions import read_definition
from tests.fakes.ci_bench import BISECTION, MONITOR, TRIGGER, definition
from tests.fakes.jobs_bench import BACK, IN_GIT, SEED, World, git, heads, make_world, seed


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    with ExitStack() as stack:
        yield partial(make_world, stack, tmp_path)


# ---- alone -----------------------------------------------------------------------------------------------------


def test_diff_shows_only_what_has_a_meaning_and_deletes_nothing(make: Callable[..., World]) -> None:
    world = make({**IN_GIT, TRIGGER: definition("BUILD_CONFIG", "NODE_LABEL"), "new-job": definition()})
    world.ci.jenkins.create_job("only-here", definition())
    run = world.ci.say("!jobs diff", "observer")
    assert run.state is RunState.SUCCEEDED
    answer = world.ci.notice(":answer")
    assert answer.title.startswith("2 job definitions would change with ")
    assert answer.lines[:6] == (
        f"{TRIGGER}:",
        "  parameter NODE_LABEL added (String, default '')",
        "new-job:",
        "  a new job",
        "only on Jenkins, left alone (!jobs remove deletes): only-here",
        "2 jobs as in Git",
    )


def test_what_pipelines_and_messages_say_about_jobs_is_a_checklist_to_tick(make: Callable[..., World]) -> None:
    world = make()
    world.ci.say("!jobs diff")
    head, pipeline, message = world.ci.notice(":answer").lines[-3:]
    assert head == "To check by hand; !jobs tick CODE ticks a line:"
    assert pipeline.endswith(" jenkins/build.jpl: parameter NODE_LABEL added (string, default docker)")
    assert message.endswith(" The job kernel-build gets the parameter NODE_LABEL.")
    codes = [line.split()[2] for line in (pipeline, message)]
    world.ci.bench.say("operator", "!jobs tick 000000")
    assert "000000 is no line of the checklist" in world.ci.said()
    world.ci.bench.say("operator", f"!jobs tick {codes[0]}")
    world.ci.say("!jobs diff")
    _, pipeline, message = world.ci.notice("run:2:answer").lines[-3:]
    assert pipeline.startswith(f"  [x] {codes[0]} jenkins/build.jpl: ")
    assert pipeline.endswith(" (operator)")
    assert message.startswith(f"  [ ] {codes[1]} ")


def test_apply_asks_shows_the_difference_and_writes_exactly_that(make: Callable[..., World]) -> None:
    world = make({**IN_GIT, TRIGGER: definition("BUILD_CONFIG", "NODE_LABEL")})
    before = world.live(TRIGGER)
    world.ci.say("!jobs apply")
    (ask,) = world.ci.bench.journal.open_asks()
    assert list(ask.facts["apply-job-definitions"]["definitions"]) == [TRIGGER]  # type: ignore[index]
    assert "    parameter NODE_LABEL added (String, default '')" in ask.display
    world.ci.jenkins.requests.clear()
    run = world.ci.approve("operator")
    assert run.state is RunState.SUCCEEDED, run
    posts = [request.path for request in world.ci.jenkins.requests if request.method == "POST"]
    assert posts == [f"/job/{TRIGGER}/config.xml"]
    assert [p.name for p in read_definition(world.live(TRIGGER)).parameters] == ["BUILD_CONFIG", "NODE_LABEL"]
    kept = world.ci.bench.journal.recall("job-definitions")[f"1/{TRIGGER}"]
    assert isinstance(kept, dict)
    assert kept["xml"] == before


def test_apply_is_not_needed_when_jenkins_has_what_git_says(make: Callable[..., World]) -> None:
    world = make()
    run = world.ci.say("!jobs apply")
    assert run.state is RunState.SUCCEEDED
    assert run.step("apply-job-definitions").state is StepState.NOT_NEEDED
    assert world.ci.bench.journal.open_asks() == ()


def test_a_definition_that_somebody_changed_after_the_asking_voids_the_approval(make: Callable[..., World]) -> None:
    world = make({**IN_GIT, TRIGGER: definition("BUILD_CONFIG", "NODE_LABEL")})
    world.ci.say("!jobs apply")
    world.ci.jenkins.create_job(BISECTION, definition("TARGET", "BY_HAND"))
    run = world.ci.approve("operator")
    assert run.state is RunState.WAITING
    assert "is void, because what it showed has changed" in world.ci.said()
    assert "BY_HAND" in world.live(BISECTION)


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER])
def test_a_lost_answer_is_settled_by_reading_the_definition(make: Callable[..., World], kind: FaultKind) -> None:
    world = make({**IN_GIT, TRIGGER: definition("BUILD_CONFIG", "NODE_LABEL")})
    world.ci.jenkins.faults.add(Fault(kind, f"POST .*{TRIGGER}/config.xml"))
    world.ci.say("!jobs apply")
    world.ci.approve("operator")
    assert world.ci.tick_until_ended().state is RunState.SUCCEEDED
    assert "NODE_LABEL" in world.live(TRIGGER)


def test_a_new_job_is_made(make: Callable[..., World]) -> None:
    world = make({**IN_GIT, "new-job": definition("A")})
    world.ci.say("!jobs apply")
    run = world.ci.approve("operator")
    assert run.state is RunState.SUCCEEDED
    assert "new-job" in world.ci.server.jobs()


def test_definitions_that_are_no_xml_stop_it_with_the_name_of_the_job(make: Callable[..., World]) -> None:
    world = make({**IN_GIT, TRIGGER: "<flow-definition>"})
    run = world.ci.say("!jobs diff")
    assert run.state is not RunState.SUCCEEDED
    assert f"{TRIGGER}: the job definition is no XML" in world.ci.said()


# ---- what Git no longer has ----------------------------------------------------------------------------------------


def test_a_job_is_deleted_only_by_name_and_after_an_approval(make: Callable[..., World]) -> None:
    world = make()
    world.ci.jenkins.create_job("old-job", definition("OLD"))
    world.ci.jenkins.create_job("other-job", definition())
    xml = world.live("old-job")
    world.ci.say("!jobs remove old-job")
    (ask,) = world.ci.bench.journal.open_asks()
    assert ask.display[1].strip() == "delete old-job with the log of 0 builds"
    run = world.ci.approve("manager-1")
    assert run.state is RunState.SUCCEEDED, world.ci.said()
    assert set(world.ci.server.jobs()) == {MONITOR, TRIGGER, BISECTION, "other-job"}
    assert world.ci.bench.journal.recall("job-definitions")["1/old-job"]["xml"] == xml  # type: ignore[index]
    assert world.ci.bench.journal.recall("lock") == {}


@pytest.mark.parametrize(("job", "why"), [(TRIGGER, "is not among the jobs"), ("old-jbo", "Did you mean old-job?")])
def test_a_job_that_git_has_or_nobody_knows_is_not_deleted(make: Callable[..., World], job: str, why: str) -> None:
    world = make()
    world.ci.jenkins.create_job("old-job", definition())
    world.ci.say(f"!jobs remove {job}")
    assert why in world.ci.said()
    assert not world.ci.bench.journal.open_asks()
    assert set(world.ci.server.jobs()) == {MONITOR, TRIGGER, BISECTION, "old-job"}


def test_a_job_that_runs_or_changed_is_not_deleted_on_an_old_approval(make: Callable[..., World]) -> None:
    world = make()
    world.ci.jenkins.create_job("old-job", definition())
    world.ci.say("!jobs remove old-job")
    world.ci.jenkins.create_job("old-job", definition("NEW"))
    world.ci.approve("manager-1")
    assert "is void, because what it showed has changed" in world.ci.said()
    world.ci.jenkins.behave("old-job", succeed_after(600))
    world.ci.jenkins.trigger("old-job", {})
    world.ci.forward(seconds=11)
    run = world.ci.approve("manager-1")
    assert run.state is RunState.FAILED
    assert "old-job runs now" in world.ci.said()
    assert "old-job" in world.ci.server.jobs()


# ---- in a release ----------------------------------------------------------------------------------------------


def test_in_a_release_the_branch_is_moved_and_the_pause_holds(make: Callable[..., World]) -> None:
    world = make()
    world.release()
    (ask,) = world.ci.bench.journal.open_asks()
    facts = ask.facts["apply-job-definitions"]
    assert sorted(facts["definitions"]) == sorted([MONITOR, TRIGGER])  # type: ignore[index]
    run = world.ci.approve("operator")
    assert run.state is RunState.SUCCEEDED, [step.text for step in run.steps]
    branches = heads(world.repository)
    assert branches["kernelci.org"] == branches["main"]
    assert [p.name for p in read_definition(world.live(MONITOR)).parameters] == ["CONFIG_LIST", "EXTRA"]
    assert world.ci.server.job(MONITOR).disabled, "a definition must not open production again"


def test_in_a_release_an_unchanged_repository_needs_nothing(make: Callable[..., World]) -> None:
    world = make(coming={})
    git(world.repository, "update-ref", "refs/heads/kernelci.org", "refs/heads/main")
    world.release()
    world.ci.approve("operator")
    run = world.ci.tick_until_ended()
    assert run.step("apply-job-definitions").state is StepState.NOT_NEEDED


def test_a_rollback_writes_what_the_run_replaced_and_leaves_the_pause(make: Callable[..., World]) -> None:
    world = make()
    world.release()
    world.ci.approve("operator")
    assert world.ci.tick_until_ended().state is RunState.SUCCEEDED
    world.release(BACK)
    assert world.ci.newest().state is RunState.SUCCEEDED
    for job in (MONITOR, TRIGGER):
        assert read_definition(world.live(job)).parameters == read_definition(IN_GIT[job]).parameters
    assert world.ci.server.job(MONITOR).disabled


# ---- by the seed job -------------------------------------------------------------------------------------------


def test_the_seed_job_is_run_and_what_it_enabled_is_disabled_again_and_said(make: Callable[..., World]) -> None:
    world = make(settings=JobsSettings(mode=Mode.SEED_JOB))
    seed(world)
    world.release()
    world.ci.approve("operator")
    run = world.ci.tick_until_ended()
    assert run.state is RunState.SUCCEEDED, [step.text for step in run.steps]
    text = run.step("apply-job-definitions").text
    assert text.startswith(f"{SEED} #1 from ")
    assert text.endswith(f"{MONITOR} came back enabled: disabled again")
    assert world.ci.server.job(MONITOR).disabled
    assert f"{MONITOR} came back enabled with the job definitions: disabled again" in world.ci.said()


def test_a_seed_job_that_starts_by_itself_after_the_push_is_waited_for(make: Callable[..., World]) -> None:
    world = make(settings=JobsSettings(mode=Mode.SEED_JOB))
    seed(world)
    world.release()
    world.ci.approve("operator")
    for _ in range(6):
        world.ci.bench.tick(timedelta(seconds=15))
    assert world.ci.server.job(MONITOR).disabled
    world.ci.jenkins.trigger(SEED, {})
    run = world.ci.tick_until_ended()
    assert run.state is RunState.SUCCEEDED
    assert len(world.ci.server.builds(SEED)) == 2
    assert world.ci.server.job(MONITOR).disabled


def test_a_seed_job_that_fails_stops_the_release(make: Callable[..., World]) -> None:
    def broken(build: RunningBuild) -> Steps:
        build.log("jobs.groovy: unexpected token")
        yield Sleep(5)
        return "FAILURE"

    world = make(settings=JobsSettings(mode=Mode.SEED_JOB))
    world.ci.jenkins.create_job(SEED, "<project/>", broken)
    world.release()
    world.ci.approve("operator")
    run = world.ci.tick_until_ended()
    assert run.state is RunState.FAILED
    assert f"{SEED} #1 ended as FAILURE" in run.step("apply-job-definitions").text
    world.ci.jenkins.behave(SEED, succeed_after(10))
    world.ci.say("!release retry")
    assert world.ci.tick_until_ended().state is RunState.SUCCEEDED
