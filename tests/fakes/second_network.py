"""A second chat network in memory: it takes messages, keeps reactions, and can be away."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from kcibot.core.dispatch import Dispatcher
from kcibot.core.engine import Engine
from kcibot.core.gate import GatePolicy
from kcibot.core.message import EventKind, Incoming, MessageRef, Place
from kcibot.core.notice import Notice
from kcibot.core.ports import Listener, Reaction
from kcibot.core.procedure import Gate, Step
from kcibot.core.reconcile import Reconciler
from kcibot.core.relay import Sees
from kcibot.errors import NotFound, TransientError
from tests.fakes.bench import ROOM, Bench
from tests.fakes.toys import toy_bench

IRC = Place("irc", "#kernelci")


@dataclass
class OtherNetwork:
    """Fulfils `ChatAdapter`. `said` are the newest texts by message id, `threads` what each was posted below."""

    network: str = "irc"
    away: bool = False
    said: dict[str, Notice] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    threads: dict[str, MessageRef | None] = field(default_factory=dict)
    reacted: defaultdict[str, list[Reaction]] = field(default_factory=lambda: defaultdict(list))

    def start(self, listener: Listener) -> None: ...

    def stop(self) -> None: ...

    def post(self, place: Place, notice: Notice, key: str, thread: MessageRef | None = None) -> MessageRef:
        self._reach()
        number = str(len(self.said) + 1)
        self.said[number], self.keys[key], self.threads[number] = notice, number, thread
        return MessageRef(self.network, place.channel, number)

    def edit(self, ref: MessageRef, notice: Notice) -> None:
        self._reach()
        if ref.message_id not in self.said:
            raise NotFound("no such message")
        self.said[ref.message_id] = notice

    def find(self, place: Place, key: str) -> MessageRef | None:
        self._reach()
        return MessageRef(self.network, place.channel, self.keys[key]) if key in self.keys else None

    def reactions(self, ref: MessageRef) -> tuple[Reaction, ...] | None:
        self._reach()
        return tuple(self.reacted[ref.message_id])

    def titles(self) -> list[str]:
        return [notice.title for notice in self.said.values()]

    def _reach(self) -> None:
        if self.away:
            raise TransientError("the network is away")


def two_networks(
    folder: Path, *items: Step[str] | Gate, relayed: Sees = Sees.ALL, **policies: GatePolicy
) -> tuple[Bench, OtherNetwork]:
    """A bench whose rooms are one on the console and one on IRC, in which nothing is sent by itself."""
    room = toy_bench(folder, *items, **policies)
    world = replace(room.world, rooms=(ROOM, IRC), relayed={"irc": relayed})
    engine = Engine(world)
    return replace(room, world=world, engine=engine, dispatcher=Dispatcher(world, engine)), OtherNetwork()


def reconcile(room: Bench, network: OtherNetwork) -> list[Incoming]:
    """Look for votes as after a connection, and deal with the events that come of it."""
    found: list[Incoming] = []

    def accept(event: Incoming) -> bool:
        if room.journal.accept(event):
            found.append(event)
        return True

    Reconciler(room.world, {"irc": network}, accept).look("irc")
    for event in found:
        room.dispatcher.handle(event)
    room.settle()
    return found


def type_on_irc(room: Bench, identity: str, text: str) -> None:
    """Somebody types a line on the second network."""
    room.events += 1
    event = Incoming(f"irc-{room.events}", EventKind.MESSAGE, IRC, identity, f"{identity}_", text, room.clock.now())
    room.journal.accept(event)
    room.dispatcher.handle(event)
    room.settle()
