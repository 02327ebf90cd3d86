"""Jobs that Git no longer has: shown by every comparison, deleted only by name, after an approval of their own."""

from dataclasses import dataclass

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Gate,
    Happened,
    NotFound,
    NotHappened,
    Outcome,
    PermanentError,
    Preview,
    Procedure,
    Proof,
    Step,
    Words,
    command,
    digest,
    listed,
    nearest,
)
from kcibot_commands.jobs.compare import JobsSettings, Mode, compare
from kcibot_commands.jobs.kept import is_kept, keep_old
from kcibot_commands.jobs.write import live_or_none, seen
from kcibot_commands.plan.steps import SHORT
from kcibot_commands.production import open_production, still_locked, take_production_lock
from kcibot_commands.rules.drain_holders import builds_by_job
from kcibot_commands.rules.problem import worded


@dataclass(frozen=True)
class RemoveArgs:
    """The jobs that were named."""

    jobs: tuple[str, ...]


def remove_preview(context: Context) -> Preview:
    """The digest of every definition that would go, and the commit that does not have it."""
    jobs = context.args(RemoveArgs).jobs
    commit = _checked(context, jobs)
    ci = context.ports.ci
    facts = {job: digest(ci.definition(job)) for job in jobs}
    lines = [f"delete {job} with the log of {worded(_builds(context, job), 'build')}" for job in jobs]
    return Preview({"commit": commit, "delete": facts}, (*lines, f"not in Git at {commit[:SHORT]}"))


def remove(context: Context) -> Done[None]:
    """Delete them one by one; what each was is kept before anything is deleted, and `!jobs restore` brings it back."""
    jobs = context.args(RemoveArgs).jobs
    live = {job: live_or_none(context.ports.ci, job) for job in jobs}
    was = context.keep("definitions", lambda: {job: seen(job, xml).meaning for job, xml in live.items()})
    for job in jobs:
        if live[job] and not is_kept(context, job):
            keep_old(context, job, live[job])
    for job in jobs:
        _remove(context, job, was[job])
    return Done(f"{listed(jobs)} deleted; !jobs restore brings a definition back, not its builds", None)


def _checked(context: Context, jobs: tuple[str, ...]) -> str:
    """The commit that was compared. Raises PermanentError for a job that Git has, that is not there, or that runs."""
    if context.settings(JobsSettings).mode is Mode.SEED_JOB:
        raise PermanentError("in the mode seed-job, which jobs Git has is known to the seed job alone: delete by hand")
    comparison = compare(context)
    for job in jobs:
        if job not in comparison.live_only:
            near = nearest(job, comparison.live_only)
            hint = f" Did you mean {near}?" if near else ""
            raise PermanentError(f"{job} is not among the jobs that only Jenkins has.{hint} !jobs diff lists them")
    busy = sorted(set(jobs) & set(builds_by_job(context.ports.ci.look())))
    if busy:
        raise PermanentError(f"{listed(busy)} runs now")
    return comparison.commit


def _builds(context: Context, job: str) -> int:
    return context.ports.ci.job(job).next_build - 1


def _remove(context: Context, job: str, was: str) -> None:
    ci = context.ports.ci

    def act() -> str:
        still_locked(context)
        if seen(job, live_or_none(ci, job)).meaning not in {was, ""}:
            raise PermanentError(f"the definition of {job} was changed by somebody since it was shown; look again")
        ci.remove(job)
        return job

    def probe() -> Proof[str]:
        try:
            ci.job(job)
        except NotFound:
            return Happened(job)
        return NotHappened()

    context.effect(f"delete {job}", act, probe)


REMOVE = Procedure(
    "jobs remove",
    Gate("definition-removal", "Delete jobs from Jenkins"),
    take_production_lock,
    Step("remove-jobs", "Jobs deleted", remove, type(None), preview=remove_preview),
    open_production,
    title="Jobs deleted",
)


@command("jobs remove", role="operator", example="!jobs remove old-job")
def jobs_remove(call: Call, job: Words) -> Outcome:
    """Delete jobs that only Jenkins has, after an approval; their definitions are kept."""
    return call.start(REMOVE, f"Deletion of {listed(job)}", RemoveArgs(job))
