"""The adapter of the KernelCI API, against the sandbox's API over real HTTP, well-behaved and not."""

import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from kcibot.core import ports
from kcibot.core.ports import KernelResult, ResultsApi, Revision, RevisionStatus
from kcibot.errors import ConfigError, KcibotError, NotFound, PermanentError, TransientError
from kcibot.sandbox.http import Fault, FaultKind, Request, Response, StandIn, json_response
from kcibot.sandbox.results_api import DashboardStandIn, ResultsApiStandIn
from kcibot.services.kernelci_api import rows as kernelci_api_rows
from kcibot.services.kernelci_api.adapter import KernelciApi

TOKEN = "the-secret-token"
REVISION = Revision("kernelci", "kernelci.org", "v5.1")
WHERE = (REVISION.tree, REVISION.branch, REVISION.kernel)
OTHER = ("kernelci", "staging.kernelci.org", "v5.1")
COMMIT = "a" * 40


@pytest.fixture
def server() -> Iterator[ResultsApiStandIn]:
    stand_in = ResultsApiStandIn(TOKEN, lambda: "2019.5.0")
    with stand_in:
        yield stand_in


@pytest.fixture
def api(server: ResultsApiStandIn) -> ResultsApi:
    return adapter(server.url)


def adapter(url: str, token: str = TOKEN, probe: str = "/task/ping", timeout: float = 5.0) -> KernelciApi:
    versions = {"backend": f"{url}/version"}
    return KernelciApi(url, lambda: token, versions, timeout, task_probe=probe, probe_seconds=0.3)


def counted(result: ports.TestResult) -> tuple[str, str, str, int, int]:
    return result.lab, result.device, result.plan, result.passed, result.failed


def test_the_backend_tells_its_version_without_the_token(server: ResultsApiStandIn, api: ResultsApi) -> None:
    assert api.version("backend") == "2019.5.0"
    assert "Authorization" not in server.requests[-1].headers


def test_the_dashboard_tells_its_version_in_its_footer() -> None:
    with DashboardStandIn(lambda: "2020.06.1") as dashboard:
        api = KernelciApi("http://127.0.0.1:1", lambda: TOKEN, {"frontend": f"{dashboard.url}/"})
        assert api.version("frontend") == "2020.06.1"


def test_a_component_without_a_version_page_is_no_guess(api: ResultsApi) -> None:
    with pytest.raises(PermanentError, match="configured: backend"):
        api.version("frontend")


def test_an_unknown_revision_is_not_found(api: ResultsApi) -> None:
    with pytest.raises(NotFound, match=r"kernelci/kernelci\.org v5\.1"):
        api.revision_status(REVISION)


def test_a_revision_goes_from_build_to_its_verdict(server: ResultsApiStandIn, api: ResultsApi) -> None:
    server.post_kernel(*WHERE, COMMIT, "arm", "multi_v7_defconfig", "gcc-8", "PASS")
    assert api.revision_status(REVISION) is RevisionStatus.BUILD
    server.revision_done(*WHERE)
    assert api.revision_status(REVISION) is RevisionStatus.PASS


def test_kernels_are_those_of_the_revision_alone(server: ResultsApiStandIn, api: ResultsApi) -> None:
    server.post_kernel(*WHERE, COMMIT, "arm", "multi_v7_defconfig+CONFIG_SMP=n", "gcc-8", "FAIL")
    server.post_kernel(*OTHER, COMMIT, "arm", "multi_v7_defconfig", "gcc-8", "PASS")
    (kernel,) = api.kernels(REVISION)
    assert kernel == KernelResult("arm", "multi_v7_defconfig+CONFIG_SMP=n", "gcc-8", "FAIL", 0, kernel.log)


def test_many_kernels_come_in_pages_each_one_once(
    server: ResultsApiStandIn, api: ResultsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernelci_api_rows, "PAGE", 64)
    server.preload(*WHERE, kernels=200, labs=0)
    server.requests.clear()
    kernels = api.kernels(REVISION)
    assert len(set(kernels)) == len(kernels) == 200
    assert len(server.requests) == 4


def test_only_the_fields_needed_are_asked_for(server: ResultsApiStandIn, api: ResultsApi) -> None:
    api.kernels(REVISION)
    fields = set(server.requests[-1].values()["field"])
    assert fields >= {"arch", "build_environment", "defconfig_full", "git_branch", "job", "kernel", "status"}
    assert len(fields) == 11


def test_test_results_are_counted_with_their_sub_groups_by_lab_device_and_plan(
    server: ResultsApiStandIn, api: ResultsApi
) -> None:
    server.post_tests(*WHERE, "lab-drue", "panda", "igt", passed=30, failed=7)
    server.post_tests(*WHERE, "lab-drue", "panda", "boot", passed=2, failed=1)
    server.post_tests(*OTHER, "lab-drue", "panda", "igt", passed=100, failed=100)
    assert [counted(result) for result in api.tests(REVISION)] == [
        ("lab-drue", "panda", "boot", 2, 1),
        ("lab-drue", "panda", "igt", 30, 7),
    ]


def test_a_whole_run_is_counted_right(server: ResultsApiStandIn, api: ResultsApi) -> None:
    server.preload(*WHERE, kernels=10, labs=10)
    counts, total = server.counts(), Counter[str]()
    for result in api.tests(REVISION):
        total["boots" if result.plan == "boot" else "cases"] += result.passed + result.failed
    assert total == {"boots": counts.boots, "cases": counts.test_cases}


def test_a_backend_without_boots_has_none(server: ResultsApiStandIn, api: ResultsApi) -> None:
    class WithoutBoots(StandIn):
        def respond(self, request: Request) -> Response:
            if request.path == "/boot":
                return json_response({"code": 404, "reason": "Resource not found"}, 404)
            return server.respond(request)

    server.post_tests(*WHERE, "lab-drue", "panda", "baseline", passed=3, failed=0)
    with WithoutBoots() as newer:
        (found,) = adapter(newer.url).tests(REVISION)
    assert counted(found) == ("lab-drue", "panda", "baseline", 3, 0)


def test_a_proxy_that_finds_no_boots_is_no_proof_that_there_are_none(
    server: ResultsApiStandIn, api: ResultsApi
) -> None:
    server.faults.add(Fault(FaultKind.STATUS, "/boot", status=404))
    with pytest.raises(PermanentError):
        api.tests(REVISION)


def test_reports_of_another_branch_with_the_same_kernel_do_not_count(
    server: ResultsApiStandIn, api: ResultsApi
) -> None:
    server.add_report(*WHERE, "build")
    server.add_report(*WHERE, "test", "ERROR", ("no route to mail server",))
    server.add_report(*OTHER, "boot")
    assert api.reports(REVISION) == {"build": "SENT", "test": "ERROR"}


def test_the_queue_is_alive_when_a_task_queued_now_is_consumed(server: ResultsApiStandIn, api: ResultsApi) -> None:
    assert api.queue_alive() is True
    assert server.counts().pings == 1


def test_the_queue_is_not_alive_when_its_task_stays_waiting() -> None:
    with ResultsApiStandIn(TOKEN, lambda: "", ping=lambda _task: False) as stuck:
        assert adapter(stuck.url).queue_alive() is False


def test_without_a_probe_nobody_says_that_the_queue_is_alive(server: ResultsApiStandIn) -> None:
    with pytest.raises(PermanentError, match="No task probe is configured"):
        adapter(server.url, probe="").queue_alive()


QUESTIONS: dict[str, Callable[[ResultsApi], object]] = {
    "version": lambda api: api.version("backend"),
    "status": lambda api: api.revision_status(REVISION),
    "revisions": lambda api: api.revisions(REVISION.tree, REVISION.branch),
    "standing": lambda api: api.standing(REVISION),
    "kernels": lambda api: api.kernels(REVISION),
    "tests": lambda api: api.tests(REVISION),
    "reports": lambda api: api.reports(REVISION),
    "queue": lambda api: api.queue_alive(),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.STATUS, status=500),
        Fault(FaultKind.STATUS, status=502),
        Fault(FaultKind.STATUS, status=503),
        Fault(FaultKind.STATUS, status=429),
        Fault(FaultKind.HTML),
        Fault(FaultKind.TRUNCATED),
        Fault(FaultKind.RESET_BEFORE),
        Fault(FaultKind.RESET_AFTER),
        Fault(FaultKind.HANG),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_server_in_trouble_is_transient_and_never_an_answer(
    server: ResultsApiStandIn, question: str, fault: Fault
) -> None:
    server.preload(*WHERE, kernels=2, labs=1)
    server.faults.add(Fault(fault.kind, status=fault.status))
    with pytest.raises(TransientError) as caught:
        QUESTIONS[question](adapter(server.url, timeout=0.3))
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("question", [q for q in QUESTIONS if q != "version"])
def test_a_refused_token_is_permanent_and_not_told(server: ResultsApiStandIn, question: str) -> None:
    with pytest.raises(PermanentError, match="403") as caught:
        QUESTIONS[question](adapter(server.url, token="a-wrong-secret"))
    assert not isinstance(caught.value, NotFound)
    assert "a-wrong-secret" not in str(caught.value)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_404_of_the_web_server_is_never_not_found(server: ResultsApiStandIn, question: str) -> None:
    server.faults.add(Fault(FaultKind.STATUS, status=404))
    with pytest.raises(PermanentError) as caught:
        QUESTIONS[question](adapter(server.url))
    assert not isinstance(caught.value, NotFound)


def test_nobody_listening_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(TransientError, match="cannot be reached"):
        adapter(f"http://127.0.0.1:{port}").kernels(REVISION)


@pytest.mark.parametrize("token", ["", "two\nlines", "tr\u00e8s secret"])
def test_a_malformed_token_is_a_configuration_error_and_not_told(server: ResultsApiStandIn, token: str) -> None:
    with pytest.raises(ConfigError) as caught:
        adapter(server.url, token=token).kernels(REVISION)
    assert "lines" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert server.requests == []


class Scripted(StandIn):
    """Answers everything the same."""

    def __init__(self, value: object, status: int = 200) -> None:
        super().__init__()
        self._response = json_response(value, status)

    def respond(self, request: Request) -> Response:
        return self._response


BUILD = {"job": "kernelci", "git_branch": "kernelci.org", "kernel": "v5.1", "arch": "arm", "status": "PASS"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"code": 500, "reason": "Internal database error"}, TransientError),
        ({"code": 403, "reason": "Operation not permitted"}, PermanentError),
        ({"code": 200}, TransientError),
        ({"code": 200, "count": 3, "result": []}, TransientError),
        ({"code": 200, "count": 1, "result": [BUILD]}, PermanentError),
        ([1, 2], TransientError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else json.dumps(value)[:40],
)
def test_an_answer_that_is_not_as_expected_is_an_error(body: object, kind: type[KcibotError]) -> None:
    with Scripted(body) as server, pytest.raises(kind) as caught:
        adapter(server.url).kernels(REVISION)
    assert type(caught.value) is kind


def test_an_api_that_ignores_the_question_is_not_believed() -> None:
    other = {**BUILD, "kernel": "v4.9", "defconfig_full": "defconfig", "build_environment": "gcc-8"}
    answer = {"code": 200, "count": 1, "result": [other]}
    with Scripted(answer) as server, pytest.raises(PermanentError, match="of others than"):
        adapter(server.url).kernels(REVISION)


def test_a_redirection_is_not_followed_with_the_token(server: ResultsApiStandIn) -> None:
    class Redirecting(StandIn):
        def respond(self, request: Request) -> Response:
            return Response(302, b"", {"Location": f"{server.url}{request.path}"})

    with Redirecting() as elsewhere, pytest.raises(PermanentError, match="302"):
        adapter(elsewhere.url).kernels(REVISION)
    assert server.requests == []
