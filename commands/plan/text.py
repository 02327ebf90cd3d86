"""The plan for people: what would go to production, by component and by the area that a commit's subject names."""

from collections.abc import Iterator

from kcibot.sdk import Notice, listed
from kcibot_commands.plan.parts import SHORT, Part, Plan, Planned
from kcibot_commands.rules import changelog
from kcibot_commands.rules.problem import worded


def summary(plan: Plan) -> str:
    """The plan in a line."""
    changed = [f"{part.component} {_size(part)}" for part in plan.parts.values() if part.changed]
    return f"{plan.name}: {listed(changed)}" if changed else "nothing has changed since the last release"


def overview(plan: Plan) -> Notice:
    """Per component the commits, what each kind of change calls for, and what has to be looked at."""
    lines = [line for part in plan.parts.values() for line in _part_lines(part)]
    read = [f"{part.component} at {part.release[:SHORT]}" for part in plan.parts.values() if part.read_only]
    lines += [f"used as they are now: {listed(read)}"] if read else []
    return Notice(f"{plan.name}: what would go to production", lines=(*lines, *remarks(plan)), brief=summary(plan))


def remarks(plan: Plan) -> tuple[str, ...]:
    """What people must agree to, and what they should know."""
    return (
        *(f"To be confirmed: {text}" for text in plan.confirm),
        *(f"Warning: {warning}" for warning in plan.warnings),
    )


def _part_lines(part: Part) -> Iterator[str]:
    if part.read_only:
        yield from _read_lines(part)
        return
    yield _head(part)
    yield from _commit_lines(part.commits)
    yield from (f"  renamed, for browsers to load it: {rename}" for rename in part.renames)
    yield from (f"  to be mended before it is tagged: {text}" for text in part.blocked)
    over = "" if part.changed else "left over from a release that did not end: "
    yield from (f"  {over}{kind}: {why}" for kind, why in part.causes.items())
    lost = "only on the production branch" + (", would be lost" if part.changed else "")
    yield from (f"  {lost}: {line}" for line in part.lost)


def _read_lines(part: Part) -> Iterator[str]:
    if part.commits:
        yield f"{part.component}: {_size(part)} since {part.previous}, with which was deployed last"
        yield from _commit_lines(part.commits)
        yield from (f"  {kind}: {why}" for kind, why in part.causes.items())


def _head(part: Part) -> str:
    if not part.changed:
        beside = f", but {worded(len(part.lost), 'commit')} only on the production branch" if part.lost else ""
        return f"{part.component}: unchanged since {part.previous or 'its first commit'}{beside}"
    bump = f", version {part.bump}" if part.bump else ""
    since = f" since {part.previous}" if part.previous else ""
    to_be = f"tagged {part.tag} already" if part.tagged else f"to be {part.tag}"
    return f"{part.component}: {_size(part)}{since}, {to_be}{bump}"


def _size(part: Part) -> str:
    return worded(len(part.commits), "commit") if part.commits else "only merges"


def _commit_lines(commits: tuple[Planned, ...]) -> Iterator[str]:
    """Under a line per area; where no subject names one, the commits alone."""
    areas = changelog.by_area(commits)
    if set(areas) <= {""}:
        yield from (f"  {commit.sha[:SHORT]} {commit.subject}" for commit in commits)
        return
    for area, group in areas.items():
        yield f"  {area or 'other'}:"
        yield from (f"    {commit.sha[:SHORT]} {changelog.split_subject(commit.subject)[1]}" for commit in group)
