"""Steps 3a and 10: pause what starts new work on Jenkins, give back exactly that, and start the monitor once."""

from collections.abc import Mapping
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
    StepState,
    Wait,
    listed,
)
from kcibot_commands import starts
from kcibot_commands.monitor.flags import (
    MONITOR,
    OPENED,
    PAUSED,
    Bisections,
    MonitorSettings,
    Pause,
    again,
    cron_problem,
    disable_recorded,
    job_state,
    open_elsewhere,
    set_and_see,
    standing_pause,
    stop_build,
    told,
    tried_again,
)
from kcibot_commands.monitor.run import CONFIG_LIST, Ran, copy_problem, run_monitor_for, until_ended
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


def pause(context: Context) -> Done[None] | Wait:
    """Disable the monitor, and see that it is. A build of it that runs goes on and may still start triggers."""
    settings = context.settings(MonitorSettings)
    wait = open_elsewhere(context, settings.job)
    if wait:
        return wait
    before = context.keep("its builds", lambda: _its_builds(context))
    ours = disable_recorded(context, settings.job, why=_why(context))
    cancelled, running = _what_became(context, before)
    text = f"{settings.job} is disabled" if ours else f"{settings.job} was disabled already, not by me"
    if cancelled:
        text += f"; that cancelled {worded(len(cancelled), 'build')} in the queue (for {listed(cancelled)})"
    if running:
        text += f"; {listed(running)} {'goes' if len(running) == 1 else 'go'} on and may still start triggers"
    problem = copy_problem(context)
    return Done(f"{text}; {problem}" if problem else text, None)


def _its_builds(context: Context) -> dict[str, object]:
    """What of the monitor waits, by item, and what runs."""
    job, look = context.settings(MonitorSettings).job, context.ports.ci.look()
    queued = {str(i.item_id): i.parameters.get(CONFIG_LIST) or "all configs" for i in look.queued if i.job == job}
    return {"queued": queued, "running": list(builds_by_job(look).get(job, ()))}


def _what_became(context: Context, before: Mapping[str, object]) -> tuple[list[str], list[str]]:
    """For which configs builds were cancelled in the queue, and which builds go on."""
    job, ci = context.settings(MonitorSettings).job, context.ports.ci
    queued, numbers = before["queued"], before["running"]
    going = [BuildRef(job, int(number)) for number in numbers] if isinstance(numbers, list) else []
    cancelled = []
    for item_id, configs in queued.items() if isinstance(queued, dict) else ():
        item = ci.item(int(item_id))
        if item.state is Queued.CANCELLED:
            cancelled.append(str(configs))
        elif item.build:
            going.append(item.build)
    return cancelled, [str(ref) for ref in going]


def _why(context: Context) -> str:
    if context.run.procedure != PAUSE.name:
        return context.run.title
    return context.args(PauseArgs).reason or "no reason was given"


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
    idle = state.disabled and not _running(context, settings.bisection_job) and not _unnamed(context)
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
    if _pause_is_over(context):
        return Done("the pause was ended meanwhile, so the bisections are left as they are", None)
    disable_recorded(context, job, why=_why(context))
    for number in numbers:
        stop_build(context, BuildRef(job, number))
    running = builds_by_job(ci.look()).get(job, ())
    ending = [f"#{number}" for number in numbers if number in running]
    if ending:
        return Wait(context.clock.now() + LOOK_AGAIN, f"{job} {listed(ending)} still ends")
    text = f"{job} is disabled, " + (f"{worded(len(numbers), 'build')} aborted" if numbers else "nothing to abort")
    if running:
        left = listed([f"#{number}" for number in running])
        by_verb = context.run.procedure == PAUSE.name
        asks = f"!{PAUSE.name}" if by_verb else f"!release retry {abort_bisections.id}"
        text += f"; {left} began since and {'goes' if len(running) == 1 else 'go'} on: {asks} asks about it"
    elif _unnamed(context):
        text += f"; but an executor of Jenkins does not say what it runs, and it may be {job}"
    return Done(text, None)


def _pause_is_over(context: Context) -> bool:
    """Whether people ended the pause that this run began or found, as while it waited for an approval."""
    found = {StepState.DONE, StepState.NOT_NEEDED}
    paused = any(step.id == pause_monitor.id and step.state in found for step in context.run.steps)
    return paused and standing_pause(context) is None


def _unnamed(context: Context) -> bool:
    return any(busy.build is None for busy in context.ports.ci.look().running)


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


def resume(context: Context) -> Done[None] | Wait:
    """Enable exactly the jobs that the pause disabled, see that they are, and end the pause."""
    waits = [wait for job in _to_enable(context) if (wait := open_elsewhere(context, job))]
    if waits:
        return waits[0]
    jobs = _of_this_pause(context)
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


def _of_this_pause(context: Context) -> list[str]:
    """The jobs to enable, fixed at the first look. PermanentError if there is another pause since."""
    turn = again(context, RESUME)
    began = context.keep(f"the pause{turn}", lambda: _began(standing_pause(context)))
    jobs = context.keep(f"jobs to enable{turn}", lambda: list(_to_enable(context)))
    pause = standing_pause(context)
    if pause is None or _began(pause) == began:
        return jobs
    for name in (RESUME, *(f"enable {job}" for job in jobs)):
        tried_again(context, name)
    raise PermanentError(f"the monitor was paused again {told(context, pause)}. A retry ends that pause, too")


def _began(pause: Pause | None) -> str:
    return pause.since.isoformat() if pause else ""


def _enabled(context: Context, job: str) -> bool:
    """Enable it and see that it is; false for a job that is gone, other than the monitor."""
    try:
        set_and_see(context, job, disabled=False)
    except NotFound:
        if job == context.settings(MonitorSettings).job:
            raise
        return False
    context.forget(OPENED, job)  # a run that stood still had it enabled for its start: it does not disable it now
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
