"""chat.*: posting, changing, deleting messages, those only one person sees, and their permalinks.

Published with the methods: their arguments, the errors used here, text beyond 40,000 characters is cut with the
warning message_truncated, a `chat.update` with text and without blocks removes the blocks, without metadata keeps it,
and with blocks shows no "edited". Reported by people, not published: `chat.update` refuses more than 4,000 characters
of text with msg_too_long. Not verified: the error for a thread_ts that does not exist.
"""

import re
from typing import Any

from kcibot.sandbox.slack.blocks import MOST_CHARACTERS, check
from kcibot.sandbox.slack.call import Call, Refusal
from kcibot.sandbox.slack.message import Ephemeral, Message
from kcibot.sandbox.slack.people import TEAM, Channel
from kcibot.sandbox.slack.workspace import NoSuchThingError, Workspace

LONGEST_TEXT = 40_000
LONGEST_UPDATE = 4_000
MOST_ATTACHMENTS = 100
UNESCAPED = re.compile(r"&(?!amp;|lt;|gt;)|<(?![@#!]|https?:|mailto:|tel:)")


def post_message(call: Call) -> dict[str, Any]:
    channel = _place(call)
    message = _message(call, channel)
    broadcast = "thread_broadcast" if message.thread_ts and call.flag("reply_broadcast") else ""
    call.workspace.post(message, broadcast)
    return {"channel": channel.id, "ts": message.ts, "message": message.in_full("with metadata")}


def update(call: Call) -> dict[str, Any]:
    channel = call.channel()
    message = call.message(channel)
    if message.user != call.workspace.app.user:
        raise Refusal("cant_update_message")
    new = _new_content(call)
    call.workspace.change(message, "" if new.get("blocks") else message.user, **new)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": message.in_full("with metadata")}


def delete(call: Call) -> dict[str, Any]:
    channel = call.channel()
    message = call.message(channel)
    if message.user != call.workspace.app.user:
        raise Refusal("cant_delete_message")
    call.workspace.delete(message)
    return {"channel": channel.id, "ts": message.ts}


def permalink(call: Call) -> dict[str, Any]:
    channel = call.channel()
    return {"channel": channel.id, "permalink": link_to(call.message(channel, "message_ts"))}


def link_to(message: Message) -> str:
    link = f"https://kernelci.slack.com/archives/{message.channel}/p{message.ts.replace('.', '')}"
    return f"{link}?thread_ts={message.thread_ts}&cid={message.channel}" if message.is_reply else link


def post_ephemeral(call: Call) -> dict[str, Any]:
    channel = _open(call.channel())
    user = call.required("user")
    if user not in channel.members:
        raise Refusal("user_not_in_channel")
    text, blocks = _text(call, LONGEST_TEXT), _blocks(call) or []
    _say_something(text, blocks)
    call.workspace.number_blocks(blocks)
    ts, thread = call.workspace.new_ts(), call.text("thread_ts")
    call.workspace.ephemerals.append(Ephemeral(channel.id, user, ts, text, tuple(blocks), thread))
    return {"message_ts": ts}


def _place(call: Call) -> Channel:
    """A channel, or a person, whose conversation with the bot is opened."""
    if call.required("channel") in call.workspace.people:
        return call.workspace.direct(call.required("channel"))
    return _open(call.channel())


def _open(channel: Channel) -> Channel:
    if channel.archived:
        raise Refusal("is_archived")
    return channel


def _message(call: Call, channel: Channel) -> Message:
    app, text, blocks = call.workspace.app, _text(call, LONGEST_TEXT), _blocks(call) or []
    attachments = _attachments(call) or []
    _say_something(text, [*blocks, *attachments])
    message = Message(channel.id, call.workspace.new_ts(), app.user, text, TEAM, app.bot, app.id)
    message.thread_ts = _thread(call, channel)
    message.blocks, message.attachments, message.metadata = blocks, attachments, metadata(call)
    return message


def _new_content(call: Call) -> dict[str, Any]:
    """What `chat.update` changes; what was not sent stays, but for blocks that text alone replaces."""
    text, blocks, attachments = _text(call, LONGEST_UPDATE), _blocks(call), _attachments(call)
    if "text" not in call.arguments and blocks is None and attachments is None:
        raise Refusal("no_text")
    new: dict[str, Any] = {"text": text} if "text" in call.arguments else {}
    if blocks is not None or "text" in new:
        new["blocks"] = blocks or []
    if attachments is not None:
        new["attachments"] = attachments
    if "metadata" in call.arguments:
        new["metadata"] = metadata(call)
    return new


def _say_something(text: str, others: list[dict[str, Any]]) -> None:
    if not text.strip() and not others:
        raise Refusal("no_text")


def _thread(call: Call, channel: Channel) -> str:
    """The first message of the thread; a reply's own ts leads to it ("avoid using a reply's ts")."""
    ts = call.timestamp("thread_ts", "invalid_thread_ts")
    return thread_of(call.workspace, channel.id, ts, call) if ts else ""


def thread_of(workspace: Workspace, channel: str, ts: str, call: Call) -> str:
    try:
        parent = workspace.message(channel, ts)
    except NoSuchThingError:
        raise Refusal("thread_not_found") from None
    if parent.is_reply:
        call.remark(f"{call.method}: thread_ts {ts} is of a reply")
        return parent.thread_ts
    return ts


def _text(call: Call, most: int) -> str:
    text = call.text("text")
    remark_unescaped(call, text)
    if len(text) > most and most == LONGEST_UPDATE:
        raise Refusal("msg_too_long")
    if len(text) > most:
        call.warnings.append("message_truncated")
        call.remark(f"{call.method}: the text was cut from {len(text)} characters")
    return text[:most]


def remark_unescaped(call: Call, text: str) -> None:
    """Slack takes it; but what data says would be read as markup."""
    if UNESCAPED.search(text):
        call.remark(f"{call.method}: unescaped & or < in {text[:100]!r}")


def _blocks(call: Call) -> list[dict[str, Any]] | None:
    value = call.structure("blocks", "invalid_blocks_format")
    if value is None:
        return None
    report = check(value)
    if report.errors:
        raise Refusal("invalid_blocks", tuple(report.errors))
    if report.characters > MOST_CHARACTERS:
        raise Refusal("msg_blocks_too_long")
    for text in _markup(value):
        remark_unescaped(call, text)
    blocks: list[dict[str, Any]] = value
    return blocks


def _markup(value: Any) -> list[str]:
    """Every text that is read as markup."""
    if isinstance(value, list):
        return [text for one in value for text in _markup(one)]
    if not isinstance(value, dict):
        return []
    if value.get("type") == "mrkdwn":
        return [value["text"]]
    return [text for one in value.values() for text in _markup(one)]


def _attachments(call: Call) -> list[dict[str, Any]] | None:
    value = call.structure("attachments", "invalid_attachments")
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise Refusal("invalid_attachments")
    if len(value) > MOST_ATTACHMENTS:
        raise Refusal("too_many_attachments")
    if value:
        call.remark(f"{call.method}: what attachments hold is not checked here")
    return value


def metadata(call: Call) -> dict[str, Any] | None:
    """An `event_type` and an `event_payload`; an empty object removes it."""
    value = call.structure("metadata", "invalid_metadata_format")
    if value is None or value == {}:
        return None
    known = isinstance(value, dict) and set(value) == {"event_type", "event_payload"}
    if not known or not isinstance(value["event_type"], str) or not isinstance(value["event_payload"], dict):
        raise Refusal("invalid_metadata_format")
    return dict(value)
