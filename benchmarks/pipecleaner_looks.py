"""What one look at a pipe cleaner costs, for 220 and for 2,200 kernels: requests, bytes, memory and time.

Run by hand: `python benchmarks/pipecleaner_looks.py [KERNELS...]`. The bot's own step follows a pipe cleaner of the
sandbox from the trigger's start until the labs and mails are in, a look each sandbox minute, with its engine and its
journal on disk. The rest of KernelCI, Jenkins and results API among it, runs in another process, which counts what it
was asked and how many bytes of answers it gave: the memory is the bot's alone. Chat is left out.

Each pipe cleaner is followed twice, in a fresh process each: once plainly, for the time and what the system says of
the memory (resident set, and its highest during the look), and once under tracemalloc, which says what Python's
objects take (at the end of the look, and at most during it) and is slow. All memory is told as growth since just before
the pipe cleaner was started.

Two kinds of looks take more requests than the others, once each: the first ones, which find the trigger, and the one
that sees the last kernel end, which reads the baseline's results to know what the labs owe. The row `most` has them in.
"""

import multiprocessing
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import kcibot_commands
from kcibot import app
from kcibot.config import load
from kcibot.core.engine import Engine
from kcibot.core.procedure import Procedure
from kcibot.core.redact import Redactor
from kcibot.core.registry import Registry
from kcibot.core.run import StepRecord, StepState
from kcibot.core.world import World
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.http import Request, Response, StandIn
from kcibot.sandbox.kernelci.settings import production
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot.store.codec import PydanticCodec
from kcibot.store.opening import Store, open_store
from kcibot_commands.pipecleaner.configs import PipecleanerArgs
from kcibot_commands.pipecleaner.prepare import prepare_pipe_cleaner
from kcibot_commands.pipecleaner.run import run_pipe_cleaner

KERNELS = (220, 2200)
BEGINS = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LOOK = timedelta(minutes=1)
MOST_LOOKS = 900
SETTLING_SECONDS = 300.0
FOLLOWED = Procedure("looks", prepare_pipe_cleaner, run_pipe_cleaner)
SERVERS = ("Jenkins", "API")
KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True)
class Traffic:
    """By server: requests, and bytes of the answers' bodies."""

    requests: Mapping[str, int]
    sent: Mapping[str, int]


# ---- the rest of KernelCI, in a process of its own -------------------------------------------------------------


class Counting:
    """What the servers were asked since it was last told."""

    def __init__(self, servers: Mapping[str, StandIn]) -> None:
        self._requests: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        for name, server in servers.items():
            server.answer = self._counted(name, server)  # type: ignore[method-assign]  # every answer passes here

    def told(self) -> Traffic:
        traffic = Traffic(dict(self._requests), dict(self._sent))
        self._requests.clear()
        self._sent.clear()
        return traffic

    def _counted(self, name: str, server: StandIn) -> Callable[[Request], Response | None]:
        answer = server.answer

        def counted(request: Request) -> Response | None:
            response = answer(request)
            server.requests.clear()
            self._requests[name] += 1
            self._sent[name] += len(response.body) if response else 0
            return response

        return counted


def kernelci(folder: Path, kernels: int, orders: Connection) -> None:
    """Let so much time pass as is ordered, again and again, and tell the traffic until then; None ends it."""
    world = Sandbox(folder, 1.0, settings=production(kernels), begins=BEGINS)
    world.start()
    counting = Counting({"Jenkins": world.jenkins, "API": world.api})
    orders.send(counting.told())
    while (span := orders.recv()) is not None:
        world.clock.advance(span)
        world.jenkins.loop.catch_up()
        orders.send(counting.told())
    world.stop()


class Far:
    """That other process, as seen from the bot's."""

    def __init__(self, orders: Connection) -> None:
        self._orders = orders
        orders.recv()

    def forward(self, span: timedelta) -> None:
        self._order(span)

    def traffic(self) -> Traffic:
        """Since it was last put forward."""
        return self._order(timedelta())

    def _order(self, span: timedelta) -> Traffic:
        self._orders.send(span)
        told: Traffic = self._orders.recv()
        return told


@contextmanager
def far_away(folder: Path, kernels: int) -> Iterator[Far]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=kernelci, args=(folder, kernels, theirs))
    process.start()
    try:
        yield Far(ours)
    finally:
        ours.send(None)
        process.join()


# ---- the bot ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Memory:
    """In bytes: what is taken, and the most of it since it was last asked for."""

    taken: int
    most: int

    @staticmethod
    def of_the_process() -> "Memory":
        rows = Path("/proc/self/status").read_text().splitlines()
        sizes = {name: value.split()[0] for name, _, value in (row.partition(":") for row in rows) if "kB" in value}
        Path("/proc/self/clear_refs").write_text("5")  # the highest so far is from now on that of now
        return Memory(int(sizes["VmRSS"]) * KIB, int(sizes["VmHWM"]) * KIB)

    @staticmethod
    def traced() -> "Memory":
        taken, most = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        return Memory(taken, most)

    def since(self, before: "Memory") -> "Memory":
        return Memory(self.taken - before.taken, self.most - before.taken)


@dataclass(frozen=True)
class Look:
    """One look: how many kernels had ended, what it cost, and by how much the bot had grown."""

    minute: float
    ended: int
    kernels: int
    traffic: Traffic
    seconds: float
    memory: Memory
    text: str = ""
    objects: Memory = field(default_factory=lambda: Memory(0, 0))


class Bot:
    """One life of the bot in that world, without chat and without threads of its own but for the run's."""

    def __init__(self, folder: Path, store: Store) -> None:
        registry = Registry()
        registry.scan(kcibot_commands)
        registry.procedures[FOLLOWED.name] = FOLLOWED
        config = load(folder / "config.yaml", registry.sections)
        self._journal = store.journal
        self._world = World(
            journal=store.journal,
            clock=SandboxClock(folder / "clock.json"),
            people=config.people(),
            ports=app.ports(config, Redactor()),
            registry=registry,
            rooms=config.rooms(),
            policies=config.policies(),
            sections=config.sections,
            folder=folder / "work",
        )
        self._engine = Engine(self._world)
        self._run = 0

    def start(self) -> None:
        person = self._world.people.get("operator")
        outcome = self._engine.start(FOLLOWED, person, self._world.rooms[0], "Looks", PipecleanerArgs("kernelci"))
        self._journal.commit(outcome.changes)
        (self._run,) = outcome.wake
        self._engine.wake(outcome.wake)
        self._settle()

    def tick(self) -> None:
        self._engine.tick()
        self._settle()

    @property
    def step(self) -> StepRecord:
        return self._journal.run(self._run).step(run_pipe_cleaner.id)

    def _settle(self) -> None:
        if not self._engine.settle(SETTLING_SECONDS):
            raise SystemExit("one look took minutes")


def follow(kernels: int, memory: Callable[[], Memory]) -> list[Look]:
    """Every look at a pipe cleaner of so many kernels, from its first build to its end."""
    with tempfile.TemporaryDirectory() as name, far_away(Path(name), kernels) as far:
        folder = Path(name)
        store = open_store(folder / "kcibot.db", Redactor(), PydanticCodec())
        bot = Bot(folder, store)
        before = memory()
        bot.start()
        looks = list(_looks(bot, far, memory, before))
        store.close()
    return looks


def _looks(bot: Bot, far: Far, memory: Callable[[], Memory], before: Memory) -> Iterator[Look]:
    for number in range(MOST_LOOKS):
        far.forward(LOOK)
        memory()
        begin = time.perf_counter()
        bot.tick()
        seconds = time.perf_counter() - begin
        step = bot.step
        if step.state not in {StepState.PENDING, StepState.WAITING}:
            _refuse_anything_but(StepState.DONE, step)
            return
        grown, traffic = memory().since(before), far.traffic()
        kept = step.value if isinstance(step.value, dict) else {}
        curve = kept.get("kernels_curve")
        if curve:
            yield Look(number + 1, int(curve[-1][1]), int(kept["total"]), traffic, seconds, grown, step.text)
    raise SystemExit(f"the pipe cleaner is not over after {MOST_LOOKS} looks: {bot.step.text}")


def _refuse_anything_but(state: StepState, step: StepRecord) -> None:
    if step.state is not state:
        raise SystemExit(f"the pipe cleaner is {step.state.value}: {step.text}")


# ---- measuring, and what is printed ----------------------------------------------------------------------------


def plainly(kernels: int) -> list[Look]:
    return follow(kernels, Memory.of_the_process)


def under_tracemalloc(kernels: int) -> list[Look]:
    tracemalloc.start()
    return follow(kernels, Memory.traced)


def measured(kernels: int) -> list[Look]:
    """The looks as they were without tracing, with what tracing says of the same ones."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as fresh:
        looks, traced = fresh.submit(plainly, kernels).result(), fresh.submit(under_tracemalloc, kernels).result()
    return [replace(look, objects=again.memory) for look, again in zip(looks, traced, strict=False)]


HEAD = (
    "kernels  look      minute  ended   requests        KiB received       ms"
    "    objects MB      resident MB\n"
    "                                 Jenkins  API    Jenkins     API           "
    "  now   peak      now   peak\n"
)


def chosen(looks: Sequence[Look]) -> Iterator[tuple[str, Look]]:
    """The first that saw a kernel, one in the middle, the first that saw all of them, the last."""
    kernels = looks[-1].kernels
    for name, share in (("early", 0.0), ("middle", 0.5), ("built", 1.0)):
        yield name, next(look for look in looks if look.ended >= max(1, share * kernels))
    yield "last", looks[-1]


def most(looks: Sequence[Look]) -> Look:
    """Of each cost, the highest that any look had."""
    return Look(
        len(looks),
        max(look.ended for look in looks),
        looks[-1].kernels,
        Traffic(
            *({one: max(_of(look, kind, one) for look in looks) for one in SERVERS} for kind in ("requests", "sent"))
        ),
        max(look.seconds for look in looks),
        _most(look.memory for look in looks),
        objects=_most(look.objects for look in looks),
    )


def _most(memories: Iterator[Memory]) -> Memory:
    found = list(memories)
    return Memory(max(one.taken for one in found), max(one.most for one in found))


def _of(look: Look, kind: str, server: str) -> int:
    counted: Mapping[str, int] = getattr(look.traffic, kind)
    return counted.get(server, 0)


def row(name: str, look: Look) -> str:
    requests = " ".join(f"{_of(look, 'requests', one):6}" for one in SERVERS)
    received = " ".join(f"{_of(look, 'sent', one) / KIB:9.1f}" for one in SERVERS)
    sizes = (look.objects.taken, look.objects.most, look.memory.taken, look.memory.most)
    memory = " ".join(f"{size / MIB:7.1f}" for size in sizes)
    where = f"{look.kernels:7}  {name:8} {look.minute:7.0f} {look.ended:6}"
    return f"{where} {requests} {received} {look.seconds * 1000:8.0f} {memory}\n"


def main() -> None:
    sys.stdout.write(HEAD)
    for kernels in [int(word) for word in sys.argv[1:]] or KERNELS:
        looks = measured(kernels)
        rows = [*chosen(looks), ("most", most(looks))]
        sys.stdout.write("".join(row(name, look) for name, look in rows))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
