"""A channel's transcript as plain text: what was said, in the order in which it was said."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from kcibot.chat.console_render import clean, render, wrap
from kcibot.chat.conversation import Conversation, Message, message_rows, reaction_line
from kcibot.chat.room import CHANNEL, Event, Room, RoomKind
from kcibot.core.notice import Notice

WIDTH = 110
UNWRAPPED = 100_000
"""Lines are compared whole: where they break depends on their neighbours' numbers."""
_NUMBERS = re.compile(r"(?:\d+ (?:s|min|h|d)\b ?)+|\d+|[#.]{2,}")
_NOTHING = Notice("")


def transcript(room: Room, channel: str = CHANNEL, width: int = WIDTH, after: int = 0) -> str:
    """Every event of the channel with a higher number than `after`, each with its time in UTC.

    An edit shows only the lines that are new, marked `~`. A line of which only numbers changed, as a count or a
    duration grows, is left out; so is an edit of which nothing is left.
    """
    return "".join(f"{line}\n" for line in _lines(room, channel, width, after))


def _lines(room: Room, channel: str, width: int, after: int) -> Iterator[str]:
    conversation = Conversation()
    day = ""
    for event in room.read():
        if event.channel != channel:
            continue
        before = _notice(conversation.messages.get(event.target))
        message = conversation.apply(event)
        lines = list(_event(event, message, before, width)) if event.number > after and message else []
        today = f"-- {event.at:%a %d %b %Y} (UTC) --"
        if lines and today != day:
            day = today
            yield day
        yield from lines


def _notice(message: Message | None) -> Notice:
    return (message and message.notice) or _NOTHING


def _event(event: Event, message: Message, before: Notice, width: int) -> Iterator[str]:
    time = f"{event.at:%H:%M:%S} "
    match event.kind:
        case RoomKind.MESSAGE | RoomKind.POST:
            yield from (row.text for row in message_rows(message, width, time))
        case RoomKind.EDIT:
            yield from _changes(before, _notice(message), f"{time}[{clean(str(event.target))}] ", width)
        case RoomKind.REACTION | RoomKind.UNREACTION:
            yield time + reaction_line(event)


def _changes(old: Notice, new: Notice, lead: str, width: int) -> Iterator[str]:
    """The lines that only the new notice has; a lost line is said to be gone unless another took its place."""
    pad = " " * len(lead)
    inner = width - len(lead) - len("~ ")
    a, b = render(old, UNWRAPPED), render(new, UNWRAPPED)
    start = lead
    for what, a1, a2, b1, b2 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        gone = [f"gone: {line.strip()}" for line in a[a1:a2]] if what == "delete" else []
        known = {_without_numbers(line) for line in a[a1:a2]}
        new_lines = [line for line in b[b1:b2] if _without_numbers(line) not in known] if what != "equal" else []
        for line in (*gone, *new_lines):
            indent = " " * (len(line) - len(line.lstrip()))
            for row in wrap(line.strip(), inner, indent, f"{indent}  "):
                yield f"{start}~ {row}"
                start = pad


def _without_numbers(line: str) -> str:
    """The line with its numbers, the units of its spans, and its progress bar made equal."""
    return _NUMBERS.sub("0", line)
