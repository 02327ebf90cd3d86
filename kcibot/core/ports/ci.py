"""A continuous integration server: Jenkins."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class BuildRef:
    """One build: `job` is the full name (`folder/job`), `number` is counted by the job."""

    job: str
    number: int

    def __str__(self) -> str:
        return f"{self.job} #{self.number}"


@dataclass(frozen=True, slots=True)
class QueueItem:
    """Something waiting for its turn. `why` is the server's reason; it is not a cause (see the recorded contract)."""

    item_id: int
    job: str
    why: str
    since: datetime
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Busy:
    """An executor that is not idle. `build` is None when it does not say what it runs: busy all the same."""

    node: str
    build: BuildRef | None
    since: datetime | None
    estimated_seconds: float | None


@dataclass(frozen=True, slots=True)
class CiLook:
    """One look at the whole server: the queue was read before the executors. `session` changes at every start."""

    session: str
    queued: tuple[QueueItem, ...]
    running: tuple[Busy, ...]


@dataclass(frozen=True, slots=True)
class JobState:
    """`next_build` moves by one with every build that starts; `buildable` is false for disabled and fresh copies."""

    name: str
    disabled: bool
    buildable: bool
    next_build: int
    last_build: int | None


class BuildResult(StrEnum):
    """How a build ended, in Jenkins' words."""

    SUCCESS = "SUCCESS"
    UNSTABLE = "UNSTABLE"
    FAILURE = "FAILURE"
    ABORTED = "ABORTED"
    NOT_BUILT = "NOT_BUILT"


@dataclass(frozen=True, slots=True)
class Build:
    """A build as the server describes it; `upstream` caused it. While it runs `result` is None and `seconds` is 0."""

    ref: BuildRef
    building: bool
    result: BuildResult | None
    started: datetime
    seconds: float
    queue_id: int
    parameters: Mapping[str, str]
    upstream: BuildRef | None
    url: str
    artifacts: tuple[str, ...] = ()


class Queued(StrEnum):
    """What became of a queue item."""

    WAITING = "waiting"
    LEAVING = "leaving"
    STARTED = "started"
    CANCELLED = "cancelled"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class ItemState:
    """`build` is set when `state` is STARTED. FORGOTTEN: left more than 300 s ago, look for the build by queue id."""

    state: Queued
    build: BuildRef | None = None


class CiServer(Protocol):
    """A Jenkins."""

    def look(self) -> CiLook:
        """Two requests however many nodes there are: the queue, then all executors with one-off executors.

        The answers grow with the items, nodes and executors, in proportion: what nodes share is not told of each.
        """
        ...

    def jobs(self) -> Mapping[str, JobState]:
        """Every job, by full name: one request."""
        ...

    def job(self, name: str) -> JobState:
        """Raises NotFound only on a positive answer of a healthy server."""
        ...

    def enable(self, name: str) -> None: ...

    def disable(self, name: str) -> None: ...

    def parameters(self, job: str) -> frozenset[str]:
        """Names of the parameters that the job defines."""
        ...

    def trigger(self, name: str, parameters: Mapping[str, str]) -> int:
        """Id of the queue item. A lost answer is OutcomeUnknown: find the build by its parameters.

        A parameter that the job does not define is refused: Jenkins would drop it silently.
        """
        ...

    def item(self, item_id: int) -> ItemState: ...

    def cancel(self, item_id: int) -> None:
        """Cancel a queue item; one that already left is no error."""
        ...

    def build(self, ref: BuildRef) -> Build: ...

    def builds(self, job: str, newest: int = 50) -> tuple[Build, ...]:
        """The newest builds of a job, newest first: one ranged request."""
        ...

    def stop(self, ref: BuildRef) -> None: ...

    def log_tail(self, ref: BuildRef, lines: int = 20) -> tuple[str, ...]: ...

    def definition(self, job: str) -> str:
        """The job's config.xml."""
        ...

    def define(self, job: str, xml: str) -> None:
        """Create the job, or replace its config.xml."""
        ...

    def remove(self, job: str) -> None:
        """Delete the job with all its builds; one that is not there is no error. A folder is never deleted."""
        ...

    def quiet_down(self) -> None: ...

    def cancel_quiet_down(self) -> None: ...

    def quieting_down(self) -> bool:
        """Whether what is queued does not start, since a shutdown or a safe restart is prepared: one small request."""
        ...

    def restart(self) -> None:
        """Ask for a safe restart; `session()` tells when it is back."""
        ...

    def session(self) -> str: ...
