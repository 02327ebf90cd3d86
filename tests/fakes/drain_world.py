"""A Jenkins in which work hides wherever nobody looks, for the proof of a drain.

The premises of the proof, which it keeps: every start of a build moves its job's `nextBuildNumber`; only running builds
make new work, apart from the monitor's timer, which is silent while the monitor is disabled; nobody enables the monitor
and disables it again within one confirming look, which takes a second; an ignored job starts nothing but itself; what a
restart brings back late is back when the time between two looks is over that began after it.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

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
CHILD = {MONITOR: TRIGGER, TRIGGER: BUILD, BUILD: BUILD, IGNORED: IGNORED}
LIVELY, TROUBLED, RESTARTED, KEPT = 0.6, 0.02, 0.2, 0.8
"""How likely something moves between two requests, a request fails, Jenkins restarts between two looks, and keeps what
there was."""
ENABLED, HOPPING, HOPS = 0.3, 0.3, 0.8
"""How likely the monitor is enabled at first, a server is one that hops, and it hops then."""


@dataclass
class Server:
    """Builds as they move between two requests. `fate` decides; after `life` requests nothing moves any more.

    `hopping`: it does what hides work best, one hop between two requests, most of the time.
    `late` and `asleep` are queue items and builds that a restart has not brought back yet: nobody sees them.
    `known` is how many builds had started at the first answer since it was last None.
    """

    fate: random.Random
    life: int = 0
    queue: list[str] = field(default_factory=list)
    leaving: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    asleep: list[str] = field(default_factory=list)
    next_builds: Counter[str] = field(default_factory=lambda: Counter({MONITOR: 1, TRIGGER: 1, BUILD: 1, IGNORED: 1}))
    enabled: bool = False
    hopping: bool = False
    session: int = 1
    starts: int = 0
    known: int | None = None
    flipped: bool = False

    # ---- what it answers ---------------------------------------------------------------------------------------

    def request(self) -> None:
        """What every request does before it is answered."""
        self.between()
        if self.known is None:
            self.known = self.starts

    def jobs(self) -> dict[str, JobState]:
        self.request()
        return self.states()

    def states(self) -> dict[str, JobState]:
        """Of its jobs, as they are."""
        return {
            name: JobState(name, name == MONITOR and not self.enabled, True, number, None)
            for name, number in self.next_builds.items()
        }

    def look(self) -> CiLook:
        """As the adapter does it: the queue first, then the executors, and a new session in between is no answer."""
        self.request()
        session, queued = self.session, tuple(QueueItem(1, job, "", AT, {}) for job in self.queue)
        self.request()
        if self.session != session:
            raise TransientError("Jenkins restarted while it was looked at.")
        named = [Busy("node", BuildRef(job, self.next_builds[job] - 1), AT, None) for job in self.running]
        unnamed = [Busy("node", None, None, None) for _ in self.leaving]
        return CiLook(str(session), queued, (*named, *unnamed))

    # ---- what moves --------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """Half a minute without a request: anything may happen, also to the monitor's flag."""
        while self.late or self.asleep:
            self.come_back()
        still = self.life <= 0 or (self.hopping and self.fate.random() < HOPS)
        for _ in range(0 if still else self.fate.randint(0, 3)):
            self.flipped = False
            self.move()
        if not still and self.fate.random() < RESTARTED:
            self.restart()
        self.flipped = False

    def between(self) -> None:
        """What happens before a request arrives."""
        self.life -= 1
        if self.life < 0:
            return
        if self.hopping and self.fate.random() < HOPS:
            self.hop()
        elif self.fate.random() < LIVELY:
            for _ in range(self.fate.randint(1, 3)):
                self.move()
        if self.fate.random() < TROUBLED:
            raise TransientError("Jenkins did not answer.")

    def move(self) -> None:
        """Hopping is likeliest: it is what hides work."""
        moves = (
            *(self.leave, self.begin, self.hop, self.hop, self.hop, self.hop, self.trigger, self.finish, self.finish),
            *(self.cancel, self.restart, self.flip, self.flip, self.ring, self.come_back),
        )
        self.fate.choice(moves)()

    def taken(self, jobs: list[str]) -> str:
        return jobs.pop(self.fate.randrange(len(jobs)))

    def leave(self) -> None:
        """An item leaves the queue: the executor is busy and does not name a build yet."""
        if self.queue:
            self.leaving.append(self.taken(self.queue))

    def begin(self) -> None:
        if self.leaving:
            job = self.taken(self.leaving)
            self.next_builds[job] += 1
            self.starts += job != IGNORED
            self.running.append(job)

    def hop(self) -> None:
        """A running build starts another and ends; one that waits starts at once."""
        if self.running:
            self.queue.append(CHILD[self.taken(self.running)])
        elif self.queue:
            self.leave()
            self.begin()

    def trigger(self) -> None:
        if self.running:
            self.queue.append(CHILD[self.fate.choice(self.running)])

    def finish(self) -> None:
        if self.running:
            self.taken(self.running)

    def cancel(self) -> None:
        if self.queue:
            self.taken(self.queue)

    def restart(self) -> None:
        """The queue is lost or kept, builds are killed or go on, and what stays may be seen late only."""
        self.session += 1
        if self.fate.random() < KEPT:
            self.late += [*self.queue, *self.leaving]
        if self.fate.random() < KEPT:
            self.asleep += self.running
        self.queue, self.leaving, self.running = [], [], []
        if self.fate.random() < KEPT / 2:
            self.come_back()

    def come_back(self) -> None:
        if self.late:
            self.queue.append(self.taken(self.late))
        elif self.asleep:
            self.running.append(self.taken(self.asleep))

    def flip(self) -> None:
        """A person enables or disables the monitor; disabling cancels what it has in the queue."""
        if not self.flipped:
            self.flipped = True
            self.enabled = not self.enabled
        if not self.enabled:
            self.queue = [job for job in self.queue if job != MONITOR]

    def ring(self) -> None:
        if self.enabled:
            self.queue.append(MONITOR)

    @property
    def work(self) -> list[str]:
        found = (*self.queue, *self.leaving, *self.running, *self.late, *self.asleep)
        return [job for job in found if job != IGNORED]


def lively(seed: int, life: int) -> Server:
    """With some work to begin with; all that happens follows from the seed."""
    fate = random.Random(seed)  # noqa: S311 (the same fate every time)
    some = [TRIGGER, TRIGGER, BUILD, BUILD, IGNORED]
    queue = [fate.choice(some) for _ in range(fate.randint(0, 1))]
    running = [fate.choice(some) for _ in range(fate.randint(0, 2))]
    enabled, hopping = fate.random() < ENABLED, fate.random() < HOPPING
    return Server(fate, life, queue, running=running, enabled=enabled, hopping=hopping)


# ---- watching it -----------------------------------------------------------------------------------------------

Confirm = Callable[[Server, Quiet, FirstLook], ConfirmingLook]


def proven(server: Server, _quiet: Quiet, _first: FirstLook) -> ConfirmingLook:
    """As the drain does it."""
    return confirming_look(server)  # type: ignore[arg-type]


def drained(server: Server, confirm: Confirm, most: int) -> bool:
    """Look as the step does, so often at most; `known` is then of its last first look."""
    quiet, first, now = None, FirstLook({}, CiLook("", (), ())), AT
    for _ in range(most):
        now += HALF_MINUTE
        server.rest()
        try:
            if quiet is None:
                server.known = None
                first = first_look(server)  # type: ignore[arg-type]
                verdict = judge_first(RULE, first, now)
            else:
                verdict = judge_confirming(RULE, quiet, confirm(server, quiet, first), now)
        except TransientError:
            quiet = None
            continue
        if verdict.finding is Finding.DRAINED:
            return True
        quiet = verdict.quiet
    return False
