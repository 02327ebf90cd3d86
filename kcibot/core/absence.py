"""Rooms that take nothing just now, of one network: since when, and when each is tried again."""

from dataclasses import dataclass

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
LONG_SECONDS = 60.0
"""A room that was away for longer is not told everything that it missed, message by message."""


@dataclass(frozen=True, slots=True)
class Absence:
    """Of one room, in seconds of a steady clock; `doubt`: something may have been said there all the same."""

    since: float
    until: float
    wait: float
    doubt: bool


class Absences:
    """By channel. A failure of one room is no reason to keep the others of its network waiting."""

    def __init__(self) -> None:
        self._of: dict[str, Absence] = {}

    def failed(self, channel: str, now: float, *, doubt: bool) -> None:
        """The next try is after twice the wait."""
        before = self._of.get(channel)
        wait = min(before.wait * 2, LONGEST_WAIT_SECONDS) if before else FIRST_WAIT_SECONDS
        self._of[channel] = Absence(before.since if before else now, now + wait, wait, doubt)

    def ended(self, channel: str) -> None:
        self._of.pop(channel, None)

    def resting(self, now: float) -> frozenset[str]:
        """Those whose next try is still to come."""
        return frozenset(channel for channel, one in self._of.items() if one.until > now)

    def long_away(self, now: float) -> frozenset[str]:
        return frozenset(channel for channel, one in self._of.items() if now - one.since > LONG_SECONDS)

    @property
    def in_doubt(self) -> bool:
        """Whether something may have been said in one of them of which nobody knows."""
        return any(one.doubt for one in self._of.values())
