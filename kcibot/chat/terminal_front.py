"""The two ways in which a room is shown: a screen with a line to type on, or plain lines in and out."""

import codecs
import contextlib
import os
import selectors
import shutil
import termios
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TextIO

from kcibot.chat.console_render import Row, cells, clean, coloured, colours_wanted
from kcibot.chat.line_editor import Complete, Key, LineEditor

WIDEST = 110
_KEPT_BLOCKS = 200
_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Block:
    """Something shown: `rows` makes it for a width. `number` is the message's, 0 for what is no message."""

    number: int
    rows: Callable[[int], list[Row]]


@dataclass(frozen=True, slots=True)
class Typed:
    """The lines that were finished, and whether the person left after them."""

    lines: tuple[str, ...] = ()
    left: bool = False


class Front(Protocol):
    """What the terminal needs; a context manager that leaves the terminal as it found it."""

    def __enter__(self) -> "Front": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def typed(self, prompt: str, seconds: float) -> Typed:
        """What was typed; waits so long at most."""
        ...

    def show(self, block: Block) -> None: ...

    def redraw(self, block: Block) -> bool:
        """Show the block anew where it stands; false if it is not on the screen any more."""
        ...


class PlainFront:
    """Lines in, lines out, nothing moved. Leaves when the input has ended and nothing happened for `linger` seconds."""

    def __init__(self, stdin: TextIO, stdout: TextIO, environ: Mapping[str, str], linger: float) -> None:
        self._stdin, self._stdout, self._linger = stdin, stdout, linger
        self._fd = stdin.fileno()
        self._colours = colours_wanted(stdout, environ)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._ended = self._gone = False
        self._quiet_since = time.monotonic()

    def __enter__(self) -> "PlainFront":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is nothing to put back."""

    def typed(self, prompt: str, seconds: float) -> Typed:
        if self._ended:
            time.sleep(seconds)  # the port's promise: nothing can be typed any more, only the room goes on
            return Typed(left=self._gone or time.monotonic() - self._quiet_since > self._linger)
        if not _readable(self._fd, seconds):
            return Typed(left=self._gone)
        data = os.read(self._fd, _READ_BYTES)
        self._ended = not data
        self._quiet_since = time.monotonic()
        *lines, self._rest = (self._rest + self._decoder.decode(data, final=self._ended)).split("\n")
        if self._ended and self._rest:
            lines.append(self._rest)
        return Typed(tuple(lines), self._gone)

    def show(self, block: Block) -> None:
        self._quiet_since = time.monotonic()
        width = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
        rows = block.rows(width)
        text = "".join((coloured(row) if self._colours else row.text) + "\n" for row in rows)
        try:
            _write(self._stdout, text)
        except BrokenPipeError:
            self._gone = True

    def redraw(self, block: Block) -> bool:
        return False


def _write(stream: TextIO, text: str) -> None:
    """At once; a character that the stream's encoding lacks becomes a question mark."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()


@dataclass(slots=True)
class _Shown:
    block: Block
    rows: list[Row]


class Screen:
    """Messages scroll up above the line that is being typed; a block that is still in sight can be drawn anew.

    The typed line never takes more than one row, so that it is always known how many rows up a block begins.
    """

    def __init__(self, stdin: TextIO, stdout: TextIO, environ: Mapping[str, str], complete: Complete) -> None:
        self._stdin, self._stdout = stdin, stdout
        self._fd = stdin.fileno()
        self._colours = colours_wanted(stdout, environ)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._editor = LineEditor(complete)
        self._shown: deque[_Shown] = deque(maxlen=_KEPT_BLOCKS)
        self._prompt = ""
        self._size = os.terminal_size((80, 24))
        self._in_sight = 0
        self._gone = False
        self._before: list[Any] = []

    def __enter__(self) -> "Screen":
        self._before = termios.tcgetattr(self._fd)
        mode = termios.tcgetattr(self._fd)
        # Without ISIG, Ctrl-C is a key of this room and not a signal to every process of the terminal, bot included.
        mode[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
        mode[0] &= ~termios.IXON
        termios.tcsetattr(self._fd, termios.TCSADRAIN, mode)
        self._size = self._terminal_size()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write("\r\x1b[J")
        # The terminal may be gone already (its window closed): then there is nothing to put back.
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def typed(self, prompt: str, seconds: float) -> Typed:
        try:
            self._follow_size()
            if prompt != self._prompt:
                self._prompt = prompt
                self._write(self._input_line())
            if not _readable(self._fd, seconds):
                return Typed(left=self._gone)
            data = os.read(self._fd, _READ_BYTES)
        except OSError:
            return Typed(left=True)
        return self._edited(data)

    def show(self, block: Block) -> None:
        self._shown.append(_Shown(block, block.rows(self._width())))
        self._draw("\r\x1b[J", [self._shown[-1]])

    def redraw(self, block: Block) -> bool:
        later: list[_Shown] = []
        for shown in reversed(self._shown):
            later.insert(0, shown)
            height = self._height(later)
            if height > self._in_sight:
                return False
            if shown.block.number == block.number:
                self._draw_again(shown, block, later, height)
                return True
        return False

    def _draw_again(self, shown: _Shown, block: Block, later: list[_Shown], height: int) -> None:
        """`height` rows above the typed line begins `shown`, the first of `later`: draw them all from there."""
        rows = block.rows(self._width())
        if rows == shown.rows:
            return
        shown.block, shown.rows = block, rows
        self._in_sight -= height
        self._draw(f"\r\x1b[{height}A\x1b[J", later)

    def _edited(self, data: bytes) -> Typed:
        if not data:
            return Typed(left=True)
        done = self._editor.feed(self._decoder.decode(data))
        if Key.REPAINT in done:
            self._repaint()
        self._write(self._input_line())
        lines = tuple(item for item in done if not isinstance(item, Key))
        return Typed(lines, Key.LEAVE in done)

    # ---- drawing -----------------------------------------------------------------------------------------------

    def _follow_size(self) -> None:
        """After a resize the terminal may have broken rows anew: only a clean screen is certain."""
        size = self._terminal_size()
        if size != self._size:
            self._size = size
            self._repaint()

    def _repaint(self) -> None:
        """Clear the screen, and show the newest blocks that fit on it."""
        fitting: list[_Shown] = []
        for shown in reversed(self._shown):
            shown.rows = shown.block.rows(self._width())
            if self._height([shown, *fitting]) >= self._size.lines:
                break
            fitting.insert(0, shown)
        self._in_sight = 0
        self._draw("\x1b[H\x1b[2J", fitting)

    def _draw(self, before: str, blocks: list[_Shown]) -> None:
        """Write the blocks from where `before` takes the cursor, and the typed line below them."""
        self._in_sight = min(self._in_sight + self._height(blocks), self._size.lines - 1)
        self._write(before + "".join(self._text(shown.rows) for shown in blocks) + self._input_line())

    def _height(self, blocks: list[_Shown]) -> int:
        """Terminal rows; a word wider than the screen is continued by the terminal."""
        rows = (row for shown in blocks for row in shown.rows)
        return sum(max(1, -(-cells(row.text) // self._size.columns)) for row in rows)

    def _text(self, rows: list[Row]) -> str:
        return "".join((coloured(row) if self._colours else row.text) + "\r\n" for row in rows)

    def _input_line(self) -> str:
        prompt = clean(self._prompt)
        text, cursor = self._editor.window(max(self._size.columns - cells(prompt), 2))
        right = cells(prompt) + cursor
        return f"\r\x1b[K{prompt}{text}\r" + (f"\x1b[{right}C" if right else "")

    def _write(self, text: str) -> None:
        try:
            _write(self._stdout, text)
        except OSError:
            self._gone = True

    def _width(self) -> int:
        return min(self._size.columns - 1, WIDEST)

    def _terminal_size(self) -> os.terminal_size:
        """As the terminal says; some say 0 until they are told."""
        size = os.get_terminal_size(self._fd)
        return size if size.columns and size.lines else os.terminal_size((80, 24))


def _readable(fd: int, seconds: float) -> bool:
    """Whether there is something to read within so long.

    A plain select() knows no file beyond the 1,024th, and epoll none that is no stream, such as commands in a file.
    """
    with selectors.PollSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        return bool(selector.select(seconds))
