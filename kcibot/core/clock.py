"""The system's clock, and the time that waits are measured by."""

import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The wall clock in UTC. `cautious_now` ignores jumps forward since the start: they must not shorten a wait."""

    def __init__(self) -> None:
        self._wall = self.now()
        self._steady = time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def cautious_now(self) -> datetime:
        elapsed = timedelta(seconds=time.monotonic() - self._steady)
        return min(self.now(), self._wall + elapsed)

    def steady(self) -> float:
        return time.monotonic()
