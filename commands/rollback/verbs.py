"""Going back: what the last release did to production, taken back part by part after one approval.

In the reverse order of the release, so that wherever it breaks off, production is as it was at some moment of it.
"""

from datetime import timedelta

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Gate,
    Level,
    Notice,
    Outcome,
    Preview,
    Procedure,
    Step,
    StepState,
    Wait,
    command,
    listed,
)
from kcibot_commands.notify import Event, to_mention
from kcibot_commands.pipecleaner.configs import PipecleanerSettings
from kcibot_commands.production import (
    LOCK,
    PRODUCTION,
    open_production,
    take_lock,
    take_lock_from,
    take_production_lock,
)
from kcibot_commands.rollback.branches import core_back
from kcibot_commands.rollback.definitions import back_definitions
from kcibot_commands.rollback.deployments import backend_back, frontend_back
from kcibot_commands.rollback.found import NAME, RollbackArgs, chosen
from kcibot_commands.rollback.images import back_images
from kcibot_commands.rollback.monitor import (
    drain,
    pause_monitor,
    restore_timer,
    resume_monitor,
    start_monitor_once,
)
from kcibot_commands.rollback.urls import back_urls

NONE = 0
"""No run number was given: the last release is meant."""


def about(context: Context) -> Preview:
    """What is not taken back: what others may have seen or used since, and what was not there before."""
    args = context.args(RollbackArgs)
    lines = [f"Not taken back: {line}" for line in _stays(args)]
    return Preview({"run": args.run}, (f"Takes back {args.title} (run {args.run}).", *lines))


def _stays(args: RollbackArgs) -> list[str]:
    made = [f"{listed(args.made)} stays on Jenkins: !jobs remove JOB deletes it"] if args.made else []
    return [*args.stays, *made]


def take_over_lock(context: Context) -> Done[None] | Wait:
    """Take the lock over from what is rolled back: it has ended, with production not in order."""
    standing = context.recall(LOCK).get(PRODUCTION)
    run = standing.get("run") if isinstance(standing, dict) else None
    return take_lock_from(context, int(run)) if run in context.args(RollbackArgs).runs else take_lock(context)


def say_so(context: Context) -> Done[None]:
    """Tell the rooms what was taken back and what was not, and what people do next."""
    args, parts = context.args(RollbackArgs), [step for step in context.run.steps if step.id in PARTS]
    lines = [f"{step.title}: {step.text}" for step in parts if step.state is not StepState.NOT_NEEDED]
    lines += [f"Not taken back: {line}" for line in _stays(args)]
    if args.quiet:
        config = context.settings(PipecleanerSettings).config
        lines.append(
            f"Next: !pipecleaner {config} shows whether production works, as soon as this run has unlocked it."
        )
    skipped = [step.title for step in parts if step.state is StepState.SKIPPED]
    title = f"{args.title} is rolled back" + (f", without {listed(skipped)}" if skipped else "")
    level = Level.ALERT if skipped else Level.SUCCESS
    context.say("rolled back", Notice(title, level, tuple(lines), mentions=to_mention(context, Event.RELEASE)))
    return Done("said what was taken back, and what was not", None)


take_over_production = Step(
    take_production_lock.id, take_production_lock.title, take_over_lock, type(None), limit=timedelta(days=2)
)
say_rolled_back = Step("rolled-back", "Rollback reported", say_so, type(None), limit=timedelta(hours=1))

ROLLBACK = Procedure(
    NAME,
    Gate("rollback", "Roll production back", about=about),
    take_over_production,
    pause_monitor,
    drain,
    back_images,
    frontend_back,
    backend_back,
    back_definitions,
    core_back,
    back_urls,
    say_rolled_back,
    resume_monitor,
    restore_timer,
    start_monitor_once,
    open_production,
)
PARTS = frozenset(
    step.id for step in (back_images, frontend_back, backend_back, back_definitions, core_back, back_urls)
)


@command("release rollback", role="operator", example="!release rollback")
def release_rollback(call: Call, *, run: int = NONE) -> Outcome:
    """Undo what the last release, or the run with that number, did to production, as far as it can be undone."""
    args = chosen(call, run)
    return call.start(ROLLBACK, f"Rollback of {args.title}", args)
