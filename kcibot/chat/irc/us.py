"""Who the bot is on an IRC network, and what was agreed on with the server."""

from collections.abc import Iterable

from kcibot.chat.irc.wire import fold

HOST_LENGTH = 63
USER_LENGTH = 11


class Us:
    """During one connection. `shown` is the nick!user@host under which the others see us, once the server said it."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self.nick = wanted
        self.enabled: set[str] = set()
        self._features: dict[str, str] = {}
        self._shown = ""

    def has(self, capability: str) -> bool:
        return capability in self.enabled

    def offers(self, feature: str) -> bool:
        """What the server says of itself (numeric 005)."""
        return feature in self._features

    def learn(self, features: Iterable[str]) -> None:
        for feature in features:
            name, _, value = feature.partition("=")
            self._features[name.upper()] = value

    def fold(self, name: str) -> str:
        return fold(name, self._features.get("CASEMAPPING", "rfc1459"))

    def same(self, one: str, other: str) -> bool:
        return self.fold(one) == self.fold(other)

    def is_me(self, nick: str) -> bool:
        return self.same(nick, self.nick)

    @property
    def mask(self) -> str:
        """At its longest until the server has shown it."""
        return self._shown or f"{self.nick}!{'u' * USER_LENGTH}@{'h' * HOST_LENGTH}"

    def shown_as(self, mask: str) -> None:
        self._shown = mask if "!" in mask else ""

    def renamed(self, new: str) -> None:
        self._shown = self._shown and f"{new}!{self._shown.partition('!')[2]}"
        self.nick = new
