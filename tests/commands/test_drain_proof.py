"""The proof of a drain: its table of cases, and a server in which work hides wherever nobody looks.

The premises of the proof, which the simulated server keeps: every start of a build moves its job's `nextBuildNumber`;
only running builds make new work, apart from the monitor's timer, which is silent while the monitor is disabled; nobody
enables the monitor and disables it again within one confirming look, which takes a second; an ignored job starts
nothing but itself.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcibot.core.ports import BuildRef, Busy, CiLook, JobState, QueueItem
from kcibot.errors import TransientError
from kcibot_commands.drain import confirming_look, first_look
from kcibot_commands.rules.drain_proof import (
    ConfirmingLook,
    Finding,
    FirstLook,
    Quiet,
    Rule,
    judge_confirming,
    judge_first,
)

MONITOR = "kernel-tree-monitor"
TRIGGER = "kernel-build-trigger"
BUILD = "kernel-build"
IGNORED = "job-dsl"
AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
HALF_MINUTE = timedelta(seconds=30)
RULE = Rule(MONITOR, HALF_MINUTE, frozenset({IGNORED}))


def jobs(*, enabled: bool = False, **next_builds: int) -> dict[str, JobState]:
    states = {MONITOR: JobState(MONITOR, not enabled, enabled, 7, 6)}
    named = {name.replace("_", "-"): number for name, number in next_builds.items()}
    return states | {name: JobState(name, False, True, number, None) for name, number in named.items()}


def look(
    session: str = "a", queued: Iterable[str] = (), running: Iterable[str] = (), *, unnamed: bool = False
) -> CiLook:
    items = tuple(QueueItem(number, job, "because", AT, {}) for number, job in enumerate(queued, 1))
    busy = [Busy("node", BuildRef(job, 5), AT, None) for job in running]
    busy += [Busy("node", None, None, None)] if unnamed else []
    return CiLook(session, items, tuple(busy))


# ---- the table -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "states", "finding", "why"),
    [
        (look(), jobs(), Finding.QUIET, ""),
        (look(running=[BUILD]), jobs(), Finding.HELD, ""),
        (look(queued=[BUILD]), jobs(), Finding.HELD, ""),
        (look(unnamed=True), jobs(), Finding.HELD, ""),
        (look(), jobs(enabled=True), Finding.HELD, f"{MONITOR} is enabled"),
        (look(), {}, Finding.HELD, "no job"),
        (look(running=[IGNORED], queued=[IGNORED]), jobs(), Finding.QUIET, ""),
        (look(running=[IGNORED], unnamed=True), jobs(), Finding.HELD, ""),
    ],
)
def test_a_first_look_is_quiet_only_if_nothing_counts_and_the_monitor_is_disabled(
    seen: CiLook, states: Mapping[str, JobState], finding: Finding, why: str
) -> None:
    verdict = judge_first(RULE, FirstLook(states, seen), AT)
    assert verdict.finding is finding
    assert why in verdict.why
    assert (verdict.quiet is not None) == (finding is Finding.QUIET)


QUIET = judge_first(RULE, FirstLook(jobs(kernel_build=5), look()), AT).quiet
CONFIRMED = ConfirmingLook(jobs(kernel_build=5), look(), look(), jobs(kernel_build=5))


@pytest.mark.parametrize(
    ("confirming", "after", "why"),
    [
        (CONFIRMED, HALF_MINUTE, None),
        (CONFIRMED, timedelta(seconds=29), "too early"),
        (replace(CONFIRMED, first=look(queued=[BUILD])), HALF_MINUTE, ""),
        (replace(CONFIRMED, second=look(running=[BUILD])), HALF_MINUTE, ""),
        (replace(CONFIRMED, second=look(unnamed=True)), HALF_MINUTE, ""),
        (replace(CONFIRMED, second=look("b")), HALF_MINUTE, "restarted"),
        (replace(CONFIRMED, first=look("b"), second=look("b")), HALF_MINUTE, "restarted"),
        (replace(CONFIRMED, jobs_before=jobs(kernel_build=6)), HALF_MINUTE, "kernel-build started"),
        (replace(CONFIRMED, jobs_after=jobs(kernel_build=6)), HALF_MINUTE, "kernel-build started"),
        (replace(CONFIRMED, jobs_after=jobs()), HALF_MINUTE, "kernel-build started"),
        (replace(CONFIRMED, jobs_after=jobs(kernel_build=5, new=1)), HALF_MINUTE, "new started"),
        (replace(CONFIRMED, jobs_after=jobs(kernel_build=5, enabled=True)), HALF_MINUTE, "is enabled"),
        (replace(CONFIRMED, jobs_after=jobs(kernel_build=5, job_dsl=9)), HALF_MINUTE, None),
    ],
)
def test_a_confirming_look_proves_a_drain_only_if_all_of_it_fits(
    confirming: ConfirmingLook, after: timedelta, why: str | None
) -> None:
    assert QUIET is not None
    verdict = judge_confirming(RULE, QUIET, confirming, AT + after)
    assert verdict.finding is (Finding.DRAINED if why is None else Finding.HELD)
    assert (why or "") in verdict.why


def test_ignored_jobs_are_left_out_of_the_holders_but_recorded() -> None:
    assert QUIET is not None
    seen = look(running=[IGNORED])
    verdict = judge_confirming(RULE, QUIET, replace(CONFIRMED, first=seen, second=seen), AT + HALF_MINUTE)
    assert verdict.finding is Finding.DRAINED
    assert [holder.name for holder in verdict.seen.left_out] == [f"{IGNORED} #5"]


def test_anything_that_is_not_as_it_must_be_starts_again() -> None:
    assert QUIET is not None
    verdict = judge_confirming(RULE, QUIET, replace(CONFIRMED, second=look(queued=[BUILD])), AT + HALF_MINUTE)
    assert verdict.quiet is None


# ---- a server in which work hides ------------------------------------------------------------------------------


@dataclass
class Server:
    """Builds as they move between two requests. `fate` decides every move; when it is used up, nothing moves."""

    fate: Iterator[int]
    queue: list[str] = field(default_factory=list)
    leaving: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    next_builds: Counter[str] = field(default_factory=lambda: Counter({MONITOR: 1, TRIGGER: 1, BUILD: 1, IGNORED: 1}))
    enabled: bool = False
    session: int = 1
    starts: int = 0
    flips: int = 0

    def jobs(self) -> dict[str, JobState]:
        self.between()
        return {
            name: JobState(name, name == MONITOR and not self.enabled, True, number, None)
            for name, number in self.next_builds.items()
        }

    def look(self) -> CiLook:
        """As the adapter does it: the queue first, then the executors, and a new session in between is no answer."""
        self.between()
        session, queued = self.session, tuple(QueueItem(1, job, "", AT, {}) for job in self.queue)
        self.between()
        if self.session != session:
            raise TransientError("Jenkins restarted while it was looked at.")
        named = [Busy("node", BuildRef(job, self.next_builds[job] - 1), AT, None) for job in self.running]
        unnamed = [Busy("node", None, None, None) for _ in self.leaving]
        return CiLook(str(session), queued, (*named, *unnamed))

    def rest(self) -> None:
        """Half a minute without a request: anything may happen, also to the monitor's flag."""
        for _ in range(next(self.fate, 0) % 8):
            self.flips = 0
            self.move(next(self.fate, 0))
        self.flips = 0

    def between(self) -> None:
        for _ in range(next(self.fate, 0) % 4):
            self.move(next(self.fate, 0))
        if next(self.fate, 1) % 16 == 0:
            raise TransientError("Jenkins did not answer.")

    def move(self, chosen: int) -> None:
        moves: tuple[Callable[[int], None], ...] = (
            *(self.leave, self.begin, self.begin, self.hop, self.hop, self.trigger, self.finish, self.finish),
            *(self.cancel, self.restart, self.flip, self.ring),
        )
        moves[chosen % len(moves)](chosen // len(moves))

    def leave(self, which: int) -> None:
        """An item leaves the queue: the executor is busy and does not name a build yet."""
        if self.queue:
            self.leaving.append(self.queue.pop(which % len(self.queue)))

    def begin(self, which: int) -> None:
        if self.leaving:
            job = self.leaving.pop(which % len(self.leaving))
            self.next_builds[job] += 1
            self.starts += job != IGNORED
            self.running.append(job)

    def hop(self, which: int) -> None:
        """A running build starts another and ends; one that waits starts at once."""
        if self.running:
            job = self.running.pop(which % len(self.running))
            self.queue.append(_child(job))
        elif self.queue:
            self.leave(which)
            self.begin(which)

    def trigger(self, which: int) -> None:
        if self.running:
            self.queue.append(_child(self.running[which % len(self.running)]))

    def finish(self, which: int) -> None:
        if self.running:
            self.running.pop(which % len(self.running))

    def cancel(self, which: int) -> None:
        if self.queue:
            self.queue.pop(which % len(self.queue))

    def restart(self, which: int) -> None:
        """Builds are killed, or go on as pipelines may; the queue is kept or lost; a build number is never reused."""
        self.session += 1
        self.queue += self.leaving
        self.leaving = []
        if which % 2:
            self.running = []
        if which % 3 == 0:
            self.queue = []

    def flip(self, _which: int) -> None:
        """A person enables or disables the monitor; disabling cancels what it has in the queue."""
        self.flips += 1
        if self.flips > 1:
            return
        self.enabled = not self.enabled
        if not self.enabled:
            self.queue = [job for job in self.queue if job != MONITOR]

    def ring(self, _which: int) -> None:
        if self.enabled:
            self.queue.append(MONITOR)

    @property
    def work(self) -> list[str]:
        return [job for job in (*self.queue, *self.leaving, *self.running) if job != IGNORED]


def _child(job: str) -> str:
    return {MONITOR: TRIGGER, TRIGGER: BUILD, BUILD: BUILD, IGNORED: IGNORED}[job]


def watch(server: Server, passes: int) -> tuple[bool, int]:
    """Look as the step does. Whether it said drained, and how many builds its last first look knew of."""
    quiet: Quiet | None = None
    before = 0
    now = AT
    for _ in range(passes):
        now += HALF_MINUTE
        server.rest()
        try:
            if quiet is None:
                first = first_look(server)  # type: ignore[arg-type]
                before = sum(job.next_build - 1 for name, job in first.jobs.items() if name != IGNORED)
                verdict = judge_first(RULE, first, now)
            else:
                verdict = judge_confirming(RULE, quiet, confirming_look(server), now)  # type: ignore[arg-type]
        except TransientError:
            quiet = None
            continue
        quiet = verdict.quiet
        if verdict.finding is Finding.DRAINED:
            return True, before
    return False, before


WORK = st.lists(st.sampled_from([TRIGGER, BUILD, IGNORED]), max_size=3)
FATE = st.lists(st.integers(0, 999), max_size=120)


@settings(max_examples=400, deadline=None)
@given(WORK, WORK, FATE, st.booleans())
def test_drained_is_never_said_while_work_exists_or_could_have_started_unseen(
    queue: list[str], running: list[str], fate: list[int], enabled: bool
) -> None:
    server = Server(iter(fate), queue=list(queue), running=list(running), enabled=enabled)
    drained, before = watch(server, 60)
    if drained:
        assert not server.work
        assert not server.enabled
        assert server.starts == before


def test_a_server_on_which_nothing_moves_is_drained_after_two_passes() -> None:
    assert watch(Server(iter(())), 2) == (True, 0)


class Adversary(Server):
    """One build after the other, each running while the queue is read and queued while the executors are read."""

    def __init__(self) -> None:
        super().__init__(iter(()), queue=[BUILD])

    def jobs(self) -> dict[str, JobState]:
        return {n: JobState(n, n == MONITOR, True, number, None) for n, number in self.next_builds.items()}

    def between(self) -> None:
        self.hop(0)


def test_looks_alone_are_fooled_for_as_long_as_one_likes() -> None:
    server = Adversary()
    looks = [server.look() for _ in range(100)]
    assert all(not seen.queued and not seen.running for seen in looks)
    assert server.work == [BUILD]


def test_the_confirming_look_is_not_fooled() -> None:
    server = Adversary()
    assert not watch(server, 200)[0]
    assert server.work == [BUILD]


def test_without_the_build_numbers_the_same_looks_would_be_fooled() -> None:
    """What the confirming look adds is not its number of looks but the numbers of the builds."""
    server = Adversary()
    first, confirming = first_look(server), confirming_look(server)  # type: ignore[arg-type]
    blind = ConfirmingLook(first.jobs, confirming.first, confirming.second, first.jobs)
    quiet = judge_first(RULE, first, AT).quiet
    assert quiet is not None
    assert judge_confirming(RULE, quiet, blind, AT + HALF_MINUTE).finding is Finding.DRAINED
    assert judge_confirming(RULE, quiet, confirming, AT + HALF_MINUTE).finding is Finding.HELD
