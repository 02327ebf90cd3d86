"""Scripted persons: they approve what they are asked for, and say things at the worst moments."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from kcibot.chat.room import CHANNEL, Event, Room, RoomKind
from kcibot.core.notice import Level
from tests.chaos.points import stable
from tests.chaos.scenario import Ending

Cues: TypeAlias = Mapping[str, Callable[[Room, Event], None]]
"""The stable part of a message's key -> what somebody does when it appears for the first time."""

REASONED = re.compile("(!approve [0-9a-f]+) REASON")
"""What a prompt tells people to type who approve against the proposal."""
CARD = "run:#:card"
"""Of runs, the one that is watched is told by its place: the number of a killed start is not given again."""


class Speakers:
    """Fulfils `scenario.Persons`. `voters` maps a gate to who reacts to its prompt; `others` do to the rest."""

    def __init__(
        self,
        voters: Mapping[str, Sequence[str]],
        opening: tuple[str, str],
        cues: Cues,
        others: Sequence[str] = ("operator",),
        earlier: int = 0,
    ) -> None:
        self._voters = voters
        self._opening = opening
        self._cues = dict(cues)
        self._others = others
        self._earlier = earlier
        self._card = 0
        self._ending: str | None = None

    @property
    def ending(self) -> str | None:
        return self._ending

    def begin(self, room: Room) -> None:
        room.say(*self._opening, CHANNEL)

    def hear(self, room: Room, event: Event) -> None:
        if event.notice is None:
            return
        if event.kind is RoomKind.POST:
            self._posted(room, event)
        if self._card and self._card in {event.number, event.target}:
            self._ending = Ending(event.notice.title).state

    def _posted(self, room: Room, event: Event) -> None:
        key = stable(event.key)
        if key == CARD and not self._card:
            self._card, self._earlier = (0, self._earlier - 1) if self._earlier else (event.number, 0)
        cue = self._cues.pop(key, None)
        if cue:
            cue(room, event)
        if event.notice and event.notice.level is Level.PROMPT:
            gate = event.key.partition(":gate:")[2].partition(":")[0]
            reasoned = REASONED.search(event.notice.brief)
            for person in self._voters.get(gate, self._others):
                if reasoned:
                    room.say(person, f"{reasoned[1]} we expected that", event.channel)
                else:
                    room.react(person, event.number, "+1", event.channel)
