"""From a line of the server to an event of the inbox."""

import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from kcibot.chat.irc.lines import Line, heard
from kcibot.core.message import EventKind, Incoming, MessageRef, Place

REPLY_TAGS = ("+draft/reply", "+reply")
REACTIONS = {"+draft/react": EventKind.REACTION_ADDED, "+draft/unreact": EventKind.REACTION_REMOVED}
SKEW = timedelta(seconds=30)
"""A server's clock may differ by so much without our minding."""


class Events:
    """Makes events of one network. A reaction points at a line."""

    def __init__(self, network: str, now: Callable[[], datetime]) -> None:
        self._network = network
        self._now = now
        self._begun = f"{time.time_ns():x}"
        self._numbers = itertools.count(1)
        self._skew = timedelta()

    def measure(self, line: Line) -> None:
        """A line that was made just now tells how wrong the server's clock is."""
        told = _told(line)
        if told:
            skew = self._now() - told
            self._skew = skew if abs(skew) > SKEW else timedelta()

    def message(self, line: Line, channel: str, identity: str) -> Incoming:
        return self._event(line, channel, identity, EventKind.MESSAGE, heard(line.text))

    def reaction(self, line: Line, channel: str, identity: str) -> Incoming | None:
        """None for a TAGMSG that is none, such as somebody typing."""
        tag = next((tag for tag in REACTIONS if line.tags.get(tag)), None)
        message_id = next((line.tags[tag] for tag in REPLY_TAGS if line.tags.get(tag)), "")
        if tag is None or not message_id:
            return None
        target = MessageRef(self._network, channel, message_id)
        return self._event(line, channel, identity, REACTIONS[tag], heard(line.tags[tag]), target)

    def _event(
        self, line: Line, channel: str, identity: str, kind: EventKind, text: str, target: MessageRef | None = None
    ) -> Incoming:
        event_id = line.tags.get("msgid") or f"{self._begun}-{next(self._numbers)}"
        told = _told(line)
        at = told + self._skew if told else self._now()
        return Incoming(event_id, kind, Place(self._network, channel), identity, line.nick, text, at, target)


def _told(line: Line) -> datetime | None:
    """When the server had it (server-time); None where it does not say so in words that can be read."""
    try:
        told = datetime.fromisoformat(line.tags.get("time", ""))
    except ValueError:
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)
