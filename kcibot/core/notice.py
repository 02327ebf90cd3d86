"""What to tell people, apart from how a network renders it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How loud a notice is; renderers choose marks and colours by it, the outbox its order."""

    INFO = "info"
    SUCCESS = "success"
    PROMPT = "prompt"
    WARNING = "warning"
    ALERT = "alert"
    ERROR = "error"


URGENT = frozenset({Level.PROMPT, Level.ALERT, Level.ERROR})


@dataclass(frozen=True, slots=True)
class Field:
    """A name and a value shown side by side."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something is: `done` of `total` units, and what they are."""

    done: int
    total: int
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Button:
    """A press does what typing `command` does."""

    label: str
    command: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to people: a title that stands alone, then what explains it.

    `lines` are short sentences or rows; `mentions` are ids of persons to be addressed; `brief` is the essence in
    one line, for networks where lines are dear (the title if empty).
    """

    title: str
    level: Level = Level.INFO
    lines: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    progress: Progress | None = None
    buttons: tuple[Button, ...] = ()
    mentions: tuple[str, ...] = ()
    brief: str = ""
