"""Going back: the production branches, deployments, images and job definitions of the last release, as they were."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from kcibot.sdk import (
    ACTED,
    Call,
    Context,
    Done,
    Gate,
    Happened,
    NotHappened,
    Outcome,
    Preview,
    Procedure,
    Proof,
    RefUpdate,
    Run,
    Step,
    StepState,
    UserError,
    Wait,
    command,
    listed,
)
from kcibot_commands.deploy import DeploySettings, command_preview, deploy_backend, deploy_frontend, run_playbook
from kcibot_commands.images import DIGESTS
from kcibot_commands.jobs import apply_job_definitions, old_definitions, write_back
from kcibot_commands.plan import SHORT, Part, Plan, ReleaseSettings, plan
from kcibot_commands.production import (
    LOCK,
    PRODUCTION,
    open_production,
    push_core,
    take_lock,
    take_production_lock,
)
from kcibot_commands.rules import versions
from kcibot_commands.rules.problem import worded

MOVERS = {
    "core": push_core.id,
    "backend": deploy_backend.id,
    "frontend": deploy_frontend.id,
    "jenkins": apply_job_definitions.id,
}
"""Which step moved which component's production branch."""


@dataclass(frozen=True)
class Move:
    """A production branch that the release moved from `old` to `new`."""

    old: str
    new: str


@dataclass(frozen=True)
class RollbackArgs:
    """What a release did, as far as it can be undone. `images` maps a name to its digest before."""

    run: int
    title: str
    branches: Mapping[str, Move] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)


# ---- the lock --------------------------------------------------------------------------------------------------


def take_over_lock(context: Context) -> Done[None] | Wait:
    """Take the lock over from the release that is rolled back: it has ended, with production not in order."""
    standing = context.recall(LOCK).get(PRODUCTION)
    if isinstance(standing, dict) and standing.get("run") == context.args(RollbackArgs).run:
        context.forget(LOCK, PRODUCTION)
    return take_lock(context)


# ---- branches --------------------------------------------------------------------------------------------------


def branches_preview(context: Context) -> Preview:
    moves = context.args(RollbackArgs).branches
    facts = {name: {"old": move.old, "new": move.new} for name, move in moves.items()}
    lines = tuple(f"{name}: {move.new[:SHORT]} back to {move.old[:SHORT]}" for name, move in moves.items())
    return Preview(facts, lines)


def branches_back(context: Context) -> Done[None]:
    """Each by a lease on what the release left there: what others pushed since is not undone."""
    moves = context.args(RollbackArgs).branches
    for name, move in moves.items():
        _push_back(context, name, move)
    return Done(listed(list(moves)), None)


def _push_back(context: Context, name: str, move: Move) -> None:
    git = context.ports.git.remote(name)
    git.fetch()
    branch = context.settings(ReleaseSettings).components[name].production

    def probe() -> Proof[str]:
        return Happened(move.old) if git.branches().get(branch) == move.old else NotHappened()

    def push() -> str:
        if git.branches().get(branch) != move.old:
            git.push([RefUpdate(f"refs/heads/{branch}", move.old, move.new)])
        return move.old

    context.effect(f"push {name} {branch} back", push, probe)


# ---- deployments -----------------------------------------------------------------------------------------------


def _deployed(context: Context) -> list[str]:
    playbooks = context.settings(DeploySettings).playbooks
    return [name for name in context.args(RollbackArgs).branches if name in playbooks]


def _before(context: Context, name: str) -> tuple[str, str]:
    """The version and the commit that production is to run again."""
    component = context.settings(ReleaseSettings).components[name]
    old = context.args(RollbackArgs).branches[name].old
    return versions.read_version(context.ports.git.remote(name).read(old, component.version_file)), old


def deployments_preview(context: Context) -> Preview:
    facts, lines = {}, []
    for name in _deployed(context):
        version, commit = _before(context, name)
        play = command_preview(context, name, commit)
        facts[name] = {"version": version, **play.facts}
        lines += [f"{name}: version {version}", *play.display]
    return Preview(facts, tuple(lines))


def deployments_back(context: Context) -> Done[None]:
    deployed = [run_playbook(context, name, *_before(context, name)) for name in _deployed(context)]
    return Done(listed([f"{one.component} {one.version}" for one in deployed]) or "nothing was deployed", None)


# ---- images ----------------------------------------------------------------------------------------------------


def images_preview(context: Context) -> Preview:
    digests = {name: digest for name, digest in context.args(RollbackArgs).images.items() if digest}
    return Preview(digests, tuple(f"{name}: {digest[7 : 7 + SHORT]} again" for name, digest in digests.items()))


def images_back(context: Context) -> Done[None]:
    """An image that the release made anew has nothing to go back to, and is left alone."""
    digests = {name: digest for name, digest in context.args(RollbackArgs).images.items() if digest}
    for name, digest in digests.items():
        _retag(context, name, digest)
    return Done(worded(len(digests), "image"), None)


def _retag(context: Context, name: str, digest: str) -> None:
    images = context.ports.images

    def probe() -> Proof[str]:
        return Happened(digest) if images.digest(name) == digest else NotHappened()

    def retag() -> str:
        images.retag(name, digest)
        return digest

    context.effect(f"tag {name} back", retag, probe)


# ---- job definitions -------------------------------------------------------------------------------------------


def definitions_preview(context: Context) -> Preview:
    found = old_definitions(context, context.args(RollbackArgs).run)
    return Preview({"jobs": sorted(found)}, tuple(f"{job}: its definition before the release" for job in sorted(found)))


def definitions_back(context: Context) -> Done[None]:
    found = old_definitions(context, context.args(RollbackArgs).run)
    for job, xml in sorted(found.items()):
        write_back(context, job, xml)
    return Done(worded(len(found), "definition"), None)


ROLLBACK = Procedure(
    "rollback",
    Gate("rollback", "Roll production back"),
    Step(take_production_lock.id, take_production_lock.title, take_over_lock, type(None), limit=timedelta(days=2)),
    Step("branches-back", "Production branches back", branches_back, type(None), preview=branches_preview),
    Step("definitions-back", "Job definitions back", definitions_back, type(None), preview=definitions_preview),
    Step("deployments-back", "Deployments back", deployments_back, type(None), preview=deployments_preview),
    Step("images-back", "Images back", images_back, type(None), preview=images_preview),
    open_production,
)


@command("release rollback", role="operator")
def release_rollback(call: Call) -> Outcome:
    """Undo what the last release did to production, as far as it can be undone; the monitor stays as it is."""
    for run in call.world.journal.runs(50):
        if run.procedure == "release" and run.step(plan.id).value is not None:
            if not run.ended:
                raise UserError(f"{run.title} is under way: !release abort REASON ends it, then it can be rolled back")
            args = _undoable(call, run)
            if args.branches or args.images:
                return call.start(ROLLBACK, f"Rollback of {run.title}", args)
            raise UserError(f"{run.title} has not changed production, so there is nothing to roll back")
    raise UserError("there is no release to roll back")


def _undoable(call: Call, run: Run) -> RollbackArgs:
    codec = call.world.journal.codec
    frozen = codec.load(Plan, run.step(plan.id).value)
    moved = [part for part in frozen.parts.values() if _moved(call, run, part)]
    branches = {part.component: Move(part.base or part.production, part.release) for part in moved}
    return RollbackArgs(run.id, run.title, branches, _replaced(call.world.journal.recall(DIGESTS).get(str(run.id))))


def _moved(call: Call, run: Run, part: Part) -> bool:
    """Whether its branch was, or may have been, moved: also by a step that broke later or was skipped after that."""
    if part.release == (part.base or part.production):
        return False
    if part.base and part.base != part.production:
        return True  # an earlier revision moved it
    step = next((step for step in run.steps if step.id == MOVERS.get(part.component)), None)
    if step is None or step.state is StepState.DONE:
        return step is not None
    effects = call.world.journal.effects(run.id, step.id, step.round)
    pushes = [effect for key, effect in effects.items() if key.startswith(f"push {part.component} ")]
    return any(effect.state in ACTED for effect in pushes)


def _replaced(recorded: object) -> Mapping[str, str]:
    """Image -> digest before the release, of every image that it pushed, also if it did not push them all."""
    before = recorded.get("before") if isinstance(recorded, dict) else None
    return {str(name): str(digest) for name, digest in before.items()} if isinstance(before, dict) else {}
