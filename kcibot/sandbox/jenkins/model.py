"""What the stand-in remembers: jobs, builds, queue items, nodes and their executors.

Plain data and what follows from it; what happens is in `world`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from kcibot.sandbox.jenkins.config import JobConfig, Kind, ParameterDefinition, parse_config

LEFT_ITEM_SECONDS = 300.0
"""Jenkins forgets a queue item five minutes after it left."""

GOOD_RESULTS = ("SUCCESS", "UNSTABLE")
COLOURS = {"SUCCESS": "blue", "UNSTABLE": "yellow", "FAILURE": "red", "ABORTED": "aborted", "NOT_BUILT": "notbuilt"}
ESTIMATE_FROM_BUILDS = 3
STABILITY_BUILDS = 5


@dataclass(frozen=True, slots=True)
class ParameterValue:
    """`kind` as in `ParameterDefinition`; a boolean's value is "true" or "false"."""

    kind: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class UserCause:
    user: str

    @property
    def text(self) -> str:
        return f"Started by user {self.user}"


@dataclass(frozen=True, slots=True)
class UpstreamCause:
    project: str
    build: int
    url: str

    @property
    def text(self) -> str:
        return f'Started by upstream project "{self.project}" build number {self.build}'


@dataclass(frozen=True, slots=True)
class TriggerCause:
    """A trigger of the job itself: a timer, or a change in the repository that it watches."""

    kind: str
    text: str


TIMER = TriggerCause("hudson.triggers.TimerTrigger$TimerTriggerCause", "Started by timer")
SCM_CHANGE = TriggerCause("hudson.triggers.SCMTrigger$SCMTriggerCause", "Started by an SCM change")

Cause = UserCause | UpstreamCause | TriggerCause


@dataclass(eq=False, slots=True)
class Run:
    """One build; `ended` and `result` are None while it runs. Times are seconds since the epoch."""

    job: "Job"
    number: int
    queue_id: int
    parameters: tuple[ParameterValue, ...]
    causes: tuple[Cause, ...]
    started: float
    executor: "Executor | None" = None
    node: str = ""
    ended: float | None = None
    result: str | None = None
    log: list[str] = field(default_factory=list)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    keep: bool = False
    description: str | None = None
    aborted_by: str = ""

    @property
    def building(self) -> bool:
        return self.result is None

    @property
    def duration_ms(self) -> int:
        return 0 if self.ended is None else int((self.ended - self.started) * 1000)

    @property
    def path(self) -> str:
        return f"{self.job.path}{self.number}/"


@dataclass(eq=False, slots=True)
class Job:
    """A job or folder; `held` is true for a fresh copy, which does not build until it was disabled and enabled."""

    name: str
    parent: "Job | None"
    xml: str
    config: JobConfig
    held: bool = False
    saved: bool = False
    next_number: int = 1
    runs: dict[int, Run] = field(default_factory=dict)
    children: dict[str, "Job"] = field(default_factory=dict)
    deleted: bool = False
    about_to_start: int = 0

    @property
    def full_name(self) -> str:
        return f"{self.parent.full_name}/{self.name}" if self.parent else self.name

    @property
    def display_name(self) -> str:
        return f"{self.parent.display_name} » {self.name}" if self.parent else self.name

    @property
    def path(self) -> str:
        """Below the root, unquoted: `job/team/job/deploy/`."""
        return f"{self.parent.path if self.parent else ''}job/{self.name}/"

    @property
    def is_folder(self) -> bool:
        return self.config.kind is Kind.FOLDER

    @property
    def buildable(self) -> bool:
        return not (self.is_folder or self.config.disabled or self.held or self.deleted)

    @property
    def newest_first(self) -> list[Run]:
        return list(reversed(self.runs.values()))

    @property
    def running(self) -> list[Run]:
        return [run for run in self.newest_first if run.building]

    def reconfigure(self, xml: str) -> None:
        """Raises BadConfig and leaves everything as it was."""
        config = parse_config(xml)
        self.xml, self.config = xml, config

    def definition(self, name: str) -> ParameterDefinition | None:
        return next((one for one in self.config.parameters if one.name == name), None)

    def newest(self, wanted: Callable[[Run], bool]) -> Run | None:
        return next((run for run in self.newest_first if wanted(run)), None)

    def permalink(self, name: str) -> Run | None:
        """`lastBuild`, `lastFailedBuild` ...; None for an unknown name and for "no such build"."""
        wanted = PERMALINKS.get(name)
        return self.newest(wanted) if wanted else None

    @property
    def colour(self) -> str:
        building = bool(self.runs) and self.newest_first[0].building
        if self.config.disabled or self.deleted:
            return "disabled_anime" if building else "disabled"
        done = self.newest(lambda run: not run.building)
        base = COLOURS[done.result or "NOT_BUILT"] if done else "notbuilt"
        return f"{base}_anime" if building else base

    @property
    def estimate_ms(self) -> int:
        """Mean of the last three builds that ended well, filled up with failures; -1 without any."""
        ended = [run for run in self.newest_first if not run.building]
        good = [run for run in ended if run.result in GOOD_RESULTS]
        chosen = (good + [run for run in ended if run.result == "FAILURE"])[:ESTIMATE_FROM_BUILDS]
        return (sum(run.duration_ms for run in chosen) // len(chosen) or -1) if chosen else -1

    @property
    def stability(self) -> tuple[int, int]:
        """Failed and all of the last five builds that ended conclusively."""
        counted = [run for run in self.newest_first if run.result in {*GOOD_RESULTS, "FAILURE"}][:STABILITY_BUILDS]
        return sum(run.result == "FAILURE" for run in counted), len(counted)


PERMALINKS: dict[str, Callable[[Run], bool]] = {
    "lastBuild": lambda _run: True,
    "lastCompletedBuild": lambda run: not run.building,
    "lastFailedBuild": lambda run: run.result == "FAILURE",
    "lastStableBuild": lambda run: run.result == "SUCCESS",
    "lastSuccessfulBuild": lambda run: run.result in GOOD_RESULTS,
    "lastUnstableBuild": lambda run: run.result == "UNSTABLE",
    "lastUnsuccessfulBuild": lambda run: run.result not in {None, "SUCCESS"},
}


class ItemState(StrEnum):
    """The `_class` of a queue item."""

    WAITING = "hudson.model.Queue$WaitingItem"
    BLOCKED = "hudson.model.Queue$BlockedItem"
    BUILDABLE = "hudson.model.Queue$BuildableItem"
    LEFT = "hudson.model.Queue$LeftItem"


@dataclass(eq=False, slots=True)
class Item:
    """A queue item; `due` is the end of its quiet period. A left one has a `run` as soon as that started."""

    item_id: int
    job: Job
    parameters: tuple[ParameterValue, ...]
    causes: list[Cause]
    since: float
    due: float
    state: ItemState = ItemState.WAITING
    buildable_since: float = 0.0
    cancelled: bool = False
    run: Run | None = None
    left_at: float = 0.0
    watchers: list[Callable[[], None]] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Nothing more will come of it: cancelled, or its build ended."""
        return self.cancelled or (self.run is not None and not self.run.building)

    def tell_watchers(self) -> None:
        watchers, self.watchers = self.watchers, []
        for watcher in watchers:
            watcher()


@dataclass(eq=False, slots=True)
class Executor:
    """A place for one build; `item` is what was given to it and has not started yet. One-off ones have number -1."""

    number: int
    run: Run | None = None
    item: Item | None = None

    @property
    def idle(self) -> bool:
        return self.run is None and self.item is None


@dataclass(eq=False, slots=True)
class Node:
    """`offline_reason` is None while it is online by will; an agent that never connected is `connected` false."""

    name: str
    executors: list[Executor]
    labels: tuple[str, ...] = ()
    description: str = ""
    connected: bool = True
    offline_reason: str | None = None
    one_offs: list[Executor] = field(default_factory=list)

    @property
    def is_master(self) -> bool:
        return self.name == "master"

    @property
    def offline(self) -> bool:
        return not self.connected or self.offline_reason is not None

    @property
    def busy(self) -> list[Executor]:
        return [executor for executor in self.executors if not executor.idle]

    @property
    def all_labels(self) -> tuple[str, ...]:
        return (self.name, *self.labels)


class JobTree:
    """All items by their names, which differ in more than case, as in Jenkins on such a file system."""

    def __init__(self) -> None:
        self.roots: dict[str, Job] = {}

    def children_of(self, parent: Job | None) -> dict[str, Job]:
        return parent.children if parent else self.roots

    def child(self, parent: Job | None, name: str) -> Job | None:
        return self.children_of(parent).get(name.lower())

    def find(self, full_name: str) -> Job | None:
        job: Job | None = None
        for name in full_name.split("/"):
            job = self.child(job, name)
            if job is None:
                return None
        return job

    def add(self, job: Job) -> None:
        self.children_of(job.parent)[job.name.lower()] = job

    def remove(self, job: Job) -> None:
        del self.children_of(job.parent)[job.name.lower()]

    def sorted(self, parent: Job | None = None) -> list[Job]:
        return [job for _, job in sorted(self.children_of(parent).items())]

    def walk(self, parent: Job | None = None) -> Iterator[Job]:
        for job in self.sorted(parent):
            yield job
            yield from self.walk(job)
