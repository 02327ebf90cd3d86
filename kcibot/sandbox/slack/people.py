"""Who and what is in the stand-in's workspace: persons, channels, and the app that is tried."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

TEAM = "T00000001"
OTHER_TEAM = "T00000002"
APP_SCOPES = frozenset({"connections:write"})
BOT_SCOPES = frozenset(
    {
        "app_mentions:read",
        "channels:history",
        "channels:read",
        "chat:write",
        "files:write",
        "groups:history",
        "groups:read",
        "im:history",
        "im:read",
        "im:write",
        "reactions:read",
        "reactions:write",
        "users:read",
    }
)
EVENTS = frozenset(
    {
        "app_mention",
        "member_joined_channel",
        "member_left_channel",
        "message",
        "reaction_added",
        "reaction_removed",
    }
)


class Kind(StrEnum):
    """What `users.info` says of a person. STRANGER is of another workspace, in a shared channel."""

    MEMBER = "member"
    ADMIN = "admin"
    GUEST = "guest"
    SINGLE_CHANNEL_GUEST = "single-channel-guest"
    BOT = "bot"
    STRANGER = "stranger"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, or something, that writes. `bot_id` is that of a bot."""

    id: str
    name: str
    kind: Kind = Kind.MEMBER
    bot_id: str = ""

    @property
    def team(self) -> str:
        return OTHER_TEAM if self.kind is Kind.STRANGER else TEAM

    def as_json(self) -> dict[str, Any]:
        """The user object of `users.info` (published: "User type"), without its cosmetic fields."""
        guest = self.kind in {Kind.GUEST, Kind.SINGLE_CHANNEL_GUEST}
        value: dict[str, Any] = {
            "id": self.id,
            "team_id": self.team,
            "name": self.name,
            "deleted": self.kind is Kind.DELETED,
            "real_name": self.name,
            "profile": {"real_name": self.name, "display_name": self.name, "team": self.team},
            "is_admin": self.kind is Kind.ADMIN,
            "is_owner": False,
            "is_restricted": guest,
            "is_ultra_restricted": self.kind is Kind.SINGLE_CHANNEL_GUEST,
            "is_bot": self.kind is Kind.BOT,
            "is_app_user": False,
            "updated": 1_700_000_000,
        }
        if self.kind is Kind.STRANGER:
            value["is_stranger"] = True
        if self.bot_id:
            value["profile"]["bot_id"] = self.bot_id
        return value


@dataclass(slots=True)
class Channel:
    """A conversation. The id of one with a single person begins with D; that of a private one tells nothing."""

    id: str
    name: str
    members: set[str] = field(default_factory=set)
    private: bool = False
    archived: bool = False
    shared: bool = False

    @property
    def direct(self) -> bool:
        return self.id.startswith("D")

    @property
    def type(self) -> str:
        """The `channel_type` of events."""
        if self.direct:
            return "im"
        return "group" if self.private else "channel"

    def scope(self, what: str) -> str:
        """As `channels:history`; published with each method."""
        family = {"im": "im", "group": "groups", "channel": "channels"}[self.type]
        return f"{family}:{what}"

    def as_json(self, user: str) -> dict[str, Any]:
        """The channel object of `conversations.info`, as that user sees it (published: "Conversation type")."""
        return {
            "id": self.id,
            "name": self.name,
            "is_channel": self.type == "channel",
            "is_group": self.type == "group",
            "is_im": self.direct,
            "is_private": self.private or self.direct,
            "is_archived": self.archived,
            "is_general": False,
            "is_shared": self.shared,
            "is_ext_shared": self.shared,
            "is_member": user in self.members,
            "context_team_id": TEAM,
            "topic": {"value": "", "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
        }


@dataclass(frozen=True, slots=True)
class SlackApp:
    """The app that is tried: its tokens, what they may do, and which events it subscribed to."""

    bot_token: str = "xoxb-stand-in"
    app_token: str = "xapp-1-stand-in"
    scopes: frozenset[str] = BOT_SCOPES
    app_scopes: frozenset[str] = APP_SCOPES
    events: frozenset[str] = EVENTS
    id: str = "A00000001"
    user: str = "UBOT00001"
    bot: str = "B00000001"
    name: str = "kcibot"
