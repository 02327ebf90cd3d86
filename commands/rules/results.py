"""Results of a pipe cleaner as the verdict sees them: kernels, tests, report mails, and what could not be seen."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


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
    """Of a report mail: WAITING before its delay is over, MISSING after it, ERROR if the backend could not send it.

    UNKNOWN: its time is over, and nobody could see whether it came.
    """

    SEEN = "seen"
    WAITING = "waiting"
    MISSING = "missing"
    ERROR = "error"
    UNKNOWN = "unknown"


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
    """One test plan on one board: `device` is its type, counts are of its cases, which have names if they were told.

    The names are sorted. A case that was run several times there is named once: as failed if it failed in any run.
    """

    lab: str
    device: str
    test: str
    passed: int
    failed: int
    passed_cases: tuple[str, ...] = ()
    failed_cases: tuple[str, ...] = ()

    @property
    def board(self) -> tuple[str, str]:
        """Lab and device type."""
        return (self.lab, self.device)

    @property
    def good(self) -> bool:
        return self.failed == 0 and self.passed > 0

    @property
    def there(self) -> bool:
        """Whether any case of it passed or failed."""
        return self.passed + self.failed > 0

    @property
    def named(self) -> bool:
        """Whether the cases' names are known."""
        return bool(self.passed_cases or self.failed_cases)


@dataclass(frozen=True, slots=True)
class Mail:
    """One report mail: `kind` is build, boot or test, `plan` the test plan of a test mail.

    `due` is when it is expected, `note` a clause that explains its state.
    """

    kind: str
    state: MailState
    plan: str = ""
    due: datetime | None = None
    note: str = ""


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
        """The labs that sent any result; a plan of which no case ran is none."""
        return frozenset(test.lab for test in self.tests if test.there)

    def warnings(self) -> int:
        """Build warnings over all kernels."""
        return sum(kernel.warnings for kernel in self.kernels)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table that people approve: what is counted, then, now."""

    label: str
    baseline: str
    current: str


KERNELS, TESTS = "kernels", "tests"


def table(current: Results, baseline: Results | None) -> tuple[Row, ...]:
    """The counts side by side, by architecture and by lab; a dash where there is no baseline."""
    now, then = _counts(current), _counts(baseline) if baseline else {}
    groups = dict.fromkeys((*now, *then))
    labels = [label for group in groups for label in sorted({*now.get(group, {}), *then.get(group, {})})]
    flat_now, flat_then = _flat(now), _flat(then)
    missing = "0" if baseline else "-"
    return tuple(Row(label, flat_then.get(label, missing), flat_now.get(label, "0")) for label in labels)


def _counts(results: Results) -> Mapping[str, Mapping[str, str]]:
    """Label -> count, in groups, so that a lab or an architecture that only one side has gets its place."""
    by_arch = _grouped(results.kernels, lambda kernel: kernel.key.arch)
    by_lab = _grouped(results.tests, lambda test: test.lab)
    return {
        "kernel": {"kernel": results.kernel},
        KERNELS: {KERNELS: _built(results.kernels)},
        "archs": {f"{KERNELS}, {arch}": _built(kernels) for arch, kernels in by_arch.items()},
        "warnings": {"warnings": str(results.warnings())},
        "labs": {"labs": str(len(results.labs()))},
        TESTS: {TESTS: _tested(results.tests)},
        "by lab": {f"{TESTS}, {lab}": _tested(tests) for lab, tests in by_lab.items()},
        "mails": {"mails": listed_states(results.mails)},
    }


def _grouped(rows: Iterable[T], name_of: Callable[[T], str]) -> Mapping[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for row in rows:
        groups.setdefault(name_of(row), []).append(row)
    return groups


def _flat(groups: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    return {label: count for group in groups.values() for label, count in group.items()}


def _built(kernels: Iterable[Kernel]) -> str:
    passed = [kernel.status is Status.PASS for kernel in kernels]
    return f"{sum(passed)} of {len(passed)} passed"


def _tested(tests: Iterable[BoardResult]) -> str:
    passed, total = counted(tests)
    return f"{passed} of {total} passed"


def listed_states(mails: tuple[Mail, ...]) -> str:
    """`build seen, boot missing`; those of tests, which are many, are counted."""
    single = [f"{mail.kind} {mail.state}" for mail in mails if not mail.plan]
    plans = Counter(mail.state.value for mail in mails if mail.plan)
    return ", ".join([*single, *(f"{number} test {state}" for state, number in sorted(plans.items()))]) or "none"


def case_counts(results: Results) -> tuple[int, int]:
    """Passed and all test cases."""
    return counted(results.tests)


def counted(tests: Iterable[BoardResult]) -> tuple[int, int]:
    """Passed and all cases of these."""
    rows = tuple(tests)
    passed = sum(test.passed for test in rows)
    return passed, passed + sum(test.failed for test in rows)
