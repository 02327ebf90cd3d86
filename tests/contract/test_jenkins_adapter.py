"""The Jenkins adapter over real HTTP against the stand-in that keeps the recorded contract.

Here is what needs the stand-in: its faults, its restarts, its other users, and the requests that it saw. What needs
only the port and time is in `test_jenkins_real.py`, for a real server as well.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.ports import BuildRef, BuildResult, ItemState, Queued
from kcibot.errors import KcibotError, NotFound, OutcomeUnknown, PermanentError, TransientError
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.jenkins import VIEWER, JenkinsStandIn, RunningBuild, Steps, User, WaitFor, succeed_after
from kcibot.sandbox.kernelci.definitions import Parameter, pipeline_xml
from kcibot.services.jenkins.adapter import JenkinsServer
from tests.contract.jenkins.troubles import BAD_ANSWERS, HALF_A_LOG, LOOKS, NO_EFFECT, WITHOUT_BODY

TOKEN = "11aabbccddeeff00112233445566778899"
TIMEOUT = 0.4


def pipeline(*names: str) -> str:
    return pipeline_xml("", [Parameter(name, name.lower()) for name in names])


@pytest.fixture
def clock(tmp_path: Path) -> SandboxClock:
    return SandboxClock.create(tmp_path / "clock.json")


@pytest.fixture
def standin(clock: SandboxClock) -> Iterator[JenkinsStandIn]:
    with JenkinsStandIn(clock, "bot", TOKEN, nodes=2, executors=2) as server:
        server.create_job("free", "<project/>", succeed_after(60))
        server.create_job("pipe", pipeline("A", "B"), succeed_after(600))
        yield server


@pytest.fixture
def server(standin: JenkinsStandIn) -> JenkinsServer:
    return JenkinsServer(standin.url, "bot", lambda: TOKEN, timeout_seconds=TIMEOUT)


def forward(clock: SandboxClock, seconds: float) -> None:
    clock.advance(timedelta(seconds=seconds))


def paths(standin: JenkinsStandIn) -> list[str]:
    return [f"{request.method} {request.path}" for request in standin.requests]


# ---- looking ---------------------------------------------------------------------------------------------------


def test_a_look_is_two_requests_and_asks_the_queue_first(standin: JenkinsStandIn, server: JenkinsServer) -> None:
    look = server.look()
    assert paths(standin) == ["GET /queue/api/json", "GET /computer/api/json"]
    assert (look.queued, look.running) == ((), ())
    assert look.session == server.session()


def test_pipelines_are_seen_on_one_off_executors(clock: SandboxClock, server: JenkinsServer) -> None:
    server.trigger("pipe", {})
    server.trigger("free", {})
    forward(clock, 11)
    running = server.look().running
    assert {str(busy.build) for busy in running} == {"pipe #1", "free #1"}
    assert all(busy.since is not None and busy.estimated_seconds is None for busy in running)


def test_an_executor_that_has_not_named_its_build_yet_is_busy(
    clock: SandboxClock, standin: JenkinsStandIn, server: JenkinsServer
) -> None:
    with standin.loop.lock:
        executor = standin.world.nodes[0].executors[0]
        executor.item = standin.trigger("free", {})
    (busy,) = server.look().running
    assert (busy.node, busy.build) == ("master", None)


def test_a_restart_between_the_two_requests_of_a_look_is_no_answer(
    standin: JenkinsStandIn, server: JenkinsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    respond = standin.respond

    def restarted_before_computer(request):  # type: ignore[no-untyped-def]
        if request.path.startswith("/computer"):
            standin.world.new_session()
        return respond(request)

    monkeypatch.setattr(standin, "respond", restarted_before_computer)
    with pytest.raises(TransientError, match="restarted"):
        server.look()


def test_all_jobs_also_in_folders_are_one_request(standin: JenkinsStandIn, server: JenkinsServer) -> None:
    folder = "<com.cloudbees.hudson.plugins.folder.Folder/>"
    standin.create_job("team", folder)
    standin.create_job("team/sub", folder)
    standin.create_job("team/sub/deep", "<project><disabled>true</disabled></project>")
    standin.create_job("off", pipeline().replace("<disabled>false", "<disabled>true"))
    jobs = server.jobs()
    assert len(standin.requests) == 1
    assert set(jobs) == {"free", "pipe", "off", "team/sub/deep"}
    assert [jobs[name].disabled for name in ("pipe", "off", "team/sub/deep")] == [False, True, True]
    assert server.job("team/sub/deep") == jobs["team/sub/deep"]


def test_a_missing_job_is_not_found_after_the_root_was_seen_healthy(
    standin: JenkinsStandIn, server: JenkinsServer
) -> None:
    with pytest.raises(NotFound, match="nope"):
        server.job("nope")
    assert paths(standin) == ["GET /job/nope/api/json", "GET /api/json"]


def test_a_404_of_a_server_that_is_not_well_is_not_believed(standin: JenkinsStandIn, server: JenkinsServer) -> None:
    standin.faults.add(Fault(FaultKind.STATUS, "GET /job/free", status=404))
    standin.faults.add(Fault(FaultKind.HTML, "GET /api/json"))
    with pytest.raises(TransientError):
        server.job("free")


# ---- builds ----------------------------------------------------------------------------------------------------


def test_a_build_is_described_with_parameters_result_and_upstream(
    clock: SandboxClock, standin: JenkinsStandIn, server: JenkinsServer
) -> None:
    def parent(build: RunningBuild) -> Steps:
        child = build.trigger("pipe", {"A": "7"})
        build.artifact("logs/out.txt", b"hello")
        yield WaitFor([child])
        return "UNSTABLE"

    standin.behave("free", parent)
    queue_id = server.trigger("free", {})
    forward(clock, 30)
    child = server.build(BuildRef("pipe", 1))
    assert (child.building, child.result, dict(child.parameters)) == (True, None, {"A": "7", "B": "b"})
    assert child.upstream == BuildRef("free", 1)
    forward(clock, 700)
    (build,) = server.builds("free")
    assert (build.result, build.queue_id, build.artifacts) == (BuildResult.UNSTABLE, queue_id, ("logs/out.txt",))
    assert build.seconds > 600
    assert build.url == f"{standin.url}/job/free/1/"


def test_the_newest_builds_are_one_ranged_request(
    clock: SandboxClock, standin: JenkinsStandIn, server: JenkinsServer
) -> None:
    standin.behave("pipe", succeed_after(1))
    for number in range(5):
        standin.trigger("pipe", {"A": str(number)})
        forward(clock, 20)
    assert [build.ref.number for build in server.builds("pipe", newest=3)] == [5, 4, 3]
    assert len(standin.requests) == 1


# ---- acting ----------------------------------------------------------------------------------------------------


def test_an_item_that_left_may_not_have_started_yet(standin: JenkinsStandIn, server: JenkinsServer) -> None:
    item = standin.trigger("free", {})
    with standin.loop.lock:
        standin.world.queue.leave(item, standin.loop.now(), cancelled=False)
    assert server.item(item.item_id) == ItemState(Queued.LEAVING)


def test_parameters_travel_in_the_body_and_unknown_ones_are_refused(
    standin: JenkinsStandIn, server: JenkinsServer
) -> None:
    server.trigger("pipe", {"A": "secret-ish"})
    sent = [request for request in standin.requests if request.path.endswith("buildWithParameters")]
    assert [(request.query, request.body) for request in sent] == [("", b"A=secret-ish")]
    with pytest.raises(PermanentError, match="no parameter TYPO"):
        server.trigger("pipe", {"TYPO": "1"})
    assert len(server.look().queued) == 1


def test_a_safe_restart_changes_the_session(clock: SandboxClock, server: JenkinsServer) -> None:
    before = server.session()
    server.restart()
    forward(clock, 0.01)
    with pytest.raises(TransientError):
        server.look()
    after = eventually(lambda: _session_after(clock, server))
    assert after != before


def _session_after(clock: SandboxClock, server: JenkinsServer) -> str:
    forward(clock, 1)
    try:
        return server.session()
    except TransientError:
        return ""


def eventually(look: Callable[[], str]) -> str:
    deadline = threading.Event()
    for _ in range(400):
        if found := look():
            return found
        deadline.wait(0.02)
    raise AssertionError("it never came")


def test_a_missing_permission_is_a_verdict_that_names_it(standin: JenkinsStandIn) -> None:
    standin.add_user(User("reader", token="r", permissions=VIEWER))
    reader = JenkinsServer(standin.url, "reader", lambda: "r", TIMEOUT)
    assert reader.look().running == ()
    with pytest.raises(PermanentError, match=r"hudson\.model\.Item\.Configure"):
        reader.disable("pipe")


def test_a_password_login_works_through_a_crumb_that_is_fetched_anew_once(standin: JenkinsStandIn) -> None:
    standin.add_user(User("human", password="pw"))
    human = JenkinsServer(standin.url, "human", lambda: "pw", TIMEOUT)
    human.disable("pipe")
    standin.gate.salt = "the crumbs of yesterday are worth nothing"
    human.enable("pipe")
    assert not human.job("pipe").disabled


# ---- faults ----------------------------------------------------------------------------------------------------


def spoil(standin: JenkinsStandIn, name: str, pattern: str) -> None:
    fault = BAD_ANSWERS[name]
    standin.faults.add(Fault(fault.kind, pattern, times=2, status=fault.status))


@pytest.mark.parametrize(
    ("look", "trouble"),
    [(look, trouble) for look in LOOKS for trouble in BAD_ANSWERS if (look, trouble) != HALF_A_LOG],
)
def test_a_look_that_goes_wrong_is_transient_and_never_not_found(
    clock: SandboxClock, standin: JenkinsStandIn, server: JenkinsServer, look: str, trouble: str
) -> None:
    standin.trigger("free", {})
    forward(clock, 11)
    pattern, call = LOOKS[look]
    spoil(standin, trouble, pattern)
    with pytest.raises(TransientError):
        call(server)


@pytest.mark.parametrize("trouble", WITHOUT_BODY)
def test_a_start_whose_answer_goes_wrong_is_unknown_unless_it_was_refused(
    standin: JenkinsStandIn, server: JenkinsServer, trouble: str
) -> None:
    spoil(standin, trouble, "POST /job/pipe/buildWithParameters")
    expected: type[KcibotError] = TransientError if trouble in NO_EFFECT else OutcomeUnknown
    with pytest.raises(expected):
        server.trigger("pipe", {})


@pytest.mark.parametrize("trouble", BAD_ANSWERS)
def test_trouble_before_a_start_was_sent_had_no_effect(
    standin: JenkinsStandIn, server: JenkinsServer, trouble: str
) -> None:
    spoil(standin, trouble, "GET /crumbIssuer")
    with pytest.raises(TransientError):
        server.trigger("pipe", {})
    assert server.look().queued == ()


def test_a_refused_connection_is_transient_for_looks_and_for_acts(standin: JenkinsStandIn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    gone = JenkinsServer(f"http://127.0.0.1:{port}", "bot", lambda: TOKEN, TIMEOUT)
    for call in (gone.look, gone.session, lambda: gone.job("x"), lambda: gone.disable("x"), gone.restart):
        with pytest.raises(TransientError, match=r"reached|crumb"):
            call()


def test_while_jenkins_starts_nothing_is_said_about_jobs_or_credentials(
    clock: SandboxClock, standin: JenkinsStandIn, server: JenkinsServer
) -> None:
    server.look()
    standin.restart(kill=True)
    with pytest.raises(TransientError):
        server.look()
    eventually(lambda: _session_after(clock, server))
    assert server.look().queued == ()


def test_no_error_text_shows_the_token(standin: JenkinsStandIn, server: JenkinsServer) -> None:
    secret = JenkinsServer(f"{standin.url}/?{TOKEN}", "bot", lambda: TOKEN, TIMEOUT)
    for name in BAD_ANSWERS:
        spoil(standin, name, ".*")
        with pytest.raises(KcibotError) as caught:
            secret.look()
        assert TOKEN not in str(caught.value)
        standin.faults.clear()
