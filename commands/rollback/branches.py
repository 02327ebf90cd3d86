"""Rollback: what all its parts have in common, and taking a production branch back to where it was before.

A branch goes back by a lease on what the gate showed. One that somebody moved since is theirs: it is left alone, with
everything that belongs to its component, and said.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from kcibot.sdk import (
    Context,
    Done,
    KcibotError,
    Needed,
    PermanentError,
    Preview,
    Step,
    StepKind,
)
from kcibot_commands.plan.steps import MOVED, SHORT, ReleaseSettings
from kcibot_commands.production import move_branch, still_locked
from kcibot_commands.rollback.found import CORE, Move, RollbackArgs, back_id
from kcibot_commands.rules.problem import worded

T = TypeVar("T")
SHOWN_COMMITS = 10
NOT_SEEN = "not seen"


# ---- what a gate shows -----------------------------------------------------------------------------------------


def part(step: Step[T]) -> Step[T]:
    """The same step. If it cannot be looked at while people are asked, that is said, and keeps no other part back.

    What was approved unseen is asked about again as soon as it can be seen, since its facts are others then.
    """

    def needed(context: Context) -> Needed:
        try:
            return step.needed(context)
        except KcibotError:
            if not _asking(context):
                raise
            return Needed(needed=True)

    def preview(context: Context) -> Preview:
        try:
            return step.preview(context)
        except KcibotError as error:
            if not _asking(context):
                raise
            return Preview({NOT_SEEN: True}, (f"cannot be seen now: {error}",))

    return replace(step, needed=needed, preview=preview)


def _asking(context: Context) -> bool:
    return context.run.current is not None and context.run.current.kind is StepKind.GATE


# ---- one branch ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """A production branch as it is: `seen` is the commit that it is at now."""

    component: str
    branch: str
    move: Move
    seen: str

    @property
    def theirs(self) -> bool:
        """Somebody moved it since: it is neither where the run left it nor where it was before."""
        return self.seen not in {self.move.old, *self.move.left}


def standing(context: Context, component: str, heads: Mapping[str, str] | None = None) -> Standing:
    """As the server has it now, or had it when `heads` were its branches."""
    branch = context.settings(ReleaseSettings).component(component).production
    seen = (heads or context.ports.git.remote(component).branches()).get(branch, "")
    return Standing(component, branch, context.args(RollbackArgs).branches[component], seen)


def branch_preview(context: Context, component: str) -> Preview:
    """Where it goes back to, which commits leave production with that, and which of them are nowhere else.

    The facts are the same before and after it was moved, so that a step which broke later can go on.
    """
    git = context.ports.git.remote(component)
    heads = git.branches()
    git.fetch()  # after the branches were asked for, so that the mirror has what they name
    now = standing(context, component, heads)
    facts: dict[str, object] = {"branch": now.branch, "old": now.move.old, "left": list(now.move.left)}
    if now.theirs:
        facts["seen"] = now.seen
        return Preview(facts, (f"{component}: {_left_alone(now)}",))
    if now.seen == now.move.old:
        return Preview(facts, (f"{component}: {now.branch} is at {now.seen[:SHORT]} already",))
    return Preview(facts, (f"{component}: {now.branch} {_arrow(now)}", *_leaving(context, now, heads)))


def _leaving(context: Context, now: Standing, heads: Mapping[str, str]) -> list[str]:
    git = context.ports.git.remote(now.component)
    development = heads.get(context.settings(ReleaseSettings).component(now.component).development, "")
    gone = git.log(now.move.old, now.seen)
    alone = {one.commit.sha for one in git.lost(now.seen, development) if not one.twin} if development else set()
    shown = [commit for commit in gone if commit.sha in alone] + [commit for commit in gone if commit.sha not in alone]
    lines = [f"  {worded(len(gone), 'commit')} out of production"]
    for commit in shown[:SHOWN_COMMITS]:
        nowhere = ", NOT on the development branch" if commit.sha in alone else ""
        lines.append(f"    {commit.sha[:SHORT]} {commit.subject}{nowhere}")
    more = len(shown) - SHOWN_COMMITS
    return [*lines, f"    and {more} more"] if more > 0 else lines


def branch_back(context: Context, component: str) -> Standing:
    """Move it back and read it back, unless it is theirs. After that no unfinished release has moved it."""
    branch, seen = context.keep(f"{component} seen", lambda: _look(context, component))
    now = Standing(component, branch, context.args(RollbackArgs).branches[component], seen)
    if now.theirs:
        return now
    move = now.move
    leased = move.left[0] if seen == move.old else seen
    still_locked(context)
    try:
        move_branch(context, component, branch, leased, move.old, key=f"push {component} {branch} back")
    except PermanentError as error:
        if standing(context, component).seen != leased:
            raise
        raise PermanentError(f"{error} {_otherwise(context, component)}") from error
    if context.recall(MOVED).get(component) == move.old:
        context.forget(MOVED, component)
    return now


def _look(context: Context, component: str) -> list[str]:
    now = standing(context, component)
    return [now.branch, now.seen]


def _otherwise(context: Context, component: str) -> str:
    """What people can do where the server refuses, as it does for a branch that is protected against going back."""
    return (
        f"If {component}'s server lets no branch go back: lift its protection and say !release retry --run "
        f"{context.run.id}, or revert by a commit and say !release skip {back_id(component)} REASON --run "
        f"{context.run.id}"
    )


def _arrow(now: Standing) -> str:
    return f"{now.seen[:SHORT]} -> {now.move.old[:SHORT]}"


def left_alone(now: Standing) -> str:
    """`core's kernelci.org was moved to 1a2b3c4d5e by somebody since: left alone`."""
    return f"{now.component}: {_left_alone(now)}"


def _left_alone(now: Standing) -> str:
    where = f"is at {now.seen[:SHORT]}" if now.seen else "is gone"
    return f"{now.branch} {where}, and the run left it at {now.move.left[0][:SHORT]}: somebody moved it, left alone"


def branch_needed(component: str) -> Callable[[Context], Needed]:
    """Decided by what the run did: a look would settle the step before people hear what became of the branch."""

    def needed(context: Context) -> Needed:
        there = component in context.args(RollbackArgs).branches
        return Needed(there, "" if there else f"{component} was not moved")

    return needed


# ---- a component that is nothing but its branch -----------------------------------------------------------------


def core(context: Context) -> Done[None]:
    now = branch_back(context, CORE)
    return Done(left_alone(now) if now.theirs else _arrow(now), None)


core_back = part(
    Step(
        back_id(CORE),
        "Core's production branch back",
        core,
        type(None),
        needed=branch_needed(CORE),
        preview=lambda context: branch_preview(context, CORE),
    )
)
