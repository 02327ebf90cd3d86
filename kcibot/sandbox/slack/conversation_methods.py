"""conversations.* and users.info: what is in a channel, page by page, and who is there.

Published with the methods: newest first for a history, oldest first for a thread, `oldest` and `latest` are left out
unless `inclusive`, cursors, replies only in `conversations.replies`, metadata only with `include_all_metadata`, at
most 999 a page. The form of a cursor is that of the published examples. Not verified: what a reply's own ts gives in
`conversations.replies` (here: that one message).
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from kcibot.sandbox.slack.call import Call, Refusal
from kcibot.sandbox.slack.message import Message
from kcibot.sandbox.slack.people import Channel

PAGE, MOST = 100, 999
CURSOR = "next_ts:"


def info(call: Call) -> dict[str, Any]:
    """A public channel is seen from outside, too."""
    channel = call.workspace.channels.get(call.required("channel"))
    inside = channel is not None and call.workspace.app.user in channel.members
    if channel is None or (channel.private and not inside):
        raise Refusal("channel_not_found")
    call.need(channel.scope("read"))
    return {"channel": channel.as_json(call.workspace.app.user)}


def history(call: Call) -> dict[str, Any]:
    channel = _readable(call)
    kept = call.workspace.messages.get(channel.id, {}).values()
    newest_first = [message for message in reversed(kept) if message.in_channel and _wanted(call, message)]
    return {**_page(call, newest_first), "pin_count": 0}


def replies(call: Call) -> dict[str, Any]:
    channel = _readable(call)
    kept = call.workspace.messages.get(channel.id, {})
    first = kept.get(call.required("ts"))
    if first is None:
        raise Refusal("thread_not_found")
    thread = [kept[ts] for ts in first.replies]
    return _page(call, [first, *(message for message in thread if _wanted(call, message))])


def open_direct(call: Call) -> dict[str, Any]:
    """A conversation with one person; with several is not in the stand-in."""
    users = [user.strip() for user in call.text("users").split(",") if user.strip()]
    if not users:
        raise Refusal("users_list_not_supplied")
    if len(users) > 1 or users[0] not in call.workspace.people:
        raise Refusal("user_not_found")
    return {"channel": {"id": call.workspace.direct(users[0]).id}}


def user_info(call: Call) -> dict[str, Any]:
    person = call.workspace.people.get(call.required("user"))
    if person is None:
        raise Refusal("user_not_found")
    return {"user": person.as_json()}


def _readable(call: Call) -> Channel:
    channel = call.channel()
    call.need(channel.scope("history"))
    return channel


def _wanted(call: Call, message: Message) -> bool:
    oldest = call.timestamp("oldest", "invalid_ts_oldest")
    latest = call.timestamp("latest", "invalid_ts_latest")
    at, low, high = float(message.ts), float(oldest or 0), float(latest or "inf")
    return low <= at <= high if call.flag("inclusive") else low < at < high


def _page(call: Call, messages: Sequence[Message]) -> dict[str, Any]:
    """From the cursor on. A message that came or went meanwhile moves no page."""
    limit = max(1, call.number("limit", PAGE, MOST))
    first = _first(call, messages)
    page, rest = messages[first : first + limit], messages[first + limit :]
    wants = "with metadata" if call.flag("include_all_metadata") else ""
    answer: dict[str, Any] = {"messages": [message.in_full(wants) for message in page], "has_more": bool(rest)}
    if rest:
        answer["response_metadata"] = {"next_cursor": _cursor(rest[0])}
    return answer


def _cursor(message: Message) -> str:
    return base64.b64encode(f"{CURSOR}{message.ts.replace('.', '')}".encode()).decode()


def _first(call: Call, messages: Sequence[Message]) -> int:
    cursor = call.text("cursor")
    if not cursor:
        return 0
    try:
        text = base64.b64decode(cursor, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Refusal("invalid_cursor") from None
    for number, message in enumerate(messages):
        if text == f"{CURSOR}{message.ts.replace('.', '')}":
            return number
    raise Refusal("invalid_cursor")
