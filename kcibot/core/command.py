"""Commands as declared functions: their typed arguments, their usage line, and what one call of them amounts to.

    @command("drain wait", role="operator", example="!drain wait --timeout 3h")
    def drain_wait(call: Call, *, timeout: timedelta = timedelta(hours=3), ignore: Words = ()) -> Outcome:
        \"\"\"Wait until Jenkins is proven idle.\"\"\"

Parameters before `*` are positional, those after it are options. The annotation is the type; the first line of the
docstring is the help.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import EnumMeta
from typing import Any, NewType, get_type_hints

from kcibot.core.journal import Change
from kcibot.core.notice import Notice
from kcibot.errors import UserError

Words = tuple[str, ...]
"""All the words that are left, at least one unless there is a default."""

Reason = NewType("Reason", str)
"""The rest of the line as it was typed, in people's own words. A missing one is asked for in the next line."""

Text = NewType("Text", str)
"""The rest of the line as it was typed: apostrophes, backslashes and words that look like options are left alone."""


class Word(str):
    """A word of a line as a shell understands it, which still knows how it was typed."""

    __slots__ = ("typed",)

    def __new__(cls, word: str, typed: str) -> "Word":
        self = super().__new__(cls, word)
        self.typed = typed
        return self

    typed: str


RAW = frozenset({Reason, Text})
"""What takes the rest of the line as it was typed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call amounts to: changes to commit together with the reply, and runs to go on with after that."""

    notice: Notice | None = None
    changes: tuple[Change, ...] = ()
    wake: tuple[int, ...] = ()


class MissingReason(UserError):
    """Everything is there but the reason."""


class UsageError(UserError):
    """The words do not fit the command; the message says which and how it is used."""


@dataclass(frozen=True)
class Command:
    """A declared verb. `role` is what its caller must have. An urgent one is heard in the worst flood of commands.

    One that `only_holds` lets nothing happen that would not have happened: it is done however late it is heard.
    """

    name: str
    role: str
    help: str
    example: str
    handler: Callable[..., Outcome]
    positional: tuple["Argument", ...]
    options: Mapping[str, "Argument"]
    urgent: bool = False
    only_holds: bool = False

    @property
    def usage(self) -> str:
        parts = [f"!{self.name}", *(a.usage for a in self.positional), *(a.option_usage for a in self.options.values())]
        return " ".join(parts)

    def bind(self, words: tuple[str, ...]) -> dict[str, object]:
        """Arguments by name. Raises UsageError, or MissingReason if only the reason is missing."""
        plain, options = _split(words, self)
        bound: dict[str, object] = {}
        for argument in self.positional:
            plain = argument.take(plain, bound, self.usage)
        if plain:
            raise UsageError(f"I do not understand “{' '.join(plain)}” there. Usage: {self.usage}")
        for name, values in options.items():
            bound[self.options[name].name] = self.options[name].from_words(values, self.usage)
        return bound


@dataclass(frozen=True, slots=True)
class Argument:
    """One typed parameter of a command."""

    name: str
    kind: Any
    required: bool

    @property
    def shown(self) -> str:
        many = "..." if self.kind in {Words, Text} else ""
        choices = "|".join(_choices(self.kind)) if isinstance(self.kind, EnumMeta) else ""
        return (choices or self.name.upper().replace("_", "-")) + many

    @property
    def usage(self) -> str:
        return self.shown if self.required else f"[{self.shown}]"

    @property
    def option_usage(self) -> str:
        flag = f"--{self.name.replace('_', '-')}"
        return f"[{flag}]" if self.kind is bool else f"[{flag} {self.shown}]"

    def take(self, words: tuple[str, ...], bound: dict[str, object], usage: str) -> tuple[str, ...]:
        """Bind what belongs to this argument; return the words that are left."""
        if not words:
            if self.required:
                raise self._missing(usage)
            return words
        count = len(words) if self.kind in {Words, *RAW} else 1
        bound[self.name] = self.from_words(words[:count], usage)
        return words[count:]

    def from_words(self, words: tuple[str, ...], usage: str) -> object:
        if self.kind == Words:
            return words
        if self.kind is bool:
            return True
        text = _as_typed(words) if self.kind in RAW else " ".join(words)
        try:
            return _read(self.kind, text)
        except ValueError as error:
            raise UsageError(f"{self.shown}: {error}. Usage: {usage}") from error

    def _missing(self, usage: str) -> UserError:
        if self.kind is Reason:
            return MissingReason("Why? Say it in one line, and I go on.")
        return UsageError(f"{self.shown} is missing. Usage: {usage}")


def command(
    name: str, *, role: str, example: str = "", urgent: bool = False, only_holds: bool = False
) -> Callable[[Callable[..., Outcome]], Command]:
    """Declare a verb. Raises TypeError at import for a parameter that chat cannot fill."""

    def declare(handler: Callable[..., Outcome]) -> Command:
        hints = get_type_hints(handler)
        parameters = list(inspect.signature(handler).parameters.values())[1:]
        arguments = {
            p.name: Argument(p.name, _known(hints[p.name], name), p.default is inspect.Parameter.empty)
            for p in parameters
        }
        optional = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
        return Command(
            name,
            role,
            inspect.cleandoc(handler.__doc__ or "").partition("\n")[0],
            example or f"!{name}",
            handler,
            tuple(a for a in arguments.values() if a.name not in optional),
            {f"--{a.name.replace('_', '-')}": a for a in arguments.values() if a.name in optional},
            urgent,
            only_holds,
        )

    return declare


SPAN = re.compile(r"(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?")


def read_span(text: str) -> timedelta:
    """`90m`, `3h`, `1d12h`. Raises ValueError."""
    found = SPAN.fullmatch(text)
    if not text or not found:
        raise ValueError(f"“{text}” is no length of time such as 90m, 3h or 1d12h")
    return timedelta(**{unit: int(n) for unit, n in found.groupdict().items() if n})


def _read(kind: Any, text: str) -> object:
    if kind is timedelta:
        return read_span(text)
    if kind is int:
        if not re.fullmatch(r"\d{1,9}", text):
            raise ValueError(f"“{text}” is no number")
        return int(text)
    if isinstance(kind, EnumMeta):
        if text not in _choices(kind):
            raise ValueError(f"“{text}” is none of {', '.join(_choices(kind))}")
        return kind(text)
    return text


def _as_typed(words: tuple[str, ...]) -> str:
    """As people wrote it; only quotes around the whole of it are taken off, for they were meant for the bot."""
    typed = " ".join(word.typed if isinstance(word, Word) else word for word in words)
    return words[0] if len(words) == 1 and typed[:1] in {'"', "'"} and typed[-1:] == typed[:1] else typed


def _choices(kind: EnumMeta) -> tuple[str, ...]:
    members: Mapping[str, Any] = kind.__members__
    return tuple(str(member.value) for member in members.values())


def _known(kind: Any, name: str) -> Any:
    if kind in {str, int, bool, timedelta, Words, *RAW} or isinstance(kind, EnumMeta):
        return kind
    raise TypeError(f"command {name}: chat cannot fill a parameter of type {kind}")


def _split(words: tuple[str, ...], spec: Command) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Tell options from the other words. An unknown option is refused, but people's own words may start with dashes."""
    plain: list[str] = []
    options: dict[str, tuple[str, ...]] = {}
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.partition("=")
        argument = spec.options.get(name)
        if argument is None:
            if word.startswith("--") and not any(a.kind in RAW for a in spec.positional):
                raise UsageError(f"{name} is no option here. Usage: {spec.usage}")
            plain.append(word)
        elif argument.kind is bool:
            options[name] = ()
        elif equals or waiting:
            taken = value if equals else waiting.pop(0)
            options[name] = (*options.get(name, ()), taken) if argument.kind == Words else (taken,)
        else:
            raise UsageError(f"{name} wants {argument.shown}. Usage: {spec.usage}")
    return tuple(plain), options
