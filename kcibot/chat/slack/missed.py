"""What was typed in a channel while nobody listened, in its threads too, in the order in which it was typed."""

import time
from collections.abc import Iterator
from datetime import timedelta

from kcibot.chat.slack.heard import number
from kcibot.chat.slack.settings import SlackSettings
from kcibot.chat.slack.web import Message, SlackWeb

THREADS = timedelta(days=7)
"""A release is talked about for days below its card, of which the history tells only where it was posted."""
OVERLAP = timedelta(minutes=15)
"""What was stored last may have come before what was missed until then: while the history could not be read, say."""


class Missed:
    """Reads the history of one channel."""

    def __init__(self, web: SlackWeb, settings: SlackSettings) -> None:
        self._web = web
        self._settings = settings

    def horizon(self) -> str:
        """The time before which nothing is looked for."""
        return _ago(self._settings.missed)

    def after(self, newest: str) -> str:
        """From when on is looked for, if that is the newest time of which something was stored; empty if none was."""
        if not newest:
            return self.horizon()
        seconds, rest = number(newest)
        return max(f"{max(seconds - int(OVERLAP.total_seconds()), 0)}.{rest:09d}", self.horizon(), key=number)

    def lines(self, channel: str, since: str) -> list[Message]:
        """All that was written after `since` (a ts), oldest first. Raises if that cannot be seen, or not all of it.

        Threads that began more than a week ago are not looked into.
        """
        since = max(since, self.horizon(), key=number)
        begun = min(_ago(max(THREADS, self._settings.missed)), since, key=number)
        found = dict[str, Message]()
        for message in self._threads_too(channel, begun, since):
            ts = str(message.get("ts") or "0.0")
            if number(ts) > number(since):
                found[ts] = message
        return [found[ts] for ts in sorted(found, key=number)]

    def _threads_too(self, channel: str, begun: str, since: str) -> Iterator[Message]:
        """A history tells of a thread only when its last line was written."""
        talked = list[str]()
        for message in self._web.pages("conversations.history", channel=channel, oldest=begun):
            yield message
            latest = str(message.get("latest_reply") or "")
            if latest and number(latest) > number(since):
                talked.append(str(message.get("ts")))
        for ts in talked:
            yield from self._web.pages("conversations.replies", channel=channel, ts=ts, oldest=since)


def _ago(past: timedelta) -> str:
    return f"{max(time.time() - past.total_seconds(), 0):.6f}"
