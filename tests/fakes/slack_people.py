"""A Slack stand-in with a small team in it, and somebody who listens to it with the vendor's own client."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from kcibot.sandbox.slack import Kind, Pace, SlackApp, SlackStandIn

OPERATOR, MANAGER, OBSERVER, GUEST, STRANGER, OTHER_BOT = "U0OPER", "U0MAN1", "U0OBS", "U0GUEST", "U0STRANGE", "U0BOT"
RELEASES, ELSEWHERE, SECRET = "C0REL", "C0ELSE", "C0SECRET"
PATIENCE = 10.0
QUICK = Pace(acknowledge=0.3, retries=(0.0, 0.1, 0.1), ping=0.5)


def team(pace: Pace | None = None, app: SlackApp | None = None) -> SlackStandIn:
    """RELEASES has everybody and the bot; ELSEWHERE and the private SECRET are without the bot."""
    slack = SlackStandIn(app, pace)
    kinds = {GUEST: Kind.GUEST, STRANGER: Kind.STRANGER, OTHER_BOT: Kind.BOT}
    everybody = (OPERATOR, MANAGER, OBSERVER, GUEST, STRANGER, OTHER_BOT)
    for user in everybody:
        slack.add_person(user, user.removeprefix("U0").lower(), kinds.get(user, Kind.MEMBER))
    slack.add_channel(RELEASES, "releases", slack.app.user, *everybody)
    slack.add_channel(ELSEWHERE, "elsewhere", OPERATOR, MANAGER)
    slack.add_private_channel(SECRET, "secret", OPERATOR)
    return slack


def client(slack: SlackStandIn) -> WebClient:
    return WebClient(slack.app.bot_token, base_url=slack.api, timeout=5, retry_handlers=[])


def refusal(call: Callable[[], Any]) -> str:
    """The error that the call is answered with, or "" for none."""
    try:
        call()
    except SlackApiError as refused:
        return str(refused.response["error"])
    return ""


def eventually(true: Callable[[], Any], what: str = "what was waited for") -> Any:
    end = time.monotonic() + PATIENCE
    while not (value := true()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.01)
    return value


def hang_up(client: SocketModeClient) -> None:
    """End the reading of its socket; the client must not reconnect any more."""
    session = client.current_session
    if session is not None and session.sock is not None:
        with suppress(OSError):
            session.sock.shutdown(socket.SHUT_RDWR)


class Ear:
    """Hears every envelope, and acknowledges it unless `deaf` is set. `frames` are in the order in which they came."""

    def __init__(self, slack: SlackStandIn) -> None:
        self.heard: list[SocketModeRequest] = []
        self.frames: list[dict[str, Any]] = []
        self.deaf = threading.Event()
        web = WebClient(base_url=slack.api, retry_handlers=[])
        self.client = SocketModeClient(
            slack.app.app_token,
            web_client=web,
            ping_interval=0.3,
            on_message_listeners=[lambda text: self.frames.append(json.loads(text))],
        )
        self.client.socket_mode_request_listeners.append(self._hear)

    def _hear(self, client: Any, request: SocketModeRequest) -> None:
        self.heard.append(request)
        if not self.deaf.is_set():
            client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    def close(self) -> None:
        """At once: the client itself would wait for its reading thread, up to 3 seconds."""
        self.client.auto_reconnect_enabled = False
        hang_up(self.client)
        self.client.close()

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """The inner events of that type, or of every one, in the order in which they came."""
        found = [frame["payload"]["event"] for frame in list(self.frames) if frame["type"] == "events_api"]
        return [event for event in found if kind in ("", event["type"])]


@contextmanager
def listening(slack: SlackStandIn) -> Iterator[Ear]:
    ear = Ear(slack)
    before = slack.connections
    ear.client.connect()
    eventually(lambda: slack.connections > before, "the connection")
    try:
        yield ear
    finally:
        ear.close()
