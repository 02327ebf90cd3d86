"""A test lab: the boards it has, and which jobs of ours are still open there."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class LabJobState(StrEnum):
    """Where a job is that has not finished, in LAVA's words. A job moves on in this order, and never back."""

    SUBMITTED = "Submitted"
    SCHEDULING = "Scheduling"
    SCHEDULED = "Scheduled"
    RUNNING = "Running"
    CANCELING = "Canceling"

    @property
    def has_begun(self) -> bool:
        """It is on a board: its results are still to come, also when it is being cancelled."""
        return self in {LabJobState.RUNNING, LabJobState.CANCELING}


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job that has not finished.

    `ident` is how the lab calls it. `device_type` is empty for one that asks for no board. `since` is when it was
    submitted or, once it has begun, when it began; None if the lab does not tell.
    """

    ident: str
    device_type: str
    state: LabJobState
    since: datetime | None
    description: str


class DeviceStatus(StrEnum):
    """What a board does. OFFLINE takes no jobs: it is ill, being repaired, or in a loop of health checks."""

    IDLE = "idle"
    RESERVED = "reserved"
    RUNNING = "running"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Device:
    """One board. Those that the lab has retired are none."""

    name: str
    device_type: str
    status: DeviceStatus


@dataclass(frozen=True, slots=True)
class LabLook:
    """One look at a lab: our jobs that wait, those on a board, and the boards.

    A job that begins while the lab is looked at may count in both; none is left out.
    """

    name: str
    submitted: int
    running: int
    devices_online: int
    devices_total: int

    @property
    def open(self) -> int:
        """Our jobs that have not finished."""
        return self.submitted + self.running


class Lab(Protocol):
    """One lab, seen by one of its users, whose jobs are meant by "our jobs".

    "No jobs" is only said when the lab knew who was asking: it shows strangers less, without saying so.
    TransientError means that it could not be seen.
    """

    @property
    def name(self) -> str: ...

    def look(self) -> LabLook: ...

    def open_jobs(self) -> tuple[OpenJob, ...]:
        """Ours that have not finished, oldest first."""
        ...

    def devices(self) -> tuple[Device, ...]:
        """Every board that the user may see, by name."""
        ...
