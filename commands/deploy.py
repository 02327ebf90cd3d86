"""Step 6: backend and frontend. Each moves its own production branch first, runs its playbook, and is then proven."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from kcibot.sdk import (
    Call,
    Context,
    Deployment,
    Done,
    Gate,
    Happened,
    KcibotError,
    Needed,
    NotHappened,
    Outcome,
    OutcomeUnknown,
    PermanentError,
    Preview,
    Procedure,
    Proof,
    Step,
    TransientError,
    command,
    nearest,
)
from kcibot_commands.plan import SHORT, ReleaseSettings, plan
from kcibot_commands.playbook_runs import believe, broke_off, play, played
from kcibot_commands.production import (
    open_production,
    push_asks,
    push_branch,
    push_needed,
    push_preview,
    still_locked,
    take_production_lock,
)
from kcibot_commands.rules import versions
from kcibot_commands.rules.problem import RuleError

LOOK_AGAIN_SECONDS = 2.0


class Deployable(StrEnum):
    BACKEND = "backend"
    FRONTEND = "frontend"


@dataclass(frozen=True)
class Playbook:
    """How one component is deployed, in the words of `ansible-playbook`'s options.

    `git_head` is the name under which the playbook checks out the component; empty means the approved commit itself.
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
    """Which playbook deploys which component, and whose worker queue is checked afterwards (empty: nobody's).

    `answers_within` is how long a component may take after its playbook until it answers the new version.
    """

    section: ClassVar[str] = "deploy"
    playbooks: Mapping[str, Playbook] = field(default_factory=default_playbooks)
    queue_of: str = ""
    answers_within: timedelta = timedelta(minutes=1)


@dataclass(frozen=True)
class Deployed:
    """What runs now: the version that the component itself answers, and the playbooks' commit that put it there."""

    component: str
    version: str
    configuration: str


def deployment(context: Context, component: str, commit: str) -> tuple[Playbook, Deployment]:
    """The playbook's run, its folder still empty of a checkout."""
    playbook = context.settings(DeploySettings).playbooks.get(component)
    if playbook is None:
        raise PermanentError(f"no playbook is configured for {component} under deploy.playbooks")
    return playbook, Deployment(
        folder=context.folder("playbooks"),
        playbook=playbook.playbook,
        inventory=playbook.inventory,
        limit=playbook.limit,
        tags=playbook.tags,
        skip_tags=playbook.skip_tags,
        extra_vars={"git_head": playbook.git_head or commit},
        become=playbook.become,
        ask_become_pass=playbook.ask_become_pass,
        private_key=playbook.private_key,
    )


def command_preview(context: Context, component: str, commit: str) -> Preview:
    """The exact command line that deploys that commit, and the commit of the playbooks."""
    playbook, run = deployment(context, component, commit)
    argv = context.ports.deployer.command(run)
    configuration = _configuration(context, playbook)
    shown = (f"{component}: {' '.join(argv)}", f"  with {playbook.repository} at {configuration[:SHORT]}")
    return Preview({"argv": list(argv), "configuration": configuration}, shown)


def run_playbook(context: Context, component: str, version: str, commit: str) -> Deployed:
    """Deploy that commit once, then prove that the component runs its version and its worker takes tasks.

    BrokenOff if the playbook ended in the middle, with what it left; OutcomeUnknown if the old version goes on
    answering. Whether it ran is told by the playbook's own record, which outlives a killed bot: the version alone
    does not say whether everything after it in the playbook was done too.
    """
    playbook, run = deployment(context, component, commit)
    configuration = context.keep(f"configuration {_try(context, component)}", lambda: _configuration(context, playbook))
    context.ports.git.remote(playbook.repository).checkout(configuration, run.folder)
    patience = [context.settings(DeploySettings).answers_within]

    def wait() -> None:
        """The second time nobody waits, only looks."""
        _wait_for(context, component, version, patience.pop() if patience else timedelta())

    def deploy() -> str:
        still_locked(context)
        if playbook.git_head:
            _still_at(context, component, playbook.git_head, commit)
        believe(context, component, play(context, component, run, configuration))
        wait()
        return configuration

    def probe() -> Proof[str]:
        ran = played(context, component)
        if ran is None:
            return NotHappened()
        wait()
        return Happened(ran)

    ran = context.effect(f"deploy {component} {version}", deploy, probe, late=timedelta())
    _prove(context, component, version)
    return Deployed(component, version, ran)


def _still_at(context: Context, component: str, name: str, commit: str) -> None:
    """The playbook checks out by name, and somebody may have moved that name since the approval."""
    there = _named(context, component).get(name, "nothing")
    if there != commit:
        raise PermanentError(f"{component} {name} is at {there[:SHORT]}, and {commit[:SHORT]} is to be deployed")


def _named(context: Context, component: str) -> Mapping[str, str]:
    """Every branch and tag of the component's server, with its commit now."""
    git = context.ports.git.remote(component)
    return {**{tag.name: tag.target for tag in git.tags()}, **git.branches()}


def _try(context: Context, component: str) -> str:
    """Names this try of the step: when people try it again, the playbooks are looked at anew, as they were approved."""
    current = context.run.current
    began = current.started_at if current else None
    return f"of {component}, begun {began.isoformat() if began else 'now'}"


def _wait_for(context: Context, component: str, version: str, patience: timedelta) -> None:
    """Give restarted services time to answer. Raises OutcomeUnknown: by now the playbook has had its effect."""
    tries = int(patience.total_seconds() / LOOK_AGAIN_SECONDS) + 1
    said = ""
    for left in reversed(range(tries)):
        try:
            running = context.ports.results.version(component)
            said = f"{component} answers version {running} instead of {version}"
        except TransientError as error:
            running, said = "", str(error)
        except KcibotError as error:
            raise OutcomeUnknown(f"the playbook ended well, but {error}") from error
        if running == version:
            return
        context.report(f"{said}, looking again")
        if left and context.cancellation.wait(LOOK_AGAIN_SECONDS):
            break
    raise OutcomeUnknown(
        f"the playbook ended well, but {said}. One that was cut off before leaves nothing to restart for the next: "
        f"restart {component}'s services by hand, then retry"
    )


def _prove(context: Context, component: str, version: str) -> None:
    running = context.ports.results.version(component)
    if running != version:
        raise OutcomeUnknown(f"the playbook ended well, but {component} answers version {running} instead of {version}")
    if component == context.settings(DeploySettings).queue_of and not context.ports.results.queue_alive():
        raise OutcomeUnknown(
            f"{component} {version} runs, but its worker does not take tasks: celery may hang. Restart it, then retry"
        )


def _configuration(context: Context, playbook: Playbook) -> str:
    git = context.ports.git.remote(playbook.repository)
    branches = git.branches()
    if playbook.branch not in branches:
        raise PermanentError(f"{playbook.repository} has no branch {playbook.branch}")
    git.fetch()
    return branches[playbook.branch]


# ---- in a release ----------------------------------------------------------------------------------------------


def deploy_step(component: str) -> Step[Deployed]:
    """The step that moves the component's production branch and deploys it."""

    def needed(context: Context) -> Needed:
        """Also when the branch was moved before, by hand or by an earlier revision, and the old version still runs."""
        pushing, part = push_needed(context, component), context.result(plan).part(component)
        if pushing.needed:
            return pushing
        if broke_off(context, component):
            return Needed(needed=True, why=f"{pushing.why}, but its last playbook broke off")
        running = context.ports.results.version(component)
        if running == part.version:
            return Needed(needed=False, why=f"{pushing.why}, and version {running} answers")
        return Needed(needed=True, why=f"production is to run {part.version}, but {running} answers")

    def preview(context: Context) -> Preview:
        release = context.result(plan).part(component).release
        push, play = push_preview(context, component), command_preview(context, component, release)
        return Preview({"push": push.facts, "deploy": play.facts}, (*push.display, *play.display))

    def run(context: Context) -> Done[Deployed]:
        push_branch(context, component)
        part = context.result(plan).part(component)
        deployed = run_playbook(context, component, part.version, part.release)
        return Done(f"version {deployed.version} answers", deployed)

    return Step(
        f"deploy-{component}",
        f"{component.capitalize()} deployed",
        run,
        Deployed,
        needed=needed,
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


@dataclass(frozen=True)
class Wanted:
    """What was asked for: the commit that the branch or tag named on the server, and the version in its file."""

    commit: str
    version: str


def look_up(context: Context) -> Done[Wanted]:
    """From here on it is that commit, wherever the branch moves."""
    args = context.args(DeployArgs)
    component = context.settings(ReleaseSettings).component(args.component)
    git = context.ports.git.remote(args.component)
    wanted = args.revision or component.production
    named = _named(context, args.component)
    if wanted not in named:
        near = nearest(wanted, named)
        hint = f". Did you mean {near}?" if near else ""
        raise PermanentError(f"{args.component} has no branch or tag {wanted}{hint}")
    git.fetch()
    try:
        version = versions.read_version(git.read(named[wanted], component.version_file))
    except RuleError as error:
        raise PermanentError(f"{args.component} {wanted}, {component.version_file}: {error}") from error
    return Done(f"{wanted} is version {version}, {named[wanted][:SHORT]}", Wanted(named[wanted], version))


wanted_revision = Step("revision", "Revision looked up", look_up, Wanted)


def _alone_preview(context: Context) -> Preview:
    component, wanted = context.args(DeployArgs).component, context.result(wanted_revision)
    play = command_preview(context, component, wanted.commit)
    facts = {"commit": wanted.commit, "version": wanted.version, "deploy": play.facts}
    return Preview(facts, (f"{component}: version {wanted.version}, commit {wanted.commit[:SHORT]}", *play.display))


def _alone(context: Context) -> Done[Deployed]:
    wanted = context.result(wanted_revision)
    deployed = run_playbook(context, context.args(DeployArgs).component, wanted.version, wanted.commit)
    return Done(f"version {deployed.version} answers", deployed)


DEPLOY = Procedure(
    "deploy",
    wanted_revision,
    Gate("deploy", "Deploy"),
    take_production_lock,
    Step("run-playbook", "Deployed", _alone, Deployed, preview=_alone_preview, after=(wanted_revision,)),
    open_production,
)


@command("deploy", role="operator", example="!deploy backend 2021.5.0")
def deploy(call: Call, component: Deployable, revision: str = "") -> Outcome:
    """Deploy a component by itself: its production branch, or another branch or tag."""
    title = f"Deploy {component.value} {revision}".strip()
    return call.start(DEPLOY, title, DeployArgs(component.value, revision))
