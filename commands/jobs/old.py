"""Bringing a definition back that the bot replaced or deleted, one job at a time, after an approval."""

from dataclasses import dataclass, replace

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Gate,
    Needed,
    Outcome,
    PermanentError,
    Preview,
    Procedure,
    Step,
    UserError,
    command,
    digest,
    listed,
    moment,
    nearest,
)
from kcibot_commands.jobs.compare import about, flags_of_the_pause, with_flag_of_the_pause
from kcibot_commands.jobs.kept import KEPT, Kept, all_kept, is_kept, keep_old
from kcibot_commands.jobs.seed import disable_again, flags_before
from kcibot_commands.jobs.steps import write_back
from kcibot_commands.jobs.write import live_or_none
from kcibot_commands.production import open_production, take_production_lock
from kcibot_commands.rules.job_definitions import content_of, differences, read_definition


@dataclass(frozen=True)
class RestoreArgs:
    """The job that was named."""

    job: str


def restore_needed(context: Context) -> Needed:
    job = context.args(RestoreArgs).job
    found = _kept_of(context, job)
    return Needed(bool(found), "" if found else f"{job} is as it was kept")


def restore_preview(context: Context) -> Preview:
    """The digests of what would be written and of what is live; for people the difference."""
    job = context.args(RestoreArgs).job
    kept = _kept_of(context, job)
    if kept is None:
        return Preview()
    live = live_or_none(context.ports.ci, job)
    lines = _difference(context, kept, live) if live else ("a new job", *content_of(kept.xml))
    facts = {
        "job": job,
        "kept by run": kept.run,
        "kept": _meaning(context, job, kept.xml),
        "live": _meaning(context, job, live) if live else "",
        "secrets": [line for line in lines if line.endswith(": a secret changes")],
    }
    told = f"{job} as it was before run {kept.run}, kept {moment(kept.at, context.clock.now())}:"
    return Preview(facts, (told, *(f"  {line}" for line in lines)))


def restore(context: Context) -> Done[None]:
    """Write it, and keep what it replaces: the same verb takes it back."""
    job = context.args(RestoreArgs).job
    chosen = context.keep("chosen", lambda: _run_of(context, job))
    kept = next(one for one in all_kept(context.recall(KEPT)) if (one.job, one.run) == (job, chosen))
    flags_before(context)
    if not is_kept(context, job) and (live := live_or_none(context.ports.ci, job)):
        keep_old(context, job, live)
    write_back(context, job, kept.xml)
    again = disable_again(context)
    text = f"{job} as it was before run {kept.run}"
    return Done(text + (f"; {listed(again)} came back enabled: disabled again" if again else ""), None)


def _kept_of(context: Context, job: str) -> Kept | None:
    """The newest kept definition of the job that is not what it is now."""
    live = live_or_none(context.ports.ci, job)
    kept = (one for one in all_kept(context.recall(KEPT)) if one.job == job)
    return next((one for one in kept if not live or _difference(context, one, live)), None)


def _run_of(context: Context, job: str) -> int:
    kept = _kept_of(context, job)
    if kept is None:
        raise PermanentError(f"{job} is as it was kept; there is nothing to bring back")
    return kept.run


def _difference(context: Context, kept: Kept, live: str) -> tuple[str, ...]:
    with about(kept.job):
        return differences(live, with_flag_of_the_pause(context, kept.job, kept.xml, live))


def _meaning(context: Context, job: str, xml: str) -> str:
    with about(job):
        read = read_definition(xml)
    free = job in flags_of_the_pause(context)
    return digest((replace(read, disabled=False) if free else read).canonical())


RESTORE = Procedure(
    "jobs restore",
    Gate("definitions", "Bring a job definition back"),
    take_production_lock,
    Step(
        "restore-job",
        "Definition brought back",
        restore,
        type(None),
        needed=restore_needed,
        preview=restore_preview,
    ),
    open_production,
    title="Job definition brought back",
)


@command("jobs restore", role="operator", example="!jobs restore kernel-build-trigger")
def jobs_restore(call: Call, job: str) -> Outcome:
    """Bring back the definition of a job that the bot replaced or deleted last, after an approval."""
    kept = {one.job for one in all_kept(call.world.journal.recall(KEPT))}
    if job not in kept:
        near = nearest(job, sorted(kept))
        raise UserError(f"no definition of {job} is kept.{f' Did you mean {near}?' if near else ''}")
    return call.start(RESTORE, f"{job} brought back", RestoreArgs(job))
