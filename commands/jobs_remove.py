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
from kcibot_commands.jobs import keep_old
from kcibot_commands.jobs_compare import compare
from kcibot_commands.plan import SHORT
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
    """Delete them one by one; what each was is kept, so that `!release rollback`'s file of old definitions has it."""
    jobs = context.args(RemoveArgs).jobs
    old = context.keep("definitions", lambda: {job: context.ports.ci.definition(job) for job in jobs})
    for job in jobs:
        keep_old(context, job, old[job])
        _remove(context, job)
    return Done(f"{listed(jobs)} deleted; their definitions are kept", None)


def _checked(context: Context, jobs: tuple[str, ...]) -> str:
    """The commit that was compared. Raises PermanentError for a job that Git has, that is not there, or that runs."""
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


def _remove(context: Context, job: str) -> None:
    ci = context.ports.ci

    def act() -> str:
        still_locked(context)
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
