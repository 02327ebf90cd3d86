"""Channels in which the bot is not, or must not speak: it is said once, in another one."""

import logging
import threading

from kcibot.chat.slack.errors import RoomGoneError
from kcibot.chat.slack.text import escape
from kcibot.chat.slack.web import SlackWeb
from kcibot.errors import KcibotError

log = logging.getLogger(__name__)


class Rooms:
    """Which of the served channels are closed to the bot, as far as it noticed. For several threads.

    What is said there waits: whoever sends goes on with the other channels.
    """

    def __init__(self, web: SlackWeb, channels: tuple[str, ...]) -> None:
        self._web = web
        self._channels = channels
        self._closed: set[str] = set()
        self._lock = threading.Lock()

    def note_closed(self, channel: str, error: RoomGoneError) -> None:
        """Said once, in the log and in another channel, until it was open again."""
        if self._is_new(channel):
            log.error("what is said in %s waits: %s", channel, error)
            self._tell(channel, error)

    def note_open(self, channel: str) -> None:
        with self._lock:
            self._closed.discard(channel)

    def _is_new(self, channel: str) -> bool:
        with self._lock:
            is_new = channel not in self._closed
            self._closed.add(channel)
            return is_new

    def _open_ones(self) -> list[str]:
        with self._lock:
            return [one for one in self._channels if one not in self._closed]

    def _tell(self, channel: str, error: RoomGoneError) -> None:
        """In the first channel that takes it."""
        why = escape(f"{error} Until that is mended, what I would say there waits.")
        for other in self._open_ones():
            try:
                self._web.act("chat.postMessage", channel=other, text=f"I cannot speak in <#{channel}>. {why}")
            except RoomGoneError as another:
                self._is_new(other)
                log.error("nor can anything be said in %s: %s", other, another)  # noqa: TRY400 (it says all)
            except KcibotError as another:
                log.warning("and that could not be said in %s: %s", other, another)
                return
            else:
                return
