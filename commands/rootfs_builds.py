"""Step 8, first half: root file systems are built on Jenkins, and every (name, architecture) is followed to its end.

The trigger ends SUCCESS although builds below it fail, so its result counts for nothing: each build is read by itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from kcibot.sdk import (
    Build,
    BuildResult,
    Context,
    Done,
    Happened,
    Level,
    NotHappened,
    Notice,
    OutcomeUnknown,
    PermanentError,
    Preview,
    Proof,
    QueueItem,
    Step,
    TransientError,
    Wait,
    listed,
)
from kcibot_commands.plan import plan
from kcibot_commands.rootfs_orders import Order, RootfsSettings, ordered
from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.rootfs_moves import ArchResult, Outcome
from kcibot_commands.rules.rootfs_urls import VERSION

TOPIC = "rootfs"
LAST = "last build"
RECENT = 50
LOOKS_BEFORE_LOST = 3
"""So often the trigger may be neither queued nor running: it is between the two for a moment."""


@dataclass(frozen=True)
class RootfsBuild:
    """What became of one round of builds. `architectures` is the whole list of each name that was to be built."""

    version: str
    ended_at: datetime
    architectures: Mapping[str, tuple[str, ...]]
    results: tuple[ArchResult, ...]


# ---- starting and following ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """One look: the triggers that run or ran, by their name, those still queued, and the newest build of each pair."""

    triggers: Mapping[str, Build]
    queued: frozenset[str]
    builds: Mapping[tuple[str, str], Build]
    waiting: int

    @property
    def over(self) -> bool:
        parts = (*self.triggers.values(), *self.builds.values())
        return not self.queued and not self.waiting and not any(one.building for one in parts)


def build(context: Context) -> Done[RootfsBuild] | Wait:
    order = ordered(context)
    settings = context.settings(RootfsSettings)
    for name in order.triggers:
        _start(context, order, name)
    now = context.clock.now()
    try:
        seen = look(context, order)
    except TransientError as error:
        return Wait(now + settings.look, f"{error} I look again.", context.memory)
    lost = [name for name in order.triggers if name not in seen.triggers and name not in seen.queued]
    missed = _missed(context.memory) + 1 if lost else 0
    if missed >= LOOKS_BEFORE_LOST:
        raise PermanentError(f"Jenkins no longer knows the start of {settings.trigger_job}; start it again")
    if lost or not seen.over:
        return Wait(now + settings.look, progress(order, seen), {"missed": missed})
    return _ended(context, order, seen)


def _missed(memory: object) -> int:
    return int(memory.get("missed", 0)) if isinstance(memory, dict) else 0


def _start(context: Context, order: Order, name: str) -> None:
    settings, ci = context.settings(RootfsSettings), context.ports.ci
    parameters = {"ROOTFS_CONFIG": name, "ROOTFS_ARCH": "", "PIPELINE_VERSION": order.version}

    def probe() -> Proof[int]:
        """The version is this run's own, so whatever has it was started here."""
        waiting = {item.item_id: item.parameters for item in ci.look().queued if item.job == settings.trigger_job}
        started = {one.queue_id: one.parameters for one in ci.builds(settings.trigger_job, RECENT)}
        for item_id, given in (waiting | started).items():
            if all(given.get(key, "") == value for key, value in parameters.items()):
                return Happened(item_id)
        return NotHappened()

    context.effect(
        f"start {settings.trigger_job} for {name or 'all names'} as {order.version}",
        lambda: ci.trigger(settings.trigger_job, parameters),
        probe,
    )


def look(context: Context, order: Order) -> Seen:
    """Four requests, however much is built. The queue first: what leaves it meanwhile is then seen as a build."""
    settings, ci = context.settings(RootfsSettings), context.ports.ci
    queue = ci.look().queued
    triggers: dict[str, Build] = {}
    for one in reversed(ci.builds(settings.trigger_job, RECENT)):
        if one.parameters.get("PIPELINE_VERSION") == order.version:
            triggers[_name(one)] = one
    builds = _children(ci.builds(settings.builder_job, RECENT + 2 * len(order.pairs)), triggers, order.version)
    ours = [item for item in queue if item.parameters.get("PIPELINE_VERSION") == order.version]
    names = frozenset(_name(item) for item in ours if item.job == settings.trigger_job)
    return Seen(triggers, names, builds, sum(item.job == settings.builder_job for item in ours))


def _name(one: Build | QueueItem) -> str:
    return one.parameters.get("ROOTFS_CONFIG", "")


def _children(builds: Iterable[Build], triggers: Mapping[str, Build], version: str) -> Mapping[tuple[str, str], Build]:
    """The newest build of each pair: those of our triggers, and those that a person started again by hand."""
    parents = {one.ref for one in triggers.values()}
    found: dict[tuple[str, str], Build] = {}
    for one in sorted(builds, key=lambda each: each.ref.number):
        if one.parameters.get("PIPELINE_VERSION") == version and (one.upstream is None or one.upstream in parents):
            found[_name(one), one.parameters.get("ROOTFS_ARCH", "")] = one
    return found


def progress(order: Order, seen: Seen) -> str:
    """`12 of 25 built, failed: buster-igt armhf`."""
    if not seen.triggers:
        return "waiting for Jenkins to begin"
    results = outcomes(order, seen)
    built = sum(one.outcome is Outcome.BUILT for one in results)
    failed = [f"{one.name} {one.arch}" for one in results if one.outcome is Outcome.FAILED]
    return f"{built} of {len(order.pairs)} built" + (f", failed: {listed(failed)}" if failed else "")


# ---- results ---------------------------------------------------------------------------------------------------


def outcomes(order: Order, seen: Seen) -> tuple[ArchResult, ...]:
    """One row for each (name, architecture), as far as it is known now."""
    return tuple(_outcome(name, arch, seen.builds.get((name, arch)), order.version) for name, arch in order.pairs)


def _outcome(name: str, arch: str, found: Build | None, version: str) -> ArchResult:
    if found is None:
        return ArchResult(name, arch, Outcome.MISSING)
    log = f"{found.url.rstrip('/')}/console"
    if found.building or found.result is None:
        return ArchResult(name, arch, Outcome.UNKNOWN, log=log)
    if found.result is not BuildResult.SUCCESS:
        return ArchResult(name, arch, Outcome.FAILED, log=log)
    return ArchResult(name, arch, Outcome.BUILT, _version(found, arch) or version, log)


def _version(found: Build, arch: str) -> str:
    """As its artefacts' paths have it, `<version>/<arch>/rootfs.cpio.gz`; empty if it keeps none on Jenkins."""
    folders = [path.split("/")[-3:] for path in found.artifacts]
    named = {parts[0] for parts in folders if len(parts) == 3 and parts[1] == arch}  # noqa: PLR2004 (the path's parts)
    return min((one for one in named if VERSION.fullmatch(one)), default="")


def _ended(context: Context, order: Order, seen: Seen) -> Done[RootfsBuild]:
    if any(one.outcome is Outcome.UNKNOWN for one in outcomes(order, seen)):
        raise OutcomeUnknown("Jenkins says that a root file system build is over, but not how it ended")
    built = RootfsBuild(order.version, context.clock.now(), order.architectures, outcomes(order, seen))
    context.remember(TOPIC, LAST, {"run": context.run.id})
    context.say("table", table(built))
    return Done(summary(built), built)


def summary(built: RootfsBuild) -> str:
    """`23 of 25 built as 20210520.0; not built: buster-igt armhf`."""
    bad = [one for one in built.results if one.outcome is not Outcome.BUILT]
    text = f"{len(built.results) - len(bad)} of {len(built.results)} built as {built.version}"
    return f"{text}; not built: {listed([f'{one.name} {one.arch}' for one in bad])}" if bad else text


def table(built: RootfsBuild) -> Notice:
    """A line per name, and one per failure with its log."""
    lines = []
    for name in built.architectures:
        rows = [one for one in built.results if one.name == name]
        good = [one.arch for one in rows if one.outcome is Outcome.BUILT]
        lines.append(f"{name}: {listed(good) or 'nothing'} built")
        bad = [one for one in rows if one.arch not in good]
        lines += [f"  {one.arch}: {one.outcome}{f', {one.log}' if one.log else ''}" for one in bad]
    failed = any(one.outcome is not Outcome.BUILT for one in built.results)
    return Notice(f"Root file systems: {summary(built)}", Level.WARNING if failed else Level.SUCCESS, tuple(lines))


# ---- the step --------------------------------------------------------------------------------------------------


def build_preview(context: Context) -> Preview:
    order, settings = ordered(context), context.settings(RootfsSettings)
    names = [name or "all names" for name in order.triggers]
    line = f"{settings.trigger_job} for {listed(names)}, {worded(len(order.pairs), 'build')}"
    return Preview({"names": list(order.architectures), "job": settings.trigger_job}, (line,))


build_rootfs = Step(
    "build-rootfs",
    "Root file systems built",
    build,
    RootfsBuild,
    preview=build_preview,
    after=(plan,),
    limit=timedelta(hours=12),
)
