"""What the bot says in Slack: messages, edits, whispers, and finding again what may have been posted."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from kcibot.chat.slack.buttons import Offers
from kcibot.chat.slack.errors import RoomGoneError
from kcibot.chat.slack.files import Annex, Files, Spot, annex
from kcibot.chat.slack.heard import Us, number
from kcibot.chat.slack.render import SlackMessage, blocks
from kcibot.chat.slack.rooms import Rooms
from kcibot.chat.slack.settings import SlackSettings
from kcibot.chat.slack.web import Answer, Message, SlackWeb, part
from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import URGENT, Notice
from kcibot.errors import NotFound, OutcomeUnknown

MARK = "kcibot"
A_USER = re.compile(r"[UW][A-Z0-9]{2,}")
FOUND_WITHIN = timedelta(days=7)
"""How far back a message is looked for that may have been posted: the bot was not away for longer than that."""


class Posts:
    """Called by one sender thread. Prompts, alerts and errors go to the channel, the rest below its message."""

    def __init__(
        self,
        web: SlackWeb,
        settings: SlackSettings,
        mention: Callable[[str], str],
        offers: Offers,
        us: Callable[[], Us],
        rooms: Rooms,
    ) -> None:
        self._web = web
        self._settings = settings
        self._mention = mention
        self._offers = offers
        self._us = us
        self._rooms = rooms
        self._files = Files(web, us, settings.fonts)
        self._owed: dict[str, Annex] = {}

    def post(self, place: Place, notice: Notice, key: str, thread: MessageRef | None) -> MessageRef:
        """Raises OutcomeUnknown if it may have been posted; `find` knows it by its key then."""
        shown = blocks(notice, self._mention)
        try:
            if A_USER.fullmatch(notice.whisper):
                return self._whisper(place, notice.whisper, shown)
            below = thread.message_id if thread and notice.level not in URGENT else ""
            return self._say(place, shown, key, below, annex(notice, shown.rest))
        except RoomGoneError as error:
            self._rooms.note_closed(place.channel, error)
            raise

    def edit(self, ref: MessageRef, notice: Notice) -> None:
        """Raises NotFound for what is gone, and for a whisper: nobody can change one."""
        shown = blocks(notice, self._mention)
        self._offers.forget(ref.channel, ref.message_id)
        try:
            answer = self._web.act(
                "chat.update", channel=ref.channel, ts=ref.message_id, text=shown.text, blocks=shown.blocks
            )
        except RoomGoneError as error:
            self._rooms.note_closed(ref.channel, error)
            raise
        self._offers.note(ref.channel, ref.message_id, shown.blocks)
        root = str(part(answer, "message").get("thread_ts") or ref.message_id)
        self._files.complete(Spot(ref.channel, ref.message_id, root), annex(notice, shown.rest))

    def find(self, place: Place, key: str) -> MessageRef | None:
        """Looks through a week of the channel, and through the threads in it. Raises if it could not see all of it."""
        try:
            return self._found(place, key)
        except RoomGoneError as error:
            self._rooms.note_closed(place.channel, error)
            raise

    def _say(self, place: Place, shown: SlackMessage, key: str, below: str, new: Annex) -> MessageRef:
        try:
            answer, below = self._posted_somewhere(place, shown, key, below)
        except OutcomeUnknown:
            self._owed[key] = new
            raise
        ts = str(answer["ts"])
        self._rooms.note_open(place.channel)
        self._offers.note(place.channel, ts, shown.blocks)
        self._files.follow(Spot(place.channel, ts, below or ts), new)
        return self._ref(place.channel, ts)

    def _posted_somewhere(self, place: Place, shown: SlackMessage, key: str, below: str) -> tuple[Answer, str]:
        """In the channel itself if its thread was deleted, or takes no replies any more."""
        try:
            return self._posted(place, shown, key, below), below
        except NotFound:
            if not below:
                raise
            return self._posted(place, shown, key, ""), ""

    def _posted(self, place: Place, shown: SlackMessage, key: str, below: str) -> Answer:
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
        if not answer.get("ts"):
            raise OutcomeUnknown("Slack took a message, and did not say which one it is.")
        return answer

    def _found(self, place: Place, key: str) -> MessageRef | None:
        for message in self._written(place.channel):
            payload = part(part(message, "metadata"), "event_payload")
            if payload.get("key") == key and self._us().wrote(message):
                ts = str(message.get("ts"))
                if key in self._owed:
                    self._files.complete(Spot(place.channel, ts, str(message.get("thread_ts") or ts)), self._owed[key])
                    del self._owed[key]
                return self._ref(place.channel, ts)
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
        return self._ref(place.channel, str(answer.get("message_ts", "")))

    def _ref(self, channel: str, message_id: str) -> MessageRef:
        return MessageRef(self._settings.network, channel, message_id)
