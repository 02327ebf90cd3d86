"""Reads YAML strictly, and remembers where everything stood.

What YAML does silently is refused or undone here: a key given twice, a value lost behind an unquoted #, a tag, an
alias that blows up. Only null, true/false, decimal numbers and text come out: what YAML would take for a date, an
octal or a sexagesimal number stays the text it is written as.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from kcibot.config.problems import Problem, Where

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
"""libyaml's composer recurses on the C stack: 200,000 opening brackets kill the process."""
MAX_ALIASES = 100
MAX_VALUES = 100_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_COLLECTIONS = {f"{_TAG}map", f"{_TAG}seq"}
_AS_WRITTEN = {f"{_TAG}{kind}" for kind in ("str", "timestamp", "value", "merge", "int", "float")}
_BOOL = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+]?[0-9]{1,3})?")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029\ufffe\uffff]")
"""What no editor shows as YAML means it; some of them are line breaks to YAML, and lines would be miscounted."""
_COMMENT = re.compile(r"(^|\s)#")

_SYNTAX = (
    ("undefined alias", "a text that starts with * must be in quotes", "Put it in double quotes"),
    (
        "cannot start any token",
        "a tab, or a sign with a meaning in YAML",
        "Indent with blanks; quote what starts with @ or %",
    ),
    ("tab character", "a tab stands here", "Indent with blanks"),
    (
        "mapping values are not",
        "a key is indented wrongly, or a text holds a colon",
        "Align the key, or quote the text",
    ),
    ("unexpected end of stream", "a quote is opened and never closed", "Close the quote that is opened on this line"),
    ("single document", "a second document starts here", "Remove the line ---"),
    ("',' or", "a bracket is never closed, or a comma is missing", "Close what is opened on this line"),
    ("escape", "a backslash sequence that YAML does not know", "Use single quotes, or write the backslash twice"),
    ("duplicate anchor", "an anchor of this name was set before", "Give it another name"),
    ("could not find expected ':'", "this is neither a key nor part of the text above", "Write it as `key: value`"),
    ("expected key", "this does not belong to the keys above it", "Check its indentation"),
    ("'-' indicator", "this does not belong to the list above it", "Check its indentation"),
)
"""A part of the parser's words, and what to say instead."""

_OPENED = ("unexpected end of stream", "',' or")
"""What is complained about at its end, and to be mended at its beginning."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """What was read: JSON values, where each of them stood, and what could not be taken."""

    value: dict[str, object]
    marks: dict[Where, Mark]
    problems: tuple[Problem, ...] = ()

    def line(self, where: Where) -> int:
        """The line of that key, or of the innermost block around it that is there."""
        while where and where not in self.marks:
            where = where[:-1]
        return self.marks[where].line if where in self.marks else 1

    def at(self, where: Where) -> object:
        """The value at that path; raises KeyError."""
        value: object = self.value
        for part in where:
            match value:
                case dict() if part in value:
                    value = value[part]
                case list() if isinstance(part, int) and part < len(value):
                    value = value[part]
                case _:
                    raise KeyError(part)
        return value


class _Stop(Exception):
    """Reading cannot go on."""

    def __init__(self, line: int, what: str, fix: str) -> None:
        super().__init__(what)
        self.problem = Problem(line, (), what, fix)


def parse(data: bytes) -> Document:
    """Read one document. Never raises for what the data holds: what is wrong is in the document's problems."""
    try:
        text = _text(data)
        _guard(text)
        builder = _Builder(text.split("\n"))
        value = builder.root(yaml.compose(text, Loader=_LOADER))
    except _Stop as stop:
        return Document({}, {}, (stop.problem,))
    except yaml.MarkedYAMLError as error:
        return Document({}, {}, (_syntax(error, text.count("\n") + 1),))
    except yaml.YAMLError:
        return Document({}, {}, (Problem(1, (), "this is no YAML", "Compare it with config.example.yaml"),))
    return Document(value, builder.marks, tuple(builder.problems))


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _Stop(0, "the file is larger than a megabyte", "Is it the right file?")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _Stop(line, "this line is not UTF-8 text", "Save the file as UTF-8") from error
    control = _CONTROL.search(text)
    if control:
        line = text[: control.start()].count("\n") + 1
        raise _Stop(line, "this line holds a control character", "Remove it")
    return text


def _guard(text: str) -> None:
    """Refuse what would exhaust the composer, by a look at the events, which need no recursion."""
    depth = aliases = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > MAX_DEPTH:
            raise _Stop(_line(event), "this is nested too deeply", "Is a bracket never closed?")
        if aliases > MAX_ALIASES:
            raise _Stop(_line(event), f"there are more than {MAX_ALIASES} aliases", "Write it out")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _syntax(error: yaml.MarkedYAMLError, last: int) -> Problem:
    """The parser's own words are not repeated: they quote the file, which may hold a misplaced secret."""
    said = f"{error.problem} {error.context}"
    opened = any(part in said for part in _OPENED)
    mark = (error.context_mark if opened else None) or error.problem_mark or error.context_mark
    line = min(mark.line + 1, last) if mark else 1
    for part, what, fix in _SYNTAX:
        if part in said:
            return Problem(line, (), what, fix)
    return Problem(line, (), "this is no YAML", "Check the indentation and the quotes here and on the line above")


@dataclass
class _Builder:
    """Makes plain values of composed nodes."""

    lines: list[str]
    marks: dict[Where, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    count: int = 0
    open: set[int] = field(default_factory=set)

    def root(self, node: yaml.Node | None) -> dict[str, object]:
        self.marks[()] = Mark(1, 1)
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise _Stop(node.start_mark.line + 1, "the file must be a block of keys", "Write keys as `key: value`")
        # An empty block at the top, all its keys commented out, is one that is left out.
        return {key: value for key, value in self._mapping(node, ()).items() if value is not None}

    def value(self, node: yaml.Node, where: Where) -> object:
        line = node.start_mark.line + 1
        self.count += 1
        if self.count > MAX_VALUES:
            raise _Stop(line, "the aliases of this file unfold to too many values", "Write it out")
        if id(node) in self.open or len(where) > MAX_DEPTH:
            raise _Stop(line, "an alias stands within what it is an alias of", "Write it out")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, where)
        if node.tag not in _COLLECTIONS:
            return self._tagged(where)
        self.open.add(id(node))
        value = self._mapping(node, where) if isinstance(node, yaml.MappingNode) else self._list(node, where)
        self.open.remove(id(node))
        return value

    def _mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in self._entries(node, where):
            inner = (*where, key.value)
            self.marks[inner] = Mark(key.start_mark.line + 1, key.start_mark.column + 1)
            found[key.value] = self.value(value, inner)
        return found

    def _list(self, node: yaml.Node, where: Where) -> list[object]:
        found = []
        for index, item in enumerate(node.value):
            inner = (*where, index)
            self.marks[inner] = Mark(item.start_mark.line + 1, item.start_mark.column + 1)
            found.append(self.value(item, inner))
        return found

    def _entries(self, node: yaml.MappingNode, where: Where) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """The keys, each once, then those merged by << that are not among them."""
        seen: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == f"{_TAG}merge":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif not isinstance(key, yaml.ScalarNode):
                self._problem(line, where, "a key must be a plain text", "Write it as `key: value`")
            elif key.value in seen:
                first = seen[key.value]
                inner = (*where, key.value)
                self._problem(line, inner, f"is given twice, first on line {first}", "Keep one of the two")
            else:
                seen[key.value] = line
                yield key, value
        for parent in merged:
            yield from self._merged(parent, seen, where)

    def _merged(
        self, parent: yaml.Node, seen: dict[str, int], where: Where
    ) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        line = parent.start_mark.line + 1
        if not isinstance(parent, yaml.MappingNode):
            self._problem(line, where, "only a block of keys can be merged by <<", "Write the keys out")
            return
        self.count += len(parent.value)
        if id(parent) in self.open or self.count > MAX_VALUES:
            raise _Stop(line, "an alias stands within what it is an alias of", "Write it out")
        self.open.add(id(parent))
        for key, value in self._entries(parent, where):
            if key.value not in seen:
                seen[key.value] = line
                yield key, value
        self.open.remove(id(parent))

    def _scalar(self, node: yaml.ScalarNode, where: Where) -> object:
        text = str(node.value)
        kind = node.tag.removeprefix(_TAG)
        if kind == "null":
            return self._empty(node, where) if not text else None
        if kind == "bool":
            return _BOOL.get(text.lower(), text)
        if kind == "int" and _DECIMAL.fullmatch(text):
            return int(text)
        if kind == "float" and _FLOAT.fullmatch(text):
            return float(text)
        return text if node.tag in _AS_WRITTEN else self._tagged(where)

    def _empty(self, node: yaml.ScalarNode, where: Where) -> object:
        """No value. A block at the top may be empty, everything else was lost or forgotten."""
        line = self.marks[where].line
        if len(where) == 1:
            return None
        if _COMMENT.search(self.lines[line - 1][self.marks[where].column - 1 :]):
            what = "is empty: what follows an unquoted # is a comment"
            self._problem(line, where, what, 'Write it in quotes, such as "console:#kernelci", or leave the key out')
        else:
            self._problem(line, where, "is empty", "Give it a value, or leave the key out")
        return None

    def _tagged(self, where: Where) -> object:
        fix = "Write a text that starts with ! in quotes"
        self._problem(self.marks[where].line, where, "a tag (a word that starts with !) has no meaning here", fix)
        return None

    def _problem(self, line: int, where: Where, what: str, fix: str) -> None:
        self.problems.append(Problem(line, where, what, fix))
