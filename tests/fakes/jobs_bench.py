"""A bench with job definitions in a real repository and on the Jenkins stand-in, and a release that applies them."""

import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from kcibot.core.gate import GatePolicy
from kcibot.core.procedure import Context, Done, Gate, Procedure, Step
from kcibot.sandbox.jenkins import RunningBuild, Sleep, Steps
from kcibot.sandbox.repositories.history import History
from kcibot.services.git.adapter import GitRepositories
from kcibot_commands.jobs import old as jobs_old
from kcibot_commands.jobs.compare import JobsSettings
from kcibot_commands.jobs.steps import apply_job_definitions, old_definitions, write_back
from kcibot_commands.monitor.steps import pause_monitor
from kcibot_commands.plan.steps import Component, ReleaseSettings, plan
from kcibot_commands.production import open_production, take_production_lock
from kcibot_commands.rules.job_definitions import read_definition
from tests.fakes.bench import ROOM, HandClock
from tests.fakes.ci_bench import BISECTION, MONITOR, SELF, TIMER, TRIGGER, CiBench, ci_bench, definition

SEED = "job-dsl"
AT = HandClock().at
IN_GIT = {
    MONITOR: definition("CONFIG_LIST", timer=TIMER),
    TRIGGER: definition("BUILD_CONFIG"),
    BISECTION: definition("TARGET"),
}
JPL = "/* ---\n * Jenkins parameters\n\nNODE_LABEL (docker)\n  The nodes that build\n*/\n"
MESSAGE = "jobs: what comes\n\nThe job kernel-build gets the parameter NODE_LABEL.\nNothing else."
PASSWORD = (
    "<flow-definition><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>"
    "<hudson.model.PasswordParameterDefinition><name>TOKEN</name><defaultValue>{}</defaultValue>"
    "</hudson.model.PasswordParameterDefinition></parameterDefinitions></hudson.model.ParametersDefinitionProperty>"
    "</properties>{}</flow-definition>"
)
REAL = "{AQAAABAAAAAQreal}"
MINI = Procedure(
    "release",
    plan,
    Gate("go", "Update production"),
    take_production_lock,
    pause_monitor,
    apply_job_definitions,
    open_production,
)


def _back(context: Context) -> Done[None]:
    for job, xml in old_definitions(context, 1).items():
        write_back(context, job, xml)
    return Done("", None)


BACK = Procedure("back", Step("back", "Definitions back", _back, type(None)))


def make_repository(folder: Path, released: Mapping[str, str], coming: Mapping[str, str]) -> Path:
    """A kernelci-jenkins with `released` on the production branch, and `coming` on the development branch."""
    history = History()
    for job, xml in released.items():
        history.write(f"jobs/{job}.xml", xml)
    history.branch("kernelci.org", history.commit("jobs: as released", AT - timedelta(days=9)))
    for job, xml in coming.items():
        history.write(f"jobs/{job}.xml", xml)
    history.write("jenkins/build.jpl", JPL)
    history.commit(MESSAGE, AT - timedelta(days=1))
    return history.make(folder / "jenkins.git")


def heads(repository: Path) -> dict[str, str]:
    text = git(repository, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
    return dict(line.split(" ", 1) for line in text.splitlines())  # type: ignore[misc]  # pairs


def git(repository: Path, *words: str) -> str:
    command = ["git", "-C", str(repository), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class World:
    """A bench with that repository, and with the procedure of a small release."""

    def __init__(self, ci: CiBench, repository: Path) -> None:
        self.ci = ci
        self.repository = repository
        ci.bench.world.registry.procedures.update({MINI.name: MINI, BACK.name: BACK})
        ci.bench.world.registry.add(jobs_old)

    def release(self, procedure: Procedure = MINI) -> None:
        bench = self.ci.bench
        with bench.world.lock:
            person = bench.world.people.get("operator")
            outcome = bench.engine.start(procedure, person, ROOM)
            bench.journal.commit(outcome.changes)
        bench.engine.wake(outcome.wake)
        bench.settle()

    def live(self, job: str) -> str:
        return self.ci.server.definition(job)


COMING = {TRIGGER: definition("BUILD_CONFIG", "NODE_LABEL"), MONITOR: definition("CONFIG_LIST", "EXTRA", timer=TIMER)}


def make_world(
    stack: ExitStack,
    folder: Path,
    released: Mapping[str, str] = IN_GIT,
    coming: Mapping[str, str] = COMING,
    settings: JobsSettings | None = None,
) -> World:
    """A bench in that folder, open as long as the stack."""
    repository = make_repository(folder, released, coming)
    git = GitRepositories({"jenkins": str(repository)}, folder / "mirrors", "kcibot", "kcibot@example.org")
    sections = {
        ReleaseSettings: ReleaseSettings({"jenkins": Component()}),
        JobsSettings: settings or JobsSettings(),
    }
    policies = {"definitions": SELF, "go": SELF, "definition-removal": GatePolicy()}
    bench = ci_bench(folder, git=git, sections=sections, policies=policies)
    return World(stack.enter_context(bench), repository)


def seed(world: World) -> None:
    """The seed job makes every job anew, and none of its definitions says disabled."""

    def seeding(build: RunningBuild) -> Steps:
        yield Sleep(45)
        world.ci.jenkins.create_job(MONITOR, COMING[MONITOR])
        return "SUCCESS"

    world.ci.jenkins.create_job(SEED, "<project/>", seeding)


def push(world: World, folder: Path, job: str, xml: str) -> None:
    """A commit on the production branch by somebody else."""
    work = folder / "other"
    if not work.exists():
        subprocess.run(["git", "clone", "-q", "-b", "kernelci.org", str(world.repository), str(work)], check=True)
    (work / "jobs" / f"{job}.xml").write_text(xml)
    command = ["git", "-C", str(work), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*command, "add", "-A"], check=True)
    subprocess.run([*command, "commit", "-q", "-m", "more"], check=True)
    subprocess.run([*command, "push", "-q", "origin", "HEAD:kernelci.org"], check=True)


def parameters(world: World, job: str) -> list[str]:
    return [one.name for one in read_definition(world.live(job)).parameters]


def texts(world: World) -> list[str]:
    return [step.text for step in world.ci.newest().steps]
