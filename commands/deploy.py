"""Step 6: backend and frontend. Each moves its own production branch first, runs its playbook, and is then proven."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from kcibot_commands.plan import SHORT, ReleaseSettings, plan
from kcibot_commands.production import (
    open_production,
    push_asks,
    push_branch,
    push_needed,
    push_preview,
    take_production_lock,
)
from kcibot_commands.rules import versions

from kcibot.sdk import (
    Call,
    Context,
    Deployment,
    Done,
    Gate,
    Happened,
    NotHappened,
    Outcome,
    OutcomeUnknown,
    PermanentError,
    Preview,
    Procedure,
    Proof,
    Step,
    Wait,
    command,
)


class Deployable(StrEnum):
    BACKEND = "backend"
    FRONTEND = "frontend"


@dataclass(frozen=True)
class Playbook:
    """How one component is deployed, in the words of `ansible-playbook`'s options.

    `git_head` is what the playbook checks out; empty means the component's production branch.
    """

    repository: str
    limit: str
    branch: str = "main"
    playbook: str = "site.yml"
    inventory: str = "hosts"
    tags: tuple[str, ...] = ("app",)
    skip_tags: tuple[str, ...] = ("secrets",)
    become: bool = True
    ask_become_pass: bool = False
    private_key: str = ""
    git_head: str = ""


def default_playbooks() -> Mapping[str, Playbook]:
    """Those of the written procedure."""
    return {
        "backend": Playbook("backend-config", "api.kernelci.org"),
        "frontend": Playbook("frontend-config", "kernelci.org"),
    }


@dataclass(frozen=True)
class DeploySettings:
    """Which playbook deploys which component, and whose worker queue is checked afterwards."""

    section: ClassVar[str] = "deploy"
    playbooks: Mapping[str, Playbook] = field(default_factory=default_playbooks)
    queue_of: str = "backend"


@dataclass(frozen=True)
class Deployed:
    """What runs now: the version that the component itself answers, and the playbooks' commit that put it there."""

    component: str
    version: str
    configuration: str


def deployment(context: Context, component: str, git_head: str = "") -> tuple[Playbook, Deployment]:
    """The playbook's run, its folder still empty of a checkout."""
    playbook = context.settings(DeploySettings).playbooks.get(component)
    if playbook is None:
        raise PermanentError(f"no playbook is configured for {component} under deploy.playbooks")
    branch = context.settings(ReleaseSettings).components[component].production
    return playbook, Deployment(
        folder=context.folder("playbooks"),
        playbook=playbook.playbook,
        inventory=playbook.inventory,
        limit=playbook.limit,
        tags=playbook.tags,
        skip_tags=playbook.skip_tags,
        extra_vars={"git_head": git_head or playbook.git_head or branch},
        become=playbook.become,
        ask_become_pass=playbook.ask_become_pass,
        private_key=playbook.private_key,
    )


def command_preview(context: Context, component: str, git_head: str = "") -> Preview:
    """The exact command line and the commit of the playbooks."""
    playbook, run = deployment(context, component, git_head)
    argv = context.ports.deployer.command(run)
    commit = _configuration(context, playbook)
    shown = (f"{component}: {' '.join(argv)}", f"  with {playbook.repository} at {commit[:SHORT]}")
    return Preview({"argv": list(argv), "configuration": commit}, shown)


def run_playbook(context: Context, component: str, version: str, git_head: str = "") -> Deployed:
    """Run the playbook once, then prove that the component runs that version and its worker takes tasks."""
    playbook, run = deployment(context, component, git_head)
    commit = context.keep("configuration", lambda: _configuration(context, playbook))
    context.ports.git.remote(playbook.repository).checkout(commit, run.folder)

    def deploy() -> int:
        result = context.ports.deployer.deploy(run, context.report, context.cancellation)
        return result.changed

    def probe() -> Proof[int]:
        return Happened(-1) if context.ports.results.version(component) == version else NotHappened()

    context.effect(f"deploy {component} {version}", deploy, probe)
    _prove(context, component, version)
    return Deployed(component, version, commit)


def _prove(context: Context, component: str, version: str) -> None:
    running = context.ports.results.version(component)
    if running != version:
        raise OutcomeUnknown(f"the playbook ended well, but {component} answers version {running} instead of {version}")
    if component == context.settings(DeploySettings).queue_of and not context.ports.results.queue_alive():
        raise OutcomeUnknown(f"{component} {version} runs, but its worker does not take tasks; celery may hang")


def _configuration(context: Context, playbook: Playbook) -> str:
    branches = context.ports.git.remote(playbook.repository).branches()
    if playbook.branch not in branches:
        raise PermanentError(f"{playbook.repository} has no branch {playbook.branch}")
    context.ports.git.remote(playbook.repository).fetch()
    return branches[playbook.branch]


# ---- in a release ----------------------------------------------------------------------------------------------


def deploy_step(component: str) -> Step[Deployed]:
    """The step that moves the component's production branch and deploys it."""

    def preview(context: Context) -> Preview:
        push, play = push_preview(context, component), command_preview(context, component)
        return Preview({"push": push.facts, "deploy": play.facts}, (*push.display, *play.display))

    def run(context: Context) -> Done[Deployed]:
        push_branch(context, component)
        deployed = run_playbook(context, component, context.result(plan).part(component).version)
        return Done(f"version {deployed.version} answers", deployed)

    return Step(
        f"deploy-{component}",
        f"{component.capitalize()} deployed",
        run,
        Deployed,
        needed=lambda context: push_needed(context, component),
        preview=preview,
        asks=lambda context: push_asks(context, component),
        after=(plan, take_production_lock),
    )


deploy_backend = deploy_step(Deployable.BACKEND.value)
deploy_frontend = deploy_step(Deployable.FRONTEND.value)


# ---- alone -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DeployArgs:
    """`revision` is a branch or tag; empty means the production branch."""

    component: str
    revision: str = ""


def _revision(context: Context) -> tuple[DeployArgs, str, str]:
    """What was asked for, the commit it names on the server now, and the version in that commit's file."""
    args = context.args(DeployArgs)
    component = context.settings(ReleaseSettings).components[args.component]
    git = context.ports.git.remote(args.component)
    git.fetch()
    wanted = args.revision or component.production
    named = {**{tag.name: tag.target for tag in git.tags()}, **git.branches()}
    if wanted not in named:
        raise PermanentError(f"{args.component} has no branch or tag {wanted}")
    return args, named[wanted], versions.read_version(git.read(named[wanted], component.version_file))


def _alone_preview(context: Context) -> Preview:
    args, commit, version = _revision(context)
    play = command_preview(context, args.component, args.revision)
    facts = {"commit": commit, "version": version, "deploy": play.facts}
    return Preview(facts, (f"{args.component}: version {version}, commit {commit[:SHORT]}", *play.display))


def _alone(context: Context) -> Done[Deployed] | Wait:
    args, _commit, version = _revision(context)
    deployed = run_playbook(context, args.component, version, args.revision)
    return Done(f"version {deployed.version} answers", deployed)


DEPLOY = Procedure(
    "deploy",
    Gate("deploy", "Deploy"),
    take_production_lock,
    Step("run-playbook", "Deployed", _alone, Deployed, preview=_alone_preview),
    open_production,
)


@command("deploy", role="operator", example="!deploy backend 2021.5.0")
def deploy(call: Call, component: Deployable, revision: str = "") -> Outcome:
    """Deploy a component by itself: its production branch, or another branch or tag."""
    title = f"Deploy {component.value} {revision}".strip()
    return call.start(DEPLOY, title, DeployArgs(component.value, revision))
