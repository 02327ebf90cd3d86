"""Which commands the bot's messages offer by buttons as they stand now: a press counts for nothing else."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kcibot.chat.slack.heard import Press, Us
from kcibot.chat.slack.web import Message, SlackWeb, messages

MOST = 2000


class Offers:
    """Remembers the newest content of what the bot wrote; what it does not remember, it looks up."""

    def __init__(self, web: SlackWeb, us: Callable[[], Us]) -> None:
        self._web = web
        self._us = us
        self._lock = threading.Lock()
        self._values: dict[tuple[str, str], frozenset[str]] = {}

    def note(self, channel: str, ts: str, blocks: Iterable[Mapping[str, Any]]) -> None:
        """That message of the bot's stands so now."""
        with self._lock:
            self._values.pop((channel, ts), None)
            self._values[channel, ts] = values(blocks)
            if len(self._values) > MOST:
                self._values.pop(next(iter(self._values)))

    def forget(self, channel: str, ts: str) -> None:
        """How it stands is not known."""
        with self._lock:
            self._values.pop((channel, ts), None)

    def has(self, press: Press) -> bool:
        """Whether a message of the bot's offers that command there, now. Raises if that cannot be seen."""
        channel = press.said.channel
        with self._lock:
            known = self._values.get((channel, press.message))
        if known is not None:
            return press.said.text in known
        message = self._look_up(channel, press.message, press.thread)
        if message is None or not self._us().wrote(message):
            return False
        return press.said.text in values(_list(message.get("blocks")))

    def _look_up(self, channel: str, ts: str, thread: str) -> Message | None:
        exactly: dict[str, object] = {"channel": channel, "latest": ts, "oldest": ts, "inclusive": True}
        if thread and thread != ts:
            answer = self._web.glance("conversations.replies", ts=thread, limit=2, **exactly)
        else:
            answer = self._web.glance("conversations.history", limit=1, **exactly)
        return next((one for one in messages(answer) if one.get("ts") == ts), None)


def values(blocks: Iterable[object]) -> frozenset[str]:
    """The values of every button."""
    found = set[str]()
    for block in blocks:
        inside = [*_list(block.get("elements")), block.get("accessory")] if isinstance(block, dict) else []
        for element in inside:
            if isinstance(element, dict) and element.get("type") == "button" and element.get("value"):
                found.add(str(element["value"]))
    return frozenset(found)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
