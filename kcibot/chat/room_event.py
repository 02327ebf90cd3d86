"""What happens in a room, and how one event is written as a line of its file."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from kcibot.core.notice import Button, Chart, Field, Level, Notice, Picture, Progress, Series
from kcibot.errors import PermanentError


class RoomKind(StrEnum):
    """What happened in the room. `post` and `edit` are the bot's."""

    MESSAGE = "message"
    REACTION = "reaction"
    UNREACTION = "unreaction"
    POST = "post"
    EDIT = "edit"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the room.

    `text` is what a person said, or the name of the reaction. `target` is the number of the message that a reaction
    or an edit is about, 0 for none. `notice` and `key` belong to the bot's posts and edits.
    """

    number: int
    at: datetime
    kind: RoomKind
    channel: str
    speaker: str
    text: str = ""
    target: int = 0
    notice: Notice | None = None
    key: str = ""


def dump(event: Event) -> bytes:
    """The event's line with its end; what is empty is left out, so that the file can be read by people too."""
    value = {name: field for name, field in asdict(event).items() if field} | {"at": event.at.isoformat()}
    # A lone surrogate cannot be encoded, and must not cost the person the message.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def load(line: bytes, number: int) -> Event:
    """The event of a line; PermanentError if nobody can read it or it is not the event of that number."""
    try:
        value = json.loads(line)
        event = Event(
            number=value["number"],
            at=datetime.fromisoformat(value["at"]),
            kind=RoomKind(value["kind"]),
            channel=value["channel"],
            speaker=value["speaker"],
            text=value.get("text", ""),
            target=value.get("target", 0),
            notice=_notice(value["notice"]) if "notice" in value else None,
            key=value.get("key", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PermanentError(f"Line {number} of the chat room's file cannot be read.") from error
    if event.number != number:
        raise PermanentError(f"Line {number} of the chat room's file calls itself {event.number}.")
    return event


def _notice(value: dict[str, Any]) -> Notice:
    return Notice(
        title=value["title"],
        level=Level(value["level"]),
        lines=tuple(value["lines"]),
        fields=tuple(Field(**field) for field in value["fields"]),
        progress=Progress(**value["progress"]) if value["progress"] else None,
        buttons=tuple(Button(**button) for button in value["buttons"]),
        mentions=tuple(value["mentions"]),
        brief=value["brief"],
        picture=_picture(value["picture"]) if value.get("picture") else None,
    )


def _picture(value: dict[str, Any]) -> Picture:
    return Picture(value["title"], tuple(map(_chart, value["charts"])), value["unit"])


def _chart(value: dict[str, Any]) -> Chart:
    series = tuple(Series(one["label"], tuple((x, y) for x, y in one["points"])) for one in value["series"])
    return Chart(value["title"], value["unit"], series)
