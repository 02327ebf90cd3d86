"""Step 9: the trigger, the queue and what the results API said, kept in the journal beside the record of builds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from kcibot.sdk import (
    Build,
    BuildRef,
    BuildResult,
    Context,
    KernelResult,
    NotFound,
    QueueItem,
    Revision,
    RevisionStatus,
    Standing,
    TransientError,
)

TRIGGER, QUEUE, STANDING = "trigger", "queue", "standing"


def trigger_seen(context: Context, place: str, kept: Mapping[str, object], ref: BuildRef) -> Build:
    """The trigger's build; once it has ended it is not asked for again. One that Jenkins lost has no result."""
    standing = kept_trigger(kept)
    if standing and standing.ref == ref and not standing.building:
        return standing
    try:
        found = context.ports.ci.build(ref)
    except NotFound:
        if standing is None:
            raise
        found = replace(standing, building=False, result=None)
    if _trigger_json(found) != kept.get(TRIGGER):
        context.remember(place, TRIGGER, _trigger_json(found))
    return found


def _trigger_json(one: Build) -> dict[str, object]:
    wanted = ("BUILD_CONFIG", "COMMIT_ID", "ALLOW_REBUILD")
    return {
        "job": one.ref.job,
        "number": one.ref.number,
        "building": one.building,
        "result": one.result.value if one.result else "",
        "started": one.started.isoformat(),
        "seconds": one.seconds,
        "queue_id": one.queue_id,
        "url": one.url,
        "parameters": {name: one.parameters[name] for name in wanted if name in one.parameters},
    }


def kept_trigger(kept: Mapping[str, object]) -> Build | None:
    """The trigger as it was last seen."""
    value = kept.get(TRIGGER)
    if not isinstance(value, dict):
        return None
    return Build(
        ref=BuildRef(str(value["job"]), int(value["number"])),
        building=bool(value["building"]),
        result=BuildResult(value["result"]) if value["result"] else None,
        started=datetime.fromisoformat(str(value["started"])),
        seconds=float(value["seconds"]),
        queue_id=int(value["queue_id"]),
        parameters=dict(value["parameters"]),
        upstream=None,
        url=str(value["url"]),
    )


def queue_seen(context: Context, place: str, kept: Mapping[str, object], queued: Sequence[QueueItem]) -> None:
    """Keep which kernels wait."""
    names = ("ARCH", "DEFCONFIG", "BUILD_ENVIRONMENT")
    value = [
        [one.item_id, one.job, one.since.isoformat(), {name: one.parameters.get(name, "") for name in names}]
        for one in queued
    ]
    if kept.get(QUEUE, []) != value:
        context.remember(place, QUEUE, value)


def kept_queue(kept: Mapping[str, object]) -> tuple[QueueItem, ...]:
    """The kernels that waited at the last look."""
    value = kept.get(QUEUE)
    rows = value if isinstance(value, list) else []
    return tuple(QueueItem(item, job, "", datetime.fromisoformat(since), given) for item, job, since, given in rows)


def standing_seen(
    context: Context, place: str, kept: Mapping[str, object], revision: Revision | None
) -> Standing | None:
    """What the results API knows; None if it does not answer, which does not keep Jenkins from being followed."""
    if revision is None:
        return Standing(None)
    try:
        found = context.ports.results.standing(revision)
    except NotFound:
        return Standing(None)
    except TransientError:
        return None
    value: dict[str, object] = {
        "status": found.status,
        "kernels": dict(found.kernels),
        "failed": [[one.arch, one.defconfig, one.environment, one.status] for one in found.failed],
        "plans": dict(found.plans),
    }
    if kept.get(STANDING) != value:
        context.remember(place, STANDING, value)
    return found


def kept_standing(kept: Mapping[str, object]) -> Standing | None:
    """What the results API said last; None if it never was asked."""
    value = kept.get(STANDING)
    if not isinstance(value, dict):
        return None
    status = RevisionStatus(value["status"]) if value["status"] else None
    failed = tuple(KernelResult(*row) for row in value["failed"])
    return Standing(status, value["kernels"], failed, value["plans"])
