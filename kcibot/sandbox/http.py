"""The common floor of the HTTP stand-ins: a threaded server on loopback that can be told to misbehave."""

import json
import re
import socket
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qs, urlsplit

MAX_HANG_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is as sent, still percent-encoded; `query` is the raw text after the question mark."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def values(self) -> dict[str, list[str]]:
        """The decoded query; blank values are kept."""
        return parse_qs(self.query, keep_blank_values=True)

    def form(self) -> dict[str, list[str]]:
        """The decoded body of a form post; blank values are kept."""
        return parse_qs(self.body.decode(), keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Response:
    """With `cut`, the connection breaks after so many bytes of the body, all of which were announced.

    `upgraded` takes the connection over once the head was sent (status 101): it gets what the client sends and the
    socket, on the request's own thread, and the connection is closed when it returns.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    upgraded: Callable[[BufferedIOBase, socket.socket], None] | None = None


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


class FaultKind(StrEnum):
    """How an answer goes wrong."""

    STATUS = "status"
    SLOW = "slow"
    HANG = "hang"
    RESET_BEFORE = "reset-before"
    RESET_AFTER = "reset-after"
    RESET_MIDWAY = "reset-midway"
    LAST = "last"
    HTML = "html"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    CHANGED = "changed"


def unchanged(value: Any) -> Any:
    return value


@dataclass(slots=True)
class Fault:
    """Goes off on the next `times` requests whose "METHOD path" matches `pattern`, after `skip` that did match.

    STATUS answers `status` without any effect; SLOW waits `seconds` first; HANG never answers; RESET_BEFORE closes the
    connection without an effect; RESET_AFTER does what was asked and then closes without an answer; RESET_MIDWAY does
    it and closes in the middle of the body; LAST answers truly and then closes the port: connections are refused until
    `StandIn.open_port`. HTML answers a web page without any effect; EMPTY and TRUNCATED do what was asked and lose the
    body, or half of it; CHANGED passes an answer that is JSON through `change`.
    """

    kind: FaultKind
    pattern: str = ".*"
    times: int = 1
    skip: int = 0
    status: int = 500
    seconds: float = 1.0
    change: Callable[[Any], Any] = unchanged


class Faults:
    """The faults that a stand-in still has to show, in the order in which they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, request: Request) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if re.search(fault.pattern, f"{request.method} {request.path}"):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                    return fault
        return None


class StandIn(ABC):
    """One HTTP server on a free loopback port, answering with `respond`, which subclasses provide.

    Every request is kept in `requests`. `faults` spoils chosen answers. Use it as a context manager, or call
    `start` and `stop`.
    """

    def __init__(self) -> None:
        self.faults = Faults()
        self.requests: list[Request] = []
        self.closed = False
        self._stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler_for(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @abstractmethod
    def respond(self, request: Request) -> Response:
        """What the real server would answer; called on a thread of the request's own."""

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The root, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def close_port(self) -> None:
        """Refuse every connection from now on. What is being answered is answered, and its connection closed."""
        self.closed = True
        self._server.shutdown()
        self._server.server_close()

    def open_port(self) -> None:
        """Listen again, on the same port."""
        self._server = _Server(("127.0.0.1", self.port), self._server.RequestHandlerClass)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.closed = False

    def __enter__(self) -> "StandIn":
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def answer(self, request: Request) -> Response | None:
        """The answer with its fault, or None for a connection to be closed without one."""
        if self.closed:
            return None  # on a connection that is older than the closed port
        self.requests.append(request)
        fault = self.faults.take(request)
        if fault is None:
            return self.respond(request)
        return self._spoilt(fault, request)

    def _spoilt(self, fault: Fault, request: Request) -> Response | None:
        match fault.kind:
            case FaultKind.STATUS:
                return Response(fault.status, b"<html>fault</html>", {"Content-Type": "text/html"})
            case FaultKind.SLOW:
                time.sleep(fault.seconds)
                return self.respond(request)
            case FaultKind.HANG:
                self._stopping.wait(MAX_HANG_SECONDS)
            case FaultKind.RESET_BEFORE:
                pass
            case FaultKind.RESET_AFTER:
                self.respond(request)
            case FaultKind.LAST:
                last = self.respond(request)
                self.close_port()
                return last
            case FaultKind.HTML:
                return Response(200, b"<html><body>Please wait</body></html>", {"Content-Type": "text/html"})
            case FaultKind.RESET_MIDWAY | FaultKind.EMPTY | FaultKind.TRUNCATED | FaultKind.CHANGED:
                return _in_part(fault, self.respond(request))
        return None


def _in_part(fault: Fault, whole: Response) -> Response:
    """What arrives of the true answer. One without a body is given one to break off in."""
    half = len(whole.body) // 2
    match fault.kind:
        case FaultKind.RESET_MIDWAY:
            return replace(whole, body=whole.body or b"<html></html>", cut=half)
        case FaultKind.EMPTY:
            return replace(whole, body=b"")
        case FaultKind.TRUNCATED:
            return replace(whole, body=whole.body[:half])
        case _ if _is_json(whole):
            return replace(whole, body=json.dumps(fault.change(json.loads(whole.body))).encode())
    return whole


def _is_json(response: Response) -> bool:
    types = [value for name, value in response.headers.items() if name.lower() == "content-type"]
    return bool(response.body) and any("json" in value for value in types)


def _headers(response: Response) -> Mapping[str, str]:
    """Its own, and the length of its body unless they tell it."""
    if response.status in {101, 204, 304} or {"Content-Length", "Transfer-Encoding"} & set(response.headers):
        return response.headers
    return {**response.headers, "Content-Length": str(len(response.body))}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no trouble of the server's; any other error is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as the base class got it


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True  # or every small answer on a kept connection waits 40 ms for an acknowledgement

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        response = self.stand_in.answer(
            Request(self.command, parts.path, parts.query, dict(self.headers.items()), self._body())
        )
        if response is not None:
            self._send(response)
        if response is not None and response.upgraded is not None:
            self.close_connection = True
            response.upgraded(self.rfile, self.connection)
        elif response is None or response.cut is not None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in _headers(response).items():
            self.send_header(name, value)
        if self.stand_in.closed:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body[: response.cut])

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(iter(self._chunk, b""))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        chunk = self.rfile.read(size)
        self.rfile.readline()
        return chunk

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = _handle  # noqa: N815 (the base class's names)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing: `StandIn.requests` has it all."""


def _handler_for(stand_in: StandIn) -> Callable[..., BaseHTTPRequestHandler]:
    return type("Handler", (_Handler,), {"stand_in": stand_in})
