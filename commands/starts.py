"""Starting one build on Jenkins as an effect, and following it from its queue item to its end.

A start whose answer was lost is settled by looking for a build or a queue item with our parameters that was not there
before. A job with a parameter for a mark of ours gets one that no other start has: then nothing that others start can
be taken for it, nor be merged with it in the queue. A start that came to nothing for certain (cancelled, lost by
Jenkins) is given up: trying again starts anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from kcibot.sdk import (
    Build,
    BuildRef,
    CiServer,
    Context,
    Happened,
    KcibotError,
    NotHappened,
    OutcomeUnknown,
    PermanentError,
    Proof,
    Queued,
    Wait,
    digest,
)
from kcibot_commands.durations import measure

STARTS = "starts"
SOON = timedelta(seconds=2)
NEWEST = 50


@dataclass(frozen=True)
class StartSettings:
    """How a start is told from those of others: `marker` is the string parameter that jobs may have for that."""

    section: ClassVar[str] = "starts"
    marker: str = "KCIBOT"


class NotYet(Exception):
    """Raised inside `Context.keep` by a look that has found nothing to keep yet."""

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait.text)
        self.wait = wait


@dataclass(frozen=True)
class Start:
    """A build to be started. `first` is the lowest number it can have, `queued` are items that were there before.

    `equal` are those of them with the same parameters: Jenkins answers a start like theirs with one of these.
    `attempt` counts those that were given up. `disabled`: the job was disabled before, and is enabled for the start
    only; who calls must disable it again. `mark` is sent with `parameters`; it is empty if the job takes none.
    """

    job: str
    parameters: Mapping[str, str]
    attempt: int
    first: int
    queued: tuple[int, ...]
    disabled: bool
    equal: tuple[int, ...] = ()
    mark: Mapping[str, str] = field(default_factory=dict)

    @property
    def sent(self) -> Mapping[str, str]:
        return {**self.parameters, **self.mark}

    @property
    def name(self) -> str:
        """What effects of this start are called."""
        given = " ".join(f"{key}={value}" for key, value in self.parameters.items() if value)
        again = f", attempt {self.attempt}" if self.attempt > 1 else ""
        return f"{self.job}{f' with {given}' if given else ''}{again}"

    def fits(self, parameters: Mapping[str, str]) -> bool:
        return _fits(self.sent, parameters)


def _fits(wanted: Mapping[str, str], given: Mapping[str, str]) -> bool:
    return all(given.get(key) == value for key, value in wanted.items())


def prepared(context: Context, job: str, parameters: Mapping[str, str]) -> Start:
    """What is there before the start, looked at once and kept."""
    ci = context.ports.ci
    attempt = _attempt(context, job, parameters)
    name = digest({"job": job, "parameters": dict(parameters)})[:12]

    def look() -> dict[str, object]:
        mark = _mark(context, job, f"{name} {attempt}")
        state = ci.job(job)
        items = [item for item in ci.look().queued if item.job == job]
        queued = [i.item_id for i in items]
        equal = [i.item_id for i in items if _fits({**parameters, **mark}, i.parameters)]
        return {"first": state.next_build, "disabled": state.disabled, "queued": queued, "equal": equal, "mark": mark}

    before = context.keep(f"before the start of {job} {name} {attempt}", look)
    return Start(
        job,
        parameters,
        attempt,
        int(str(before["first"])),
        _ids(before.get("queued")),
        bool(before["disabled"]),
        _ids(before.get("equal")),
        _words(before.get("mark")),
    )


def _mark(context: Context, job: str, start: str) -> dict[str, str]:
    """Of this run and start alone, also when another database counts its runs from 1 again."""
    marker = context.settings(StartSettings).marker
    if not marker or marker not in context.ports.ci.parameters(job):
        return {}
    run = context.run
    own = digest({"run": run.id, "began": run.created_at.isoformat(), "start": start})
    return {marker: f"run {run.id}, {own[:12]}"}


def _words(value: object) -> Mapping[str, str]:
    return value if isinstance(value, dict) else {}


def _ids(value: object) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list) else ()


def start(context: Context, one: Start) -> int:
    """Start it, once; the id of its queue item. A disabled job is enabled for that, and disabled if it fails."""
    ci = context.ports.ci

    def act() -> int:
        try:
            if one.disabled:
                ci.enable(one.job)
            return ci.trigger(one.job, one.sent)
        except KcibotError as error:
            if one.disabled:
                _disable_after(ci, one.job, error)
            raise

    return context.effect(f"start {one.name}", act, lambda: _found(ci, one))


def build_of(context: Context, one: Start, item_id: int) -> BuildRef | Wait:
    """The build that the queue item became, or a wait while it is none yet.

    Raises PermanentError if it certainly never will be one, after which a retry starts anew; OutcomeUnknown if that
    cannot be told.
    """
    ci = context.ports.ci
    mine = _of_item(one, item_id, ci.builds(one.job, NEWEST))
    if mine:
        return mine
    state = ci.item(item_id)
    if state.state in {Queued.WAITING, Queued.LEAVING}:
        return Wait(context.clock.now() + SOON, f"{one.job} waits in the queue of Jenkins (item {item_id})")
    if state.state is Queued.CANCELLED:
        give_up(context, one)
        raise PermanentError(f"the build of {one.job} was cancelled in the queue before it started")
    if state.build and state.build.job == one.job:
        build = ci.build(state.build)  # a killed Jenkins gives ids out anew: it may be somebody else's
        if build.queue_id == item_id and _can_be(one, build):
            return build.ref
    builds = ci.builds(one.job, NEWEST)  # it may have become one since the first look, and been forgotten in the queue
    mine = _of_item(one, item_id, builds)
    if mine:
        return mine
    if _all_seen(ci, one, builds):
        give_up(context, one)
        raise PermanentError(f"Jenkins lost queue item {item_id} of {one.job}, as it does when it is killed")
    raise OutcomeUnknown(f"Jenkins no longer knows queue item {item_id} of {one.job}, nor which build came of it")


def _of_item(one: Start, item_id: int, builds: Sequence[Build]) -> BuildRef | None:
    return next((build.ref for build in builds if build.queue_id == item_id and _can_be(one, build)), None)


def ended(context: Context, ref: BuildRef, look_again: timedelta) -> Build | Wait:
    """The build when it has ended, whatever its result; a wait until then."""
    build = context.ports.ci.build(ref)
    if build.building or build.result is None:
        return Wait(context.clock.now() + look_again, f"{ref} runs since {build.started:%H:%M} UTC")
    measure(context, [build])
    return build


def failure(context: Context, build: Build) -> str:
    """How it ended, with the last line of its log if that can be had."""
    result = build.result.value if build.result else "nothing"
    try:
        tail = context.ports.ci.log_tail(build.ref, 1)
    except KcibotError:
        tail = ()
    return f"{build.ref} ended as {result}{': ' + tail[-1] if tail else ''} ({build.url})"


def give_up(context: Context, one: Start) -> None:
    """It came to nothing, or to nothing of use: the next try is a new start."""
    context.remember(STARTS, _key(context, one.job, one.parameters), one.attempt + 1)


def others(context: Context, one: Start, item_id: int) -> tuple[BuildRef, ...]:
    """Builds of the job that began since, run, and are not ours."""
    return tuple(
        build.ref
        for build in context.ports.ci.builds(one.job, NEWEST)
        if build.building and build.ref.number >= one.first and build.queue_id != item_id
    )


# ---- looking for a start whose answer was lost -----------------------------------------------------------------


def _found(ci: CiServer, one: Start) -> Proof[int]:
    """The queue first, then what runs, then the builds: an item that moves on meanwhile is seen further down."""
    look = ci.look()
    builds = ci.builds(one.job, NEWEST)
    waiting = {
        i.item_id for i in look.queued if i.job == one.job and i.item_id not in one.queued and one.fits(i.parameters)
    }
    found = waiting | {build.queue_id for build in builds if _can_be(one, build) and build.queue_id not in one.queued}
    if len(found) > 1:
        raise OutcomeUnknown(f"{len(found)} builds of {one.job} with these parameters came, and I cannot tell mine")
    if found:
        return Happened(found.pop())
    if one.equal:
        raise OutcomeUnknown(
            f"an equal build of {one.job} (item {one.equal[0]}) waited in the queue already, and Jenkins makes one of "
            "such two: I cannot tell whether mine is in it"
        )
    if any(busy.build is None for busy in look.running):
        raise OutcomeUnknown(f"an executor of Jenkins does not say what it runs; it may be {one.job}")
    if not _all_seen(ci, one, builds):
        raise OutcomeUnknown(f"Jenkins no longer has all builds of {one.job} since then")
    return NotHappened()


def _can_be(one: Start, build: Build) -> bool:
    return build.ref.number >= one.first and one.fits(build.parameters)


def _all_seen(ci: CiServer, one: Start, builds: tuple[Build, ...]) -> bool:
    """Whether those builds are all that the job ever started since."""
    numbers = {build.ref.number for build in builds}
    return numbers.issuperset(range(one.first, ci.job(one.job).next_build))


def _disable_after(ci: CiServer, job: str, error: KcibotError) -> None:
    try:
        ci.disable(job)
    except KcibotError as trouble:
        raise OutcomeUnknown(f"{error} And {job} may be enabled still: {trouble}") from trouble


def _attempt(context: Context, job: str, parameters: Mapping[str, str]) -> int:
    kept = context.recall(STARTS).get(_key(context, job, parameters))
    return kept if isinstance(kept, int) else 1


def _key(context: Context, job: str, parameters: Mapping[str, str]) -> str:
    return f"{context.run.id}/{job}/{digest(dict(parameters))[:12]}"
