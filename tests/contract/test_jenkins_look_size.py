"""What a look at Jenkins costs as the server grows, and how it is known that nothing new starts."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests

from kcibot.errors import TransientError
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.http import Fault, Request, Response
from kcibot.sandbox.jenkins import VIEWER, JenkinsStandIn, User
from kcibot.sandbox.jenkins.model import Executor, Node
from kcibot.services.jenkins import parse
from kcibot.services.jenkins.adapter import JenkinsServer
from tests.contract.jenkins.troubles import BAD_ANSWERS

TOKEN = "11aabbccddeeff00112233445566778899"
PATIENT = 10.0
IMPATIENT = 0.4
RECORDED = Path(__file__).parent / "jenkins" / "lifecycle.jsonl"
EXECUTORS = 2
BY_WAY_OF_LABELS = "computer[assignedLabels[nodes[quietingDown]]]"


class Weighed(JenkinsStandIn):
    """Counts the bytes of its answers; `without` is left out of every object that it answers."""

    def __init__(self, clock: SandboxClock) -> None:
        super().__init__(clock, "bot", TOKEN, nodes=1, executors=EXECUTORS)
        self.sizes: list[int] = []
        self.without = ""

    def respond(self, request: Request) -> Response:
        response = super().respond(request)
        if self.without:
            kept = {name: value for name, value in json.loads(response.body).items() if name != self.without}
            response = Response(response.status, json.dumps(kept).encode(), response.headers)
        self.sizes.append(len(response.body))
        return response

    def have(self, agents: int, *labels: str) -> None:
        """That many agents beside the built-in node, all with these labels and with names of one length."""
        names = [f"agent-{number:04}" for number in range(agents)]
        fresh = [Node(name, [Executor(number) for number in range(EXECUTORS)], labels) for name in names]
        with self.loop.lock:
            self.world.nodes[1:] = fresh


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[Weighed]:
    with Weighed(SandboxClock.create(tmp_path / "clock.json")) as server:
        yield server


@pytest.fixture
def server(standin: Weighed) -> JenkinsServer:
    return JenkinsServer(standin.url, "bot", lambda: TOKEN, PATIENT)


@pytest.fixture(scope="module")
def recorded() -> Mapping[str, Mapping[str, object]]:
    """The JSON answers of a real server around quieting down, by name."""
    records = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    return {one["name"]: one["response"]["json"] for one in records if "json" in one.get("response", {})}


def size_of_look(standin: Weighed, server: JenkinsServer) -> int:
    """Bytes of all answers of one look."""
    standin.sizes.clear()
    server.look()
    return sum(standin.sizes)


def size_by_labels(standin: Weighed) -> int:
    """Bytes of the answer to the question that a look must not ask."""
    url, query = f"{standin.url}/computer/api/json", {"tree": BY_WAY_OF_LABELS}
    return len(requests.get(url, query, auth=("bot", TOKEN), timeout=PATIENT).content)


# ---- the size of a look ----------------------------------------------------------------------------------------


def test_each_node_that_shares_a_label_adds_the_same_bytes_to_a_look(standin: Weighed, server: JenkinsServer) -> None:
    sizes = []
    for agents in (20, 40, 60, 200):
        standin.have(agents, "kernel", "docker")
        sizes.append(size_of_look(standin, server))
    per_node = (sizes[1] - sizes[0]) / 20
    assert per_node > 0
    assert sizes == [sizes[0] + per_node * (agents - 20) for agents in (20, 40, 60, 200)]


def test_labels_add_nothing_to_a_look(standin: Weighed, server: JenkinsServer) -> None:
    standin.have(40)
    unlabelled = size_of_look(standin, server)
    standin.have(40, *(f"label-{number}" for number in range(10)))
    assert size_of_look(standin, server) == unlabelled


def test_the_flag_by_way_of_labels_would_cost_every_node_of_the_label_once_a_node(standin: Weighed) -> None:
    """The reason for all this, and the proof that the stand-in would show it."""
    standin.have(20, "kernel")
    small = size_by_labels(standin)
    standin.have(80, "kernel")
    assert size_by_labels(standin) > 12 * small


def test_a_look_is_two_requests_with_many_nodes_too(standin: Weighed, server: JenkinsServer) -> None:
    standin.have(200, "kernel")
    server.look()
    assert len(standin.requests) == 2


# ---- whether it is quieting down -------------------------------------------------------------------------------


def test_quieting_down_is_one_small_request_whatever_the_nodes(standin: Weighed, server: JenkinsServer) -> None:
    assert not server.quieting_down()
    server.quiet_down()
    standin.have(200, "kernel")
    standin.sizes.clear()
    assert server.quieting_down()
    assert len(standin.sizes) == 1
    assert standin.sizes[0] < 100
    server.cancel_quiet_down()
    assert not server.quieting_down()


def test_quieting_down_is_seen_by_a_user_who_may_only_read(standin: Weighed, server: JenkinsServer) -> None:
    standin.add_user(User("viewer", TOKEN, VIEWER))
    server.quiet_down()
    assert JenkinsServer(standin.url, "viewer", lambda: TOKEN, PATIENT).quieting_down()


def test_an_answer_without_the_flag_is_no_no(standin: Weighed, server: JenkinsServer) -> None:
    standin.without = "quietingDown"
    with pytest.raises(TransientError, match="quiet-down flag was not understood"):
        server.quieting_down()


@pytest.mark.parametrize("trouble", BAD_ANSWERS)
def test_quieting_down_that_could_not_be_seen_is_no_no(standin: Weighed, trouble: str) -> None:
    server = JenkinsServer(standin.url, "bot", lambda: TOKEN, IMPATIENT)
    fault = BAD_ANSWERS[trouble]
    standin.faults.add(Fault(fault.kind, "GET /api/json", times=2, status=fault.status))
    with pytest.raises(TransientError):
        server.quieting_down()


@pytest.mark.parametrize(("name", "expected"), [("before", False), ("quieting", True), ("saferestart_root", True)])
def test_the_flag_is_read_as_a_real_jenkins_was_recorded_to_tell_it(
    name: str, expected: bool, recorded: Mapping[str, Mapping[str, object]]
) -> None:
    assert parse.quieting_down(recorded[name]) is expected
