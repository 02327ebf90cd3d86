"""How an answer of Jenkins may go wrong, and what the channel must read of it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kcibot.sandbox.http import FaultKind


class Span(StrEnum):
    """How long a trouble lasts: one request, every further one to the same address, or every further one at all."""

    ONCE = "once"
    HERE = "for good"
    EVERYWHERE = "for good, everywhere"


class Needs(StrEnum):
    """What the true answer must be for a trouble to make sense."""

    ANYTHING = "anything"
    BODY = "body"
    JSON = "json"


@dataclass(frozen=True, eq=False)
class Trouble:
    """`says` is what the channel must read of it; empty if an answer may be understood all the same."""

    name: str
    kind: FaultKind
    says: str
    status: int = 500
    change: Callable[[Any], Any] = lambda value: value
    needs: Needs = Needs.ANYTHING


def each(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same JSON with every value inside of it changed; the outermost object stays one."""
    if isinstance(value, dict):
        return {key: change(each(inner, change)) for key, inner in value.items()}
    return [change(each(inner, change)) for inner in value] if isinstance(value, list) else value


def of_type(*types: type, to: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda whole: each(whole, lambda value: to(value) if type(value) in types else value)


NO_JSON = r"something that is not (JSON|XML)|answered 200"
NOT_READ = r"was not understood"
BROKE, LATE = r"broke the connection", r"did not answer in time"


def _changed(name: str, change: Callable[[Any], Any], says: str = "") -> Trouble:
    return Trouble(name, FaultKind.CHANGED, says, change=change, needs=Needs.JSON)


TROUBLES = (
    Trouble("refused", FaultKind.LAST, "cannot be reached"),
    Trouble("hang", FaultKind.HANG, LATE),
    Trouble("reset before", FaultKind.RESET_BEFORE, BROKE),
    Trouble("reset after", FaultKind.RESET_AFTER, BROKE),
    Trouble("reset midway", FaultKind.RESET_MIDWAY, BROKE),
    *(Trouble(str(code), FaultKind.STATUS, rf"our login \({code}\)", code) for code in (401, 403)),
    *(Trouble(str(code), FaultKind.STATUS, f"answered {code}", code) for code in (500, 502, 503)),
    Trouble("html", FaultKind.HTML, NO_JSON),
    Trouble("empty", FaultKind.EMPTY, NO_JSON, needs=Needs.BODY),
    Trouble("truncated", FaultKind.TRUNCATED, NO_JSON, needs=Needs.BODY),
    _changed("array", lambda value: [value], NO_JSON),
    _changed("object without anything", lambda _value: {}),
    _changed("booleans as words", of_type(bool, to=lambda value: str(value).lower())),
    _changed("booleans as lists", of_type(bool, to=lambda value: [value])),
    _changed("booleans as null", of_type(bool, to=lambda _value: None)),
    _changed("numbers as words", of_type(int, float, to=str)),
    _changed("words as numbers", of_type(str, to=lambda _value: 7)),
    _changed("words as null", of_type(str, to=lambda _value: None)),
    _changed("lists as objects", of_type(list, to=lambda value: dict(enumerate(value)))),
    _changed("objects as words", of_type(dict, to=str)),
)
WRONG_TYPES = tuple(trouble for trouble in TROUBLES if trouble.kind is FaultKind.CHANGED)
ALL_OVER = frozenset({"refused", "hang", "reset after", "401", "503", "html"})
"""What a whole server does when it is away. A closed port is closed for everybody."""
