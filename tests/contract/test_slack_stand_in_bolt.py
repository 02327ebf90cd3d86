"""The stand-in and slack_bolt's App, as the bot uses it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler

from kcibot.sandbox.slack import SlackStandIn
from tests.contract.test_slack_stand_in_socket import card
from tests.fakes.slack_people import MANAGER, OPERATOR, QUICK, RELEASES, client, eventually, hang_up, team


@contextmanager
def bolt(slack: SlackStandIn) -> Iterator[App]:
    app = App(client=client(slack), process_before_response=False)
    handler = SocketModeHandler(app, slack.app.app_token, ping_interval=0.3)
    try:
        handler.connect()
        eventually(lambda: slack.connections == 1)
        yield app
    finally:
        handler.client.auto_reconnect_enabled = False
        hang_up(handler.client)
        handler.close()


def test_a_message_is_answered_in_its_thread():
    with team() as slack, bolt(slack) as app:

        @app.event("message")
        def heard(event: dict[str, Any], say: Any) -> None:
            say(text="pong", thread_ts=event["ts"])

        ts = slack.say(OPERATOR, RELEASES, "!ping")
        reply = eventually(lambda: slack.thread(RELEASES, ts))[0]
        assert (reply.user, reply.text) == (slack.app.user, "pong")
        eventually(lambda: len(slack.acks) == 2)
        assert not slack.late


def test_the_bots_own_acts_are_acknowledged_and_passed_over():
    with team() as slack, bolt(slack) as app:
        heard: list[str] = []
        app.event("message")(lambda event: heard.append(event["text"]))
        app.event("reaction_added")(lambda event: heard.append(event["reaction"]))
        ts = card(slack)
        client(slack).reactions_add(channel=RELEASES, timestamp=ts, name="+1")
        slack.react(MANAGER, RELEASES, ts, "eyes")
        eventually(lambda: heard)
        eventually(lambda: len(slack.acks) == 3)
        assert heard == ["eyes"]


def test_an_event_without_a_listener_is_not_acknowledged():
    with team(QUICK) as slack, bolt(slack) as app:
        app.event("message")(lambda: None)
        ts = slack.say(OPERATOR, RELEASES, "x")
        slack.react(OPERATOR, RELEASES, ts, "eyes")
        eventually(lambda: [lost for lost in slack.lost if lost.payload["event"]["type"] == "reaction_added"])


def test_a_button_is_acknowledged_and_answered_by_its_response_url():
    with team() as slack, bolt(slack) as app:

        @app.action("approve")
        def pressed(ack: Any, respond: Any, body: dict[str, Any]) -> None:
            ack()
            respond(text=f"not you, {body['user']['id']}", replace_original=False)

        slack.press(OPERATOR, RELEASES, card(slack), "approve")
        told = eventually(lambda: slack.ephemerals)[0]
        assert (told.user, told.text) == (OPERATOR, f"not you, {OPERATOR}")
        assert not slack.remarks


def test_a_slow_listener_is_acknowledged_at_once():
    with team() as slack, bolt(slack) as app:
        go = threading.Event()
        app.event("message")(lambda: go.wait(5))
        slack.say(OPERATOR, RELEASES, "x")
        assert eventually(lambda: slack.acks)[0].seconds < 3
        go.set()
