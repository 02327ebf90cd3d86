"""The kinds of values a configuration is made of, each checked with a sentence that says how to write it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from kcibot.core.hours import Hours
from kcibot.core.message import Place

COMPLAINT = "kcibot"
FOLDER = "folder"
"""The validation context's key: the folder of the configuration file, from which relative paths start."""

Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
DAYS: tuple[Day, ...] = get_args(Day)
LONGEST = timedelta(days=366)

_SPAN = re.compile(
    r"(?:(?P<days>\d{1,9})d)?(?:(?P<hours>\d{1,9})h)?(?:(?P<minutes>\d{1,9})m(?!s))?"
    r"(?:(?P<seconds>\d{1,9})s)?(?:(?P<milliseconds>\d{1,9})ms)?"
)
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]")
_SCP = re.compile(r"[\w.-]+@[\w.-]+:[^:@\s]+")
_SECRET_WORD = re.compile(r"token|passw|secret|api_?key|auth", re.IGNORECASE)


class Block(BaseModel):
    """A block of keys: unknown ones are refused, nothing is converted, and no message holds a value."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        validate_by_alias=True,
    )


def complain(what: str, fix: str) -> PydanticCustomError:
    """An error with a sentence for the person, and another one on what to write instead."""
    return PydanticCustomError(COMPLAINT, "{what}. {fix}", {"what": what, "fix": fix})


# ---- texts -----------------------------------------------------------------------------------------------------


def _text(value: str) -> str:
    if not value.strip():
        raise complain("is empty", "Write it in quotes")
    if _UNSEEN.search(value):
        raise complain("holds a line break or a control character", "Write it on one line")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise complain("is no name", "Names are of letters, digits, dots, dashes and underscores")
    return value


Text = Annotated[str, AfterValidator(_text)]
Name = Annotated[str, AfterValidator(_name)]


# ---- lengths of time -------------------------------------------------------------------------------------------


def read_duration(value: object) -> timedelta:
    """`90m`, `24h`, `1d12h`, `500ms`; at most a year."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float):
        raise complain("is a number without a unit", 'Write a length of time, such as "90s", "15m" or "24h"')
    found = _SPAN.fullmatch(value) if isinstance(value, str) else None
    units = {unit: int(n) for unit, n in found.groupdict().items() if n} if found else {}
    if not units:
        raise complain("is no length of time", 'Write it as "90s", "15m", "24h" or "1d12h"')
    length = timedelta(**units)
    if length > LONGEST:
        raise complain("is longer than a year", 'Write a length of time, such as "90s", "15m" or "24h"')
    return length


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise complain("must be longer than nothing", 'Write a length of time, such as "30s"')
    return value


Duration = Annotated[timedelta, PlainValidator(read_duration)]
Timeout = Annotated[timedelta, PlainValidator(read_duration), AfterValidator(_positive)]


# ---- files -----------------------------------------------------------------------------------------------------


def _path(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str) or not _printable(value):
        raise complain("is no path", 'Write it in quotes, such as "/etc/kcibot/key"')
    return resolve(value, info)


def resolve(path: str, info: ValidationInfo) -> Path:
    """The path, made absolute from the folder of the configuration file."""
    folder = Path((info.context or {}).get(FOLDER, "."))
    try:
        return folder / Path(path).expanduser()
    except RuntimeError as error:
        raise complain("starts with the home folder of an unknown user", "Write the whole path") from error


FilePath = Annotated[Path, PlainValidator(_path)]


# ---- addresses -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Address:
    """Checks a URL. `login` says where its user and its secret belong, if it has any."""

    schemes: tuple[str, ...]
    login: str = ""

    def __call__(self, value: str) -> str:
        example = f"Write it with {' or '.join(f'{scheme}://' for scheme in self.schemes)} and a host"
        try:
            parts = urlsplit(value)
            scheme, user, query = parts.scheme, parts.username, parse_qsl(parts.query)
            reachable = bool(parts.hostname or (scheme in {"unix", "file"} and parts.path)) and parts.port != 0
        except ValueError as error:
            raise complain("is no URL", example) from error
        if (user is not None and scheme != "ssh") or parts.password is not None:
            raise self._credentials()
        if any(_SECRET_WORD.search(name) for name, _ in query):
            raise self._credentials()
        if not _printable(value) or " " in value or scheme not in self.schemes or not reachable:
            raise complain("is no URL", example)
        return value

    def _credentials(self) -> PydanticCustomError:
        where = f"Put them into {self.login}" if self.login else "Remove them: nothing here needs a login"
        return complain("must not hold credentials: an address is shown in logs and in the channel", where)


@dataclass(frozen=True, slots=True)
class GitAddress:
    """Checks what Git takes for a repository: a URL, user@host:path, or a path on this machine."""

    def __call__(self, value: str) -> str:
        if _SCP.fullmatch(value) or (value.startswith("/") and _printable(value)):
            return value
        return Address(("https", "ssh", "http", "file"), "services.git.token or services.git.ssh_key")(value)


GitUrl = Annotated[str, AfterValidator(GitAddress())]


def http(login: str = "") -> Callable[[str], str]:
    """The check of an http or https URL whose login belongs into those keys."""
    return Address(("https", "http"), login)


def _printable(value: str) -> bool:
    return bool(value.strip()) and not _UNSEEN.search(value)


# ---- places and hours ------------------------------------------------------------------------------------------


def _place(value: object) -> Place:
    network, colon, channel = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not (_NAME.fullmatch(network) and colon and _printable(channel)) or " " in channel:
        raise complain("is no room", 'Write network and channel in quotes, such as "console:#kernelci"')
    return Place(network, channel)


Room = Annotated[Place, PlainValidator(_place)]


def _clock(value: object) -> time:
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise complain("is no time of day", 'Write it in quotes, such as "08:00" (UTC)')
    return time.fromisoformat(value)


ClockTime = Annotated[time, PlainValidator(_clock)]


END_OF_DAY = "24:00"


def _end(value: object) -> time:
    """`24:00` is the midnight at the end of the day, which Python and `Hours` write as 00:00."""
    return time() if value == END_OF_DAY else _clock(value)


EndTime = Annotated[time, PlainValidator(_end)]


class ProductionHours(Block):
    """When people look after a change; UTC, and within one day, whose end is 24:00."""

    days: tuple[Day, ...] = Field(default=DAYS[:5], min_length=1, examples=['["Mon", "Tue", "Wed", "Thu"]'])
    start: ClockTime = Field(default=time(8), alias="from", examples=['"08:00"'])
    end: EndTime = Field(default=time(16), alias="to", examples=['"16:00"'])

    @model_validator(mode="after")
    def _in_order(self) -> "ProductionHours":
        if self.start >= self.end != time():
            raise complain("ends before it begins", "Let `from` be earlier than `to`, on the same day (UTC)")
        return self

    def hours(self) -> Hours:
        return Hours(frozenset(DAYS.index(day) for day in self.days), self.start, self.end)
