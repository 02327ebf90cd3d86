"""Step 9: failures are named as they happen, with a link and what the log says; many at once in one line."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from kcibot.sdk import BuildRef, Context, KcibotError, Level, Notice, RevisionStatus, listed
from kcibot_commands.monitor.flags import standing_pause
from kcibot_commands.pipecleaner.record import GONE, SUCCESS, Built, Record
from kcibot_commands.pipecleaner.state import Following, Seen
from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.results import KernelKey

MANY = 5
"""So many kernels of one architecture that fail at once are told in one line."""
LOGS = 5
"""So many logs are asked for in one look; what is left is told after the next."""
LOG_LINES = 60
SAID_LINES = 3
WIDEST = 160
TELLING = re.compile(r"\berror:|\*\*\* |\bfatal:|undefined reference|No space left|\bERROR\b")

Failed = Mapping[KernelKey, Built]


def tell(context: Context, seen: Seen, state: Following, *, last: bool) -> Following:
    """Say what is new in this look: kernels that failed, and what else people must know."""
    return _notes(context, seen, _failures(context, seen, state, last=last))


# ---- kernels ---------------------------------------------------------------------------------------------------


def _failures(context: Context, seen: Seen, state: Following, *, last: bool) -> Following:
    fresh = {key: one for key, one in seen.failed.items() if one.number not in state.told}
    singles, groups = _sorted(seen, fresh, state, last=last)
    if not last:
        singles = dict(list(singles.items())[: max(0, LOGS - len(groups))])
    told = {**singles, **{key: one for group in groups.values() for key, one in group.items()}}
    if not told:
        return state
    numbers = context.keep(f"failures after {len(state.told)}", lambda: [one.number for one in told.values()])
    told = {key: one for key, one in told.items() if one.number in numbers}
    if len(told) < len(numbers):
        # A bot that was killed said this message already, and some of it was built again since: it stays as it is.
        return _failures(context, seen, replace(state, told=(*state.told, *numbers)), last=last)
    singles = {key: one for key, one in singles.items() if key in told}
    groups = {arch: {key: one for key, one in group.items() if key in told} for arch, group in groups.items()}
    lines = [line for arch, group in groups.items() if group for line in _group(context, seen, arch, group)]
    for place, (key, one) in enumerate(singles.items()):
        lines += _single(context, seen.kernels, key, one, with_log=place + len(groups) < LOGS)
    title = f"Pipe cleaner {state.kernel}: {_how_many(seen, told, state)}"
    context.say(f"failed after {len(state.told)}", Notice(title, Level.WARNING, tuple(lines)))
    return replace(state, told=(*state.told, *(one.number for one in told.values())))


def _how_many(seen: Seen, told: Failed, state: Following) -> str:
    """`2 more kernels failed, 1 kernel failed again`: what was told before is not new."""
    before = {seen.kernels.key(seen.kernels.builds[number]) for number in state.told}
    again = sum(key in before for key in told)
    new = len(told) - again
    kernels = worded(new, "more kernel" if before else "kernel")
    parts = (f"{kernels} failed" if new else "", f"{worded(again, 'kernel')} failed again" if again else "")
    return ", ".join(part for part in parts if part)


def _sorted(seen: Seen, fresh: Failed, state: Following, *, last: bool) -> tuple[Failed, Mapping[str, Failed]]:
    """What is told one by one, and what in one line by architecture. What comes in drops is held until it has ended."""
    busy = {key.arch for key in (*seen.running, *seen.waiting)}
    before = Counter(seen.kernels.key(seen.kernels.builds[number]).arch for number in state.told)
    singles: dict[KernelKey, Built] = {}
    groups: dict[str, Failed] = {}
    for arch in sorted({key.arch for key in fresh}):
        here = {key: one for key, one in sorted(fresh.items()) if key.arch == arch}
        if len(here) > MANY:
            groups[arch] = here
        elif last or before[arch] < MANY or arch not in busy:
            singles |= here
    return singles, groups


def _group(context: Context, seen: Seen, arch: str, group: Failed) -> tuple[str, ...]:
    total = sum(key.arch == arch for key in (*seen.kernels.newest, *seen.waiting))
    key, one = next(iter(group.items()))
    head = f"{arch}: {len(group)} of {total} kernels{_how(group)}, such as"
    return (head, *_single(context, seen.kernels, key, one, with_log=True))


def _how(group: Failed) -> str:
    """That they were cut off, if all were."""
    return " were cut off" if all(one.lost for one in group.values()) else ""


def _single(context: Context, record: Record, key: KernelKey, one: Built, *, with_log: bool) -> tuple[str, ...]:
    said = f" {_why(one)}" if _why(one) else ""
    line = f"{key}{said}: {record.link(one)}console"
    return (line, *(_excerpt(context, record.ref(one)) if with_log and one.result != GONE else ()))


def _why(one: Built) -> str:
    if one.result == GONE:
        return "is gone: Jenkins no longer has its build, which had not ended"
    if one.lost:
        return f"was cut off ({one.result})"
    return "failed: Jenkins says SUCCESS, the results API FAIL" if one.result == SUCCESS else ""


def _excerpt(context: Context, ref: BuildRef) -> tuple[str, ...]:
    """The first lines that name an error, else the last ones."""
    try:
        found = [line.strip() for line in context.ports.ci.log_tail(ref, LOG_LINES) if line.strip()]
    except KcibotError:
        return ()
    telling = [line for line in found if TELLING.search(line)]
    return tuple(f"  {line[:WIDEST]}" for line in telling[:SAID_LINES] or found[-SAID_LINES:])


# ---- what else people must know, each once ---------------------------------------------------------------------


def _notes(context: Context, seen: Seen, state: Following) -> Following:
    for key, notice in (*_completions(seen), *_test_runs(seen), *_absent(seen), *_others(context, seen)):
        if key not in state.notes:
            context.say(key, notice)
            state = state.noted(key)
    return state


def _completions(seen: Seen) -> Iterable[tuple[str, Notice]]:
    """Without a completion the results API never says that the revision is built."""
    record, stays = seen.completions, seen.status in {None, RevisionStatus.BUILD} and seen.standing is not None
    bad = [one for one in record.builds.values() if not one.open and one.result != SUCCESS]
    for one in bad:
        title = f"{record.ref(one)} ended as {one.result}: the results API may stay at BUILD"
        yield f"completion {one.number}", Notice(title, Level.WARNING, (record.link(one), _by_hand(record)))
    if seen.built and not record.builds and record.job and record.job not in seen.absent and stays:
        title = f"{record.job} was never started for this revision: the results API stays at BUILD"
        yield "no completion", Notice(title, Level.WARNING, (_by_hand(record),))


def _by_hand(record: Record) -> str:
    return f"Start {record.job} on Jenkins by hand, or !pipecleaner stop judges what there is."


def _test_runs(seen: Seen) -> Iterable[tuple[str, Notice]]:
    """Those that failed sent nothing to the labs, so that nobody waits for results of them."""
    record = seen.tests
    bad = [one for one in record.builds.values() if not one.open and one.result != SUCCESS]
    if bad and seen.idle:
        links = tuple(record.link(one) for one in bad[:MANY])
        title = f"{len(bad)} of {worded(len(record.builds), 'test run')} failed: tests of those kernels may be missing"
        yield "test runs", Notice(title, Level.WARNING, links)


def _absent(seen: Seen) -> Iterable[tuple[str, Notice]]:
    for job in seen.absent:
        title = f"Jenkins has no job {job}, which is named in the section pipecleaner: it is not followed"
        yield f"no job {job}", Notice(title, Level.WARNING)


def _others(context: Context, seen: Seen) -> Iterable[tuple[str, Notice]]:
    """Triggers that are not ours: of the same config always, of others while nothing else should be built."""
    config, paused = seen.trigger.parameters.get("BUILD_CONFIG", ""), standing_pause(context) is not None
    for one in seen.others:
        theirs = one.parameters.get("BUILD_CONFIG", "")
        by = f", started by {one.upstream}" if one.upstream else ""
        if theirs == config:
            why = f"builds {config} too{by}: if it is the same revision, its results take the place of ours"
            yield f"other {one.ref}", Notice(f"{one.ref} {why}", Level.WARNING, (one.url,))
        elif paused:
            title = f"{one.ref} builds {theirs}{by}, although the monitor is paused and only {config} was to be built"
            yield f"other {one.ref}", Notice(title, Level.WARNING, (one.url,))


def names(keys: Iterable[object], most: int = MANY) -> str:
    """`arm defconfig gcc-8, ... and 3 more`."""
    every = [str(key) for key in keys]
    more = [f"{len(every) - most} more"] if len(every) > most else []
    return listed([*every[:most], *more])
