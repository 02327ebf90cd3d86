"""The jobs that start new work on Jenkins: their settings, their flags, and what is remembered of a pause."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from kcibot.sdk import (
    BuildRef,
    Context,
    Happened,
    JobState,
    NotFound,
    NotHappened,
    PermanentError,
    Proof,
    Wait,
    listed,
    moment,
)
from kcibot_commands.rules.job_definitions import timer_specs
from kcibot_commands.rules.problem import RuleError

PAUSED = "paused"
MONITOR = "monitor"
OPENED = "monitor-opened"
"""Job -> which run has enabled it for its own start, and when that run last looked after it."""
TRIED = "monitor-closed"
STANDS_STILL = timedelta(minutes=10)
"""A run that has not looked after its start for so long has ended, or people hold it."""
LOOK_AGAIN = timedelta(seconds=15)


class Bisections(StrEnum):
    """What is done about bisections that run: people are asked, all are aborted, or they are left alone."""

    ASK = "ask"
    ABORT = "abort"
    LEAVE = "leave"


@dataclass(frozen=True)
class MonitorSettings:
    """The jobs that start new work on Jenkins.

    `job` looks for new commits and starts `trigger_job` for each. `cron` is the line that starts it, such as
    `H * * * *`: a restart of Jenkins loses it; empty if any line will do. `bisection_job` (empty if there is none) is
    disabled with the monitor, unless `bisections` says leave. While the monitor is paused, everybody is reminded each
    `remind`. `storage_url` must answer before the monitor is enabled, since it takes silence for news; empty if that
    is not to be checked. `run_job` is a copy of the monitor to start chosen build configs with, empty if there is none.
    A monitor that is enabled and has not run for `silent_after` is told of.
    """

    section: ClassVar[str] = "monitor"
    job: str = "kernel-tree-monitor"
    trigger_job: str = "kernel-build-trigger"
    cron: str = ""
    bisection_job: str = "lava-bisection"
    bisections: Bisections = Bisections.ASK
    remind: timedelta = timedelta(hours=2)
    storage_url: str = ""
    run_job: str = ""
    silent_after: timedelta = timedelta(days=1)


@dataclass(frozen=True)
class Pause:
    """Who paused the monitor and why, and exactly which jobs that disabled."""

    who: str
    why: str
    since: datetime
    run: int
    jobs: tuple[str, ...]


def read_pause(value: object) -> Pause | None:
    """What is remembered under (PAUSED, MONITOR); None if the monitor is not paused by us."""
    if not isinstance(value, dict):
        return None
    since = datetime.fromisoformat(str(value["since"]))
    return Pause(str(value["who"]), str(value["why"]), since, int(value["run"]), tuple(map(str, value["jobs"])))


def standing_pause(context: Context) -> Pause | None:
    return read_pause(context.recall(PAUSED).get(MONITOR))


# ---- a job that is enabled for a start only ---------------------------------------------------------------------


@dataclass(frozen=True)
class Opened:
    """Which run has a job enabled for its own start, and when it last looked after it."""

    run: int
    at: datetime

    def stands_still(self, now: datetime) -> bool:
        """Whether the run has ended, or is held by people: then nobody disables the job again."""
        return now - self.at >= STANDS_STILL


def read_opened(value: object) -> Opened | None:
    """What is remembered under (OPENED, job); None if it is not open for a start."""
    if not isinstance(value, dict):
        return None
    return Opened(int(value["run"]), datetime.fromisoformat(str(value["at"])))


def opened(context: Context, job: str) -> Opened | None:
    return read_opened(context.recall(OPENED).get(job))


def open_elsewhere(context: Context, job: str) -> Wait | None:
    """A wait while another run has it enabled for its own start; one that stands still is not waited for."""
    now, other = context.clock.now(), opened(context, job)
    if other is None or other.run == context.run.id or other.stands_still(now):
        return None
    return Wait(now + LOOK_AGAIN, f"run {other.run} has {job} enabled for its own start, and disables it after that")


# ---- the flag of a job -----------------------------------------------------------------------------------------


def set_disabled(context: Context, key: str, job: str, *, disabled: bool) -> None:
    """Set a job's flag as an effect; whether it happened can always be seen."""
    ci = context.ports.ci

    def act() -> bool:
        (ci.disable if disabled else ci.enable)(job)
        return disabled

    def probe() -> Proof[bool]:
        return Happened(disabled) if ci.job(job).disabled is disabled else NotHappened()

    context.effect(key, act, probe)


def set_and_see(context: Context, job: str, *, disabled: bool) -> None:
    """Set the flag, and see that it is set. PermanentError if it is not any more: a retry sets it once more."""
    word = "disable" if disabled else "enable"
    name = f"{word} {job}"
    set_disabled(context, name + again(context, name), job, disabled=disabled)
    _see(context, job, name, disabled=disabled)


def _see(context: Context, job: str, name: str, *, disabled: bool) -> None:
    if job_state(context, job).disabled is disabled:
        return
    tried_again(context, name)
    was, seen = ("disabled", "enabled") if disabled else ("enabled", "disabled")
    retry = f"a retry {name.partition(' ')[0]}s it once more"
    raise PermanentError(f"{job} was {was}, but Jenkins shows it as {seen}: somebody {seen} it since; {retry}")


def again(context: Context, name: str) -> str:
    """What is added to the key of an effect of that name, so that people can have it done once more."""
    times = tries(context, name)
    return f", {times}" if times > 1 else ""


def tries(context: Context, name: str) -> int:
    """The how manyth try of that it is in this run, from 1."""
    kept = context.recall(TRIED).get(f"{context.run.id}/{name}")
    return kept + 1 if isinstance(kept, int) else 1


def tried_again(context: Context, name: str) -> None:
    context.remember(TRIED, f"{context.run.id}/{name}", tries(context, name))


class Before(StrEnum):
    """What a job was before a pause: disabled by people, enabled, or enabled by us for a start only."""

    DISABLED = "disabled"
    ENABLED = "enabled"
    OPENED = "opened"


def disable_recorded(context: Context, job: str, *, why: str) -> bool:
    """Disable a job, see that it is, and remember it with the pause, so that the resume gives it back.

    False if it was disabled before: then somebody else did that, and it is theirs to give back.
    """
    name = f"disable {job}"
    before = Before(context.keep(f"flag of {job}{again(context, name)}", lambda: str(_flag(context, job))))
    ours = (job,) if before is Before.ENABLED else ()
    _remember(context, ours, why)  # first: people may skip or abort what comes next
    if before is Before.DISABLED:
        _see(context, job, name, disabled=True)
    else:
        set_and_see(context, job, disabled=True)
    if before is Before.OPENED:
        context.forget(OPENED, job)
    pause = standing_pause(context)
    return pause is not None and job in pause.jobs


def _flag(context: Context, job: str) -> Before:
    if context.ports.ci.job(job).disabled:
        return Before.DISABLED
    return Before.OPENED if job in context.recall(OPENED) else Before.ENABLED


def _remember(context: Context, jobs: Iterable[str], why: str) -> None:
    standing = standing_pause(context)
    pause = standing or Pause(context.run.starter, why, context.clock.now(), context.run.id, ())
    all_jobs = tuple(dict.fromkeys((*pause.jobs, *jobs)))
    if standing is None or all_jobs != standing.jobs:
        save_pause(context, replace(pause, jobs=all_jobs))


def save_pause(context: Context, pause: Pause) -> None:
    value = {"who": pause.who, "why": pause.why, "since": pause.since.isoformat(), "run": pause.run}
    context.remember(PAUSED, MONITOR, {**value, "jobs": list(pause.jobs)})


def told(context: Context, pause: Pause) -> str:
    return f"by {pause.who}, {moment(pause.since, context.clock.now())}: {pause.why}"


def job_state(context: Context, name: str) -> JobState:
    try:
        return context.ports.ci.job(name)
    except NotFound as error:
        raise PermanentError(f"Jenkins has no job {name}: it is named in the section monitor") from error


def stop_build(context: Context, ref: BuildRef) -> None:
    """End a build, as an effect; one that ended by itself is left as it is."""
    ci = context.ports.ci

    def act() -> str:
        if ci.build(ref).building:
            ci.stop(ref)
        return str(ref)

    def probe() -> Proof[str]:
        return NotHappened() if ci.build(ref).building else Happened(str(ref))

    context.effect(f"abort {ref}", act, probe)


def cron_problem(xml: str, context: Context) -> str:
    """What is wrong with the timer of the monitor's definition; empty if it will ring."""
    settings = context.settings(MonitorSettings)
    try:
        specs = timer_specs(xml)
    except RuleError as error:
        return f"the definition of {settings.job} cannot be read, so nobody knows whether it has a timer: {error}"
    if not specs:
        line = f": {settings.cron} has to be put back" if settings.cron else "; with monitor.cron set I can put it back"
        return f"{settings.job} has lost its timer, as it happens when Jenkins restarts{line}"
    if settings.cron and settings.cron not in specs:
        return f"the timer of {settings.job} is {listed(list(specs))}, configured is {settings.cron}"
    return ""
