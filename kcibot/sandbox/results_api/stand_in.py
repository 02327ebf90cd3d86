"""The server: which path is answered how, and the methods by which the rest of the sandbox brings in results."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from kcibot.core.ports import Revision
from kcibot.sandbox.http import Request, Response, StandIn, json_response
from kcibot.sandbox.results_api import history
from kcibot.sandbox.results_api.callback import BadCallback, parse_callback
from kcibot.sandbox.results_api.documents import COUNTED, Collections
from kcibot.sandbox.results_api.reports import BadReport, Duplicate, Mailed, Reports, nobody
from kcibot.sandbox.results_api.results import Results

_ID = r"(?:/(?P<id>[0-9a-f]{24}))?/?"
_COLLECTIONS = (
    (re.compile(rf"/jobs?{_ID}"), "job"),
    (re.compile(rf"/builds?{_ID}"), "build"),
    (re.compile(rf"/boots?{_ID}"), "boot"),
    (re.compile(rf"/tests?/groups?{_ID}"), "test_group"),
    (re.compile(rf"/tests?/cases?{_ID}"), "test_case"),
    (re.compile(rf"/reports?{_ID}"), "report"),
)
_COUNT = re.compile(r"/counts?(?:/(?P<collection>\w*))?/?")
_CALLBACK = re.compile(r"/callback/lava/(?P<action>\w+)/?")
_PING = re.compile(r"/task/ping(?:/(?P<id>[0-9a-f]+))?/?")
_REASONS = {
    403: "Operation not permitted: provided token is not authorized",
    404: "Resource not found",
    422: "No JSON data found in the POST request",
    501: "Method not implemented",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """What a checker wants to know: documents by kind, and what was asked of the API."""

    jobs: int
    builds: int
    boots: int
    test_groups: int
    test_cases: int
    reports: int
    sends: int
    callbacks: int
    pings: int


class ResultsApiStandIn(StandIn):
    """The backend's API. `token` opens everything but /version; labs post callbacks with their own (`lab_tokens`).

    `version` is asked at every GET /version. `POST /task/ping` and `GET /task/ping/<id>` are the sandbox's own, the
    real backend has no such thing: the first queues a task, the second tells whether the worker consumed it, as
    `ping` says. `now` is the time by which reports become due; then
    `mailed` gets their mails.
    """

    def __init__(
        self,
        token: str,
        version: Callable[[], str],
        ping: Callable[[str], bool] = lambda _task: True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        mailed: Mailed = nobody,
    ) -> None:
        super().__init__()
        self._token = token
        self._version = version
        self._ping = ping
        self._lock = threading.RLock()
        self._collections = Collections(now)
        self._results = Results(self._collections)
        self._reports = Reports(self._collections, now, mailed)
        self._pings: list[str] = []
        self._sends = self._callbacks = 0
        self.lab_tokens = {lab: f"{lab}-token" for lab in history.LABS}

    # ---- for the rest of the sandbox ---------------------------------------------------------------------------

    def post_kernel(
        self,
        tree: str,
        branch: str,
        kernel: str,
        commit: str,
        arch: str,
        defconfig: str,
        environment: str,
        status: str,
        *,
        warnings: int = 0,
    ) -> None:
        """One built kernel; the same one again replaces its result. A new revision begins with status BUILD."""
        with self._lock:
            revision = Revision(tree, branch, kernel)
            self._results.kernel(revision, commit, arch, defconfig, environment, status, warnings=warnings)

    def revision_done(self, tree: str, branch: str, kernel: str, *, report: bool = True) -> None:
        """All kernels are built: FAIL if one failed, PASS otherwise; the build report, if any, is sent at once."""
        with self._lock:
            self._results.done(Revision(tree, branch, kernel))
        if report:
            self.schedule_report(tree, branch, kernel, "build")

    def post_tests(
        self,
        tree: str,
        branch: str,
        kernel: str,
        lab: str,
        device: str,
        plan: str,
        passed: int,
        failed: int,
        *,
        cases: Mapping[str, str] | None = None,
    ) -> None:
        """Results of one plan on one device, replacing older ones; the plan `boot` becomes boots, as in 2019.

        `cases` maps the names of cases to PASS, FAIL, SKIP or ERROR and takes the place of the two numbers; a name
        with dots lies in sub-groups. Without it, cases get names by their number.
        """
        with self._lock:
            self.lab_tokens.setdefault(lab, f"{lab}-token")
            named = history.cases(["PASS"] * passed + ["FAIL"] * failed) if cases is None else cases
            self._results.plan(Revision(tree, branch, kernel), lab, device, plan, named)

    def schedule_report(
        self, tree: str, branch: str, kernel: str, kind: str, plan: str = "", delay: timedelta = timedelta()
    ) -> None:
        """What is due is sent when anybody looks; of a test plan nothing is, if it has no regressions then."""
        with self._lock:
            self._reports.schedule(Revision(tree, branch, kernel), kind, plan, delay)
            self._reports.deliver()

    def deliver_reports(self) -> None:
        """Send what has become due."""
        with self._lock:
            self._reports.deliver()

    def add_report(
        self,
        tree: str,
        branch: str,
        kernel: str,
        kind: str,
        status: str = "SENT",
        errors: tuple[str, ...] = (),
    ) -> None:
        """A report mail went out (SENT) or could not (ERROR); `kind` is build, boot, test or bisect."""
        with self._lock:
            self._reports.add(Revision(tree, branch, kernel), kind, status, errors)

    def preload(self, tree: str, branch: str, kernel: str, kernels: int, labs: int, seed: int = 0) -> None:
        """A finished earlier run: the same arguments make the same results. At most ten labs."""
        if labs > len(history.LABS):
            raise ValueError(f"there are {len(history.LABS)} labs")
        random = Random(f"{tree}/{branch}/{kernel}/{seed}")
        commit = hashlib.sha1(kernel.encode(), usedforsecurity=False).hexdigest()
        for built in history.kernels(kernels, random):
            what = (built.arch, built.defconfig, built.environment)
            self.post_kernel(tree, branch, kernel, commit, *what, built.status)
        self.revision_done(tree, branch, kernel)
        for result in history.tests(labs, random):
            where = (result.lab, result.device, result.plan)
            self.post_tests(tree, branch, kernel, *where, result.passed, result.failed)
        for kind in ("boot", "test"):
            self.add_report(tree, branch, kernel, kind)

    def counts(self) -> Counts:
        """How much there is, and how often the API was asked to act."""
        with self._lock:
            self._reports.deliver()
            return Counts(
                jobs=self._collections.count("job", {}),
                builds=self._collections.count("build", {}),
                boots=self._collections.count("boot", {}),
                test_groups=self._collections.count("test_group", {}),
                test_cases=self._collections.count("test_case", {}),
                reports=self._collections.count("report", {}),
                sends=self._sends,
                callbacks=self._callbacks,
                pings=len(self._pings),
            )

    # ---- over HTTP ---------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Response:
        with self._lock:
            if request.method == "GET" and request.path.rstrip("/") == "/version":
                version = self._version()
                return _answer(result=[{"version": version, "full_version": version}])
            callback = _CALLBACK.fullmatch(request.path)
            if callback and request.method == "POST":
                return self._callback(callback["action"], request)
            if request.headers.get("Authorization") != self._token:
                return _failure(403)
            if request.method == "POST":
                return self._post(request)
            return self._get(request) if request.method in {"GET", "HEAD"} else _failure(501)

    def _get(self, request: Request) -> Response:
        ping, count = _PING.fullmatch(request.path), _COUNT.fullmatch(request.path)
        if ping and ping["id"]:
            return self._ping_state(ping["id"])
        if count:
            return self._count(count["collection"] or "", request)
        for pattern, collection in _COLLECTIONS:
            asked = pattern.fullmatch(request.path)
            if asked:
                self._reports.deliver()
                return self._one(collection, asked["id"]) if asked["id"] else self._list(collection, request)
        return _failure(404)

    def _post(self, request: Request) -> Response:
        if request.path.rstrip("/") == "/send":
            return self._send(request)
        if request.path.rstrip("/") == "/task/ping":
            self._pings.append(f"{len(self._pings) + 1:08x}")
            return _answer(202, result=[{"id": self._pings[-1]}])
        return _failure(501)

    def _one(self, collection: str, identity: str) -> Response:
        found = self._collections.find(collection, _id=identity)
        return _answer(result=found) if found else _failure(404, f"Resource '{identity}' not found")

    def _list(self, collection: str, request: Request) -> Response:
        try:
            page = self._collections.query(collection, request.values())
        except ValueError as error:
            return _failure(400, str(error))
        return _answer(count=page.count, limit=page.limit, skip=page.skip, result=page.rows)

    def _count(self, collection: str, request: Request) -> Response:
        if collection and collection not in COUNTED:
            return _failure(404, f"Collection {collection} not found")
        names = (collection,) if collection else COUNTED
        counts = [{"collection": name, "count": self._collections.count(name, request.values())} for name in names]
        return _answer(result=counts)

    def _send(self, request: Request) -> Response:
        self._sends += 1
        try:
            body = json.loads(request.body)
        except ValueError:
            return _failure(422)
        if not isinstance(body, dict):
            return _failure(400, "Provided JSON is not valid")
        try:
            return _answer(202, reason=self._reports.send(body))
        except BadReport as error:
            return _failure(400, str(error))
        except Duplicate as error:
            return _failure(409, str(error))

    def _callback(self, action: str, request: Request) -> Response:
        lab = request.values().get("lab_name", [""])[-1]
        token = request.headers.get("Authorization")
        if not lab:
            return _failure(400, "Missing lab name in query string")
        if lab not in self.lab_tokens or token not in {self._token, self.lab_tokens[lab]}:
            return _failure(403, f"Provided authentication token is not associated with lab '{lab}' or is not valid")
        if action not in {"boot", "test"}:
            return _failure(404, f"Unsupported LAVA action: {action}")
        try:
            posted = parse_callback(request.body)
        except BadCallback as error:
            return _failure(400, str(error))
        self._callbacks += 1
        if action == "boot":
            cases, plan = {"boot": "PASS" if posted.complete else "FAIL"}, "boot"
        else:
            cases, plan = dict(posted.cases), posted.plan
        self._results.plan(posted.revision, lab, posted.device, plan, cases)
        return _answer(202, reason="Request accepted and being processed")

    def _ping_state(self, task: str) -> Response:
        if task not in self._pings:
            return _failure(404, f"Task '{task}' not found")
        return _answer(result=[{"id": task, "state": "done" if self._ping(task) else "pending"}])


class DashboardStandIn(StandIn):
    """The frontend's pages, as far as the bot looks: every one ends in a footer with the version it runs."""

    def __init__(self, version: Callable[[], str]) -> None:
        super().__init__()
        self._version = version

    def respond(self, request: Request) -> Response:
        version = self._version()
        link = f"https://github.com/kernelci/kernelci-frontend/tree/{version}"
        page = f'<html><body><footer>Version:&nbsp;<a href="{link}">{version}</a></footer></body></html>'
        return Response(200, page.encode(), {"Content-Type": "text/html; charset=utf-8"})


def _answer(code: int = 200, **fields: object) -> Response:
    return json_response({"code": code, **fields}, code, {"Content-Type": "application/json; charset=UTF-8"})


def _failure(code: int, reason: str = "") -> Response:
    return _answer(code, reason=reason or _REASONS[code])
