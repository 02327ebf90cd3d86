"""Root file systems inside a release, after the images: whether they are built at all, and once only."""

from kcibot.sdk import Context, Needed
from kcibot_commands.plan.steps import SHORT, plan
from kcibot_commands.rootfs.settings import Rebuilding, RootfsSettings, When
from kcibot_commands.rules.changelog import is_rootfs_update
from kcibot_commands.rules.changes import Kind

MOVED_INSIDE = "rootfs inside"
"""Run -> the revision of the release in which it moved the URLs."""


def in_release(context: Context) -> bool:
    """Whether this run is of something that is planned, and not of root file systems alone."""
    return any(step.id == plan.id for step in context.run.steps)


def build_needed(context: Context) -> Needed:
    """Alone always; in a release only where it is configured, for a reason, and not again for its amended revision."""
    if not in_release(context):
        return Needed(needed=True)
    settings, cause = context.settings(RootfsSettings), _cause(context)
    if settings.when is When.DAYS_BEFORE:
        return Needed(needed=False, why=_days_before(context, cause))
    revision = moved_in(context)
    if revision and revision < context.run.revision:
        return Needed(needed=False, why=f"revision {revision} of this release built them and moved their URLs")
    if settings.rebuild is Rebuilding.ALL:
        return Needed(needed=True, why="they are always built")
    return Needed(needed=bool(cause), why=cause or "no recipe of a root file system changed")


def _cause(context: Context) -> str:
    parts = context.result(plan).parts
    component = context.settings(RootfsSettings).component
    return parts[component].causes.get(Kind.ROOTFS, "") if component in parts else ""


def _days_before(context: Context, cause: str) -> str:
    """Says so if recipes go to production whose builds nobody uses: that is easily forgotten."""
    text = "they are built days before a release, by !rootfs build"
    if not cause:
        return text
    commits = context.result(plan).part(context.settings(RootfsSettings).component).commits
    moved = [commit.sha[:SHORT] for commit in commits if is_rootfs_update(commit.subject)]
    if moved:
        return f"{text}; {cause}, and {moved[0]} moves URLs"
    return f"{text}; but {cause}, and no commit of this release moves a URL"


def moved_in(context: Context) -> int:
    """The revision in which this release moved the URLs; 0 if it did not."""
    found = context.recall(MOVED_INSIDE).get(str(context.run.id))
    return found if isinstance(found, int) else 0


def remember_moved(context: Context) -> None:
    if in_release(context):
        context.remember(MOVED_INSIDE, str(context.run.id), context.run.revision)
