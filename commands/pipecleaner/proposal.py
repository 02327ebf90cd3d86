"""What a pipe cleaner would build: a stable release that is known to be good, plus one commit of our own.

The new commit is what makes it a new revision: a commit that was built before starts nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from kcibot.sdk import Context, GitRemote, NotFound, PermanentError, Revision
from kcibot_commands.pipecleaner import base as pipecleaner_base
from kcibot_commands.pipecleaner.base import Base
from kcibot_commands.pipecleaner.configs import (
    NewCommit,
    PipecleanerSettings,
    chosen_config,
    described,
    repository_of,
    resolved,
)
from kcibot_commands.plan.steps import SHORT
from kcibot_commands.rules import versions
from kcibot_commands.rules.build_configs import BuildConfig

STEP_ID = "prepare-pipe-cleaner"
TIMES = "pipecleaner-times"
GOOD_FOR = timedelta(hours=24)
"""For so long a prepared commit keeps its date and its release; then its tag would be dated wrongly."""


@dataclass(frozen=True)
class Prepared:
    """What is to be built. `kernel` is its tag, by which `git describe` calls it; `old` is what the branch was at.

    `tag_object` is empty if the tag is there already: no new commit is made. `why` and `skipped` tell what was known of
    the release and of newer ones.
    """

    config: str
    tree: str
    branch: str
    repository: str
    commit: str
    kernel: str
    base: str
    series: str
    old: str
    tag_object: str
    at: datetime
    variants: tuple[str, ...]
    reduced: bool
    why: str = ""
    skipped: tuple[str, ...] = ()


def proposed(context: Context) -> Prepared:
    """The commit and the tag, made in the mirror only. Asked again within a day, it proposes the very same ones.

    Raises TransientError while it cannot be seen which release passed in production.
    """
    config = resolved(context, chosen_config(context))
    repository = repository_of(context, config)
    git = context.ports.git.remote(repository)
    tags = {tag.name: tag.target for tag in git.tags()}
    git.fetch()
    old = git.branches().get(config.branch, "")
    at, base = _standing(context, repository, tags)
    commit, kernel, tag_object = _revision(context, config, base, at, old, tags)
    return Prepared(
        config=config.name,
        tree=config.tree,
        branch=config.branch,
        repository=repository,
        commit=commit,
        kernel=kernel,
        base=base.name,
        series=base.series,
        old=old,
        tag_object=tag_object,
        at=at,
        variants=described(config),
        reduced=config.reduced,
        why=base.why,
        skipped=base.skipped,
    )


def _revision(
    context: Context, config: BuildConfig, base: Base, at: datetime, old: str, tags: Mapping[str, str]
) -> tuple[str, str, str]:
    """The commit to build, its name, and the tag object that is to be pushed with it, if there is one."""
    settings, git = context.settings(PipecleanerSettings), context.ports.git.remote(repository_of(context, config))
    if settings.commit is NewCommit.IF_BUILT:
        for kernel in (*_own(git, base, old, tags), base.name):
            if not _built(context, Revision(config.tree, config.branch, kernel)):
                return tags[kernel], kernel, ""
    tag = versions.next_core_tag(tags, at.date(), settings.suffix)
    try:
        commit = git.commit(base.commit, {config.branch: f"{tag}\n"}, tag, at)
    except PermanentError as error:
        raise PermanentError(
            f"nothing can be built on the tag {base.name}, at {base.commit[:SHORT]}: {error}"
        ) from error
    return commit, tag, git.annotate(tag, commit, tag, at)


def _own(git: GitRemote, base: Base, old: str, tags: Mapping[str, str]) -> tuple[str, ...]:
    """The tag of the pipe cleaner's own commit on that very release, if the branch is there: it may never have run."""
    above = git.log(base.commit, old) if old else ()
    own = len(above) == 1 and above[0].sha == old == tags.get(above[0].subject) and not git.log(old, base.commit)
    return (above[0].subject,) if own else ()


def _built(context: Context, revision: Revision) -> bool:
    try:
        context.ports.results.revision_status(revision)
    except NotFound:
        return False
    return True


def _standing(context: Context, repository: str, tags: Mapping[str, str]) -> tuple[datetime, Base]:
    """The date of the commit and the release under it: those of the first proposal, while it is fresh.

    A gate shows the commit before it is pushed, and an approval is for that commit: neither its date nor its base may
    move in between, also if a newer release passes meanwhile.
    """
    now, key = context.clock.now().replace(microsecond=0), times_key(context)
    if not key:
        return now, pipecleaner_base.chosen(context, repository, tags)
    kept = context.recall(TIMES).get(key)
    if not isinstance(kept, dict) or not _fresh(context, kept, now, tags):
        kept = {
            "at": now.isoformat(),
            "for": _asked_for(context),
            **pipecleaner_base.chosen(context, repository, tags).json,
        }
        context.remember(TIMES, key, kept)
    given = {name: value for name, value in kept.items() if name not in {"at", "for"}}
    return datetime.fromisoformat(str(kept["at"])), Base.read(given)


def _fresh(context: Context, kept: Mapping[str, object], now: datetime, tags: Mapping[str, str]) -> bool:
    """Not when it is old, the tag of its release was moved, or another one is configured now."""
    young = now - datetime.fromisoformat(str(kept["at"])) <= GOOD_FOR
    there = tags.get(str(kept["name"])) == kept["commit"]
    return young and there and kept["for"] == _asked_for(context)


def _asked_for(context: Context) -> str:
    settings = context.settings(PipecleanerSettings)
    return f"{chosen_config(context)} {settings.base.value} {settings.series}"


def times_key(context: Context) -> str:
    """One for each time that the step is begun anew; empty in a run that only looks, and has no such step."""
    rounds = [step.round for step in context.run.steps if step.id == STEP_ID]
    return f"{context.run.id}.{context.run.revision}.{rounds[0]}" if rounds else ""
