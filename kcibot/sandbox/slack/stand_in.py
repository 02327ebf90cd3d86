"""Slack's other end: the Web API over HTTP and Socket Mode over WebSocket, on one loopback port."""

import copy
import threading
import time
from collections.abc import Callable
from typing import Any

from kcibot.sandbox.http import Fault, FaultKind, Request, Response, StandIn
from kcibot.sandbox.slack.acts import Acts
from kcibot.sandbox.slack.call import Call, Refusal, content_type, multipart
from kcibot.sandbox.slack.delivery import Ack, Delivery, Pace, Shipment
from kcibot.sandbox.slack.people import Kind, Person, SlackApp
from kcibot.sandbox.slack.response_urls import ResponseUrls
from kcibot.sandbox.slack.uploads import Upload, Uploads
from kcibot.sandbox.slack.web_api import METHODS, Called, Method, answered, read, too_many
from kcibot.sandbox.slack.websocket import Close, WebSocket, handshake
from kcibot.sandbox.slack.workspace import Workspace

API, LINK, UPLOAD, ACTIONS = "/api/", "/link/", "/upload/v1/", "/actions/"


class SlackStandIn(Acts, StandIn):
    """A workspace with one app, `app`, which connects with `WebClient(base_url=stand_in.api)`.

    Persons act with the methods of `Acts`; `remarks` has what Slack would let pass and what is wrong all the same
    (arguments it does not know, unescaped text, frames that acknowledge nothing). `now` is the clock of every ts.
    """

    def __init__(
        self, app: SlackApp | None = None, pace: Pace | None = None, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__()
        self.app = app or SlackApp()
        self.delivery = Delivery(self.app.id, pace or Pace())
        self.workspace = Workspace(self.app, lambda payload: self.delivery.deliver("events_api", payload), now)
        self.workspace.people[self.app.user] = Person(self.app.user, self.app.name, Kind.BOT, self.app.bot)
        self.responses = ResponseUrls(self.workspace, lambda: self.url)
        self.files = Uploads()
        self._called: list[Called] = []
        self._remarks: list[str] = []
        self._limits: list[tuple[str, int]] = []
        self._limits_lock = threading.Lock()
        self._shut_out = ""

    @property
    def api(self) -> str:
        """The base URL for a WebClient."""
        return f"{self.url}{API}"

    def start(self) -> None:
        super().start()
        self.delivery.start()

    def stop(self) -> None:
        self.delivery.stop()
        super().stop()

    def close_port(self) -> None:
        """Refuse connections, and drop those that are open, as a network that is gone."""
        super().close_port()
        self.delivery.end(WebSocket.drop)

    def respond(self, request: Request) -> Response:
        if request.path.startswith(API):
            return self._api(request, request.path.removeprefix(API))
        if request.path == LINK:
            return self._link(request)
        if request.path.startswith(UPLOAD) and request.method == "POST":
            return self._upload(request)
        if request.path.startswith(ACTIONS) and request.method == "POST":
            with self.workspace.lock:
                return self.responses.respond(request)
        return Response(404, b"not found")

    def _api(self, request: Request, name: str) -> Response:
        if (seconds := self._limit(name)) is not None:
            self._called.append(Called(name, {}, "ratelimited"))
            return too_many(seconds)
        method = METHODS.get(name)
        warnings: list[str] = []
        given: dict[str, Any] = {}
        try:
            if method is None:
                raise Refusal("unknown_method", req_method=name)  # noqa: TRY301 (answered as every other refusal)
            given = read(request, method, self.app, self._shut_out)
            value = self._answer(name, method, given, warnings)
        except Refusal as refused:
            value = refused.as_json()
        self._called.append(Called(name, given, str(value.get("error", ""))))
        return answered(value, warnings, self.app, method)

    def _answer(self, name: str, method: Method, given: dict[str, Any], warnings: list[str]) -> dict[str, Any]:
        unknown = sorted(set(given) - method.arguments)
        if unknown:
            self._remarks.append(f"{name}: unknown arguments {', '.join(unknown)}")
        with self.workspace.lock:
            call = Call(
                name,
                given,
                self.workspace,
                self.files,
                self.url,
                self._remarks.append,
                self.delivery.ticket,
                warnings,
            )
            return copy.deepcopy({"ok": True, **method.answer(call)})

    def _link(self, request: Request) -> Response:
        ticket = request.values().get("ticket", [""])[0]
        answer = handshake(request.headers, self.delivery.serve)
        if answer.status == 101 and not self.delivery.take_ticket(ticket):  # noqa: PLR2004 (switching protocols)
            return Response(408, b"The ticket is not known, or was used.")
        return answer

    def _upload(self, request: Request) -> Response:
        """The bytes, as the body or as the one file of a form."""
        data = request.body
        if content_type(request) == "multipart/form-data":
            data = next(iter(multipart(request).values()), b"")
        taken = self.files.receive(request.path.removeprefix(UPLOAD), data)
        return (
            Response(200, f"OK - {len(data)}".encode())
            if taken
            else Response(400, b"no such upload, or not its length")
        )

    # What can be seen

    def calls(self, method: str) -> tuple[Called, ...]:
        """Every call of that method, with what it was answered."""
        return tuple(called for called in list(self._called) if called.method == method)

    @property
    def remarks(self) -> tuple[str, ...]:
        return (*self._remarks, *self.delivery.record.remarks)

    @property
    def acks(self) -> tuple[Ack, ...]:
        return tuple(self.delivery.record.acks)

    @property
    def late(self) -> tuple[Shipment, ...]:
        """What was not acknowledged in time, once for every attempt; an honest app leaves this empty."""
        return tuple(self.delivery.record.late)

    @property
    def lost(self) -> tuple[Shipment, ...]:
        """What was given up after the last retry, or, for a button press, after the first attempt."""
        return tuple(self.delivery.record.lost)

    @property
    def uploads(self) -> tuple[Upload, ...]:
        """Those that were completed."""
        return tuple(upload for upload in list(self.files.files.values()) if upload.complete)

    @property
    def connections(self) -> int:
        """How many WebSockets are open and were greeted."""
        return self.delivery.connections

    # What can go wrong

    def rate_limit(self, method: str, retry_after: int = 1, times: int = 1) -> None:
        """The next `times` calls of that method are answered with 429, without any effect."""
        with self._limits_lock:
            self._limits += [(method, retry_after)] * times

    def spoil(self, method: str, kind: FaultKind, times: int = 1, status: int = 500, seconds: float = 1.0) -> None:
        """The next `times` calls of that method go wrong in that way; see `Fault`."""
        self.faults.add(Fault(kind, f"{API}{method}$", times, status=status, seconds=seconds))

    def lie(self, method: str, change: Callable[[Any], Any], times: int = 1) -> None:
        """The next `times` answers of that method are passed through `change`; the effect is the true one."""
        self.faults.add(Fault(FaultKind.CHANGED, f"{API}{method}$", times, change=change))

    def shut_out(self, error: str = "token_revoked") -> None:
        """Refuse both tokens with that error (also: account_inactive, token_expired), until `let_in`."""
        self._shut_out = error

    def let_in(self) -> None:
        self._shut_out = ""

    def refuse_websockets(self, times: int = 1) -> None:
        """The next `times` opening handshakes are answered with 503."""
        self.faults.add(Fault(FaultKind.STATUS, f"GET {LINK}$", times, status=503))

    def disconnect(self, reason: str = "refresh_requested", grace: float = 1.0) -> None:
        """Send every connection a `disconnect` frame (also: warning, link_disabled); close it after `grace` seconds."""
        self.delivery.disconnect(reason, grace)

    def close_sockets(self, code: int = Close.GOING_AWAY) -> None:
        """Close every connection properly."""
        self.delivery.end(lambda one: one.close(code))

    def drop_sockets(self) -> None:
        """Break every connection without a word."""
        self.delivery.end(WebSocket.drop)

    def go_silent(self) -> None:
        """Leave the pings of the connections that are open unanswered."""
        self.delivery.each(lambda one: setattr(one, "answers_pings", False))

    def duplicate(self, times: int = 1) -> None:
        """The next `times` events and presses arrive twice: the second as a retry, with the same event id."""
        self.delivery.duplicates += times

    def hold_events(self) -> None:
        """Keep back what happens, until `release_events`."""
        self.delivery.hold()

    def release_events(self, order: Callable[[list[Shipment]], list[Shipment]] = list) -> None:
        """Send what was kept back, in another order if asked: `lambda held: held[::-1]`."""
        self.delivery.release(order)

    def skew(self, seconds: float) -> None:
        """Every ts from now on is that far from `now`; it never runs back."""
        self.workspace.skew = seconds

    def _limit(self, name: str) -> int | None:
        with self._limits_lock:
            for limit in self._limits:
                if limit[0] == name:
                    self._limits.remove(limit)
                    return limit[1]
        return None
