"""The whole release in KernelCI in miniature, under fire."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from kcibot.app import registry
from kcibot.chat.room import Event, Room
from kcibot.core.registry import Registry
from kcibot.sandbox.kernelci.settings import Settings
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot.sandbox.proof import Proof
from tests.chaos.around import hook_repository, pushes, trap_mailbox, trap_server
from tests.chaos.persons import Speakers
from tests.chaos.points import Traps
from tests.chaos.scenario import World
from tests.fakes.bench import BEGINS

RATE = 600.0
VOTERS = {"go": ("manager-1",), "accept": ("manager-2",), "force": ("manager-1", "manager-2")}
COMMENT_WINDOW = timedelta(hours=26)


def commands() -> Registry:
    """Those of the bot as it is."""
    return registry()


class ReleaseWorld:
    """Fulfils `scenario.World` with the sandbox."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self.folder = folder
        self.sandbox = Sandbox(folder, RATE, settings=settings, begins=BEGINS)

    def start(self, traps: Traps) -> None:
        sandbox = self.sandbox
        sandbox.start()
        self._proof = Proof(sandbox)
        for name, server in {"jenkins": sandbox.jenkins, "engine": sandbox.engine}.items():
            trap_server(server, name, traps)
        trap_mailbox(sandbox.mailbox, traps)
        for name, path in sandbox.repositories.items():
            hook_repository(path, name, self.folder)

    def stop(self) -> None:
        self.sandbox.stop()

    def violations(self) -> Sequence[str]:
        return [*self._proof.missing(), *self._pushed_twice()]

    def _pushed_twice(self) -> Iterator[str]:
        for name, path in self.sandbox.repositories.items():
            for (ref, _old, new), count in Counter(pushes(path)).items():
                if count > 1:
                    yield f"{ref} of {name} was set to {new} {count} times"


class Staff(Speakers):
    """Persons of the sandbox, who do not wait a day for comments."""

    def __init__(self, world: World) -> None:
        super().__init__(VOTERS, ("operator", "!release prepare"), {})
        self._clock = world.sandbox.clock if isinstance(world, ReleaseWorld) else None
        self._waited = False

    def hear(self, room: Room, event: Event) -> None:
        super().hear(room, event)
        waits = event.notice and any("Comment window" in line and "comments" in line for line in event.notice.lines)
        if waits and self._clock and not self._waited:
            self._waited = True
            self._clock.advance(COMMENT_WINDOW)


class WholeRelease:
    """Fulfils `scenario.Scenario`."""

    module = "tests.chaos.release"
    patience_seconds = 120.0
    earlier = 0
    begins = ""

    def world(self, folder: Path) -> ReleaseWorld:
        return ReleaseWorld(folder)

    def persons(self, world: World) -> Staff:
        return Staff(world)
