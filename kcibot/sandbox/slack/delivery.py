"""Socket Mode from Slack's side: connections, envelopes, acknowledgements and what is sent again without one.

Published ("Using Socket Mode", "Events API"): hello, envelopes, one connection of up to ten gets each event, 3 seconds
to acknowledge, three retries (almost at once, after a minute, after five), `disconnect` with its reasons. Not
verified: that the retries of Socket Mode keep to the schedule of HTTP, that a retry has an envelope id of its own, the
texts of `retry_reason`, how a used ticket is refused, and how soon after a `disconnect` frame the connection is
closed.
"""

import contextlib
import itertools
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import Any

from kcibot.sandbox.slack.alarm import Alarm
from kcibot.sandbox.slack.websocket import WebSocket

MOST_CONNECTIONS = 10
ACK_SECONDS = 3.0
RETRY_SECONDS = (0.0, 60.0, 300.0)
PING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ack:
    """One acknowledgement: of which attempt, and how many seconds after it. `event_id` is "" for a button."""

    envelope_id: str
    event_id: str
    attempt: int
    seconds: float
    payload: dict[str, Any] | None = None


@dataclass(slots=True)
class Shipment:
    """One event or button press on its way to the app. `reason` is why it is sent again."""

    type: str
    payload: dict[str, Any]
    attempt: int = 0
    reason: str = ""
    acknowledged: bool = False

    @property
    def event_id(self) -> str:
        return str(self.payload.get("event_id", ""))

    def envelope(self, envelope_id: str) -> str:
        value: dict[str, Any] = {"envelope_id": envelope_id, "type": self.type, "payload": self.payload}
        value["accepts_response_payload"] = False
        if self.type == "events_api":
            value |= {"retry_attempt": self.attempt, "retry_reason": self.reason}
        return json.dumps(value)


@dataclass(slots=True)
class Connection:
    """`retiring` since it was sent a `disconnect` frame: another one is preferred."""

    socket: WebSocket
    number: int
    retiring: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of real time. `retries` are counted from the failure of the attempt before; () loses at once."""

    acknowledge: float = ACK_SECONDS
    retries: Sequence[float] = RETRY_SECONDS
    ping: float = PING_SECONDS


@dataclass(slots=True)
class Record:
    """What became of the deliveries: `late` are attempts not acknowledged in time, `lost` what was given up."""

    acks: list[Ack] = field(default_factory=list)
    late: list[Shipment] = field(default_factory=list)
    lost: list[Shipment] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class Delivery:
    """Delivers to whoever is connected, each event to one connection, in turn."""

    def __init__(self, app_id: str, pace: Pace) -> None:
        self.record = Record()
        self.duplicates = 0
        self._app_id = app_id
        self._pace = pace
        self._alarm = Alarm()
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._tickets: set[str] = set()
        self._connections: list[Connection] = []
        self._out: dict[str, tuple[Shipment, float, int]] = {}
        self._held: list[Shipment] | None = None

    def start(self) -> None:
        self._alarm.start()
        self._alarm.after(self._pace.ping, self._ping)

    def stop(self) -> None:
        self._alarm.stop()
        self.end(WebSocket.drop)

    @property
    def connections(self) -> int:
        """How many are open and were greeted."""
        with self._lock:
            return len(self._connections)

    def each(self, act: Callable[[WebSocket], None]) -> None:
        """Do it with every open connection; one that is gone is passed over."""
        with self._lock:
            for connection in list(self._connections):
                with contextlib.suppress(OSError):
                    act(connection.socket)

    def end(self, act: Callable[[WebSocket], None]) -> None:
        """As `each`, of what ends them: nothing more is sent there, and they count no more."""
        with self._lock:
            self.each(act)
            self._connections.clear()

    def ticket(self) -> str:
        """Good for one connection."""
        ticket = secrets.token_urlsafe(16)
        with self._lock:
            self._tickets.add(ticket)
        return ticket

    def take_ticket(self, ticket: str) -> bool:
        with self._lock:
            known = ticket in self._tickets
            self._tickets.discard(ticket)
            return known

    def serve(self, stream: BufferedIOBase, connection: socket.socket) -> None:
        """One connection, from its hello to its end; called on a thread of its own."""
        here = Connection(WebSocket(stream, connection), next(self._numbers))
        try:
            if self._greeted(here):
                while (text := here.socket.receive()) is not None:
                    self._heard(text)
        except OSError:  # it was gone before it was greeted, and is of no use
            return
        finally:
            with self._lock:
                if here in self._connections:
                    self._connections.remove(here)

    def _greeted(self, here: Connection) -> bool:
        with self._lock:
            if len(self._connections) >= MOST_CONNECTIONS:
                here.socket.send(json.dumps({"type": "disconnect", "reason": "too_many_websockets"}))
                here.socket.close()
                return False
            self._connections.append(here)
            here.socket.send(json.dumps(self._hello()))
            return True

    def _hello(self) -> dict[str, Any]:
        debug = {"host": "applink-stand-in", "approximate_connection_time": 18_000}
        info = {"num_connections": len(self._connections), "connection_info": {"app_id": self._app_id}}
        return {"type": "hello", **info, "debug_info": debug}

    def deliver(self, kind: str, payload: dict[str, Any]) -> None:
        """Send it, unless everything is held back; `kind` is events_api or interactive."""
        with self._lock:
            shipment = Shipment(kind, payload)
            if self._held is not None:
                self._held.append(shipment)
                return
            self._send(shipment)
            if self.duplicates > 0:
                self.duplicates -= 1
                self._send(Shipment(kind, payload, 1, "timeout"))

    def hold(self) -> None:
        """Keep back what happens from now on, until `release`."""
        with self._lock:
            self._held = self._held or []

    def release(self, order: Callable[[list[Shipment]], list[Shipment]] = list) -> None:
        """Send what was held, in the order that `order` makes of it."""
        with self._lock:
            held, self._held = self._held or [], None
            for shipment in order(held):
                self._send(shipment)

    def disconnect(self, reason: str, grace: float) -> None:
        """Tell every connection to go, and close it after `grace` seconds."""
        with self._lock:
            going = list(self._connections)
            for connection in going:
                connection.retiring = True
                frame = {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-stand-in"}}
                with contextlib.suppress(OSError):
                    connection.socket.send(json.dumps(frame))
        self._alarm.after(grace, lambda: self._close(going))

    def _close(self, going: Sequence[Connection]) -> None:
        with self._lock:
            for connection in going:
                with contextlib.suppress(OSError):
                    connection.socket.close()
            self._connections = [connection for connection in self._connections if connection not in going]

    def _send(self, shipment: Shipment) -> None:
        envelope_id = secrets.token_hex(16)
        self._out[envelope_id] = (shipment, time.monotonic(), shipment.attempt)
        if self._handed_over(shipment.envelope(envelope_id)):
            self._alarm.after(self._pace.acknowledge, lambda: self._check(envelope_id))
        else:
            del self._out[envelope_id]
            self._again(shipment, "connection_failed")

    def _handed_over(self, text: str) -> bool:
        """To the next connection in turn; those that are about to close come last."""
        for connection in sorted(self._connections, key=lambda one: one.retiring):
            try:
                connection.socket.send(text)
            except OSError:  # half a frame may be on the line: it is of no use any more
                self._connections.remove(connection)
                connection.socket.drop()
                continue
            self._connections.remove(connection)
            self._connections.append(connection)
            return True
        return False

    def _check(self, envelope_id: str) -> None:
        with self._lock:
            shipment, _, attempt = self._out[envelope_id]
            if not shipment.acknowledged and shipment.attempt == attempt:
                self.record.late.append(shipment)
                self._again(shipment, "timeout")

    def _again(self, shipment: Shipment, reason: str) -> None:
        if shipment.type == "interactive" or shipment.attempt >= len(self._pace.retries):
            self.record.lost.append(shipment)
            return
        shipment.reason = reason
        self._alarm.after(self._pace.retries[shipment.attempt], lambda: self._retry(shipment))

    def _retry(self, shipment: Shipment) -> None:
        with self._lock:
            shipment.attempt += 1
            if not shipment.acknowledged:
                self._send(shipment)

    def _heard(self, text: str) -> None:
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        with self._lock:
            if not isinstance(value, dict) or value.get("envelope_id") not in self._out:
                self.record.remarks.append(f"a frame that acknowledges nothing: {text[:200]}")
                return
            self._acknowledged(value)

    def _acknowledged(self, value: dict[str, Any]) -> None:
        shipment, sent, attempt = self._out[value["envelope_id"]]
        if set(value) - {"envelope_id", "payload"}:
            self.record.remarks.append(f"unknown fields in an acknowledgement: {', '.join(sorted(value))}")
        if value.get("payload"):
            self.record.remarks.append("a payload in an acknowledgement that accepts none")
        shipment.acknowledged = True
        seconds = time.monotonic() - sent
        self.record.acks.append(
            Ack(value["envelope_id"], shipment.event_id, attempt, seconds, value.get("payload") or None)
        )

    def _ping(self) -> None:
        self.each(lambda one: one.ping(b"stand-in"))
        self._alarm.after(self._pace.ping, self._ping)
