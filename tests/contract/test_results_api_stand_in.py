"""The sandbox's KernelCI API keeps the ways that the backend's own documentation describes."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from kcibot.sandbox.results_api import LABS, ResultsApiStandIn

TOKEN = "api-token"
REVISION = ("kernelci", "kernelci.org", "v5.1")
QUERY = {"job": "kernelci", "git_branch": "kernelci.org", "kernel": "v5.1"}
SEND = {**QUERY, "report_type": "build", "send_to": ["kernelci-results@example.org"]}


class FakeNow:
    def __init__(self) -> None:
        self.time = datetime(2019, 5, 6, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def now() -> FakeNow:
    return FakeNow()


@pytest.fixture
def api(now: FakeNow) -> Iterator[ResultsApiStandIn]:
    stand_in = ResultsApiStandIn(TOKEN, lambda: "2019.5.0", now=now)
    with stand_in:
        yield stand_in


Get = Callable[..., dict[str, Any]]


@pytest.fixture
def get(api: ResultsApiStandIn) -> Get:
    def ask(path: str, **query: Any) -> dict[str, Any]:
        answer = requests.get(f"{api.url}{path}", params=query, headers={"Authorization": TOKEN}, timeout=5)
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.json()["code"] == answer.status_code
        value: dict[str, Any] = answer.json()
        return value

    return ask


def test_the_version_needs_no_token_and_all_else_does(api: ResultsApiStandIn) -> None:
    version = requests.get(f"{api.url}/version", timeout=5)
    assert version.json() == {"code": 200, "result": [{"version": "2019.5.0", "full_version": "2019.5.0"}]}
    assert requests.get(f"{api.url}/job", timeout=5).status_code == 403
    assert requests.get(f"{api.url}/job", headers={"Authorization": "wrong"}, timeout=5).status_code == 403


def test_an_unknown_revision_is_an_empty_answer_and_no_error(get: Get) -> None:
    assert get("/job", **QUERY) == {"code": 200, "count": 0, "limit": 0, "skip": 0, "result": []}


def test_plural_paths_and_single_documents_work(api: ResultsApiStandIn, get: Get) -> None:
    api.preload(*REVISION, kernels=3, labs=1)
    assert get("/builds", **QUERY)["count"] == 3
    assert get("/tests/groups", **QUERY) == get("/test/group", **QUERY)
    first = get("/build", limit=1)["result"][0]
    assert get(f"/build/{first['_id']['$oid']}")["result"] == [first]
    assert get(f"/build/{'0' * 24}")["code"] == 404


def test_builds_are_filtered_sorted_paged_and_cut_down(api: ResultsApiStandIn, get: Get) -> None:
    api.preload(*REVISION, kernels=50, labs=0)
    everything = get("/build", **QUERY)
    arm = get("/build", **QUERY, arch="arm")
    both = get("/build", **QUERY, arch=["arm", "mips"])
    assert 0 < arm["count"] < both["count"] < everything["count"] == 50
    page = get("/build", **QUERY, limit=10, skip=45, sort="_id", sort_order=1, field="arch", nfield="_id")
    assert (page["count"], page["limit"], len(page["result"])) == (50, 10, 5)
    assert page["result"] == [{"arch": build["arch"]} for build in everything["result"][45:]]
    newest = get("/build", sort="_id", limit=1)["result"]
    assert newest == everything["result"][-1:]


def test_a_filter_that_a_collection_does_not_know_is_ignored_as_the_backend_does(
    api: ResultsApiStandIn, get: Get
) -> None:
    api.post_tests(*REVISION, "lab-baylibre", "panda", "igt", passed=3, failed=1)
    api.post_tests("next", "master", "next-20190506", "lab-baylibre", "panda", "igt", passed=5, failed=0)
    assert get("/test/case", job="next")["count"] == 9
    assert get("/test/group", job="next")["count"] == 2


def test_count_tells_numbers_only(api: ResultsApiStandIn, get: Get) -> None:
    api.preload(*REVISION, kernels=40, labs=2)
    failed = get("/build", **QUERY, status="FAIL")["count"]
    assert get("/count/build", **QUERY, status="FAIL")["result"] == [{"collection": "build", "count": failed}]
    names = [row["collection"] for row in get("/count")["result"]]
    assert names == ["boot", "build", "job", "test_case", "test_group"]
    assert get("/count/nothing")["code"] == 404


def test_a_revision_is_in_build_until_it_is_done_and_then_fails_with_its_kernels(
    api: ResultsApiStandIn, get: Get
) -> None:
    commit = "a" * 40
    api.post_kernel(*REVISION, commit, "arm", "multi_v7_defconfig", "gcc-8", "FAIL")
    assert get("/job", **QUERY, field="status", nfield="_id")["result"] == [{"status": "BUILD"}]
    api.revision_done(*REVISION)
    assert get("/job", **QUERY)["result"][0]["status"] == "FAIL"
    api.post_kernel(*REVISION, commit, "arm", "multi_v7_defconfig", "gcc-8", "PASS")
    api.revision_done(*REVISION)
    assert get("/job", **QUERY)["result"][0]["status"] == "PASS"
    assert get("/build", **QUERY)["count"] == 1
    assert [report["type"] for report in get("/report", **QUERY)["result"]] == ["build"]


def test_named_cases_lie_in_groups_as_their_paths_say(api: ResultsApiStandIn, get: Get) -> None:
    cases = {"login": "PASS", "flip.basic": "FAIL", "flip.pipe.wait": "SKIP", "vblank.basic": "ERROR"}
    api.post_tests(*REVISION, "lab-drue", "panda", "igt", 0, 0, cases=cases)
    groups = {group["_id"]: group for group in get("/test/group", **QUERY)["result"]}
    parents = {group["name"]: groups.get(group["parent_id"], {}).get("name") for group in groups.values()}
    assert parents == {"igt": None, "flip": "igt", "pipe": "flip", "vblank": "igt"}
    found = get("/test/case")["result"]
    assert {(groups[case["test_group_id"]]["name"], case["name"], case["status"]) for case in found} == {
        ("igt", "login", "PASS"),
        ("flip", "basic", "FAIL"),
        ("pipe", "wait", "SKIP"),
        ("vblank", "basic", "ERROR"),
    }
    for group in groups.values():
        assert group["test_cases"] == [c["_id"]["$oid"] for c in found if c["test_group_id"] == group["_id"]]
        assert group["sub_groups"] == [one["_id"] for one in groups.values() if one["parent_id"] == group["_id"]]


def test_a_case_ends_in_the_backend_s_words(api: ResultsApiStandIn) -> None:
    with pytest.raises(ValueError, match="PERHAPS"):
        api.post_tests(*REVISION, "lab-drue", "panda", "igt", 0, 0, cases={"login": "PERHAPS"})


def test_warnings_and_a_log_belong_to_a_build(api: ResultsApiStandIn, get: Get) -> None:
    api.post_kernel(*REVISION, "a" * 40, "arm", "defconfig", "gcc-8", "PASS", warnings=12)
    (build,) = get("/build", **QUERY)["result"]
    assert (build["warnings"], build["build_log"]) == (12, "build.log")
    assert build["file_server_resource"] == "kernelci/kernelci.org/v5.1/arm/defconfig/gcc-8"


def test_a_rerun_of_a_plan_replaces_its_results(api: ResultsApiStandIn) -> None:
    api.post_tests(*REVISION, "lab-drue", "panda", "igt", passed=3, failed=7)
    api.post_tests(*REVISION, "lab-drue", "panda", "igt", passed=10, failed=0)
    assert api.counts().test_cases == 10
    assert api.counts().test_groups == 2


def test_a_scheduled_report_is_sent_after_its_delay(api: ResultsApiStandIn, get: Get, now: FakeNow) -> None:
    answer = requests.post(f"{api.url}/send", json={**SEND, "delay": 60}, headers={"Authorization": TOKEN}, timeout=5)
    assert answer.status_code == 202
    assert get("/report", **QUERY)["result"] == []
    now.time += timedelta(seconds=61)
    (report,) = get("/report", **QUERY)["result"]
    assert (report["name"], report["type"], report["status"]) == ("kernelci-kernelci.org-v5.1", "build", "SENT")


def test_the_same_report_is_refused_for_a_day(api: ResultsApiStandIn, now: FakeNow) -> None:
    def send() -> int:
        return requests.post(f"{api.url}/send", json=SEND, headers={"Authorization": TOKEN}, timeout=5).status_code

    assert (send(), send()) == (202, 409)
    now.time += timedelta(days=1)
    assert send() == 202
    assert api.counts().sends == 3


@pytest.mark.parametrize(
    "body",
    [
        {"job": "kernelci"},
        {**QUERY, "report_type": "poem", "send_to": "a@example.org"},
        {**QUERY, "build_report": True},
        {**SEND, "delay": "soon"},
        ["no", "object"],
    ],
)
def test_a_wrong_send_is_a_bad_request(api: ResultsApiStandIn, body: object) -> None:
    answer = requests.post(f"{api.url}/send", json=body, headers={"Authorization": TOKEN}, timeout=5)
    assert answer.status_code == 400


def test_a_lab_posts_with_its_own_token_only(api: ResultsApiStandIn, get: Get) -> None:
    metadata = {"kernel.tree": "kernelci", "git.branch": "kernelci.org", "kernel.version": "v5.1"}
    definition = json.dumps({"metadata": {**metadata, "test.plan": "igt", "device.type": "panda"}})
    body = {
        "definition": definition,
        "status_string": "complete",
        "results": {
            "lava": "[{name: job, result: pass}]",
            "0_igt": "[{name: a, result: pass}, {name: b, result: fail}, {name: c, set: deep, result: skip}]",
            "1_dmesg": "[{name: crit, result: pass}]",
        },
    }

    def post(action: str, lab: str, token: str) -> int:
        url = f"{api.url}/callback/lava/{action}"
        headers = {"Authorization": token}
        return requests.post(url, params={"lab_name": lab}, json=body, headers=headers, timeout=5).status_code

    own = api.lab_tokens["lab-drue"]
    assert post("test", "lab-drue", api.lab_tokens["lab-mhart"]) == 403
    assert post("test", "lab-nobody", own) == 403
    assert post("dance", "lab-drue", own) == 404
    assert (post("test", "lab-drue", own), post("boot", "lab-drue", own)) == (202, 202)
    found = {(case["test_group_name"], case["name"]): case["status"] for case in get("/test/case")["result"]}
    own_suite = {("igt", "a"): "PASS", ("igt", "b"): "FAIL", ("deep", "c"): "SKIP"}
    assert found == {**own_suite, ("dmesg", "crit"): "PASS"}
    assert [boot["status"] for boot in get("/boot", **QUERY)["result"]] == ["PASS"]
    body = {"definition": "metadata: {}"}
    assert post("test", "lab-drue", own) == 400
    assert api.counts().callbacks == 2


def test_a_preloaded_run_is_plausible_and_the_same_every_time(api: ResultsApiStandIn, get: Get) -> None:
    api.preload(*REVISION, kernels=200, labs=10)
    again = ResultsApiStandIn(TOKEN, lambda: "")
    again.preload(*REVISION, kernels=200, labs=10)
    builds = get("/build", **QUERY)["result"]
    assert len({(build["arch"], build["defconfig_full"], build["build_environment"]) for build in builds}) == 200
    assert len({build["arch"] for build in builds}) == 7
    assert {group["lab_name"] for group in get("/boot")["result"]} == set(LABS)
    passed = sum(build["status"] == "PASS" for build in builds)
    assert 0.9 < passed / 200 < 1
    assert again.counts() == api.counts()
    with again:
        pass
