"""Production hours: when people are there to look after a change. Always UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

WEEK = 7
WORKING_DAYS = frozenset(range(5))
MIDNIGHT = time(0, 0)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """From `start` to `end` (UTC, end excluded, 00:00 meaning midnight) on `days`, where Monday is 0.

    ValueError for hours that never open.
    """

    days: frozenset[int] = WORKING_DAYS
    start: time = time(9, 0)
    end: time = time(17, 0)

    def __post_init__(self) -> None:
        if not self.days or not self.days <= frozenset(range(WEEK)):
            raise ValueError("production hours need days between Monday (0) and Sunday (6)")
        if self.start.tzinfo or self.end.tzinfo:
            raise ValueError("production hours are in UTC and take no time zone")
        if self.end != MIDNIGHT and self.end <= self.start:
            raise ValueError(f"production hours must end after they start, not go from {self.start} to {self.end}")

    def is_open(self, at: datetime) -> bool:
        """Whether production may be touched then."""
        opens, closes = next(self._windows(at))
        return opens <= _utc(at) < closes

    def next_opening(self, at: datetime) -> datetime:
        """The first moment from `at` on at which it is open: `at` itself if it is open then."""
        opens, _ = next(self._windows(at))
        return max(opens, _utc(at))

    def closing(self, at: datetime) -> datetime:
        """The end of the hours that are open at `at`, or of the next ones."""
        return next(self._windows(at))[1]

    def _windows(self, at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Windows that end after `at`, in order, without end."""
        moment = _utc(at)
        day = moment.date()
        while True:
            if day.weekday() in self.days:
                opens = datetime.combine(day, self.start, UTC)
                last_day = day + DAY if self.end == MIDNIGHT else day
                closes = datetime.combine(last_day, self.end, UTC)
                if closes > moment:
                    yield opens, closes
            day += DAY


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a time without its time zone cannot be compared with production hours")
    return at.astimezone(UTC)
