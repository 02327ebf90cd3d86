"""reactions.*: what stands under a message.

Published: arguments, errors, and that without `full` the users of a reaction may not be all.
"""

from typing import Any

from kcibot.sandbox.slack.call import Call, Refusal
from kcibot.sandbox.slack.chat_methods import link_to
from kcibot.sandbox.slack.message import MANY_USERS, Message
from kcibot.sandbox.slack.workspace import is_emoji_name

EVERY = 1_000_000


def get(call: Call) -> dict[str, Any]:
    message = _message(call)
    users = EVERY if call.flag("full") else MANY_USERS
    shown = {**message.in_full(users=users), "permalink": link_to(message)}
    return {"type": "message", "channel": message.channel, "message": shown}


def add(call: Call) -> dict[str, Any]:
    message = _message(call)
    if not call.workspace.react(message, call.workspace.app.user, _name(call)):
        raise Refusal("already_reacted")
    return {}


def remove(call: Call) -> dict[str, Any]:
    message = _message(call)
    if not call.workspace.unreact(message, call.workspace.app.user, _name(call)):
        raise Refusal("no_reaction")
    return {}


def _message(call: Call) -> Message:
    if not call.text("channel") or not call.timestamp("timestamp", "bad_timestamp"):
        raise Refusal("no_item_specified")
    return call.message(call.channel(), "timestamp")


def _name(call: Call) -> str:
    name = call.required("name").strip(":")
    if not is_emoji_name(name):
        raise Refusal("invalid_name")
    return name
