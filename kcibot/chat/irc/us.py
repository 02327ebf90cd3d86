"""Who the bot is on an IRC network, and what was agreed on with the server."""

import logging
from collections.abc import Iterable

from irc.features import FeatureSet

from kcibot.chat.irc.lines import fold

log = logging.getLogger(__name__)

HOST_LENGTH = 64
USER_LENGTH = 11
USED = frozenset({"CASEMAPPING", "PREFIX", "WHOX"})
"""The others are not kept: the library makes attributes of them, and some would hide its methods."""


class Us:
    """During one connection. `shown` is the nick!user@host under which the others see us, once the server said it."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self.nick = wanted
        self.enabled: set[str] = set()
        self._features = FeatureSet()
        self._shown = ""

    def has(self, capability: str) -> bool:
        return capability in self.enabled

    def offers(self, feature: str) -> bool:
        """What the server says of itself (numeric 005)."""
        return hasattr(self._features, feature.lower())

    def learn(self, features: Iterable[str]) -> None:
        """What is new, changed, or with a minus taken back."""
        for feature in features:
            name, _, value = feature.partition("=")
            if name.removeprefix("-").upper() in USED:
                self._load(name.upper(), value)

    def _load(self, name: str, value: str) -> None:
        """The library passes over a feature without a value, such as WHOX, unless it has its equals sign."""
        try:
            self._features.load_feature(name if name.startswith("-") else f"{name}={value}")
        except ValueError:
            log.warning("irc: the server says what cannot be understood: %s=%s", name, value)

    @property
    def ranks(self) -> str:
        """Signs before a nick in a list of names."""
        known = getattr(self._features, "prefix", None)
        return "".join(known) if isinstance(known, dict) else ""

    def fold(self, name: str) -> str:
        return fold(name, str(getattr(self._features, "casemapping", "rfc1459")).lower())

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
