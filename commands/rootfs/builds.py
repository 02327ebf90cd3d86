"""Step 8, first half: root file systems are built on Jenkins, and every (name, architecture) is followed to its end.

The trigger ends SUCCESS although builds below it fail, so its result counts for nothing: each build is read by itself.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from kcibot.sdk import (
    Build,
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
    Step,
    TransientError,
    Wait,
    listed,
)
from kcibot_commands.locks import LOCK, PRODUCTION, described, read_lock
from kcibot_commands.plan.steps import plan
from kcibot_commands.rootfs.inside import build_needed
from kcibot_commands.rootfs.numbered import look_by_number
from kcibot_commands.rootfs.orders import VERSION_PARAMETER, Order, Way, ordered, wanted
from kcibot_commands.rootfs.seen import RECENT, Seen, name_of, outcomes, pair_of, progress
from kcibot_commands.rootfs.settings import RootfsSettings
from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.rootfs_moves import ArchResult, Outcome
from kcibot_commands.rules.rootfs_urls import version_numbers

TOPIC = "rootfs"
"""Name -> the run that built it last."""
LOOKS_BEFORE_LOST = 3
"""So often the trigger may be neither queued nor running: it is between the two for a moment."""


@dataclass(frozen=True)
class RootfsBuild:
    """What became of one round of builds. `architectures` is the whole list of each name that was to be built.

    `version` is the highest that was built, each result has its own. `others` are all architectures of any name.
    """

    version: str
    ended_at: datetime
    architectures: Mapping[str, tuple[str, ...]]
    results: tuple[ArchResult, ...]
    others: tuple[str, ...] = ()


# ---- starting and following ------------------------------------------------------------------------------------


def build(context: Context) -> Done[RootfsBuild] | Wait:
    now, settings = context.clock.now(), context.settings(RootfsSettings)
    locked = _locked(context) if context.memory is None else ""
    if locked:
        return Wait(now + settings.look, locked)
    order = ordered(context)
    try:
        seen = _LOOKS[order.way](context, order)
    except TransientError as error:
        if context.memory is None:
            raise  # it may be the start that failed
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


def _locked(context: Context) -> str:
    """Who keeps production from being changed, if it is not this run: builds would hold its drain for hours."""
    standing = read_lock(context.recall(LOCK).get(PRODUCTION))
    if standing is None or standing.run == context.run.id:
        return ""
    return f"{described(standing, context.clock.now())}; nothing is built meanwhile"


def _look_by_version(context: Context, order: Order) -> Seen:
    for name in order.triggers:
        _start(context, order, name)
    return look(context, order)


def _start(context: Context, order: Order, name: str) -> None:
    settings, ci = context.settings(RootfsSettings), context.ports.ci
    parameters = {"ROOTFS_CONFIG": name, "ROOTFS_ARCH": "", VERSION_PARAMETER: order.version}

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
        if one.parameters.get(VERSION_PARAMETER) == order.version:
            triggers[name_of(one)] = one
    builds = _children(ci.builds(settings.builder_job, RECENT + 2 * len(order.pairs)), triggers, order.version)
    ours = [item for item in queue if item.parameters.get(VERSION_PARAMETER) == order.version]
    names = frozenset(name_of(item) for item in ours if item.job == settings.trigger_job)
    return Seen(triggers, names, builds, sum(item.job == settings.builder_job for item in ours))


def _children(builds: Iterable[Build], triggers: Mapping[str, Build], version: str) -> Mapping[tuple[str, str], Build]:
    """The newest build of each pair: those of our triggers, and those that a person started again by hand."""
    parents = {one.ref for one in triggers.values()}
    found: dict[tuple[str, str], Build] = {}
    for one in sorted(builds, key=lambda each: each.ref.number):
        if one.parameters.get(VERSION_PARAMETER) == version and (one.upstream is None or one.upstream in parents):
            found[pair_of(one)] = one
    return found


_LOOKS: Mapping[Way, Callable[[Context, Order], Seen]] = {
    Way.VERSIONED: _look_by_version,
    Way.NUMBERED: look_by_number,
    Way.JOBS: look_by_number,
}


# ---- results ---------------------------------------------------------------------------------------------------


def _ended(context: Context, order: Order, seen: Seen) -> Done[RootfsBuild]:
    results = outcomes(order, seen)
    if any(one.outcome is Outcome.UNKNOWN for one in results):
        raise OutcomeUnknown("Jenkins says that a root file system build is over, but not how it ended")
    versions = [one.version for one in results if one.version]
    version = order.version or max(versions, key=version_numbers, default=f"{context.clock.now():%Y%m%d}")
    built = RootfsBuild(version, context.clock.now(), order.architectures, results, order.others)
    for name in built.architectures:
        context.remember(TOPIC, name, {"run": context.run.id})
    context.say("table", table(built))
    return Done(summary(built), built)


def summary(built: RootfsBuild) -> str:
    """`23 of 25 built as 20210520.0; not built: buster-igt armhf`."""
    bad = [one for one in built.results if one.outcome is not Outcome.BUILT]
    text = f"{len(built.results) - len(bad)} of {len(built.results)} built as {_versions(built)}"
    return f"{text}; not built: {listed([f'{one.name} {one.arch}' for one in bad])}" if bad else text


def _versions(built: RootfsBuild) -> str:
    return listed(sorted({one.version for one in built.results if one.version})) or built.version


def table(built: RootfsBuild) -> Notice:
    """A line per name, and one per failure with its log."""
    lines = []
    for name in built.architectures:
        rows = [one for one in built.results if one.name == name]
        good = [one.arch for one in rows if one.outcome is Outcome.BUILT]
        lines.append(f"{name}: {listed(good) or 'nothing'} built")
        bad = [one for one in rows if one.arch not in good]
        lines += [f"  {one.arch}: {one.outcome}{f', {one.log}' if one.log else ''}" for one in bad]
    if any(one.outcome is Outcome.STOPPED for one in built.results):
        lines.append("What was stopped may leave loop devices and a full disk on its node, which break later builds.")
    failed = any(one.outcome is not Outcome.BUILT for one in built.results)
    return Notice(f"Root file systems: {summary(built)}", Level.WARNING if failed else Level.SUCCESS, tuple(lines))


# ---- the step --------------------------------------------------------------------------------------------------


def build_preview(context: Context) -> Preview:
    """What would be started, without asking Jenkins: a plan that is only shown must not need it."""
    what, settings = wanted(context), context.settings(RootfsSettings)
    jobs = sorted({settings.jobs[name] for name in what.triggers}) if settings.jobs else [settings.trigger_job]
    names = "" if settings.jobs else f" for {listed([name or 'all names' for name in what.triggers])}"
    line = f"{listed(jobs)}{names}, {worded(len(what.pairs), 'build')}"
    return Preview({"names": list(what.architectures), "job": listed(jobs)}, (line,))


build_rootfs = Step(
    "build-rootfs",
    "Root file systems built",
    build,
    RootfsBuild,
    needed=build_needed,
    preview=build_preview,
    after=(plan,),
    limit=timedelta(hours=60),  # two days for others that have locked production, and the builds
)
