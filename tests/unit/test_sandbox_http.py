"""How the stand-ins misbehave on request."""

import http.client
import json
from collections.abc import Iterator

import pytest

from kcibot.sandbox.http import Fault, FaultKind, Request, Response, StandIn, json_response


class Counter(StandIn):
    """Answers how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.done = 0

    def respond(self, request: Request) -> Response:
        self.done += 1
        return json_response({"done": self.done}) if request.method == "GET" else Response(302, b"", {"X-A": "b"})


@pytest.fixture
def server() -> Iterator[Counter]:
    with Counter() as counter:
        yield counter


@pytest.fixture
def client(server: Counter) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    yield connection
    connection.close()


def ask(client: http.client.HTTPConnection, method: str = "GET") -> tuple[int, bytes]:
    client.request(method, "/a")
    answer = client.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answer_that_breaks_off_midway_has_its_effect(
    server: Counter, client: http.client.HTTPConnection, method: str
) -> None:
    server.faults.add(Fault(FaultKind.RESET_MIDWAY))
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        ask(client, method)
    client.close()
    assert ask(client) == (200, b'{"done": 2}')


def test_a_body_can_be_lost_or_halved_without_a_sign_of_it(server: Counter, client: http.client.HTTPConnection) -> None:
    server.faults.add(Fault(FaultKind.EMPTY))
    server.faults.add(Fault(FaultKind.TRUNCATED))
    assert ask(client) == (200, b"")
    assert ask(client) == (200, b'{"don')


def test_a_change_is_made_to_answers_that_are_json_and_to_no_other(
    server: Counter, client: http.client.HTTPConnection
) -> None:
    server.faults.add(Fault(FaultKind.CHANGED, times=2, change=lambda value: [value["done"], "spoilt"]))
    assert json.loads(ask(client)[1]) == [1, "spoilt"]
    assert ask(client, "POST") == (302, b"")


def test_after_a_last_answer_connections_are_refused_until_the_port_is_open_again(
    server: Counter, client: http.client.HTTPConnection
) -> None:
    port = server.port
    server.faults.add(Fault(FaultKind.LAST, skip=1))
    assert ask(client) == (200, b'{"done": 1}')
    assert ask(client) == (200, b'{"done": 2}')
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            ask(client)
        client.close()
    server.open_port()
    assert server.port == port
    assert ask(client) == (200, b'{"done": 3}')


def test_a_connection_that_is_older_than_the_closed_port_is_closed_without_an_answer(
    server: Counter, client: http.client.HTTPConnection
) -> None:
    ask(client)
    server.close_port()
    with pytest.raises(ConnectionError):
        ask(client)
    assert server.done == 1
