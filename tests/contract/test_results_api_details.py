"""What the API's adapter reads of each kernel and test case, and that pages that move do not lose any."""

from collections.abc import Iterator
from typing import Any

import pytest

from kcibot.core import ports
from kcibot.core.ports import KernelResult, Revision
from kcibot.errors import PermanentError, TransientError
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.results_api import ResultsApiStandIn
from kcibot.services.kernelci_api import rows as kernelci_api_rows
from kcibot.services.kernelci_api.adapter import KernelciApi

TOKEN = "the-secret-token"
REVISION = Revision("kernelci", "kernelci.org", "v5.1")
WHERE = (REVISION.tree, REVISION.branch, REVISION.kernel)
COMMIT = "a" * 40
IGT = ("lab-drue", "panda", "igt")
PAGE = 10


@pytest.fixture
def server() -> Iterator[ResultsApiStandIn]:
    with ResultsApiStandIn(TOKEN, lambda: "2019.5.0") as stand_in:
        yield stand_in


@pytest.fixture
def api(server: ResultsApiStandIn) -> KernelciApi:
    return KernelciApi(server.url, lambda: TOKEN, {}, 5.0, file_server="https://storage.example.org/")


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernelci_api_rows, "PAGE", PAGE)


def build(server: ResultsApiStandIn, defconfig: str = "defconfig", warnings: int = 0) -> None:
    server.post_kernel(*WHERE, COMMIT, "arm", defconfig, "gcc-8", "PASS", warnings=warnings)


def every_row(server: ResultsApiStandIn, pattern: str, **values: object) -> None:
    def change(answer: dict[str, Any]) -> dict[str, Any]:
        for row in answer["result"]:
            row.update(values)
        return answer

    server.faults.add(Fault(FaultKind.CHANGED, pattern, times=100, change=change))


def test_a_kernel_comes_with_its_warnings_and_its_log(server: ResultsApiStandIn, api: KernelciApi) -> None:
    build(server, "multi_v7_defconfig+CONFIG_SMP=n", warnings=7)
    folder = "kernelci/kernelci.org/v5.1/arm/multi_v7_defconfig+CONFIG_SMP=n/gcc-8"
    log = f"https://storage.example.org/{folder}/build.log"
    expected = KernelResult("arm", "multi_v7_defconfig+CONFIG_SMP=n", "gcc-8", "PASS", 7, log)
    assert api.kernels(REVISION) == (expected,)


def test_a_build_that_names_its_file_server_has_its_log_there(server: ResultsApiStandIn, api: KernelciApi) -> None:
    build(server)
    every_row(server, "GET /build", file_server_url="https://elsewhere.example.org", file_server_resource="/a/b/")
    (kernel,) = api.kernels(REVISION)
    assert kernel.log == "https://elsewhere.example.org/a/b/build.log"


@pytest.mark.parametrize("untold", ["file_server_resource", "build_log"])
def test_a_log_of_which_too_little_is_told_is_nowhere(server: ResultsApiStandIn, api: KernelciApi, untold: str) -> None:
    build(server)
    every_row(server, "GET /build", **{untold: None})
    (kernel,) = api.kernels(REVISION)
    assert kernel.log == ""


def test_without_a_file_server_a_log_is_nowhere(server: ResultsApiStandIn) -> None:
    build(server)
    (kernel,) = KernelciApi(server.url, lambda: TOKEN, {}).kernels(REVISION)
    assert kernel.log == ""


def test_warnings_that_are_no_number_are_an_error(server: ResultsApiStandIn, api: KernelciApi) -> None:
    build(server)
    every_row(server, "GET /build", warnings="several")
    with pytest.raises(PermanentError, match="warnings"):
        api.kernels(REVISION)


def test_cases_are_named_by_their_path_below_the_plan(server: ResultsApiStandIn, api: KernelciApi) -> None:
    cases = {
        "login": "PASS",
        "kms_flip.basic": "PASS",
        "kms_vblank.basic": "FAIL",
        "kms_vblank.pipe-A.wait": "ERROR",
        "kms_vblank.pipe-B.wait": "SKIP",
    }
    server.post_tests(*WHERE, *IGT, 0, 0, cases=cases)
    passed, failed = ("kms_flip.basic", "login"), ("kms_vblank.basic", "kms_vblank.pipe-A.wait")
    assert api.tests(REVISION) == (ports.TestResult(*IGT, 2, 2, passed, failed),)


def test_a_case_that_failed_once_in_several_runs_has_failed(server: ResultsApiStandIn, api: KernelciApi) -> None:
    """The same plan was run on the same type of device with two kernels: two groups of one name."""
    server.post_tests(*WHERE, *IGT, 0, 0, cases={"a": "PASS", "b": "FAIL", "c": "PASS"})
    server.post_tests(*WHERE, "lab-drue", "odroid-xu3", "igt", 0, 0, cases={"a": "PASS", "b": "PASS", "c": "FAIL"})
    every_row(server, "GET /test/group", device_type="panda")
    assert api.tests(REVISION) == (ports.TestResult(*IGT, 4, 2, ("a",), ("b", "c")),)


def test_boots_are_one_case_of_their_plan(server: ResultsApiStandIn, api: KernelciApi) -> None:
    server.post_tests(*WHERE, "lab-drue", "panda", "boot", passed=2, failed=0)
    server.post_tests(*WHERE, "lab-mhart", "panda", "boot", passed=2, failed=1)
    assert api.tests(REVISION) == (
        ports.TestResult("lab-drue", "panda", "boot", 2, 0, ("boot",), ()),
        ports.TestResult("lab-mhart", "panda", "boot", 2, 1, (), ("boot",)),
    )


def test_a_plan_of_which_every_case_was_skipped_is_there_with_zeros(
    server: ResultsApiStandIn, api: KernelciApi
) -> None:
    server.post_tests(*WHERE, *IGT, 0, 0, cases={"a": "SKIP"})
    assert api.tests(REVISION) == (ports.TestResult(*IGT, 0, 0),)


def test_groups_that_are_each_other_s_parents_end_somewhere(server: ResultsApiStandIn, api: KernelciApi) -> None:
    server.post_tests(*WHERE, *IGT, 0, 0, cases={"a.b": "PASS"})

    def ring(answer: dict[str, Any]) -> dict[str, Any]:
        first, second = answer["result"]
        first["parent_id"] = second["_id"]
        return answer

    server.faults.add(Fault(FaultKind.CHANGED, "GET /test/group", change=ring))
    assert sum(result.passed for result in api.tests(REVISION)) == 1


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("kernels", [PAGE - 1, PAGE, PAGE + 1, 2 * PAGE - 1, 2 * PAGE, 4 * PAGE + 3])
@pytest.mark.parametrize("counts", ["all that match", "the page"])
def test_all_pages_are_read_whatever_their_count_is_of(
    server: ResultsApiStandIn, api: KernelciApi, kernels: int, counts: str
) -> None:
    """The backend of 2019 counts all that match; later ones count with skip and limit, so never more than a page."""

    def of_the_page(answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "count": len(answer["result"])}

    if counts == "the page":
        server.faults.add(Fault(FaultKind.CHANGED, "GET /build", times=100, change=of_the_page))
    for number in range(kernels):
        build(server, f"board_{number}_defconfig")
    found = api.kernels(REVISION)
    assert [kernel.defconfig for kernel in found] == [f"board_{number}_defconfig" for number in range(kernels)]


@pytest.mark.usefixtures("small_pages")
def test_a_kernel_that_arrives_between_two_pages_is_seen(server: ResultsApiStandIn, api: KernelciApi) -> None:
    for number in range(PAGE + 1):
        build(server, f"board_{number}_defconfig")

    def one_more(answer: dict[str, Any]) -> dict[str, Any]:
        build(server, "late_defconfig")
        return answer

    server.faults.add(Fault(FaultKind.CHANGED, "GET /build", change=one_more))
    assert [kernel.defconfig for kernel in api.kernels(REVISION)].count("late_defconfig") == 1


@pytest.mark.usefixtures("small_pages")
def test_results_that_are_replaced_between_two_pages_do_not_hide_others(
    server: ResultsApiStandIn, api: KernelciApi
) -> None:
    """A lab runs a plan again: its groups go away, all later ones move up, and one would be skipped unseen."""
    for number in range(PAGE + 5):
        server.post_tests(*WHERE, f"lab-{number}", "panda", "igt", 0, 0, cases={"a": "PASS"})

    def again(answer: dict[str, Any]) -> dict[str, Any]:
        server.post_tests(*WHERE, "lab-0", "panda", "igt", 0, 0, cases={"a": "FAIL"})
        return answer

    server.faults.add(Fault(FaultKind.CHANGED, "GET /test/group", change=again))
    with pytest.raises(TransientError, match="changed while its pages were read"):
        api.tests(REVISION)
    assert len(api.tests(REVISION)) == PAGE + 5


@pytest.mark.usefixtures("small_pages")
def test_a_page_that_is_the_first_one_again_is_no_progress(server: ResultsApiStandIn, api: KernelciApi) -> None:
    for number in range(PAGE + 5):
        build(server, f"board_{number}_defconfig")
    first: list[dict[str, Any]] = []

    def as_first(answer: dict[str, Any]) -> dict[str, Any]:
        first.append(answer)
        return first[0]

    server.faults.add(Fault(FaultKind.CHANGED, "GET /build", times=3, change=as_first))
    with pytest.raises(TransientError):
        api.kernels(REVISION)
