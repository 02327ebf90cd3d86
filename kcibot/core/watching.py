"""Running the watches when they are due."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from kcibot.core.journal import Change
from kcibot.core.notice import Notice
from kcibot.core.watch import Watch
from kcibot.core.world import World
from kcibot.errors import KcibotError

log = logging.getLogger(__name__)

S = TypeVar("S")


class Look:
    """Fulfils `watch.Watcher` for one look."""

    def __init__(self, world: World, now: datetime) -> None:
        self.ports = world.ports
        self.now = now
        self._world = world

    def settings(self, kind: type[S]) -> S:
        return self._world.settings(kind)

    def recall(self, topic: str) -> Mapping[str, object]:
        return self._world.journal.recall(topic)

    def say(self, key: str, notice: Notice) -> tuple[Change, ...]:
        return self._world.everywhere(key, notice)


class Watching:
    """Every watch is looked at once after the start, then whenever its time has passed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: dict[str, datetime] = {}

    def tick(self) -> None:
        now = self._world.clock.now()
        for watch in self._world.registry.watches.values():
            if self._due.get(watch.name, now) <= now:
                self._due[watch.name] = now + watch.every
                self._look(watch, now)

    def _look(self, watch: Watch, now: datetime) -> None:
        """What cannot be seen now is looked at again next time; a watch never says more than it saw."""
        try:
            changes = watch.look(Look(self._world, now))
        except KcibotError as error:
            log.warning("watch %s: %s", watch.name, error)
            return
        if changes:
            self._world.journal.commit(changes)
