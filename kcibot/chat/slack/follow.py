"""One connection from its greeting to its end: what was missed is delivered, then votes are compared."""

import logging
import threading
import time
from collections.abc import Callable

from kcibot.chat.slack.answers import Answers
from kcibot.chat.slack.ear import Ear
from kcibot.chat.slack.errors import RateLimitedError, RoomGoneError
from kcibot.chat.slack.heard import Us, newest_in, number
from kcibot.chat.slack.manifest import EVENTS
from kcibot.chat.slack.missed import Missed
from kcibot.chat.slack.settings import SlackSettings
from kcibot.chat.slack.web import SlackWeb
from kcibot.core.ports import Listener
from kcibot.errors import KcibotError, PermanentError, TransientError

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
FIRST_AGAIN_SECONDS = 1.0
LONGEST_AGAIN_SECONDS = 60.0


class Follower:
    """Used by the connection's thread; `close` by others, and `changed` is set by others to wake it."""

    def __init__(
        self,
        web: SlackWeb,
        settings: SlackSettings,
        ear: Ear,
        answers: Answers,
        listener: Listener,
        stopping: threading.Event,
        changed: threading.Event,
    ) -> None:
        self.connected = False
        self._web = web
        self._settings = settings
        self._ear = ear
        self._answers = answers
        self._listener = listener
        self._stopping = stopping
        self._missed = Missed(web, settings)
        self._changed = changed
        self._again = FIRST_AGAIN_SECONDS

    def close(self) -> None:
        """Nothing is delivered from now on, but for what is being stored."""
        self._ear.closed.set()
        self._changed.set()

    def follow(self, us: Us) -> None:
        """Connect, and return when the connection has ended. Raises KcibotError if there was none."""
        from kcibot.chat.slack.socket_mode import Session  # noqa: PLC0415 (the bot must not wait for Slack's libraries)

        self._begin()
        ping = self._settings.ping.total_seconds()
        hear = self._ear.event, self._ear.press
        session = Session(us, self._web.socket_address, EVENTS, *hear, self._changed, ping)
        try:
            session.open()
            log.info("%s: connected as %s", self._settings.network, us.user)
            self._listen(session.take_greeting, lambda: session.alive)
        finally:
            self.connected = False
            session.close()

    def _begin(self) -> None:
        """From now on there may be a gap."""
        self._ear.caught_up.clear()
        self._ear.gap.set()
        if not self._ear.reached:
            newest = newest_in(self._listener.last_event(self._settings.network) or "")
            self._ear.reached.update(dict.fromkeys(self._settings.channels, self._missed.after(newest)))

    def _listen(self, greeted: Callable[[], bool], alive: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._settings.timeout.total_seconds()
        due = float("inf")
        while not self._stopping.is_set() and alive():
            self._changed.wait(min(LOOK_SECONDS, max(due - time.monotonic(), 0.0)))
            self._changed.clear()
            if greeted():
                self.connected, due = True, 0.0
            elif not self.connected and time.monotonic() > deadline:
                raise TransientError("Slack took the connection, and did not say hello.")
            self._answers.give()
            if self.connected and self._ear.must_look.is_set() and due == float("inf"):
                due = time.monotonic() + self._again
            if time.monotonic() >= due and not self._stopping.is_set():
                due = self._catch_up()
        if not self._stopping.is_set():
            log.warning("%s: the connection has ended", self._settings.network)

    def _catch_up(self) -> float:
        """When to do it again: never, if all is delivered."""
        self._ear.must_look.clear()
        try:
            for channel in self._settings.channels:
                self._deliver(channel)
        except KcibotError as error:
            self._ear.must_look.set()
            wait = max(self._again, error.seconds if isinstance(error, RateLimitedError) else 0.0)
            self._again = min(self._again * 2, LONGEST_AGAIN_SECONDS)
            log.warning("%s: what was missed cannot be seen yet: %s", self._settings.network, error)
            return time.monotonic() + wait
        self._again = FIRST_AGAIN_SECONDS
        self._ear.caught_up.set()
        if not self._ear.must_look.is_set():
            self._ear.gap.clear()
        self._listener.connected(self._settings.network)
        return float("inf")

    def _deliver(self, channel: str) -> None:
        """Raises TransientError; a channel that cannot be read at all must not keep the others waiting.

        What was said in it meanwhile is looked for after the bot was invited again.
        """
        try:
            lines = self._missed.lines(channel, self._ear.reached[channel])
        except (PermanentError, RoomGoneError) as error:
            log.error("%s: what is said in %s is not heard: %s", self._settings.network, channel, error)  # noqa: TRY400 (it says all)
            return
        for line in lines:
            if self._stopping.is_set():
                raise TransientError("Slack is not listened to any more.")
            self._ear.line(line, channel)
            self._ear.reached[channel] = max(self._ear.reached[channel], str(line["ts"]), key=number)
