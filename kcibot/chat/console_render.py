"""How a terminal shows a notice or a message: pure functions from values to rows of text, colours kept apart."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from kcibot.core.notice import Button, Field, Level, Notice, Progress
from kcibot.core.sparkline import sparklines

MARKS = {
    Level.INFO: "",
    Level.SUCCESS: "✓ ",
    Level.PROMPT: "? ",
    Level.WARNING: "! ",
    Level.ALERT: "!! ",
    Level.ERROR: "✗ ",
}
"""What a title begins with; an ordinary one needs no mark."""

_COLOURS = {
    Level.INFO: "1",
    Level.SUCCESS: "1;32",
    Level.PROMPT: "1;36",
    Level.WARNING: "1;33",
    Level.ALERT: "1;31",
    Level.ERROR: "1;31",
}
_DIM = "2"
_CYAN = "36"

INDENT = 2
NARROWEST = 20
BAR_CELLS = 20
_WIDEST_NAME = 24
_TAB = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One row of text without a control character, and the terminal's code for its colour (empty for none)."""

    text: str
    colour: str = ""


def render(notice: Notice, width: int, lead: str = "", indent: int = INDENT) -> list[str]:
    """The notice as plain lines, wrapped on words at `width` cells; a word longer than that keeps its line.

    `lead` goes before the title; everything below the title is indented by `indent` cells.
    """
    return [row.text for row in notice_rows(notice, width, lead, indent)]


def notice_rows(notice: Notice, width: int, lead: str = "", indent: int = INDENT) -> list[Row]:
    """What `render` shows, with colours."""
    width = max(width, NARROWEST)
    pad, deeper = " " * indent, " " * (indent + INDENT)
    rows = [Row(text, _COLOURS[notice.level]) for text in wrap(notice.title, width, lead + MARKS[notice.level], pad)]
    rows += [Row(text) for text in _fields(notice.fields, width, pad)]
    rows += [Row(text) for line in _lines(notice) for text in wrap(line, width, pad, deeper)]
    if notice.picture:
        rows += [Row(text) for line in sparklines(notice.picture) for text in wrap(line, width, pad, deeper)]
    if notice.progress:
        rows.append(Row(pad + bar(notice.progress)))
    rows += [Row(text, _CYAN) for text in _buttons(notice.buttons, width, pad)]
    if notice.mentions:
        rows += [Row(text) for text in wrap(" ".join(f"@{name}" for name in notice.mentions), width, pad, pad)]
    return rows


def _lines(notice: Notice) -> Iterator[str]:
    """Its lines, with the lines of those that hold several."""
    for line in notice.lines:
        yield from line.splitlines() or [""]


def headline(notice: Notice) -> str:
    """The notice in one line."""
    return clean(notice.brief or notice.title)


def bar(progress: Progress) -> str:
    """`[#####...............] 50/200 kernels`; full only when everything is done, no bar if the total is unknown."""
    if progress.total <= 0:
        return f"{progress.done} {clean(progress.unit)}".rstrip()
    done = min(max(progress.done, 0), progress.total)
    filled = BAR_CELLS * done // progress.total
    count = f"{progress.done}/{progress.total} {clean(progress.unit)}".rstrip()
    return f"[{'#' * filled}{'.' * (BAR_CELLS - filled)}] {count}"


def dim(lines: Sequence[str]) -> list[Row]:
    """Rows of what is not part of the conversation."""
    return [Row(line, _DIM) for line in lines]


def coloured(row: Row) -> str:
    """The row with its colour, for a terminal."""
    return f"\x1b[{row.colour}m{row.text}\x1b[0m" if row.colour else row.text


def colours_wanted(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Only on a terminal that can, and not where NO_COLOR is set (https://no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


# ---- text ------------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """The text as one line that a terminal can be given.

    Tabs and line ends become spaces; control characters, lone surrogates and what turns the writing direction are
    replaced by a mark, so that nobody's text can move the cursor or hide what an approver reads.
    """
    return "".join(map(_shown, text))


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    category = unicodedata.category(char)
    if char in "\t\n\r" or category.startswith("Z"):
        return " "
    return "\N{REPLACEMENT CHARACTER}"


def cells(text: str) -> int:
    """How many columns of a terminal the text takes; wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_char_cells(char) for char in text)


def _char_cells(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def wrap(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """The text in lines of at most `width` cells, broken between words.

    The first line starts with `first`, the others with `rest`; spaces within a line are kept, and what continues an
    indented line is indented as far.
    """
    rows: list[str] = []
    for part in text.expandtabs(_TAB).splitlines() or [""]:
        rows += _wrap_line(clean(part).rstrip(), width, rest if rows else first, rest)
    return rows


def _wrap_line(text: str, width: int, first: str, rest: str) -> Iterator[str]:
    inner = len(text) - len(text.lstrip())
    hang = rest + " " * min(inner, width // 2)
    row, start = first, first
    for token in re.findall(r"\s*\S+", text):
        if row != start and cells(row) + cells(token) > width:
            yield row.rstrip()
            row = start = hang
            token = token.lstrip()  # noqa: PLW2901 (the spaces were where the line broke)
        row += token
    yield row.rstrip()


def _fields(fields: Sequence[Field], width: int, pad: str) -> Iterator[str]:
    longest = max((cells(clean(field.name)) for field in fields), default=0)
    column = min(longest, _WIDEST_NAME) + 1
    for field in fields:
        name = f"{clean(field.name)}:"
        start = pad + name + " " * (max(column - cells(name), 0) + 1)
        yield from wrap(field.value, width, start, pad + " " * (column + 1))


def _buttons(buttons: Sequence[Button], width: int, pad: str) -> Iterator[str]:
    """Side by side as far as they fit; none is broken."""
    row = ""
    for button in buttons:
        shown = clean(f"[{button.label}: {button.command}]")
        if row and cells(row) + INDENT + cells(shown) > width:
            yield row
            row = ""
        row = f"{row}  {shown}" if row else pad + shown
    if row:
        yield row
