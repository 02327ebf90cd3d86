"""The composition root: the bot of one configuration, its threads, its start and its end."""

import importlib
import importlib.util
import logging
import queue
import shutil
import sys
import threading
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from kcibot.config import Config, ConfigProblems
from kcibot.core.clock import SystemClock
from kcibot.core.desk import Desk
from kcibot.core.dispatch import Dispatcher
from kcibot.core.engine import Engine
from kcibot.core.message import Incoming
from kcibot.core.ports import Clock
from kcibot.core.reconcile import Reconciler
from kcibot.core.redact import Redactor
from kcibot.core.registry import Registry
from kcibot.core.sender import Sender
from kcibot.core.watching import Watching
from kcibot.core.world import BOT, World
from kcibot.errors import Aborted, ConfigError, KcibotError, UserError
from kcibot.wiring import adapters, ports

log = logging.getLogger(__name__)


COMMANDS = "kcibot.commands"
CLOSING_SECONDS = 20.0
AGAIN_SECONDS = 0.1
REMEMBERING = frozenset({"irc", "slack"})
"""Networks that say when they have delivered what was missed."""
HEAR_FIRST_SECONDS = 5.0
"""How long runs wait after a start for what was said meanwhile."""
DATABASE = "kcibot.db"
PULSE = "pulse"
"""Touched at every tick, so that a health check can tell a bot that works from one that hangs."""


def registry(commands_path: Path | None = None) -> Registry:
    """Every command there is: of the packages that announce themselves, and of a folder of one's own."""
    found = Registry()
    for entry in entry_points(group=COMMANDS):
        found.scan(entry.load())
    if commands_path:
        if not commands_path.is_dir():
            raise ConfigError(f"commands_path: {commands_path} is no folder")
        for file in sorted(commands_path.glob("*.py")):
            found.add(_load(file))
    return found


class Bot:
    """One life of the bot, from taking the lease to giving it back."""

    def __init__(self, config: Config, commands: Registry, redactor: Redactor, clock: Clock | None = None) -> None:
        from kcibot.store.codec import PydanticCodec  # noqa: PLC0415 (nothing is opened before it is asked for)
        from kcibot.store.opening import open_store  # noqa: PLC0415

        state = config.bot.state
        state.mkdir(parents=True, exist_ok=True)
        self._store = open_store(state / DATABASE, redactor, PydanticCodec())
        self._orphans(str(state.resolve()))
        self._clock = clock or SystemClock()
        self.world = self._made_world(config, commands, redactor)
        self.engine = Engine(self.world)
        bot = config.bot
        self._dispatcher = Dispatcher(self.world, self.engine, bot.name, bot.flood, bot.stale)
        self._watching = Watching(self.world)
        self._adapters = adapters(config, self._clock, redactor, self.world.people)
        by_network = {adapter.network: adapter for adapter in self._adapters}
        journal = self._store.journal
        reconciler = Reconciler(self.world, by_network, journal.accept)
        self._desk = Desk(journal, reconciler, self._dispatcher.concerns)
        self._senders = [Sender(self._store.outbox, adapter) for adapter in self._adapters]
        self._events: queue.SimpleQueue[Incoming | threading.Event | None] = queue.SimpleQueue()
        self._resumed = threading.Event()
        self._stopping = threading.Event()
        self._dispatcher.posting = self._is_posting
        self._dispatcher.answers_wait = False
        self._dispatcher.broken = self._broken
        self._listener = threading.Thread(target=self._listen, name="dispatcher", daemon=True)
        self._pulse = state / PULSE
        self.failed = threading.Event()
        self._tick_seconds = config.bot.tick.total_seconds()

    def _made_world(self, config: Config, commands: Registry, redactor: Redactor) -> World:
        return World(
            journal=self._store.journal,
            clock=self._clock,
            people=config.people(),
            ports=ports(config, redactor),
            registry=_overridden(commands, config),
            rooms=config.rooms(),
            policies=config.policies(),
            sections=config.sections,
            folder=_emptied(config.bot.state / "work"),
            hours=config.hours,
            relayed=config.chat.relay,
        )

    def start(self) -> None:
        """Deal with what was left over, listen, then go on with every run."""
        from kcibot.services.scheduler import Ticker  # noqa: PLC0415

        journal = self._store.journal
        self.engine.take_over()
        for event in journal.unsettled():
            self._events.put(event)
        journal.on_event = self._events.put
        self._listener.start()
        for sender in self._senders:
            sender.start()
        for adapter in self._adapters:
            adapter.start(self._desk)
        threading.Thread(target=self._resume, name="resume", daemon=True).start()
        self._ticker = Ticker(self._tick, self._tick_seconds)
        self._ticker.start()
        log.info("started with %s commands", len(self.world.registry.commands))

    def _resume(self) -> None:
        """Go on with every run once it was heard what people said meanwhile: it may be that they want it to stop.

        A network that is away is not waited for.
        """
        remembering = {adapter.network for adapter in self._adapters} & REMEMBERING
        if not self._desk.wait(remembering, HEAR_FIRST_SECONDS):
            log.warning("not every network is there; the runs go on without having heard what was said there")
        heard = threading.Event()
        self._events.put(heard)
        heard.wait(HEAR_FIRST_SECONDS)
        if self._stopping.is_set():
            return
        try:
            self.engine.go_on()
            self._resumed.set()
        except Exception:
            log.exception("the runs cannot be gone on with; the bot stops")
            self.failed.set()

    def stop(self) -> None:
        """Come to a safe point, say what is to be said, and give the lease back. Runs go on after the next start."""
        self._stopping.set()
        self._ticker.stop()
        for adapter in self._adapters:
            adapter.stop()
        self._desk.close()
        self._events.put(None)
        self._listener.join(CLOSING_SECONDS)
        self._store.journal.writer.flush()  # what was answered last is in the outbox then
        self.engine.close(CLOSING_SECONDS)
        for sender in self._senders:
            sender.stop(CLOSING_SECONDS)
        self._store.close()
        log.info("stopped")

    def reload(self, config: Config) -> tuple[str, ...]:
        """Take over who is who and who may do what; every change is audited. Anything else waits for a restart."""
        with self.world.lock:
            changes = self.world.people.become(config.people())
            if changes:
                self.world.journal.commit([self.world.audit(BOT, "people changed", change) for change in changes])
        return changes

    def _tick(self) -> None:
        try:
            if self._resumed.is_set():
                self.engine.tick()
            self._watching.tick()
        except Aborted:
            log.exception("another bot has the lease; this one stops")
            self.failed.set()
            return
        self._pulse.touch()

    def _listen(self) -> None:
        while (event := self._events.get()) is not None:
            if isinstance(event, threading.Event):
                event.set()
                continue
            try:
                if not self._dispatcher.handle(event):
                    self._hear_again(event)
            except Exception:
                log.exception("an event cannot be dealt with; the bot stops, and hears it again when it starts")
                self.failed.set()
                return

    def _broken(self, error: KcibotError) -> None:
        log.error("an answer cannot be recorded; the bot stops, and hears it again when it starts: %s", error)
        self.failed.set()

    def _is_posting(self, network: str) -> bool:
        return any(sender.posting for sender in self._senders if sender.network == network)

    def _hear_again(self, event: Incoming) -> None:
        """Soon; if the bot stops before that, the event is still unsettled at the next start."""
        timer = threading.Timer(AGAIN_SECONDS, self._events.put, (event,))
        timer.daemon = True
        timer.start()

    def _orphans(self, owner: str) -> None:
        """What an earlier life left running is ended before anything is looked at."""
        from kcibot.services.processes import end_orphans, mark_children  # noqa: PLC0415

        end_orphans(owner)
        mark_children(owner)


def _overridden(commands: Registry, config: Config) -> Registry:
    """The same commands, with the order of steps that the configuration wants."""
    for name, steps in config.procedures.items():
        try:
            commands.procedures[name] = commands.procedure(name).reordered(steps)
        except (ValueError, UserError) as error:
            problem = config.problem(("procedures", name), str(error), "Put its steps in a possible order")
            raise ConfigProblems(config.path.name, [problem]) from error
    return commands


def _emptied(folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _load(file: Path) -> ModuleType:
    name = f"kcibot_commands_of_ones_own.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
