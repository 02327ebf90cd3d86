"""What the bot says in Slack: messages, edits, whispers, files, and finding again what may have been posted."""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from kcibot.chat.slack.buttons import Offers
from kcibot.chat.slack.heard import Us, number
from kcibot.chat.slack.render import SlackMessage, blocks
from kcibot.chat.slack.settings import SlackSettings
from kcibot.chat.slack.text import escape
from kcibot.chat.slack.web import Message, SlackWeb, part
from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import URGENT, Notice
from kcibot.errors import KcibotError, OutcomeUnknown, PermanentError

log = logging.getLogger(__name__)

MARK = "kcibot"
A_USER = re.compile(r"[UW][A-Z0-9]{2,}")
FOUND_WITHIN = timedelta(days=7)
"""How far back a message is looked for that may have been posted: the bot was not away for longer than that."""
TITLE = 80


class Posts:
    """Called by one sender thread. Prompts, alerts and errors go to the channel, the rest below its message."""

    def __init__(
        self,
        web: SlackWeb,
        settings: SlackSettings,
        mention: Callable[[str], str],
        offers: Offers,
        us: Callable[[], Us],
    ) -> None:
        self._web = web
        self._settings = settings
        self._mention = mention
        self._offers = offers
        self._us = us
        self._rests: dict[str, tuple[str, str]] = {}

    def post(self, place: Place, notice: Notice, key: str, thread: MessageRef | None) -> MessageRef:
        """Raises OutcomeUnknown if it may have been posted; `find` knows it by its key then."""
        shown = blocks(notice, self._mention)
        if A_USER.fullmatch(notice.whisper):
            return self._whisper(place, notice.whisper, shown)
        below = thread.message_id if thread and notice.level not in URGENT else ""
        if shown.rest:
            self._rests[key] = (notice.title, shown.rest)
        try:
            answer = self._web.act(
                "chat.postMessage",
                channel=place.channel,
                text=shown.text,
                blocks=shown.blocks,
                metadata={"event_type": MARK, "event_payload": {"key": key}},
                unfurl_links=False,
                unfurl_media=False,
                **({"thread_ts": below} if below else {}),
            )
        except PermanentError:
            self._rests.pop(key, None)
            raise
        ts = str(answer.get("ts", ""))
        if not ts:
            raise OutcomeUnknown("Slack took a message, and did not say which one it is.")
        self._offers.note(place.channel, ts, shown.blocks)
        self._upload_rest(key, place.channel, below or ts)
        return MessageRef(self._settings.network, place.channel, ts)

    def edit(self, ref: MessageRef, notice: Notice) -> None:
        """Raises NotFound for what is gone, and for a whisper: nobody can change one."""
        shown = blocks(notice, self._mention)
        self._offers.forget(ref.channel, ref.message_id)
        self._web.act("chat.update", channel=ref.channel, ts=ref.message_id, text=shown.text, blocks=shown.blocks)
        self._offers.note(ref.channel, ref.message_id, shown.blocks)

    def find(self, place: Place, key: str) -> MessageRef | None:
        """Looks through a week of the channel, and through the threads in it. Raises if it could not see all of it."""
        for message in self._written(place.channel):
            payload = part(part(message, "metadata"), "event_payload")
            if payload.get("key") == key and self._us().wrote(message):
                ts = str(message.get("ts"))
                self._upload_rest(key, place.channel, str(message.get("thread_ts") or ts))
                return MessageRef(self._settings.network, place.channel, ts)
        return None

    def _written(self, channel: str) -> Iterator[Message]:
        """What was written there of late, the newest first, and what stands in threads."""
        oldest = f"{time.time() - FOUND_WITHIN.total_seconds():.6f}"
        threads = list[str]()
        for message in self._history("conversations.history", channel, oldest):
            yield message
            latest = str(message.get("latest_reply") or "")
            if latest and number(latest) >= number(oldest):
                threads.append(str(message.get("ts")))
        for ts in threads:
            yield from self._history("conversations.replies", channel, oldest, ts=ts)

    def _history(self, method: str, channel: str, oldest: str, **more: object) -> Iterator[Message]:
        return self._web.pages(method, channel=channel, oldest=oldest, include_all_metadata=True, **more)

    def _whisper(self, place: Place, user: str, shown: SlackMessage) -> MessageRef:
        answer = self._web.act(
            "chat.postEphemeral", channel=place.channel, user=user, text=shown.text, blocks=shown.blocks
        )
        return MessageRef(self._settings.network, place.channel, str(answer.get("message_ts", "")))

    def _upload_rest(self, key: str, channel: str, thread: str) -> None:
        """What did not fit follows as a file. That it cannot does not make the message unsaid."""
        title, rest = self._rests.pop(key, ("", ""))
        if not rest:
            return
        name = f"kcibot-{hashlib.sha256(key.encode()).hexdigest()[:12]}.txt"
        try:
            self._web.upload(channel, thread, name, title[:TITLE], rest)
        except KcibotError as error:
            log.warning("the rest of %s was not uploaded: %s", key, error)
            self._regret(channel, thread, error)

    def _regret(self, channel: str, thread: str, error: KcibotError) -> None:
        text = escape(f"I could not upload the rest of this: {error}")
        try:
            self._web.act("chat.postMessage", channel=channel, thread_ts=thread, text=text)
        except KcibotError as another:
            log.warning("and that could not be said: %s", another)
