"""The KernelCI backend's API over HTTP, and the version pages of what is deployed."""

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from kcibot.core.ports import KernelResult, Revision, RevisionStatus, TestResult
from kcibot.errors import ConfigError, KcibotError, NotFound, PermanentError, TransientError

if TYPE_CHECKING:
    import requests

PAGE = 500
"""Rows asked for at a time."""

GROUPS_AT_A_TIME = 40
"""Test groups named in one question for their cases: the URL stays under two kilobytes."""

PROBE_INTERVAL_SECONDS = 0.25

_FRONTEND_VERSION = re.compile(r"kernelci-frontend/tree/(?P<version>\d{4}\.\d{1,2}(?:\.\d+)*)\b")
_BUSY = frozenset({408, 425, 429})

Query = list[tuple[str, str]]


def _plain_id(value: object) -> object:
    """The backend writes ids as `{"$oid": "..."}`, or, in some collections, plain."""
    return value["$oid"] if isinstance(value, dict) and "$oid" in value else value


ObjectId = Annotated[str, BeforeValidator(_plain_id)]


class _Envelope(BaseModel):
    code: int
    count: int | None = None
    reason: str = ""
    result: list[dict[str, object]] = []


class _Row(BaseModel):
    """What every document of a revision says about itself."""

    job: str
    git_branch: str
    kernel: str

    def is_of(self, revision: Revision) -> bool:
        return (self.job, self.git_branch, self.kernel) == (revision.tree, revision.branch, revision.kernel)


class _Job(_Row):
    status: RevisionStatus


class _Build(_Row):
    arch: str
    defconfig_full: str
    build_environment: str
    status: Literal["PASS", "FAIL", "UNKNOWN"]


class _Boot(_Row):
    lab_name: str
    device_type: str
    status: Literal["PASS", "FAIL", "OFFLINE", "UNTRIED"]


class _Group(_Row):
    id: ObjectId = Field(alias="_id")
    name: str
    lab_name: str
    device_type: str | None = None
    parent_id: Annotated[str | None, BeforeValidator(_plain_id)] = None


class _Report(BaseModel):
    git_branch: str | None = None
    type: str
    status: str


class _Case(BaseModel):
    test_group_id: ObjectId
    status: Literal["PASS", "FAIL", "SKIP", "ERROR"]


class _Version(BaseModel):
    version: str = Field(min_length=1)


class _Ping(BaseModel):
    id: str
    state: Literal["done", "pending"] = "pending"


Document = TypeVar("Document", bound=BaseModel)
RevisionRow = TypeVar("RevisionRow", bound=_Row)


class _NoSuchPath(PermanentError):
    """The API itself, not something before it, says that it has no such resource."""


class KernelciApi:
    """Fulfils `ResultsApi`.

    `url` is the API's root. `token` is asked at every question. `versions` maps a component (backend, frontend) to
    the address that tells its version: the API's `/version`, or the dashboard's page with the version in its footer.
    `task_probe` is the path of a task queue probe (`POST` queues, `GET <path>/<id>` tells); KernelCI's own backend
    has none.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        versions: Mapping[str, str],
        timeout_seconds: float = 10.0,
        task_probe: str = "",
        probe_seconds: float = 30.0,
    ) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._versions = dict(versions)
        self._timeout = timeout_seconds
        self._task_probe = task_probe.strip("/")
        self._probe_seconds = probe_seconds

    def version(self, component: str) -> str:
        """What is really running, asked of the deployed component itself; it proves the constant and no more."""
        address = self._versions.get(component)
        if address is None:
            known = ", ".join(sorted(self._versions)) or "none"
            raise PermanentError(f"No version address is configured for {component}; configured: {known}.")
        what = f"The version page of the {component}"
        with _session(None) as session:
            answer = _send(session, "GET", address, self._timeout, what)
        in_footer = _FRONTEND_VERSION.search(answer.text)
        if _succeeded(answer.status_code) and in_footer:
            return in_footer["version"]
        return _one(_Version, _envelope(answer, what), what).version

    def revision_status(self, revision: Revision) -> RevisionStatus:
        """NotFound only if the API answered, in good order, that it has no such revision."""
        with _session(self._token) as session:
            rows = self._of_revision(session, "job", revision, _Job)
        if not rows:
            raise NotFound(f"The backend has not heard of {_named(revision)}.")
        return rows[-1].status

    def kernels(self, revision: Revision) -> tuple[KernelResult, ...]:
        """Every kernel reported so far, in the order of their arrival; empty for an unknown revision."""
        with _session(self._token) as session:
            rows = self._of_revision(session, "build", revision, _Build)
        return tuple(KernelResult(row.arch, row.defconfig_full, row.build_environment, row.status) for row in rows)

    def tests(self, revision: Revision) -> tuple[TestResult, ...]:
        """Counts by lab, device and plan; the plan of the 2019 boots is `boot`.

        A case that ended in ERROR counts as failed; one that was skipped, and a boot that was not tried, not at all.
        """
        with _session(self._token) as session:
            groups = self._of_revision(session, "test/group", revision, _Group)
            cases = self._cases(session, groups)
            boots = self._boots(session, revision)
        return _tally(groups, cases, boots)

    def reports(self, revision: Revision) -> Mapping[str, str]:
        """Report type -> SENT or ERROR. The backend keeps one document per type: all test plans share one."""
        with _session(self._token) as session:
            rows = self._rows(session, "report", _filters(revision), _Report)
        # The API silently ignores filters it does not know, and git_branch is one of them here.
        return {row.type: row.status for row in rows if row.git_branch in {None, revision.branch}}

    def queue_alive(self) -> bool:
        """True if a task queued now was consumed within the probe's time, false if it is still waiting then.

        PermanentError where no probe is configured: nothing else shows that the worker runs. Asking again after an
        error is harmless.
        """
        if not self._task_probe:
            raise PermanentError("No task probe is configured, so nobody can tell whether the backend's worker runs.")
        what = "The task probe"
        with _session(self._token) as session:
            queued = _one(_Ping, self._ask(session, "POST", self._task_probe), what)
            deadline = time.monotonic() + self._probe_seconds
            while _one(_Ping, self._ask(session, "GET", f"{self._task_probe}/{queued.id}"), what).state != "done":
                if time.monotonic() >= deadline:
                    return False
                time.sleep(PROBE_INTERVAL_SECONDS)  # the API tells no one when a task is done
        return True

    def _of_revision(
        self, session: "requests.Session", path: str, revision: Revision, kind: type[RevisionRow]
    ) -> list[RevisionRow]:
        rows = self._rows(session, path, _filters(revision), kind)
        if not all(row.is_of(revision) for row in rows):
            raise PermanentError(f"The API answered /{path} with results of others than {_named(revision)}.")
        return rows

    def _cases(self, session: "requests.Session", groups: Sequence[_Group]) -> list[_Case]:
        """The groups' cases, asked by group: /test/case knows no filter by job or kernel, and ignores such ones."""
        ids = [group.id for group in groups]
        cases = []
        for start in range(0, len(ids), GROUPS_AT_A_TIME):
            asked: Query = [("test_group_id", group_id) for group_id in ids[start : start + GROUPS_AT_A_TIME]]
            cases += self._rows(session, "test/case", asked, _Case)
        if not {case.test_group_id for case in cases} <= set(ids):
            raise PermanentError("The API answered /test/case with cases of other test groups than asked for.")
        return cases

    def _boots(self, session: "requests.Session", revision: Revision) -> list[_Boot]:
        try:
            return self._of_revision(session, "boot", revision, _Boot)
        except _NoSuchPath:
            return []  # from 2021 on the API has no boots; their place was taken by the plan `baseline`

    def _rows(self, session: "requests.Session", path: str, filters: Query, kind: type[Document]) -> list[Document]:
        """All documents, page by page, in the order of their ids: one that arrives meanwhile moves no page."""
        names = [field.alias or name for name, field in kind.model_fields.items()]
        asked = [*filters, *(("field", name) for name in names), ("sort", "_id"), ("sort_order", "1")]
        rows: list[Document] = []
        while True:
            page = self._ask(session, "GET", path, [*asked, ("limit", str(PAGE)), ("skip", str(len(rows)))])
            rows += [_valid(kind, found, f"The API's answer to /{path}") for found in page.result]
            if page.count is None or (not page.result and len(rows) < page.count):
                raise TransientError(f"The API's answer to /{path} is not complete.")
            if len(rows) >= page.count:
                return rows

    def _ask(self, session: "requests.Session", method: str, path: str, query: Query | None = None) -> _Envelope:
        what = f"The KernelCI API (/{path})"
        # A redirection could carry the question, or the token, to somebody else.
        answer = _send(session, method, f"{self._url}/{path}", self._timeout, what, query, follow="no")
        return _envelope(answer, what)


def _named(revision: Revision) -> str:
    return f"{revision.tree}/{revision.branch} {revision.kernel}"


def _filters(revision: Revision) -> Query:
    return [("job", revision.tree), ("git_branch", revision.branch), ("kernel", revision.kernel)]


def _session(token: Callable[[], str] | None) -> "requests.Session":
    """A session for one look. The header is set by an `auth` function, or a .netrc could put its own in its place."""
    import requests  # noqa: PLC0415 (imported at first use: the bot starts without it)

    session = requests.Session()
    if token is not None:
        secret = token()
        if not (secret and secret.isascii() and secret.isprintable()):
            raise ConfigError("The token of the KernelCI API is empty, or holds a line break or another odd character.")

        def authorise(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = secret
            return request

        session.auth = authorise
    return session


def _send(
    session: "requests.Session",
    method: str,
    url: str,
    timeout: float,
    what: str,
    query: Query | None = None,
    *,
    follow: Literal["yes", "no"] = "yes",
) -> "requests.Response":
    """The answer, whatever its status; errors name `what` and never the query."""
    import requests  # noqa: PLC0415

    try:
        return session.request(method, url, params=query, timeout=timeout, allow_redirects=follow == "yes")
    except requests.exceptions.SSLError as error:
        raise PermanentError(f"{what}: its certificate could not be verified.") from error
    except requests.Timeout as error:
        raise TransientError(f"{what} did not answer within {timeout:g} s.") from error
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        raise TransientError(f"{what} cannot be reached, or closed the connection.") from error
    except requests.RequestException as error:
        raise PermanentError(f"{what} cannot be asked: {type(error).__name__}.") from error


def _envelope(answer: "requests.Response", what: str) -> _Envelope:
    """The API's own envelope with a code that means success; every other answer raises."""
    status = answer.status_code
    try:
        envelope = _Envelope.model_validate_json(answer.content)
    except ValidationError as error:
        if _succeeded(status):
            raise TransientError(f"{what} answered with something else than the API's JSON.") from error
        raise _refusal(what, status, "") from error
    if status == envelope.code == 404:  # noqa: PLR2004 (HTTP's own number)
        raise _NoSuchPath(f"{what} is not known to the API: {envelope.reason or 'not found'}.")
    for code in (status, envelope.code):
        if not _succeeded(code):
            raise _refusal(what, code, envelope.reason)
    return envelope


def _succeeded(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 (HTTP's range of success)


def _refusal(what: str, status: int, reason: str) -> KcibotError:
    said = f"{what} answered {status}" + (f" ({reason[:200]})." if reason else ".")
    if status >= 500 or status in _BUSY:  # noqa: PLR2004 (HTTP's own boundary: from here on it is the server's trouble)
        return TransientError(said)
    return PermanentError(said)


def _one(kind: type[Document], envelope: _Envelope, what: str) -> Document:
    if len(envelope.result) != 1:
        raise PermanentError(f"{what} answered with {len(envelope.result)} results instead of one.")
    return _valid(kind, envelope.result[0], what)


def _valid(kind: type[Document], found: dict[str, object], what: str) -> Document:
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        raise PermanentError(f"{what} is not as expected: {wrong}.") from error


def _tally(groups: Sequence[_Group], cases: Sequence[_Case], boots: Sequence[_Boot]) -> tuple[TestResult, ...]:
    """Count by lab, device and plan; a case in a sub-group counts for the plan at the top of its group."""
    by_id = {group.id: group for group in groups}
    tops = {group.id: _key(_top(group, by_id)) for group in groups}
    passed: Counter[tuple[str, str, str]] = Counter()
    failed: Counter[tuple[str, str, str]] = Counter()
    for case in cases:
        (passed if case.status == "PASS" else failed)[tops[case.test_group_id]] += case.status != "SKIP"
    for boot in boots:
        counts = passed if boot.status == "PASS" else failed
        counts[boot.lab_name, boot.device_type, "boot"] += boot.status in {"PASS", "FAIL"}
    keys = sorted({*tops.values(), *passed, *failed})
    return tuple(TestResult(*key, passed=passed[key], failed=failed[key]) for key in keys)


def _top(group: _Group, by_id: Mapping[str, _Group]) -> _Group:
    seen = {group.id}
    while group.parent_id is not None and group.parent_id in by_id.keys() - seen:
        group = by_id[group.parent_id]
        seen.add(group.id)
    return group


def _key(group: _Group) -> tuple[str, str, str]:
    return group.lab_name, group.device_type or "unknown device", group.name
