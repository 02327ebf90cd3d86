"""What the bot itself answers on IRC, without the core: `!more`, private messages, and what a client asks another."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from irc.ctcp import DELIMITER as CTCP

from kcibot.chat.irc.lines import compose
from kcibot.chat.irc.memory import Memory
from kcibot.chat.irc.mouth import Mouth
from kcibot.chat.irc.pace import Pace
from kcibot.chat.irc.render import MORE
from kcibot.chat.irc.session import Session
from kcibot.chat.irc.settings import IrcSettings
from kcibot.core.message import EventKind, Incoming

MOST_EARLY = 200
LONG_AGO = timedelta(minutes=1)


class FrontDesk:
    """An `Office`: keeps what it can answer alone, and passes on the rest. Called in the reader's thread, never waits.

    Answers to strangers are notices, which no bot answers, and not more than one in a while.
    """

    def __init__(
        self,
        settings: IrcSettings,
        pace: Pace,
        memory: Memory,
        mouth: Mouth,
        session: Callable[[], Session | None],
        pass_on: Callable[[Incoming], None],
    ) -> None:
        self._settings = settings
        self._pace = pace
        self._memory = memory
        self._mouth = mouth
        self._session = session
        self._pass_on = pass_on
        self._ways_to_ask = _ways_to_ask(settings)
        self._answered_at: float | None = None
        self._early: deque[Incoming] = deque(maxlen=MOST_EARLY)
        self._deciding = threading.Lock()

    def heard(self, event: Incoming) -> None:
        if event.kind is not EventKind.MESSAGE:
            self._reaction(event)
        elif event.text.lower() in self._ways_to_ask:
            self._more(event)
        else:
            self._pass_on(event)

    def _reaction(self, event: Incoming) -> None:
        """Some people react to the first line of a message before its last one is said: they have to wait for it."""
        with self._deciding:
            self._early.append(event)
        self.settle()

    def settle(self) -> None:
        """Pass on the reactions whose message has an id by now, in the order in which they came."""
        with self._deciding:
            waiting = list(self._early)
            self._early.clear()
            for event in waiting:
                target = event.target
                if target and self._memory.is_unsettled(target.channel, target.message_id):
                    self._early.append(event)
                elif target:
                    message_id = self._memory.message_of(target.channel, target.message_id)
                    self._pass_on(replace(event, target=replace(target, message_id=message_id)))

    def spoken_to(self, nick: str, text: str) -> None:
        """Commands are given where everybody sees them."""
        session = self._session()
        is_version = text.rstrip(CTCP).upper() == f"{CTCP}VERSION"
        if session is None or (text.startswith(CTCP) and not is_version) or not self._may_answer():
            return
        if is_version:
            session.link.send(compose("NOTICE", nick, text=f"{CTCP}VERSION kcibot{CTCP}"))
        else:
            channels = " or ".join(self._settings.channels)
            self._mouth.mention(session, "NOTICE", nick, (f"Commands belong in the channel: {channels}",))

    def _may_answer(self) -> bool:
        now = time.monotonic()
        if self._answered_at is not None and now - self._answered_at < self._pace.courtesy:
            return False
        self._answered_at = now
        return True

    def _more(self, event: Incoming) -> None:
        """What was typed while we were away is not wanted any more."""
        session, channel = self._session(), event.place.channel
        if session is None or datetime.now(UTC) - event.at > LONG_AGO:
            return
        page, left = self._memory.more(channel, self._settings.longest)
        if not page:
            if self._may_answer():
                self._mouth.mention(session, "PRIVMSG", channel, ("There is no more.",))
            return
        told = (*page, f"… {left} more lines: {MORE}") if left else page
        self._mouth.mention(session, "PRIVMSG", channel, self._mouth.fitted(session, channel, told))


def _ways_to_ask(settings: IrcSettings) -> frozenset[str]:
    """As commands may be written, in lower case."""
    nick = settings.nick
    named = [f"{start}{word}" for start in (f"@{nick} ", f"{nick}: ", f"{nick}, ") for word in ("more", MORE)]
    return frozenset(way.lower() for way in (MORE, *named))
