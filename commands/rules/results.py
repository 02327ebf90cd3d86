"""Results of a pipe cleaner as the verdict sees them: kernels, tests, report mails, and what could not be seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Of one attempt to build a kernel, in the backend's words."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


class Ended(StrEnum):
    """How the run came to its end, if it did."""

    COMPLETE = "complete"
    TIME_LIMIT = "time limit"
    STOPPED = "stopped"
    RUNNING = "running"


class MailState(StrEnum):
    """Of a report mail: WAITING before its delay is over, MISSING after it, ERROR if the backend could not send it."""

    SEEN = "seen"
    WAITING = "waiting"
    MISSING = "missing"
    ERROR = "error"


@dataclass(frozen=True, slots=True, order=True)
class KernelKey:
    """Which kernel: architecture, full defconfig, build environment (`gcc-8`)."""

    arch: str
    defconfig: str
    environment: str

    def __str__(self) -> str:
        return f"{self.arch} {self.defconfig} {self.environment}"


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel and its attempts, oldest first; `warnings` are those of the last one."""

    key: KernelKey
    attempts: tuple[Status, ...]
    warnings: int = 0

    @property
    def status(self) -> Status:
        """The last attempt's; UNKNOWN if there was none."""
        return self.attempts[-1] if self.attempts else Status.UNKNOWN

    @property
    def failures(self) -> int:
        """How often it failed."""
        return self.attempts.count(Status.FAIL)


@dataclass(frozen=True, slots=True)
class BoardResult:
    """One test (a plan, or a case of one) on one board: `device` is its type, counts are of its cases."""

    lab: str
    device: str
    test: str
    passed: int
    failed: int

    @property
    def good(self) -> bool:
        return self.failed == 0 and self.passed > 0


@dataclass(frozen=True, slots=True)
class Mail:
    """One report mail: `kind` is build, boot or test, `plan` the test plan of a test mail."""

    kind: str
    state: MailState
    plan: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """One pipe cleaner's results. `series` is the stable series (`5.0`), `kernel` its `git describe`.

    `unreachable` names the sources (results API, Jenkins) that did not answer at the end: what they would have said
    is missing from everything else here.
    """

    kernel: str
    series: str
    ended: Ended
    kernels: tuple[Kernel, ...] = ()
    tests: tuple[BoardResult, ...] = ()
    mails: tuple[Mail, ...] = ()
    unreachable: tuple[str, ...] = ()

    def by_key(self) -> Mapping[KernelKey, Kernel]:
        """The kernels by their key."""
        return {kernel.key: kernel for kernel in self.kernels}

    def labs(self) -> frozenset[str]:
        """The labs that sent any result."""
        return frozenset(test.lab for test in self.tests)

    def warnings(self) -> int:
        """Build warnings over all kernels."""
        return sum(kernel.warnings for kernel in self.kernels)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table that people approve: what is counted, then, now."""

    label: str
    baseline: str
    current: str


def table(current: Results, baseline: Results | None) -> tuple[Row, ...]:
    """The counts side by side; a dash where there is no baseline."""
    now, then = _counts(current), _counts(baseline) if baseline else {}
    labels = dict.fromkeys((*now, *then))
    return tuple(Row(label, then.get(label, "-"), now.get(label, "-")) for label in labels)


def _counts(results: Results) -> Mapping[str, str]:
    counts = {"kernel": results.kernel, "kernels": _passed(results.kernels)}
    for arch in sorted({kernel.key.arch for kernel in results.kernels}):
        counts[f"kernels, {arch}"] = _passed([one for one in results.kernels if one.key.arch == arch])
    passed, total = case_counts(results)
    counts["warnings"] = str(results.warnings())
    counts["labs"] = str(len(results.labs()))
    counts["tests"] = f"{passed} of {total} passed"
    return counts


def _passed(kernels: tuple[Kernel, ...] | list[Kernel]) -> str:
    return f"{sum(kernel.status is Status.PASS for kernel in kernels)} of {len(kernels)} passed"


def case_counts(results: Results) -> tuple[int, int]:
    """Passed and all test cases."""
    passed = sum(test.passed for test in results.tests)
    return passed, passed + sum(test.failed for test in results.tests)
