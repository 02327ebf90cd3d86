"""Procedures, steps and gates as data: what is declared once and interpreted by the engine."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from kcibot.core.access import People, Person
from kcibot.core.hours import Hours
from kcibot.core.journal import Measured
from kcibot.core.notice import Notice, Progress
from kcibot.core.ports import Cancellation, Clock, Ports
from kcibot.core.run import Run

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)
S = TypeVar("S")

ARRIVES_WITHIN = timedelta(minutes=1)
"""How late an effect may arrive whose sender was killed or got no answer; a mail in an archive takes longer."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a step will do. `facts` are fixed, digested and compared again; `display` is for people and never is."""

    facts: Mapping[str, object] = field(default_factory=dict)
    display: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Needed:
    """Whether a step has anything to do, and why (not), as a clause: "frontend unchanged since 2019.5"."""

    needed: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Done(Generic[T_co]):
    """A step's end: what is shown, and what later steps get to read."""

    text: str
    value: T_co


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask this step again at `until`, without holding a thread meanwhile. `text` says what it waits for.

    `memory` is a JSON value that the step finds again as `Context.memory`, also after a restart.
    """

    until: datetime
    text: str
    memory: object = None


@dataclass(frozen=True, slots=True)
class Happened(Generic[E_co]):
    """Proof that an effect took place, with what it would have returned."""

    value: E_co


@dataclass(frozen=True, slots=True)
class NotHappened:
    """Proof that an effect did not take place. Not being able to see is an exception, never this."""


Proof = Happened[E] | NotHappened


@dataclass(frozen=True, slots=True)
class Approval:
    """A gate that people opened: `overrides` are those who broke the glass, each with the reason."""

    gate_id: str
    title: str
    approved_by: tuple[str, ...]
    overrides: tuple[tuple[str, str], ...] = ()


class Context(Protocol):
    """What a step is given to work with."""

    run: Run
    ports: Ports
    clock: Clock
    people: People
    hours: Hours | None

    @property
    def cancellation(self) -> Cancellation: ...

    @property
    def starter(self) -> Person: ...

    @property
    def memory(self) -> object:
        """What this step's last Wait kept; None at its first call."""
        ...

    def folder(self, name: str) -> Path:
        """An empty folder of this step's own; gone at the next start of the bot."""
        ...

    def settings(self, kind: type[S]) -> S:
        """The configured values of one section, by its type."""
        ...

    def args(self, kind: type[S]) -> S:
        """What the run was started with."""
        ...

    def result(self, step: "Step[T]") -> T:
        """What an earlier step of this run ended with. Raises PermanentError if it did not run here."""
        ...

    def has_result(self, step: "Step[T]") -> bool: ...

    def effect(
        self, key: str, act: Callable[[], E], probe: Callable[[], Proof[E]], late: timedelta = ARRIVES_WITHIN
    ) -> E:
        """Do something to the world once, however often the bot is killed.

        The journal says "in flight" before `act` and holds its JSON value after. If the bot finds it in flight, or
        `act` raises OutcomeUnknown, `probe` is asked; only its proven "no" lets `act` run again, and that is believed
        only `late` after the beginning: what was sent may arrive after somebody looked. Either may raise BrokenOff:
        then it is tried again only when people say so. `key` is unique in the step and says what the effect is.
        """
        ...

    def keep(self, key: str, look: Callable[[], E]) -> E:
        """Look once, and have what was seen (a JSON value) for the rest of this round, also after a restart."""
        ...

    def report(self, text: str, progress: Progress | None = None) -> None:
        """Say how far it is. Kept in memory, shown on the card now and then."""
        ...

    def say(self, key: str, notice: Notice) -> None:
        """Tell the rooms something, once per key of this step, or edit what was told under it."""
        ...

    def remember(self, topic: str, key: str, value: object) -> None:
        """Keep a JSON value beyond the run."""
        ...

    def forget(self, topic: str, key: str) -> None: ...

    def recall(self, topic: str) -> Mapping[str, object]: ...

    def measured(self, *ended: Measured) -> None:
        """Keep how long things took that were watched to their end, each once."""
        ...

    def history(self, kind: str, name: str, newest: int = 20) -> tuple[Measured, ...]:
        """What was measured of that, newest first."""
        ...

    def audit_head(self) -> str:
        """The hash of the audit log's newest entry: whoever has it can prove later that nothing was cut off."""
        ...

    def approvals(self) -> tuple[Approval, ...]:
        """Every gate of this run that stands approved, also those that steps asked for, in the order of asking."""
        ...

    def claim(self, topic: str, key: str, value: object) -> object:
        """Remember the value unless there is one already; return the one that stands."""
        ...


def always(_context: Context) -> Needed:
    return Needed(needed=True)


def nothing_to_show(_context: Context) -> Preview:
    return Preview()


@dataclass(frozen=True, slots=True)
class GateRequest:
    """A gate that a step turned out to want before it acts, such as `force` for a push that loses commits."""

    gate_id: str
    title: str
    preview: Preview


def asks_nothing(_context: Context) -> GateRequest | None:
    return None


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a step is tried again by itself after a transient error, waiting twice as long each time."""

    attempts: int = 4
    first_wait: timedelta = timedelta(seconds=10)

    def wait(self, attempt: int) -> timedelta:
        """How long to wait after the given failed attempt (from 1)."""
        return self.first_wait * int(2 ** (attempt - 1))


@dataclass(frozen=True, eq=False)
class Step(Generic[T_co]):
    """One action. `run` returns Done, or Wait to be asked again; everything it does to the world is an effect.

    `result` is the type of Done's value. `asks` may request a gate of the step's own. `after` names steps that must
    come before it in any procedure that has them. `limit` is the longest that the step may take, waits included.
    `instead_of_skip` makes a step one that nobody can skip: it says what people can do instead.
    """

    id: str
    title: str
    run: Callable[[Context], Done[T_co] | Wait]
    result: type[T_co]
    needed: Callable[[Context], Needed] = always
    preview: Callable[[Context], Preview] = nothing_to_show
    asks: Callable[[Context], GateRequest | None] = asks_nothing
    after: tuple["Step[object]", ...] = ()
    limit: timedelta = timedelta(hours=24)
    retry: Retry = Retry()
    instead_of_skip: str = ""


@dataclass(frozen=True, eq=False)
class Gate:
    """People approve what follows, down to the next gate. `about` adds an earlier step's result to what they see."""

    id: str
    title: str
    about: Callable[[Context], Preview] = nothing_to_show
    when: Callable[[Context], Needed] = always


def _gates(items: Iterable["Step[object] | Gate"]) -> dict[str, str]:
    """Id -> id of the gate that asks for it; empty for what comes before every gate."""
    found, gate = {}, ""
    for item in items:
        found[item.id] = gate
        gate = item.id if isinstance(item, Gate) else gate
    return found


class Procedure:
    """An ordered list of steps and gates. `card` is false for a run that only answers with its last step's text."""

    def __init__(self, name: str, *items: "Step[object] | Gate", title: str = "", card: bool = True) -> None:
        self.name = name
        self.title = title or name.capitalize()
        self.card = card
        self.items = items
        self._by_id = {item.id: item for item in items}
        if len(self._by_id) != len(items):
            raise ValueError(f"procedure {name} names a step twice")
        self._check_order()

    def __iter__(self) -> "Iterator[Step[object] | Gate]":
        return iter(self.items)

    def item(self, item_id: str) -> "Step[object] | Gate | None":
        return self._by_id.get(item_id)

    def reordered(self, ids: tuple[str, ...]) -> "Procedure":
        """The same steps in the configured order, some left out; raises ValueError for an impossible order.

        A step that a gate asks for is asked for by that gate in any order.
        """
        unknown = [i for i in ids if i not in self._by_id]
        if unknown:
            raise ValueError(f"procedure {self.name} has no step {', '.join(unknown)}")
        asked, now = _gates(self), _gates([self._by_id[i] for i in ids])
        lost = [i for i in ids if asked[i] != now[i] and isinstance(self._by_id[i], Step)]
        if lost:
            where = f"between the gate {asked[lost[0]]} and the next" if asked[lost[0]] else "before every gate"
            raise ValueError(f"procedure {self.name}: {lost[0]} must stay {where}")
        return Procedure(self.name, *(self._by_id[i] for i in ids), title=self.title, card=self.card)

    def _check_order(self) -> None:
        seen: set[str] = set()
        for item in self.items:
            for earlier in item.after if isinstance(item, Step) else ():
                if earlier.id in self._by_id and earlier.id not in seen:
                    raise ValueError(f"procedure {self.name}: {item.id} must come after {earlier.id}")
            seen.add(item.id)
