"""What a job does while it builds: behaviours, and the executions that drive them through sandbox time.

A behaviour is a generator function. It yields what it waits for and returns its result:

    def behaviour(build: RunningBuild) -> Steps:
        build.log("Configs")
        yield Sleep(60)
        children = [build.trigger("kernel-build", {"ARCH": arch}) for arch in ARCHES]
        runs = yield WaitFor(children)
        return "SUCCESS"

When the build is stopped, `Stopped` is raised at its `yield`; one that does not catch it ends ABORTED.
Behaviours run while the server's lock is held: they must not talk to this server over HTTP.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

from kcibot.errors import KcibotError
from kcibot.sandbox.jenkins.loop import VirtualLoop
from kcibot.sandbox.jenkins.model import Item, Run

STOP_SECONDS = 0.1
"""A sleeping shell was seen to end 0.14 s after its stop."""


class Stopped(Exception):
    """Somebody stopped the build."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Sandbox seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Until each of these was cancelled or its build ended. Yields back their builds, None for a cancelled one."""

    items: Sequence[Item]


Steps: TypeAlias = Generator[Sleep | WaitFor, "tuple[Run | None, ...]", str]


class Conductor(Protocol):
    """What an execution needs of the world."""

    loop: VirtualLoop

    def trigger_from(self, run: Run, job: str, parameters: Mapping[str, str]) -> Item: ...

    def abort(self, items: Sequence[Item], by: str) -> None: ...

    def finished(self, execution: "Execution", result: str) -> None: ...


class RunningBuild:
    """A build as its behaviour sees it."""

    def __init__(self, world: Conductor, run: Run) -> None:
        self._world = world
        self._run = run
        self.job = run.job.full_name
        self.number = run.number
        self.parameters = {one.name: one.value for one in run.parameters}

    @property
    def now(self) -> datetime:
        """Sandbox time."""
        return datetime.fromtimestamp(self._world.loop.now(), UTC)

    def log(self, *lines: str) -> None:
        self._run.log.extend(lines)

    def artifact(self, path: str, content: bytes) -> None:
        self._run.artifacts[path] = content

    def trigger(self, job: str, parameters: Mapping[str, str]) -> Item:
        """Queue a build with this one as its upstream cause; to be waited for, or not. LookupError: cannot be built."""
        self.log(f"Scheduling project: {job}")
        return self._world.trigger_from(self._run, job, parameters)

    def abort(self, items: Sequence[Item]) -> None:
        """Cancel or stop these builds, as Pipeline does with what an aborted build waits for."""
        self._world.abort(items, self._run.aborted_by or "SYSTEM")


Behaviour: TypeAlias = Callable[[RunningBuild], Steps]

FAILURES = (OSError, LookupError, ValueError, RuntimeError, KcibotError)
"""What a behaviour may raise to fail its build: its backends' troubles."""


def succeed_after(seconds: float) -> Behaviour:
    """A behaviour that takes so many sandbox seconds and ends well."""

    def behaviour(_build: RunningBuild) -> Steps:
        yield Sleep(seconds)
        return "SUCCESS"

    return behaviour


class Execution:
    """Drives one behaviour; at most one of its wake-up calls is valid at any time."""

    def __init__(self, world: Conductor, run: Run, item: Item, behaviour: Behaviour) -> None:
        self.run = run
        self.item = item
        self._world = world
        self._steps = behaviour(RunningBuild(world, run))
        self._turn = 0

    def begin(self) -> None:
        self._go(lambda: next(self._steps))

    def stop(self, user: str) -> None:
        """End it as ABORTED in a moment; a behaviour may still say its last words."""
        self.run.aborted_by = user
        turn = self._next_turn()
        self._world.loop.after(STOP_SECONDS, lambda: self._in_turn(turn, self._throw))

    def abandon(self) -> None:
        """No wake-up call is valid any more: the server is gone."""
        self._next_turn()
        self._steps.close()

    def _throw(self) -> None:
        self._go(lambda: self._steps.throw(Stopped()))

    def _go(self, move: Callable[[], Sleep | WaitFor]) -> None:
        try:
            wait = move()
        except StopIteration as end:
            self._end("ABORTED" if self.run.aborted_by else str(end.value))
        except Stopped:
            self.run.log.extend(("Build was aborted", f"Aborted by {self.run.aborted_by}"))
            self._end("ABORTED")
        except FAILURES as error:
            self.run.log.append(f"ERROR: {error}")
            self._end("FAILURE")
        else:
            self._wait(wait)

    def _wait(self, wait: Sleep | WaitFor) -> None:
        turn = self._next_turn()
        match wait:
            case Sleep(seconds):
                self._world.loop.after(seconds, lambda: self._in_turn(turn, lambda: self._send(())))
            case WaitFor(items):
                self._watch(turn, items)

    def _watch(self, turn: int, items: Sequence[Item]) -> None:
        pending = next((item for item in items if not item.over), None)
        if pending is None:
            runs = tuple(item.run for item in items)
            self._world.loop.after(0.0, lambda: self._in_turn(turn, lambda: self._send(runs)))
            return
        pending.watchers.append(lambda: self._in_turn(turn, lambda: self._watch(turn, items)))

    def _send(self, runs: "tuple[Run | None, ...]") -> None:
        self._go(lambda: self._steps.send(runs))

    def _in_turn(self, turn: int, action: Callable[[], None]) -> None:
        if turn == self._turn:
            action()

    def _next_turn(self) -> int:
        self._turn += 1
        return self._turn

    def _end(self, result: str) -> None:
        self._next_turn()
        self._world.finished(self, result)
