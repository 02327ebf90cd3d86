"""What a release under fire is made of: a world to act on, persons who speak, and what must be true in the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kcibot.chat.room import Event, Room
from tests.chaos.points import Traps


class World(Protocol):
    """Everything outside the bot, in one folder that holds config.yaml, clock.json and room/. It outlives the bot.

    Its own servers pass the traps, too.
    """

    def start(self, traps: Traps) -> None: ...

    def stop(self) -> None: ...

    def violations(self) -> Sequence[str]:
        """What was done twice, or not at all, in sentences; seen in the world's own state, not in the bot's word."""
        ...


class Persons(Protocol):
    """Those who speak in the room. They outlive the bot, and speak whether it listens or not."""

    def begin(self, room: Room) -> None: ...

    def hear(self, room: Room, event: Event) -> None:
        """An event of the room, each once and in order; they may speak."""
        ...

    @property
    def ending(self) -> str | None:
        """How the release ended, "succeeded" if all is well; None while it goes on."""
        ...


class Scenario(Protocol):
    """`module` has a function `commands`: the registry of every life.

    The run that is under fire comes after `earlier` others, which people abort. Kills begin at the first place with
    `begins` in its label.
    """

    module: str
    patience_seconds: float
    earlier: int
    begins: str

    def world(self, folder: Path) -> World: ...

    def persons(self, world: World) -> Persons: ...


@dataclass(frozen=True, slots=True)
class Ending:
    """What a card's title says of its run."""

    title: str

    @property
    def state(self) -> str | None:
        words = self.title.split(" · ")
        return words[1] if len(words) > 1 and words[1] in {"succeeded", "failed", "unknown", "aborted"} else None
