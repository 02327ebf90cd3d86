"""Rollback: backend and frontend at the version before, by the playbooks that had deployed it."""

from dataclasses import dataclass

from kcibot.sdk import Context, Done, PermanentError, Preview, Step
from kcibot_commands.deploy.settings import command_preview
from kcibot_commands.deploy.steps import Deployable, run_playbook
from kcibot_commands.plan.steps import SHORT, ReleaseSettings
from kcibot_commands.rollback.branches import (
    branch_back,
    branch_needed,
    branch_preview,
    left_alone,
    part,
    standing,
)
from kcibot_commands.rollback.found import RollbackArgs, back_id
from kcibot_commands.rules import versions
from kcibot_commands.rules.problem import RuleError


@dataclass(frozen=True)
class Returned:
    """What runs again, and the playbooks' commit that put it there; both empty if it was left alone."""

    component: str
    version: str = ""
    configuration: str = ""


def version_before(context: Context, component: str) -> str:
    """The version that production is to run again. Raises PermanentError if its file cannot be read."""
    path = context.settings(ReleaseSettings).component(component).version_file
    old = context.args(RollbackArgs).branches[component].old
    try:
        return versions.read_version(context.ports.git.remote(component).read(old, path))
    except RuleError as error:
        raise PermanentError(f"{component} at {old[:SHORT]}, {path}: {error}") from error


def playbooks_before(context: Context, component: str, version: str) -> str:
    """The commit of the playbooks that had deployed that version; empty if none is known."""
    known = context.args(RollbackArgs).playbooks.get(component)
    return known.configuration if known and known.version == version else ""


def deployment_preview(context: Context, component: str) -> Preview:
    moved = branch_preview(context, component)
    if standing(context, component).theirs:
        return moved
    version, old = version_before(context, component), context.args(RollbackArgs).branches[component].old
    known = playbooks_before(context, component, version)
    play = command_preview(context, component, old, known)
    whose = f"which had deployed {version}" if known else f"as they are now: what had deployed {version} is not known"
    facts = {"branch": moved.facts, "version": version, "deploy": play.facts}
    return Preview(facts, (*moved.display, f"{component}: version {version} again", *play.display, f"  {whose}"))


def deployment_back(context: Context, component: str) -> Done[Returned]:
    """The branch first, since a playbook may check out by its name; then the playbook, and the proof that it ran."""
    moved = branch_back(context, component)
    if moved.theirs:
        return Done(left_alone(moved), Returned(component))
    version = version_before(context, component)
    known = playbooks_before(context, component, version)
    deployed = run_playbook(context, component, version, moved.move.old, known)
    return Done(str(deployed), Returned(component, deployed.version, deployed.configuration))


def back_step(component: str) -> Step[Returned]:
    """The step that takes that component's branch and deployment back."""
    return part(
        Step(
            back_id(component),
            f"{component.capitalize()} back",
            lambda context: deployment_back(context, component),
            Returned,
            needed=branch_needed(component),
            preview=lambda context: deployment_preview(context, component),
        )
    )


backend_back = back_step(Deployable.BACKEND.value)
frontend_back = back_step(Deployable.FRONTEND.value)
