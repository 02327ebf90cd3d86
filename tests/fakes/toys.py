"""Toy steps over a piece of an outside world, and the ways in which people decide about a run of them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from kcibot.core.access import People, Person
from kcibot.core.command import Outcome, command
from kcibot.core.dispatch import Call, Dispatcher
from kcibot.core.engine import Engine
from kcibot.core.gate import GatePolicy
from kcibot.core.procedure import Context, Done, Gate, Happened, NotHappened, Preview, Procedure, Proof, Step, Wait
from kcibot.core.registry import Registry
from kcibot.errors import OutcomeUnknown
from tests.fakes.bench import Bench, HandClock, make_bench

MANAGER = GatePolicy(role="release-manager", quorum=1)


@dataclass
class Target:
    """A piece of the outside world: what is there, and every effect that it saw."""

    value: str = "old"
    effects: int = 0
    broken: Exception | None = None
    lost_answer: bool = False
    hidden: Exception | None = None

    def set(self, value: str) -> str:
        if self.broken:
            raise self.broken
        self.effects += 1
        self.value = value
        if self.lost_answer:
            raise OutcomeUnknown("the answer was lost")
        return value

    def look(self, wanted: str) -> Proof[str]:
        if self.hidden:
            raise self.hidden
        return Happened(self.value) if self.value == wanted else NotHappened()


def push(
    target: Target, step_id: str = "push", new: str = "new", before: Callable[[Context], object] = id
) -> Step[str]:
    """A step with one effect; its facts are what is there and what will be. `before` is called before it acts."""

    def run(context: Context) -> Done[str]:
        before(context)
        value = context.effect("set the value", lambda: target.set(new), lambda: target.look(new))
        return Done(f"it is {value} now", value)

    def preview(_context: Context) -> Preview:
        return Preview({"old": target.value, "new": new}, (f"{target.value} -> {new}",))

    return Step(step_id, f"Set {step_id}", run, str, preview=preview)


def wait_for(span: timedelta, step_id: str = "wait") -> Step[str]:
    """A step that waits once so long."""

    def run(context: Context) -> Done[str] | Wait:
        if context.memory:
            return Done("waited", "ok")
        return Wait(context.clock.now() + span, "waiting", "begun")

    return Step(step_id, "Wait", run, str)


def registry() -> Registry:
    found = Registry()

    @command("go", role="operator")
    def go(call: Call) -> Outcome:
        """Start the toy."""
        return call.start(call.world.registry.procedure("toy"))

    found.commands[go.name] = go
    return found


def toy_bench(folder: Path, *items: Step[str] | Gate, clock: HandClock | None = None, **policies: GatePolicy) -> Bench:
    """A bench that knows one procedure, `toy`, made of those items; `!go` starts it."""
    return make_bench(folder, Procedure("toy", *items), registry=registry(), policies=policies, clock=clock)


def with_people(room: Bench, people: People) -> Bench:
    """The same bench after a start with another configuration of persons."""
    world = replace(room.world, people=people)
    engine = Engine(world)
    return replace(room, world=world, engine=engine, dispatcher=Dispatcher(world, engine), events=room.events + 1000)


def person(room: Bench, name: str) -> Person:
    return room.world.people.get(name)


def decide(room: Bench, decision: Callable[[], Outcome]) -> None:
    """Decide as a command does, and wait until what follows has been done."""
    with room.world.lock:
        outcome = decision()
        room.journal.commit(outcome.changes)
    room.engine.wake(outcome.wake)
    room.settle()


class MeddlingLock:
    """The world's lock; once armed, something happens just before a run's thread gets it the next time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._deed: Callable[[], object] | None = None

    def arm(self, deed: Callable[[], object]) -> None:
        self._deed = deed

    def __enter__(self) -> "MeddlingLock":
        self._lock.acquire()
        deed, self._deed = self._deed, None
        if deed:
            deed()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()
