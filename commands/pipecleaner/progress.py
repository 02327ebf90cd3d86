"""Step 9: how far a pipe cleaner is, in words: in short on the card, by architecture and lab where there is room."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from kcibot.sdk import Context, Progress, listed, span
from kcibot_commands.pipecleaner.kept import kept_queue, kept_standing, kept_trigger
from kcibot_commands.pipecleaner.record import COMPLETIONS, KERNELS, SUCCESS, TESTS, Built, Record, load
from kcibot_commands.pipecleaner.state import Following, Seen
from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.results import KernelKey

DURATIONS = "pipecleaner-durations"
"""Topic: architecture -> kernel -> run -> how many seconds its build took there."""
EXPECTED = "expected"
"""Beside the builds of a round: how many test plans each lab sent in the baseline."""
KEPT = 5
"""So many runs are remembered for a kernel."""
FEW = 3
SHOWN = 4

Durations = Mapping[str, float]
"""By kernel: the median of its builds in earlier runs, in seconds."""


# ---- in short --------------------------------------------------------------------------------------------------


def progress_of(seen: Seen, state: Following) -> Progress:
    return Progress(len(seen.ended), max(state.total, len(seen.kernels.newest)), "kernels")


def progress(seen: Seen, state: Following, now: datetime, usual: Durations) -> str:
    """`132/200 kernels (arm 61/70, arm64 20/22), 3 failed, about 12 min left`."""
    if not state.total:
        return f"{seen.trigger.ref} prepares the sources"
    done, bad = len(seen.ended), seen.failed
    open_archs = [f"{one.arch} {one.done}/{one.total}" for one in by_arch(seen) if one.done < one.total]
    archs = f" ({_some(open_archs)})" if open_archs else ""
    parts = [f"{done}/{state.total} kernels{archs}"]
    if bad:
        names = f" ({listed([str(key) for key in bad])})" if len(bad) <= FEW else ""
        parts.append(f"{len(bad)} failed{names}")
    left = time_left(seen, state, now, usual)
    parts += [f"about {span(left)} left"] if left else _waits_for(seen)
    return ", ".join(parts)


def _some(rows: list[str]) -> str:
    more = [f"and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    return ", ".join([*rows[:SHOWN], *more])


def _waits_for(seen: Seen) -> list[str]:
    if not seen.idle:
        return []
    if seen.standing is None:
        return ["all built; the results API does not answer"]
    return [f"all built; the results API still says {seen.status.value if seen.status else 'nothing'}"]


# ---- by architecture -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arch:
    """One architecture's kernels: how many have ended, how many there are so far, and how many failed."""

    arch: str
    done: int
    total: int
    failed: int


def by_arch(seen: Seen) -> tuple[Arch, ...]:
    """Those with the most kernels first."""
    total = Counter(key.arch for key in (*seen.kernels.newest, *seen.waiting))
    done, bad = Counter(key.arch for key in seen.ended), Counter(key.arch for key in seen.failed)
    ranked = sorted(total, key=lambda arch: (-total[arch], arch))
    return tuple(Arch(arch, done[arch], total[arch], bad[arch]) for arch in ranked)


def arch_lines(seen: Seen) -> tuple[str, ...]:
    """`arm 61/70, 2 failed` for each."""
    return tuple(
        f"{one.arch} {one.done}/{one.total}" + (f", {one.failed} failed" if one.failed else "") for one in by_arch(seen)
    )


def kept_seen(kept: Mapping[str, object]) -> Seen | None:
    """What the last look saw, of what the journal keeps of that round; None before the first."""
    records = {name: load(kept, name) for name in (KERNELS, COMPLETIONS, TESTS)}
    kernels, trigger = records[KERNELS], kept_trigger(kept)
    if kernels is None or trigger is None:
        return None
    completions, tests = records[COMPLETIONS] or Record("", 1), records[TESTS] or Record("", 1)
    return Seen(trigger, kernels, completions, tests, kept_queue(kept), kept_standing(kept))


def lines(kept: Mapping[str, object]) -> tuple[str, ...]:
    """The whole of it as it was at the last look, a line each for architectures, jobs and labs; empty before it."""
    seen = kept_seen(kept)
    if seen is None:
        return ()
    expected = kept.get(EXPECTED)
    labs = lab_lines(seen.standing.plans if seen.standing else {}, expected if isinstance(expected, dict) else {})
    rows = (("Architectures", arch_lines(seen)), ("Jenkins", child_lines(seen)), ("Test plans", labs))
    return tuple(f"{name}: {'; '.join(parts)}" for name, parts in rows if parts)


def child_lines(seen: Seen) -> tuple[str, ...]:
    """Completions and test runs, as far as there are any."""
    named = ((seen.completions, "completion"), (seen.tests, "test run"))
    return tuple(_children(record, what) for record, what in named if record.builds)


def _children(record: Record, what: str) -> str:
    builds = record.builds.values()
    bad = sum(not one.open and one.result != SUCCESS for one in builds)
    running = f", {len(record.open)} running" if record.open else ""
    return f"{worded(len(builds), what)}{running}" + (f", {bad} failed" if bad else "")


def lab_lines(plans: Mapping[str, int], expected: Mapping[str, int]) -> tuple[str, ...]:
    """`lab-x: 12 of 15 plans` for each lab that sent results or did in the baseline."""
    return tuple(f"{lab}: {_plans(plans.get(lab, 0), expected.get(lab))}" for lab in sorted({*plans, *expected}))


def _plans(now: int, then: int | None) -> str:
    if not now:
        return "nothing yet"
    return worded(now, "plan") if not then else f"{now} of {then} plans"


# ---- how long it may take --------------------------------------------------------------------------------------


def time_left(seen: Seen, state: Following, now: datetime, usual: Durations) -> timedelta | None:
    """By how long these kernels took in earlier runs, else by the pace so far; None when nothing is known."""
    running, waiting = seen.running, seen.waiting
    if not running and not waiting:
        return None
    known = [usual[str(key)] for key in (*running, *waiting) if str(key) in usual]
    if 2 * len(known) < len(running) + len(waiting):
        return _by_pace(seen, state, now)
    other = median(known)
    left = [max(0.0, usual.get(str(key), other) - (now - one.started).total_seconds()) for key, one in running.items()]
    to_come = [usual.get(str(key), other) for key in waiting]
    # As many run at a time as do now; the longest takes what it takes.
    seconds = max(*left, *to_come, sum(left + to_come) / max(1, len(running)))
    return timedelta(seconds=seconds) if seconds else _by_pace(seen, state, now)


def _by_pace(seen: Seen, state: Following, now: datetime) -> timedelta | None:
    done, total = len(seen.ended), state.total
    if not done or done >= total:
        return None
    began = min(one.started for one in seen.kernels.builds.values())
    return (now - began) * ((total - done) / done)


def usual_durations(context: Context) -> Durations:
    """What the bot remembers of earlier runs."""
    found: dict[str, float] = {}
    for arch, kernels in context.recall(DURATIONS).items():
        if isinstance(kernels, dict):
            found |= {f"{arch} {name}": median(runs.values()) for name, runs in kernels.items() if runs}
    return found


def remember_durations(context: Context, record: Record, run: str) -> None:
    """Keep how long each kernel took in this run, beside a few runs before: one row for each architecture."""
    known = context.recall(DURATIONS)
    ended = {key: one for key, one in record.newest.items() if one.seconds and not one.lost}
    for arch in sorted({key.arch for key in ended}):
        before = known.get(arch)
        rows = dict(before) if isinstance(before, dict) else {}
        for key, one in _of(arch, ended):
            name = f"{key.defconfig} {key.environment}"
            earlier = {at: seconds for at, seconds in rows.get(name, {}).items() if at != run}
            rows[name] = dict([*earlier.items(), (run, one.seconds)][-KEPT:])
        context.remember(DURATIONS, arch, rows)


def _of(arch: str, ended: Mapping[KernelKey, Built]) -> Iterable[tuple[KernelKey, Built]]:
    return ((key, one) for key, one in ended.items() if key.arch == arch)
