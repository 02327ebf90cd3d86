"""Step 8: root file systems. They are built, and the URLs of those that succeeded are moved in `test-configs.yaml`.

A procedure of its own, by default run some days before the release, so that the commit with the URLs is part of what
is tagged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypedDict

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Gate,
    GitRemote,
    Level,
    Needed,
    Notice,
    Outcome,
    PermanentError,
    Preview,
    Procedure,
    Step,
    UserError,
    Words,
    command,
    digest,
    listed,
)
from kcibot_commands.plan import SHORT, ReleaseSettings, plan
from kcibot_commands.rootfs_builds import LAST, TOPIC, RootfsBuild, build_rootfs
from kcibot_commands.rootfs_orders import RootfsArgs, RootfsSettings, development_head
from kcibot_commands.rootfs_push import Planned, Target, built_here, decided, planned, pushed, there
from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.rootfs_urls import FileSystems, text_diff

NOT_USED = "not used"


@dataclass(frozen=True)
class UpdatedUrls:
    """Name -> new version, the commit that says so, and the names that kept theirs."""

    commit: str
    moved: Mapping[str, str]
    kept: tuple[str, ...]


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
    built = built_here(context)
    push = planned(context, built) if built else None
    if push is None:
        return Preview()
    settings = context.settings(RootfsSettings)
    diff = text_diff(push.old_text, push.decision.update.text, settings.test_configs)
    facts = {
        "commit": push.commit,
        "diff": digest(diff),
        "moves": dict(push.decision.moves),
        "targets": list(push.targets),
        "staging": push.conflict,
    }
    return Preview(facts, (*_shown(push), *diff.splitlines()))


def _shown(push: Planned) -> tuple[str, ...]:
    """The pushes, what staging gets, and who keeps what; the diff comes after it."""
    lines = [push.subject]
    for target in push.targets:
        old = target["old"][:SHORT] or "nothing"
        lines.append(f"push {target['branch']}: {old} -> {target['new'][:SHORT]}")
    if push.conflict:
        lines.append(f"staging stays as it is, pick the commit there by hand: {push.conflict}")
    lines.append(f"all {worded(push.decision.files, 'file')} asked for are there")
    return (*lines, *push.decision.notes)


class _Push(TypedDict):
    """What is pushed, as JSON, fixed before it is done."""

    commit: str
    moved: dict[str, str]
    kept: list[str]
    notes: list[str]
    targets: list[Target]


def update(context: Context) -> Done[UpdatedUrls]:
    push = context.keep("push", lambda: _push(context))
    git = context.ports.git.remote(context.settings(RootfsSettings).component)
    context.effect(
        f"push {push['commit'][:SHORT]} to {listed([target['branch'] for target in push['targets']])}",
        lambda: pushed(git, push["targets"]),
        lambda: there(git, push["targets"]),
    )
    if push["notes"]:
        notice = Notice("Root file systems that keep their version", Level.WARNING, tuple(push["notes"]))
        context.say("kept", notice)
    moved = listed([f"{name} {version}" for name, version in push["moved"].items()])
    kept = f"; unchanged: {listed(push['kept'])}" if push["kept"] else ""
    where = listed([f"{target['branch']} {target['new'][:SHORT]}" for target in push["targets"]])
    return Done(f"{moved}{kept}; {where}", UpdatedUrls(push["commit"], push["moved"], tuple(push["kept"])))


def _push(context: Context) -> _Push:
    built = built_here(context)
    push = planned(context, built) if built else None
    if push is None:
        raise PermanentError("there is no URL to move any more")
    staging = [f"not on staging: {push.conflict}"] if push.conflict else []
    return {
        "commit": push.commit,
        "moved": dict(push.decision.moves),
        "kept": [one.name for one in push.decision.kept],
        "notes": [*push.decision.notes, *staging],
        "targets": list(push.targets),
    }


update_rootfs_urls = Step(
    "update-rootfs-urls",
    "Root file system URLs updated",
    update,
    UpdatedUrls,
    needed=update_needed,
    preview=update_preview,
    after=(plan, build_rootfs),
    limit=timedelta(hours=1),
)


# ---- alone -----------------------------------------------------------------------------------------------------


def show_status(context: Context) -> Done[None]:
    """The versions in the file now, on the development and the production branch."""
    settings = context.settings(RootfsSettings)
    component = context.settings(ReleaseSettings).components[settings.component]
    git = context.ports.git.remote(settings.component)
    git.fetch()
    branches = git.branches()
    names = (component.development, component.production)
    found = {branch: _versions(git, branches[branch], settings.test_configs) for branch in names if branch in branches}
    used = sorted({name for versions in found.values() for name in versions})
    rows = [
        f"{name}: {listed([f'{of.get(name, NOT_USED)} on {branch}' for branch, of in found.items()])}" for name in used
    ]
    return Done("\n".join([f"Root file systems in {settings.test_configs}", *rows]), None)


def _versions(git: GitRemote, commit: str, path: str) -> Mapping[str, str]:
    systems = FileSystems.read(git.read(commit, path))
    return {name: " and ".join(versions) for name, versions in systems.versions().items()}


ROOTFS_GATE = Gate("rootfs", "Update the root file system URLs")
ROOTFS = Procedure("rootfs", build_rootfs, ROOTFS_GATE, update_rootfs_urls, title="Root file systems")
UPDATE = Procedure("rootfs update", ROOTFS_GATE, update_rootfs_urls, title="Root file system URLs")
STATUS = Procedure("rootfs status", Step("show", "Root file systems", show_status, type(None)), card=False)


@command("rootfs build", role="operator", example="!rootfs build buster-igt")
def rootfs_build(call: Call, names: Words = ()) -> Outcome:
    """Build root file systems, all or some, and once approved move the URLs of those that succeeded."""
    return call.start(ROOTFS, f"Root file systems {' '.join(names)}".strip(), RootfsArgs(tuple(names)))


@command("rootfs status", role="observer")
def rootfs_status(call: Call) -> Outcome:
    """Say which versions of the root file systems are in use."""
    return call.start(STATUS)


@command("rootfs update", role="operator")
def rootfs_update(call: Call) -> Outcome:
    """Move the URLs to what was built last, once approved."""
    last = call.world.journal.recall(TOPIC).get(LAST)
    if not isinstance(last, dict):
        raise UserError("no root file systems were built by me yet: !rootfs build does")
    value = call.world.journal.run(int(last["run"])).step(build_rootfs.id).value
    built = call.world.journal.codec.load(RootfsBuild, value)
    return call.start(UPDATE, f"Root file system URLs {built.version}", built)
