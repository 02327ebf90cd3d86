"""When Jenkins may be said to be drained: looks in, verdict out.

No number of quiet looks proves anything: a build that is queued while the executors are read, and runs while the queue
is read, is never seen. What no build can hide is its number. So between two quiet looks that are `quiet_for` apart, no
job's `nextBuildNumber` may have moved, counted from before the first look; with the monitor disabled and the same
session of the server, nothing ran, nothing waited, and nothing started in between (design, "Watching").

The premises: every start moves its job's `nextBuildNumber`; only running or queued work makes more work, the monitor's
timer apart; nobody enables the monitor and disables it again within the second that a confirming look takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from kcibot.sdk import CiLook, JobState, listed
from kcibot_commands.rules.drain_holders import Holder, Seen, seen


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes a drain: which job must be disabled, how long it must be quiet, and which jobs do not count."""

    monitor: str
    quiet_for: timedelta
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FirstLook:
    """The job states were read before the queue, the queue before the executors."""

    jobs: Mapping[str, JobState]
    look: CiLook


@dataclass(frozen=True, slots=True)
class ConfirmingLook:
    """Read in this order: job states, queue, executors, queue, executors, job states."""

    jobs_before: Mapping[str, JobState]
    first: CiLook
    second: CiLook
    jobs_after: Mapping[str, JobState]


@dataclass(frozen=True, slots=True)
class Quiet:
    """What a first quiet look leaves to be confirmed. `at` is after its last answer."""

    at: datetime
    session: str
    next_builds: Mapping[str, int]

    def due(self, rule: Rule, now: datetime) -> bool:
        """Whether the confirming look may begin."""
        return now - self.at >= rule.quiet_for


class Finding(StrEnum):
    """HELD: something runs, waits, or may have. QUIET: a first quiet look, to be confirmed. DRAINED: proven."""

    HELD = "held"
    QUIET = "quiet"
    DRAINED = "drained"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`why` says what keeps it from being a drain. `quiet` is what to confirm next, None to start again."""

    finding: Finding
    why: str = ""
    session: str = ""
    seen: Seen = field(default_factory=lambda: Seen(()))
    quiet: Quiet | None = None

    @property
    def holders(self) -> tuple[Holder, ...]:
        return self.seen.holders


def judge_first(rule: Rule, look: FirstLook, at: datetime) -> Verdict:
    """`at` is a time after the last answer of the look."""
    found = seen(look.look, rule.ignored)
    session = look.look.session
    why = _monitor_problem(rule, look.jobs)
    if found.holders or why:
        return Verdict(Finding.HELD, why, session, found)
    return Verdict(Finding.QUIET, "", session, found, Quiet(at, session, _next_builds(rule, look.jobs)))


def judge_confirming(rule: Rule, quiet: Quiet, look: ConfirmingLook, began: datetime) -> Verdict:
    """`began` is a time before the first request of the look. Anything that is not as it must be starts again."""
    session = look.second.session
    firsts, seconds = seen(look.first, rule.ignored), seen(look.second, rule.ignored)
    found = seconds if seconds.holders else firsts
    why = _confirming_problem(rule, quiet, look, began)
    if found.holders or why:
        return Verdict(Finding.HELD, why, session, found)
    return Verdict(Finding.DRAINED, "", session, seconds, quiet)


def _confirming_problem(rule: Rule, quiet: Quiet, look: ConfirmingLook, began: datetime) -> str:
    """Why this look confirms nothing, apart from what it saw run; empty if it does."""
    if not quiet.due(rule, began):
        return "the confirming look came too early"
    if {quiet.session, look.first.session, look.second.session} != {quiet.session}:
        return "Jenkins was restarted"
    moved = {
        name
        for jobs in (look.jobs_before, look.jobs_after)
        for name in _moved(_counted(rule, quiet.next_builds), _next_builds(rule, jobs))
    }
    if moved:
        return f"{listed(sorted(moved))} started builds in between"
    return _monitor_problem(rule, look.jobs_before) or _monitor_problem(rule, look.jobs_after)


def _moved(before: Mapping[str, int], after: Mapping[str, int]) -> set[str]:
    """Jobs that started something; also those that came or went, since nobody knows what they did."""
    return {name for name in {**before, **after} if before.get(name) != after.get(name)}


def _monitor_problem(rule: Rule, jobs: Mapping[str, JobState]) -> str:
    monitor = jobs.get(rule.monitor)
    if monitor is None:
        return f"there is no job {rule.monitor}, so nobody knows whether it is disabled"
    return "" if monitor.disabled else f"{rule.monitor} is enabled"


def _next_builds(rule: Rule, jobs: Mapping[str, JobState]) -> Mapping[str, int]:
    return _counted(rule, {name: job.next_build for name, job in jobs.items()})


def _counted(rule: Rule, next_builds: Mapping[str, int]) -> Mapping[str, int]:
    return {name: number for name, number in next_builds.items() if name not in rule.ignored}
