"""The push of new root file system URLs: the commit, made in the mirror, and the branches that are to move.

Made anew it has the same id, as long as the branches and the builds are the same: so it can be approved by its id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict
from urllib.parse import urlsplit

from kcibot.sdk import (
    Context,
    GitRemote,
    Happened,
    NotHappened,
    OutcomeUnknown,
    PermanentError,
    Proof,
    RefUpdate,
    digest,
    listed,
)
from kcibot_commands.plan import SHORT, ReleaseSettings
from kcibot_commands.rootfs_builds import RootfsBuild, build_rootfs
from kcibot_commands.rootfs_orders import CommitTo, RootfsSettings, development_head
from kcibot_commands.rootfs_update import Decision, decision, same_leaves_except
from kcibot_commands.rules.problem import RuleError
from kcibot_commands.rules.rootfs_moves import FileUrl, commit_subject

STATUS_OK = 200
STATUS_NOT_FOUND = 404


class Target(TypedDict):
    """One branch that moves, as JSON: `old` is empty for a branch that is not there yet."""

    branch: str
    old: str
    new: str


@dataclass(frozen=True)
class Planned:
    """The commit to be pushed, made in the mirror, and the branches that are to move to it or to its cherry-pick."""

    decision: Decision
    parent: str
    old_text: str
    commit: str
    subject: str
    targets: tuple[Target, ...]
    conflict: str = ""


def built_here(context: Context) -> RootfsBuild | None:
    """The builds that this run made, or was started with; None if it has none."""
    if any(step.id == build_rootfs.id for step in context.run.steps):
        return context.result(build_rootfs) if context.has_result(build_rootfs) else None
    return context.args(RootfsBuild)


def decided(context: Context, built: RootfsBuild, head: str) -> tuple[str, Decision]:
    """The file as that commit has it, and what would move in it."""
    settings = context.settings(RootfsSettings)
    text = context.ports.git.remote(settings.component).read(head, settings.test_configs)
    try:
        return text, decision(text, built, lambda urls: _answers(context, urls))
    except RuleError as error:
        raise PermanentError(str(error)) from error


def planned(context: Context, built: RootfsBuild) -> Planned | None:
    """What would be pushed now; None if nothing moves. The commit has the time at which the builds ended."""
    settings = context.settings(RootfsSettings)
    git = context.ports.git.remote(settings.component)
    git.fetch()
    head = development_head(context)
    text, found = decided(context, built, head)
    if not found.moves:
        return None
    subject = commit_subject(found.moves, [one.name for one in found.kept], settings.test_configs.rpartition("/")[2])
    commit = git.commit(head, {settings.test_configs: found.update.text}, subject, built.ended_at)
    _check_data(git, settings, head, commit, found)
    target = _own_target(context, git.branches(), head, commit, built)
    staging, conflict = _staging_target(settings, git, commit, built)
    return Planned(found, head, text, commit, subject, (target, *staging), conflict)


def _own_target(context: Context, branches: Mapping[str, str], head: str, commit: str, built: RootfsBuild) -> Target:
    settings = context.settings(RootfsSettings)
    if settings.commit is CommitTo.BRANCH:
        branch = f"rootfs-{built.version}"
        return {"branch": branch, "old": branches.get(branch, ""), "new": commit}
    branch = context.settings(ReleaseSettings).components[settings.component].development
    return {"branch": branch, "old": head, "new": commit}


def _staging_target(
    settings: RootfsSettings, git: GitRemote, commit: str, built: RootfsBuild
) -> tuple[tuple[Target, ...], str]:
    """The cherry-pick for staging, or why there is none. A branch for review is not put on staging by us."""
    branch = settings.staging_branch
    if not branch or settings.commit is CommitTo.BRANCH:
        return (), ""
    old = git.branches().get(branch)
    if old is None:
        return (), f"{settings.component} has no branch {branch}"
    try:
        return ({"branch": branch, "old": old, "new": git.cherry_pick(commit, old, built.ended_at)},), ""
    except PermanentError as error:
        return (), str(error)


def _check_data(git: GitRemote, settings: RootfsSettings, head: str, commit: str, found: Decision) -> None:
    """Read both files as YAML: exactly the planned values may differ."""
    old, new = git.document(head, settings.test_configs), git.document(commit, settings.test_configs)
    wrong = same_leaves_except(old, new, found.update.changes)
    if wrong:
        raise PermanentError(f"the edit would also change {listed(list(wrong[:3]))}; nothing was changed")


def _answers(context: Context, urls: Sequence[FileUrl]) -> Mapping[str, int]:
    """URL -> status, asked once in a round of a step. What could not be seen is left out, and its name stays."""
    asked = sorted({one.url for one in urls})

    def look() -> dict[str, int]:
        found: dict[str, int] = {}
        for number, url in enumerate(asked):
            context.report(f"asking for the files, {number} of {len(asked)}")
            _ask(context, url, found)
        return found

    return context.keep(f"files {digest(asked)[:SHORT]}", look)


def _ask(context: Context, url: str, found: dict[str, int]) -> None:
    address = _reached(url, context.settings(RootfsSettings).storage)
    try:
        found[url] = STATUS_OK if context.ports.files.exists(address) else STATUS_NOT_FOUND
    except PermanentError:
        return


def _reached(url: str, storage: str) -> str:
    """The same file at the address by which the bot reaches the file server."""
    return storage.rstrip("/") + urlsplit(url).path if storage else url


# ---- pushing -------------------------------------------------------------------------------------------------------


def pushed(git: GitRemote, targets: Sequence[Target]) -> list[Target]:
    """All branches or none."""
    updates = [RefUpdate(f"refs/heads/{one['branch']}", one["new"], one["old"] or None) for one in targets]
    git.push([update for update in updates if update.new != update.expected])
    now = git.branches()
    wrong = [one["branch"] for one in targets if now.get(one["branch"]) != one["new"]]
    if wrong:
        raise OutcomeUnknown(f"{listed(wrong)} was pushed, but the server does not show it")
    return list(targets)


def there(git: GitRemote, targets: Sequence[Target]) -> Proof[list[Target]]:
    """They went together, so one that has our commit in it, even below newer ones, speaks for all."""
    git.fetch()
    now = git.branches()
    for one in targets:
        at = now.get(one["branch"], "")
        if at and at != one["old"] and (at == one["new"] or not git.log(at, one["new"])):
            return Happened(list(targets))
    return NotHappened()
