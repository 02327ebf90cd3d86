"""Lines that wait until the server has said who typed them, where it does not say so by itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from kcibot.core.message import Incoming

MOST = 50
"""Questions at once. Who asks beyond that is nobody, which is safe."""


@dataclass
class Lookup:
    """One WHOIS: what it has told so far, who waits for it, and until when."""

    ends: float
    account: str = ""
    held: list[Incoming] = field(default_factory=list)


class Lookups:
    """Each held line is released once: with the account, or with none when nobody can tell in `seconds`."""

    def __init__(
        self,
        fold: Callable[[str], str],
        release: Callable[[Incoming], None],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fold = fold
        self._release = release
        self._seconds = seconds
        self._clock = clock
        self._open: dict[str, Lookup] = {}

    def hold(self, nick: str, event: Incoming) -> bool:
        """Whether the server is to be asked: true for the first line of that nick."""
        lookup = self._open.get(self._fold(nick))
        if lookup:
            lookup.held.append(event)
        elif len(self._open) >= MOST:
            self._release(event)
        else:
            self._open[self._fold(nick)] = Lookup(self._clock() + self._seconds, held=[event])
            return True
        return False

    def found(self, nick: str, account: str) -> None:
        lookup = self._open.get(self._fold(nick))
        if lookup:
            lookup.account = account

    def ended(self, nick: str) -> str | None:
        """The server has said all. The account, empty for none; None if nobody had asked."""
        lookup = self._open.pop(self._fold(nick), None)
        if lookup is None:
            return None
        for event in lookup.held:
            self._release(replace(event, identity=lookup.account))
        return lookup.account

    def moved(self, nick: str) -> None:
        """Whoever has that nick now, or nobody: an answer would be of somebody else."""
        lookup = self._open.pop(self._fold(nick), None)
        for event in lookup.held if lookup else ():
            self._release(event)

    def tick(self) -> None:
        now = self._clock()
        for nick, lookup in list(self._open.items()):
            if now >= lookup.ends:
                self.moved(nick)
