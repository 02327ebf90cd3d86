"""Step 5: job definitions from Git. What is applied is what was shown, and what it replaces is kept.

The flag of a job that the pause disabled never comes from Git: a definition must not open production again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Gate,
    GateRequest,
    Happened,
    Needed,
    NotFound,
    NotHappened,
    Outcome,
    OutcomeUnknown,
    PermanentError,
    Preview,
    Procedure,
    Proof,
    Retry,
    Step,
    Wait,
    command,
    digest,
    listed,
)
from kcibot_commands.jobs_checklist import checklist
from kcibot_commands.jobs_compare import (
    Difference,
    JobsSettings,
    Mode,
    compare,
    definitions_commit,
    flags_of_the_pause,
    freeze_commit,
    overview,
    to_write,
)
from kcibot_commands.jobs_seed import (
    SEED_AGAIN,
    disable_again,
    disabled_before,
    next_build,
    run_seed_job,
    seed_may_come,
)
from kcibot_commands.plan import SHORT, plan
from kcibot_commands.production import (
    open_production,
    push_asks,
    push_branch,
    push_core,
    push_needed,
    push_preview,
    take_production_lock,
)
from kcibot_commands.rules.job_definitions import definition_differences, read_definition, with_disabled
from kcibot_commands.rules.problem import RuleError, worded

KEPT = "job-definitions"


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
    commit = context.keep("commit", lambda: definitions_commit(context))
    changes = [] if settings.mode is Mode.SEED_JOB else _changes(context)
    seeds = context.keep("seed job before", lambda: next_build(context, settings.seed_job))
    if context.has_result(plan):
        push_branch(context, settings.component)
    pushed_at = datetime.fromisoformat(context.keep("pushed at", now.isoformat))
    written = (
        run_seed_job(context, settings.seed_job) if settings.mode is Mode.SEED_JOB else _write_all(context, changes)
    )
    if isinstance(written, Wait):
        return written
    may_come = seed_may_come(context, settings, seeds, pushed_at)  # before the flags: what ends in between is seen
    again = disable_again(context)
    if again != disabled_before(context) or may_come:
        text = f"{settings.seed_job} may start by itself after the push, and would enable what the pause disabled"
        return Wait(now + SEED_AGAIN, text, {"again": list(again)})
    text = f"{listed(written)} from {commit[:SHORT]}" if written else "nothing to write"
    text += f"; {listed(tuple(dict.fromkeys(again)))} came back enabled: disabled again" if again else ""
    return Done(text, Applied(commit, written, again))


def _digest(context: Context, change: Difference) -> str:
    """Of what it is and of what it becomes: the difference that was shown is between the two."""
    free = change.job in flags_of_the_pause(context)
    both = [read_definition(text) for text in (change.live, change.wanted) if text]
    return digest([(replace(read, disabled=False) if free else read).canonical() for read in both])


def _changes(context: Context) -> list[list[str]]:
    """[job, wanted, live] of what is to be written, looked at once, before anything is done: later some are written."""
    return context.keep("changes", lambda: [[c.job, c.wanted, c.live] for c in compare(context).changes])


def _write_all(context: Context, changes: list[list[str]]) -> tuple[str, ...]:
    for job, wanted, live in changes:
        keep_old(context, job, live)
        write(context, job, wanted, live)
    return tuple(job for job, _, _ in changes)


def keep_old(context: Context, job: str, live: str) -> None:
    """Remember what this run replaces first: a later revision of the same run must not hide it."""
    key = f"{context.run.id}/{job}"
    if key not in context.recall(KEPT):
        now = context.clock.now().isoformat()
        context.remember(KEPT, key, {"job": job, "xml": live, "run": context.run.id, "at": now})


def write(context: Context, job: str, wanted: str, live: str) -> None:
    """Write one definition as an effect, and see that Jenkins understood it so. `live` is what it replaces."""
    ci = context.ports.ci

    def act() -> str:
        now = ci.definition(job) if live else ""
        if live and not _differ(job, now, wanted, flags=False):
            return job  # the seed job was quicker: it reads the same repository
        if live and _differ(job, now, live, flags=False):
            raise PermanentError(f"the definition of {job} was changed by somebody since it was shown; look again")
        ci.define(job, _with_flag_of(now, live, wanted))
        return job

    def probe() -> Proof[str]:
        try:
            now = ci.definition(job)
        except NotFound:
            return NotHappened()
        if not _differ(job, now, wanted):
            return Happened(job)
        if live and not _differ(job, now, live):
            return NotHappened()
        raise OutcomeUnknown(f"{job} is neither as it was nor as it should be: somebody else changes it")

    context.effect(f"define {job}", act, probe)
    left = _differ(job, ci.definition(job), wanted, flags=False)
    if left:
        raise PermanentError(f"Jenkins took the definition of {job}, but reads it differently: {'; '.join(left)}")


def _with_flag_of(now: str, live: str, wanted: str) -> str:
    """What people disabled or enabled since it was shown stays so."""
    flag = read_definition(now).disabled if live else None
    return wanted if flag is None or flag == read_definition(live).disabled else with_disabled(wanted, disabled=flag)


def _differ(job: str, now: str, wanted: str, *, flags: bool = True) -> tuple[str, ...]:
    """What `wanted` would still change; without flags, a job that was disabled since does not count."""
    try:
        live, read = read_definition(now), read_definition(wanted)
    except RuleError as error:
        raise PermanentError(f"{job}: {error}") from error
    return definition_differences(live if flags else replace(live, disabled=read.disabled), read)


# ---- back ------------------------------------------------------------------------------------------------------


def old_definitions(context: Context, run_id: int) -> Mapping[str, str]:
    """Job -> the definition that this run replaced. A job that it made is not among them: it is left for people."""
    kept = context.recall(KEPT).values()
    return {str(v["job"]): old for v in kept if isinstance(v, dict) and _of_run(v, run_id) and (old := _xml_of(v))}


def write_back(context: Context, job: str, xml: str) -> None:
    """Write an old definition, with the flag that the job has now if it is the pause's."""
    live = context.keep(f"{job} before", lambda: context.ports.ci.definition(job))
    write(context, job, to_write(context, job, xml, live), live)


def _xml_of(value: object) -> str:
    return str(value.get("xml", "")) if isinstance(value, dict) else ""


def _of_run(value: object, run_id: int) -> bool:
    return isinstance(value, dict) and value.get("run") == run_id


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
    """The definitions in Git beside the live ones."""
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
