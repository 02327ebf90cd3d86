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
    listed,
    moment,
)
from kcibot_commands.rules.job_definitions import timer_specs
from kcibot_commands.rules.problem import RuleError

PAUSED = "paused"
MONITOR = "monitor"


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


def disable_recorded(context: Context, job: str, *, why: str) -> bool:
    """Disable a job and remember it with the pause, so that the resume gives it back.

    False if it was disabled already: then somebody else did that, and it is theirs to give back.
    """
    was_enabled = context.keep(f"{job} was enabled", lambda: not context.ports.ci.job(job).disabled)
    _remember(context, (job,) if was_enabled else (), why)  # first: people may skip or abort what comes next
    if was_enabled:
        set_disabled(context, f"disable {job}", job, disabled=True)
    return was_enabled


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
        line = f": {settings.cron} has to be put back" if settings.cron else ""
        return f"{settings.job} has lost its timer, as it happens when Jenkins restarts{line}"
    if settings.cron and settings.cron not in specs:
        return f"the timer of {settings.job} is {listed(list(specs))}, configured is {settings.cron}"
    return ""
