"""LAVA's XML-RPC interface, which all versions have; the methods used here are those of 2018 and later."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from kcibot.core.ports.labs import Device, DeviceStatus, LabJobState, OpenJob
from kcibot.errors import TransientError
from kcibot.services.lava.http import LavaServer

if TYPE_CHECKING:
    import requests

PAGE = 50
"""Jobs asked for at a time. LAVA tells up to a hundred, so that fewer than asked for are all there are."""

OVERLAP = 10
"""Jobs of a page that are asked for again with the next: that many may end in between, and none is lost."""

ATTEMPTS = 3
"""How often a list is read from its start because too many jobs ended meanwhile."""

MOST_JOBS = 10_000
"""Jobs of everybody, in one state, that are looked through."""

DETAILS_AT_A_TIME = 50

Value = TypeVar("Value")


class _Job(BaseModel):
    id: int | str
    description: str | None
    device_type: str | None
    submitter: str


class _Times(BaseModel):
    submit_time: datetime | None = None
    start_time: datetime | None = None


_JOBS = TypeAdapter(list[_Job])
_DEVICES = TypeAdapter(list[list[object]])
_DETAILS = TypeAdapter(list[list[_Times] | dict[str, object]])
_USER = TypeAdapter(str | None)

Found = dict[str, tuple[_Job, LabJobState]]


class XmlRpcApi:
    """What a lab answers to one user, over XML-RPC. The session is from the server's `session`."""

    def __init__(self, server: LavaServer) -> None:
        self._server = server

    def user(self, session: "requests.Session") -> str | None:
        """Whom the lab takes us for; None is a stranger."""
        return self._valid(_USER, self._server.call(session, "system.whoami"), "who we are")

    def count(self, session: "requests.Session", states: Iterable[LabJobState]) -> int:
        """How many jobs of the user are in these states."""
        return len(self._ours(session, states))

    def open_jobs(self, session: "requests.Session") -> list[OpenJob]:
        """With the times that the lab tells about each."""
        found = self._ours(session, LabJobState)
        times = self._times(session, list(found))
        jobs = [_open(ident, *found[ident], times.get(ident, _Times())) for ident in found]
        return sorted(jobs, key=lambda job: [int(part) for part in job.ident.split(".") if part.isdigit()])

    def devices(self, session: "requests.Session") -> list[Device]:
        """Every board that is not retired."""
        what = "its boards"
        rows = self._valid(_DEVICES, self._server.call(session, "scheduler.all_devices"), what)
        if any(len(row) < 3 for row in rows):  # noqa: PLR2004 (name, type, status; versions differ in what follows)
            raise self._something_else(what)
        return [_device(*map(str, row[:3])) for row in rows if row[2] != "retired"]

    def _ours(self, session: "requests.Session", states: Iterable[LabJobState]) -> Found:
        """State by state, in the order in which jobs move: one that moves meanwhile is seen again, never missed."""
        found: Found = {}
        for state in LabJobState:
            if state in set(states):
                ours = (job for job in self._in_state(session, state) if job.submitter == self._server.user)
                found |= {str(job.id): (job, state) for job in ours}
        return found

    def _in_state(self, session: "requests.Session", state: LabJobState) -> Sequence[_Job]:
        """Everybody's jobs in that state; LAVA cannot be asked for one user's."""
        for _ in range(ATTEMPTS):
            jobs = self._whole_list(session, state)
            if jobs is not None:
                return jobs
        raise TransientError(f"The jobs of the lab {self._server.name} move too fast to be listed.")

    def _whole_list(self, session: "requests.Session", state: LabJobState) -> Sequence[_Job] | None:
        """None if so many jobs ended meanwhile that some could have been missed.

        The list begins with the newest. Jobs that end move all older ones forward; so each page begins within the one
        before it, and must show a part of it again.
        """
        jobs: dict[int | str, _Job] = {}
        start = 0
        while len(jobs) < MOST_JOBS:
            answer = self._server.call(session, "scheduler.jobs.list", state.upper(), None, start, PAGE)
            page = {job.id: job for job in self._valid(_JOBS, answer, "the jobs")}
            if jobs and not jobs.keys() & page.keys():
                return None
            jobs |= page
            if len(page) < PAGE:
                return list(jobs.values())
            start += PAGE - OVERLAP
        raise TransientError(f"The lab {self._server.name} has more jobs than can be listed.")

    def _times(self, session: "requests.Session", idents: Sequence[str]) -> dict[str, _Times]:
        """Of those that the lab tells about; a job may be gone by now, and its times with it."""
        times: dict[str, _Times] = {}
        for start in range(0, len(idents), DETAILS_AT_A_TIME):
            asked = idents[start : start + DETAILS_AT_A_TIME]
            calls = [{"methodName": "scheduler.jobs.show", "params": [ident]} for ident in asked]
            answers = self._valid(_DETAILS, self._server.call(session, "system.multicall", calls), "the jobs' times")
            told = zip(asked, answers, strict=False)
            times |= {ident: answer[0] for ident, answer in told if isinstance(answer, list) and answer}
        return times

    def _valid(self, kind: TypeAdapter[Value], answer: object, what: str) -> Value:
        try:
            return kind.validate_python(answer)
        except ValidationError as error:
            raise self._something_else(what) from error

    def _something_else(self, what: str) -> TransientError:
        return TransientError(f"The lab {self._server.name} answered something else than {what}.")


def _open(ident: str, job: _Job, state: LabJobState, times: _Times) -> OpenJob:
    since = times.start_time if state.has_begun and times.start_time else times.submit_time
    # XML-RPC's times have no zone; LAVA's are UTC.
    return OpenJob(ident, job.device_type or "", state, since and since.replace(tzinfo=UTC), job.description or "")


def _device(name: str, device_type: str, status: str) -> Device:
    known = status in set(DeviceStatus)
    return Device(name, device_type, DeviceStatus(status) if known else DeviceStatus.OFFLINE)
