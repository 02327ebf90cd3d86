"""Two thousand builds in one answer do not take many times the answer's own size to be read."""

import json
import tracemalloc

import pytest

from kcibot.core.ports import BuildRef
from kcibot.errors import TransientError
from kcibot.sandbox.http import Request, Response, StandIn
from kcibot.services.jenkins.adapter import JenkinsServer

BUILDS = 300
COMMON = {f"PARAMETER_{number}": f"a value that all builds share, number {number}" for number in range(20)}


class Canned(StandIn):
    """Gives one answer, made beforehand, to everything."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self.body = json.dumps(value).encode()

    def respond(self, request: Request) -> Response:
        headers = {"Content-Type": "application/json;charset=utf-8", "X-Jenkins": "2.164", "X-Jenkins-Session": "5a"}
        return Response(200, self.body, headers)


def build(number: int) -> dict[str, object]:
    words = {**COMMON, "DEFCONFIG": f"board_{number}_defconfig"}
    kind = "hudson.model.StringParameterValue"
    return {
        "_class": "org.jenkinsci.plugins.workflow.job.WorkflowRun",
        "actions": [{"parameters": [{"_class": kind, "name": name, "value": words[name]} for name in words]}, {}],
        "artifacts": [],
        "building": False,
        "duration": 1000,
        "number": number,
        "queueId": 7,
        "result": "SUCCESS",
        "timestamp": 1557144000000,
        "url": f"http://127.0.0.1/job/kernel-build/{number}/",
    }


def server(url: str) -> JenkinsServer:
    return JenkinsServer(url, "bot", lambda: "11" + "0" * 32)


def test_many_builds_take_little_more_memory_than_their_text() -> None:
    with Canned({"allBuilds": [build(number) for number in range(BUILDS, 0, -1)]}) as jenkins:
        ci = server(jenkins.url)
        ci.builds("kernel-build", BUILDS)  # what is imported at first use is not counted
        tracemalloc.start()
        try:
            found = ci.builds("kernel-build", BUILDS)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert [one.ref.number for one in found] == list(range(BUILDS, 0, -1))
    assert found[0].ref == BuildRef("kernel-build", BUILDS)
    assert found[0].parameters["DEFCONFIG"] == f"board_{BUILDS}_defconfig"
    assert most < 3.5 * len(jenkins.body)


@pytest.mark.parametrize(
    "strange",
    [{"number": 5}, {**build(5), "number": "5"}, {**build(5), "result": "PERHAPS"}, {**build(5), "actions": 3}, "text"],
    ids=["too little", "a number in words", "an unknown result", "no actions", "no build"],
)
def test_one_build_that_is_not_understood_spoils_the_answer(strange: object) -> None:
    with Canned({"allBuilds": [build(6), strange]}) as jenkins, pytest.raises(TransientError, match="not understood"):
        server(jenkins.url).builds("kernel-build", BUILDS)
