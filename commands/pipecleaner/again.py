"""Step 9: a kernel that failed is built once more before it counts; so is one whose build was cut off."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from kcibot.sdk import Context, Level, Notice, PermanentError, Wait
from kcibot_commands import starts
from kcibot_commands.pipecleaner.baseline import baseline
from kcibot_commands.pipecleaner.configs import PipecleanerSettings
from kcibot_commands.pipecleaner.record import Built
from kcibot_commands.pipecleaner.state import Following, Seen
from kcibot_commands.pipecleaner.told import names
from kcibot_commands.rules.kernel_releases import series_of
from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.results import Ended, Kernel, KernelKey, Results, Status
from kcibot_commands.rules.verdict_kernels import suspected_groups

AT_ONCE = 5
"""So many builds are started in one look: each takes some requests."""
SOON = timedelta(seconds=10)
AGAIN = "again"
"""Beside the builds of a round: the numbers of those that failed and were to be built again."""

Failed = Mapping[KernelKey, Built]


def build_again(
    context: Context, place: str, seen: Seen, state: Following, series: str
) -> tuple[Following, Wait | None]:
    """Start what is due, to be called when all is built; a wait until all that was started again has its build.

    Those builds are then seen like every other: they have the parameters of this revision. A first failure that is
    explained by the baseline, or by a tool chain that fails as a whole, is not built again.
    """
    state = _remembered(context, place, seen, state)
    lost = _without_build(seen, state)
    for number in lost[:AT_ONCE]:
        state = _looked_for(context, seen.kernels.builds[number], seen, state)
    due = _due(context, seen, state, series)
    for one in list(due.values())[:AT_ONCE]:
        _intend(context, place, one)
        state = _start(context, seen, one, state)
    _say(context, due, state)
    if not due and not lost:
        return state, None
    now, look = context.clock.now(), context.settings(PipecleanerSettings).look
    text = f"all built; {worded(len(state.again), 'kernel')} that failed built again"
    return state, Wait(now + min(SOON, look), text, state.json)


def _due(context: Context, seen: Seen, state: Following, series: str) -> Failed:
    retries = context.settings(PipecleanerSettings).retries
    if not retries or state.revision is None:
        return {}
    failed = {key: one for key, one in seen.failed.items() if _may_again(one, state)}
    tried = Counter(seen.kernels.key(one) for one in seen.kernels.builds.values() if not one.lost)
    cut = Counter(seen.kernels.key(one) for one in seen.kernels.builds.values() if one.lost)
    failed = {key: one for key, one in failed.items() if tried[key] <= retries and cut[key] <= retries}
    if not failed:
        return {}
    base = baseline(context, state.revision, series or series_of(state.kernel))
    known = {kernel.key for kernel in base.kernels if kernel.status is Status.FAIL} if base else set()
    explained = known | _suspected(context, seen, state, base)
    return {key: one for key, one in failed.items() if one.lost or key not in explained}


def _intend(context: Context, place: str, one: Built) -> None:
    """Keep that it is built again before it is: a bot that is killed then still knows whose build the new one is."""
    known = context.recall(place).get(AGAIN)
    numbers = known if isinstance(known, list) else []
    if one.number not in numbers:
        context.remember(place, AGAIN, [*numbers, one.number])


def _remembered(context: Context, place: str, seen: Seen, state: Following) -> Following:
    """With what was built again although no wait could keep it."""
    known = context.recall(place).get(AGAIN)
    newest = {one.number for one in seen.kernels.newest.values()}
    built = [number for number in known if number not in newest] if isinstance(known, list) else []
    return replace(state, again={**dict.fromkeys(map(str, built), 0), **state.again})


def _may_again(one: Built, state: Following) -> bool:
    return str(one.number) not in state.again and one.number not in state.refused


def _suspected(context: Context, seen: Seen, state: Following, base: Results | None) -> frozenset[KernelKey]:
    """Kernels of an architecture or a compiler that fails as a whole: a second failure would tell nothing more."""
    failed = seen.failed
    kernels = tuple(
        Kernel(key, (Status.FAIL if key in failed else Status.PASS,)) for key, one in seen.ended.items() if not one.lost
    )
    current = Results(state.kernel, base.series if base else "", Ended.COMPLETE, kernels)
    return suspected_groups(current, base, context.settings(PipecleanerSettings).thresholds).covered


def _start(context: Context, seen: Seen, one: Built, state: Following) -> Following:
    """Start it as an effect. One that Jenkins refuses is judged by its first failure."""
    job = context.settings(PipecleanerSettings).kernel_job
    start = starts.prepared(context, job, seen.kernels.parameters(one))
    if start.disabled:
        return _refused(context, seen, one, f"{job} is disabled on Jenkins", state)
    if any(seen.kernels.key(seen.kernels.builds[int(number)]) == seen.kernels.key(one) for number in state.again):
        start = _another(context, start, one)
    try:
        item = starts.start(context, start)
    except PermanentError as error:
        return _refused(context, seen, one, str(error), state)
    return replace(state, again={**state.again, str(one.number): item})


def _another(context: Context, start: starts.Start, one: Built) -> starts.Start:
    """That kernel was started again before, and cut off: this is another start, not that one."""

    def give_up() -> int:
        starts.give_up(context, start)
        return start.attempt

    if context.keep(f"start before that of {one.number}", give_up) == start.attempt:
        return starts.prepared(context, start.job, start.parameters)
    return start


def _refused(context: Context, seen: Seen, one: Built, why: str, state: Following) -> Following:
    title = f"{seen.kernels.key(one)} is not built again: {why}"
    context.say(f"refused {one.number}", Notice(title, Level.WARNING))
    return replace(state, refused=(*state.refused, one.number))


def _say(context: Context, due: Failed, state: Following) -> None:
    begun = {key: one for key, one in due.items() if str(one.number) in state.again}
    if begun:
        title = (
            f"Pipe cleaner {state.kernel}: {worded(len(begun), 'kernel')} built again, since one failure may be chance"
        )
        context.say(f"again {min(one.number for one in begun.values())}", Notice(title, lines=(names(begun),)))


# ---- what was started and has no build yet ---------------------------------------------------------------------


def _without_build(seen: Seen, state: Following) -> tuple[int, ...]:
    """The builds that failed and were started again, of which no newer one is known."""
    newest = {one.number for one in seen.kernels.newest.values()}
    return tuple(number for number in map(int, state.again) if number in newest)


def _looked_for(context: Context, one: Built, seen: Seen, state: Following) -> Following:
    """Ask for its queue item: one that Jenkins lost, as when it is killed, is started anew at the next look."""
    start = starts.prepared(context, seen.kernels.job, seen.kernels.parameters(one))
    try:
        starts.build_of(context, start, state.again[str(one.number)])
    except PermanentError:
        again = {number: item for number, item in state.again.items() if number != str(one.number)}
        return replace(state, again=again)
    return state


def retried(seen: Seen, state: Following) -> tuple[str, ...]:
    """The kernels that the bot built again, by name."""
    builds = seen.kernels.builds
    keys = {str(seen.kernels.key(builds[int(number)])) for number in state.again if int(number) in builds}
    return tuple(sorted(keys))
