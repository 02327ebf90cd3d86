"""One channel of a room as it stands: its messages with their newest text and the reactions to them."""

from dataclasses import dataclass, field
from datetime import datetime

from kcibot.chat.console_render import Row, clean, dim, notice_rows, wrap
from kcibot.chat.room import Event, RoomKind
from kcibot.core.notice import Notice

MESSAGE_INDENT = 5


@dataclass(slots=True)
class Message:
    """A person's line (`text`), or a post of the bot (`notice`, the newest one). `reactions`: emoji to persons."""

    number: int
    at: datetime
    speaker: str
    text: str = ""
    notice: Notice | None = None
    edits: int = 0
    reactions: dict[str, list[str]] = field(default_factory=dict)

    def rows(self, width: int) -> list[Row]:
        """The whole message with its reactions, as a terminal shows it."""
        return message_rows(self, width, "") + self._reaction_rows(width)

    def _reaction_rows(self, width: int) -> list[Row]:
        said = [f"{emoji} {', '.join(persons)}" for emoji, persons in self.reactions.items() if persons]
        pad = " " * MESSAGE_INDENT
        return dim(wrap(f"({'; '.join(said)})", width, pad, pad)) if said else []


class Conversation:
    """Built by telling it every event of the channel, in order."""

    def __init__(self) -> None:
        self.messages: dict[int, Message] = {}

    def apply(self, event: Event) -> Message | None:
        """Take the event in; the message it made or changed, None if it is about a message that is not there."""
        if event.kind in {RoomKind.MESSAGE, RoomKind.POST}:
            message = Message(event.number, event.at, event.speaker, event.text, event.notice)
            self.messages[event.number] = message
            return message
        found = self.messages.get(event.target)
        if found:
            _change(found, event)
        return found

    def newest(self, count: int) -> list[Message]:
        """The last so many messages, oldest first."""
        return list(self.messages.values())[-count:] if count > 0 else []


def _change(message: Message, event: Event) -> None:
    if event.kind is RoomKind.EDIT:
        message.notice = event.notice
        message.edits += 1
        return
    persons = message.reactions.setdefault(event.text, [])
    if event.kind is RoomKind.REACTION and event.speaker not in persons:
        persons.append(event.speaker)
    if event.kind is RoomKind.UNREACTION and event.speaker in persons:
        persons.remove(event.speaker)


def message_rows(message: Message, width: int, before: str) -> list[Row]:
    """`[12] operator: text`, with `before` in front of it; what follows is indented below the text."""
    lead = f"{before}[{message.number}] {clean(message.speaker)}: "
    indent = len(before) + MESSAGE_INDENT
    if message.notice:
        return notice_rows(message.notice, width, lead, indent)
    return [Row(text) for text in wrap(message.text, width, lead, " " * indent)]


def reaction_line(event: Event) -> str:
    """`manager-1 reacts +1 to [12]`."""
    took_back = event.kind is RoomKind.UNREACTION
    did = f"takes {event.text} back from" if took_back else f"reacts {event.text} to"
    return clean(f"{event.speaker} {did} [{event.target}]")
