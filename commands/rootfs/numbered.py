"""Root file systems on a Jenkins that makes the version itself: its builds are followed by their numbers.

In 2021 one trigger starts a build for each (name, architecture), which have it as their cause. In 2019 each name has a
job of its own, of which one build makes all architectures.
"""

from collections.abc import Iterable, Mapping

from kcibot.sdk import Build, BuildRef, Context, PermanentError, QueueItem, Wait
from kcibot_commands.rootfs.orders import VERSION_PARAMETER, Order, Way
from kcibot_commands.rootfs.seen import RECENT, Seen, pair_of
from kcibot_commands.rootfs.settings import RootfsSettings
from kcibot_commands.starts import Start, build_of, prepared, start


def look_by_number(context: Context, order: Order) -> Seen:
    """Start what was not started yet, then look what became of it: the queue first, so that nothing slips through."""
    triggers: dict[str, Build] = {}
    queued = set()
    items = {name: _started(context, _start_of(context, order, name)) for name in order.triggers}
    queue = context.ports.ci.look().queued
    for name, item in items.items():
        found = build_of(context, _start_of(context, order, name), item)
        if isinstance(found, Wait):
            queued.add(name)
        else:
            triggers[name] = context.ports.ci.build(found)
    builds = _own(order, triggers) if order.way is Way.JOBS else _children(context, order, triggers)
    return Seen(triggers, frozenset(queued), builds, _waiting(context, queue, builds))


def _start_of(context: Context, order: Order, name: str) -> Start:
    settings = context.settings(RootfsSettings)
    if order.way is Way.JOBS:
        return prepared(context, settings.jobs[name], {})
    return prepared(context, settings.trigger_job, {"ROOTFS_CONFIG": name, "ROOTFS_ARCH": ""})


def _started(context: Context, one: Start) -> int:
    if one.disabled:
        raise PermanentError(f"{one.job} is disabled: somebody must enable it first, or build without it")
    return start(context, one)


def _own(order: Order, triggers: Mapping[str, Build]) -> Mapping[tuple[str, str], Build]:
    """Each architecture of a name is made by the one build of its job."""
    return {(name, arch): triggers[name] for name, arch in order.pairs if name in triggers}


def _children(context: Context, order: Order, triggers: Mapping[str, Build]) -> Mapping[tuple[str, str], Build]:
    """The newest build of each pair: those of our triggers, and those that a person started again with its version."""
    ci, settings = context.ports.ci, context.settings(RootfsSettings)
    parents: set[BuildRef] = {one.ref for one in triggers.values()}
    builds = sorted(ci.builds(settings.builder_job, RECENT + 2 * len(order.pairs)), key=lambda one: one.ref.number)
    found: dict[tuple[str, str], Build] = {}
    for one in builds:
        mine = found.get(pair_of(one))
        if one.upstream in parents or (mine and one.upstream is None and _version(one) == _version(mine)):
            found[pair_of(one)] = one
    return found


def _waiting(context: Context, queue: Iterable[QueueItem], builds: Mapping[tuple[str, str], Build]) -> int:
    """How many of the queue are to be built again with a version of ours. What a trigger waits for keeps it running."""
    versions = {_version(one) for one in builds.values()} - {""}
    job = context.settings(RootfsSettings).builder_job
    return sum(item.job == job and item.parameters.get(VERSION_PARAMETER, "") in versions for item in queue)


def _version(one: Build) -> str:
    return one.parameters.get(VERSION_PARAMETER, "")
