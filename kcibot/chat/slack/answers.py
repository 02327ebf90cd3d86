"""What is said to a person aside from the core: that commands belong in the channel, that a button is out of date."""

import logging
import queue
import threading
from collections.abc import Callable

from kcibot.chat.slack.settings import SlackSettings
from kcibot.chat.slack.web import SlackWeb
from kcibot.errors import KcibotError

log = logging.getLogger(__name__)

MOST = 1000
WAITING = 100


class Answers:
    """Said by the connection's thread, not by that which has to acknowledge. An answer that fails is not repeated."""

    def __init__(self, web: SlackWeb, settings: SlackSettings, wake: Callable[[], None]) -> None:
        self._web = web
        self._settings = settings
        self._wake = wake
        self._told: dict[tuple[str, str], None] = {}
        self._lock = threading.Lock()
        self._waiting: queue.Queue[tuple[str, dict[str, str]]] = queue.Queue(WAITING)

    def belongs_elsewhere(self, channel: str, user: str) -> None:
        """Once for each person and conversation: a direct one, or a channel that is not served."""
        with self._lock:
            if (channel, user) in self._told or len(self._told) >= MOST:
                return
            self._told[channel, user] = None
        served = ", ".join(f"<#{one}>" for one in self._settings.channels)
        text = f"I take commands where everybody sees them: in {served}. Here I do nothing."
        if channel.startswith("D"):
            self._put("chat.postMessage", channel=channel, text=text)
        else:
            self._put("chat.postEphemeral", channel=channel, user=user, text=text)

    def out_of_date(self, channel: str, user: str) -> None:
        """For who pressed a button that is not there any more."""
        text = "That button is out of date, and nothing was done: the message has changed since."
        self._put("chat.postEphemeral", channel=channel, user=user, text=text)

    def give(self) -> None:
        """Say what is waiting to be said."""
        while True:
            try:
                method, arguments = self._waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._web.act(method, **arguments)
            except KcibotError as error:
                log.warning("an answer in %s was not given: %s", arguments["channel"], error)

    def _put(self, method: str, **arguments: str) -> None:
        try:
            self._waiting.put_nowait((method, arguments))
        except queue.Full:
            log.warning("too many answers are waiting; one in %s is left out", arguments["channel"])
            return
        self._wake()
