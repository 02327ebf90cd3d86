"""The whole sandbox under a bench: Jenkins, API, files and repositories, with time put forward by hand."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import kcibot_commands
from kcibot import app
from kcibot.config import Config, load
from kcibot.core.ports import Ports
from kcibot.core.redact import Redactor
from kcibot.core.registry import Registry
from kcibot.sandbox.kernelci.jobs import Settings
from kcibot.sandbox.kernelci.world import Sandbox
from tests.fakes.bench import BEGINS, Bench, HandClock, make_bench


class SandboxHand(HandClock):
    """The sandbox's time, which moves when the bench puts it forward, and Jenkins with it."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self._sandbox = sandbox

    def now(self) -> datetime:
        return self._sandbox.clock.now().astimezone(UTC)

    def cautious_now(self) -> datetime:
        return self.now()

    def forward(self, span: timedelta) -> None:
        self._sandbox.clock.advance(span)
        self._sandbox.jenkins.loop.catch_up()


@contextmanager
def sandbox(folder: Path, settings: Settings | None = None) -> Iterator[Sandbox]:
    """KernelCI in miniature whose time stands nearly still. Somebody's build runs in its Jenkins at first."""
    world = Sandbox(folder, 1.0, settings=settings, begins=BEGINS)
    world.start()
    try:
        yield world
    finally:
        world.stop()


def sandbox_ports(world: Sandbox) -> Ports:
    """The real adapters, wired as the bot wires them."""
    return app.ports(_config(world), Redactor())


def _config(world: Sandbox) -> Config:
    """The sandbox's own configuration, read as the bot reads it: with the sections of all commands."""
    registry = Registry()
    registry.scan(kcibot_commands)
    return load(world.write_config(), registry.sections)


def sandbox_bench(
    world: Sandbox, *modules: ModuleType, sections: Mapping[type[object], object], ports: Ports | None = None
) -> Bench:
    """A bot with these modules' verbs in that world. Called again, it is the next life of the same bot."""
    registry = Registry()
    for module in modules:
        registry.add(module)
    folder = world.folder / "bot"
    folder.mkdir(exist_ok=True)
    bench = make_bench(
        folder,
        registry=registry,
        ports=ports or sandbox_ports(world),
        sections={**_config(world).sections, **sections},
        clock=SandboxHand(world),
    )
    lives = folder / "lives"
    number = int(lives.read_text()) + 1 if lives.exists() else 0
    lives.write_text(str(number))
    bench.events = number * 1000
    return bench
