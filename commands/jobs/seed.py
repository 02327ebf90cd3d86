"""What the seed job does: it makes every job anew, enabled, and may start by itself after a push.

What it replaces is kept before, and what it changed is compared and told after.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from kcibot.sdk import (
    Build,
    BuildResult,
    Commit,
    Context,
    Level,
    Notice,
    PermanentError,
    TransientError,
    Wait,
    listed,
    moment,
)
from kcibot_commands import starts
from kcibot_commands.jobs.compare import JobsSettings, Mode, about, definitions_commit, flags_of_the_pause
from kcibot_commands.jobs.kept import is_kept, keep_old, no_need_to_keep, old_definitions
from kcibot_commands.monitor.flags import MonitorSettings, set_disabled, standing_pause
from kcibot_commands.plan.steps import SHORT
from kcibot_commands.rules.drain_holders import builds_by_job
from kcibot_commands.rules.job_definitions import definition_differences, read_definition
from kcibot_commands.rules.problem import worded

SEED_AGAIN = timedelta(seconds=15)
JOBS_BEFORE, SEEDED_FROM = "jobs-before", "seeded-from"
"""Topics: run -> the jobs that there were; seed job -> its last build that was ours, and the commit that it read."""
_CHECKED_OUT = re.compile(r"Checking out Revision ([0-9a-f]{40})")
LOG_LINES = 500


def run_seed_job(context: Context, seed_job: str, commit: str) -> tuple[str, ...] | Wait:
    """Start the seed job and wait until it has ended well. It may run by itself, too: it polls Git."""
    one = starts.prepared(context, seed_job, {})
    found = starts.build_of(context, one, starts.start(context, one))
    build = found if isinstance(found, Wait) else starts.ended(context, found, SEED_AGAIN)
    if isinstance(build, Wait):
        return build
    if build.result is not BuildResult.SUCCESS:
        starts.give_up(context, one)
        raise PermanentError(starts.failure(context, build))
    read = {"number": build.ref.number, "commit": commit}
    if context.recall(SEEDED_FROM).get(seed_job) != read:
        context.remember(SEEDED_FROM, seed_job, read)
    return (str(build.ref),)


# ---- what it replaces and what it changed ----------------------------------------------------------------------


def keep_all_old(context: Context) -> tuple[str, ...]:
    """Keep what every job is, once before the seed job is run; the names of the jobs that the run found."""
    ci = context.ports.ci
    found = context.claim(JOBS_BEFORE, str(context.run.id), sorted(ci.jobs()))
    names = tuple(map(str, found)) if isinstance(found, list) else ()

    def keep() -> int:
        live = ci.jobs()
        for job in names:
            if job in live and not is_kept(context, job):
                keep_old(context, job, ci.definition(job))
        return len(names)

    context.keep("old definitions", keep)
    return names


def seeded(context: Context, before: Sequence[str]) -> str:
    """What the seed job changed, as a clause, and job by job as a notice. What it left as it was is not kept."""
    live, old = context.ports.ci.jobs(), old_definitions(context, context.run.id)
    lines = {job: _changed(context, job, xml) for job, xml in old.items() if job in live}
    for job in (job for job, found in lines.items() if not found):
        no_need_to_keep(context, job)
    changed = {job: found for job, found in lines.items() if found}
    made, gone = sorted(set(live) - set(before)), sorted(set(before) - set(live))
    kinds = (("changed", sorted(changed)), ("made", made), ("deleted", gone))
    clause = ", ".join(f"{verb} {listed(jobs)}" for verb, jobs in kinds if jobs)
    told = [line for job in sorted(changed) for line in (f"{job}:", *(f"  {one}" for one in changed[job]))]
    told += [*(f"{job}: a new job" for job in made), *(f"{job}: deleted; its definition is kept" for job in gone)]
    if told:
        seed_job = context.settings(JobsSettings).seed_job
        context.say("seeded", Notice(f"What {seed_job} did to the jobs", lines=tuple(told)))
    return f"it {clause}" if clause else "it changed no job"


def _changed(context: Context, job: str, old: str) -> tuple[str, ...]:
    """Without the flag if that is one which the pause sets."""
    with about(job):
        was, now = read_definition(old), read_definition(context.ports.ci.definition(job))
    free = job in flags_of_the_pause(context)
    return definition_differences(replace(was, disabled=now.disabled) if free else was, now)


# ---- what it has not read yet ----------------------------------------------------------------------------------


def seed_overview(context: Context, settings: JobsSettings) -> Iterator[str]:
    """What can be said without running it: its last build, and what was committed since the commit which that read."""
    commit, job = definitions_commit(context), settings.seed_job
    if job not in context.ports.ci.jobs():
        yield f"Jenkins has no job {job}, which is to make the others: it is named in the section jobs"
        return
    last = next((one for one in context.ports.ci.builds(job, 10) if not one.building), None)
    if last is None:
        yield f"{job} has not run yet; it would make the jobs from {commit[:SHORT]}"
        return
    ended = last.result.value if last.result else "unknown"
    when = f"{last.ref}, {moment(last.started, context.clock.now())}, {ended}"
    since = _commits_since(context, settings, last, commit)
    if since is None:
        yield f"{job} makes every job anew. Which commit its last build ({when}) read cannot be told"
        return
    count = worded(len(since), "commit")
    yield f"{count} since the last build of {job} ({when}), up to {commit[:SHORT]}"
    yield from (f"  {one.sha[:SHORT]} {one.subject}" for one in since)
    yield "what that changes in the jobs is compared when it has run (!jobs apply)"


def _commits_since(context: Context, settings: JobsSettings, last: Build, commit: str) -> tuple[Commit, ...] | None:
    git = context.ports.git.remote(settings.component)
    for old in _read_by(context, last):
        try:
            return git.log(old, commit)
        except PermanentError:
            continue  # the log names other repositories' commits, too
    return None


def _read_by(context: Context, last: Build) -> Iterator[str]:
    """Commits that this build may have read: what its log says, then what we started it for."""
    for line in context.ports.ci.log_tail(last.ref, LOG_LINES):
        yield from _CHECKED_OUT.findall(line)
    ours = context.recall(SEEDED_FROM).get(last.ref.job)
    if isinstance(ours, dict) and ours.get("number") == last.ref.number:
        yield str(ours["commit"])


# ---- what it does to a pause -----------------------------------------------------------------------------------


def next_build(context: Context, job: str) -> int:
    """The number of its next build; 0 if there is no such job."""
    state = context.ports.ci.jobs().get(job)
    return state.next_build if state else 0


def seed_may_come(context: Context, settings: JobsSettings, first: int, pushed_at: datetime | None) -> bool:
    """Whether the seed job may still start by itself because of our push (None: there was none).

    While nothing is paused it does no harm.
    """
    if not first or pushed_at is None or standing_pause(context) is None:
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


def flags_before(context: Context) -> tuple[bool, frozenset[str]]:
    """Whether there was a pause, and which of its jobs were disabled before anything was done."""

    def look() -> dict[str, object]:
        live = context.ports.ci.jobs()
        off = sorted(job for job in flags_of_the_pause(context) if job in live and live[job].disabled)
        return {"paused": standing_pause(context) is not None, "disabled": off}

    kept = context.keep("flags before", look)
    return bool(kept["paused"]), frozenset(kept["disabled"] if isinstance(kept["disabled"], list) else ())


def _held(context: Context) -> tuple[str, ...]:
    """Jobs that must be disabled after it: of a pause all, without one those that people had disabled by hand."""
    was_paused, off = flags_before(context)
    pause = standing_pause(context)
    if pause is None:
        return () if was_paused or context.settings(JobsSettings).mode is Mode.XML else tuple(sorted(off))
    return tuple(dict.fromkeys((context.settings(MonitorSettings).job, *pause.jobs, *sorted(off))))


class _NothingYet(Exception):
    """Nothing was seen that is worth keeping."""


def _came_back(context: Context, times: int) -> list[str]:
    """What is enabled though it is paused; once seen it is kept, for a bot killed before it has disabled all."""

    def look() -> list[str]:
        held, jobs = _held(context), context.ports.ci.jobs()
        found = [job for job in held if job in jobs and not jobs[job].disabled]
        if not found:
            raise _NothingYet
        return found

    try:
        return context.keep(f"came back {times}", look)
    except _NothingYet:
        return []
