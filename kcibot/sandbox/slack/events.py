"""The events that the stand-in sends (published: "Events API types"), as functions of what happened."""

from typing import Any

from kcibot.sandbox.slack.message import Message
from kcibot.sandbox.slack.people import TEAM, Channel, Person, SlackApp

SCOPES = {"app_mention": "app_mentions:read", "reaction_added": "reactions:read", "reaction_removed": "reactions:read"}


def scope(event: dict[str, Any], channel: Channel) -> str:
    """The scope without which Slack does not send that event."""
    if event["type"] == "message":
        return channel.scope("history")
    return SCOPES.get(event["type"], channel.scope("read"))


def said(message: Message, channel: Channel) -> dict[str, Any]:
    return {**message.as_json(), "channel": channel.id, "channel_type": channel.type, "event_ts": message.ts}


def mentioned(message: Message, channel: Channel) -> dict[str, Any]:
    """The second event of a message that names the app; its `ts` is that of the message, its event id is not."""
    whole = message.as_json()
    kept = ("user", "ts", "text", "team", "thread_ts", "parent_user_id", "blocks", "client_msg_id", "edited")
    event = {"type": "app_mention", **{name: whole[name] for name in kept if name in whole}}
    return {**event, "channel": channel.id, "event_ts": message.ts}


def changed(message: Message, before: dict[str, Any], channel: Channel, ts: str) -> dict[str, Any]:
    return _about(channel, "message_changed", ts) | {"message": message.as_json(), "previous_message": before}


def deleted(message: Message, channel: Channel, ts: str) -> dict[str, Any]:
    """`previous_message` holds what was deleted."""
    return _about(channel, "message_deleted", ts) | {"deleted_ts": message.ts, "previous_message": message.as_json()}


def _about(channel: Channel, subtype: str, ts: str) -> dict[str, Any]:
    event = {"type": "message", "subtype": subtype, "hidden": True, "channel": channel.id}
    return {**event, "channel_type": channel.type, "ts": ts, "event_ts": ts}


def reacted(kind: str, message: Message, user: str, name: str, ts: str) -> dict[str, Any]:
    """`kind` is reaction_added or reaction_removed. There is no text, and no thread, in it."""
    item = {"type": "message", "channel": message.channel, "ts": message.ts}
    event = {"type": kind, "user": user, "reaction": name, "item": item, "event_ts": ts}
    return event | ({"item_user": message.user} if message.user else {})


def membership(kind: str, user: Person, channel: Channel, ts: str) -> dict[str, Any]:
    """`kind` is member_joined_channel or member_left_channel."""
    event = {"type": kind, "user": user.id, "channel": channel.id}
    return {**event, "channel_type": channel.type[0].upper(), "team": user.team, "event_ts": ts}


def callback(event: dict[str, Any], event_id: str, app: SlackApp, channel: Channel) -> dict[str, Any]:
    """What an envelope of type events_api carries (published: "Events API", the outer event)."""
    return {
        "token": "stand-in",
        "team_id": TEAM,
        "context_team_id": TEAM,
        "context_enterprise_id": None,
        "api_app_id": app.id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(float(event["event_ts"])),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": TEAM,
                "user_id": app.user,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": channel.shared,
        "event_context": f"4-{event_id}",
    }


def pressed(
    button: dict[str, Any], message: Message, user: Person, channel: Channel, app: SlackApp, extra: dict[str, str]
) -> dict[str, Any]:
    """A block_actions payload (published). `extra` has `response_url`, `trigger_id` and `action_ts`."""
    action = {
        name: button[name] for name in ("action_id", "block_id", "text", "value", "style", "type") if name in button
    }
    return {
        "type": "block_actions",
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team},
        "api_app_id": app.id,
        "token": "stand-in",
        "container": {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.id,
            "is_ephemeral": False,
            **({"thread_ts": message.thread_ts} if message.thread_ts else {}),
        },
        "trigger_id": extra["trigger_id"],
        "team": {"id": TEAM, "domain": "kernelci"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": channel.id, "name": channel.name},
        "message": message.as_json(),
        "state": {"values": {}},
        "response_url": extra["response_url"],
        "actions": [{**action, "action_ts": extra["action_ts"]}],
    }
