"""Steps 3a and 10: pause what starts new work on Jenkins, give back exactly that, and start the monitor once."""

from dataclasses import dataclass
from datetime import timedelta

from kcibot.sdk import (
    BuildRef,
    Context,
    Done,
    GateRequest,
    Level,
    Needed,
    NotFound,
    Notice,
    PermanentError,
    Preview,
    Procedure,
    Queued,
    Step,
    TransientError,
    Wait,
    listed,
)
from kcibot_commands import starts
from kcibot_commands.monitor_flags import (
    MONITOR,
    PAUSED,
    Bisections,
    MonitorSettings,
    cron_problem,
    disable_recorded,
    job_state,
    set_disabled,
    standing_pause,
    stop_build,
    told,
)
from kcibot_commands.monitor_run import CONFIG_LIST, Ran, run_monitor_for, until_ended
from kcibot_commands.rules.drain_holders import builds_by_job
from kcibot_commands.rules.problem import worded

__all__ = [
    "MonitorSettings",
    "abort_bisections",
    "pause_monitor",
    "resume_monitor",
    "run_monitor_for",
    "start_monitor_once",
]

LOOK_AGAIN = timedelta(seconds=5)
RESUME = "monitor resume"


@dataclass(frozen=True)
class PauseArgs:
    """What `!monitor pause` was told."""

    reason: str = ""


# ---- pausing ---------------------------------------------------------------------------------------------------


def pause_needed(context: Context) -> Needed:
    settings, pause = context.settings(MonitorSettings), standing_pause(context)
    if pause is None or not job_state(context, settings.job).disabled:
        return Needed(needed=True)
    return Needed(needed=False, why=f"paused already, {told(context, pause)}")


def pause_preview(context: Context) -> Preview:
    settings = context.settings(MonitorSettings)
    return Preview(
        {"disable": settings.job}, (f"disable {settings.job}; what it has in the queue is cancelled by that",)
    )


def pause(context: Context) -> Done[None]:
    """Disable the monitor, and see that it is. A build of it that runs goes on and may still start triggers."""
    settings, ci = context.settings(MonitorSettings), context.ports.ci
    queued = context.keep("in the queue", lambda: [i.item_id for i in ci.look().queued if i.job == settings.job])
    ours = disable_recorded(context, settings.job, why=_why(context))
    if not job_state(context, settings.job).disabled:
        raise TransientError(f"{settings.job} was disabled, but Jenkins shows it as enabled")
    cancelled = [item for item in queued if ci.item(item).state is Queued.CANCELLED]
    text = f"{settings.job} is disabled" if ours else f"{settings.job} was disabled already, not by me"
    if cancelled:
        text += f"; that cancelled {worded(len(cancelled), 'build')} in the queue"
    return Done(text, None)


def _why(context: Context) -> str:
    reason = context.args(PauseArgs).reason if context.run.procedure == PAUSE.name else ""
    return reason or context.run.title


pause_monitor = Step(
    "pause-monitor",
    "Monitor paused",
    pause,
    type(None),
    needed=pause_needed,
    preview=pause_preview,
)


# ---- bisections ------------------------------------------------------------------------------------------------


def abort_needed(context: Context) -> Needed:
    settings = context.settings(MonitorSettings)
    if settings.bisections is Bisections.LEAVE or not settings.bisection_job:
        return Needed(needed=False, why="bisections are left alone, as configured")
    try:
        state = context.ports.ci.job(settings.bisection_job)
    except NotFound:
        return Needed(needed=False, why=f"Jenkins has no job {settings.bisection_job}")
    idle = state.disabled and not _running(context, settings.bisection_job)
    return Needed(not idle, f"{settings.bisection_job} is disabled and does not run" if idle else "")


def abort_preview(context: Context) -> Preview:
    """Which builds run then is not known beforehand: they have a gate of their own, or are all aborted."""
    settings = context.settings(MonitorSettings)
    now = [f"#{number}" for number in _running(context, settings.bisection_job)]
    facts = {"disable": settings.bisection_job, "builds": settings.bisections.value}
    running = f"; running now: {listed(now)}" if now else ""
    what = "after a separate approval, abort" if settings.bisections is Bisections.ASK else "abort"
    return Preview(facts, (f"disable {settings.bisection_job}, {what} its builds{running}",))


def abort_asks(context: Context) -> GateRequest | None:
    """The builds are named, and only those are aborted."""
    settings = context.settings(MonitorSettings)
    if settings.bisections is not Bisections.ASK:
        return None
    numbers = _to_abort(context)
    if not numbers:
        return None
    facts = {"job": settings.bisection_job, "builds": numbers}
    lines = tuple(f"abort {settings.bisection_job} #{number}" for number in numbers)
    return GateRequest("bisections", "Abort the running bisections", Preview(facts, lines))


def abort(context: Context) -> Done[None] | Wait:
    """Disable the bisection job, and abort the builds that were named; builds that began since go on."""
    settings, ci = context.settings(MonitorSettings), context.ports.ci
    job, numbers = settings.bisection_job, _to_abort(context)
    disable_recorded(context, job, why=_why(context))
    for number in numbers:
        stop_build(context, BuildRef(job, number))
    running = builds_by_job(ci.look()).get(job, ())
    ending = [f"#{number}" for number in numbers if number in running]
    if ending:
        return Wait(context.clock.now() + LOOK_AGAIN, f"{job} {listed(ending)} still ends")
    text = f"{job} is disabled, {worded(len(numbers), 'build')} aborted"
    if running:
        left = listed([f"#{number}" for number in running])
        text += f"; {left} began since and goes on: !release retry {abort_bisections.id} asks about it"
    return Done(text, None)


def _running(context: Context, job: str) -> list[int]:
    return list(builds_by_job(context.ports.ci.look()).get(job, ()))


def _to_abort(context: Context) -> list[int]:
    """Fixed before anybody is asked: an approval names these builds and no others."""
    job = context.settings(MonitorSettings).bisection_job
    return context.keep("running bisections", lambda: _running(context, job))


abort_bisections = Step(
    "abort-bisections",
    "Bisections aborted",
    abort,
    type(None),
    needed=abort_needed,
    preview=abort_preview,
    asks=abort_asks,
    after=(pause_monitor,),
)

PAUSE = Procedure("monitor pause", pause_monitor, abort_bisections, title="Pause of the monitor")


# ---- resuming --------------------------------------------------------------------------------------------------


def resume_needed(context: Context) -> Needed:
    paused = standing_pause(context) is not None or context.run.procedure == RESUME
    return Needed(paused, "" if paused else "the monitor is not paused")


def resume_preview(context: Context) -> Preview:
    jobs = list(_to_enable(context))
    pause = standing_pause(context)
    story = (f"  paused {told(context, pause)}",) if pause else ()
    return Preview({"enable": jobs}, (*(f"enable {job}" for job in jobs), *story))


def resume(context: Context) -> Done[None]:
    """Enable exactly the jobs that the pause disabled, see that they are, and end the pause."""
    jobs = context.keep("jobs to enable", lambda: list(_to_enable(context)))
    _check_storage(context)
    gone = [job for job in jobs if not _enabled(context, job)]
    context.forget(PAUSED, MONITOR)
    still = _still_disabled(context)
    cron = _cron_problem(context)
    if still or cron:
        context.say("not as it was", Notice("The monitor will not start by itself", Level.ALERT, (*still, *cron)))
    enabled = f"{listed([j for j in jobs if j not in gone])} enabled" if jobs else "nothing was disabled by the pause"
    missing = [f"{listed(gone)} is no longer on Jenkins"] if gone else []
    return Done("; ".join([enabled, *missing, *still, *cron]), None)


def _enabled(context: Context, job: str) -> bool:
    """Enable it and see that it is; false for a job that is gone, other than the monitor."""
    try:
        set_disabled(context, f"enable {job}", job, disabled=False)
        disabled = context.ports.ci.job(job).disabled
    except NotFound:
        if job == context.settings(MonitorSettings).job:
            raise
        return False
    if disabled:
        raise TransientError(f"{job} was enabled, but Jenkins still shows it as disabled")
    return True


def _to_enable(context: Context) -> tuple[str, ...]:
    """What the pause disabled; the monitor itself also when people ask for it by its own verb."""
    pause = standing_pause(context)
    asked = (context.settings(MonitorSettings).job,) if context.run.procedure == RESUME else ()
    return tuple(dict.fromkeys((*(pause.jobs if pause else ()), *asked)))


def _still_disabled(context: Context) -> tuple[str, ...]:
    job = context.settings(MonitorSettings).job
    if not job_state(context, job).disabled:
        return ()
    return (f"{job} stays disabled, since somebody else disabled it before the pause: !monitor resume enables it",)


def _check_storage(context: Context) -> None:
    """The monitor takes any answer of the storage but 200 for a new commit on every tree."""
    url = context.settings(MonitorSettings).storage_url
    if url and not context.ports.files.exists(url):
        raise PermanentError(f"{url} does not answer as it should; an enabled monitor would build every tree")


def _cron_problem(context: Context) -> tuple[str, ...]:
    problem = cron_problem(context.ports.ci.definition(context.settings(MonitorSettings).job), context)
    return (problem,) if problem else ()


resume_monitor = Step(
    "resume-monitor", "Monitor enabled again", resume, type(None), needed=resume_needed, preview=resume_preview
)


# ---- once, by hand ---------------------------------------------------------------------------------------------


def once_needed(context: Context) -> Needed:
    """A pause of ours is over when this step's turn comes; a monitor that others disabled stays as it is."""
    job = context.settings(MonitorSettings).job
    theirs = standing_pause(context) is None and context.ports.ci.job(job).disabled
    return Needed(not theirs, f"{job} is disabled, and not by me" if theirs else "")


def once_preview(context: Context) -> Preview:
    job = context.settings(MonitorSettings).job
    return Preview({"start": job}, (f"start {job} once, so that nobody waits for its timer",))


def start_once(context: Context) -> Done[Ran] | Wait:
    """Start one build of the monitor for all build configs, and see that it ran."""
    one = starts.prepared(context, context.settings(MonitorSettings).job, {CONFIG_LIST: ""})
    found = starts.build_of(context, one, starts.start(context, one))
    if isinstance(found, Wait):
        return found
    try:
        return until_ended(context, found)
    except PermanentError:
        starts.give_up(context, one)
        raise


start_monitor_once = Step(
    "start-monitor",
    "Monitor started once",
    start_once,
    Ran,
    needed=once_needed,
    preview=once_preview,
    after=(resume_monitor,),
)
