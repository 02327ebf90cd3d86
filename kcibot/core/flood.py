"""Who says too much: what is beyond the limit is ignored, and what is refused again and again is told now and then."""

import threading
from collections import deque

MINUTE = 60.0


MOST = 10_000
"""Refusals that are remembered: whoever can choose names could fill the memory with them."""


def counted_as(network: str, person: str, identity: str) -> str:
    """Whose lines are counted together: a person's, an account's, and those of all who have none.

    A nick can be changed between two lines, and on most networks what stands behind it in user@host is chosen by who
    connects. So all for whom a network vouches for nobody share what one person may say there.
    """
    return person or (f"{network} user {identity}" if identity else f"users of {network} without an account")


class Refusals:
    """Counts equal refusals, and says at the 1st, 10th, 100th ... that it is time to tell."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def count(self, who: str, what: str) -> int:
        """How many there were, if this one is worth an entry, else 0."""
        count = self._counts.pop((who, what), 0) + 1
        self._counts[who, what] = count
        if len(self._counts) > MOST:
            del self._counts[next(iter(self._counts))]
        return count if str(count).strip("0") == "1" else 0


class Flood:
    """Counts what every user says in the minute before; what is ignored does not count. A limit of 0 is none.

    Every network asks it from a thread of its own.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._heard: dict[str, deque[float]] = {}
        self._ignored: dict[str, int] = {}
        self._lock = threading.Lock()

    def told(self, who: str, now: float) -> bool:
        """Whether they are beyond the limit and know it."""
        with self._lock:
            heard = self._heard.get(who)
            return bool(self.limit and heard and self._ignored.get(who) and now - heard[0] < MINUTE)

    def beyond(self, who: str, now: float) -> int:
        """How many in a row were too many by `now` (seconds), this one included; 0 if it is to be answered."""
        with self._lock:
            heard = self._heard.setdefault(who, deque())
            while heard and now - heard[0] >= MINUTE:
                heard.popleft()
            if self.limit and len(heard) >= self.limit:
                self._ignored[who] = self._ignored.get(who, 0) + 1
                return self._ignored[who]
            heard.append(now)
            self._ignored.pop(who, None)
            return 0
