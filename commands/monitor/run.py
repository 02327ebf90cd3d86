"""Step 9: the monitor for chosen build configs only, enabled and disabled around the start if it must be."""

from dataclasses import dataclass, replace
from datetime import datetime

from kcibot.sdk import (
    BuildRef,
    BuildResult,
    Context,
    Done,
    Level,
    NotFound,
    Notice,
    OutcomeUnknown,
    PermanentError,
    Preview,
    Procedure,
    Step,
    TransientError,
    Wait,
    listed,
)
from kcibot_commands import starts
from kcibot_commands.monitor.flags import (
    LOOK_AGAIN,
    OPENED,
    MonitorSettings,
    open_elsewhere,
    opened,
    read_opened,
    set_disabled,
    stop_build,
    tried_again,
    tries,
)
from kcibot_commands.rules.job_definitions import timer_specs
from kcibot_commands.rules.problem import RuleError, worded
from kcibot_commands.starts import NotYet, Start

CONFIG_LIST = "CONFIG_LIST"


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
    wait = open_elsewhere(context, job)
    if wait:
        return wait
    one = _chosen(context, configs)
    try:
        return BuildRef(one.job, context.keep(f"build of {one.name}", lambda: _started(context, one).number))
    except NotYet as error:
        return error.wait
    except TransientError as error:
        if opened(context, job) is None:
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
    one = _opened_for(context, one)
    try:
        item_id = _begun(context, one)
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


def _opened_for(context: Context, one: Start) -> Start:
    """Note, each time that it is looked after, which job is enabled for this start.

    If people set its flag meanwhile, as with a pause or a resume while this run stood still, the flag is theirs: the
    job is not disabled again then.
    """
    if not one.disabled:
        return one
    times = tries(context, one.name)
    context.keep(f"open for {one.name}, {times}", lambda: _claimed(context, one.job, times))
    standing = opened(context, one.job)
    if standing is None or standing.run != context.run.id:
        return replace(one, disabled=False)
    context.remember(OPENED, one.job, _mine(context))
    return one


def _mine(context: Context) -> dict[str, object]:
    return {"run": context.run.id, "at": context.clock.now().isoformat()}


def _claimed(context: Context, job: str, times: int) -> bool:
    """Whether it is this run's to open and close. Raises NotYet while it is another's that goes on."""
    if times > 1 and opened(context, job) is None and not context.ports.ci.job(job).disabled:
        return False  # somebody enabled it since this run closed it
    standing = read_opened(context.claim(OPENED, job, _mine(context)))
    if standing and standing.run != context.run.id:
        wait = open_elsewhere(context, job)
        if wait:
            raise NotYet(wait)
        context.remember(OPENED, job, _mine(context))
    return True


def _begun(context: Context, one: Start) -> int:
    """The id of the queue item. What was refused is given up: the next try looks anew what the job's flag is."""
    try:
        return starts.start(context, one)
    except PermanentError:
        starts.give_up(context, one)
        raise


def _job_for(context: Context) -> str:
    """The monitor, or its configured copy. A copy that was never saved is not buildable until it is toggled."""
    settings = context.settings(MonitorSettings)
    if not settings.run_job:
        return settings.job
    context.keep(f"{settings.run_job} has no timer", lambda: _without_timer(context))
    fresh = context.keep("fresh copy", lambda: _is_fresh(context, settings.run_job))
    if fresh:
        set_disabled(context, f"disable the fresh copy {settings.run_job}", settings.run_job, disabled=True)
        set_disabled(context, f"enable the fresh copy {settings.run_job}", settings.run_job, disabled=False)
    return settings.run_job


def _without_timer(context: Context) -> bool:
    problem = copy_problem(context)
    if problem:
        raise PermanentError(problem)
    return True


def copy_problem(context: Context) -> str:
    """What is wrong with the configured copy of the monitor; empty if nothing is, or there is none."""
    job = context.settings(MonitorSettings).run_job
    try:
        timers = timer_specs(context.ports.ci.definition(job)) if job else ()
    except NotFound:
        return f"Jenkins has no job {job}: it is named as run_job in the section monitor"
    except RuleError as error:
        return f"the definition of {job} cannot be read, so nobody knows whether it has a timer: {error}"
    return f"{job} has a timer of its own, and starts new work in any pause: take it out" if timers else ""


def _is_fresh(context: Context, job: str) -> bool:
    state = context.ports.ci.job(job)
    return not state.buildable and not state.disabled


def _close(context: Context, one: Start) -> None:
    """Disable the job again, and see that it is. A start that is tried again is closed again."""
    if not one.disabled:
        return
    set_disabled(context, f"disable again after {one.name}, {tries(context, one.name)}", one.job, disabled=True)
    disabled = context.ports.ci.job(one.job).disabled
    tried_again(context, one.name)
    if not disabled:
        raise OutcomeUnknown(f"{one.job} was disabled again after its start, but Jenkins shows it as enabled")
    context.forget(OPENED, one.job)


def _stop_others(context: Context, one: Start, item_id: int) -> None:
    for ref in starts.others(context, one, item_id):
        stop_build(context, ref)
        title = f"I stopped {ref}: it began while {one.job} was enabled for another start only"
        context.say(f"stopped {ref}", Notice(title, Level.WARNING))


# ---- after a run that was ended while it had the job open ------------------------------------------------------


@dataclass(frozen=True)
class CloseArgs:
    """The job that `run` has enabled for its start; what was on its way then has arrived `by` that time."""

    job: str
    run: int
    by: datetime


def close_left(context: Context) -> Done[None] | Wait:
    """Disable what an ended run left enabled, and see that it is, until nothing of that run can arrive any more."""
    args, now = context.args(CloseArgs), context.clock.now()
    standing = opened(context, args.job)
    if standing is None or standing.run != args.run:
        return Done(f"{args.job}: its flag was set since, and stays as it is", None)
    name = f"disable {args.job}"
    try:
        set_disabled(context, f"{name}, {tries(context, name)}", args.job, disabled=True)
        disabled = context.ports.ci.job(args.job).disabled
    except (TransientError, OutcomeUnknown) as error:
        return Wait(now + LOOK_AGAIN, f"{error} {args.job} is enabled until I can disable it again")
    if not disabled or now < args.by:
        tried_again(context, name)
        return Wait(now + LOOK_AGAIN if not disabled else args.by, f"I look again whether {args.job} is disabled")
    context.forget(OPENED, args.job)
    return Done(f"{args.job} is disabled again; run {args.run} had it enabled for its start", None)


CLOSE = Procedure("monitor close", Step("close-monitor", "Monitor disabled again", close_left, type(None)), card=False)


# ---- by its verb -----------------------------------------------------------------------------------------------


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
