"""Step 5: job definitions from Git. What is applied is what was shown, and what it replaces is kept.

The flag of a job that the pause disabled never comes from Git: a definition must not open production again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Gate,
    GateRequest,
    Needed,
    Outcome,
    PermanentError,
    Preview,
    Procedure,
    Retry,
    Step,
    Wait,
    command,
    digest,
    listed,
)
from kcibot_commands.jobs.checklist import checklist
from kcibot_commands.jobs.compare import (
    Difference,
    JobsSettings,
    Mode,
    about,
    compare,
    definitions_commit,
    flags_of_the_pause,
    freeze_commit,
    in_git,
    overview,
    to_write,
    with_flag_of_the_pause,
)
from kcibot_commands.jobs.kept import KEPT, is_kept, keep_old, old_definitions
from kcibot_commands.jobs.seed import (
    SEED_AGAIN,
    disable_again,
    disabled_before,
    flags_before,
    keep_all_old,
    next_build,
    run_seed_job,
    seed_may_come,
    seed_overview,
    seeded,
)
from kcibot_commands.jobs.write import Seen, live_or_none, put, seen, seen_before, write
from kcibot_commands.plan.steps import SHORT, plan
from kcibot_commands.production import (
    open_production,
    push_asks,
    push_branch,
    push_core,
    push_needed,
    push_preview,
    take_production_lock,
)
from kcibot_commands.rules.job_definitions import read_definition
from kcibot_commands.rules.job_secrets import refuse_hidden
from kcibot_commands.rules.problem import worded

__all__ = ["APPLY", "DIFF", "KEPT", "apply_job_definitions", "old_definitions", "write", "write_back"]


@dataclass(frozen=True)
class Applied:
    """Which jobs were written, from which commit, and which had to be disabled again after it."""

    commit: str
    jobs: tuple[str, ...]
    disabled_again: tuple[str, ...] = ()


# ---- the step --------------------------------------------------------------------------------------------------


def apply_needed(context: Context) -> Needed:
    settings = context.settings(JobsSettings)
    if context.has_result(plan):
        if settings.component not in context.result(plan).parts:
            return Needed(needed=False, why=f"no repository {settings.component} is configured")
        return push_needed(context, settings.component)
    if settings.mode is Mode.SEED_JOB:
        return Needed(needed=True)
    changes = compare(context).changes
    return Needed(bool(changes), "" if changes else "Jenkins has what Git says")


def apply_preview(context: Context) -> Preview:
    """The digest of every definition to be written, apart from flags; what it changes is shown."""
    settings = context.settings(JobsSettings)
    pushed = push_preview(context, settings.component) if context.has_result(plan) else Preview()
    if settings.mode is Mode.SEED_JOB:
        facts = {"seed job": settings.seed_job, "commit": definitions_commit(context), "push": pushed.facts}
        return Preview(facts, (*pushed.display, f"run {settings.seed_job}, which makes every job anew"))
    comparison = compare(context)
    digests = {change.job: _digest(context, change) for change in comparison.changes}
    facts = {"commit": comparison.commit, "definitions": digests, "push": pushed.facts}
    return Preview(facts, (*pushed.display, *overview(comparison)))


def apply_asks(context: Context) -> GateRequest | None:
    return push_asks(context, context.settings(JobsSettings).component) if context.has_result(plan) else None


def apply(context: Context) -> Done[Applied] | Wait:
    """Move the production branch, write the definitions, and see that the pause still holds."""
    settings, now = context.settings(JobsSettings), context.clock.now()
    seeding = settings.mode is Mode.SEED_JOB
    commit = context.keep("commit", lambda: definitions_commit(context))
    flags_before(context)
    changes = {} if seeding else _changes(context)
    before = keep_all_old(context) if seeding else _keep_old(context, changes)
    seeds = context.keep("seed job before", lambda: next_build(context, settings.seed_job))
    if context.has_result(plan):
        push_branch(context, settings.component)
    pushed_at = datetime.fromisoformat(context.keep("pushed at", now.isoformat))
    written = run_seed_job(context, settings.seed_job, commit) if seeding else _write_all(context, commit, changes)
    if isinstance(written, Wait):
        return written
    pushed = pushed_at if context.has_result(plan) else None
    may_come = seed_may_come(context, settings, seeds, pushed)  # before the flags: what ends in between is seen
    again = disable_again(context)
    if again != disabled_before(context) or may_come:
        text = f"{settings.seed_job} may start by itself after the push, and would enable what the pause disabled"
        return Wait(now + SEED_AGAIN, text, {"again": list(again)})
    text = f"{listed(written)} from {commit[:SHORT]}" if written else "nothing to write"
    text += f"; {seeded(context, before)}" if seeding else ""
    text += f"; {listed(tuple(dict.fromkeys(again)))} came back enabled: disabled again" if again else ""
    return Done(text, Applied(commit, written, again))


def _digest(context: Context, change: Difference) -> str:
    """Of what it is and of what it becomes: the difference that was shown is between the two."""
    free = change.job in flags_of_the_pause(context)
    both = [read_definition(text) for text in (change.live, change.wanted) if text]
    return digest([(replace(read, disabled=False) if free else read).canonical() for read in both])


def _changes(context: Context) -> Mapping[str, Seen]:
    """What each job is that is to be written, looked at once, before anything is done: later some are written."""

    def look() -> list[list[object]]:
        now = {change.job: seen(change.job, change.live) for change in compare(context).changes}
        return [[job, one.meaning, one.disabled] for job, one in now.items()]

    kept = context.keep("changes", look)
    return {str(job): Seen(str(meaning), bool(disabled)) for job, meaning, disabled in kept}


def _keep_old(context: Context, changes: Mapping[str, Seen]) -> tuple[str, ...]:
    """Keep what will be replaced, before anything is done."""
    for job, before in changes.items():
        if before.meaning and not is_kept(context, job):
            live = live_or_none(context.ports.ci, job)
            if seen(job, live).meaning != before.meaning:
                raise PermanentError(f"the definition of {job} was changed by somebody since it was shown; look again")
            keep_old(context, job, live)
    return tuple(changes)


def _write_all(context: Context, commit: str, changes: Mapping[str, Seen]) -> tuple[str, ...]:
    wanted = in_git(context, commit) if changes else {}
    for job, before in changes.items():
        put(context, job, partial(to_write, context, job, wanted[job]), before)
    return tuple(changes)


def write_back(context: Context, job: str, xml: str) -> None:
    """Write an old definition as it was kept, with the flag that the job has now if it is the pause's."""
    with about(job):
        refuse_hidden(xml)
    put(context, job, partial(with_flag_of_the_pause, context, job, xml), seen_before(context, job))


apply_job_definitions = Step(
    "apply-job-definitions",
    "Job definitions",
    apply,
    Applied,
    needed=apply_needed,
    preview=apply_preview,
    asks=apply_asks,
    after=(plan, take_production_lock, push_core),
)


# ---- verbs -----------------------------------------------------------------------------------------------------


def show(context: Context) -> Done[None]:
    """The definitions in Git beside the live ones; of a seed job, what it has not read yet."""
    settings = context.settings(JobsSettings)
    if settings.mode is Mode.SEED_JOB:
        lines = [*seed_overview(context, settings), *checklist(context)]
        return Done("\n".join(lines), None)
    comparison = compare(context)
    count = worded(len(comparison.changes), "job definition")
    lines = [f"{count} would change with {comparison.commit[:SHORT]}", *overview(comparison), *checklist(context)]
    return Done("\n".join(lines), None)


DIFF = Procedure("jobs diff", Step("jobs-diff", "Definitions compared", show, type(None), retry=Retry(1)), card=False)
APPLY = Procedure(
    "jobs apply",
    freeze_commit,
    Gate("definitions", "Apply the job definitions"),
    take_production_lock,
    apply_job_definitions,
    open_production,
    title="Job definitions",
)


@command("jobs diff", role="observer")
def jobs_diff(call: Call) -> Outcome:
    """Show what the job definitions on the production branch would change on Jenkins."""
    return call.start(DIFF)


@command("jobs apply", role="operator")
def jobs_apply(call: Call) -> Outcome:
    """Write the job definitions of the production branch to Jenkins, after an approval."""
    return call.start(APPLY)
