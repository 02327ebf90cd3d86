"""Socket Mode: Slack's own client and Bolt, with an acknowledgement only for what was dealt with.

Bolt acknowledges an event before its listener ran, unless it is told to `process_before_response`; then an exception
in a listener becomes status 500, for which the socket handler sends nothing. One worker keeps events in their order.

Slack's connection takes the end of the stream for silence and reads on, in a tight loop, until a ping fails some five
times, and its reading does not survive a burst (see `frames`): so the reading is ours.
"""

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from slack_bolt import Ack, App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError, SlackClientNotConnectedError
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.builtin.connection import Connection, ConnectionState

from kcibot.chat.slack import frames
from kcibot.chat.slack.frames import Frame, Frames
from kcibot.chat.slack.heard import Us
from kcibot.chat.slack.web import quiet
from kcibot.errors import TransientError

Hear = Callable[[Mapping[str, Any]], None]
ANYTHING = re.compile(".")
BUFFER = 65_536
CONNECT_SECONDS = 10.0


class SlackConnection(Connection):
    """One WebSocket. It can be closed while it is read, and its end is noticed at once."""

    def run_until_completion(self, state: ConnectionState) -> None:
        """Read until the stream or `state` ends."""
        reading = Frames()
        try:
            while not state.terminated and (sock := self.sock) is not None:
                for frame in reading.feed(_received(sock)):
                    self._take(frame, state)
        except (OSError, ValueError) as error:
            if not state.terminated and self.on_error_listener is not None:
                self.on_error_listener(error)
        finally:
            state.terminated = True
            self.disconnect()

    def disconnect(self) -> None:
        """From any thread, also twice at once, which Slack's own does not survive."""
        if (sock := self.sock) is not None:
            with contextlib.suppress(OSError):  # not by way of TLS, whose state the reader is using
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        with self.sock_send_lock:
            if self.sock is not None:
                self.sock.close()
                self.sock = None

    def _take(self, frame: Frame, state: ConnectionState) -> None:
        match frame.opcode:
            case frames.TEXT if self.on_message_listener is not None:
                self.on_message_listener(frame.data.decode(errors="replace"))
            case frames.PING:
                self.pong(frame.data)
            case frames.PONG:
                self._note_pong(frame.data.decode(errors="replace"))
            case frames.CLOSE:
                state.terminated = True
                if self.on_close_listener is not None:
                    self.on_close_listener(1005, "")

    def _note_pong(self, text: str) -> None:
        """An answer to our ping, which holds when that was sent."""
        session, _, at = text.partition(":")
        if session == self.session_id:
            with contextlib.suppress(ValueError):
                self.last_ping_pong_time = float(at)


def _received(sock: socket.socket) -> bytes:
    """At least one byte. Silence is no end: whether anybody is there, the pings find out."""
    while True:
        try:
            data = sock.recv(BUFFER)
        except TimeoutError:
            continue
        if not data:
            raise ConnectionResetError("the connection was closed by the other end")
        return data


class SlackSocket(SocketModeClient):
    """Slack's client, over `SlackConnection`. It does not reconnect by itself, but follows a `disconnect` frame."""

    def __init__(self, address: Callable[[], str], ping_seconds: float) -> None:
        self._address = address
        super().__init__(
            "kept nowhere",
            logger=quiet("socket"),
            auto_reconnect_enabled=False,
            ping_interval=ping_seconds,
            receive_buffer_size=BUFFER,
            concurrency=1,
        )

    def issue_new_wss_url(self) -> str:
        return self._address()

    def connect(self) -> None:
        """As in Slack's client; but what cannot be connected does not replace what is connected."""
        fresh = SlackConnection(
            url=self.wss_uri or self.issue_new_wss_url(),
            logger=self.logger,
            ping_interval=self.ping_interval,
            receive_timeout=CONNECT_SECONDS,
            receive_buffer_size=self.receive_buffer_size,
            proxy=self.proxy,
            proxy_headers=self.proxy_headers,
            on_message_listener=self._on_message,
            on_error_listener=self._on_error,
            on_close_listener=self._on_close,
            ssl_context=ssl.create_default_context(),
        )
        fresh.connect()
        if not fresh.is_active():
            raise SlackClientNotConnectedError("Slack did not take the WebSocket.")
        old, self.current_session_state.terminated = self.current_session, True
        if old is not None:
            old.close()
        self.current_session, self.current_session_state = fresh, ConnectionState()  # type: ignore[no-untyped-call]
        if not self.current_app_monitor_started:
            self.current_app_monitor_started = True
            self.current_app_monitor.start()

    def close(self) -> None:
        self.closed = True
        self.message_queue.put(None)  # wakes its reader
        super().close()
        self.disconnect()  # one that was being opened meanwhile


class BoltHandler(SocketModeHandler):
    """Bolt's handler, on a client that is there already."""

    def __init__(self, app: App, client: SlackSocket) -> None:
        self.app = app
        self.client = client
        client.socket_mode_request_listeners.append(self.handle)  # type: ignore[arg-type]  # as in Bolt's own


class Session:
    """One connection to Slack, and those that follow it at Slack's own wish.

    `hear_event` and `hear_press` get the body of every event and block action, on one thread; what they raise is not
    acknowledged. `changed` is set when something is to be looked at: greeted, or not alive any more.
    """

    def __init__(
        self,
        us: Us,
        address: Callable[[], str],
        events: Iterable[str],
        hear_event: Hear,
        hear_press: Hear,
        changed: threading.Event,
        ping_seconds: float,
    ) -> None:
        self._changed = changed
        self._greeted = threading.Event()
        self._client = SlackSocket(address, ping_seconds)
        self._client.message_listeners.append(self._on_frame)
        self._client.on_close_listeners.append(lambda *_: changed.set())
        self._client.on_error_listeners.append(lambda _: changed.set())
        self._handler = BoltHandler(bolt_app(us, events, hear_event, hear_press), self._client)

    def open(self) -> None:
        """Raises TransientError, and what asking for the address raises."""
        try:
            self._handler.connect()  # type: ignore[no-untyped-call]
        except (SlackClientError, OSError, ValueError) as error:
            raise TransientError(f"Slack's WebSocket cannot be opened ({type(error).__name__}).") from None

    @property
    def alive(self) -> bool:
        return bool(self._client.is_connected())

    def take_greeting(self) -> bool:
        """Whether Slack said hello since this was asked last."""
        greeted = self._greeted.is_set()
        self._greeted.clear()
        return greeted

    def close(self) -> None:
        self._handler.close()  # type: ignore[no-untyped-call]

    def _on_frame(self, _client: object, frame: dict[str, Any], _raw: object = None) -> None:
        if frame.get("type") == "hello":
            self._greeted.set()
            self._changed.set()


def bolt_app(us: Us, events: Iterable[str], hear_event: Hear, hear_press: Hear) -> App:
    """Made without a token and without a question to Slack: who the bot is was found out before."""

    def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=us.team, bot_user_id=us.user, bot_id=us.bot or None)

    logger = quiet("bolt")
    app = App(
        name=logger.name,  # Bolt sets the level of the logger of that name: "kcibot" would silence the whole bot
        logger=logger,
        client=WebClient(logger=logger),  # else it would take a token out of the environment, and keep it
        authorize=authorize,
        process_before_response=True,
        request_verification_enabled=False,
        ssl_check_enabled=False,
        url_verification_enabled=False,
        attaching_function_token_enabled=False,
        attaching_conversation_kwargs_enabled=False,
    )

    def on_event(body: dict[str, Any]) -> None:
        hear_event(body)

    def on_press(body: dict[str, Any], ack: Ack) -> None:
        hear_press(body)
        ack()

    for event in events:
        app.event(event)(on_event)
    app.event(ANYTHING)(on_event)  # what somebody subscribed to by hand; unacknowledged it would come again
    app.action(ANYTHING)(on_press)
    return app
