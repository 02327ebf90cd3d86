"""What runs pushed: image -> digest before and after. KernelCI's images have no versions: this is the way back."""

from collections.abc import Mapping
from dataclasses import dataclass

from kcibot.sdk import Context
from kcibot_commands.images.plan import BUILT_FROM, ImagesSettings
from kcibot_commands.plan.steps import SHORT

DIGESTS = "image-digests"
"""Number of a run -> `before` and `after` (image -> digest), and `since`: what BUILT_FROM was before it."""


@dataclass(frozen=True)
class PushedImages:
    """Image -> digest in the registry before and after; an empty one before means there was none."""

    before: Mapping[str, str]
    after: Mapping[str, str]


@dataclass(frozen=True)
class Recorded(PushedImages):
    """What a run pushed, or may have pushed. `since` is the commit that images were counted from before it."""

    run: int
    since: str = ""


def record(context: Context, pushed: PushedImages) -> None:
    """Keep what was pushed so far. What an earlier try or revision of the run replaced is the way back."""
    known = recorded(context.recall(DIGESTS), context.run.id)
    component = context.settings(ImagesSettings).component
    since = known.since if known else str(context.recall(BUILT_FROM).get(component, ""))
    before = {**pushed.before, **(known.before if known else {})}
    after = {**(known.after if known else {}), **pushed.after}
    context.remember(DIGESTS, str(context.run.id), {"before": before, "after": after, "since": since})


def count_from_before(context: Context, run: int) -> None:
    """The images of that run were set back: the next release builds what changed since those that they replaced."""
    known = recorded(context.recall(DIGESTS), run)
    if known and known.since:
        context.remember(BUILT_FROM, context.settings(ImagesSettings).component, known.since)


def recorded(records: Mapping[str, object], run: int) -> Recorded | None:
    """What that run pushed; None if it pushed nothing."""
    found = records.get(str(run))
    if not isinstance(found, dict):
        return None
    before, after = _digests(found.get("before")), _digests(found.get("after"))
    return Recorded(before, after, run, str(found.get("since", "")))


def newest_first(records: Mapping[str, object]) -> tuple[Recorded, ...]:
    """All that was ever pushed."""
    runs = sorted((int(run) for run in records if run.isdigit()), reverse=True)
    return tuple(one for run in runs if (one := recorded(records, run)))


def short(digest: str) -> str:
    """As people compare them; `none` for no digest."""
    return digest.removeprefix("sha256:")[:SHORT] or "none"


def _digests(value: object) -> dict[str, str]:
    return {str(name): str(digest) for name, digest in value.items()} if isinstance(value, dict) else {}
