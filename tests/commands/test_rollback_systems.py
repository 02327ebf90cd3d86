"""Rollback of deployments and of job definitions: by the playbooks of before, and so that the pause still holds."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from kcibot.core.journal import SaveRun
from kcibot.core.procedure import Context, Done, Procedure, Step
from kcibot.core.run import Run, RunState, StepRecord, StepState
from kcibot.sandbox.jenkins import RunningBuild, Sleep, Steps
from kcibot.sandbox.targets import BACKEND, BACKEND_HOST
from kcibot_commands.jobs.compare import JobsSettings, Mode
from kcibot_commands.plan.steps import plan
from kcibot_commands.production import push_branch, take_production_lock
from kcibot_commands.rollback import verbs as rollback
from kcibot_commands.tags import create_tags
from tests.fakes.bench import ROOM, Bench
from tests.fakes.ci_bench import MONITOR, TRIGGER, definition
from tests.fakes.jobs_bench import COMING, SEED, World, git, heads, make_world, parameters, push
from tests.fakes.kernelci_bench import PRODUCTION, alerts
from tests.fakes.rollback_bench import Yard, approve, asked, released, rolled_back, shown, until, yard

# ---- deployments -----------------------------------------------------------------------------------------------

FAIL = "- name: Break off\n  ansible.builtin.fail:\n    msg: not for the old version\n  tags: [app]\n"
TASKS = "roles/kernelci-backend/tasks/main.yml"


BACKEND_NAME = "backend"


def _push(context: Context) -> Done[None]:
    push_branch(context, BACKEND_NAME)
    return Done("the branch was moved", None)


HALF_WAY = Procedure(
    "release", plan, create_tags, take_production_lock, Step("deploy-backend", "Backend deployed", _push, type(None))
)
"""A release that moved the backend's branch, and never came to its playbook."""


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Yard]:
    with yard(tmp_path) as made:
        yield made


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Yard]:
    with yard(tmp_path, machines=True) as made:
        yield made


def deployed_before(bench: Bench, version: str, configuration: str) -> None:
    """Some weeks ago the bot deployed that version with those playbooks."""
    now, number = bench.clock.now(), bench.journal.new_run_id()
    value = {"component": BACKEND_NAME, "version": version, "configuration": configuration}
    step = StepRecord("run-playbook", "Deployed", state=StepState.DONE, value=value)
    bench.journal.commit([SaveRun(Run(number, "deploy", "Deploy", "operator", ROOM, now, (step,), ended_at=now))])


def test_the_version_before_is_deployed_by_the_playbooks_that_had_deployed_it(machines: Yard) -> None:
    bench, place = machines.bench(), machines.place
    assert place.targets
    old, playbooks = place.head("backend", PRODUCTION), place.head("backend-config")
    deployed_before(bench, "2026.11.0", playbooks)
    place.commit("backend-config", {TASKS: FAIL}, "Only for the new version")
    assert released(bench, HALF_WAY).state is RunState.SUCCEEDED, alerts(bench)
    run = asked(bench)
    text = shown(bench, run)
    assert "backend: version 2026.11.0 again" in text
    assert f"with backend-config at {playbooks[:10]}" in text
    assert "which had deployed 2026.11.0" in text
    assert "Not taken back: tags stay: " in text
    run = approve(bench, run)
    assert run.state is RunState.SUCCEEDED, alerts(bench)
    assert place.targets.deployed(BACKEND_HOST) == place.head("backend", PRODUCTION) == old
    assert place.targets.facts(BACKEND).version == "2026.11.0"
    assert run.step("backend-back").text == f"version 2026.11.0 answers, playbooks at {playbooks[:10]}"


def test_a_version_whose_playbooks_nobody_knows_is_deployed_by_todays_and_that_is_said(there: Yard) -> None:
    bench, place = there.bench(), there.place
    deployed_before(bench, "2026.10.9", place.head("backend-config"))
    today = place.commit("backend-config", {"README.md": "today\n"}, "Work")
    released(bench, HALF_WAY)
    text = shown(bench, asked(bench))
    assert f"with backend-config at {today[:10]}" in text
    assert "as they are now: what had deployed 2026.11.0 is not known" in text


def test_a_component_whose_branch_somebody_moved_since_is_not_deployed_either(there: Yard) -> None:
    bench, place = there.bench(), there.place
    released(bench, HALF_WAY)
    theirs = place.commit("backend", {"HOTFIX": "by hand\n"}, "hotfix by hand", branch=PRODUCTION)
    run = rolled_back(bench)
    assert "somebody moved it, left alone" in run.step("backend-back").text
    assert place.head("backend", PRODUCTION) == theirs


def test_an_old_version_that_cannot_be_read_is_said_and_keeps_nothing_else_back(there: Yard) -> None:
    bench, place = there.bench(), there.place
    path = "app/handlers/__init__.py"
    good = place.git("backend", "show", f"main:{path}")
    bad = place.commit("backend", {path: "no version here\n"}, "Lose the version", PRODUCTION)
    place.git("backend", "update-ref", "refs/heads/main", bad)
    place.commit("backend", {path: f"{good}\n"}, "Find the version again")
    assert released(bench, HALF_WAY).state is RunState.SUCCEEDED, alerts(bench)
    run = asked(bench)
    assert f"cannot be seen now: backend at {bad[:10]}, {path}: " in shown(bench, run)
    run = approve(bench, run)
    assert run.step("backend-back").state is StepState.FAILED
    assert place.head("backend", PRODUCTION) != bad, "nothing was moved that could not be deployed"


# ---- job definitions -------------------------------------------------------------------------------------------


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    with ExitStack() as stack:
        yield partial(make_world, stack, tmp_path)


def applied(world: World) -> None:
    """A small release with job definitions, and the verbs that take it back."""
    world.ci.bench.world.registry.add(rollback)
    world.release()
    world.ci.approve("operator")
    assert world.ci.tick_until_ended().state is RunState.SUCCEEDED, [one.text for one in world.ci.newest().steps]


def taken_back(world: World) -> Run:
    run = approve(world.ci.bench, asked(world.ci.bench))
    assert run.state is RunState.SUCCEEDED, [(one.id, one.text) for one in run.steps]
    return run


def test_definitions_and_their_branch_go_back_and_the_gate_shows_what_changes(make: Callable[..., World]) -> None:
    world = make()
    old = heads(world.repository)["kernelci.org"]
    applied(world)
    new = heads(world.repository)["kernelci.org"]
    run = asked(world.ci.bench)
    text = shown(world.ci.bench, run)
    assert f"jenkins: kernelci.org {new[:10]} -> {old[:10]}" in text
    assert "parameter EXTRA removed" in text
    (ask,) = world.ci.bench.journal.open_asks()
    definitions = ask.facts["definitions-back"]["definitions"]  # type: ignore[index,call-overload]
    assert sorted(definitions) == sorted([MONITOR, TRIGGER])
    assert all(len(set(digests)) == 2 for digests in definitions.values()), "what it is, and what it becomes"
    run = approve(world.ci.bench, run)
    assert run.state is RunState.SUCCEEDED, [(one.id, one.text) for one in run.steps]
    assert heads(world.repository)["kernelci.org"] == old
    assert parameters(world, MONITOR) == ["CONFIG_LIST"]
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG"]


def test_a_definition_that_somebody_changed_after_the_approval_is_asked_about_again(
    make: Callable[..., World],
) -> None:
    world = make()
    applied(world)
    run = asked(world.ci.bench)
    world.ci.jenkins.create_job(TRIGGER, definition("BY_HAND"))
    approve(world.ci.bench, run)
    assert "is void, because what it showed has changed" in world.ci.said()
    assert parameters(world, TRIGGER) == ["BY_HAND"]


def test_what_a_rollback_replaces_can_be_brought_back_one_by_one(make: Callable[..., World]) -> None:
    world = make()
    applied(world)
    taken_back(world)
    world.ci.say(f"!jobs restore {TRIGGER}")
    world.ci.approve("manager-1")
    assert world.ci.tick_until_ended().state is RunState.SUCCEEDED
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG", "NODE_LABEL"]


def test_a_job_that_the_release_made_stays_and_is_said(make: Callable[..., World]) -> None:
    world = make(coming={**COMING, "new-job": definition("A")})
    applied(world)
    run = asked(world.ci.bench)
    assert "Not taken back: new-job stays on Jenkins: !jobs remove JOB deletes it" in shown(world.ci.bench, run)
    approve(world.ci.bench, run)
    assert "new-job" in world.ci.server.jobs()


def test_definitions_applied_alone_go_back_alone(make: Callable[..., World], tmp_path: Path) -> None:
    world = make()
    world.ci.bench.world.registry.add(rollback)
    push(world, tmp_path, TRIGGER, definition("BUILD_CONFIG", "PUSHED"))
    branches = heads(world.repository)
    world.ci.say("!jobs apply")
    world.ci.approve("operator")
    assert world.ci.tick_until_ended().state is RunState.SUCCEEDED
    run = asked(world.ci.bench, "--run 1")
    run = approve(world.ci.bench, run)
    assert run.state is RunState.SUCCEEDED, [(one.id, one.text) for one in run.steps]
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG"]
    assert heads(world.repository) == branches
    assert run.step("drain").state is StepState.NOT_NEEDED


def test_a_definition_that_another_run_wrote_since_is_left_alone_and_that_is_shown(
    make: Callable[..., World], tmp_path: Path
) -> None:
    world = make()
    world.ci.bench.world.registry.add(rollback)
    for parameter in ("FIRST", "SECOND"):
        push(world, tmp_path, TRIGGER, definition("BUILD_CONFIG", parameter))
        world.ci.say("!jobs apply")
        world.ci.approve("operator")
        assert world.ci.tick_until_ended().state is RunState.SUCCEEDED
    run = asked(world.ci.bench, "--run 1")
    assert f"left alone, another run has written it since: {TRIGGER}" in shown(world.ci.bench, run)
    run = approve(world.ci.bench, run)
    assert run.state is RunState.SUCCEEDED, [(one.id, one.text) for one in run.steps]
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG", "SECOND"]


SEED_MODE = JobsSettings(mode=Mode.SEED_JOB)


def seeding(world: World) -> Callable[[RunningBuild], Steps]:
    """A seed job that makes the monitor from what the production branch says, always enabled."""

    def make_jobs(_build: RunningBuild) -> Steps:
        head = heads(world.repository)["kernelci.org"]
        yield Sleep(20)
        world.ci.jenkins.create_job(MONITOR, git(world.repository, "show", f"{head}:jobs/{MONITOR}.xml"))
        return "SUCCESS"

    return make_jobs


def test_the_seed_job_runs_from_the_old_commit_and_what_it_enables_is_disabled_again(
    make: Callable[..., World],
) -> None:
    world = make(settings=SEED_MODE)
    world.ci.jenkins.create_job(SEED, "<project/>", seeding(world))
    applied(world)
    assert parameters(world, MONITOR) == ["CONFIG_LIST", "EXTRA"]
    before = len(world.ci.server.builds(SEED))
    run = asked(world.ci.bench)
    assert f"run {SEED}, which makes every job from the old commit" in shown(world.ci.bench, run)
    run = approve(world.ci.bench, run)
    assert run.state is RunState.SUCCEEDED, [(one.id, one.text) for one in run.steps]
    assert len(world.ci.server.builds(SEED)) == before + 1
    assert parameters(world, MONITOR) == ["CONFIG_LIST"]
    assert f"{MONITOR} came back enabled: disabled again" in run.step("definitions-back").text


def test_a_seed_job_that_starts_by_itself_after_the_push_back_is_waited_for(make: Callable[..., World]) -> None:
    world = make(settings=SEED_MODE)
    world.ci.jenkins.create_job(SEED, "<project/>", seeding(world))
    applied(world)
    bench = world.ci.bench
    run = asked(bench)
    bench.react("manager-1", f"run:{run.id}:gate:rollback:1")
    until(bench, run, lambda now: "may start by itself" in now.step("definitions-back").text)
    for _ in range(4):
        bench.tick(timedelta(seconds=15))
    world.ci.jenkins.trigger(SEED, {})
    world.ci.forward(seconds=40)
    assert not world.ci.server.job(MONITOR).disabled, "the seed job has enabled it"
    bench.tick()
    until(bench, run, lambda now: now.step("definitions-back").state is StepState.DONE)
    assert parameters(world, MONITOR) == ["CONFIG_LIST"]
    run = until(bench, run, lambda now: now.ended)
    assert run.state is RunState.SUCCEEDED, [(one.id, one.text) for one in run.steps]
