"""Step 9, first part: the pipe cleaner's branch is moved to the newest release of a stable series, plus one commit.

The new commit is what makes it a new revision: a commit that was built before starts nothing.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from kcibot.sdk import (
    Commit,
    Context,
    Done,
    GateRequest,
    GitRemote,
    Happened,
    Needed,
    NotHappened,
    OutcomeUnknown,
    PermanentError,
    Preview,
    Proof,
    RefUpdate,
    Step,
    listed,
)
from kcibot_commands.pipecleaner_configs import PipecleanerSettings, chosen_config, described, repository_of, resolved
from kcibot_commands.plan import SHORT, plan
from kcibot_commands.production import still_locked, take_production_lock
from kcibot_commands.rules import versions
from kcibot_commands.rules.kernel_releases import newest_release, series_of

TIMES = "pipecleaner-times"
GOOD_FOR = timedelta(hours=24)
"""For so long a prepared commit keeps its date; then its tag would be dated wrongly."""
SHOWN_LOST = 3
SHOWN_THEIRS = 20


@dataclass(frozen=True)
class Prepared:
    """What is to be built. `kernel` is its tag, by which `git describe` calls it; `old` is what the branch was at."""

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


# ---- proposing ------------------------------------------------------------------------------------------------------


def proposed(context: Context) -> Prepared:
    """The commit and the tag, made in the mirror only. Asked again within a day, it proposes the very same ones."""
    settings = context.settings(PipecleanerSettings)
    config = resolved(context, chosen_config(context))
    repository = repository_of(context, config)
    git = context.ports.git.remote(repository)
    git.fetch()
    tags = {tag.name: tag.target for tag in git.tags()}
    base = newest_release(tags, settings.series)
    if base is None:
        raise PermanentError(f"{repository} has no release of the series {settings.series}")
    at = _time(context)
    tag = versions.next_core_tag(tags, at.date(), settings.suffix)
    commit = git.commit(tags[base.name], {config.branch: f"{tag}\n"}, tag, at)
    return Prepared(
        config=config.name,
        tree=config.tree,
        branch=config.branch,
        repository=repository,
        commit=commit,
        kernel=tag,
        base=base.name,
        series=base.series,
        old=git.branches().get(config.branch, ""),
        tag_object=git.annotate(tag, commit, tag, at),
        at=at,
        variants=described(config),
        reduced=config.reduced,
    )


def _time(context: Context) -> datetime:
    """The date of the commit: the time of the first proposal in this revision of the run, while it is fresh.

    A gate shows the commit before it is pushed, and an approval is for that commit: its date must not move in between.
    """
    now = context.clock.now().replace(microsecond=0)
    key = _times_key(context)
    if not key:
        return now
    standing = datetime.fromisoformat(str(context.claim(TIMES, key, now.isoformat())))
    if now - standing > GOOD_FOR:
        context.remember(TIMES, key, now.isoformat())
        return now
    return standing


def _times_key(context: Context) -> str:
    """One for each time that the step is begun anew; empty in a run that only looks, and has no such step."""
    rounds = [step.round for step in context.run.steps if step.id == STEP_ID]
    return f"{context.run.id}.{context.run.revision}.{rounds[0]}" if rounds else ""


# ---- showing and pushing ---------------------------------------------------------------------------------------


def needed(context: Context) -> Needed:
    config = resolved(context, chosen_config(context))
    ours = bool(repository_of(context, config))
    why = f"the tree {config.tree} has no repository under pipecleaner.repositories: its branch is built as it is"
    return Needed(ours, "" if ours else why)


def preview(context: Context) -> Preview:
    one = proposed(context)
    facts = {
        "config": one.config,
        "repository": one.repository,
        "branch": one.branch,
        "old": one.old,
        "new": one.commit,
        "base": one.base,
        "tag": one.kernel,
    }
    return Preview(facts, _shown(context, one))


def _shown(context: Context, one: Prepared) -> tuple[str, ...]:
    old = one.old[:SHORT] or "nothing"
    lines = [
        f"{one.repository}: {one.branch} {old} -> {one.commit[:SHORT]}, which is {one.base} and one commit more",
        f"tag {one.kernel} on it",
        f"{one.config} of the tree {one.tree} builds {listed(list(one.variants))}",
    ]
    if one.reduced:
        lines.append(f"{one.config} builds the reduced set of stable branches, not every configuration")
    return (*lines, *_lost(context.ports.git.remote(one.repository), one))


def _lost(git: GitRemote, one: Prepared) -> tuple[str, ...]:
    """What the branch had beyond the new base: the last pipe cleaner's own commit, and whatever else there is."""
    if not one.old or one.old == one.commit:
        return ()
    lost = git.log(one.commit, one.old)
    shown = [f"leaves {commit.sha[:SHORT]} {commit.subject}" for commit in lost[:SHOWN_LOST]]
    more = [f"and {len(lost) - SHOWN_LOST} more"] if len(lost) > SHOWN_LOST else []
    return (*shown, *more)


def asks(context: Context) -> GateRequest | None:
    """The branch is made anew each time, so that its push always forces; people are asked if it is theirs."""
    one = proposed(context)
    theirs = _theirs(context.ports.git.remote(one.repository), one)
    if not theirs:
        return None
    shown = theirs[:SHOWN_THEIRS]
    lines = [f"  {commit.sha[:SHORT]} {commit.subject}, by {commit.author}" for commit in shown]
    lines += [f"  and {len(theirs) - len(shown)} more"] if len(theirs) > len(shown) else []
    facts = {"old": one.old, "new": one.commit, "lost": [commit.sha for commit in shown], "count": len(theirs)}
    head = f"{one.repository}: {one.branch} would lose what is neither in a release nor a pipe cleaner's own commit:"
    return GateRequest("force", f"Force {one.branch} of {one.repository}", Preview(facts, (head, *lines)))


def _theirs(git: GitRemote, one: Prepared) -> tuple[Commit, ...]:
    """Commits that somebody put on the branch. Those below its newest release of the kernel are in that release."""
    if not one.old or one.old == one.commit:
        return ()
    tags = {tag.name: tag.target for tag in git.tags()}
    released = {target for name, target in tags.items() if series_of(name)}
    lost = git.log(one.commit, one.old)
    release = next((commit.sha for commit in lost if commit.sha in released), "")
    own = git.log(release, one.old) if release else lost
    return tuple(commit for commit in own if tags.get(commit.subject) != commit.sha)


def prepare(context: Context) -> Done[Prepared]:
    """Branch and tag in one push, by lease; then both are read back."""
    one = _fixed(context)
    git = context.ports.git.remote(one.repository)

    def push() -> str:
        still_locked(context)
        return _push(git, one)

    context.effect(f"push {one.branch} and {one.kernel} of {one.repository}", push, lambda: _there(git, one))
    _read_back(git, one)
    context.forget(TIMES, _times_key(context))
    return Done(f"{one.kernel}: {one.base} and one commit, on {one.branch} of {one.repository}", one)


def _fixed(context: Context) -> Prepared:
    """The proposal as it was just before the push, also after a restart, when the branch has moved already."""
    kept = context.keep("proposal", lambda: _as_json(proposed(context)))
    texts = {name: str(value) for name, value in kept.items() if isinstance(value, str)}
    variants = kept["variants"]
    return Prepared(
        **{name: text for name, text in texts.items() if name != "at"},
        at=datetime.fromisoformat(texts["at"]),
        variants=tuple(map(str, variants)) if isinstance(variants, list) else (),
        reduced=bool(kept["reduced"]),
    )


def _as_json(one: Prepared) -> dict[str, object]:
    return {**asdict(one), "at": one.at.isoformat(), "variants": list(one.variants)}


def _push(git: GitRemote, one: Prepared) -> str:
    git.push(
        [
            RefUpdate(f"refs/heads/{one.branch}", one.commit, one.old or None),
            RefUpdate(f"refs/tags/{one.kernel}", one.tag_object, None),
        ]
    )
    return one.commit


def _there(git: GitRemote, one: Prepared) -> Proof[str]:
    """Branch and tag went together, and nobody else makes this tag object: it proves both."""
    made = any(tag.name == one.kernel and tag.object_id == one.tag_object for tag in git.tags())
    return Happened(one.commit) if made else NotHappened()


def _read_back(git: GitRemote, one: Prepared) -> None:
    """Raises OutcomeUnknown if the server shows the branch or the tag anywhere but on the new commit."""
    branch = git.branches().get(one.branch, "")
    tag = next((tag.target for tag in git.tags() if tag.name == one.kernel), "")
    for what, seen in ((one.branch, branch), (f"the tag {one.kernel}", tag)):
        if seen != one.commit:
            where = f"at {seen[:SHORT]}" if seen else "not there"
            raise OutcomeUnknown(
                f"{one.repository}: {one.branch} and {one.kernel} were pushed to {one.commit[:SHORT]}, but the server "
                f"shows {what} {where}: look at the repository"
            )


STEP_ID = "prepare-pipe-cleaner"
prepare_pipe_cleaner = Step(
    STEP_ID,
    "Pipe cleaner's branch moved",
    prepare,
    Prepared,
    needed=needed,
    preview=preview,
    asks=asks,
    after=(plan, take_production_lock),
    limit=timedelta(hours=2),
)
