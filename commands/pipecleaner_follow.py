"""Step 9, third part: every kernel build is followed, until Jenkins and the results API both say that all is done.

Jenkins' SUCCESS means nothing by itself, since children do not pass their failure on: a kernel's status is the API's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from kcibot.sdk import (
    Build,
    BuildRef,
    BuildResult,
    Context,
    KernelResult,
    NotFound,
    Progress,
    Revision,
    RevisionStatus,
    listed,
    span,
)
from kcibot_commands.pipecleaner_configs import PipecleanerSettings
from kcibot_commands.rules.results import KernelKey

NEWEST = 300
MOST = 4096
"""KernelCI's Jenkins keeps so many kernel builds."""
FEW = 3
NORMAL_ENDS = frozenset({BuildResult.SUCCESS, BuildResult.UNSTABLE})


@dataclass(frozen=True)
class FailedBuild:
    """One kernel that failed, with what its build was started with."""

    arch: str
    defconfig: str
    environment: str
    number: int
    url: str
    parameters: Mapping[str, str]

    @property
    def key(self) -> KernelKey:
        return KernelKey(self.arch, self.defconfig, self.environment)

    @property
    def line(self) -> str:
        return f"{self.key}: {self.url.rstrip('/')}/console"


@dataclass(frozen=True)
class Following:
    """What is kept from one look to the next, as plain values.

    `attempt` counts the starts that were given up before this one. `newest` is how many builds a look asks for, `told`
    are the failed builds that were said. `tests` is how many test results there were at the last count, `tests_seen`,
    and already at `tests_at`; -1 before the first count.
    """

    attempt: int = 0
    rebuild: bool = False
    trigger: int = 0
    monitor: int = 0
    missed: int = 0
    tree: str = ""
    branch: str = ""
    kernel: str = ""
    newest: int = NEWEST
    total: int = 0
    told: tuple[int, ...] = ()
    tests: int = -1
    tests_at: str = ""
    tests_seen: str = ""

    @classmethod
    def read(cls, memory: object) -> "Following":
        """What a wait kept, or a fresh start."""
        if not isinstance(memory, dict):
            return cls()
        known = {name: value for name, value in memory.items() if name in cls.__dataclass_fields__}
        return cls(**{**known, "told": tuple(known.get("told", ()))})

    @property
    def json(self) -> dict[str, object]:
        return {**asdict(self), "told": list(self.told)}

    @property
    def revision(self) -> Revision | None:
        """None until the first kernel build has told how the revision is called."""
        return Revision(self.tree, self.branch, self.kernel) if self.kernel else None


@dataclass(frozen=True)
class Seen:
    """One look at Jenkins and the results API."""

    trigger: Build
    builds: tuple[Build, ...]
    queued: int
    status: RevisionStatus | None
    kernels: tuple[KernelResult, ...]

    @property
    def ended(self) -> tuple[Build, ...]:
        return tuple(one for one in self.builds if not one.building)

    @property
    def idle(self) -> bool:
        """Nothing of it runs or waits any more."""
        return not self.trigger.building and not self.queued and len(self.ended) == len(self.builds)

    @property
    def complete(self) -> bool:
        """Jenkins is through with it, and the results API says so too."""
        reported = self.status in {RevisionStatus.PASS, RevisionStatus.FAIL}
        return self.idle and self.trigger.result in NORMAL_ENDS and reported

    @property
    def cut_off(self) -> bool:
        """Jenkins ended it before it was through, as a restart does."""
        return self.idle and self.trigger.result not in NORMAL_ENDS


def look(context: Context, ref: BuildRef, state: Following) -> tuple[Seen, Following]:
    """Six requests, however many builds there are. The queue first: what leaves it meanwhile is then seen running."""
    ci, job = context.ports.ci, context.settings(PipecleanerSettings).kernel_job
    queue = ci.look().queued
    trigger = ci.build(ref)
    newest = ci.builds(job, state.newest)
    builds = _newest_of_each(one for one in newest if one.upstream == ref or _by_hand(one, trigger, state))
    state = _named(state, builds)
    config = trigger.parameters.get("BUILD_CONFIG", "")
    started = {one.queue_id for one in newest}  # what left the queue meanwhile is counted as a build
    mine = [item for item in queue if item.job == job and item.parameters.get("BUILD_CONFIG") == config]
    queued = sum(item.item_id not in started for item in mine)
    if len(newest) >= state.newest and newest[-1].started >= trigger.started:
        # The oldest build seen is younger than the trigger, so there may be more than were asked for.
        state = replace(state, newest=min(MOST, 2 * state.newest))
    status, kernels = _reported(context, state.revision)
    state = replace(state, total=max(state.total, len(builds) + queued))
    return Seen(trigger, builds, queued, status, kernels), state


def _by_hand(one: Build, trigger: Build, state: Following) -> bool:
    """A build of the same revision that a person, or the bot, started again."""
    same = one.parameters.get("GIT_DESCRIBE") == state.kernel and one.parameters.get("BRANCH") == state.branch
    return bool(state.kernel) and one.upstream is None and one.started > trigger.started and same


def _newest_of_each(builds: Iterable[Build]) -> tuple[Build, ...]:
    """A kernel that was built twice counts once."""
    found = {key_of(one): one for one in sorted(builds, key=lambda each: each.ref.number)}
    return tuple(found.values())


def key_of(one: Build) -> KernelKey:
    given = one.parameters
    return KernelKey(given.get("ARCH", ""), given.get("DEFCONFIG", ""), given.get("BUILD_ENVIRONMENT", ""))


def _named(state: Following, builds: tuple[Build, ...]) -> Following:
    """The revision as the builds call it, which is how the results API will."""
    if state.kernel or not builds:
        return state
    given = builds[0].parameters
    return replace(
        state,
        tree=given.get("TREE_NAME", state.tree),
        branch=given.get("BRANCH", state.branch),
        kernel=given.get("GIT_DESCRIBE", ""),
    )


def _reported(context: Context, revision: Revision | None) -> tuple[RevisionStatus | None, tuple[KernelResult, ...]]:
    """What the results API knows; None while it has not heard of the revision."""
    if revision is None:
        return None, ()
    try:
        return context.ports.results.revision_status(revision), context.ports.results.kernels(revision)
    except NotFound:
        return None, ()


# ---- what is said ----------------------------------------------------------------------------------------------


def failed(seen: Seen) -> tuple[FailedBuild, ...]:
    """Every kernel whose build ended badly, or which the results API calls failed."""
    bad = {KernelKey(one.arch, one.defconfig, one.environment) for one in seen.kernels if one.status == "FAIL"}
    return tuple(
        FailedBuild(*_words(key_of(one)), one.ref.number, one.url, dict(one.parameters))
        for one in seen.ended
        if key_of(one) in bad or one.result is not BuildResult.SUCCESS
    )


def _words(key: KernelKey) -> tuple[str, str, str]:
    return (key.arch, key.defconfig, key.environment)


def progress_of(seen: Seen, state: Following) -> Progress:
    return Progress(len(seen.ended), max(state.total, len(seen.builds)), "kernels")


def progress(seen: Seen, state: Following, now: datetime) -> str:
    """`132/200 kernels, 3 failed, about 12 min left`."""
    if not state.total:
        return f"{seen.trigger.ref} prepares the sources"
    done, total, bad = len(seen.ended), state.total, failed(seen)
    parts = [f"{done}/{total} kernels"]
    if bad:
        names = f" ({listed([str(one.key) for one in bad])})" if len(bad) <= FEW else ""
        parts.append(f"{len(bad)} failed{names}")
    left = _left(seen, total, now)
    if left:
        parts.append(f"about {span(left)} left")
    elif seen.idle:
        status = seen.status.value if seen.status else "nothing"
        parts.append(f"all built; the results API still says {status}")
    return ", ".join(parts)


def _left(seen: Seen, total: int, now: datetime) -> timedelta | None:
    """By the pace so far; None when nothing is known of it, or nothing is left."""
    done = len(seen.ended)
    if not done or done >= total:
        return None
    began = min(one.started for one in seen.builds)
    return (now - began) * ((total - done) / done)
