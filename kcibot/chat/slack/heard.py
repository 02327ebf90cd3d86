"""What people did, read out of Slack's events, payloads and history; what is no command of a person's is None.

Nothing here trusts that a field is there or of the right type. Fields: https://docs.slack.dev/reference/events/message
and .../reaction_added, and the block_actions payload.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kcibot.chat.slack.text import plain

TS = re.compile(r"\d{1,11}\.\d{1,9}")
ANY_TS = re.compile(r"(?<!\d)\d{9,11}\.\d{6}(?!\d)")
TYPED = frozenset({"", "thread_broadcast", "file_share"})
QUOTED = ("&gt;", ">", "`")
QUOTES = frozenset({"rich_text_quote", "rich_text_preformatted"})
UNFURLED = ("from_url", "original_url")
SHARED = ("is_share", "is_msg_unfurl", "message_blocks")


@dataclass(frozen=True, slots=True)
class Us:
    """Who the bot is there: its user, its bot id, its workspace, and what it is called."""

    user: str
    bot: str
    team: str
    name: str

    def wrote(self, message: Mapping[str, Any]) -> bool:
        mine = bool(self.user) and message.get("user") == self.user
        return mine or (bool(self.bot) and message.get("bot_id") == self.bot)


@dataclass(frozen=True, slots=True)
class Said:
    """A line that a person typed, or a command whose button was pressed. `team` is that of the person, if known."""

    event_id: str
    channel: str
    user: str
    team: str
    text: str
    ts: str


@dataclass(frozen=True, slots=True)
class Reacted:
    """A reaction that came or went."""

    event_id: str
    channel: str
    user: str
    name: str
    ts: str
    item: str


@dataclass(frozen=True, slots=True)
class Press:
    """A button that was pressed, and where it stands."""

    said: Said
    message: str
    thread: str


def moment(ts: str) -> datetime:
    """When that was, by Slack's clock."""
    return datetime.fromtimestamp(float(ts), UTC)


def number(ts: str) -> tuple[int, int]:
    """For comparing; as a float the last digits would be lost. What is no ts is before all others."""
    if not TS.fullmatch(ts):
        return 0, 0
    seconds, _, rest = ts.partition(".")
    return int(seconds), int(rest.ljust(9, "0"))


def newest_in(event_id: str) -> str:
    """The newest time that is named in the id of a stored event; empty if there is none."""
    return max(ANY_TS.findall(event_id), key=number, default="")


def said(message: Mapping[str, Any], channel: str, us: Us) -> Said | None:
    """What a person typed there, whether it comes as an event or out of the history."""
    user, text, ts = _text(message, "user"), _text(message, "text"), _text(message, "ts")
    if not (user and text.strip() and TS.fullmatch(ts)) or not _is_typed(message, us) or _is_quoted(message, text):
        return None
    team = _text(message, "user_team") or _text(message, "team")
    shown = plain(text, lambda who: us.name if who == us.user else who)
    return Said(f"{channel}:{ts}", channel, user, team, shown, ts)


def reacted(event: Mapping[str, Any]) -> Reacted | None:
    """The reaction of an event to a message."""
    item = event.get("item")
    if not isinstance(item, dict) or item.get("type") != "message":
        return None
    channel, message = _text(item, "channel"), _text(item, "ts")
    user, name, ts = _text(event, "user"), _text(event, "reaction"), _text(event, "event_ts")
    if not (user and name and channel and TS.fullmatch(message) and TS.fullmatch(ts)):
        return None
    event_id = f"{channel}:{message}:{_text(event, 'type')}:{user}:{name}:{ts}"
    return Reacted(event_id, channel, user, name, ts, message)


def presses(payload: Mapping[str, Any]) -> Iterator[Press]:
    """The buttons of a block_actions payload that carry a command."""
    container, user = payload.get("container"), payload.get("user")
    actions = payload.get("actions")
    if not (isinstance(container, dict) and isinstance(user, dict) and isinstance(actions, list)):
        return
    channel, message = _text(container, "channel_id"), _text(container, "message_ts")
    who, team = _text(user, "id"), _text(user, "team_id")
    for action in actions:
        value, ts = _text(action, "value"), _text(action, "action_ts")
        if channel and who and value and TS.fullmatch(message) and TS.fullmatch(ts):
            mark = hashlib.sha256(value.encode(errors="replace")).hexdigest()[:12]
            event_id = f"{channel}:press:{message}:{who}:{mark}:{ts}"
            yield Press(Said(event_id, channel, who, team, value, ts), message, _text(container, "thread_ts"))


def is_out_of_sight(payload: Mapping[str, Any]) -> bool:
    """Whether the button stands on something that no method can find again."""
    container = payload.get("container")
    return not isinstance(container, dict) or container.get("type") != "message" or bool(container.get("is_ephemeral"))


def _is_typed(message: Mapping[str, Any], us: Us) -> bool:
    """By a person, new, and in their own words: an edit, a bot and what is passed on are not."""
    if us.wrote(message) or any(message.get(name) for name in ("bot_id", "app_id", "bot_profile", "edited", "hidden")):
        return False
    if message.get("subtype", "") not in TYPED:
        return False
    attachments = message.get("attachments") or []
    return isinstance(attachments, list) and all(map(_is_preview, attachments))


def _is_preview(attachment: object) -> bool:
    """What Slack adds for a link, after the line was sent; not a message that is passed on."""
    if not isinstance(attachment, dict) or any(attachment.get(name) for name in SHARED):
        return False
    return any(attachment.get(name) for name in UNFURLED)


def _is_quoted(message: Mapping[str, Any], text: str) -> bool:
    """Whether the line begins as a quote or as code, by its text or by its formatted form."""
    if text.lstrip().startswith(QUOTED):
        return True
    blocks = message.get("blocks")
    first = blocks[0] if isinstance(blocks, list) and blocks else None
    elements = first.get("elements") if isinstance(first, dict) and first.get("type") == "rich_text" else None
    opening = elements[0] if isinstance(elements, list) and elements else None
    return isinstance(opening, dict) and opening.get("type") in QUOTES


def _text(value: Any, name: str) -> str:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
