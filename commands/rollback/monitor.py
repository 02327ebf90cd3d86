"""Rollback: the monitor is paused before, and resumed after as in a release if the pause is the release's or ours."""

from dataclasses import replace

from kcibot.sdk import Context, KcibotError, Needed, Preview, Step, StepState, listed
from kcibot_commands import drain as drains
from kcibot_commands.monitor import steps as monitor
from kcibot_commands.monitor import timer as monitor_timer
from kcibot_commands.monitor.flags import standing_pause, told
from kcibot_commands.rollback.branches import part
from kcibot_commands.rollback.found import RollbackArgs
from kcibot_commands.rules.problem import worded

SETTLED = frozenset({StepState.DONE, StepState.SKIPPED, StepState.NOT_NEEDED})


def pause_needed(context: Context) -> Needed:
    if not context.args(RollbackArgs).quiet:
        return Needed(needed=False, why="what is taken back was done without a pause")
    return monitor.pause_monitor.needed(context)


def drain_needed(context: Context) -> Needed:
    quiet = context.args(RollbackArgs).quiet
    return Needed(quiet, "" if quiet else "what is taken back was done without a drain")


def drain_preview(context: Context) -> Preview:
    """What runs is told and not fixed: it goes on meanwhile."""
    try:
        busy = len(context.ports.ci.look().running)
        now = (
            f"{worded(busy, 'build')} of Jenkins {'runs' if busy == 1 else 'run'} now"
            if busy
            else "Jenkins runs nothing now"
        )
    except KcibotError as error:
        now = f"{error}"
    return Preview({}, (f"{now}; !release skip {drains.drain.id} REASON waits for nothing",))


# ---- after it --------------------------------------------------------------------------------------------------


def _ours(context: Context) -> Needed:
    """Whether this run gives the monitor back: a pause of the run that is taken back, or its own, past or to come."""
    args, pause = context.args(RollbackArgs), standing_pause(context)
    if pause is None:
        coming = args.quiet and _state(context, monitor.pause_monitor) not in SETTLED
        return Needed(coming, "" if coming else "the monitor is not paused")
    mine = pause.run in {*args.runs, context.run.id}
    return Needed(mine, "" if mine else f"the monitor stays paused, {told(context, pause)}: !monitor resume ends it")


def _resumed(context: Context) -> Needed:
    """Whether it was given back here, or will be."""
    state = _state(context, monitor.resume_monitor)
    if state not in SETTLED:
        return _ours(context)
    return Needed(state is StepState.DONE, "" if state is StepState.DONE else "the monitor was not enabled here")


def _state(context: Context, step: Step[object]) -> StepState:
    return next((one.state for one in context.run.steps if one.id == step.id), StepState.NOT_NEEDED)


def resume_preview(context: Context) -> Preview:
    """No facts: which jobs are enabled is what the pause disabled, and that may be still to come."""
    pause = standing_pause(context)
    jobs = listed(list(pause.jobs)) if pause else "what this run disables"
    return Preview({}, (f"enable {jobs or 'nothing'}",))


def once_needed(context: Context) -> Needed:
    resumed = _resumed(context)
    return monitor.start_monitor_once.needed(context) if resumed.needed else resumed


def timer_needed(context: Context) -> Needed:
    resumed = _resumed(context)
    return monitor_timer.restore_timer.needed(context) if resumed.needed else resumed


pause_monitor = part(replace(monitor.pause_monitor, needed=pause_needed))
drain = part(replace(drains.drain, needed=drain_needed, preview=drain_preview))
resume_monitor = part(replace(monitor.resume_monitor, needed=_ours, preview=resume_preview))
restore_timer = part(replace(monitor_timer.restore_timer, needed=timer_needed))
start_monitor_once = part(replace(monitor.start_monitor_once, needed=once_needed))
