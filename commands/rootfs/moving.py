"""Step 8, second half: the URLs of what was built are moved, by one commit, approved by its id and its diff."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypedDict

from kcibot.sdk import (
    Context,
    Done,
    Gate,
    GateRequest,
    GitRemote,
    Level,
    Needed,
    Notice,
    PermanentError,
    Preview,
    Run,
    Step,
    StepKind,
    TransientError,
    digest,
    listed,
)
from kcibot_commands.plan.steps import SHORT, ReleaseSettings, plan
from kcibot_commands.rootfs.builds import RootfsBuild, build_rootfs
from kcibot_commands.rootfs.inside import remember_moved
from kcibot_commands.rootfs.orders import development_head
from kcibot_commands.rootfs.push import Planned, Target, built_here, decided, planned, pushed, seen_now, there
from kcibot_commands.rootfs.settings import CommitTo, RootfsSettings
from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.rootfs_moves import Kept

ROOTFS_GATE = Gate("rootfs", "Root file systems: new URLs, and reports of what failed")


@dataclass(frozen=True)
class Pull:
    """A request to merge `branch` into `base`."""

    branch: str
    base: str
    title: str
    text: str


@dataclass(frozen=True)
class UpdatedUrls:
    """Name -> new version, the commit that says so and the branch it is on, and the names that kept theirs.

    `pull` is what is to be asked of the people who review, if they are asked by an API.
    """

    commit: str
    moved: Mapping[str, str]
    kept: tuple[str, ...]
    branch: str = ""
    pull: Pull | None = None


# ---- the step --------------------------------------------------------------------------------------------------


def update_needed(context: Context) -> Needed:
    built = built_here(context)
    if built is None:
        return Needed(needed=False, why="no root file systems were built here")
    git = context.ports.git.remote(context.settings(RootfsSettings).component)
    git.fetch()
    _text, found = decided(context, built, development_head(context))
    if found.moves:
        return Needed(needed=True)
    return Needed(needed=False, why=f"no URL moves: {'; '.join(found.notes) or 'the file has these versions already'}")


def update_preview(context: Context) -> Preview:
    """Without facts where the step asks for itself: they are the facts of that asking."""
    shown = _shown(context)
    return Preview(shown.facts if gated(context.run) else {}, shown.display)


def update_asks(context: Context) -> GateRequest | None:
    """Inside a release there is no gate before it, since nothing is known of the builds when the gates are asked."""
    if gated(context.run):
        return None
    return GateRequest(ROOTFS_GATE.id, ROOTFS_GATE.title, _shown(context))


def gated(run: Run) -> bool:
    """Whether the gate stands in the run's list; else the steps that it covers ask for themselves."""
    return any(step.id == ROOTFS_GATE.id and step.kind is StepKind.GATE for step in run.steps)


def _shown(context: Context) -> Preview:
    built = built_here(context)
    push = planned(context, built) if built else None
    if push is None or built is None:
        return Preview()
    facts: dict[str, object] = {
        "commit": push.commit,
        "diff": digest(push.diff),
        "moves": dict(push.decision.moves),
        "targets": list(push.targets),
        "staging": push.staging,
    }
    pull = _pull(context, _described(push, built))
    if pull:
        facts["pull request"] = {"branch": pull.branch, "base": pull.base, "title": pull.title}
    review = (f"open a pull request of {pull.branch} into {pull.base}",) if pull else ()
    return Preview(facts, (*_lines(push), *review, *push.diff.rstrip("\n").split("\n")))


def _lines(push: Planned) -> tuple[str, ...]:
    """The pushes, what staging gets, and who keeps what; the diff comes after it."""
    lines = [push.subject]
    for target in push.targets:
        old = target["old"][:SHORT] or "nothing"
        lines.append(f"push {target['branch']}: {old} -> {target['new'][:SHORT]}")
    if push.staging:
        lines.append(push.staging)
    lines.append(f"all {worded(push.decision.files, 'file')} asked for are there")
    return (*lines, *push.decision.notes)


class _Push(TypedDict):
    """What is pushed, as JSON, fixed before it is done."""

    commit: str
    subject: str
    moved: dict[str, str]
    kept: list[str]
    notes: list[str]
    targets: list[Target]


def update(context: Context) -> Done[UpdatedUrls]:
    push = context.keep("push", lambda: _push(context))
    git = context.ports.git.remote(context.settings(RootfsSettings).component)
    context.effect(
        f"push {push['commit'][:SHORT]} to {listed([target['branch'] for target in push['targets']])}",
        lambda: _push_unless_moved(context, git, push),
        lambda: there(git, push["targets"]),
    )
    remember_moved(context)
    if push["notes"]:
        notice = Notice("Root file systems that keep their version", Level.WARNING, tuple(push["notes"]))
        context.say("kept", notice)
    moved = listed([f"{name} {version}" for name, version in push["moved"].items()])
    kept = f"; unchanged: {listed(push['kept'])}" if push["kept"] else ""
    where = listed([f"{target['branch']} {target['new'][:SHORT]}" for target in push["targets"]])
    branch, kept_names = push["targets"][0]["branch"], tuple(push["kept"])
    value = UpdatedUrls(push["commit"], push["moved"], kept_names, branch, _pull(context, push))
    return Done(f"{moved}{kept}; {where}", value)


def _push_unless_moved(context: Context, git: GitRemote, push: _Push) -> list[Target]:
    """The branches and the files once more, at the last moment: what is pushed is what would be planned now.

    It makes the commit again, too, in a mirror that was lost meanwhile. If it is another, nothing is pushed, and the
    next try finds that what was approved has changed.
    """
    built = built_here(context)
    now = planned(context, built, lambda urls: seen_now(context, urls)) if built else None
    if now is None or (now.commit, list(now.targets)) != (push["commit"], push["targets"]):
        raise TransientError("what would be pushed has changed since it was approved: nothing was pushed")
    return pushed(git, push["targets"])


def _push(context: Context) -> _Push:
    built = built_here(context)
    push = planned(context, built) if built else None
    if push is None or built is None:
        raise PermanentError("there is no URL to move any more")
    return _described(push, built)


def _described(push: Planned, built: RootfsBuild) -> _Push:
    """What people are to know of it afterwards; failed builds are in the table of the builds already."""
    found = push.decision
    others = [one for one in found.kept if not _in_table(one, built)]
    told = [f"{one.name} keeps its version: {'; '.join(one.reasons)}" for one in others]
    return {
        "commit": push.commit,
        "subject": push.subject,
        "moved": dict(found.moves),
        "kept": [one.name for one in found.kept],
        "notes": [*told, *found.warnings, *([push.staging] if push.staging else [])],
        "targets": list(push.targets),
    }


def _in_table(kept: Kept, built: RootfsBuild) -> bool:
    """Whether it stays because it was not built, as opposed to builds whose URLs cannot be used."""
    return bool(kept.failed) and all(row in built.results for row in kept.failed)


def _pull(context: Context, push: _Push) -> Pull | None:
    """None where URLs go to the development branch, or no API can be asked for a review."""
    settings = context.settings(RootfsSettings)
    if settings.commit is not CommitTo.BRANCH or context.ports.tracker is None:
        return None
    base = context.settings(ReleaseSettings).component(settings.component).development
    lines = ["Every file that these URLs name was there just before this branch was pushed.", *push["notes"]]
    return Pull(push["targets"][0]["branch"], base, push["subject"], "\n\n".join(lines))


update_rootfs_urls = Step(
    "update-rootfs-urls",
    "Root file system URLs updated",
    update,
    UpdatedUrls,
    needed=update_needed,
    preview=update_preview,
    asks=update_asks,
    after=(plan, build_rootfs),
    limit=timedelta(hours=1),
)
