"""Jenkins' JSON in the words of the ports. A shape that is not understood raises ValueError, never guesses."""

import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

from kcibot.core.ports import (
    Build,
    BuildRef,
    BuildResult,
    Busy,
    ItemState,
    JobState,
    Queued,
    QueueItem,
)

T = TypeVar("T")

JOB_FIELDS = "fullName,disabled,buildable,color,nextBuildNumber,lastBuild[number]"
JOB_TREE = "_class," + JOB_FIELDS
DEEPEST_FOLDER = 4
QUEUE_TREE = "items[id,why,inQueueSince,task[name,url],actions[parameters[name,value]]]"
EXECUTABLE = "idle,currentExecutable[number,url,timestamp,estimatedDuration]"
COMPUTER_TREE = f"computer[displayName,executors[{EXECUTABLE}],oneOffExecutors[{EXECUTABLE}]]"
"""Nothing of labels: one that n nodes share lists n nodes under each of them, which is n times n."""
QUIETING_TREE = "quietingDown"
ITEM_TREE = "id,why,cancelled,executable[number,url]"
BUILD_FIELDS = (
    "number,url,building,result,timestamp,duration,queueId,"
    "actions[parameters[name,value],causes[upstreamProject,upstreamBuild]],artifacts[relativePath]"
)
PARAMETERS_TREE = "property[parameterDefinitions[name]]"


def jobs_tree() -> str:
    """All jobs, also in folders, in one request."""
    tree = f"jobs[{JOB_FIELDS}]"
    for _ in range(DEEPEST_FOLDER):
        tree = f"jobs[{JOB_FIELDS},{tree}]"
    return tree


def job_path(name: str) -> str:
    """`team/deploy` is at `job/team/job/deploy/`."""
    return "".join(f"job/{quote(part, safe='')}/" for part in name.split("/"))


def build_ref(url: str, number: int | None = None) -> BuildRef:
    """From an address like `https://ci.example.org/jenkins/job/team/job/deploy/7/`."""
    _, found, below = urlsplit(url).path.partition("/job/")
    parts = [unquote(part) for part in below.split("/") if part]
    if number is None and parts and parts[-1].isdigit():
        number = int(parts[-1])
    if not found or number is None or not parts:
        raise ValueError(f"not the address of a build: {url}")
    if parts[-1] == str(number):
        parts = parts[:-1]
    return BuildRef(_job_name(parts), number)


def job_of_task(task: Mapping[str, Any]) -> str:
    """The full name; a task without a job's address (part of a pipeline) keeps the name that it shows."""
    _, found, below = urlsplit(word(task.get("url", ""))).path.partition("/job/")
    parts = [unquote(part) for part in below.split("/") if part]
    if not found or not parts:
        return word(task.get("name", "")) or "(unnamed)"
    if len(parts) > 1 and parts[-1].isdigit() and parts[-2] != "job":
        parts = parts[:-1]
    return _job_name(parts)


def _job_name(parts: list[str]) -> str:
    """`team job deploy` is `team/deploy`: every second part is the word job."""
    return "/".join(part for index, part in enumerate(parts) if index % 2 == 0 or part != "job")


def flag(value: object) -> bool:
    """Nothing but true and false: the word "false" and a list with a false in it count as true to Python."""
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a number")
    return value


def word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def rows(value: object) -> list[Any]:
    """An empty text or object would read as "nothing": only a list may say that."""
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def some(value: object) -> list[Any]:
    """A list that cannot be empty, such as that of the nodes: the server itself is one."""
    found = rows(value)
    if not found:
        raise ValueError("an empty list")
    return found


def one_of(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise TypeError("something else")
    return value


def queue_items(queue: Mapping[str, Any]) -> tuple[QueueItem, ...]:
    return tuple(
        QueueItem(
            item_id=number(item["id"]),
            job=job_of_task(item.get("task") or {}),
            why=str(item.get("why") or ""),
            since=moment(number(item["inQueueSince"])),
            parameters=_parameters(item),
        )
        for item in rows(queue["items"])
    )


def busy_executors(computers: Mapping[str, Any]) -> tuple[Busy, ...]:
    return tuple(
        _busy(word(node["displayName"]), executor)
        for node in some(computers["computer"])
        for executor in [*rows(node["executors"]), *rows(node["oneOffExecutors"])]
        if not flag(executor["idle"]) or executor["currentExecutable"] is not None
    )


def quieting_down(root: Mapping[str, Any]) -> bool:
    """A missing flag is no "no"."""
    return flag(root["quietingDown"])


def _busy(node: str, executor: Mapping[str, Any]) -> Busy:
    running = executor["currentExecutable"]
    if not running or not word(running.get("url", "")):
        return Busy(node, None, None, None)
    estimate = number(running.get("estimatedDuration", -1))
    return Busy(
        node=node,
        build=build_ref(running["url"], number(running["number"]) if "number" in running else None),
        since=moment(number(running["timestamp"])) if "timestamp" in running else None,
        estimated_seconds=estimate / 1000 if estimate > 0 else None,
    )


def jobs_below(root: Mapping[str, Any]) -> Iterator[JobState]:
    """Everything that has builds; folders only lead to it."""
    for job in rows(root.get("jobs", [])):
        if "nextBuildNumber" in job:
            yield job_state(job)
        yield from jobs_below(job)


def job_state(job: Mapping[str, Any]) -> JobState:
    """Pipeline jobs have no `disabled`: their colour tells it."""
    last = job.get("lastBuild")
    disabled = flag(job["disabled"]) if "disabled" in job else word(job["color"]).startswith("disabled")
    return JobState(
        name=word(job["fullName"]),
        disabled=disabled,
        buildable=flag(job["buildable"]),
        next_build=number(job["nextBuildNumber"]),
        last_build=number(last["number"]) if last else None,
    )


def parameter_names(job: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        word(definition["name"]) for one in job["property"] if one for definition in one.get("parameterDefinitions", ())
    )


def item_state(item: Mapping[str, Any]) -> ItemState:
    """Only an item that left has the field `cancelled`; it may have left and not started yet."""
    number(item["id"])  # or it is no item
    if "cancelled" not in item:
        return ItemState(Queued.WAITING)
    if flag(item["cancelled"]):
        return ItemState(Queued.CANCELLED)
    executable = item.get("executable")
    if not executable:
        return ItemState(Queued.LEAVING)
    return ItemState(Queued.STARTED, build_ref(executable["url"], number(executable["number"])))


def build(job: str, data: Mapping[str, Any]) -> Build:
    building, result = flag(data["building"]), data["result"]
    return Build(
        ref=BuildRef(job, number(data["number"])),
        building=building,
        result=None if result is None or building else BuildResult(result),
        started=moment(number(data["timestamp"])),
        seconds=number(data["duration"]) / 1000,
        queue_id=number(data["queueId"]),
        parameters=_parameters(data),
        upstream=_upstream(data),
        url=word(data["url"]),
        artifacts=tuple(word(one["relativePath"]) for one in data.get("artifacts", ())),
    )


def queue_id(location: str) -> int:
    match = re.search(r"/queue/item/(\d+)/?$", location)
    if not match:
        raise ValueError(f"not the address of a queue item: {location}")
    return int(match[1])


def moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _parameters(data: Mapping[str, Any]) -> dict[str, str]:
    """A password has no value; a boolean reads as Jenkins takes it, `true` or `false`.

    Interned, since the builds of one revision have nearly all of them in common.
    """
    return {
        sys.intern(word(one["name"])): sys.intern(_text(one["value"]))
        for action in data.get("actions", ())
        for one in (action or {}).get("parameters", ())
        if "value" in one
    }


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _upstream(data: Mapping[str, Any]) -> BuildRef | None:
    for action in data.get("actions", ()):
        for cause in (action or {}).get("causes", ()):
            if cause.get("upstreamProject"):
                return BuildRef(word(cause["upstreamProject"]), number(cause["upstreamBuild"]))
    return None
