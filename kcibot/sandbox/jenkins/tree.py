"""What Jenkins shows of an object: `tree=` and `depth=` selection over a model of beans with exported fields."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
Value: TypeAlias = "bool | int | float | str | Bean | Sequence[Value] | Mapping[str, JsonValue] | None"

ANY = "*"


class TreeError(ValueError):
    """The selection cannot be parsed; Jenkins answers 500."""


@dataclass(frozen=True, slots=True)
class Field:
    """One exported property, computed when it is asked for.

    It is shown by `depth=` down to the level `visibility`; an `inline` one does not count as a level.
    """

    name: str
    get: Callable[[], Value]
    visibility: int = 1
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Bean:
    """An object as Jenkins exports it; `kind` is its `_class`, empty where Jenkins leaves that out."""

    kind: str = ""
    fields: tuple[Field, ...] = ()


class Selection(Protocol):
    """Which fields are shown, and which part of a list."""

    def enter(self, exported: Field) -> "Selection | None": ...

    def cut(self, items: Sequence[Value]) -> Sequence[Value]: ...


@dataclass(frozen=True, slots=True)
class ByDepth:
    """`depth=N` is `ByDepth(1 - N)`."""

    level: int

    def enter(self, exported: Field) -> "ByDepth | None":
        if exported.visibility < self.level:
            return None
        return self if exported.inline else ByDepth(self.level + 1)

    def cut(self, items: Sequence[Value]) -> Sequence[Value]:
        return items


@dataclass(slots=True)
class Tree:
    """A parsed `tree=`; `first` and `last` are the range behind the brackets, end exclusive."""

    children: dict[str, "Tree"] = field(default_factory=dict)
    first: int = 0
    last: int | None = None

    def enter(self, exported: Field) -> "Tree | None":
        return self.children.get(exported.name) or self.children.get(ANY)

    def cut(self, items: Sequence[Value]) -> Sequence[Value]:
        return items[self.first : self.last]


def parse_tree(spec: str) -> Tree:
    """Parse `name,builds[number,url]{0,5}`. A blank belongs to the name, as in Jenkins. Raises TreeError."""
    reader = _Reader(spec)
    tree = Tree()
    reader.read_list(tree)
    if reader.rest:
        raise TreeError(f"unexpected {reader.rest[0]!r} in {spec!r}")
    return tree


class _Reader:
    def __init__(self, spec: str) -> None:
        self.rest = spec

    def read_list(self, parent: Tree) -> None:
        self._read_one(parent)
        while self._accept(","):
            self._read_one(parent)

    def _read_one(self, parent: Tree) -> None:
        name = re.match(r"[^\[\]{},]*", self.rest)
        if not name or not name.group():
            raise TreeError(f"a field name is missing before {self.rest!r}")
        self.rest = self.rest[name.end() :]
        child = parent.children[name.group()] = Tree()
        if self._accept("["):
            self.read_list(child)
            if not self._accept("]"):
                raise TreeError("a bracket is not closed")
        if self._accept("{"):
            self._read_range(child)

    def _read_range(self, child: Tree) -> None:
        match = re.match(r"(\d*)(,?)(\d*)\}", self.rest)
        if not match or not (match[1] or match[3]):
            raise TreeError(f"not a range: {{{self.rest}")
        self.rest = self.rest[match.end() :]
        child.first = int(match[1] or 0)
        if not match[2]:
            child.last = child.first + 1
        elif match[3]:
            child.last = int(match[3])
        if child.last is not None and child.last < child.first:
            raise TreeError("the range ends before it begins")

    def _accept(self, char: str) -> bool:
        if not self.rest.startswith(char):
            return False
        self.rest = self.rest[1:]
        return True


def select(value: Value, selection: Selection) -> JsonValue:
    """The JSON of a value under a selection; unknown fields are silently missing, as in Jenkins."""
    if isinstance(value, Bean):
        return _select_bean(value, selection)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [select(item, selection) for item in selection.cut(value)]
    return value


def _select_bean(bean: Bean, selection: Selection) -> JsonValue:
    shown: dict[str, JsonValue] = {"_class": bean.kind} if bean.kind else {}
    for exported in bean.fields:
        nested = selection.enter(exported)
        if nested is not None:
            shown[exported.name] = select(exported.get(), nested)
    return shown
