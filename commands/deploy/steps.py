"""Step 6: backend and frontend. Each moves its own production branch first, runs its playbook, and is then proven."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

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
    listed,
    nearest,
)
from kcibot_commands.deploy.services import LOOK_AGAIN_SECONDS, restart_the_rest, see_worker
from kcibot_commands.deploy.settings import DeploySettings, Playbook, command_preview, configuration_of, deployment
from kcibot_commands.deploy.static import see_static_files
from kcibot_commands.frontend_names import check_views
from kcibot_commands.plan.steps import CONFIGURED, SHORT, ReleaseSettings, plan
from kcibot_commands.playbook_runs import believe, broke_off, mended, play, played
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

__all__ = [
    "DEPLOY",
    "DeployArgs",
    "DeploySettings",
    "Deployable",
    "Deployed",
    "Playbook",
    "command_preview",
    "deploy",
    "deploy_backend",
    "deploy_frontend",
    "run_playbook",
    "wanted_revision",
]


class Deployable(StrEnum):
    BACKEND = "backend"
    FRONTEND = "frontend"


@dataclass(frozen=True)
class Deployed:
    """What runs now: the version that the component itself answers, and the playbooks' commit that put it there.

    `restarted` names the services that the bot restarted, as the playbook had not; `unchecked` says what nobody saw.
    """

    component: str
    version: str
    configuration: str
    restarted: tuple[str, ...] = ()
    unchecked: str = ""

    def __str__(self) -> str:
        said = [f"version {self.version} answers, playbooks at {self.configuration[:SHORT]}"]
        said += [f"{listed(self.restarted)} restarted by me"] if self.restarted else []
        said += [self.unchecked] if self.unchecked else []
        return "; ".join(said)


def run_playbook(context: Context, component: str, version: str, commit: str, configuration: str = "") -> Deployed:
    """Deploy that commit once, then prove that its services were started anew and run it.

    `configuration` is the commit of the playbooks; if it is empty, the plan's, or the newest.
    BrokenOff if the playbook ended in the middle, with what it left; OutcomeUnknown if the old version goes on
    answering. Whether it ran is told by the playbook's own record, which outlives a killed bot: the version alone
    does not say whether everything after it in the playbook was done too.
    """
    playbook, run = deployment(context, component, commit)
    configuration = configuration or context.keep(
        f"configuration {_try(context, component)}", lambda: configuration_of(context, playbook)
    )
    context.ports.git.remote(playbook.repository).checkout(configuration, run.folder)

    def deploy() -> str:
        still_locked(context)
        if playbook.git_head:
            _still_at(context, component, playbook.git_head, commit)
        play(context, component, run, configuration)
        return configuration

    def probe() -> Proof[str]:
        ran = played(context, component)
        return NotHappened() if ran is None else Happened(ran)

    ran = context.effect(f"deploy {component} {version}", deploy, probe, late=timedelta())
    context.remember(CONFIGURED, playbook.repository, ran)
    restarted = _restarted(context, component, playbook, run)
    _wait_for(context, component, version)
    unchecked = (
        see_static_files(context, component, playbook, commit),
        see_worker(context, component, playbook, run),
    )
    return Deployed(component, version, ran, restarted, "; ".join(filter(None, unchecked)))


def _restarted(context: Context, component: str, playbook: Playbook, run: Deployment) -> tuple[str, ...]:
    """The services that did not start anew by themselves; a playbook that broke off before is made good with that."""
    if not playbook.services:
        believe(context, component)
        return ()
    restarted = restart_the_rest(context, component, playbook, run)
    mended(context, component)
    return restarted


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


def _wait_for(context: Context, component: str, version: str) -> None:
    """Give restarted services time to answer. Raises OutcomeUnknown: by now the playbook has had its effect."""
    patience = context.settings(DeploySettings).answers_within
    said = ""
    for left in reversed(range(int(patience.total_seconds() / LOOK_AGAIN_SECONDS) + 1)):
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
    raise OutcomeUnknown(f"the playbook ended well, but {said}. Look at its services, then retry")


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
        return Done(str(deployed), deployed)

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
    warnings: tuple[str, ...] = ()


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
    warnings = check_views(context, args.component, named[wanted])
    return Done(f"{wanted} is version {version}, {named[wanted][:SHORT]}", Wanted(named[wanted], version, warnings))


wanted_revision = Step("revision", "Revision looked up", look_up, Wanted)


def _alone_preview(context: Context) -> Preview:
    component, wanted = context.args(DeployArgs).component, context.result(wanted_revision)
    play = command_preview(context, component, wanted.commit)
    facts = {"commit": wanted.commit, "version": wanted.version, "deploy": play.facts}
    head = f"{component}: version {wanted.version}, commit {wanted.commit[:SHORT]}"
    return Preview(facts, (head, *play.display, *(f"Warning: {warning}" for warning in wanted.warnings)))


def _alone(context: Context) -> Done[Deployed]:
    wanted = context.result(wanted_revision)
    deployed = run_playbook(context, context.args(DeployArgs).component, wanted.version, wanted.commit)
    return Done(str(deployed), deployed)


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
