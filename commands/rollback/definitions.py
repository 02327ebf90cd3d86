"""Rollback: the branch with the job definitions, and every definition as it was kept before the release replaced it.

Where a seed job makes the jobs, it is run from the old commit first, and what it may start by itself after the push is
waited for: only then what was kept is written, and what the pause disabled is disabled again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from kcibot.sdk import (
    Context,
    Done,
    Level,
    Needed,
    Notice,
    PermanentError,
    Preview,
    Step,
    Wait,
    digest,
    listed,
)
from kcibot_commands.jobs.compare import JobsSettings, Mode, about, flags_of_the_pause, with_flag_of_the_pause
from kcibot_commands.jobs.kept import KEPT, all_kept, is_kept, keep_old, old_definitions
from kcibot_commands.jobs.seed import (
    SEED_AGAIN,
    disable_again,
    disabled_before,
    flags_before,
    next_build,
    run_seed_job,
    seed_may_come,
)
from kcibot_commands.jobs.steps import write_back
from kcibot_commands.jobs.write import live_or_none
from kcibot_commands.plan.steps import SHORT
from kcibot_commands.rollback.branches import (
    Standing,
    branch_back,
    branch_preview,
    left_alone,
    part,
    standing,
)
from kcibot_commands.rollback.found import RollbackArgs
from kcibot_commands.rules.job_definitions import content_of, differences, read_definition
from kcibot_commands.rules.problem import worded


def _kept(context: Context) -> Mapping[str, str]:
    """Job -> its definition before, without those that another run has written since."""
    later = _written_since(context)
    kept = old_definitions(context, context.args(RollbackArgs).run)
    return {job: xml for job, xml in kept.items() if job not in later}


def _written_since(context: Context) -> tuple[str, ...]:
    """Jobs of the run that is taken back which another run has replaced after it: they are that one's now."""
    args = context.args(RollbackArgs)
    ours = {*args.runs, context.run.id}
    later = {one.job for one in all_kept(context.recall(KEPT)) if one.run > args.run and one.run not in ours}
    return tuple(sorted(later.intersection(args.jobs)))


def _component(context: Context) -> str:
    return context.settings(JobsSettings).component


def _moved(context: Context) -> bool:
    return _component(context) in context.args(RollbackArgs).branches


def definitions_needed(context: Context) -> Needed:
    there = bool(context.args(RollbackArgs).jobs) or _moved(context)
    return Needed(there, "" if there else "no job definition was written")


# ---- what it shows ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """One job whose live definition is not what was kept. `live` is empty if it is gone."""

    job: str
    kept: str
    live: str
    lines: tuple[str, ...]


def _differences(context: Context) -> Mapping[str, Difference]:
    found = {}
    for job, xml in sorted(_kept(context).items()):
        live = live_or_none(context.ports.ci, job)
        with about(job):
            lines = differences(live, with_flag_of_the_pause(context, job, xml, live)) if live else content_of(xml)
        if lines or not live:
            found[job] = Difference(job, xml, live, tuple(lines))
    return found


def definitions_preview(context: Context) -> Preview:
    """The digest of every definition, of what it is and of what it becomes; what differs is shown."""
    moved = branch_preview(context, _component(context)) if _moved(context) else Preview()
    if _moved(context) and standing(context, _component(context)).theirs:
        return moved
    found, settings = _differences(context), context.settings(JobsSettings)
    seeding = settings.mode is Mode.SEED_JOB and _moved(context)
    facts = {
        "branch": moved.facts,
        "seed job": settings.seed_job if seeding else "",
        "definitions": {job: _meanings(context, one) for job, one in found.items()},
        "written since": list(_written_since(context)),
    }
    lines = [f"run {settings.seed_job}, which makes every job from the old commit"] if seeding else []
    return Preview(facts, (*moved.display, *lines, *_told(context, found)))


def _meanings(context: Context, one: Difference) -> list[str]:
    return [_meaning(context, one.job, text) for text in (one.live, one.kept)]


def _told(context: Context, found: Mapping[str, Difference]) -> Iterator[str]:
    for job, one in found.items():
        yield f"{job}:" if one.live else f"{job}, which is gone:"
        yield from (f"  {line}" for line in one.lines)
    theirs = _written_since(context)
    if theirs:
        yield f"left alone, another run has written it since: {listed(theirs)}"
    same = len(_kept(context)) - len(found)
    if same:
        yield f"{worded(same, 'job')} as before"


def _meaning(context: Context, job: str, xml: str) -> str:
    if not xml:
        return ""
    with about(job):
        read = read_definition(xml)
    free = job in flags_of_the_pause(context)
    return digest((replace(read, disabled=False) if free else read).canonical())


# ---- what it does ----------------------------------------------------------------------------------------------


def definitions_back(context: Context) -> Done[None] | Wait:
    """In the order of the release: the branch, the seed job, the definitions; then the pause must still hold."""
    settings, now = context.settings(JobsSettings), context.clock.now()
    flags_before(context)
    _keep_live(context)
    seeds = context.keep("seed job before", lambda: next_build(context, settings.seed_job))
    moved = branch_back(context, settings.component) if _moved(context) else None
    if moved and moved.theirs:
        return Done(f"{left_alone(moved)}, and the jobs with it", None)
    waits = _seeded(context, moved, seeds) if moved else None
    again = disable_again(context)
    if waits or again != disabled_before(context):
        text = waits.text if waits else f"{listed(again)} came back enabled: disabled again, I look once more"
        return Wait(waits.until if waits else now + SEED_AGAIN, text, {"again": list(again)})
    for job, xml in sorted(_kept(context).items()):
        write_back(context, job, xml)
    return Done(_said(context, again), None)


def _seeded(context: Context, moved: Standing, seeds: int) -> Wait | None:
    """A wait until every run of the seed job that the push brings about has ended."""
    settings, now = context.settings(JobsSettings), context.clock.now()
    pushed_at = datetime.fromisoformat(context.keep("pushed at", now.isoformat))
    if settings.mode is Mode.SEED_JOB:
        ran = run_seed_job(context, settings.seed_job, moved.move.old)
        if isinstance(ran, Wait):
            return ran
    if seed_may_come(context, settings, seeds, pushed_at):
        return Wait(now + SEED_AGAIN, f"{settings.seed_job} may start by itself after the push; I wait for that")
    return None


def _keep_live(context: Context) -> None:
    """What this replaces is kept, too, so that `!jobs restore` brings a single one back. Once, before it is replaced.

    One that cannot be kept is said, and replaced all the same: what it goes back to is known.
    """

    def keep() -> list[str]:
        lost = []
        for one in _differences(context).values():
            try:
                if one.live and not is_kept(context, one.job):
                    keep_old(context, one.job, one.live)
            except PermanentError:
                lost.append(one.job)
        return lost

    lost = context.keep("live definitions", keep)
    if lost:
        title = f"{listed(lost)} cannot be kept as it is now: it holds a secret of the bot. It goes back all the same"
        context.say("not kept", Notice(title, Level.WARNING))


def _said(context: Context, again: tuple[str, ...]) -> str:
    args = context.args(RollbackArgs)
    text = f"{worded(len(_kept(context)), 'definition')} as before"
    back = args.branches.get(_component(context))
    text += f", {_component(context)} at {back.old[:SHORT]}" if back else ""
    return text + (f"; {listed(tuple(dict.fromkeys(again)))} came back enabled: disabled again" if again else "")


back_definitions = part(
    Step(
        "definitions-back",
        "Job definitions back",
        definitions_back,
        type(None),
        needed=definitions_needed,
        preview=definitions_preview,
    )
)
