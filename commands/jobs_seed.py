"""What the seed job does to a pause: it makes every job anew, enabled, and may start by itself after a push."""

from datetime import datetime, timedelta

from kcibot.sdk import BuildResult, Context, Level, Notice, PermanentError, TransientError, Wait, listed
from kcibot_commands import starts
from kcibot_commands.jobs_compare import JobsSettings, Mode
from kcibot_commands.monitor_flags import MonitorSettings, set_disabled, standing_pause
from kcibot_commands.plan import plan
from kcibot_commands.rules.drain_holders import builds_by_job

SEED_AGAIN = timedelta(seconds=15)


def run_seed_job(context: Context, seed_job: str) -> tuple[str, ...] | Wait:
    """Start the seed job and wait until it has ended well. It may run by itself, too: it polls Git."""
    one = starts.prepared(context, seed_job, {})
    found = starts.build_of(context, one, starts.start(context, one))
    build = found if isinstance(found, Wait) else starts.ended(context, found, SEED_AGAIN)
    if isinstance(build, Wait):
        return build
    if build.result is not BuildResult.SUCCESS:
        starts.give_up(context, one)
        raise PermanentError(starts.failure(context, build))
    return (str(build.ref),)


def next_build(context: Context, job: str) -> int:
    """The number of its next build; 0 if there is no such job."""
    state = context.ports.ci.jobs().get(job)
    return state.next_build if state else 0


def seed_may_come(context: Context, settings: JobsSettings, first: int, pushed_at: datetime) -> bool:
    """Whether the seed job may still start by itself because of our push. While nothing is paused it does no harm."""
    if not first or not context.has_result(plan) or standing_pause(context) is None:
        return False
    ours = 1 if settings.mode is Mode.SEED_JOB else 0
    came = next_build(context, settings.seed_job) - first > ours  # before the look: what starts in between is seen
    look = context.ports.ci.look()
    if any(i.job == settings.seed_job for i in look.queued) or settings.seed_job in builds_by_job(look):
        return True
    return not came and context.clock.now() < pushed_at + settings.polls


def disabled_before(context: Context) -> tuple[str, ...]:
    """Jobs that were disabled again in earlier calls of this step, each time."""
    found = context.memory.get("again", []) if isinstance(context.memory, dict) else []
    return tuple(map(str, found))


def disable_again(context: Context) -> tuple[str, ...]:
    """Disable what the pause disabled and is enabled now, and say it: definitions bring flags of their own."""
    before = disabled_before(context)
    came_back = _came_back(context, len(before))
    for job in came_back:
        set_disabled(context, f"disable {job} again {before.count(job) + 1}", job, disabled=True)
        if not context.ports.ci.job(job).disabled:
            raise TransientError(f"{job} was disabled again, but Jenkins shows it as enabled")
    if came_back:
        title = f"{listed(came_back)} came back enabled with the job definitions: disabled again"
        context.say(f"disabled again {len(before)}", Notice(title, Level.WARNING))
    return (*before, *came_back)


class _NothingYet(Exception):
    """Nothing was seen that is worth keeping."""


def _came_back(context: Context, times: int) -> list[str]:
    """What is enabled though it is paused; once seen it is kept, for a bot killed before it has disabled all."""

    def look() -> list[str]:
        pause, jobs = standing_pause(context), context.ports.ci.jobs()
        held = dict.fromkeys((context.settings(MonitorSettings).job, *pause.jobs)) if pause else {}
        found = [job for job in held if job in jobs and not jobs[job].disabled]
        if not found:
            raise _NothingYet
        return found

    try:
        return context.keep(f"came back {times}", look)
    except _NothingYet:
        return []
