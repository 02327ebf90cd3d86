"""One message as the workspace keeps it, and its JSON in events and answers."""

from dataclasses import dataclass, field
from typing import Any

MANY_USERS = 50  # the users of a reaction "may not always be all" (published with reactions.get); the number is ours

_IF_ANY = (
    "user",
    "team",
    "subtype",
    "bot_id",
    "app_id",
    "username",
    "client_msg_id",
    "thread_ts",
    "blocks",
    "attachments",
    "files",
)


@dataclass(slots=True)
class Message:
    """`reactions` maps a name, with its skin tone, to the users in the order in which they came."""

    channel: str
    ts: str
    user: str
    text: str
    team: str
    bot_id: str = ""
    app_id: str = ""
    subtype: str = ""
    thread_ts: str = ""
    parent_user: str = ""
    edited: dict[str, str] | None = None
    blocks: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] | None = None
    files: list[dict[str, Any]] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    replies: list[str] = field(default_factory=list)
    reply_users: list[str] = field(default_factory=list)
    client_msg_id: str = ""
    username: str = ""

    @property
    def is_reply(self) -> bool:
        return bool(self.thread_ts) and self.thread_ts != self.ts

    @property
    def in_channel(self) -> bool:
        """Whether the channel itself shows it, and not only a thread."""
        return not self.is_reply or self.subtype == "thread_broadcast"

    def buttons(self) -> list[dict[str, Any]]:
        """Every element of its blocks that has an action id, with the id of its block under `block_id`."""
        return [
            {**element, "block_id": block["block_id"]}
            for block in self.blocks
            for element in [*block.get("elements", ()), block.get("accessory", {})]
            if isinstance(element, dict) and "action_id" in element
        ]

    def as_json(self) -> dict[str, Any]:
        """As in `message` events: without reactions, metadata, and what a thread adds to its first message."""
        value: dict[str, Any] = {"type": "message", "ts": self.ts, "text": self.text}
        for name in _IF_ANY:
            if getattr(self, name):
                value[name] = getattr(self, name)
        if self.is_reply:
            value["parent_user_id"] = self.parent_user
        if self.edited:
            value["edited"] = self.edited
        return value

    def in_full(self, metadata: str = "", users: int = MANY_USERS) -> dict[str, Any]:
        """As in `conversations.history`; metadata only when the argument of that name was "1".

        A message without reactions has no `reactions` at all, as Slack has it.
        """
        value = self.as_json()
        if self.reactions:
            value["reactions"] = [
                {"name": name, "users": who[:users], "count": len(who)} for name, who in self.reactions.items()
            ]
        if self.replies:
            value |= {"thread_ts": self.ts, "reply_count": len(self.replies), "latest_reply": self.replies[-1]}
            value |= {"reply_users": self.reply_users, "reply_users_count": len(self.reply_users)}
        if metadata and self.metadata:
            value["metadata"] = self.metadata
        return value


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """A message that only `user` saw, and that no method finds again."""

    channel: str
    user: str
    ts: str
    text: str
    blocks: tuple[dict[str, Any], ...] = ()
    thread_ts: str = ""
