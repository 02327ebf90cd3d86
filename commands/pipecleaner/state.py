"""Step 9: where a pipe cleaner is: what is kept from one look to the next, and what one look saw."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from kcibot.sdk import Build, BuildResult, QueueItem, Revision, RevisionStatus, Standing
from kcibot_commands.pipecleaner.record import SUCCESS, Built, Record
from kcibot_commands.rules.burn_down import Curve
from kcibot_commands.rules.results import KernelKey

NORMAL_ENDS = frozenset({BuildResult.SUCCESS, BuildResult.UNSTABLE})
REPORTED = frozenset({RevisionStatus.PASS, RevisionStatus.FAIL})


@dataclass(frozen=True)
class FailedBuild:
    """One kernel that failed, with what its build was started with."""

    arch: str
    defconfig: str
    environment: str
    number: int
    url: str
    parameters: Mapping[str, str]

    @property
    def key(self) -> KernelKey:
        return KernelKey(self.arch, self.defconfig, self.environment)

    @property
    def line(self) -> str:
        return f"{self.key}: {self.url.rstrip('/')}/console"


@dataclass(frozen=True)
class Following:
    """What is kept from one look to the next, as plain values; the builds themselves are in the record.

    `attempt` counts the starts that were given up before this one. `told` are the failed builds that were said, `notes`
    what else was said once. `unseen` counts the looks in a row at which Jenkins did not answer; `silent_since` is since
    when the results API has not. `idle` counts the looks in a row that saw nothing run, `stopping` those since a stop.
    `triggers` is the newest trigger that was looked at. `again` are the queue items of kernels that were started again,
    by the number of the build that failed, `refused` those builds that could not be started again, `untested` those
    whose tests could not. `plans` is how many test plans had arrived, since `plans_at`.
    """

    attempt: int = 0
    rebuild: bool = False
    trigger: int = 0
    monitor: int = 0
    missed: int = 0
    config: str = ""
    tree: str = ""
    branch: str = ""
    kernel: str = ""
    total: int = 0
    told: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    unseen: int = 0
    silent_since: str = ""
    idle: int = 0
    stopping: int = 0
    triggers: int = 0
    again: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[int, ...] = ()
    untested: tuple[int, ...] = ()
    plans: int = -1
    plans_at: str = ""
    kernels_curve: Curve = ()
    tests_curve: Curve = ()

    @classmethod
    def read(cls, memory: object) -> "Following":
        """What a wait kept, or a fresh start."""
        if not isinstance(memory, dict):
            return cls()
        known: dict[str, Any] = {name: _tuples(memory[name]) for name in cls.__dataclass_fields__ if name in memory}
        return cls(**known)

    @property
    def json(self) -> dict[str, object]:
        return {name: _lists(value) for name, value in asdict(self).items()}

    @property
    def revision(self) -> Revision | None:
        """None until the first kernel build has told how the revision is called."""
        return Revision(self.tree, self.branch, self.kernel) if self.kernel else None

    def noted(self, *notes: str) -> "Following":
        return replace(self, notes=(*self.notes, *notes))


def _tuples(value: object) -> object:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _lists(value: object) -> object:
    return list(map(_lists, value)) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class Seen:
    """One look at Jenkins and the results API. `standing` is None while the API does not answer."""

    trigger: Build
    kernels: Record
    completions: Record
    tests: Record
    queued: tuple[QueueItem, ...] = ()
    standing: Standing | None = None
    absent: tuple[str, ...] = ()
    others: tuple[Build, ...] = ()

    @property
    def status(self) -> RevisionStatus | None:
        return self.standing.status if self.standing else None

    @property
    def ended(self) -> Mapping[KernelKey, Built]:
        """The kernels whose last build has ended."""
        return {key: one for key, one in self.kernels.newest.items() if not one.open}

    @property
    def running(self) -> Mapping[KernelKey, Built]:
        return {key: one for key, one in self.kernels.newest.items() if one.open}

    @property
    def waiting(self) -> frozenset[KernelKey]:
        """Kernels that are queued and were not built before."""
        return frozenset(key_of(item.parameters) for item in self.queued) - self.kernels.newest.keys()

    @property
    def failed(self) -> Mapping[KernelKey, Built]:
        """Every kernel whose build ended badly, or which the results API calls failed."""
        named = self.standing.failed if self.standing else ()
        bad = {KernelKey(one.arch, one.defconfig, one.environment) for one in named if one.status == "FAIL"}
        return {key: one for key, one in self.ended.items() if one.result != SUCCESS or key in bad}

    @property
    def idle(self) -> bool:
        """Nothing of it runs or waits any more, and the look left nothing out."""
        records = (self.kernels, self.completions, self.tests)
        busy = self.trigger.building or self.queued or any(one.open or not one.whole for one in records)
        return not busy

    @property
    def built(self) -> bool:
        """Jenkins is through with it."""
        return self.idle and self.trigger.result in NORMAL_ENDS

    @property
    def complete(self) -> bool:
        """Jenkins is through with it, and the results API says so too."""
        return self.built and self.status in REPORTED

    @property
    def cut_off(self) -> bool:
        """Jenkins ended it before it was through, as a restart does."""
        return self.idle and self.trigger.result not in NORMAL_ENDS

    @property
    def ended_at(self) -> datetime | None:
        """When the newest of all builds was over, so far."""
        records = (self.kernels, self.completions, self.tests)
        return max((one.ended_at for each in records for one in each.builds.values() if not one.open), default=None)

    @property
    def builds_ended(self) -> datetime | None:
        """When the last build of the trigger's own was over; what was built again later sends no mail."""
        ends = [one.ended_at for one in self.kernels.builds.values() if one.child and not one.open]
        ends += [one.ended_at for one in self.completions.builds.values() if not one.open]
        return max(ends, default=None)


def key_of(given: Mapping[str, str]) -> KernelKey:
    return KernelKey(given.get("ARCH", ""), given.get("DEFCONFIG", ""), given.get("BUILD_ENVIRONMENT", ""))
