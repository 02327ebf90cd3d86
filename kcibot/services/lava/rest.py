"""LAVA's REST interface, version 0.2 (from 2020 on)."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from kcibot.core.ports.labs import Device, DeviceStatus, LabJobState, OpenJob
from kcibot.errors import PermanentError, TransientError
from kcibot.services.lava.http import LavaServer

if TYPE_CHECKING:
    import requests

PAGE = 50
"""Rows asked for at a time. Every job comes with its whole definition, twice: a page is megabytes."""

MOST_JOBS = 5000
"""Open jobs that are listed; nobody reads more."""

_ROOT = "/api/v0.2/"
_TAKES_JOBS = frozenset({"Good", "Unknown"})
_BUSY = {"Reserved": DeviceStatus.RESERVED, "Running": DeviceStatus.RUNNING}


class _Page(BaseModel):
    count: int = Field(ge=0)
    results: list[dict[str, object]]


class _WhoAmI(BaseModel):
    user: str


class _Job(BaseModel):
    id: int
    submitter: str
    state: str
    description: str | None
    requested_device_type: str | None
    submit_time: datetime
    start_time: datetime | None


class _Device(BaseModel):
    hostname: str
    device_type: str
    state: Literal["Idle", "Reserved", "Running"]
    health: str


Document = TypeVar("Document", bound=BaseModel)


class RestApi:
    """What a lab answers to one user, over REST. The session is from the server's `session`."""

    def __init__(self, server: LavaServer) -> None:
        self._server = server

    def user(self, session: "requests.Session") -> str | None:
        """Whom the lab takes us for; None is a stranger."""
        what = "who we are"
        body = self._server.get(session, f"{_ROOT}system/whoami/", what, {})
        return self._valid(lambda: _WhoAmI.model_validate_json(body), what).user or None

    def count(self, session: "requests.Session", states: Iterable[LabJobState]) -> int:
        """How many jobs of the user are in these states, without reading them."""
        page = self._jobs_page(session, states, after=0, limit=1)
        self._ours(page.results)
        return page.count

    def open_jobs(self, session: "requests.Session") -> list[OpenJob]:
        """By their ids, each page from where the last one ended: a job that ends meanwhile moves no other."""
        jobs: list[_Job] = []
        while True:
            last = jobs[-1].id if jobs else 0
            page = self._jobs_page(session, LabJobState, after=last, limit=PAGE)
            found = self._ours(page.results)
            if any(job.id <= before for job, before in zip(found, [last, *(job.id for job in found)], strict=False)):
                raise self._ignored()
            jobs += found
            if len(found) >= page.count:
                return [_open(job) for job in jobs]
            if not found or len(jobs) >= MOST_JOBS:
                raise TransientError(f"The lab {self._server.name} has more open jobs than it could list.")

    def devices(self, session: "requests.Session") -> list[Device]:
        """Every board that is not retired."""
        rows: dict[str, _Device] = {}
        while True:
            query = {"ordering": "hostname", "limit": str(PAGE), "offset": str(len(rows))}
            page = self._page(session, "devices/", "its boards", query)
            found = [self._row(_Device, row, "its boards") for row in page.results]
            rows |= {row.hostname: row for row in found}
            if len(rows) >= page.count:
                return [_device(row) for row in rows.values() if row.health != "Retired"]
            if not found or len(rows) >= MOST_JOBS:
                raise TransientError(f"The lab {self._server.name} did not list all of its boards.")

    def _jobs_page(self, session: "requests.Session", states: Iterable[LabJobState], after: int, limit: int) -> _Page:
        query = {
            "state__in": ",".join(states),
            "submitter__username": self._server.user,
            "ordering": "id",
            "id__gt": str(after),
            "limit": str(limit),
        }
        page = self._page(session, "jobs/", "our jobs", query)
        if page.count and not page.results:
            raise TransientError(f"The lab {self._server.name} did not list the jobs that it counts.")
        return page

    def _page(self, session: "requests.Session", path: str, what: str, query: dict[str, str]) -> _Page:
        body = self._server.get(session, _ROOT + path, what, query)
        return self._valid(lambda: _Page.model_validate_json(body), what)

    def _ours(self, rows: Sequence[dict[str, object]]) -> list[_Job]:
        """The rows, if all of them were asked for: LAVA ignores filters that its version does not know."""
        jobs = [self._row(_Job, row, "our jobs") for row in rows]
        if any(job.submitter != self._server.user or job.state not in set(LabJobState) for job in jobs):
            raise self._ignored()
        return jobs

    def _ignored(self) -> PermanentError:
        return PermanentError(
            f"The lab {self._server.name} answers with other jobs than asked for, as old versions of LAVA do; "
            "ask it with `api: xmlrpc`."
        )

    def _row(self, kind: type[Document], row: dict[str, object], what: str) -> Document:
        return self._valid(lambda: kind.model_validate(row), what)

    def _valid(self, read: Callable[[], Document], what: str) -> Document:
        try:
            return read()
        except ValidationError as error:
            raise TransientError(f"The lab {self._server.name} answered something else than {what}.") from error


def _open(job: _Job) -> OpenJob:
    state = LabJobState(job.state)
    since = job.start_time if state.has_begun and job.start_time else job.submit_time
    return OpenJob(str(job.id), job.requested_device_type or "", state, since, job.description or "")


def _device(row: _Device) -> Device:
    """Online as the lab's own pages have it: a busy board always, an idle one if its health lets it take jobs."""
    idle = DeviceStatus.IDLE if row.health in _TAKES_JOBS else DeviceStatus.OFFLINE
    return Device(row.hostname, row.device_type, _BUSY.get(row.state, idle))
