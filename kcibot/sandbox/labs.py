"""A LAVA lab on loopback: its REST and XML-RPC interfaces, as far as they are asked by those who look at jobs.

What it answers, also in error, is what LAVA 2023.01 answers, without what nobody here asks for (such as a page's links
to the next); where that is installed, the tests compare the two.
"""

import threading
import xmlrpc.client
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from kcibot.core.ports import Clock
from kcibot.core.ports.labs import Device, DeviceStatus, LabJobState
from kcibot.sandbox.http import Request, Response, StandIn, json_response

VERSION = "2023.01"
FINISHED = "Finished"
STATES = (*LabJobState, FINISHED)
PAGE = 50
MOST_AT_A_TIME = 100
"""Jobs that the XML-RPC interface tells, however many are asked for."""


@dataclass(frozen=True, slots=True)
class _Job:
    id: int
    submitter: str
    device_type: str
    description: str
    submitted: datetime
    begins: datetime
    ends: datetime
    held: str = ""

    def state(self, now: datetime) -> str:
        if self.held:
            return self.held
        if now < self.begins:
            return LabJobState.SUBMITTED
        return LabJobState.RUNNING if now < self.ends else FINISHED

    def began(self, now: datetime) -> datetime | None:
        return self.begins if self.state(now) in {LabJobState.RUNNING, LabJobState.CANCELING, FINISHED} else None


class LavaStandIn(StandIn):
    """The lab `name`. `user` has the one token there is; jobs may be anybody's."""

    def __init__(self, name: str, user: str, token: str, clock: Clock) -> None:
        super().__init__()
        self.name = name
        self._user = user
        self._token = token
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: dict[int, _Job] = {}
        self._boards: dict[str, Device] = {}

    def add_device(self, name: str, device_type: str, status: DeviceStatus = DeviceStatus.IDLE) -> None:
        """A board; one that is OFFLINE is being repaired."""
        with self._lock:
            self._boards[name] = Device(name, device_type, status)

    def submit(
        self,
        description: str,
        device_type: str,
        waits: timedelta = timedelta(minutes=1),
        runs: timedelta = timedelta(minutes=5),
        submitter: str | None = None,
    ) -> int:
        """A job that waits, runs and finishes as the clock passes; its number. Without a board online it waits on."""
        now = self._clock.now()
        with self._lock:
            ident = len(self._jobs) + 1
            submitter = submitter or self._user
            times = (now, now + waits, now + waits + runs)
            held = LabJobState.SUBMITTED if self._offline(device_type) else ""
            self._jobs[ident] = _Job(ident, submitter, device_type, description, *times, held)
        return ident

    def _offline(self, device_type: str) -> bool:
        """Whether all boards of that type are; one that was never added may be anywhere."""
        states = [board.status for board in self._boards.values() if board.device_type == device_type]
        return bool(states) and all(status is DeviceStatus.OFFLINE for status in states)

    def hold(self, ident: int, state: str) -> None:
        """Keep a job in one of LAVA's states, whatever the time."""
        if state not in STATES:
            raise ValueError(f"not a state of LAVA's: {state!r}")
        with self._lock:
            self._jobs[ident] = replace(self._jobs[ident], held=state)

    def respond(self, request: Request) -> Response:
        if request.path == "/RPC2/" and request.method == "POST":
            return self._xmlrpc(request)
        return self._rest(request)

    # ---- REST ------------------------------------------------------------------------------------------------------

    def _rest(self, request: Request) -> Response:
        login = request.headers.get("Authorization", "")
        if login.startswith("Token ") and login != f"Token {self._token}":
            return json_response({"detail": "Invalid token."}, 403)
        match request.path.removeprefix("/api/v0.2/"):
            case "system/version/":
                return json_response({"version": VERSION})
            case "system/whoami/":
                return json_response({"user": self._user if login else ""})
            case "jobs/":
                return self._rest_jobs(request)
            case "devices/":
                return self._page(request, [_rest_device(board) for board in self._busy_boards()])
            case _:
                return Response(404, b"<!DOCTYPE html><html>Not Found</html>", {"Content-Type": "text/html"})

    def _rest_jobs(self, request: Request) -> Response:
        asked = {key: values[-1] for key, values in request.values().items()}
        states = asked.get("state__in", ",".join(STATES)).split(",")
        if not set(states) <= set(STATES):
            return Response(500, b"<!DOCTYPE html><html>Server Error</html>", {"Content-Type": "text/html"})
        now, after = self._clock.now(), int(asked.get("id__gt", 0))
        jobs = [job for job in self._seen(None) if job.state(now) in states and job.id > after]
        if "submitter__username" in asked:
            jobs = [job for job in jobs if job.submitter == asked["submitter__username"]]
        newest_first = asked.get("ordering") == "-id"
        return self._page(request, [_rest_job(job, now) for job in (reversed(jobs) if newest_first else jobs)])

    def _page(self, request: Request, rows: Sequence[dict[str, object]]) -> Response:
        asked = {key: values[-1] for key, values in request.values().items()}
        limit, offset = int(asked.get("limit", PAGE)), int(asked.get("offset", 0))
        return json_response({"count": len(rows), "results": rows[offset : offset + limit]})

    # ---- XML-RPC ---------------------------------------------------------------------------------------------------

    def _xmlrpc(self, request: Request) -> Response:
        login = request.headers.get("Authorization", "")
        if login and b64decode(login.removeprefix("Basic ")) != f"{self._user}:{self._token}".encode():
            realm = 'Basic realm="XML-RPC Authentication token"'
            return Response(401, b"Invalid token", {"Content-Type": "text/html", "WWW-Authenticate": realm})
        arguments, method = xmlrpc.client.loads(request.body)
        try:
            answer: object = (self._method(method or "", arguments, self._user if login else None),)
        except xmlrpc.client.Fault as fault:
            answer = fault
        body = xmlrpc.client.dumps(answer, methodresponse=True, allow_none=True)  # type: ignore[arg-type]  # as checked
        return Response(200, body.encode(), {"Content-Type": "application/xml"})

    def _method(self, name: str, arguments: Sequence[object], user: str | None) -> object:
        methods: dict[str, Callable[..., object]] = {
            "system.version": lambda: VERSION,
            "system.whoami": lambda: user,
            "system.multicall": lambda calls: [self._one_of_many(call, user) for call in calls],
            "scheduler.all_devices": lambda: [_xmlrpc_device(board) for board in self._busy_boards()],
            "scheduler.jobs.list": self._list_jobs,
            "scheduler.jobs.show": self._show_job,
        }
        if name not in methods:
            raise xmlrpc.client.Fault(-32601, f"No such method: {name!r}")
        return methods[name](*arguments)

    def _one_of_many(self, call: dict[str, object], user: str | None) -> object:
        try:
            return [self._method(str(call["methodName"]), call["params"], user)]  # type: ignore[arg-type]  # the client's
        except xmlrpc.client.Fault as fault:
            return fault

    def _list_jobs(self, state: str = "", _health: object = None, start: int = 0, limit: int = 25) -> object:
        if state and state.capitalize() not in STATES:
            raise xmlrpc.client.Fault(400, f"Invalid state '{state}'")
        now = self._clock.now()
        jobs = [job for job in self._seen(None) if not state or job.state(now) == state.capitalize()]
        newest = jobs[::-1][max(0, start) :][: min(limit, MOST_AT_A_TIME)]
        return [_xmlrpc_job(job, now) for job in newest]

    def _show_job(self, ident: object) -> object:
        now = self._clock.now()
        for job in self._seen(str(ident)):
            began = job.began(now)
            return {
                **_xmlrpc_job(job, now),
                "submit_time": _naive(job.submitted),
                "start_time": began and _naive(began),
            }
        raise xmlrpc.client.Fault(404, f"Job '{ident}' was not found.")

    # ---- what there is ---------------------------------------------------------------------------------------------

    def _seen(self, ident: str | None) -> list[_Job]:
        with self._lock:
            return [job for job in self._jobs.values() if ident in {None, str(job.id)}]

    def _busy_boards(self) -> list[Device]:
        """The boards, as many of a type running as jobs of that type do."""
        now = self._clock.now()
        running = [job.device_type for job in self._seen(None) if job.state(now) == LabJobState.RUNNING]
        boards = []
        with self._lock:
            for _, board in sorted(self._boards.items()):
                busy = board.status is DeviceStatus.IDLE and board.device_type in running
                if busy:
                    running.remove(board.device_type)
                boards.append(replace(board, status=DeviceStatus.RUNNING) if busy else board)
        return boards


def _naive(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(tzinfo=None)


def _rest_job(job: _Job, now: datetime) -> dict[str, object]:
    began = job.began(now)
    return {
        "id": job.id,
        "submitter": job.submitter,
        "description": job.description,
        "requested_device_type": job.device_type,
        "submit_time": job.submitted.isoformat(),
        "start_time": began and began.isoformat(),
        "state": job.state(now),
        "health": "Unknown",
    }


def _rest_device(board: Device) -> dict[str, object]:
    offline = board.status is DeviceStatus.OFFLINE
    state, health = ("Idle", "Maintenance") if offline else (board.status.capitalize(), "Good")
    return {"hostname": board.name, "device_type": board.device_type, "state": state, "health": health}


def _xmlrpc_device(board: Device) -> list[object]:
    return [board.name, board.device_type, str(board.status), None, True]


def _xmlrpc_job(job: _Job, now: datetime) -> dict[str, object]:
    return {
        "id": job.id,
        "description": job.description,
        "device_type": job.device_type,
        "health": "Unknown",
        "state": str(job.state(now)),
        "submitter": job.submitter,
    }
