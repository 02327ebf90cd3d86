"""The channels where the bot belongs, whether it is there, and when it tries again where it was put out."""

import time
from collections.abc import Callable, Sequence

from kcibot.chat.irc.pace import Pace


class Channels:
    """Known under the names of the configuration, however the server spells them."""

    def __init__(
        self, wanted: Sequence[str], pace: Pace, fold: Callable[[str], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._wanted = tuple(wanted)
        self._pace = pace
        self._fold = fold
        self._clock = clock
        self._joined: set[str] = set()
        self._out: dict[str, int] = {}
        self._again_at: dict[str, float] = {}

    def named(self, name: str) -> str:
        """As the configuration spells it; empty if the bot does not serve it."""
        folded = self._fold(name)
        return next((channel for channel in self._wanted if self._fold(channel) == folded), "")

    @property
    def settled(self) -> bool:
        """In every channel, or told why not."""
        return all(channel in self._joined or channel in self._again_at for channel in self._wanted)

    def there(self, channel: str) -> bool:
        return channel in self._joined

    def joined(self, channel: str) -> None:
        self._joined.add(channel)
        self._again_at.pop(channel, None)

    def put_out(self, channel: str) -> float:
        """Kicked, banned, or never let in: seconds until the next try, longer from time to time."""
        times = self._out[channel] = self._out.get(channel, 0) + 1
        wait = min(self._pace.rejoin * float(2 ** min(times - 1, 20)), self._pace.longest_rejoin)
        self._joined.discard(channel)
        self._again_at[channel] = self._clock() + wait
        return wait

    def due(self) -> tuple[str, ...]:
        """Where to try again now; asked for once."""
        now = self._clock()
        due = tuple(channel for channel, at in self._again_at.items() if at <= now)
        for channel in due:
            self._again_at[channel] = now + self._pace.longest_rejoin
        return due
