"""What comes from a chat network, and where things are said."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Place:
    """A conversation: one channel of one network."""

    network: str
    channel: str

    def __str__(self) -> str:
        return f"{self.network}:{self.channel}"


@dataclass(frozen=True, slots=True)
class MessageRef:
    """One message on a network: what a reaction points at and what an edit changes."""

    network: str
    channel: str
    message_id: str


class EventKind(StrEnum):
    """What a person did in the channel."""

    MESSAGE = "message"
    REACTION_ADDED = "reaction-added"
    REACTION_REMOVED = "reaction-removed"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One event from a network, as it is stored in the inbox.

    `event_id` is unique within its network and is what deduplicates. `identity` is what the network vouches for
    (a Slack user id, an IRC services account), empty if it vouches for nobody; `nick` is only how to address them.
    `text` is the line, or the name of the reaction. `target` is the message a reaction points at.
    """

    event_id: str
    kind: EventKind
    place: Place
    identity: str
    nick: str
    text: str
    at: datetime
    target: MessageRef | None = None
