"""Versions `YYYY.M.N` of the sandbox's backend and frontend, relative to the sandbox's own time."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from kcibot.sandbox.repositories.history import History


def version_at(now: datetime, weeks: int, released_weeks: Sequence[int]) -> str:
    """The version that was released so many weeks ago: N counts from 0 in each month."""
    day = now - timedelta(weeks=weeks)
    earlier = [now - timedelta(weeks=other) for other in released_weeks if other > weeks]
    number = sum((other.year, other.month) == (day.year, day.month) for other in earlier)
    return f"{day.year}.{day.month}.{number}"


def old_tags(now: datetime) -> tuple[str, ...]:
    """Names of earlier years in all the forms that occur: without N, from N = 1, and with a padded month."""
    year = now.year - 1
    return (f"{year}.10", f"{year}.11", f"{year}.9.1", f"{year}.06.1", f"staging-{year}0616.1")


def release(history: History, path: str, version: str, at: datetime) -> int:
    """Bump the version in its file and tag it; the mark of the bump."""
    history.write(path, re.sub(r'__version__ = "[^"]*"', f'__version__ = "{version}"', history.files[path]))
    mark = history.commit(f"Bump app version to {version}", at)
    history.tag(version, mark, at)
    return mark
