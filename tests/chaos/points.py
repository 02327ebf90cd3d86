"""Points at which the bot is killed, and the traps that do it.

A place where the bot can die has a label that is the same in every run ("push core"), and a phase: before or after
something is done, or in the middle of it. Whoever comes by (the bot's life, a stand-in, a hook of a Git repository)
leaves a line in the trace; if that pass was armed, it leaves a line in the list of kills, and the bot is killed.
All of it is files, so that lives, servers and hooks share it, and nothing is lost with a life.
"""

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

BEFORE, AFTER = "before", "after"
DURING = "during"
"""A few milliseconds after it began."""
TORN = "torn"
"""When half of it was written."""
SENT, ANSWERED = "sent", "answered"
"""When the other end has the request and has done nothing yet; when it has done it and not answered yet."""
CLOCK = "clock"
"""So many milliseconds after the start, wherever the bot is then."""

_VARYING = re.compile(r"\b[0-9a-f]{7,}\b|\d+")
_SPAN = re.compile(r"# (?:s|min|h|d)\b(?: # (?:s|min|h)\b)*")

TRACE, ARMED, KILLS, PID = "trace", "armed", "kills", "pid"


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """The `turn`-th pass (from 1) of a place in that phase."""

    label: str
    phase: str
    turn: int = 1

    def __str__(self) -> str:
        return f"{self.label}, {self.phase}" + (f", time {self.turn}" if self.turn > 1 else "")

    @property
    def line(self) -> str:
        return f"{self.label}\t{self.phase}\t{self.turn}"

    @classmethod
    def read(cls, line: str) -> "Point":
        label, phase, turn = line.split("\t")
        return cls(label, phase, int(turn))


class Traps:
    """The traps of one release, kept in its folder. `kill` ends the bot and returns, if at all, when it is dead."""

    def __init__(self, folder: Path, kill: Callable[[], None]) -> None:
        self._folder = folder
        self._kill = kill
        self._lock = threading.Lock()
        self.armed = {Point.read(line) for line in _lines(folder / ARMED)}
        self._passes = Counter(tuple(line.split("\t")) for line in _lines(folder / TRACE))

    def arm(self, points: Iterable[Point]) -> None:
        """Exactly these, from now on; lives that are to come find them in the file."""
        self.armed = set(points)
        (self._folder / ARMED).write_text("".join(f"{point.line}\n" for point in sorted(self.armed)))

    def reach(self, label: str, phase: str) -> bool:
        """The bot is at that place. If this pass was armed, it is dead by now: true, if anybody is left to be told."""
        point = self._passed(label, phase)
        if point in self.armed:
            self.spring(point)
        return point in self.armed

    def reach_soon(self, label: str, phase: str, seconds: float) -> None:
        """The same, so many seconds later, whatever the bot does then."""
        point = self._passed(label, phase)
        if point in self.armed:
            timer = threading.Timer(seconds, self.spring, (point,))
            timer.daemon = True
            timer.start()

    def is_armed(self, label: str, phase: str) -> bool:
        """Whether the next pass is armed; `spring` what this pass returns, if it is to be done by hand."""
        with self._lock:
            return Point(label, phase, self._passes[label, phase] + 1) in self.armed

    def spring(self, point: Point) -> None:
        with (self._folder / KILLS).open("a") as kills:
            kills.write(f"{point.line}\n")
        self._kill()

    def _passed(self, label: str, phase: str) -> Point:
        with self._lock:
            self._passes[label, phase] += 1
            with (self._folder / TRACE).open("a") as trace:
                trace.write(f"{label}\t{phase}\n")
            return Point(label, phase, self._passes[label, phase])


def killed_at(folder: Path) -> tuple[Point, ...]:
    """Every kill of that release so far, in order."""
    return tuple(Point.read(line) for line in _lines(folder / KILLS))


def points_of(folder: Path, turns: int, begins: str = "") -> tuple[Point, ...]:
    """What the trace of a release passed, in order, from the first place with `begins` in its label on.

    Of each place and phase the first `turns` passes from there.
    """
    found: dict[Point, None] = {}
    passes: Counter[str] = Counter()
    since: Counter[str] = Counter()
    begun = False
    for line in _lines(folder / TRACE):
        passes[line] += 1
        begun = begun or begins in line
        if begun:
            since[line] += 1
            if since[line] <= turns:
                found[Point.read(f"{line}\t{passes[line]}")] = None
    return tuple(found)


def chosen(points: Sequence[Point], count: int, seed: int) -> tuple[Point, ...]:
    """So many of them in their order, the same for a seed; all of them if there are no more."""
    if count >= len(points):
        return tuple(points)
    return tuple(points[i] for i in sorted(random.Random(seed).sample(range(len(points)), count)))  # noqa: S311


def chains(points: Sequence[Point], length: int) -> tuple[tuple[Point, ...], ...]:
    """Releases with at most `length` kills each: the points i, i + k, i + 2k and so on, so that they lie far apart."""
    k = -(-len(points) // length)
    return tuple(tuple(points[i::k]) for i in range(k))


def stable(text: str) -> str:
    """Without what differs from run to run: commit ids, numbers, lengths of time."""
    return _SPAN.sub("#", _VARYING.sub("#", " ".join(text.split())))


def _lines(path: Path) -> list[str]:
    """Whole lines only: who was killed while writing one is said to have not come by."""
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()
