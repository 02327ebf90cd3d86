"""The push of new root file system URLs: the commit, made in the mirror, and the branches that are to move.

Made anew it has the same id, as long as the branches and the builds are the same: so it can be approved by its id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
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
from kcibot_commands.plan.steps import SHORT, ReleaseSettings
from kcibot_commands.rootfs.builds import RootfsBuild, build_rootfs
from kcibot_commands.rootfs.orders import development_head
from kcibot_commands.rootfs.settings import CommitTo, RootfsSettings
from kcibot_commands.rootfs.update import Ask, Decision, decision, same_leaves_except
from kcibot_commands.rules.problem import RuleError
from kcibot_commands.rules.rootfs_moves import Answers, FileUrl, commit_subject
from kcibot_commands.rules.rootfs_urls import FileSystems

STATUS_OK = 200
STATUS_NOT_FOUND = 404
SEEN_FOR = timedelta(minutes=1)
"""How long an answer of the file server is good for showing; before a push it is asked again in any case."""


class Target(TypedDict):
    """One branch that moves, as JSON: `old` is empty for a branch that is not there yet."""

    branch: str
    old: str
    new: str


@dataclass(frozen=True)
class Planned:
    """The commit to be pushed, made in the mirror, and the branches that are to move to it or to its cherry-pick.

    `staging` says why staging is not among them, where it should be.
    """

    decision: Decision
    parent: str
    diff: str
    commit: str
    subject: str
    targets: tuple[Target, ...]
    staging: str = ""


def built_here(context: Context) -> RootfsBuild | None:
    """The builds that this run made, or was started with; None if it has none."""
    if any(step.id == build_rootfs.id for step in context.run.steps):
        return context.result(build_rootfs) if context.has_result(build_rootfs) else None
    return context.args(RootfsBuild) if context.run.args is not None else None


def decided(context: Context, built: RootfsBuild, head: str, ask: Ask | None = None) -> tuple[str, Decision]:
    """The file as that commit has it, and what would move in it."""
    settings = context.settings(RootfsSettings)
    text = context.ports.git.remote(settings.component).read(head, settings.test_configs)
    try:
        return text, decision(text, built, ask or (lambda urls: seen_lately(context, urls)), settings.dropped)
    except RuleError as error:
        raise PermanentError(str(error)) from error


def planned(context: Context, built: RootfsBuild, ask: Ask | None = None) -> Planned | None:
    """What would be pushed now; None if nothing moves. The commit has the time at which the builds ended."""
    settings = context.settings(RootfsSettings)
    git = context.ports.git.remote(settings.component)
    git.fetch()
    head = development_head(context)
    _text, found = decided(context, built, head, ask)
    if not found.moves:
        return None
    subject = commit_subject(found.moves, [one.name for one in found.kept], settings.test_configs.rpartition("/")[2])
    commit = git.commit(head, {settings.test_configs: found.update.text}, subject, built.ended_at)
    _check_data(git, settings, head, commit, found)
    target = _own_target(context, git, head, commit, built)
    staging, without = _staging_target(settings, git, commit, built, found)
    return Planned(found, head, _diff(git, settings, head, commit), commit, subject, (target, *staging), without)


def _diff(git: GitRemote, settings: RootfsSettings, head: str, commit: str) -> str:
    """As git shows it, without the line of abbreviated ids, which are longer the more a mirror holds."""
    text = git.diff(head, commit, settings.test_configs)
    return text[text.index("--- ") :]


def _own_target(context: Context, git: GitRemote, head: str, commit: str, built: RootfsBuild) -> Target:
    settings = context.settings(RootfsSettings)
    if settings.commit is CommitTo.BRANCH:
        return _review_target(git, commit, f"rootfs-{built.version}")
    branch = context.settings(ReleaseSettings).components[settings.component].development
    return {"branch": branch, "old": head, "new": commit}


def _review_target(git: GitRemote, commit: str, name: str) -> Target:
    """The first branch of that name that is not there, or would lose nothing: a reviewer may have pushed to it."""
    branches = git.branches()
    for number in count(1):
        branch = name if number == 1 else f"{name}-{number}"
        old = branches.get(branch, "")
        if not old or not git.lost(old, commit):
            return {"branch": branch, "old": old, "new": commit}
    raise AssertionError("numbers do not end")


def _staging_target(
    settings: RootfsSettings, git: GitRemote, commit: str, built: RootfsBuild, found: Decision
) -> tuple[tuple[Target, ...], str]:
    """The cherry-pick for staging, or why there is none. A branch for review is not put on staging by us."""
    branch = settings.staging_branch
    if not branch or settings.commit is CommitTo.BRANCH:
        return (), ""
    old = git.branches().get(branch)
    if old is None:
        return (), f"{settings.component} has no branch {branch}: nothing was picked there"
    try:
        if _has_already(git.read(old, settings.test_configs), found):
            return (), f"{branch} has these URLs already"
        return ({"branch": branch, "old": old, "new": git.cherry_pick(commit, old, built.ended_at)},), ""
    except PermanentError as error:
        return (), f"{branch} stays as it is, pick the commit there by hand: {error}"


def _has_already(text: str, found: Decision) -> bool:
    versions = FileSystems.read(text).versions()
    return all(versions.get(name) == (version,) for name, version in found.moves.items())


def _check_data(git: GitRemote, settings: RootfsSettings, head: str, commit: str, found: Decision) -> None:
    """Read both files as YAML: exactly the planned values may differ."""
    old, new = git.document(head, settings.test_configs), git.document(commit, settings.test_configs)
    wrong = same_leaves_except(old, new, found.update.changes)
    if wrong:
        raise PermanentError(f"the edit would also change {listed(list(wrong[:3]))}; nothing was changed")


def seen_lately(context: Context, urls: Sequence[FileUrl]) -> Answers:
    """URL -> status or why it could not be seen; what this step asked for within the last minute is not asked again."""
    minute = int(context.clock.now().timestamp() // SEEN_FOR.total_seconds())
    name = digest(sorted({one.url for one in urls}))[:SHORT]
    return context.keep(f"files {name} {minute}", lambda: dict(seen_now(context, urls)))


def seen_now(context: Context, urls: Sequence[FileUrl]) -> Answers:
    """The same, asked now. Raises TransientError if the file server does not answer."""
    asked = sorted({one.url for one in urls})
    found: dict[str, int | str] = {}
    for number, url in enumerate(asked):
        context.report(f"asking for the files, {number} of {len(asked)}")
        found[url] = _ask(context, url)
    return found


def _ask(context: Context, url: str) -> int | str:
    address = _reached(url, context.settings(RootfsSettings).storage)
    try:
        return STATUS_OK if context.ports.files.exists(address) else STATUS_NOT_FOUND
    except PermanentError as error:
        return str(error).rstrip(".")


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
