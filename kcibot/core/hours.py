"""Production hours: when people are there to look after a change. Always UTC."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

WEEK = 7


@dataclass(frozen=True, slots=True)
class Hours:
    """Open from `start` until `end` (UTC, the same day) on `days` (Monday is 0)."""

    days: frozenset[int]
    start: time
    end: time

    def is_open(self, at: datetime) -> bool:
        return at.weekday() in self.days and self.start <= at.time() < self.end

    def next_opening(self, at: datetime) -> datetime:
        """`at` itself if it is open then, else the next moment at which it opens."""
        if self.is_open(at):
            return at
        for days in range(WEEK + 1):
            day = (at + timedelta(days=days)).date()
            opening = datetime.combine(day, self.start, at.tzinfo)
            if opening >= at and day.weekday() in self.days:
                return opening
        raise ValueError("production hours without a day")

    def closing(self, at: datetime) -> datetime:
        """When the hours that are open at `at`, or open next, end."""
        return datetime.combine(self.next_opening(at).date(), self.end, at.tzinfo)
