"""How times, spans and states are said. Absolute times are UTC; spans are rounded to what a person needs."""

from collections.abc import Collection
from datetime import datetime, timedelta

from kcibot.core.run import StepState

MARKS = {
    StepState.PENDING: "·",
    StepState.RUNNING: "▶",
    StepState.WAITING: "…",
    StepState.DONE: "✓",
    StepState.NOT_NEEDED: "-",
    StepState.SKIPPED: "»",
    StepState.FAILED: "✗",
    StepState.UNKNOWN: "?",
}

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def span(length: timedelta) -> str:
    """`45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 2 * MINUTE:
        return f"{seconds} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < DAY:
        return f"{seconds // HOUR} h {seconds % HOUR // MINUTE:02d} min"
    return f"{seconds // DAY} d {seconds % DAY // HOUR} h"


def moment(at: datetime, now: datetime) -> str:
    """`Mon 23 Nov 10:00 UTC (in 23 h 05 min)`, or only the time on the same day."""
    relative = f"in {span(at - now)}" if at >= now else f"{span(now - at)} ago"
    relative = "now" if abs(at - now) < timedelta(seconds=1) else relative
    shape = "%H:%M UTC" if at.date() == now.date() else "%a %d %b %H:%M UTC"
    return f"{at.strftime(shape)} ({relative})"


def listed(names: tuple[str, ...] | list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))


def is_or_are(names: Collection[str]) -> str:
    """The verb behind `listed`."""
    return "is" if len(names) == 1 else "are"
