"""The KernelCI backend's API over HTTP, and the version pages of what is deployed."""

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from kcibot.core.ports import KernelResult, KnownRevision, Revision, RevisionStatus, Standing, TestResult
from kcibot.errors import NotFound, PermanentError
from kcibot.services.kernelci_api.documents import (
    Boot,
    BootPlace,
    Build,
    BuildStatus,
    Case,
    DatedJob,
    Group,
    GroupPlace,
    Job,
    Ping,
    Report,
    Version,
    one,
)
from kcibot.services.kernelci_api.http import NoSuchPath, envelope_of, open_session, send, succeeded
from kcibot.services.kernelci_api.rows import Questions, RevisionRow, named, questions
from kcibot.services.kernelci_api.tally import tally

FAILED = 250
"""So many failed kernels are named by `standing`."""

GROUPS_AT_A_TIME = 40
"""Test groups named in one question for their cases: the URL stays under two kilobytes."""

PROBE_INTERVAL_SECONDS = 0.25

_FRONTEND_VERSION = re.compile(r"kernelci-frontend/tree/(?P<version>\d{4}\.\d{1,2}(?:\.\d+)*)\b")
_TRIED = frozenset({"PASS", "FAIL"})


class KernelciApi:
    """Fulfils `ResultsApi`.

    `url` is the API's root. `token` is asked at every question. `versions` maps a component (backend, frontend) to
    the address that tells its version: the API's `/version`, or the dashboard's page with the version in its footer.
    `task_probe` is the path of a task queue probe (`POST` queues, `GET <path>/<id>` tells); KernelCI's own backend
    has none. `file_server` is where the logs of builds lie that name no server of their own.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        versions: Mapping[str, str],
        timeout_seconds: float = 10.0,
        task_probe: str = "",
        probe_seconds: float = 30.0,
        file_server: str = "",
    ) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._versions = dict(versions)
        self._timeout = timeout_seconds
        self._task_probe = task_probe.strip("/")
        self._probe_seconds = probe_seconds
        self._file_server = file_server

    def version(self, component: str) -> str:
        """What is really running, asked of the deployed component itself; it proves the constant and no more."""
        address = self._versions.get(component)
        if address is None:
            known = ", ".join(sorted(self._versions)) or "none"
            raise PermanentError(f"No version address is configured for {component}; configured: {known}.")
        what = f"The version page of the {component}"
        with open_session(None) as session:
            answer = send(session, "GET", address, self._timeout, what)
        in_footer = _FRONTEND_VERSION.search(answer.text)
        if succeeded(answer.status_code) and in_footer:
            return in_footer["version"]
        return one(Version, envelope_of(answer, what), what).version

    def revision_status(self, revision: Revision) -> RevisionStatus:
        """NotFound only if the API answered, in good order, that it has no such revision."""
        with self._questions() as api:
            rows = api.rows_of(revision, "job", Job)
        if not rows:
            raise NotFound(f"The backend has not heard of {named(revision)}.")
        return rows[-1].status

    def revisions(self, tree: str, branch: str, newest: int = 20) -> tuple[KnownRevision, ...]:
        """The revisions of a branch that the backend has heard of last, newest first: one request.

        PermanentError if the answer holds one of another branch.
        """
        with self._questions() as api:
            rows = api.at_once("job", [("job", tree), ("git_branch", branch)], DatedJob, newest)
        if not all(row.is_of_branch(tree, branch) for row in rows):
            raise PermanentError(f"The API answered /job with revisions of other branches than {tree}/{branch}.")
        return tuple(sorted((row.known for row in rows), key=lambda known: known.created, reverse=True))

    def standing(self, revision: Revision) -> Standing:
        """How far it is, in at most five requests; one while the backend has not heard of it.

        The requests: its status, the newest `FAILED` builds that failed, the status of all builds, the labs of its
        test groups and of its boots; the last three in one answer each, of about a hundred bytes a row. The API's
        /count would take fewer bytes, but a number does not tell whose it is: every row is checked. The status comes
        first: what it says to be done is then there. A plan that was run on several kernels counts each time.
        """
        with self._questions() as api:
            jobs = api.at_once_of(revision, "job", Job)
            if not jobs:
                return Standing(None)
            failed = self._failed(api, revision)
            builds = api.at_once_of(revision, "build", BuildStatus)
            groups = api.at_once_of(revision, "test/group", GroupPlace)
            boots = _boots(lambda: api.at_once_of(revision, "boot", BootPlace))
        kernels = Counter[str](build.status for build in builds)
        plans = Counter[str](group.lab_name for group in groups if group.is_plan)
        plans.update(boot.lab_name for boot in boots if boot.status in _TRIED)
        return Standing(jobs[-1].status, dict(kernels), failed, dict(plans))

    def kernels(self, revision: Revision) -> tuple[KernelResult, ...]:
        """Every kernel reported so far, in the order of their arrival; empty for an unknown revision."""
        with self._questions() as api:
            rows = api.rows_of(revision, "build", Build)
        return tuple(row.result(self._file_server) for row in rows)

    def tests(self, revision: Revision) -> tuple[TestResult, ...]:
        """Counts and cases by lab, device and plan; the plan of the 2019 boots is `boot`, and so is its only case.

        A case that ended in ERROR counts as failed; one that was skipped, and a boot that was not tried, not at all.
        """
        with self._questions() as api:
            groups = api.rows_of(revision, "test/group", Group)
            cases = _cases(api, groups)
            boots = _boots(lambda: api.rows_of(revision, "boot", Boot))
        return tally(groups, cases, boots)

    def reports(self, revision: Revision) -> Mapping[str, str]:
        """Report type -> SENT or ERROR. The backend keeps one document per type: all test plans share one."""
        filters = [("job", revision.tree), ("git_branch", revision.branch), ("kernel", revision.kernel)]
        with self._questions() as api:
            rows = api.rows("report", filters, Report)
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
        with self._questions() as api:
            queued = one(Ping, api.ask("POST", self._task_probe), what)
            deadline = time.monotonic() + self._probe_seconds
            while one(Ping, api.ask("GET", f"{self._task_probe}/{queued.id}"), what).state != "done":
                if time.monotonic() >= deadline:
                    return False
                time.sleep(PROBE_INTERVAL_SECONDS)  # the API tells no one when a task is done
        return True

    def _failed(self, api: Questions, revision: Revision) -> tuple[KernelResult, ...]:
        rows = api.at_once_of(revision, "build", Build, FAILED, [("status", "FAIL")])
        if not all(row.status == "FAIL" for row in rows):
            raise PermanentError("The API answered /build with others than the failed builds asked for.")
        return tuple(row.result(self._file_server) for row in rows)

    def _questions(self) -> AbstractContextManager[Questions]:
        return questions(self._url, self._token, self._timeout)


def _cases(api: Questions, groups: Sequence[Group]) -> list[Case]:
    """The groups' cases, asked by group: /test/case knows no filter by job or kernel, and ignores such ones."""
    ids = [group.id for group in groups]
    cases = []
    for start in range(0, len(ids), GROUPS_AT_A_TIME):
        asked = [("test_group_id", group_id) for group_id in ids[start : start + GROUPS_AT_A_TIME]]
        cases += api.rows("test/case", asked, Case)
    if not {case.test_group_id for case in cases} <= set(ids):
        raise PermanentError("The API answered /test/case with cases of other test groups than asked for.")
    return cases


def _boots(look: Callable[[], list[RevisionRow]]) -> list[RevisionRow]:
    try:
        return look()
    except NoSuchPath:
        return []  # from 2021 on the API has no boots; their place was taken by the plan `baseline`
