"""How far a revision is, and which there are: what one look costs, and that a lie is not taken for an answer."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kcibot.core.ports import KnownRevision, ResultsApi, Revision, RevisionStatus, Standing
from kcibot.errors import PermanentError, TransientError
from kcibot.sandbox.http import Fault, FaultKind, Request, Response, StandIn, json_response
from kcibot.sandbox.results_api import ResultsApiStandIn
from kcibot.services.kernelci_api import adapter as kernelci_api
from kcibot.services.kernelci_api.adapter import KernelciApi

TOKEN = "the-secret-token"
REVISION = Revision("kernelci", "kernelci.org", "v5.1")
WHERE = (REVISION.tree, REVISION.branch, REVISION.kernel)
OTHER = ("kernelci", "staging.kernelci.org", "v5.1")
COMMIT = "a" * 40
BEGIN = datetime(2019, 5, 6, 12, tzinfo=UTC)


class Watch:
    def __init__(self) -> None:
        self.time = BEGIN

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def server(watch: Watch) -> Iterator[ResultsApiStandIn]:
    with ResultsApiStandIn(TOKEN, lambda: "2019.5.0", now=watch) as stand_in:
        yield stand_in


@pytest.fixture
def api(server: ResultsApiStandIn) -> ResultsApi:
    return KernelciApi(server.url, lambda: TOKEN, {}, 5.0, file_server="https://storage.example.org/")


def post(server: ResultsApiStandIn, number: int, status: str = "PASS") -> None:
    server.post_kernel(*WHERE, COMMIT, "arm", f"board_{number}_defconfig", "gcc-8", status)


def changed(pattern: str, change: Callable[[dict[str, Any]], object]) -> Fault:
    """What the API answers is changed, every time, in all that it is asked there."""

    def act(answer: dict[str, Any]) -> dict[str, Any]:
        change(answer)
        return answer

    return Fault(FaultKind.CHANGED, pattern, times=100, change=act)


def of_all_rows(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda answer: [row.update(values) for row in answer["result"]]


def test_nothing_stands_while_the_backend_has_not_heard_of_the_revision(
    server: ResultsApiStandIn, api: ResultsApi
) -> None:
    assert api.standing(REVISION) == Standing(None)
    assert len(server.requests) == 1


def test_the_standing_counts_kernels_by_status_and_plans_by_lab(server: ResultsApiStandIn, api: ResultsApi) -> None:
    for number, status in enumerate(["PASS", "PASS", "FAIL", "UNKNOWN"]):
        post(server, number, status)
    server.post_kernel(*OTHER, COMMIT, "arm", "defconfig", "gcc-8", "FAIL")
    server.post_tests(*WHERE, "lab-drue", "panda", "igt", passed=30, failed=7)
    server.post_tests(*WHERE, "lab-drue", "panda", "boot", passed=1, failed=0)
    server.post_tests(*WHERE, "lab-mhart", "odroid-xu3", "sleep", passed=0, failed=21)
    server.post_tests(*OTHER, "lab-mhart", "odroid-xu3", "sleep", passed=21, failed=0)
    seen = api.standing(REVISION)
    assert seen.status is RevisionStatus.BUILD
    assert seen.kernels == {"PASS": 2, "FAIL": 1, "UNKNOWN": 1}
    assert seen.plans == {"lab-drue": 2, "lab-mhart": 1}
    (failed,) = seen.failed
    assert (failed.defconfig, failed.status) == ("board_2_defconfig", "FAIL")
    folder = "kernelci/kernelci.org/v5.1/arm/board_2_defconfig/gcc-8"
    assert failed.log == f"https://storage.example.org/{folder}/build.log"


def test_a_boot_that_was_not_tried_is_no_result_of_its_lab(server: ResultsApiStandIn, api: ResultsApi) -> None:
    post(server, 1)
    server.post_tests(*WHERE, "lab-drue", "panda", "boot", 0, 0, cases={"boot": "SKIP"})
    assert api.standing(REVISION).plans == {}


@pytest.mark.parametrize("kernels", [3, 30, 300])
def test_a_look_costs_five_requests_however_much_there_is(
    server: ResultsApiStandIn, api: ResultsApi, kernels: int
) -> None:
    for number in range(kernels):
        post(server, number, "FAIL" if number % 3 == 0 else "PASS")
        server.post_tests(*WHERE, "lab-drue", f"board-{number}", "sleep", passed=2, failed=0)
    server.requests.clear()
    seen = api.standing(REVISION)
    assert [request.path for request in server.requests] == ["/job", "/build", "/build", "/test/group", "/boot"]
    assert sum(seen.kernels.values()) == seen.plans["lab-drue"] == kernels


def test_of_very_many_failed_kernels_the_newest_are_named_and_all_are_counted(
    server: ResultsApiStandIn, api: ResultsApi, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernelci_api, "FAILED", 3)
    for number in range(8):
        watch.time += timedelta(minutes=1)
        post(server, number, "FAIL")
    seen = api.standing(REVISION)
    assert [kernel.defconfig for kernel in seen.failed] == [f"board_{number}_defconfig" for number in (7, 6, 5)]
    assert seen.kernels == {"FAIL": 8}


def test_what_the_status_says_to_be_done_is_counted(server: ResultsApiStandIn, api: ResultsApi) -> None:
    """A kernel that arrives in mid-look, with the verdict after it, must not be missing beside that verdict."""
    post(server, 1)

    def last_one(answer: dict[str, Any]) -> None:
        post(server, 2)
        server.revision_done(*WHERE)

    server.faults.add(changed("GET /job", last_one))
    seen = api.standing(REVISION)
    assert (seen.status, seen.kernels) == (RevisionStatus.BUILD, {"PASS": 2})
    assert api.standing(REVISION).status is RevisionStatus.PASS


class WithoutBoots(StandIn):
    """A backend of 2021, as far as its paths go."""

    def __init__(self, older: ResultsApiStandIn) -> None:
        super().__init__()
        self._older = older

    def respond(self, request: Request) -> Response:
        if request.path == "/boot":
            return json_response({"code": 404, "reason": "Resource not found"}, 404)
        return self._older.respond(request)


def test_a_backend_without_boots_is_looked_at_as_well(server: ResultsApiStandIn) -> None:
    post(server, 1)
    server.post_tests(*WHERE, "lab-drue", "panda", "baseline", passed=3, failed=0)
    with WithoutBoots(server) as newer:
        assert KernelciApi(newer.url, lambda: TOKEN, {}).standing(REVISION).plans == {"lab-drue": 1}


def test_a_proxy_that_finds_no_boots_is_no_proof_that_there_are_none(
    server: ResultsApiStandIn, api: ResultsApi
) -> None:
    post(server, 1)
    server.faults.add(Fault(FaultKind.STATUS, "GET /boot", status=404))
    with pytest.raises(PermanentError):
        api.standing(REVISION)


@pytest.mark.parametrize("path", ["/job", "/build", "/test/group", "/boot"])
@pytest.mark.parametrize("filters", ["job", "git_branch", "kernel"])
def test_a_filter_that_is_ignored_is_noticed(
    server: ResultsApiStandIn, api: ResultsApi, path: str, filters: str
) -> None:
    server.preload(*WHERE, kernels=3, labs=1)
    server.faults.add(changed(f"GET {path}$", of_all_rows(**{filters: "another"})))
    with pytest.raises(PermanentError, match="of others than"):
        api.standing(REVISION)


def test_a_filter_by_status_that_is_ignored_is_noticed(server: ResultsApiStandIn, api: ResultsApi) -> None:
    post(server, 1, "FAIL")
    server.faults.add(changed("GET /build", of_all_rows(status="PASS")))
    with pytest.raises(PermanentError, match="others than the failed builds"):
        api.standing(REVISION)


@pytest.mark.parametrize("path", ["/job", "/build", "/test/group", "/boot"])
@pytest.mark.parametrize(
    "lie",
    [
        lambda answer: answer.pop("count"),
        lambda answer: answer.update(result=answer["result"][1:]),
        lambda answer: answer.update(result=[]),
        lambda answer: answer.pop("result"),
        lambda answer: answer.update(count=answer["count"] + 1),
    ],
    ids=["no count", "one less", "empty", "no result", "one more"],
)
def test_an_answer_that_is_not_complete_is_no_answer(
    server: ResultsApiStandIn, api: ResultsApi, path: str, lie: Callable[[dict[str, Any]], object]
) -> None:
    server.preload(*WHERE, kernels=3, labs=1)
    post(server, 1, "FAIL")
    server.faults.add(changed(f"GET {path}$", lie))
    with pytest.raises(TransientError, match="not complete"):
        api.standing(REVISION)


@pytest.mark.parametrize("skip", range(5))
@pytest.mark.parametrize("kind", [FaultKind.STATUS, FaultKind.HANG, FaultKind.RESET_MIDWAY, FaultKind.TRUNCATED])
def test_trouble_in_any_of_its_requests_is_no_half_a_standing(
    server: ResultsApiStandIn, skip: int, kind: FaultKind
) -> None:
    server.preload(*WHERE, kernels=3, labs=1)
    server.faults.add(Fault(kind, skip=skip))
    with pytest.raises(TransientError):
        KernelciApi(server.url, lambda: TOKEN, {}, 0.3).standing(REVISION)


def test_the_revisions_of_a_branch_come_newest_first_in_one_request(
    server: ResultsApiStandIn, api: ResultsApi, watch: Watch
) -> None:
    for number in range(1, 5):
        watch.time = BEGIN + timedelta(days=number)
        server.post_kernel("kernelci", "kernelci.org", f"v5.1.{number}", COMMIT, "arm", "defconfig", "gcc-8", "PASS")
    server.post_kernel("kernelci", "staging.kernelci.org", "v5.1.9", COMMIT, "arm", "defconfig", "gcc-8", "PASS")
    server.revision_done("kernelci", "kernelci.org", "v5.1.3")
    server.requests.clear()
    found = api.revisions("kernelci", "kernelci.org", 3)
    assert len(server.requests) == 1
    assert [known.revision.kernel for known in found] == ["v5.1.4", "v5.1.3", "v5.1.2"]
    third = Revision("kernelci", "kernelci.org", "v5.1.3")
    assert found[1] == KnownRevision(third, RevisionStatus.PASS, BEGIN + timedelta(days=3))


def test_a_branch_that_nobody_built_has_no_revisions(server: ResultsApiStandIn, api: ResultsApi) -> None:
    post(server, 1)
    assert api.revisions("kernelci", "no-such-branch") == ()


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (of_all_rows(git_branch="another"), "other branches than"),
        (of_all_rows(job="another"), "other branches than"),
        (of_all_rows(created_on="yesterday"), "created_on"),
        (of_all_rows(created_on={"$date": 10**18}), "created_on"),
        (of_all_rows(status="PERHAPS"), "status"),
    ],
    ids=["branch", "tree", "no date", "no such date", "status"],
)
def test_revisions_that_make_no_sense_are_not_taken(
    server: ResultsApiStandIn, api: ResultsApi, lie: Callable[[dict[str, Any]], object], said: str
) -> None:
    post(server, 1)
    server.faults.add(changed("GET /job", lie))
    with pytest.raises(PermanentError, match=said):
        api.revisions("kernelci", "kernelci.org")
