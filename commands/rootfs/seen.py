"""One look at the root file systems that are built: what runs, what waits, and what became of each of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from kcibot.sdk import Build, BuildResult, QueueItem, listed
from kcibot_commands.rootfs.orders import VERSION_PARAMETER, Order, Way
from kcibot_commands.rules.rootfs_moves import ArchResult, Outcome
from kcibot_commands.rules.rootfs_urls import VERSION

RECENT = 50
"""Builds that are looked through for those of this round, beside one for each that it makes."""


@dataclass(frozen=True)
class Seen:
    """One look: the triggers that run or ran, by their name, those still queued, and the newest build of each pair."""

    triggers: Mapping[str, Build]
    queued: frozenset[str]
    builds: Mapping[tuple[str, str], Build]
    waiting: int = 0

    @property
    def over(self) -> bool:
        parts = (*self.triggers.values(), *self.builds.values())
        return not self.queued and not self.waiting and not any(one.building for one in parts)


def name_of(one: Build | QueueItem) -> str:
    return one.parameters.get("ROOTFS_CONFIG", "")


def pair_of(one: Build) -> tuple[str, str]:
    return name_of(one), one.parameters.get("ROOTFS_ARCH", "")


def progress(order: Order, seen: Seen) -> str:
    """`12 of 25 built, failed: buster-igt armhf`."""
    if not seen.triggers:
        return "waiting for Jenkins to begin"
    results = outcomes(order, seen)
    built = sum(one.outcome is Outcome.BUILT for one in results)
    failed = [f"{one.name} {one.arch}" for one in results if one.outcome is Outcome.FAILED]
    return f"{built} of {len(order.pairs)} built" + (f", failed: {listed(failed)}" if failed else "")


def outcomes(order: Order, seen: Seen) -> tuple[ArchResult, ...]:
    """One row for each (name, architecture), as far as it is known now."""
    return tuple(_outcome(order, name, arch, seen.builds.get((name, arch))) for name, arch in order.pairs)


def _outcome(order: Order, name: str, arch: str, found: Build | None) -> ArchResult:
    if found is None:
        return ArchResult(name, arch, Outcome.MISSING)
    log = f"{found.url.rstrip('/')}/console"
    if found.building or found.result is None:
        return ArchResult(name, arch, Outcome.UNKNOWN, log=log)
    if order.way is Way.JOBS:
        return _of_its_own_job(order, ArchResult(name, arch, Outcome.FAILED, log=log), found)
    if found.result is not BuildResult.SUCCESS:
        failed = Outcome.STOPPED if found.result is BuildResult.ABORTED else Outcome.FAILED
        return ArchResult(name, arch, failed, log=log)
    version = version_of(found, arch) or found.parameters.get(VERSION_PARAMETER, "") or order.version
    return ArchResult(name, arch, Outcome.BUILT, version, log)


def _of_its_own_job(order: Order, row: ArchResult, found: Build) -> ArchResult:
    """One build makes all architectures of a name. A failed one has made those that it kept files of, but not all."""
    versions = {arch: version_of(found, arch) for arch in order.architectures[row.name]}
    good = found.result is BuildResult.SUCCESS or not all(versions.values())
    version = versions[row.arch]
    if version and good:
        return ArchResult(row.name, row.arch, Outcome.BUILT, version, row.log)
    return row


def version_of(found: Build, arch: str) -> str:
    """As its artefacts' paths have it, `<version>/<arch>/rootfs.cpio.gz`; empty if it keeps none on Jenkins."""
    folders = [path.split("/")[-3:] for path in found.artifacts]
    named = {parts[0] for parts in folders if len(parts) == 3 and parts[1] == arch}  # noqa: PLR2004 (the path's parts)
    return min((one for one in named if VERSION.fullmatch(one)), default="")
