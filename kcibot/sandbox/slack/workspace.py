"""The workspace: people, channels and messages, and what follows from every act, whoever acts."""

import copy
import itertools
import re
import threading
from collections.abc import Callable
from typing import Any

from kcibot.sandbox.slack import events
from kcibot.sandbox.slack.message import Ephemeral, Message
from kcibot.sandbox.slack.people import TEAM, Channel, Person, SlackApp

MICROSECONDS = 1_000_000
SEQUENCE_STEP = 100
ALIASES = {"thumbsup": "+1", "thumbsdown": "-1"}  # Slack stores the first name of an emoji


class NoSuchThingError(LookupError):
    """No such person, channel, message or button."""


class Workspace:
    """What Slack keeps. Every change is made under `lock`, with its events sent before the lock is given back.

    `deliver` gets the event callbacks that the app subscribed to, may see by its scopes, and is a member for.
    `skew` is added to the clock when a ts is made; a ts is unique and never runs back, whatever the clock does.
    """

    def __init__(self, app: SlackApp, deliver: Callable[[dict[str, Any]], None], now: Callable[[], float]) -> None:
        self.app = app
        self.lock = threading.RLock()
        self.people: dict[str, Person] = {}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[str, dict[str, Message]] = {}
        self.ephemerals: list[Ephemeral] = []
        self.skew = 0.0
        self._deliver = deliver
        self._now = now
        self._last = 0
        self._numbers = itertools.count(1)

    def new_ts(self) -> str:
        """Seconds and a sequence number of six digits, such as 1700000000.000100."""
        second = int(self._now() + self.skew) * MICROSECONDS
        self._last = max(self._last + SEQUENCE_STEP, second + SEQUENCE_STEP)
        return f"{self._last // MICROSECONDS}.{self._last % MICROSECONDS:06d}"

    def new_id(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers):08d}"

    def person(self, user: str) -> Person:
        if user not in self.people:
            raise NoSuchThingError(f"there is no person {user}")
        return self.people[user]

    def channel(self, channel: str) -> Channel:
        if channel not in self.channels:
            raise NoSuchThingError(f"there is no channel {channel}")
        return self.channels[channel]

    def message(self, channel: str, ts: str) -> Message:
        found = self.messages.get(channel, {}).get(ts)
        if found is None:
            raise NoSuchThingError(f"there is no message {ts} in {channel}")
        return found

    def direct(self, user: str) -> Channel:
        """The conversation of the app with that person, opened when it is not there."""
        for channel in self.channels.values():
            if channel.direct and user in channel.members:
                return channel
        opened = Channel(self.new_id("D"), "", {user, self.app.user})
        self.channels[opened.id] = opened
        return opened

    def post(self, message: Message, broadcast: str = "") -> Message:
        """Keep it, note a reply at its thread, tell the app. `broadcast` is the subtype of a reply shown to all."""
        with self.lock:
            self.messages.setdefault(message.channel, {})[message.ts] = message
            if message.is_reply:
                self._note_reply(message, broadcast)
            self.number_blocks(message.blocks)
            channel = self.channel(message.channel)
            self._emit(events.said(message, channel), channel)
            if self._names_app(message.text) and message.user != self.app.user and not message.subtype:
                self._emit(events.mentioned(message, channel), channel)
            return message

    def _names_app(self, text: str) -> bool:
        return f"<@{self.app.user}>" in text

    def _note_reply(self, message: Message, broadcast: str) -> None:
        parent = self.message(message.channel, message.thread_ts)
        parent.thread_ts = parent.ts
        parent.replies.append(message.ts)
        if message.user not in parent.reply_users:
            parent.reply_users.append(message.user)
        message.parent_user = parent.user
        message.subtype = broadcast or message.subtype

    def number_blocks(self, blocks: list[dict[str, Any]]) -> None:
        """A block without an id is given one (published with every block)."""
        for block in blocks:
            block.setdefault("block_id", self.new_id("b"))

    def change(self, message: Message, editor: str, **new: Any) -> None:
        """Set the given attributes of the message, mark it as edited by `editor` unless that is "", and tell the app.

        A person's edit of what names the app sends app_mention anew, with `edited` (bolt-js issue 960).
        """
        with self.lock:
            before = copy.deepcopy(message.as_json())
            for name, value in new.items():
                setattr(message, name, value)
            self.number_blocks(message.blocks)
            ts = self.new_ts()
            if editor:
                message.edited = {"user": editor, "ts": ts}
            channel = self.channel(message.channel)
            self._emit(events.changed(message, before, channel, ts), channel)
            if editor and editor != self.app.user and self._names_app(message.text):
                self._emit(events.mentioned(message, channel), channel)

    def delete(self, message: Message) -> None:
        """Gone; but the first message of a thread leaves a tombstone (seen in public recordings)."""
        with self.lock:
            channel = self.channel(message.channel)
            self._emit(events.deleted(copy.deepcopy(message), channel, self.new_ts()), channel)
            if message.replies:
                message.subtype, message.text, message.blocks = "tombstone", "This message was deleted.", []
                message.metadata, message.attachments, message.user = None, [], "USLACKBOT"
                return
            del self.messages[message.channel][message.ts]
            if message.is_reply:
                parent = self.messages[message.channel].get(message.thread_ts)
                if parent is not None:
                    parent.replies.remove(message.ts)

    def react(self, message: Message, user: str, name: str) -> bool:
        """Whether it is new."""
        name = plain_name(name)
        with self.lock:
            users = message.reactions.setdefault(name, [])
            if user in users:
                return False
            users.append(user)
            self._emit_reaction("reaction_added", message, user, name)
            return True

    def unreact(self, message: Message, user: str, name: str) -> bool:
        """Whether it was there."""
        name = plain_name(name)
        with self.lock:
            if user not in message.reactions.get(name, ()):
                return False
            message.reactions[name].remove(user)
            if not message.reactions[name]:
                del message.reactions[name]
            self._emit_reaction("reaction_removed", message, user, name)
            return True

    def join(self, user: str, channel: str) -> None:
        with self.lock:
            place = self.channel(channel)
            place.members.add(user)
            self._tell_membership("joined", self.person(user), place)

    def leave(self, user: str, channel: str) -> None:
        with self.lock:
            place = self.channel(channel)
            self._tell_membership("left", self.person(user), place)
            place.members.discard(user)

    def _tell_membership(self, what: str, user: Person, channel: Channel) -> None:
        """An event, and a line in the channel (published: subtypes channel_join and channel_leave)."""
        self._emit(events.membership(f"member_{what}_channel", user, channel, self.new_ts()), channel)
        subtype = {"joined": "channel_join", "left": "channel_leave"}[what]
        line = Message(channel.id, self.new_ts(), user.id, f"<@{user.id}> has {what} the channel", user.team)
        line.subtype = subtype
        self.post(line)

    def _emit_reaction(self, kind: str, message: Message, user: str, name: str) -> None:
        event = events.reacted(kind, message, user, name, self.new_ts())
        self._emit(event, self.channel(message.channel))

    def _emit(self, event: dict[str, Any], channel: Channel) -> None:
        subscribed = event["type"] in self.app.events and events.scope(event, channel) in self.app.scopes
        if subscribed and self.app.user in channel.members:
            self._deliver(events.callback(copy.deepcopy(event), self.new_id("Ev"), self.app, channel))


def plain_name(name: str) -> str:
    """The name under which Slack keeps a reaction: of the aliases the first one, with its skin tone."""
    first, *tone = name.split("::", 1)
    return "::".join([ALIASES.get(first, first), *tone])


def is_emoji_name(name: str) -> bool:
    """Whether it has the form of one; whether the workspace knows such an emoji is not checked."""
    return re.fullmatch(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?", name) is not None


def _rich_text(text: str) -> str:
    """What the client's editor makes of a text that begins as a quote, as code, or as neither."""
    if text.startswith("&gt;"):
        return "rich_text_quote"
    return "rich_text_preformatted" if text.startswith("```") else "rich_text_section"


def human(workspace: Workspace, user: Person, channel: str, text: str) -> Message:
    """A message as a person's client makes it, with the rich text block that goes with it."""
    section = {"type": _rich_text(text), "elements": [{"type": "text", "text": text}]}
    blocks = [{"type": "rich_text", "elements": [section]}] if text else []
    number = workspace.new_id("")
    message = Message(channel, workspace.new_ts(), user.id, text, user.team or TEAM, blocks=blocks, bot_id=user.bot_id)
    message.client_msg_id = "" if user.bot_id else f"00000000-0000-4000-8000-{int(number):012d}"
    return message
