"""The KernelCI backend and the file server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Revision:
    """One kernel revision as the backend names it."""

    tree: str
    branch: str
    kernel: str


class RevisionStatus(StrEnum):
    """Of a revision's builds: BUILD until all are done, then PASS or FAIL."""

    BUILD = "BUILD"
    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class KernelResult:
    """One built kernel: `status` is PASS, FAIL or UNKNOWN; `log` is where its build log lies, empty if untold."""

    arch: str
    defconfig: str
    environment: str
    status: str
    warnings: int = 0
    log: str = ""


@dataclass(frozen=True, slots=True)
class TestResult:
    """Results of one test plan on one device type in one lab: counts, and the names of the cases.

    A case that was run several times there is named once: as failed if it failed in any of the runs.
    """

    lab: str
    device: str
    plan: str
    passed: int
    failed: int
    passed_cases: tuple[str, ...] = ()
    failed_cases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownRevision:
    """A revision that the backend has heard of, and when first."""

    revision: Revision
    status: RevisionStatus
    created: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a revision is, told by a number of requests that does not grow with its kernels or tests.

    `status` is None while the backend has not heard of the revision. `kernels` counts by status (PASS, FAIL, UNKNOWN).
    `failed` are the kernels that failed; of very many only the newest, `kernels` counts them all. `plans` counts, by
    lab, the test plans that sent results.
    """

    status: RevisionStatus | None
    kernels: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[KernelResult, ...] = ()
    plans: Mapping[str, int] = field(default_factory=dict)


class ResultsApi(Protocol):
    """The KernelCI backend's API, and the version pages of what is deployed."""

    def version(self, component: str) -> str:
        """What is really running, asked of the deployed component itself."""
        ...

    def revision_status(self, revision: Revision) -> RevisionStatus:
        """NotFound while the backend has not heard of the revision."""
        ...

    def revisions(self, tree: str, branch: str, newest: int = 20) -> tuple[KnownRevision, ...]:
        """The revisions of a branch that the backend has heard of last, newest first: one request."""
        ...

    def standing(self, revision: Revision) -> Standing:
        """Cheap enough to be asked every minute."""
        ...

    def kernels(self, revision: Revision) -> tuple[KernelResult, ...]: ...

    def tests(self, revision: Revision) -> tuple[TestResult, ...]: ...

    def reports(self, revision: Revision) -> Mapping[str, str]:
        """Report type -> SENT or ERROR."""
        ...

    def queue_alive(self) -> bool:
        """True if a task queued now was consumed: the worker really runs."""
        ...


class FileStore(Protocol):
    """The file server (storage.kernelci.org), and whoever else serves files."""

    def exists(self, url: str) -> bool:
        """HEAD: 200 is true, 404 is false, anything else raises."""
        ...

    def read(self, url: str) -> str:
        """The text that is served there; NotFound for 404, anything else but 200 raises too."""
        ...
