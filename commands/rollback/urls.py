"""Rollback: the root file system URLs that went to production with the release go back on the development branch.

Otherwise the next release would bring the same URLs again. It is a commit of its own on top, and where staging is kept
by hand its cherry-pick there; lines that somebody moved on since are left alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from kcibot.sdk import Context, Done, GitRemote, Level, Needed, NotFound, Notice, PermanentError, Preview, Step, listed
from kcibot_commands.plan.steps import SHORT, ReleaseSettings
from kcibot_commands.production import move_branch
from kcibot_commands.rollback.branches import part, standing
from kcibot_commands.rollback.found import Move, RollbackArgs
from kcibot_commands.rootfs.settings import CommitTo, RootfsSettings
from kcibot_commands.rules.problem import RuleError
from kcibot_commands.rules.rootfs_back import Back, back

URL_COMMIT = "update rootfs URLs"
DIFF_HEAD = 2
"""Lines with which git's own diffs begin, and that say nothing to people."""


@dataclass(frozen=True)
class _Branches:
    """Where the commit goes: it is made on `onto` and pushed to `to`; `staging` may be empty."""

    component: str
    onto: str
    to: str
    staging: str


def _branches(context: Context) -> _Branches:
    settings = context.settings(RootfsSettings)
    development = context.settings(ReleaseSettings).component(settings.component).development
    if settings.commit is CommitTo.BRANCH:
        return _Branches(settings.component, development, f"rootfs-back-{context.run.id}", "")
    return _Branches(settings.component, development, development, settings.staging_branch)


def _move(context: Context) -> Move | None:
    return context.args(RollbackArgs).branches.get(context.settings(RootfsSettings).component)


def urls_needed(context: Context) -> Needed:
    move = _move(context)
    if move is None:
        return Needed(needed=False, why="the branch with the root file system URLs was not moved")
    if standing(context, context.settings(RootfsSettings).component).theirs:
        return Needed(needed=False, why="somebody moved the production branch since: its URLs are left alone, too")
    found = _back(context, move, _head(context))
    if found.changes:
        return Needed(needed=True)
    left = f"; {listed(found.left)} was moved on since" if found.left else ""
    return Needed(needed=False, why=f"no URL of a root file system has to go back{left}")


def urls_preview(context: Context) -> Preview:
    """The versions, which are what is approved: a commit that somebody makes elsewhere meanwhile changes nothing."""
    where, move, head = _branches(context), _move(context), _head(context)
    if move is None:
        return Preview()
    found, path = _back(context, move, head), context.settings(RootfsSettings).test_configs
    git = context.ports.git.remote(where.component)
    facts = {"to": [where.to, where.staging], "moves": {name: list(versions) for name, versions in found.moves.items()}}
    staging = f", and its pick on {where.staging}" if where.staging else ""
    told = f"a commit on {where.component}'s {where.to}{staging}:"
    left = [f"left alone, moved on since: {listed(found.left)}"] if found.left else []
    diff = git.diff(head, _commit(context, git, head, found), path) if found.changes else ""
    return Preview(facts, (told, *(f"  {line}" for line in diff.splitlines()[DIFF_HEAD:]), *left))


def urls_back(context: Context) -> Done[None]:
    where, git = _branches(context), context.ports.git.remote(_branches(context).component)

    def revert(head: str) -> str:
        """On the development branch; the head of the branch that is pushed is the same, or the branch is new."""
        move, parent = _move(context), head or _head(context)
        found = _back(context, move, parent) if move else None
        if found is None or not found.changes:
            return ""
        return _commit(context, git, parent, found)

    commit = _pushed(context, where.to, revert)
    if not commit:
        return Done("the URLs are what they were already", None)
    text = f"{where.to} {commit[:SHORT]}"
    if where.staging:
        text += _staged(context, where, git, commit)
    return Done(text, None)


def _staged(context: Context, where: _Branches, git: GitRemote, commit: str) -> str:
    """A conflict is said, and leaves staging as it is."""

    def pick(head: str) -> str:
        try:
            return git.cherry_pick(commit, head, context.run.created_at) if head else ""
        except PermanentError as error:
            title = f"{where.staging} keeps its URLs: pick {commit[:SHORT]} there by hand"
            context.say("staging", Notice(title, Level.WARNING, (str(error),)))
            return ""

    picked = _pushed(context, where.staging, pick)
    return f", {where.staging} {picked[:SHORT]}" if picked else f"; {where.staging} stays as it is"


def _pushed(context: Context, branch: str, make: Callable[[str], str]) -> str:
    """Push what `make` makes of the branch's head; if somebody is quicker, once more on top of theirs.

    Empty if there is nothing to push.
    """
    component = context.settings(RootfsSettings).component
    git = context.ports.git.remote(component)

    def look() -> list[str]:
        head = git.branches().get(branch, "")
        git.fetch()  # after the branch was asked for, so that the mirror has what it names
        return [head, make(head)]

    for number in count(1):
        head, commit = context.keep(f"{branch}, try {number}", look)
        if not commit:
            break
        try:
            move_branch(context, component, branch, head, commit, key=f"push {component} {branch} {commit[:SHORT]}")
        except PermanentError:
            if git.branches().get(branch, "") == head:
                raise
            continue
        return commit
    return ""


def _commit(context: Context, git: GitRemote, parent: str, found: Back) -> str:
    """Made in the mirror; the same each time."""
    files: dict[str, str | None] = {context.settings(RootfsSettings).test_configs: found.text}
    return git.commit(parent, files, _message(context, git, found), context.run.created_at)


def _message(context: Context, git: GitRemote, found: Back) -> str:
    """`test-configs.yaml: go back to rootfs URLs of 20190322.1`, and in the body the commits whose URLs these are."""
    file = context.settings(RootfsSettings).test_configs.rpartition("/")[2]
    move, versions = _move(context), sorted({new for _old, new in found.moves.values()})
    commits = [one for one in git.log(move.old, move.left[0]) if URL_COMMIT in one.subject] if move else []
    lines = [f"This takes back the URLs of commit {one.sha} ({one.subject})." for one in commits]
    title = context.args(RollbackArgs).title
    return "\n".join([f"{file}: go back to rootfs URLs of {', '.join(versions)}", "", f"Rollback: {title}.", *lines])


def _head(context: Context) -> str:
    where = _branches(context)
    git = context.ports.git.remote(where.component)
    heads = git.branches()
    if where.onto not in heads:
        raise PermanentError(f"{where.component} has no branch {where.onto}")
    git.fetch()
    return heads[where.onto]


def _back(context: Context, move: Move, head: str) -> Back:
    before, after = _text(context, move.old), _text(context, move.left[0])
    try:
        return back(_text(context, head), before, after)
    except RuleError as error:
        raise PermanentError(str(error)) from error


def _text(context: Context, commit: str) -> str:
    """The file with the URLs; empty where the commit has none."""
    settings = context.settings(RootfsSettings)
    try:
        return context.ports.git.remote(settings.component).read(commit, settings.test_configs)
    except NotFound:
        return ""


back_urls = part(
    Step(
        "urls-back",
        "Root file system URLs back",
        urls_back,
        type(None),
        needed=urls_needed,
        preview=urls_preview,
    )
)
