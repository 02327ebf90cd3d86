"""What the adapter of LAVA labs says of a lab in trouble, and what it never tells: over real HTTP."""

import json
import logging
import socket
import xmlrpc.client
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kcibot.core.ports.labs import Lab
from kcibot.errors import ConfigError, KcibotError, PermanentError, TransientError
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.http import Fault, FaultKind, Request, Response, StandIn, json_response
from kcibot.sandbox.labs import LavaStandIn
from kcibot.services.lava import http as lava_http
from kcibot.services.lava import xmlrpc as lava_xmlrpc
from kcibot.services.lava.adapter import LavaLab
from tests.contract.lava_contract import APIS, NAME, OTHER, TOKEN, USER, Api, lab_at

RPC = "/RPC2/"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LavaStandIn]:
    stand_in = LavaStandIn(NAME, USER, TOKEN, SandboxClock.create(tmp_path / "clock.json"))
    with stand_in:
        yield stand_in


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> Api:
    chosen: Api = request.param
    return chosen


# ---- trouble -------------------------------------------------------------------------------------------------------

QUESTIONS: dict[str, Callable[[Lab], object]] = {
    "look": lambda lab: lab.look(),
    "jobs": lambda lab: lab.open_jobs(),
    "devices": lambda lab: lab.devices(),
}


@pytest.mark.parametrize(("question", "skip"), [("look", 0), ("look", 2), ("jobs", 1), ("devices", 1)])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.STATUS, status=500),
        Fault(FaultKind.STATUS, status=502),
        Fault(FaultKind.STATUS, status=503),
        Fault(FaultKind.STATUS, status=429),
        Fault(FaultKind.STATUS, status=302),
        Fault(FaultKind.STATUS, status=204),
        Fault(FaultKind.HTML),
        Fault(FaultKind.TRUNCATED),
        Fault(FaultKind.RESET_BEFORE),
        Fault(FaultKind.RESET_AFTER),
        Fault(FaultKind.HANG),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_lab_in_trouble_is_transient_and_never_without_jobs(
    server: LavaStandIn, api: Api, question: str, skip: int, fault: Fault
) -> None:
    server.submit("baseline", "panda")
    server.add_device("panda-1", "panda")
    server.faults.add(Fault(fault.kind, status=fault.status, skip=skip))
    with pytest.raises(TransientError, match=NAME) as caught:
        QUESTIONS[question](lab_at(server.url, api, timeout=0.3))
    assert TOKEN not in repr(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_a_verdict_only_from_what_surely_is_lava(server: LavaStandIn, api: Api, status: int) -> None:
    server.faults.add(Fault(FaultKind.STATUS, status=status))
    with pytest.raises(PermanentError, match=str(status)):
        lab_at(server.url, api).look()
    server.faults.add(Fault(FaultKind.STATUS, status=status, times=2))
    with pytest.raises(TransientError, match="does not say that it is LAVA"):
        lab_at(server.url, api).look()
    server.faults.add(Fault(FaultKind.STATUS, status=status))
    server.faults.add(Fault(FaultKind.HTML, pattern=RPC))
    with pytest.raises(TransientError, match="does not say that it is LAVA"):
        lab_at(server.url, api).look()


def test_the_question_whether_it_is_lava_carries_no_login(server: LavaStandIn, api: Api) -> None:
    server.faults.add(Fault(FaultKind.STATUS, status=403))
    with pytest.raises(PermanentError):
        lab_at(server.url, api).look()
    assert "Authorization" not in server.requests[-1].headers


def test_a_lab_that_does_not_know_who_asks_is_not_believed(server: LavaStandIn, api: Api) -> None:
    class WithoutLogins(StandIn):
        def respond(self, request: Request) -> Response:
            headers = {name: value for name, value in request.headers.items() if name != "Authorization"}
            return server.respond(Request(request.method, request.path, request.query, headers, request.body))

    with WithoutLogins() as proxy, pytest.raises(PermanentError, match="a stranger"):
        lab_at(proxy.url, api).open_jobs()


@pytest.mark.parametrize(("status", "kind"), [(301, PermanentError), (308, PermanentError), (302, TransientError)])
def test_a_redirection_is_not_followed_with_the_login(
    server: LavaStandIn, api: Api, status: int, kind: type[KcibotError]
) -> None:
    class Redirecting(StandIn):
        def respond(self, request: Request) -> Response:
            return Response(status, b"", {"Location": f"{server.url}{request.path}"})

    with Redirecting() as elsewhere, pytest.raises(kind, match=str(status)):
        lab_at(elsewhere.url, api).look()
    assert server.requests == []


def test_nobody_listening_is_transient(api: Api) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(TransientError, match="cannot be reached"):
        lab_at(f"http://127.0.0.1:{port}", api).look()


def test_an_address_that_is_none_is_permanent(api: Api) -> None:
    with pytest.raises(PermanentError, match="cannot be asked"):
        lab_at("lab.example.org", api).look()


def test_an_endless_answer_is_not_read_to_its_end(
    server: LavaStandIn, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lava_http, "LARGEST_ANSWER", 20)
    with pytest.raises(TransientError, match="more than anybody reads"):
        lab_at(server.url, api).look()


# ---- the secret ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "two\nlines", "a secret", "tr\u00e8s-secret"])
def test_a_malformed_token_is_a_configuration_error_and_not_told(server: LavaStandIn, api: Api, token: str) -> None:
    with pytest.raises(ConfigError) as caught:
        lab_at(server.url, api, token=token).look()
    assert not token or token not in str(caught.value)
    assert server.requests == []


def test_a_login_in_the_address_is_refused_and_not_told(api: Api) -> None:
    with pytest.raises(ConfigError) as caught:
        lab_at(f"http://{USER}:{TOKEN}@lab.example.org/RPC2/", api)
    assert TOKEN not in str(caught.value)


def test_the_token_is_in_no_address_and_no_log(server: LavaStandIn, api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.submit("baseline", "panda")
    lab = lab_at(server.url, api)
    lab.open_jobs()
    server.faults.add(Fault(FaultKind.RESET_BEFORE))
    with pytest.raises(TransientError) as caught:
        lab.look()
    shown = [caplog.text, repr(caught.value), repr(caught.value.__cause__), repr(lab)]
    shown += [f"{request.path}?{request.query}" for request in server.requests]
    login = server.requests[0].headers["Authorization"].split()[-1]
    assert not [text for text in shown if TOKEN in text or login in text]


def test_a_netrc_does_not_take_the_place_of_the_token(
    server: LavaStandIn, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert lab_at(server.url, api).open_jobs() == ()


def test_the_token_is_read_at_every_look(server: LavaStandIn, api: Api) -> None:
    tokens = ["out-of-date", TOKEN]
    lab = LavaLab(NAME, server.url, USER, lambda: tokens.pop(0), api)
    with pytest.raises(PermanentError):
        lab.open_jobs()
    assert lab.open_jobs() == ()


# ---- answers that are not what they should be ----------------------------------------------------------------------


class Scripted(StandIn):
    """A lab that knows us, and answers everything else the same."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self._answer = answer

    def respond(self, request: Request) -> Response:
        if request.path == RPC:
            value = USER if b"whoami" in request.body else self._answer
            answer = value if isinstance(value, xmlrpc.client.Fault) else (value,)
            body = xmlrpc.client.dumps(answer, methodresponse=True, allow_none=True)  # type: ignore[arg-type]
            return Response(200, body.encode(), {"Content-Type": "application/xml"})
        return json_response({"user": USER} if "whoami" in request.path else self._answer)


JOB = {
    "id": 7,
    "submitter": USER,
    "state": "Running",
    "description": None,
    "requested_device_type": None,
    "submit_time": "2021-05-20T10:00:00.123456Z",
    "start_time": None,
}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"count": 1, "results": []}, TransientError),
        ({"count": 3, "results": [JOB]}, PermanentError),
        ({"count": 1, "results": [{**JOB, "state": "Finished"}]}, PermanentError),
        ({"count": 1, "results": [{**JOB, "submitter": OTHER}]}, PermanentError),
        ({"count": 2, "results": [{**JOB, "id": 9}, JOB]}, PermanentError),
        ({"count": 1, "results": [{"id": 7}]}, TransientError),
        ({"count": -1, "results": []}, TransientError),
        ({"results": []}, TransientError),
        ({"detail": "Not found."}, TransientError),
        ([], TransientError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else json.dumps(value)[:60],
)
def test_a_rest_answer_that_is_not_as_asked_is_an_error(answer: object, kind: type[KcibotError]) -> None:
    with Scripted(answer) as server, pytest.raises(kind) as caught:
        lab_at(server.url, "rest").open_jobs()
    assert type(caught.value) is kind


def test_a_job_without_a_device_type_description_or_start_is_a_job() -> None:
    with Scripted({"count": 1, "results": [JOB]}) as server:
        (job,) = lab_at(server.url, "rest").open_jobs()
    assert (job.ident, job.device_type, job.description) == ("7", "", "")
    assert job.since is not None
    assert job.since.isoformat() == "2021-05-20T10:00:00.123456+00:00"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "text",
        [1],
        [{"id": 7}],
        [["board"]],
        xmlrpc.client.Fault(-32603, "Internal Server Error: the database is away"),
        xmlrpc.client.Fault(-32601, "No such method: 'scheduler.jobs.list'"),
    ],
    ids=str,
)
@pytest.mark.parametrize("question", ["look", "jobs", "devices"])
def test_an_xmlrpc_answer_that_is_not_as_asked_is_transient(answer: object, question: str) -> None:
    with Scripted(answer) as server, pytest.raises(TransientError, match=NAME):
        QUESTIONS[question](lab_at(server.url, "xmlrpc"))


def test_the_times_of_jobs_that_are_gone_by_now_are_not_known(server: LavaStandIn) -> None:
    class Forgetful(StandIn):
        def respond(self, request: Request) -> Response:
            body = request.body.replace(b"<string>1</string>", b"<string>99</string>")
            return server.respond(Request(request.method, request.path, request.query, request.headers, body))

    server.submit("baseline", "panda")
    with Forgetful() as forgetful:
        (job,) = lab_at(forgetful.url, "xmlrpc").open_jobs()
    assert (job.ident, job.since) == ("1", None)


def test_jobs_on_several_boards_are_called_by_their_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"description": "multinode", "device_type": "panda", "submitter": USER}
    with Scripted([{**row, "id": "12.1"}, {**row, "id": "12.0"}, {**row, "id": 9}]) as server:
        monkeypatch.setattr(lava_xmlrpc.XmlRpcApi, "_times", lambda *_: {})
        jobs = lab_at(server.url, "xmlrpc").open_jobs()
    assert [job.ident for job in jobs] == ["9", "12.0", "12.1"]
