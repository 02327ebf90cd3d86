"""The verbs around the monitor."""

import re

from kcibot.sdk import (
    Call,
    CiLook,
    Context,
    Done,
    Outcome,
    Procedure,
    Reason,
    Retry,
    Step,
    UserError,
    Words,
    command,
    listed,
    moment,
)
from kcibot_commands.monitor.flags import MonitorSettings, cron_problem, standing_pause
from kcibot_commands.monitor.run import RunArgs, run_monitor
from kcibot_commands.monitor.steps import (
    PAUSE,
    RESUME,
    PauseArgs,
    resume_monitor,
    start_monitor_once,
)
from kcibot_commands.monitor.timer import restore_timer
from kcibot_commands.production import LOCK, PRODUCTION
from kcibot_commands.rules.drain_holders import builds_by_job

NO_REASON = Reason("")
ENABLING = frozenset({"release", "rollback"})
"""Procedures whose end enables the monitor."""
CONFIG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

RESUMING = Procedure(RESUME, resume_monitor, restore_timer, start_monitor_once, title="Monitor resumed")
RUN = Procedure("monitor run", run_monitor, title="Run of the monitor")


@command("monitor pause", role="operator", example="!monitor pause the storage is being moved")
def monitor_pause(call: Call, reason: Reason = NO_REASON) -> Outcome:
    """Disable the monitor, and the bisections after an approval, until !monitor resume."""
    return call.start(PAUSE, args=PauseArgs(reason))


@command("monitor resume", role="operator")
def monitor_resume(call: Call) -> Outcome:
    """Enable what the pause disabled, and the monitor whoever disabled it; start it once, and see that it ran."""
    _not_in_the_middle(call, "resume")
    return call.start(RESUMING)


def _not_in_the_middle(call: Call, verb: str) -> None:
    """Raises UserError while a run changes production: nothing new may be built of what is half changed."""
    held = call.world.journal.recall(LOCK).get(PRODUCTION)
    number = held.get("run") if isinstance(held, dict) else 0
    for run in call.world.journal.open_runs():
        if run.id == number:
            ends = "whose end enables the monitor" if run.procedure in ENABLING else f"then say !monitor {verb} again"
            raise UserError(
                f"{run.title} (run {run.id}) changes production, and the monitor would start builds in the middle of "
                f"it. Wait for its end, {ends}, or end it first: !release abort REASON --run {run.id}"
            )


@command("monitor run", role="operator", example="!monitor run kernelci")
def monitor_run(call: Call, config: Words) -> Outcome:
    """Start the monitor for these build configs only; a disabled one is enabled just for the start."""
    wrong = [name for name in config if not CONFIG.fullmatch(name)]
    if wrong:
        raise UserError(f"{listed(wrong)} cannot be the name of a build config")
    _not_in_the_middle(call, f"run {' '.join(config)}")
    return call.start(RUN, f"Monitor for {listed(config)}", RunArgs(config))


def show(context: Context) -> Done[None]:
    """The monitor's flag, timer and last build, and the pause if there is one."""
    settings, ci, now = context.settings(MonitorSettings), context.ports.ci, context.clock.now()
    state = ci.job(settings.job)
    pause = standing_pause(context)
    look = ci.look()
    lines = [f"{settings.job} is {'disabled' if state.disabled else 'enabled'}"]
    if pause:
        lines.append(f"Paused by {pause.who}, {moment(pause.since, now)}: {pause.why}")
        lines.append(f"The resume enables {listed(pause.jobs) or 'nothing: it was disabled already'}.")
    if pause and not state.disabled:
        lines.append("It is enabled in spite of that: !monitor pause disables it, !monitor resume ends the pause.")
    running = [f"#{number}" for number in builds_by_job(look).get(settings.job, ())]
    waiting = sum(item.job == settings.job for item in look.queued)
    lines.append(f"Running: {listed(running) or _nothing(look)}; in the queue: {waiting or 'nothing'}.")
    last = ci.builds(settings.job, 1)
    if last and last[0].result:
        lines.append(f"Last build: {last[0].ref}, {last[0].result.value}, {moment(last[0].started, now)}.")
    problem = cron_problem(ci.definition(settings.job), context)
    lines.append(f"Timer: {problem or 'in the job'}.")
    return Done("\n".join(lines), None)


def _nothing(look: CiLook) -> str:
    """What does not say its name may be the monitor."""
    unnamed = any(busy.build is None for busy in look.running)
    return "nothing that says its name, but an executor does not say what it runs" if unnamed else "nothing"


STATUS = Procedure(
    "monitor status", Step("monitor-status", "State of the monitor", show, type(None), retry=Retry(1)), card=False
)


@command("monitor status", role="observer")
def monitor_status(call: Call) -> Outcome:
    """Say whether the monitor is enabled, what it does, and who paused it."""
    return call.start(STATUS)
