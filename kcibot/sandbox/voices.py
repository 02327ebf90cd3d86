"""Scripted persons who play on other networks what `play.py` has them do in the console room."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Protocol

from kcibot.chat.room import Event, Room
from kcibot.errors import UserError
from kcibot.sandbox.config_text import Network

DIGEST = "Digest"


class Voice(Protocol):
    """One person on one network."""

    def say(self, text: str) -> None: ...

    def approve(self, code: str) -> None:
        """A thumb up on what the bot said there of the prompt with that code, once it is there."""
        ...

    def close(self) -> None: ...


class Elsewhere(Protocol):
    """The sandbox's room on another network."""

    @property
    def network(self) -> Network:
        """As the bot's configuration has it."""
        ...

    @property
    def welcome(self) -> str:
        """How a visitor comes in. Raises UserError where nobody can."""
        ...

    def remarks(self) -> list[str]:
        """What the network minds of what the bot did there, in sentences."""
        ...

    def voice(self, person: str) -> Voice:
        """That person, in the room, and the bot is there too."""
        ...


class Voices:
    """Fulfils `play.Stage`: it is looked at in the console room, which the bot is in too; said is all elsewhere."""

    def __init__(self, room: Room, voices: Mapping[str, Voice]) -> None:
        self._room = room
        self._voices = voices

    def say(self, person: str, text: str) -> None:
        self._voices[person].say(text)

    def react(self, person: str, target: int, _emoji: str) -> None:
        self._voices[person].approve(self._code(target))

    def read(self, after: int) -> Sequence[Event]:
        return self._room.read(after)

    def _code(self, number: int) -> str:
        """Of the prompt that has that number in the console room."""
        for event in self._room.read(number - 1):
            for field in event.notice.fields if event.notice else ():
                if field.name == DIGEST:
                    return field.value
        raise UserError(f"message {number} is no prompt")


@contextmanager
def voices(room: Room, places: Sequence[Elsewhere], persons: Sequence[str]) -> Iterator[Voices]:
    """Each person is in one of the places, by turns."""
    found: dict[str, Voice] = {}
    try:
        for person, place in zip(persons, cycle(places), strict=False):
            found[person] = place.voice(person)
        yield Voices(room, found)
    finally:
        for voice in found.values():
            voice.close()
