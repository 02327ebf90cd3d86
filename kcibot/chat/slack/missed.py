"""What was typed in a channel while nobody listened, in its threads too, in the order in which it was typed."""

import time
from collections.abc import Iterator

from kcibot.chat.slack.heard import number
from kcibot.chat.slack.settings import SlackSettings
from kcibot.chat.slack.web import Message, SlackWeb


class Missed:
    """Reads the history of one channel."""

    def __init__(self, web: SlackWeb, settings: SlackSettings) -> None:
        self._web = web
        self._settings = settings

    def horizon(self) -> str:
        """The time before which nothing is looked for; threads that began earlier are not looked into."""
        return f"{max(time.time() - self._settings.missed.total_seconds(), 0):.6f}"

    def lines(self, channel: str, since: str) -> list[Message]:
        """All that was written after `since` (a ts), oldest first. Raises if that cannot be seen, or not all of it."""
        horizon = self.horizon()
        since = max(since, horizon, key=number)
        found = dict[str, Message]()
        for message in self._threads_too(channel, horizon, since):
            ts = str(message.get("ts") or "0.0")
            if number(ts) > number(since):
                found[ts] = message
        return [found[ts] for ts in sorted(found, key=number)]

    def _threads_too(self, channel: str, horizon: str, since: str) -> Iterator[Message]:
        """A history tells of a thread only when its last line was written."""
        talked = list[str]()
        for message in self._web.pages("conversations.history", channel=channel, oldest=horizon):
            yield message
            latest = str(message.get("latest_reply") or "")
            if latest and number(latest) > number(since):
                talked.append(str(message.get("ts")))
        for ts in talked:
            yield from self._web.pages("conversations.replies", channel=channel, ts=ts, oldest=since)
