"""The KernelCI backend and the file server."""

from collections.abc import Mapping
from dataclasses import dataclass
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
    """One built kernel: `status` is PASS, FAIL or UNKNOWN."""

    arch: str
    defconfig: str
    environment: str
    status: str


@dataclass(frozen=True, slots=True)
class TestResult:
    """Results of one test plan on one device in one lab."""

    lab: str
    device: str
    plan: str
    passed: int
    failed: int


class ResultsApi(Protocol):
    """The KernelCI backend's API, and the version pages of what is deployed."""

    def version(self, component: str) -> str:
        """What is really running, asked of the deployed component itself."""
        ...

    def revision_status(self, revision: Revision) -> RevisionStatus:
        """NotFound while the backend has not heard of the revision."""
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
