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


MINUTES = "min"


@dataclass(frozen=True, slots=True)
class Series:
    """One curve: what it is called, and its points (x, y) in the order of x."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves of one thing on one scale. `unit` is what y counts, such as `kernels`."""

    title: str
    unit: str
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """Charts one above the other, as data: a network that takes pictures draws them, others show a line of text each.

    `unit` is that of x, which all charts share.
    """

    title: str
    charts: tuple[Chart, ...]
    unit: str = MINUTES


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to people: a title that stands alone, then what explains it.

    `lines` are short sentences or rows; `mentions` are ids of persons to be addressed; `brief` is the essence in
    one line, for networks where lines are dear (the title if empty). `milestone` is what a change must touch to be
    worth a new line where nothing said can be edited, and then `brief` is what is said: an edit that leaves either as
    it was is silent there, unless its level rises. `whisper` is the one, as the network knows them, whom alone it
    concerns: shown to them alone where a network can do that. What `picture` shows is said nowhere else.
    """

    title: str
    level: Level = Level.INFO
    lines: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    progress: Progress | None = None
    buttons: tuple[Button, ...] = ()
    mentions: tuple[str, ...] = ()
    brief: str = ""
    milestone: str = ""
    whisper: str = ""
    picture: Picture | None = None
