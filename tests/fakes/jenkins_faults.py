"""The fault matrix: every request that something makes of Jenkins, spoilt in every way, one cell at a time.

What is asked is recorded in an undisturbed pass, so that a call that is added later is in the matrix at once. A cell is
one request, one trouble, and how long it lasts. Each cell is played in a world of its own, over real HTTP.
"""

import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from pathlib import Path

import pytest

from kcibot.sandbox.http import FaultKind, Request, Response
from kcibot.store.database import open_database
from tests.fakes.bench import close_benches
from tests.fakes.ci_bench import CiBench, ci_bench
from tests.fakes.jenkins_troubles import ALL_OVER, TROUBLES, Needs, Span, Trouble

STORE = "kcibot.db"
TURN = 11
"""Of every call one cell is always played, of the next call one so many cells further on."""
MOST_MOVES = 40
SHORTEST = timedelta(seconds=15)
"""In less, polls would be recorded that differ in nothing."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request of the undisturbed pass; `turn` counts those to the same address, from 1."""

    index: int
    asked: str
    turn: int
    has: frozenset[Needs]

    def __str__(self) -> str:
        return f"{self.asked} ({self.turn})"


@dataclass(frozen=True, slots=True)
class Cell:
    call: Call
    trouble: Trouble
    span: Span

    def __str__(self) -> str:
        return f"{self.call} {self.trouble.name}, {self.span}"


def nothing(_ci: CiBench) -> None:
    """Nothing has to be done."""


def no_lie(_ci: CiBench) -> Iterator[str]:
    yield from ()


def ended(ci: CiBench) -> bool:
    runs = ci.bench.journal.runs(1)
    return bool(runs) and runs[0].ended


def tick(ci: CiBench) -> None:
    """Approve what is asked for; else put the time forward to when the newest run goes on."""
    asks = ci.bench.journal.open_asks()
    if asks:
        ci.say(f"!approve {asks[0].code}", "manager-1")
        return
    step = ci.newest().current
    wait = step.wake_at - ci.bench.clock.now() if step and step.wake_at else SHORTEST
    ci.bench.tick(max(wait, SHORTEST))


@dataclass(frozen=True, eq=False)
class Scenario:
    """What people do, in which world, and what must be true of it.

    `lies` are looked for after every move, `missing` at the end. `lifted` is what people do when the trouble is over.
    `over` ends a pass; `moves` are those of the undisturbed one, and `most` those until it must be over at last. Calls
    before `first`, and those that `about` does not match, are another scenario's. `silent`: nobody is told.
    """

    name: str
    begin: Callable[[CiBench], object]
    missing: Callable[[CiBench], Iterator[str]]
    lies: Callable[[CiBench], Iterator[str]] = no_lie
    prepare: Callable[[CiBench], object] = nothing
    lifted: Callable[[CiBench], object] = nothing
    move: Callable[[CiBench], object] = tick
    over: Callable[[CiBench], bool] = ended
    moves: int = MOST_MOVES
    most: int = MOST_MOVES
    first: int = 0
    about: str = ""
    troubles: tuple[Trouble, ...] = TROUBLES
    silent: bool = False
    sections: Mapping[type[object], object] = field(default_factory=dict)


# ---- what is asked ---------------------------------------------------------------------------------------------


@cache
def empty_store() -> bytes:
    """A database as a new bot has it, so that not every world has to make one."""
    with tempfile.TemporaryDirectory() as folder:
        open_database(Path(folder) / STORE).close()
        return (Path(folder) / STORE).read_bytes()


@contextmanager
def world(scenario: Scenario) -> Iterator[CiBench]:
    """A prepared world. It is closed beside the next one: a server takes a moment to stop."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / STORE).write_bytes(empty_store())
        context = ci_bench(Path(folder), sections=scenario.sections)
        ci = context.__enter__()
        try:
            _hasten(ci)
            scenario.prepare(ci)
            ci.bench.deliver()
            yield ci
        finally:
            close_benches()
            ci.jenkins.loop.stop()
            threading.Thread(target=context.__exit__, args=(None, None, None), daemon=True).start()


def _hasten(ci: CiBench) -> None:
    """The store need not survive a failure of the power here: waiting for the disk would take half of the time."""
    connection = ci.bench.journal.database.writer.raw_connection()
    connection.cursor().execute("PRAGMA synchronous=OFF")
    connection.close()


@cache
def calls(scenario: Scenario) -> tuple[Call, ...]:
    """The requests of an undisturbed pass, in which nothing may be wrong."""
    seen: list[Call] = []
    with world(scenario) as ci:
        answer = ci.jenkins.answer

        def recorded(request: Request) -> Response | None:
            response = answer(request)
            assert response is not None
            asked = f"{request.method} {request.path}"
            turn = 1 + sum(call.asked == asked for call in seen)
            seen.append(Call(len(seen), asked, turn, _has(response)))
            return response

        ci.jenkins.answer = recorded  # type: ignore[method-assign]
        scenario.begin(ci)
        for _ in range(scenario.moves):
            assert list(scenario.lies(ci)) == []
            if scenario.over(ci):
                break
            scenario.move(ci)
    assert seen, f"{scenario.name} asks Jenkins nothing"
    return tuple(call for call in seen[scenario.first :] if re.search(scenario.about, call.asked))


def _has(response: Response) -> frozenset[Needs]:
    if response.status != HTTPStatus.OK or not response.body:
        return frozenset({Needs.ANYTHING})
    kind = response.headers.get("Content-Type", "")
    return frozenset(Needs) if "json" in kind else frozenset({Needs.ANYTHING, Needs.BODY})


def cells(scenario: Scenario) -> tuple[Cell, ...]:
    """Every cell of that scenario, in a fixed order."""
    return tuple(
        Cell(call, trouble, span)
        for call in calls(scenario)
        for trouble in scenario.troubles
        if trouble.needs in call.has
        for span in Span
        if (span is Span.EVERYWHERE and trouble.name in ALL_OVER) or span is not Span.EVERYWHERE
        if (trouble.kind, span) != (FaultKind.LAST, Span.HERE)
    )


def part(scenario: Scenario) -> tuple[Cell, ...]:
    """One cell of every call, so that all troubles come round."""
    of_call: dict[Call, list[Cell]] = {}
    for cell in cells(scenario):
        of_call.setdefault(cell.call, []).append(cell)
    turned = len(scenario.name)
    return tuple(found[(call.index * TURN + turned) % len(found)] for call, found in of_call.items())


def cell_of(scenario: Scenario, name: str) -> Cell:
    """The cell with that name."""
    (found,) = (cell for cell in cells(scenario) if str(cell) == name)
    return found


def only_if_asked_for(config: pytest.Config) -> None:
    """Skip what takes many minutes, unless `-m chaos` says that it shall be played."""
    if "chaos" not in str(config.getoption("markexpr")):
        pytest.skip("the whole matrix takes many minutes: -m chaos plays it; a part of it is played always")
