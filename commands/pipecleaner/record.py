"""Step 9: every build of a pipe cleaner that was seen, kept in the journal, since Jenkins forgets them after two days.

A look fetches only what can have changed since the last one: from the oldest build of ours that was still open.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from kcibot.sdk import Build, BuildRef, Context
from kcibot_commands.rules.results import KernelKey

TOPIC = "pipecleaner-builds"
KERNELS, COMPLETIONS, TESTS = "kernels", "completions", "tests"
MARGIN = 20
"""Builds that may start between two requests: without them the oldest would be pushed out of the answer."""
CHUNK = 50
"""So many build numbers share one row of the journal: a look writes only rows in which something changed."""
LOOKS = 3
"""So often a build must be missing from Jenkins' answers before it counts as gone: an answer may be an old page."""
SUCCESS, ABORTED, GONE = "SUCCESS", "ABORTED", "GONE"
LOST = frozenset({ABORTED, "NOT_BUILT", GONE})
"""How a build ends that says nothing of its kernel: it was cut off, or Jenkins no longer has it."""

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Built:
    """One build of ours. `result` is empty while it runs, and GONE if Jenkins no longer had it before it ended.

    `own` are the parameters in which it differs from the record's common ones; None is one that it does not have.
    `child`: the trigger caused it, nobody else. `missed` counts the looks that should have shown it and did not.
    """

    number: int
    queue_id: int
    started: datetime
    seconds: float
    result: str
    child: bool
    own: Mapping[str, str | None]
    missed: int = 0

    @property
    def open(self) -> bool:
        return not self.result

    @property
    def lost(self) -> bool:
        return self.result in LOST

    @property
    def ended_at(self) -> datetime:
        return self.started + timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class Record:
    """The builds of one job that are ours, by number.

    `first` is the lowest number that one can have; up to `seen` every number was looked at. `short` counts the looks
    in a row whose answer ended before the newest build. `whole`: the last look left nothing out.
    """

    job: str
    first: int
    seen: int = 0
    url: str = ""
    common: Mapping[str, str] = field(default_factory=dict)
    builds: Mapping[int, Built] = field(default_factory=dict)
    short: int = 0
    whole: bool = True

    @cached_property
    def open(self) -> tuple[int, ...]:
        return tuple(number for number, one in self.builds.items() if one.open)

    @property
    def needed(self) -> int:
        """The lowest number that the next look must see."""
        return min((*self.open, max(self.first, self.seen + 1)))

    @cached_property
    def newest(self) -> Mapping[KernelKey, Built]:
        """Each kernel's last build: one that was built twice counts once."""
        return {self.key(self.builds[number]): self.builds[number] for number in sorted(self.builds)}

    def key(self, one: Built) -> KernelKey:
        given = {name: one.own.get(name, self.common.get(name)) or "" for name in KEY}
        return KernelKey(*given.values())

    def parameters(self, one: Built) -> Mapping[str, str]:
        return {name: value for name, value in {**self.common, **one.own}.items() if value is not None}

    def ref(self, one: Built) -> BuildRef:
        return BuildRef(self.job, one.number)

    def link(self, one: Built) -> str:
        return f"{self.url}/{one.number}/"


KEY = ("ARCH", "DEFCONFIG", "BUILD_ENVIRONMENT")


# ---- looking ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """The newest `asked` builds of a job, newest first, and the number that its next build would have had."""

    found: Sequence[Build]
    asked: int
    next_build: int


def fetched(context: Context, record: Record, next_build: int) -> Page | None:
    """What can have changed since the last look: one request, none if nothing can."""
    newest = max(next_build, record.seen + 1) - record.needed
    if newest <= 0:
        return None
    return Page(context.ports.ci.builds(record.job, newest + MARGIN), newest + MARGIN, next_build)


def merged(record: Record, page: Page | None, is_ours: Callable[[Build], bool]) -> Record:
    """What the record and the page know together. What has ended stays as it is, whatever an old page says."""
    if page is None:
        return replace(record, whole=True)
    numbers = [one.ref.number for one in page.found]
    all_there = len(numbers) < page.asked
    covered = all_there or min(numbers) <= record.needed
    short = min(LOOKS, record.short + 1) if max(numbers, default=0) < page.next_build - 1 else 0
    ours = [one for one in page.found if one.ref.number >= record.first and is_ours(one)]
    record = _with_common(record, ours)
    return replace(
        record,
        seen=max(record.seen, *numbers) if covered and numbers else record.seen,
        builds=_with(record, ours, set(numbers), 0 if all_there else min(numbers)),
        short=short,
        whole=covered and short in {0, LOOKS},
    )


def _with(record: Record, ours: Sequence[Build], seen: Set[int], reached: int) -> Mapping[int, Built]:
    """The builds, with those of ours that changed; an open one that the answer should have had was missed."""
    builds = dict(record.builds)
    for one in ours:
        standing = builds.get(one.ref.number)
        if standing is None or standing.open:
            builds[one.ref.number] = _built(one, record.common)
    for number in record.open:
        if number not in seen and number >= reached:
            builds[number] = _missed(builds[number])
    return dict(sorted(builds.items()))


def _with_common(record: Record, ours: Sequence[Build]) -> Record:
    if record.url or not ours:
        return record
    url = ours[0].url.rstrip("/").rpartition("/")[0]
    return replace(record, url=url, common=dict(ours[0].parameters))


def _built(one: Build, common: Mapping[str, str]) -> Built:
    result = "" if one.building else one.result.value if one.result else GONE
    given = one.parameters
    own: dict[str, str | None] = {name: value for name, value in given.items() if common.get(name) != value}
    own |= dict.fromkeys(common.keys() - given.keys())
    return Built(one.ref.number, one.queue_id, one.started, one.seconds, result, one.upstream is not None, own)


def _missed(one: Built) -> Built:
    """An answer may be an old page: only one that is missing again and again is gone."""
    missed = one.missed + 1
    return replace(one, missed=missed, result=GONE if missed >= LOOKS else "")


# ---- in the journal --------------------------------------------------------------------------------------------


def topic(run: int, round_: int) -> str:
    """Where the builds of that round of a run are kept."""
    return f"{TOPIC} {run}.{round_}"


def save(context: Context, where: str, name: str, before: Record, after: Record) -> None:
    """Keep what changed. The builds first: what the head says was seen is kept by then."""
    if after.common != before.common or after.url != before.url:
        context.remember(where, f"{name} common", {"url": after.url, "common": dict(after.common)})
    changed = {number // CHUNK for number, one in after.builds.items() if before.builds.get(number) != one}
    for chunk in sorted(changed):
        rows = [_row(one) for number, one in after.builds.items() if number // CHUNK == chunk]
        context.remember(where, f"{name} {chunk:06}", rows)
    head = _head(after)
    if head != _head(before):
        context.remember(where, name, head)


def _head(record: Record) -> Json:
    names = ("job", "first", "seen", "short", "whole")
    return {name: getattr(record, name) for name in names}


def _row(one: Built) -> list[object]:
    started = one.started.timestamp()
    return [one.number, one.queue_id, started, one.seconds, one.result, one.child, dict(one.own), one.missed]


def load(recalled: Mapping[str, object], name: str) -> Record | None:
    """What `save` kept under that name; None if there is nothing."""
    head, common = recalled.get(name), recalled.get(f"{name} common")
    if not isinstance(head, dict):
        # killed between its first builds and its head: the next look finds them again
        return None
    shared = common if isinstance(common, dict) else {}
    builds = {one.number: one for one in _read(recalled, f"{name} ")}
    return Record(**head, url=str(shared.get("url", "")), common=dict(shared.get("common", {})), builds=builds)


def _read(recalled: Mapping[str, object], prefix: str) -> Iterable[Built]:
    for key in sorted(recalled):
        rows = recalled[key]
        if key.startswith(prefix) and isinstance(rows, list):
            for number, queue_id, started, *rest in rows:
                yield Built(number, queue_id, datetime.fromtimestamp(started, UTC), *rest)
