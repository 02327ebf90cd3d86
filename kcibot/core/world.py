"""What the engine works with, gathered: the store, the clock, the people, the services and the rules that are set."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from kcibot.core.access import People
from kcibot.core.gate import GatePolicy
from kcibot.core.hours import Hours
from kcibot.core.journal import Audit, Journal, Say
from kcibot.core.message import Place
from kcibot.core.notice import URGENT, Notice
from kcibot.core.ports import Clock, Ports
from kcibot.core.registry import Registry
from kcibot.core.relay import Sees
from kcibot.core.run import Run

S = TypeVar("S")

BOT = "kcibot"
"""Who the audit names for what the bot does of itself."""


@dataclass(frozen=True)
class World:
    """`rooms` are the conversations that see the steps. `lock` is held while a decision is made and committed.

    `relayed` says, by network, what its rooms see of runs that were begun on another; everything unless it is said.
    `folder` is for work files that nobody misses after a restart. `hours` are the production hours, if any are set.
    """

    journal: Journal
    clock: Clock
    people: People
    ports: Ports
    registry: Registry
    rooms: tuple[Place, ...]
    policies: Mapping[str, GatePolicy]
    sections: Mapping[type[object], object]
    folder: Path
    hours: Hours | None = None
    relayed: Mapping[str, Sees] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def policy(self, gate_id: str) -> GatePolicy:
        """The policy of a gate; `force:push-core` is a `force`. One that is not configured is strict."""
        return self.policies.get(gate_id.partition(":")[0], GatePolicy())

    def settings(self, kind: type[S]) -> S:
        """The configured values of one section, or its defaults."""
        found = self.sections.get(kind)
        return found if isinstance(found, kind) else kind()

    def has_card(self, run: Run) -> bool:
        """Whether the run is shown step by step; one whose procedure is gone from this version is."""
        procedure = self.registry.procedures.get(run.procedure)
        return procedure is None or procedure.card

    def sees(self, network: str) -> Sees:
        return self.relayed.get(network, Sees.ALL)

    def everywhere(self, key: str, notice: Notice, thread: str = "", origin: Place | None = None) -> tuple[Say, ...]:
        """Say it in every room that is to see it: `origin` is where it was begun. What a room has, it sees change."""
        return tuple(
            Say(key, place, notice, thread, amends=not self._is_for(place, notice, origin)) for place in self.rooms
        )

    def _is_for(self, place: Place, notice: Notice, origin: Place | None) -> bool:
        sees = self.sees(place.network)
        begun_there = origin is not None and origin.network == place.network
        return begun_there or sees is Sees.ALL or (sees is Sees.ALERTS and notice.level in URGENT)

    def audit(self, who: str, what: str, subject: str = "", **detail: object) -> Audit:
        return Audit(self.clock.now(), who, what, subject, detail)
