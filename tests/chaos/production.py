"""What is done to production beside a release, under fire: taking a release back, and new root file systems."""

import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kcibot.chat.room import CHANNEL, Event, Room
from kcibot.sandbox.jenkins.model import UserCause
from kcibot.sandbox.kernelci.definitions import ROOTFS_TRIGGER
from kcibot.sandbox.kernelci.settings import Settings
from kcibot.sandbox.kernelci.world import PRODUCTION
from kcibot.sandbox.proof import MONITOR, RELEASED
from kcibot.sandbox.targets import BACKEND, FRONTEND
from tests.chaos.persons import Speakers
from tests.chaos.points import Traps
from tests.chaos.release import VOTERS, ReleaseWorld, Staff
from tests.chaos.scenario import World

FAILING = ("buster", "armhf")


def _git(path: Path, *words: str) -> str:
    return subprocess.run(("git", "-C", str(path), *words), capture_output=True, text=True, check=True).stdout.strip()


# ---- a release that is taken back --------------------------------------------------------------------------------


class TakenBack(ReleaseWorld):
    """A release went as far as its pipe cleaner; afterwards production must be as it was before."""

    def start(self, traps: Traps) -> None:
        super().start(traps)
        self._before = self._state()

    def _state(self) -> dict[str, str | None]:
        sandbox = self.sandbox
        jobs = sandbox.jenkins.world.jobs
        live = {name: jobs.find(name) for name in sandbox.backend.definitions()}
        return {
            **{f"{name}'s production branch": sandbox.backend.head(name, PRODUCTION) for name in RELEASED},
            **{f"the image {name}": sandbox.registry.digest(name) for name in sandbox.registry.names()},
            **{f"the version of {name}": sandbox.targets.facts(name).version for name in (BACKEND, FRONTEND)},
            **{f"the parameters of {name}": str(job.config.parameters) for name, job in live.items() if job},
            "the monitor's flag": str(jobs.find(MONITOR).config.disabled) if jobs.find(MONITOR) else None,
        }

    def violations(self) -> Sequence[str]:
        after = self._state()
        wrong = [f"{what} is {after.get(what)}, not {was}" for what, was in self._before.items() if after[what] != was]
        return [*wrong, *self._pushed_twice()]


class SecondThoughts(Staff):
    """They release, see the results of the pipe cleaner, abort, and take it back."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._voters = {gate: who for gate, who in VOTERS.items() if gate != "accept"} | {"rollback": ("manager-1",)}
        self._others = ("operator",)
        self._earlier = 1
        self._cues = {"run:#:gate:accept:#": self._abort, "run:#:aborted": self._take_back}

    def _abort(self, room: Room, _event: Event) -> None:
        room.say("operator", "!release abort the tests of one lab are gone", CHANNEL)

    def _take_back(self, room: Room, _event: Event) -> None:
        room.say("operator", "!release rollback", CHANNEL)


class Rollback:
    """Fulfils `scenario.Scenario`."""

    module = "tests.chaos.release"
    patience_seconds = 120.0
    earlier = 1
    begins = "!release rollback"

    def world(self, folder: Path) -> TakenBack:
        return TakenBack(folder)

    def persons(self, world: World) -> SecondThoughts:
        return SecondThoughts(world)


# ---- root file systems ---------------------------------------------------------------------------------------------


class RootFileSystems(ReleaseWorld):
    """A round of builds of which one fails; afterwards the addresses are on the branch, in one commit."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Settings(rootfs_failures=frozenset({FAILING})))

    def start(self, traps: Traps) -> None:
        super().start(traps)
        self._head = self.sandbox.backend.head("core", "main")

    def violations(self) -> Sequence[str]:
        core = self.sandbox.repositories["core"]
        commits = _git(core, "log", "--format=%s", f"{self._head}..main").splitlines()
        changed = Counter(line[:1] for line in _git(core, "diff", "-U0", self._head, "main").splitlines())
        wrong = [f"{len(commits)} commits on main: {commits}"] if len(commits) != 1 else []
        wrong += [] if changed["+"] > 1 else ["no address was changed"]
        trigger = self.sandbox.jenkins.world.jobs.find(ROOTFS_TRIGGER)
        runs = trigger.runs.values() if trigger else ()
        started = sum(any(isinstance(cause, UserCause) for cause in run.causes) for run in runs)
        wrong += [f"the builds were started {started} times"] if started != 1 else []
        return [*wrong, *self._pushed_twice()]


class RootFs:
    """Fulfils `scenario.Scenario`."""

    module = "tests.chaos.release"
    patience_seconds = 120.0
    earlier = 0
    begins = ""

    def world(self, folder: Path) -> RootFileSystems:
        return RootFileSystems(folder)

    def persons(self, _world: World) -> Speakers:
        return Speakers({}, ("operator", "!rootfs build"), {})
