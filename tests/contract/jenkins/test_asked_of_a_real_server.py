"""A real server is asked only what cannot harm it, is left as it was, and its token is shown nowhere."""

import base64
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from kcibot.core.ports import BuildRef
from kcibot.errors import TransientError
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.jenkins import JenkinsStandIn, succeed_after
from tests.contract.jenkins.definitions import UNSTABLE, project, with_shell
from tests.contract.jenkins.exchanges import NOT_ASKED, THEMES, exchanges, is_asked_at_all, why_not_asked
from tests.contract.jenkins.names import Names
from tests.contract.jenkins.on_real_server import VARIABLE, Access, RealSubject, access, real_server
from tests.contract.jenkins.subject import NoAnswer, Work

REPOSITORY = Path(__file__).parents[3]
USER, TOKEN = "somebody", "5ecre7-t0ken-of-somebody"
NAMES = Names(("http://ci.example.org/jenkins/",), "kcibot-test-0a1b2c3d-", (USER, "Some Body"))


def asked(theme: str) -> list[dict[str, Any]]:
    not_asked = why_not_asked(theme, folders=True)
    return [exchange for exchange in exchanges(theme) if exchange["name"] not in not_asked]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[JenkinsStandIn]:
    """A server of somebody else, with a job that runs and one that waits, at real time."""
    clock = SandboxClock.create(tmp_path / "clock.json")
    with JenkinsStandIn(clock, USER, TOKEN, nodes=1, executors=2, root_url="http://ci.example.org/") as jenkins:
        jenkins.create_job("theirs", "<project><quietPeriod>0</quietPeriod></project>", succeed_after(1000))
        jenkins.create_job("waiting", "<project><quietPeriod>1000</quietPeriod></project>")
        jenkins.trigger("theirs", {})
        jenkins.trigger("waiting", {})
        deadline = time.monotonic() + 20
        while not jenkins.world.jobs.find("theirs").running:  # type: ignore[union-attr]  # made above
            assert time.monotonic() < deadline, "the build did not start"
            threading.Event().wait(0.02)
        yield jenkins


def entrance(server: JenkinsStandIn) -> Access:
    return Access(server.url, USER, TOKEN)


# ---- what is asked ---------------------------------------------------------------------------------------------


def test_every_pattern_of_what_is_not_asked_fits_an_exchange_and_has_its_reason() -> None:
    assert set(NOT_ASKED) <= set(THEMES)
    for theme, patterns in NOT_ASKED.items():
        names = [exchange["name"] for exchange in exchanges(theme)]
        assert [one for one in patterns if not any(fnmatchcase(name, one) for name in names)] == []
        assert all(patterns.values())


def test_most_of_what_can_be_asked_is_asked() -> None:
    assert not is_asked_at_all("computer")
    assert not is_asked_at_all("lifecycle")
    counts = {theme: len(asked(theme)) for theme in THEMES if is_asked_at_all(theme)}
    assert sum(counts.values()) > 300
    assert counts["jobs"] == len(exchanges("jobs"))


def test_without_the_folders_plugin_no_folder_is_asked_for() -> None:
    missing = set(why_not_asked("jobs", folders=False)) - set(why_not_asked("jobs", folders=True))
    assert "folder_create" in missing
    assert all(name.startswith("folder_") for name in missing)


@pytest.mark.parametrize("theme", THEMES)
def test_what_is_asked_needs_our_login_only_and_can_change_only_our_jobs(theme: str) -> None:
    for exchange in asked(theme):
        request = exchange["request"]
        assert request["auth"] in {"token", "anonymous"}, exchange["name"]
        assert request.get("user") in {None, "relbot"}, exchange["name"]
        sent = NAMES.values(request["path"], request.get("query") or {})
        assert NAMES.harmless(request["method"], NAMES.path(request["path"]), sent), exchange["name"]


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("POST", "/quietDown", {}),
        ("GET", "/safeRestart", {}),
        ("POST", "/scriptText", {}),
        ("POST", "/job/theirs/build", {}),
        ("POST", "//job/theirs/build", {}),
        ("DELETE", "/job/theirs/", {}),
        ("POST", "/createItem", {"name": "theirs"}),
        ("POST", "/computer/doCreateItem", {"name": "node"}),
    ],
)
def test_what_would_change_something_of_others_is_refused_before_it_is_sent(
    server: JenkinsStandIn, method: str, path: str, query: dict[str, str]
) -> None:
    with real_server(entrance(server)) as subject:
        before = len(server.requests)
        with pytest.raises(AssertionError, match="is not ours"):
            subject.send(requests.Request(method, subject.url + path, params=query))
        assert len(server.requests) == before


# ---- what jobs do ----------------------------------------------------------------------------------------------


def run_step(work: Work, folder: Path, **parameters: str) -> tuple[int, str]:
    """The exit status and the log of a job's shell step."""
    command = ET.fromstring(with_shell(project(), work)).findtext("builders/hudson.tasks.Shell/command")  # noqa: S314
    environment = {"PATH": os.environ["PATH"], **parameters}
    run = subprocess.run(
        ["sh", "-e", "-c", str(command)], check=False, cwd=folder, env=environment, capture_output=True, timeout=110
    )
    return run.returncode, run.stdout.decode()


def test_the_shell_step_of_a_job_does_the_work_that_it_stands_for(tmp_path: Path) -> None:
    assert run_step(Work(), tmp_path) == (0, "")
    assert run_step(Work(lines=12), tmp_path, SECS="1") == (0, "tick 0\n" + "".join(f"line {n}\n" for n in range(12)))
    assert run_step(Work(), tmp_path, VERSION="bad") == (1, "")
    assert run_step(Work(artifact="hello", unstable=True), tmp_path, VERSION="1") == (UNSTABLE, "")
    assert (tmp_path / "out.txt").read_text() == "hello\n"


def test_a_job_may_run_on_any_node_unless_it_has_a_label() -> None:
    assert "<canRoam>true</canRoam>" in with_shell(project(), Work())
    assert "canRoam" not in with_shell(project(more="<assignedNode>gpu</assignedNode>"), Work())


# ---- names -----------------------------------------------------------------------------------------------------


def test_names_get_the_prefix_on_the_way_and_lose_it_on_the_way_back() -> None:
    prefix = NAMES.prefix
    assert NAMES.path("/job/team/job/deploy/api/json") == f"/job/{prefix}team/job/deploy/api/json"
    assert NAMES.values("/createItem", {"name": "a", "from": "b", "mode": "copy"}) == {
        "name": f"{prefix}a",
        "from": f"{prefix}b",
        "mode": "copy",
    }
    assert NAMES.values("/job/team/createItem", {"name": "a"}) == {"name": "a"}
    assert NAMES.values("/job/a/confirmRename", {"newName": "b"}) == {"newName": f"{prefix}b"}
    assert NAMES.xml("<childProjects>a, b</childProjects>") == f"<childProjects>{prefix}a, {prefix}b</childProjects>"
    answer = {
        "url": f"http://ci.example.org/jenkins/job/{prefix}a/1/",
        "fullDisplayName": f"{prefix}a #1",
        "builtOn": "agent-7",
        "actions": [{"causes": [{"shortDescription": "Started by user Some Body", "userId": USER}]}],
    }
    assert NAMES.recorded(answer) == {
        "url": "http://jenkins.example:8080/job/a/1/",
        "fullDisplayName": "a #1",
        "builtOn": "",
        "actions": [{"causes": [{"shortDescription": "Started by user relbot", "userId": "relbot"}]}],
    }


def test_lists_are_compared_without_what_belongs_to_others(server: JenkinsStandIn) -> None:
    with real_server(entrance(server)) as subject:
        subject.job("mine", project(), Work())
        item = subject.trigger("mine", {}, 1000)
        jobs = subject._get("/api/json", "jobs[name]").json()
        queue = subject._get("/queue/api/json", "items[id,task[name,url]]").json()
        assert (len(jobs["jobs"]), len(queue["items"])) == (3, 2)
        assert [one["name"] for one in subject.narrowed("/api/json", jobs, set())["jobs"]] == [
            subject.names.job("mine")
        ]
        assert [one["id"] for one in subject.narrowed("/queue/api/json", queue, set())["items"]] == [item]
        without_names = {"items": [{"id": one["id"]} for one in queue["items"]]}
        assert subject.narrowed("/queue/api/json", without_names, {item}) == {"items": [{"id": item}]}


# ---- what stays behind -----------------------------------------------------------------------------------------


def test_nothing_of_a_test_that_failed_is_left_and_nothing_of_others_is_touched(server: JenkinsStandIn) -> None:
    def break_off(subject: RealSubject) -> None:
        server.behave(subject.names.job("runs"), succeed_after(1000))
        subject.job("runs", project(), Work())
        subject.job("waits", project(versioned=True), Work())
        subject.trigger("runs", {}, 0)
        subject.trigger("waits", {"SECS": "1"}, 1000)
        assert subject.has_folders
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"), real_server(entrance(server)) as subject:
        break_off(subject)
    with server.loop.lock:
        theirs = server.world.jobs.find("theirs")
        assert [job.full_name for job in server.world.jobs.walk()] == ["theirs", "waiting"]
        assert [item.job.full_name for item in server.world.queue.active] == ["waiting"]
        assert theirs
        assert [run.number for run in theirs.running] == [1]


def test_every_test_has_a_prefix_of_its_own(server: JenkinsStandIn) -> None:
    with real_server(entrance(server)) as one, real_server(entrance(server)) as other:
        assert one.names.prefix != other.names.prefix
        one.job("a", project(), Work())
        other.clean_up()
        assert one._our_jobs() == ["a"]


# ---- the token -------------------------------------------------------------------------------------------------


def test_the_variable_names_the_server_the_user_and_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert access() is None
    monkeypatch.setenv(VARIABLE, f"https://some%40body:{TOKEN}@ci.example.org:8443/jenkins/")
    assert access() == Access("https://ci.example.org:8443/jenkins", "some@body", TOKEN)
    assert TOKEN not in repr(access())
    monkeypatch.setenv(VARIABLE, "http://ci.example.org/")
    with pytest.raises(pytest.UsageError, match="must look like"):
        access()


def test_an_error_of_the_adapter_loses_the_requests_that_it_came_from(server: JenkinsStandIn) -> None:
    with real_server(entrance(server)) as subject:
        adapter = subject.adapter()
        assert adapter.build(BuildRef("theirs", 1)).building
        server.faults.add(Fault(FaultKind.RESET_BEFORE, "GET /api/json"))
        with pytest.raises(TransientError) as caught:
            adapter.session()
        assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [(FaultKind.STATUS, "GET /me"), (FaultKind.RESET_BEFORE, "GET /queue")],
    ids=["refused at once", "broken off later"],
)
def test_no_traceback_shows_the_token(server: JenkinsStandIn, kind: FaultKind, pattern: str) -> None:
    """The worst case: a server that does not work, and every variable shown."""
    server.faults.add(Fault(kind, pattern, times=2, status=401))
    environment = {**os.environ, VARIABLE: f"http://{USER}:{TOKEN}@127.0.0.1:{server.port}/"}
    session = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--showlocals", "--tb=long", "-vv"]
    chosen = ["tests/contract/test_jenkins_real.py", "-k", "real and server and names_the_session"]
    run = subprocess.run(
        [*session, *chosen], check=False, cwd=REPOSITORY, env=environment, capture_output=True, timeout=110
    )
    shown = (run.stdout + run.stderr).decode()
    assert run.returncode == 1, shown
    assert "names_the_session[real server]" in shown
    assert TOKEN not in shown
    assert base64.b64encode(f"{USER}:{TOKEN}".encode()).decode() not in shown


def test_a_server_that_is_not_there_is_said_so_without_the_token() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(NoAnswer, match="got no answer") as caught:
        RealSubject(Access(f"http://127.0.0.1:{port}", USER, TOKEN))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
