"""Step 4: pushing exactly the frozen commit to a production branch, by a lease, and reading it back."""

from collections.abc import Callable
from dataclasses import dataclass

from kcibot.sdk import (
    Context,
    Done,
    GateRequest,
    GitRemote,
    Happened,
    LostCommit,
    Needed,
    NotHappened,
    OutcomeUnknown,
    PermanentError,
    Preview,
    Proof,
    RefUpdate,
    Step,
    StepState,
    TransientError,
)
from kcibot_commands.locks import (
    LOCK,
    PRODUCTION,
    open_production,
    still_locked,
    take_lock,
    take_lock_from,
    take_production_lock,
)
from kcibot_commands.plan.steps import MOVED, SHORT, TAGGING, Part, ReleaseSettings, plan

__all__ = [
    "LOCK",
    "PRODUCTION",
    "Pushed",
    "move_branch",
    "open_production",
    "push_asks",
    "push_branch",
    "push_core",
    "push_needed",
    "push_preview",
    "still_locked",
    "take_lock",
    "take_lock_from",
    "take_production_lock",
]


@dataclass(frozen=True)
class Pushed:
    """A production branch was at `old` and is at `new`."""

    component: str
    old: str
    new: str


def push_needed(context: Context, component: str) -> Needed:
    part = context.result(plan).part(component)
    return Needed(part.changed, "" if part.changed else f"{component} unchanged since {part.previous}")


def push_preview(context: Context, component: str) -> Preview:
    """Old and new commit of the production branch.

    Raises PermanentError if somebody moved the branch, or the release's tag, since the plan was frozen.
    """
    part, branch = context.result(plan).part(component), _branch(context, component)
    now = context.ports.git.remote(component).branches().get(branch, "")
    if now not in {part.production, part.release}:
        raise PermanentError(f"{_moved_by_others(component, branch, part.production, now)}. {AMEND}")
    _check_tag(context, part)
    facts = {"repository": component, "branch": branch, "old": part.production, "new": part.release}
    tag = f" ({part.tag})" if part.tag else ""
    lost = [f"  loses {line}" for line in part.lost]
    move = f"{part.production[:SHORT]} -> {part.release[:SHORT]}{tag}"
    done = ", which is there already" if now == part.release else ""
    return Preview(facts, (f"{component}: {branch} {move}{done}", *lost))


def push_asks(context: Context, component: str) -> GateRequest | None:
    """A push that loses commits has a gate of its own."""
    part = context.result(plan).part(component)
    lost = context.ports.git.remote(component).lost(part.production, part.release) if part.changed else ()
    if not lost:
        return None
    lines = tuple(_lost_line(one) for one in lost)
    facts = {"old": part.production, "new": part.release, "lost": [one.commit.sha for one in lost]}
    title = f"Force {component}'s production branch"
    return GateRequest("force", title, Preview(facts, (f"{component}: these commits would be lost:", *lines)))


def _lost_line(lost: LostCommit) -> str:
    twin = f"twin {lost.twin[:SHORT]} on the development branch" if lost.twin else "NOT on the development branch"
    return f"{lost.commit.sha[:SHORT]} {lost.commit.subject} ({twin})"


def push_branch(context: Context, component: str) -> Pushed:
    """Set the production branch to the frozen commit, provided that it is where the plan saw it; then read it back.

    A branch that is there already is left alone. Raises PermanentError, and pushes nothing, if somebody moved it, or
    if the release's tag is not on the frozen commit.
    """
    part, branch = context.result(plan).part(component), _branch(context, component)

    def push(git: GitRemote, update: RefUpdate) -> None:
        _check_tag(context, part)
        _push_remembered(context, part, git, update)

    move = _Move(component, branch, part.production, part.release, push, AMEND)
    _make(context, move, f"push {component} {branch}")
    return Pushed(component, part.production, part.release)


def move_branch(context: Context, component: str, branch: str, old: str, new: str, *, key: str) -> None:
    """Set that branch from `old` to `new` by a lease, while this run has production locked, and read it back.

    Backwards too. A branch that is at `new` already is left alone. Raises PermanentError, and pushes nothing, if it is
    anywhere else or if the server refuses; OutcomeUnknown if the server then shows something else. `key` names the
    effect, and is unique in the step.
    """

    def push(git: GitRemote, update: RefUpdate) -> None:
        git.push([update])

    _make(context, _Move(component, branch, old, new, push), key)


# ---- moving a branch -------------------------------------------------------------------------------------------

AMEND = "!release amend plans anew with what is there"


@dataclass(frozen=True)
class _Move:
    """A branch that is to go from `old` to `new`. `advice` is what people can do if somebody else moved it."""

    component: str
    branch: str
    old: str
    new: str
    push: Callable[[GitRemote, RefUpdate], None]
    advice: str = ""

    @property
    def update(self) -> RefUpdate:
        return RefUpdate(f"refs/heads/{self.branch}", self.new, self.old or None)

    def by_others(self, now: str) -> str:
        said = _moved_by_others(self.component, self.branch, self.old, now)
        return f"{said}. {self.advice}" if self.advice else said


def _make(context: Context, move: _Move, key: str) -> None:
    git = context.ports.git.remote(move.component)

    def act() -> str:
        still_locked(context)
        now = git.branches().get(move.branch, "")
        if now not in {move.old, move.new}:
            raise PermanentError(move.by_others(now))
        if now != move.new:
            move.push(git, move.update)
        return move.new

    context.effect(key, act, lambda: _proof(git, move))
    _read_back(git, move)


def _proof(git: GitRemote, move: _Move) -> Proof[str]:
    """Whether a push that was begun has arrived. One that others have built upon has; elsewhere nobody can tell."""
    now = git.branches().get(move.branch, "")
    if now in {move.old, move.new}:
        return Happened(move.new) if now == move.new else NotHappened()
    if _built_upon(git, move, now):
        return Happened(move.new)
    raise OutcomeUnknown(
        f"{move.component}'s {move.branch} is {_place(now)}, neither {_place(move.old)} nor {_place(move.new)}: "
        "others moved it before or after the push"
    )


def _built_upon(git: GitRemote, move: _Move, now: str) -> bool:
    """Whether the branch has the new commit under others' work, and could not have it from the old one."""
    if not now:
        return False
    git.fetch()
    try:
        news = not move.old or bool(git.lost(move.new, move.old))
        return news and not git.lost(move.new, now)
    except PermanentError:
        return False  # the server's branch has moved on since the look, or the mirror never had the old commit


def _read_back(git: GitRemote, move: _Move) -> None:
    seen = git.branches().get(move.branch, "")
    if seen == move.new:
        return
    what = f"{move.component}'s {move.branch} was pushed to {move.new[:SHORT]}"
    if _built_upon(git, move, seen):
        raise OutcomeUnknown(f"{what}, and somebody has pushed {seen[:SHORT]} on top of it: look at the repository")
    raise OutcomeUnknown(f"{what}, but the server shows {_place(seen)}: look at the repository")


def _push_remembered(context: Context, part: Part, git: GitRemote, update: RefUpdate) -> None:
    """Push, and remember where the branch was; a push that was refused leaves nothing to be remembered."""
    earlier = context.recall(MOVED).get(part.component)
    context.claim(MOVED, part.component, part.production)
    try:
        git.push([update])
    except (TransientError, PermanentError):
        if earlier is None:
            context.forget(MOVED, part.component)
        raise


def _check_tag(context: Context, part: Part) -> None:
    """What goes to production is what its tag names. A run that made no tags has none to look at."""
    made = any(step.id == TAGGING and step.state is StepState.DONE for step in context.run.steps)
    if not part.tag or not (made or part.tagged):
        return
    tags = {tag.name: tag.target for tag in context.ports.git.remote(part.component).tags()}
    there = tags.get(part.tag, "")
    if there != part.release:
        raise PermanentError(
            f"{part.component}'s tag {part.tag} is {_place(there)}, and not on the frozen commit "
            f"{part.release[:SHORT]}: somebody changed it, and nothing was pushed. {AMEND}"
        )


def _moved_by_others(component: str, branch: str, old: str, now: str) -> str:
    return (
        f"{component}'s {branch} is {_place(now)}, though it was seen {_place(old)}: somebody moved it, and nothing "
        "was pushed"
    )


def _place(commit: str) -> str:
    return f"at {commit[:SHORT]}" if commit else "not there"


# ---- the step --------------------------------------------------------------------------------------------------


def _branch(context: Context, component: str) -> str:
    return context.settings(ReleaseSettings).component(component).production


def push_step(component: str) -> Step[Pushed]:
    """The step that moves that component's production branch."""

    def run(context: Context) -> Done[Pushed]:
        pushed = push_branch(context, component)
        return Done(f"{pushed.old[:SHORT]} -> {pushed.new[:SHORT]}", pushed)

    return Step(
        f"push-{component}",
        f"{component.capitalize()} production branch",
        run,
        Pushed,
        needed=lambda context: push_needed(context, component),
        preview=lambda context: push_preview(context, component),
        asks=lambda context: push_asks(context, component),
        after=(plan, take_production_lock),
    )


push_core = push_step("core")
