"""How long the bot waits for what on IRC, where the configuration does not say it."""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """All in seconds. Tests are in more of a hurry."""

    first_wait: float = 1.0
    longest_wait: float = 60.0
    good: float = 3600.0
    """A connection that lasted so long was good: the next failure is again the first."""
    rejoin: float = 10.0
    longest_rejoin: float = 600.0
    regain: float = 60.0
    patience: float = 5.0
    """For a connection that is just coming, before a message is given back to the outbox."""
    echo: float = 20.0
    """For the server's echo of a line that was written."""
    lookup: float = 5.0
    believed: float = 60.0
    """How long an answer about an account holds where the network does not tell of changes."""
    card: float = 30.0
    silence: float = 5.0
    """Without echoes: after so much silence the server is asked whether it is still there when something is said."""
    courtesy: float = 10.0
    """Between two answers to what is not worth more: private messages, CTCP."""
    tick: float = 0.25


class Backoff:
    """Waits that double, from `first_wait` to `longest_wait`, and are spread so that not all bots come back at once."""

    def __init__(self, pace: Pace, dice: Callable[[], float] = random.random) -> None:
        self._pace = pace
        self._dice = dice
        self._next = pace.first_wait

    def wait(self, lived: float) -> float:
        """Seconds until the next try, after a connection that lasted `lived`: between half and all of the wait."""
        if lived >= self._pace.good:
            self._next = self._pace.first_wait
        wait, self._next = self._next, min(self._next * 2, self._pace.longest_wait)
        return wait * (0.5 + self._dice() / 2)
