"""Time, cancelling and progress: what every port shares."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time, and the time that waits are measured by."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        ...

    def cautious_now(self) -> datetime:
        """UTC that never runs ahead of the time really elapsed: a clock jump lengthens a wait, never shortens it."""
        ...

    def steady(self) -> float:
        """Seconds that only ever grow, as fast as people's own: for pacing what they are told."""
        ...


class Cancellation(Protocol):
    """Asked by long actions between their parts and while they wait."""

    @property
    def cancelled(self) -> bool: ...

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; true at once when cancelled."""
        ...


class Never:
    """A cancellation that never comes."""

    cancelled = False

    def wait(self, seconds: float) -> bool:
        """Not for waiting: answers at once that nobody cancelled."""
        return False


Report = Callable[[str], None]
"""Takes one short line of progress; must not raise."""


def ignore_report(_line: str) -> None:
    """A report nobody reads."""
