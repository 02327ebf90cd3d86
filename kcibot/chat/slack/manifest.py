"""What the Slack app is made of: its scopes and events, in one place, and the manifest from which it is created.

Form: https://docs.slack.dev/reference/app-manifest. Which scope is for what stands in the documentation of each method
and event.
"""

from collections.abc import Mapping
from typing import Any

SCOPES: Mapping[str, str] = {
    "app_mentions:read": "to answer where somebody addresses the bot in a channel that it does not serve",
    "channels:history": "to hear commands in public channels, and to find those that were missed",
    "channels:read": "to hear when the bot is invited, or removed",
    "chat:write": "to speak",
    "files:write": "to upload what is too long for a message",
    "groups:history": "the same in private channels",
    "groups:read": "the same in private channels",
    "im:history": "to tell a person that commands belong in the channel",
    "reactions:read": "to see votes",
    "users:read": "to see whose account was switched off, and what people are called",
}
"""Of the bot token. Reactions are never set by the bot, so that no reaction can be mistaken for a vote."""

APP_SCOPES = ("connections:write",)
"""Of the app token, which is made by hand: the manifest cannot ask for it."""

EVENTS: Mapping[str, tuple[str, ...]] = {
    "app_mention": ("app_mention",),
    "member_joined_channel": ("member_joined_channel",),
    "member_left_channel": ("member_left_channel",),
    "message": ("message.channels", "message.groups", "message.im"),
    "reaction_added": ("reaction_added",),
    "reaction_removed": ("reaction_removed",),
}
"""The type of an event as it arrives, and what is subscribed to for it."""

METHODS: Mapping[str, tuple[str, ...]] = {
    "apps.connections.open": ("connections:write",),
    "auth.test": (),
    "chat.postEphemeral": ("chat:write",),
    "chat.postMessage": ("chat:write",),
    "chat.update": ("chat:write",),
    "conversations.history": ("channels:history", "groups:history"),
    "conversations.replies": ("channels:history", "groups:history"),
    "files.completeUploadExternal": ("files:write",),
    "files.getUploadURLExternal": ("files:write",),
    "reactions.get": ("reactions:read",),
    "users.info": ("users:read",),
}
"""Every method that the bot calls, and what it needs for it."""


def manifest(name: str = "kcibot") -> dict[str, Any]:
    """The manifest of an app of that name, as `apps.manifest.create` and Slack's form take it."""
    return {
        "display_information": {
            "name": name,
            "description": "Updates KernelCI's production from this channel",
            "background_color": "#1f3d5c",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": False,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": name, "always_online": False},
        },
        "oauth_config": {"scopes": {"bot": sorted(SCOPES)}},
        "settings": {
            "event_subscriptions": {"bot_events": sorted(event for kind in EVENTS.values() for event in kind)},
            "interactivity": {"is_enabled": True},
            "org_deploy_enabled": False,
            "socket_mode_enabled": True,
            "token_rotation_enabled": False,
        },
    }
