"""Which services account is behind a nick, for as long as we can see that it is the same connection."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Seen:
    """Somebody with whom we share a channel. `account` is empty for none, and None while nobody told us."""

    nick: str
    account: str | None = None
    told_at: float = 0.0
    channels: set[str] = field(default_factory=set)


class Accounts:
    """Filled from account tags, joins, account notices, WHOX and WHOIS. Who is out of sight is forgotten.

    `lasts` is for how many seconds an answer is believed when the network does not tell of changes; None if it does.
    """

    def __init__(self, fold: Callable[[str], str], clock: Callable[[], float] = time.monotonic) -> None:
        self.lasts: float | None = None
        self._fold = fold
        self._clock = clock
        self._seen: dict[str, Seen] = {}

    def here(self, nick: str, channel: str) -> None:
        seen = self._seen.setdefault(self._fold(nick), Seen(nick))
        seen.nick = nick
        seen.channels.add(channel)

    def came(self, nick: str, channel: str) -> None:
        """Joined just now: perhaps not the one who had that nick when we saw it last."""
        seen = self._seen.get(self._fold(nick))
        if seen:
            seen.account = None
        self.here(nick, channel)

    def sees(self, nick: str) -> bool:
        return self._fold(nick) in self._seen

    def gone(self, nick: str, channel: str) -> None:
        """Left that channel; out of sight when it was the last."""
        seen = self._seen.get(self._fold(nick))
        if seen:
            seen.channels.discard(channel)
            if not seen.channels:
                self.quit(nick)

    def doubt(self) -> None:
        """Changes may have been missed: everybody has to be told anew."""
        for seen in self._seen.values():
            seen.account = None

    def quit(self, nick: str) -> None:
        self._seen.pop(self._fold(nick), None)

    def empty(self, channel: str) -> None:
        """We left that channel."""
        for seen in list(self._seen.values()):
            self.gone(seen.nick, channel)

    def renamed(self, old: str, new: str) -> None:
        """The same connection under another nick."""
        seen = self._seen.pop(self._fold(old), None)
        if seen:
            seen.nick = new
            self._seen[self._fold(new)] = seen

    def told(self, nick: str, account: str) -> None:
        """The network vouches for it; `*` and `0` are its words for nobody."""
        seen = self._seen.get(self._fold(nick))
        if seen:
            seen.account = "" if account in ("*", "0") else account
            seen.told_at = self._clock()

    def of(self, nick: str) -> str | None:
        """The account, empty if there is none; None if it is not known, or not any more."""
        seen = self._seen.get(self._fold(nick))
        if seen is None or seen.account is None:
            return None
        fresh = self.lasts is None or self._clock() - seen.told_at < self.lasts
        return seen.account if fresh else None

    def nick_of(self, account: str) -> str:
        """How somebody is called now who is logged in as that; empty if nobody in sight is."""
        everybody = list(self._seen.values())  # another thread may add to it meanwhile
        return next((seen.nick for seen in everybody if account and seen.account == account), "")
