"""Releases under fire: the bot is killed and started again until its release is over; then everything is checked."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kcibot.chat.room import Room
from kcibot.sandbox.clock import SandboxClock
from tests.chaos import checks
from tests.chaos.points import CLOCK, PID, Point, Traps, chains, chosen, killed_at, points_of
from tests.chaos.scenario import Persons, Scenario

LOOK_SECONDS = 0.02
STOP_SECONDS = 25.0
SIGKILLED = -signal.SIGKILL
QUOTED_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Played:
    """One release: where the bot was killed, which armed points it never came to, and what was wrong in the end."""

    folder: Path
    kills: tuple[Point, ...]
    missed: tuple[Point, ...]
    violations: tuple[str, ...]
    lives: int
    seconds: float


class Life:
    """One process with the bot in it. What it logs is kept beside the traps."""

    def __init__(self, module: str, folder: Path) -> None:
        self._folder = folder
        argv = (sys.executable, "-m", "tests.chaos.life", module, str(folder))
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stderr=log)
        (folder / PID).write_text(str(self.process.pid))
        self.began = time.monotonic()

    def kill(self) -> None:
        """Returns when it is dead."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Let it come to its end; its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return 1

    def kill_at(self, point: Point, traps: Traps) -> threading.Timer:
        """Spring that trap so many milliseconds after the start."""
        timer = threading.Timer(point.turn / 1000, traps.spring, (point,))
        timer.daemon = True
        timer.start()
        return timer


class Release:
    """One release of a scenario, in a folder of its own."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self._scenario = scenario
        self._folder = folder
        self._life: Life | None = None
        self._lives = 0
        folder.mkdir(parents=True)

    def play(self, points: Sequence[Point] = ()) -> Played:
        """Kill the bot at each of these points that it comes to, once each."""
        began = time.monotonic()
        traps = Traps(self._folder, self._kill)
        world = self._scenario.world(self._folder)
        world.start(traps)
        try:
            wrong = self._survive(points, traps, self._scenario.persons(world))
            wrong = wrong or [*world.violations(), *checks.violations(self._folder, self._scenario.earlier)]
        finally:
            self._kill()
            world.stop()
        kills = killed_at(self._folder)
        missed = tuple(point for point in points if point not in kills)
        return Played(self._folder, kills, missed, tuple(wrong), self._lives, time.monotonic() - began)

    def _survive(self, points: Sequence[Point], traps: Traps, persons: Persons) -> list[str]:
        """One life after the other; what kept the release from its end, if anything did."""
        room = Room(self._folder / "room", SandboxClock(self._folder / "clock.json").now)
        audience = Audience(room, persons)
        persons.begin(room)
        while True:
            left = [point for point in points if point not in killed_at(self._folder)]
            traps.arm(left)
            status = self._live(left, traps, audience)
            if status != SIGKILLED or not self._was_sprung(left):
                return self._verdict(status, persons)

    def _live(self, left: Sequence[Point], traps: Traps, audience: "Audience") -> int:
        """From a start to a death; the exit status."""
        self._lives += 1
        self._life = life = Life(self._scenario.module, self._folder)
        timed = [point for point in left if point.phase == CLOCK][:1]
        timers = [life.kill_at(point, traps) for point in timed]
        while life.process.poll() is None:
            audience.look()
            if self._over(audience):
                return life.stop()
            if time.monotonic() - life.began > self._scenario.patience_seconds:
                life.kill()
            time.sleep(LOOK_SECONDS)
        for timer in timers:
            timer.cancel()
        return life.process.returncode

    def _over(self, audience: "Audience") -> bool:
        ending = audience.persons.ending
        return ending is not None and (ending != "succeeded" or checks.at_rest(self._folder))

    def _was_sprung(self, left: Sequence[Point]) -> bool:
        """Whether that life ended at one of its points, and not for lack of patience."""
        return any(point in left for point in killed_at(self._folder))

    def _verdict(self, status: int, persons: Persons) -> list[str]:
        if persons.ending == "succeeded" and status == 0:
            return []
        log = (self._folder / "log").read_text(errors="replace")[-QUOTED_CHARACTERS:]
        story = checks.story(self._folder)
        return [f"the release ended as {persons.ending}, the last life with status {status}", *story, log]

    def _kill(self) -> None:
        if self._life:
            self._life.kill()


class Audience:
    """The persons, reading on in the room."""

    def __init__(self, room: Room, persons: Persons) -> None:
        self.persons = persons
        self._room = room
        self._reader = room.reader()

    def look(self) -> None:
        for event in self._reader.take():
            self.persons.hear(self._room, event)


class Campaign:
    """An undisturbed release, whose trace gives the points; then as many releases as it takes to be killed at them."""

    def __init__(self, scenario: Scenario, folder: Path, tell: Callable[[Played], None]) -> None:
        self._scenario = scenario
        self._folder = folder
        self._tell = tell
        self._known: frozenset[str] = frozenset()

    def run(self, seed: int, count: int, chain: int, turns: int = 1) -> list[Played]:
        """The undisturbed release and all others.

        Points that a chain did not come to are tried once more, together; the last one has what is left of them.
        """
        undisturbed = self._play("undisturbed", ())
        self._known = frozenset(undisturbed.violations)
        found = points_of(undisturbed.folder, turns, self._scenario.begins)
        wanted = chosen(found, count or len(found), seed)
        played = [undisturbed]
        played += [self._play(f"release-{n}", points) for n, points in enumerate(chains(wanted, chain), 1)]
        missed = [point for one in played for point in one.missed]
        return [*played, self._play("again", missed)] if missed else played

    def _play(self, name: str, points: Sequence[Point]) -> Played:
        """What is wrong without any kill is said once, and not again."""
        played = Release(self._scenario, self._folder / name).play(points)
        played = replace(played, violations=tuple(v for v in played.violations if v not in self._known))
        self._tell(played)
        return played
