"""A pipe cleaner under fire: one push, one trigger, each kernel that failed built once more, and the right verdict."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kcibot.chat.room import Room, RoomKind
from kcibot.sandbox.jenkins.model import Job
from kcibot.sandbox.kernelci.definitions import KERNEL_BUILD, MONITOR, TEST_RUNNER, TRIGGER
from kcibot.sandbox.kernelci.settings import Faults, Settings
from kcibot.sandbox.kernelci.world import PRODUCTION
from tests.chaos.around import pushes
from tests.chaos.checks import rows
from tests.chaos.persons import Speakers
from tests.chaos.points import Traps
from tests.chaos.release import ReleaseWorld
from tests.chaos.scenario import World

CONFIG = "kernelci"
FLAKY = ("arm imx_v6_v7_defconfig gcc-8", "mips ath79_defconfig gcc-8")
BROKEN = ("arm tinyconfig gcc-8",)
SETTINGS = Settings(
    kernels=24,
    failure_rate=0.0,
    kernel_minutes=(2.0, 6.0),
    lab_minutes=(2.0, 6.0),
    faults=Faults(fails=BROKEN, fails_once=FLAKY),
)


PATIENT = 'pipecleaner:\n  timeout: "7d"\n  silence: "7d"'
"""A second of a busy machine is ten minutes here: what is slow is not to be taken for an end."""


class PipeCleanerWorld(ReleaseWorld):
    """One kernel fails twice, two fail once: all else is as in the run before. The monitor is paused."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, SETTINGS)

    def start(self, traps: Traps) -> None:
        super().start(traps)
        config = self.folder / "config.yaml"
        config.write_text(config.read_text().replace("pipecleaner:", PATIENT, 1))
        jenkins = self.sandbox.jenkins
        with jenkins.loop.lock:
            jenkins.world.set_disabled(self._job(MONITOR), disabled=True)
        self._tags = self._all_tags()

    def violations(self) -> Sequence[str]:
        return [*self._pushed_twice(), *self._pushed(), *self._started(), *self._built(), *self._said()]

    def _all_tags(self) -> frozenset[str]:
        return frozenset(self.sandbox.backend._git("linux", "tag", "--list").splitlines())

    def _pushed(self) -> Iterator[str]:
        new = sorted(self._all_tags() - self._tags)
        if len(new) != 1:
            yield f"the new tags are {new}"
        elif self.sandbox.backend._git("linux", "rev-parse", f"{new[0]}^{{commit}}") != self.sandbox.backend.head(
            "linux", PRODUCTION
        ):
            yield f"{PRODUCTION} is not at {new[0]}"
        branch = [new for ref, _old, new in pushes(self.sandbox.repositories["linux"]) if ref.endswith(PRODUCTION)]
        if len(branch) != 1:
            yield f"the branch was pushed {len(branch)} times"

    def _started(self) -> Iterator[str]:
        ours = [one for one in self._runs(TRIGGER) if one["BUILD_CONFIG"] == CONFIG]
        if len(ours) != 1:
            yield f"{len(ours)} triggers were started"

        if not self._job(MONITOR).config.disabled:
            yield "the monitor was left enabled"

    def _built(self) -> Iterator[str]:
        """How often each kernel was built, and how often the tests of each build were sent to the labs."""
        ours = [one for one in self._runs(KERNEL_BUILD) if one["BUILD_CONFIG"] == CONFIG]
        counts = Counter(f"{one['ARCH']} {one['DEFCONFIG']} gcc-8" for one in ours)
        if len(counts) != SETTINGS.kernels:
            yield f"{len(counts)} kernels were built"
        wrong = {key: count for key, count in counts.items() if count != 1 + (key in {*FLAKY, *BROKEN})}
        if wrong:
            yield f"kernels were built as often as {wrong}"
        sent = Counter(one["BUILD_JOB_NUMBER"] for one in self._runs(TEST_RUNNER))
        if set(sent.values()) != {1}:
            yield f"tests of builds were sent as often as {dict(Counter(sent.values()))}"

    def _runs(self, job: str) -> Sequence[Mapping[str, str]]:
        return [{one.name: one.value for one in run.parameters} for run in self._job(job).runs.values()]

    def _job(self, name: str) -> Job:
        found = self.sandbox.jenkins.world.jobs.find(name)
        if found is None:
            raise LookupError(f"Jenkins has no job {name}")
        return found

    def _said(self) -> Iterator[str]:
        """The verdict; and each failure once, with the link of its build."""
        for (text,) in rows(self.folder, "SELECT text FROM steps WHERE step_id = 'compare-results'"):
            if text != f"fail: build regression: {BROKEN[0]} failed 2 times":
                yield f"the verdict is: {text}"
        links = Counter(line.split(": ")[-1] for line in self._lines(":failed after") if line.endswith("/console"))
        if len(links) != len(FLAKY) + 2 * len(BROKEN) or set(links.values()) != {1}:
            yield f"failures were named as {dict(links)}"

    def _lines(self, key: str) -> Iterator[str]:
        """Of the messages with that key, as they read at last: a bot that was killed may say more under the same."""
        newest: dict[int, tuple[str, ...]] = {}
        for event in Room(self.folder / "room").read():
            if event.kind is RoomKind.POST and event.notice and key in event.key:
                newest[event.number] = event.notice.lines
            elif event.kind is RoomKind.EDIT and event.notice and event.target in newest:
                newest[event.target] = event.notice.lines
        for lines in newest.values():
            yield from lines


class PipeCleaner:
    """Fulfils `scenario.Scenario`."""

    module = "tests.chaos.release"
    patience_seconds = 120.0
    earlier = 0
    begins = ""

    def world(self, folder: Path) -> PipeCleanerWorld:
        return PipeCleanerWorld(folder)

    def persons(self, _world: World) -> Speakers:
        return Speakers(
            {"pipecleaner": ("manager-1",), "accept": ("manager-2",)}, ("operator", f"!pipecleaner {CONFIG}"), {}
        )
