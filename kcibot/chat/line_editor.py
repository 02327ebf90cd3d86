"""The line that a person is typing: keys in, a line and what to do out. Knows no terminal.

It is our own, and not readline, because messages are printed above the line while it is being typed, and because a
terminal that also makes signals of keys would send Ctrl-C to the bot as well.
"""

import os
import re
from collections.abc import Callable, Sequence
from enum import StrEnum

from kcibot.chat.console_render import cells

Complete = Callable[[str], Sequence[str]]
"""Given the line so far, every whole line that it may become."""


class Key(StrEnum):
    """What a person wants besides typing."""

    LEAVE = "leave"
    REPAINT = "repaint"


_KEY = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO.|\x1b[^\[O]|[^\x1b]", re.DOTALL)
_UNFINISHED = re.compile(r"\x1b(\[[0-?]*[ -/]*|O)?\Z")
_HISTORY = 200


class LineEditor:
    """Ctrl-D leaves on an empty line, and so does Ctrl-C; with something typed, Ctrl-C throws the line away."""

    def __init__(self, complete: Complete = lambda _line: ()) -> None:
        self.text = ""
        self.cursor = 0
        self._complete_with = complete
        self._history: list[str] = []
        self._recalled = 0
        self._pending = ""
        keys: tuple[tuple[Callable[[], None], tuple[str, ...]], ...] = (
            (self._home, ("\x01", "\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~")),
            (self._end, ("\x05", "\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~")),
            (self._left, ("\x02", "\x1b[D", "\x1bOD")),
            (self._right, ("\x06", "\x1b[C", "\x1bOC")),
            (self._up, ("\x10", "\x1b[A", "\x1bOA")),
            (self._down, ("\x0e", "\x1b[B", "\x1bOB")),
            (self._backspace, ("\x7f", "\x08")),
            (self._delete, ("\x1b[3~",)),
            (self._cut_before, ("\x15",)),
            (self._cut_after, ("\x0b",)),
            (self._cut_word, ("\x17",)),
            (self._complete, ("\t",)),
        )
        self._keys = {sequence: action for action, sequences in keys for sequence in sequences}

    def feed(self, typed: str) -> list[str | Key]:
        """Take what was typed; the lines that were finished by it and the wishes, in order."""
        data = self._pending + typed
        unfinished = _UNFINISHED.search(data)
        self._pending = unfinished.group() if unfinished else ""
        whole = data[: len(data) - len(self._pending)]
        done = (self._press(match.group()) for match in _KEY.finditer(whole))
        return [item for item in done if item is not None]

    def window(self, width: int) -> tuple[str, int]:
        """The part of the line around the cursor that fits into `width` cells, and the cursor's cell in it."""
        start = 0
        while cells(self.text[start : self.cursor]) >= width:
            start += 1
        end = len(self.text)
        while cells(self.text[start:end]) >= width:
            end -= 1
        return self.text[start:end], cells(self.text[start : self.cursor])

    def _press(self, key: str) -> str | Key | None:
        match key:
            case "\r" | "\n":
                return self._submit()
            case "\x03":
                if not self.text:
                    return Key.LEAVE
                self._set("")
            case "\x04":
                if not self.text:
                    return Key.LEAVE
                self._delete()
            case "\x0c":
                return Key.REPAINT
            case _ if key in self._keys:
                self._keys[key]()
            case _ if key.isprintable():
                self._insert(key)
        return None

    def _submit(self) -> str:
        line = self.text
        if line.strip() and self._history[-1:] != [line]:
            self._history = [*self._history, line][-_HISTORY:]
        self._set("")
        self._recalled = len(self._history)
        return line

    def _set(self, text: str) -> None:
        self.text, self.cursor = text, len(text)

    def _insert(self, text: str) -> None:
        self.text = self.text[: self.cursor] + text + self.text[self.cursor :]
        self.cursor += len(text)

    def _cut(self, start: int, end: int) -> None:
        self.text = self.text[:start] + self.text[end:]
        self.cursor = start

    # ---- keys --------------------------------------------------------------------------------------------------

    def _home(self) -> None:
        self.cursor = 0

    def _end(self) -> None:
        self.cursor = len(self.text)

    def _left(self) -> None:
        self.cursor = max(self.cursor - 1, 0)

    def _right(self) -> None:
        self.cursor = min(self.cursor + 1, len(self.text))

    def _backspace(self) -> None:
        self._cut(max(self.cursor - 1, 0), self.cursor)

    def _delete(self) -> None:
        self._cut(self.cursor, self.cursor + 1)

    def _cut_before(self) -> None:
        self._cut(0, self.cursor)

    def _cut_after(self) -> None:
        self._cut(self.cursor, len(self.text))

    def _cut_word(self) -> None:
        before = self.text[: self.cursor].rstrip()
        self._cut(before.rfind(" ") + 1, self.cursor)

    def _up(self) -> None:
        self._recall(self._recalled - 1)

    def _down(self) -> None:
        self._recall(self._recalled + 1)

    def _recall(self, index: int) -> None:
        if 0 <= index < len(self._history):
            self._recalled = index
            self._set(self._history[index])
        elif index >= len(self._history):
            self._recalled = len(self._history)
            self._set("")

    def _complete(self) -> None:
        """Type on as far as there is only one way to go on."""
        lines = self._complete_with(self.text[: self.cursor])
        common = os.path.commonprefix(list(lines))  # noqa: RUF071 (any strings, and character by character)
        if len(common) > self.cursor:
            self._insert(common[self.cursor :])
