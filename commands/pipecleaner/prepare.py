"""Step 9, first part: the pipe cleaner's branch is moved to what is proposed, by lease; all is shown beforehand."""

from dataclasses import asdict
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
    Preview,
    Proof,
    RefUpdate,
    Step,
    listed,
)
from kcibot_commands.pipecleaner.configs import chosen_config, reduced_warning, repository_of, resolved
from kcibot_commands.pipecleaner.proposal import STEP_ID, TIMES, Prepared, proposed, times_key
from kcibot_commands.plan.steps import SHORT, plan
from kcibot_commands.production import still_locked, take_production_lock
from kcibot_commands.rules.kernel_releases import series_of

__all__ = ["Prepared", "prepare_pipe_cleaner"]

SHOWN_LOST = 3
SHOWN_SKIPPED = 3
SHOWN_THEIRS = 20


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
    skipped = [f"not a newer one: {text}" for text in one.skipped[:SHOWN_SKIPPED]]
    more = [f"and {len(one.skipped) - SHOWN_SKIPPED} more"] if len(one.skipped) > SHOWN_SKIPPED else []
    return (
        _moves(one),
        f"{one.base}: {one.why}",
        *skipped,
        *more,
        f"tag {one.kernel} on it" if one.tag_object else f"{one.kernel} was not built there yet: no new commit, no tag",
        f"{one.config} of the tree {one.tree} builds {listed(list(one.variants))}",
        *reduced_warning(context, resolved(context, one.config)),
        *_lost(context.ports.git.remote(one.repository), one),
    )


def _moves(one: Prepared) -> str:
    what = f"{one.base} itself" if one.kernel == one.base else f"{one.base} and one commit more"
    if one.old == one.commit:
        return f"{one.repository}: {one.branch} stays at {one.commit[:SHORT]}, which is {what}"
    old = one.old[:SHORT] or "nothing"
    return f"{one.repository}: {one.branch} {old} -> {one.commit[:SHORT]}, which is {what}"


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
    context.forget(TIMES, times_key(context))
    base = "" if one.kernel == one.base else f": {one.base} and one commit"
    return Done(f"{one.kernel}{base}, on {one.branch} of {one.repository}", one)


def _fixed(context: Context) -> Prepared:
    """The proposal as it was just before the push, also after a restart, when the branch has moved already."""
    kept = dict(context.keep("proposal", lambda: _as_json(proposed(context))))
    lists = {name: tuple(map(str, value)) for name, value in kept.items() if isinstance(value, list)}
    texts = {name: value for name, value in kept.items() if isinstance(value, str) and name != "at"}
    return Prepared(**texts, **lists, at=datetime.fromisoformat(str(kept["at"])), reduced=bool(kept["reduced"]))  # type: ignore[arg-type]  # the fields of the very class that it was made from


def _as_json(one: Prepared) -> dict[str, object]:
    lists = {"variants": list(one.variants), "skipped": list(one.skipped)}
    return {**asdict(one), "at": one.at.isoformat(), **lists}


def _push(git: GitRemote, one: Prepared) -> str:
    """What is there already is not pushed."""
    branch = RefUpdate(f"refs/heads/{one.branch}", one.commit, one.old or None)
    tag = RefUpdate(f"refs/tags/{one.kernel}", one.tag_object, None)
    git.push([*([branch] if one.old != one.commit else []), *([tag] if one.tag_object else [])])
    return one.commit


def _there(git: GitRemote, one: Prepared) -> Proof[str]:
    """Branch and tag went together, and nobody else makes this tag object: it proves both."""
    if not one.tag_object:
        made = git.branches().get(one.branch) == one.commit
    else:
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
