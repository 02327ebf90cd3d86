"""Step 9: a pipe cleaner that people stopped: its builds on Jenkins are ended, and what there is of it is judged."""

from dataclasses import replace
from datetime import timedelta

from kcibot.sdk import Context, Happened, NotHappened, PermanentError, Proof, Queued, QueueItem, Wait
from kcibot_commands.monitor.flags import stop_build
from kcibot_commands.pipecleaner.state import Following, Seen
from kcibot_commands.rules.problem import worded

STOPS = "pipecleaner-stops"
"""Topic: run -> who stopped its pipe cleaner."""
SOON = timedelta(seconds=5)
LOOKS = 6
"""After so many looks it is over, also if something of it still runs."""
AT_ONCE = 20


def asked(context: Context) -> bool:
    return str(context.run.id) in context.recall(STOPS)


def over(context: Context) -> None:
    context.forget(STOPS, str(context.run.id))


def refuse_stopped(context: Context) -> None:
    """Raises PermanentError if it was stopped before its trigger was seen."""
    if asked(context):
        over(context)
        raise PermanentError("it was stopped before a build of it was seen; look at Jenkins whether one began")


def stop_builds(context: Context, seen: Seen, state: Following) -> tuple[Following, Wait | None]:
    """End the trigger, which ends its children, then whatever is left; a wait while something of it still runs."""
    first = not state.stopping
    state = replace(state, stopping=state.stopping + 1)
    if (seen.idle and not first) or state.stopping > LOOKS:
        return state, None
    if seen.trigger.building:
        stop_build(context, seen.trigger.ref)
    ours = set(state.again.values())
    for item in [one for one in seen.queued if not first or one.item_id in ours][:AT_ONCE]:
        cancel(context, item)
    builds = seen.kernels.builds
    for number in [one for one in seen.kernels.open if not first or not builds[one].child][:AT_ONCE]:
        stop_build(context, seen.kernels.ref(builds[number]))
    running = len(seen.kernels.open) + len(seen.queued)
    text = f"stopped; {worded(running, 'build')} still to end" if running else "stopped"
    return state, Wait(context.clock.now() + SOON, text, state.json)


def cancel(context: Context, item: QueueItem) -> None:
    """Take it out of the queue, as an effect; one that became a build meanwhile is stopped at the next look."""
    ci = context.ports.ci

    def act() -> int:
        ci.cancel(item.item_id)
        return item.item_id

    def probe() -> Proof[int]:
        waits = ci.item(item.item_id).state in {Queued.WAITING, Queued.LEAVING}
        return NotHappened() if waits else Happened(item.item_id)

    context.effect(f"cancel item {item.item_id} of {item.job}", act, probe)
