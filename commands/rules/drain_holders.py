"""What keeps Jenkins from being idle, how it is said, and how long it may take."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from kcibot.sdk import BuildRef, Busy, CiLook, QueueItem, span

SHOWN = 5


class HolderKind(StrEnum):
    """UNNAMED: an executor that is not idle and does not say what it runs."""

    RUNNING = "running"
    QUEUED = "queued"
    UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class Holder:
    """One thing that runs or waits. `job` is empty if it is not known; the estimate is Jenkins' own, or ours."""

    kind: HolderKind
    name: str
    job: str = ""
    since: datetime | None = None
    estimate: timedelta | None = None
    why: str = ""
    build: BuildRef | None = None

    def age(self, now: datetime) -> timedelta:
        return now - self.since if self.since else timedelta()

    def remaining(self, now: datetime) -> timedelta | None:
        """None: nobody can tell. Negative: it takes longer than was estimated."""
        return self.estimate - self.age(now) if self.kind is HolderKind.RUNNING and self.estimate else None


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found: what counts, and what was left out because its job is ignored."""

    holders: tuple[Holder, ...]
    left_out: tuple[Holder, ...] = ()


def seen(look: CiLook, ignored: Iterable[str] = ()) -> Seen:
    """Running first, then queued, each oldest first. What has no name can be nobody's ignored job, so it counts."""
    jobs = frozenset(ignored)
    found = sorted([*map(_running, look.running), *map(_queued, look.queued)], key=_rank)
    return Seen(
        tuple(holder for holder in found if holder.job not in jobs or not holder.job),
        tuple(holder for holder in found if holder.job and holder.job in jobs),
    )


def _running(busy: Busy) -> Holder:
    if busy.build is None:
        return Holder(HolderKind.UNNAMED, f"something on {busy.node} that does not say what it is")
    estimate = timedelta(seconds=busy.estimated_seconds) if busy.estimated_seconds else None
    return Holder(HolderKind.RUNNING, str(busy.build), busy.build.job, busy.since, estimate, build=busy.build)


def _queued(item: QueueItem) -> Holder:
    return Holder(HolderKind.QUEUED, f"{item.job} (item {item.item_id})", item.job, item.since, why=item.why)


def _rank(holder: Holder) -> tuple[bool, float, str]:
    since = holder.since.timestamp() if holder.since else 0.0
    return holder.kind is HolderKind.QUEUED, since, holder.name


# ---- how it is said --------------------------------------------------------------------------------------------


def counted(holders: tuple[Holder, ...]) -> str:
    """`4 running, 2 queued`."""
    queued = sum(holder.kind is HolderKind.QUEUED for holder in holders)
    running = len(holders) - queued
    return ", ".join(part for part in (f"{running} running" * bool(running), f"{queued} queued" * bool(queued)) if part)


def one_line(holders: tuple[Holder, ...], now: datetime) -> str:
    """`4 running, 2 queued: kernel-build-trigger #4711 (42 min of about 60 min), ...; about 18 min to go`."""
    if not holders:
        return "nothing runs or is queued"
    names = [row(holder, now) for holder in holders[:SHOWN]]
    more = [f"{len(holders) - SHOWN} more"] if len(holders) > SHOWN else []
    return f"{counted(holders)}: {', '.join([*names, *more])}{_to_go(holders, now)}"


def row(holder: Holder, now: datetime) -> str:
    """`kernel-build #12 (42 min of about 60 min)`."""
    match holder.kind:
        case HolderKind.UNNAMED:
            return holder.name
        case HolderKind.QUEUED:
            return f"{holder.name} queued for {span(holder.age(now))}"
        case HolderKind.RUNNING:
            return f"{holder.name} ({span(holder.age(now))}{_estimated(holder)})"


def remaining(holders: tuple[Holder, ...], now: datetime) -> timedelta | None:
    """How long until the last of them may end, at least; None while one of them cannot be estimated.

    Negative if all of them take longer than was estimated. What is queued runs later than that, so it has no estimate.
    """
    left = [holder.remaining(now) for holder in holders]
    known = [one for one in left if one is not None]
    return max(known) if known and len(known) == len(left) else None


def _estimated(holder: Holder) -> str:
    return f" of about {span(holder.estimate)}" if holder.estimate else ""


def _to_go(holders: tuple[Holder, ...], now: datetime) -> str:
    """Of what runs only, if some of it has no estimate or waits: that is the least it takes."""
    left = remaining(holders, now)
    if left is None:
        known = [one for one in (holder.remaining(now) for holder in holders) if one is not None]
        least = max(known, default=timedelta())
        return f"; at least about {span(least)} to go" if least > timedelta() else ""
    return f"; about {span(left)} to go" if left > timedelta() else f"; {span(-left)} over its estimate"


# ---- how often to look -----------------------------------------------------------------------------------------

LOOKS_TO_GO = 6
"""How many more looks an estimate is worth: the nearer its end, the closer they come."""


def interval(holders: tuple[Holder, ...], now: datetime, longest: timedelta, shortest: timedelta) -> timedelta:
    """How long to wait for the next look: `longest` while nobody can tell the end, less the nearer it comes."""
    left = remaining(holders, now)
    return longest if left is None else min(longest, max(shortest, abs(left) / LOOKS_TO_GO))


def back_off(failures: int, interval_: timedelta, longest: timedelta) -> timedelta:
    """After so many failed looks in a row (from 1): twice as long each time, up to `longest`."""
    return min(longest, interval_ * int(2 ** min(failures - 1, 10)))


def estimated(holders: tuple[Holder, ...], usual: Mapping[str, timedelta]) -> tuple[Holder, ...]:
    """The same with the usual duration of their jobs where it is known: Jenkins estimates from its last builds only."""
    return tuple(replace(h, estimate=usual.get(h.job, h.estimate)) for h in holders)


def running(holders: Iterable[Holder]) -> tuple[BuildRef, ...]:
    return tuple(holder.build for holder in holders if holder.build)


def names(holders: Iterable[Holder]) -> tuple[str, ...]:
    return tuple(holder.name for holder in holders)


def builds_by_job(look: CiLook) -> Mapping[str, tuple[int, ...]]:
    """Job -> numbers of its builds that run now."""
    found: dict[str, list[int]] = {}
    for busy in look.running:
        if busy.build:
            found.setdefault(busy.build.job, []).append(busy.build.number)
    return {job: tuple(sorted(set(numbers))) for job, numbers in found.items()}
