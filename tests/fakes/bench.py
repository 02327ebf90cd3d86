"""A small bench for the core: a real store in a folder, a clock that is put forward, toy procedures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from kcibot.core.access import People, Person
from kcibot.core.dispatch import Dispatcher
from kcibot.core.engine import Engine
from kcibot.core.gate import GatePolicy
from kcibot.core.hours import Hours
from kcibot.core.message import EventKind, Incoming, MessageRef, Place
from kcibot.core.notice import Notice
from kcibot.core.ports import Ports
from kcibot.core.procedure import Procedure
from kcibot.core.redact import Redactor
from kcibot.core.registry import Registry
from kcibot.core.run import Run
from kcibot.core.world import World
from kcibot.store.codec import PydanticCodec
from kcibot.store.database import open_database
from kcibot.store.journal import SqlJournal
from kcibot.store.outbox import SqlOutbox

ROOM = Place("console", "#kernelci")
PEOPLE = People(
    [
        Person("operator", frozenset({"operator"}), frozenset({("console", "operator")})),
        Person("manager-1", frozenset({"release-manager"}), frozenset({("console", "manager-1"), ("irc", "m1")})),
        Person("manager-2", frozenset({"release-manager", "break-glass"}), frozenset({("console", "manager-2")})),
        Person("observer", frozenset({"observer"}), frozenset({("console", "observer")})),
    ],
    {"release-manager": frozenset({"operator"}), "operator": frozenset({"observer"})},
)


BEGINS = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""A Monday morning: tests that depend on the hour at which they run would fail now and then."""


class HandClock:
    """A clock that stands still until it is put forward."""

    def __init__(self) -> None:
        self.at = BEGINS

    def now(self) -> datetime:
        return self.at

    def cautious_now(self) -> datetime:
        return self.at

    def steady(self) -> float:
        return self.at.timestamp()

    def forward(self, span: timedelta) -> None:
        self.at += span


@dataclass
class Bench:
    """One life of a bot: the store, the engine and the dispatcher, without threads of its own."""

    world: World
    engine: Engine
    dispatcher: Dispatcher
    journal: SqlJournal
    clock: HandClock
    outbox: SqlOutbox
    events: int = 0
    notices: dict[str, Notice] = field(default_factory=dict)
    """The newest text of every message that was delivered, by key."""

    def say(self, who: str, text: str, network: str = "console") -> None:
        self._event(EventKind.MESSAGE, who, text, network, None)

    def react(self, who: str, key: str, name: str = "+1", *, removed: bool = False, network: str = "console") -> None:
        kind = EventKind.REACTION_REMOVED if removed else EventKind.REACTION_ADDED
        self._event(kind, who, name, network, self.ref(key))

    def ref(self, key: str) -> MessageRef:
        """Deliver everything, then tell where that message was posted."""
        self.deliver()
        return MessageRef("console", ROOM.channel, key)

    def deliver(self) -> dict[str, str]:
        """What is in the outbox, by key: the titles; each is marked as delivered under its key."""
        said: dict[str, str] = {}
        while messages := self.outbox.undelivered("console", 50):
            for message in messages:
                said[message.key] = message.notice.title
                self.notices[message.key] = message.notice
                self.outbox.sending(message)
                self.outbox.sent(message, MessageRef("console", ROOM.channel, message.key))
            self.journal.writer.flush()
        return said

    def replies(self) -> list[str]:
        return [title for key, title in self.deliver().items() if key.startswith("reply:")]

    def run(self, run_id: int = 1) -> Run:
        self.settle()
        return self.journal.run(run_id)

    def settle(self) -> None:
        """Wait until no run is being driven."""
        assert self.engine.settle(60.0), "a run is still being driven"

    def tick(self, span: timedelta = timedelta()) -> None:
        self.clock.forward(span)
        self.engine.tick()
        self.settle()

    def _event(self, kind: EventKind, who: str, text: str, network: str, target: MessageRef | None) -> None:
        self.events += 1
        number = f"{self.clock.at.isoformat()}-{self.events}"
        event = Incoming(number, kind, Place(network, ROOM.channel), who, who, text, self.clock.now(), target)
        self.journal.accept(event)
        self.dispatcher.handle(event)
        self.settle()


_open: list[SqlJournal] = []


def close_benches() -> None:
    """Close the stores of all benches that were made: they have threads, and files that stay open."""
    while _open:
        journal = _open.pop()
        journal.close()
        journal.database.close()


def make_bench(
    folder: Path,
    *procedures: Procedure,
    policies: Mapping[str, GatePolicy] | None = None,
    registry: Registry | None = None,
    clock: HandClock | None = None,
    ports: Ports | None = None,
    sections: Mapping[type[object], object] | None = None,
    hours: Hours | None = None,
) -> Bench:
    """A bench on that folder's database. `ports` are the services' adapters, None for a core without a world."""
    registry = registry or Registry()
    registry.procedures.update({procedure.name: procedure for procedure in procedures})
    journal = SqlJournal(open_database(folder / "kcibot.db"), Redactor(), PydanticCodec())
    clock = clock or HandClock()
    world = World(
        journal=journal,
        clock=clock,
        people=PEOPLE,
        ports=ports or cast("Ports", None),
        registry=registry,
        rooms=(ROOM,),
        policies=policies or {},
        sections=sections or {},
        folder=folder / "work",
        hours=hours,
    )
    engine = Engine(world)
    _open.append(journal)
    return Bench(world, engine, Dispatcher(world, engine), journal, clock, SqlOutbox(journal))
