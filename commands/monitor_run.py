"""Step 9: the monitor for chosen build configs only, enabled and disabled around the start if it must be."""

from dataclasses import dataclass, replace
from datetime import timedelta

from kcibot.sdk import (
    BuildRef,
    BuildResult,
    Context,
    Done,
    OutcomeUnknown,
    PermanentError,
    Preview,
    Step,
    TransientError,
    Wait,
    listed,
)
from kcibot_commands import starts
from kcibot_commands.monitor_flags import MonitorSettings, set_disabled, stop_build
from kcibot_commands.rules.problem import worded
from kcibot_commands.starts import NotYet, Start

OPENED = "monitor-opened"
CLOSED = "monitor-closed"
CONFIG_LIST = "CONFIG_LIST"
LOOK_AGAIN = timedelta(seconds=15)


@dataclass(frozen=True)
class Ran:
    """A build of the monitor, and how many triggers it was seen to start."""

    build: BuildRef
    triggers: int


@dataclass(frozen=True)
class RunArgs:
    """The build configs that `!monitor run` was given."""

    configs: tuple[str, ...]


# ---- for chosen build configs ----------------------------------------------------------------------------------


def run_monitor_for(context: Context, configs: tuple[str, ...]) -> BuildRef | Wait:
    """Start the monitor for those build configs only; the build, or a wait until there is one.

    To be called again after the wait, like a step. A job that is disabled is enabled around the start, until the queue
    item has become a build, and is disabled again before this returns the build; other builds of it that came in that
    gap are stopped. Raises PermanentError if it was not started, and it is disabled again then, too.
    """
    job = _job_for(context)
    opened = context.recall(OPENED).get(job)
    if isinstance(opened, dict) and opened.get("run") != context.run.id:
        return Wait(context.clock.now() + LOOK_AGAIN, f"run {opened.get('run')} has {job} open for its own start")
    one = _chosen(context, configs)
    try:
        return BuildRef(one.job, context.keep(f"build of {one.name}", lambda: _started(context, one).number))
    except NotYet as error:
        return error.wait
    except TransientError as error:
        if job not in context.recall(OPENED):
            raise
        return Wait(context.clock.now() + LOOK_AGAIN, f"{error} {job} is enabled until I can disable it again")


def give_up_monitor_for(context: Context, configs: tuple[str, ...]) -> None:
    """The build that `run_monitor_for` started is of no use: its next call starts another."""
    starts.give_up(context, _chosen(context, configs))


def _chosen(context: Context, configs: tuple[str, ...]) -> Start:
    one = starts.prepared(context, _job_for(context), {CONFIG_LIST: " ".join(configs)})
    return replace(one, disabled=one.disabled or one.job in context.recall(OPENED))  # opened by an earlier attempt


def _started(context: Context, one: Start) -> BuildRef:
    """Raises NotYet while the build waits in the queue, and the job is enabled for it."""
    if one.disabled:
        context.remember(OPENED, one.job, {"run": context.run.id, "at": context.clock.now().isoformat()})
    try:
        item_id = starts.start(context, one)
        found = starts.build_of(context, one, item_id)
        if one.disabled:
            _stop_others(context, one, item_id)
    except (PermanentError, OutcomeUnknown):
        _close(context, one)
        raise
    if isinstance(found, Wait):
        raise NotYet(found)
    if one.disabled:
        _close(context, one)
        _stop_others(context, one, item_id)
    return found


def _job_for(context: Context) -> str:
    """The monitor, or its configured copy. A copy that was never saved is not buildable until it is toggled."""
    settings = context.settings(MonitorSettings)
    if not settings.run_job:
        return settings.job
    fresh = context.keep("fresh copy", lambda: _is_fresh(context, settings.run_job))
    if fresh:
        set_disabled(context, f"disable the fresh copy {settings.run_job}", settings.run_job, disabled=True)
        set_disabled(context, f"enable the fresh copy {settings.run_job}", settings.run_job, disabled=False)
    return settings.run_job


def _is_fresh(context: Context, job: str) -> bool:
    state = context.ports.ci.job(job)
    return not state.buildable and not state.disabled


def _close(context: Context, one: Start) -> None:
    """Disable the job again, and see that it is. A start that is tried again is closed again."""
    if not one.disabled:
        return
    key = f"{context.run.id}/{one.name}"
    kept = context.recall(CLOSED).get(key)
    times = kept + 1 if isinstance(kept, int) else 1
    set_disabled(context, f"disable again after {one.name}, {times}", one.job, disabled=True)
    if not context.ports.ci.job(one.job).disabled:
        raise OutcomeUnknown(f"{one.job} was disabled again after its start, but Jenkins shows it as enabled")
    context.remember(CLOSED, key, times)
    context.forget(OPENED, one.job)


def _stop_others(context: Context, one: Start, item_id: int) -> None:
    for ref in starts.others(context, one, item_id):
        stop_build(context, ref)


def run_chosen(context: Context) -> Done[Ran] | Wait:
    """Start it for the configs that were asked for, and wait until it has ended."""
    configs = context.args(RunArgs).configs
    found = run_monitor_for(context, configs)
    if isinstance(found, Wait):
        return found
    try:
        return until_ended(context, found)
    except PermanentError:
        give_up_monitor_for(context, configs)
        raise


def run_preview(context: Context) -> Preview:
    configs = context.args(RunArgs).configs
    job = context.settings(MonitorSettings).run_job or context.settings(MonitorSettings).job
    return Preview({"start": job, CONFIG_LIST: list(configs)}, (f"start {job} for {listed(configs)} only",))


run_monitor = Step("run-monitor", "Monitor run", run_chosen, Ran, preview=run_preview)


def until_ended(context: Context, ref: BuildRef) -> Done[Ran] | Wait:
    """The end of a build of the monitor. PermanentError if it did not succeed."""
    build = starts.ended(context, ref, LOOK_AGAIN)
    if isinstance(build, Wait):
        return build
    if build.result is not BuildResult.SUCCESS:
        raise PermanentError(starts.failure(context, build))
    triggers = _triggers(context, ref)
    return Done(f"{ref} ran, {worded(triggers, 'trigger')} of it seen", Ran(ref, triggers))


def _triggers(context: Context, ref: BuildRef) -> int:
    """Builds that it caused, and what of the trigger job still waits."""
    job, ci = context.settings(MonitorSettings).trigger_job, context.ports.ci
    waiting = {item.item_id for item in ci.look().queued if item.job == job}
    caused = {build.queue_id for build in ci.builds(job) if build.upstream == ref}
    return len(waiting | caused)
