"""The connection comes back by itself, and what was typed meanwhile is delivered, once, in its order, with its time."""

import logging
import time
from datetime import UTC, datetime, timedelta

import pytest

from kcibot.core.message import EventKind, Incoming
from kcibot.core.notice import Notice
from kcibot.sandbox.http import FaultKind
from kcibot.sandbox.slack import SlackStandIn
from tests.fakes.slack_bot import HERE, OUR_APP, Desk, bot, chat_on, prompt, running
from tests.fakes.slack_people import MANAGER, OPERATOR, RELEASES, eventually, team


def away(slack: SlackStandIn, desk: Desk, *lines: str) -> None:
    """Type lines while the bot is not connected, and see it come back."""
    before = desk.connections
    slack.hold_events()
    slack.drop_sockets()
    for line in lines:
        slack.say(OPERATOR, RELEASES, line)
    eventually(lambda: desk.connections > before)
    slack.release_events(lambda _: [])


def test_after_a_broken_connection_missed_lines_come_before_connected_is_reported() -> None:
    with bot() as (slack, chat, desk):
        away(slack, desk, "!ping 1", "chatter", "!ping 2")
        assert desk.texts == ["!ping 1", "chatter", "!ping 2"]
        assert desk.heard_before == [0, 3]
        assert chat.connected


def test_nothing_comes_twice_when_slack_delivers_late_what_was_found() -> None:
    with bot() as (slack, _, desk):
        slack.hold_events()
        slack.say(OPERATOR, RELEASES, "!release prepare")
        slack.drop_sockets()
        eventually(lambda: desk.connections == 2)
        slack.release_events()
        eventually(lambda: slack.acks)
        assert desk.texts == ["!release prepare"]


def test_missed_lines_keep_the_time_at_which_they_were_typed() -> None:
    with bot() as (slack, _, desk):
        slack.skew(-1200.0)
        away(slack, desk, "!release prepare")
        slack.skew(0)
    age = datetime.now(UTC) - desk.events[0].at
    assert timedelta(minutes=19) < age < timedelta(minutes=21)


def test_edited_and_forwarded_lines_are_not_found_in_the_history_either() -> None:
    with bot() as (slack, _, desk):
        slack.hold_events()
        slack.drop_sockets()
        ts = slack.say(OPERATOR, RELEASES, "harmless")
        slack.edit(OPERATOR, RELEASES, ts, "!release prepare")
        slack.share(OPERATOR, RELEASES, slack.say(OPERATOR, RELEASES, "> !stop"), RELEASES, "!stop")
        slack.announce(RELEASES, "!release prepare")
        linked = slack.say(OPERATOR, RELEASES, "!hold https://example.org/")
        slack.unfurl(RELEASES, linked, "an example")
        eventually(lambda: desk.connections == 2)
        assert desk.texts == ["!hold https://example.org/"]


def test_missed_lines_in_threads_are_found_in_their_order() -> None:
    with bot() as (slack, chat, desk):
        ref = chat.post(HERE, Notice("card"), "k")
        before = desk.connections
        slack.hold_events()
        slack.drop_sockets()
        slack.say(OPERATOR, RELEASES, "!one")
        slack.say(OPERATOR, RELEASES, "!two", ref.message_id)
        slack.say(OPERATOR, RELEASES, "!three")
        eventually(lambda: desk.connections > before)
        assert desk.texts == ["!one", "!two", "!three"]


def test_every_page_of_a_long_absence_is_read() -> None:
    with bot() as (slack, _, desk):
        lines = [f"!ping {number}" for number in range(450)]
        away(slack, desk, *lines)
        assert desk.texts == lines


def test_after_a_restart_all_since_shortly_before_the_newest_stored_event_is_found() -> None:
    with team(None, OUR_APP) as slack:
        desk = Desk()
        with running(slack, desk):
            slack.skew(-1200.0)
            slack.say(OPERATOR, RELEASES, "said and not stored by anybody before")
            slack.skew(0.0)
            slack.say(OPERATOR, RELEASES, "!heard")
            eventually(lambda: "!heard" in desk.texts)
        del desk.events[0]
        slack.say(OPERATOR, RELEASES, "!missed")
        with running(slack, desk):
            assert desk.texts == ["!heard", "!missed"]


def test_after_a_restart_votes_found_by_comparing_tell_no_time_but_their_prompts() -> None:
    with team(None, OUR_APP) as slack:
        desk = Desk()
        slack.skew(-1200.0)
        ts = slack.say(OPERATOR, RELEASES, "an old line")
        slack.skew(0.0)
        prompt_ts = slack.say(OPERATOR, RELEASES, "as if it were a prompt")
        seen = f"seen:{prompt_ts}:{MANAGER}:approve:"
        desk.accept(Incoming(seen, EventKind.REACTION_ADDED, HERE, MANAGER, "", "+1", datetime.now(UTC)))
        slack.say(OPERATOR, RELEASES, "!missed")
        with running(slack, desk):
            assert desk.texts == ["+1", "as if it were a prompt", "!missed"]
            assert f"{RELEASES}:{ts}" not in {event.event_id for event in desk.events}


def test_what_was_said_before_the_bot_looks_back_is_left_alone() -> None:
    with team(None, OUR_APP) as slack:
        slack.skew(-7200.0)
        slack.say(OPERATOR, RELEASES, "!old")
        slack.skew(-60.0)
        slack.say(OPERATOR, RELEASES, "!new")
        with running(slack, None, chat_on(slack, missed=timedelta(hours=1))) as (_, desk):
            assert desk.texts == ["!new"]


def test_a_thread_that_began_days_ago_is_looked_into() -> None:
    with team(None, OUR_APP) as slack:
        slack.skew(-3 * 86_400.0)
        card = slack.say(OPERATOR, RELEASES, "as if it were the card of a release")
        slack.skew(0.0)
        slack.say(OPERATOR, RELEASES, "!approve abc123", card)
        with running(slack) as (_, desk):
            assert desk.texts == ["!approve abc123"]


def test_what_was_missed_is_found_though_something_newer_was_stored_before_a_kill() -> None:
    with team(None, OUR_APP) as slack:
        desk = Desk()
        ts = slack.say(OPERATOR, RELEASES, "!missed")
        newer = f"{RELEASES}:{float(ts) + 30:.6f}"
        desk.accept(Incoming(newer, EventKind.MESSAGE, HERE, MANAGER, "", "!newer", datetime.now(UTC)))
        with running(slack, desk):
            assert desk.texts == ["!newer", "!missed"]


def test_new_lines_wait_for_those_that_were_missed() -> None:
    with bot() as (slack, _, desk):
        before = desk.connections
        slack.hold_events()
        slack.spoil("conversations.history", FaultKind.SLOW, seconds=0.7)
        slack.drop_sockets()
        slack.say(OPERATOR, RELEASES, "!missed")
        eventually(lambda: slack.connections)
        slack.release_events(lambda _: [])
        slack.say(OPERATOR, RELEASES, "!new")
        eventually(lambda: desk.connections > before and len(desk.events) == 2)
        assert desk.texts == ["!missed", "!new"]
        assert not slack.late


def test_a_history_that_cannot_be_read_yet_keeps_nobody_waiting_and_is_read_later() -> None:
    with bot() as (slack, _, desk):
        before = desk.connections
        slack.hold_events()
        slack.rate_limit("conversations.history", 3)
        slack.drop_sockets()
        slack.say(OPERATOR, RELEASES, "!missed")
        eventually(lambda: slack.connections)
        slack.release_events(lambda _: [])
        slack.say(OPERATOR, RELEASES, "!stop")
        eventually(lambda: "!stop" in desk.texts)
        assert desk.connections == before
        eventually(lambda: desk.connections > before)
        assert sorted(desk.texts) == ["!missed", "!stop"]
        assert not slack.late


def test_at_a_disconnect_frame_the_next_connection_is_there_before_the_old_one_ends() -> None:
    with bot() as (slack, chat, desk):
        slack.disconnect(grace=3.0)
        for number in range(30):
            slack.say(OPERATOR, RELEASES, f"!ping {number}")
        eventually(lambda: len(desk.events) == 30)
        eventually(lambda: desk.connections == 2)
        assert desk.texts == [f"!ping {number}" for number in range(30)]
        assert not slack.late
        assert chat.connected


@pytest.mark.parametrize("how", ["close", "drop", "refuse", "address", "silence"])
def test_whatever_ends_the_connection_it_comes_back(how: str) -> None:
    with bot() as (slack, _, desk):
        if how == "close":
            slack.close_sockets()
        elif how == "refuse":
            slack.refuse_websockets(2)
            slack.drop_sockets()
        elif how == "address":
            slack.spoil("apps.connections.open", FaultKind.STATUS, 1)
            slack.drop_sockets()
        elif how == "silence":
            slack.go_silent()
        else:
            slack.drop_sockets()
        eventually(lambda: desk.connections >= 2)
        slack.say(OPERATOR, RELEASES, "!ping")
        assert eventually(lambda: desk.texts) == ["!ping"]


def test_connected_is_a_gauge_that_falls_when_the_network_is_gone() -> None:
    with bot() as (slack, chat, _):
        assert chat.connected
        slack.close_port()
        eventually(lambda: not chat.connected)


def test_a_revoked_token_is_said_in_the_log_and_the_bot_is_back_with_a_new_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = ["xoxb-of-old"]
    with team(None, OUR_APP) as slack:
        chat = chat_on(slack, bot_token=lambda: good[0])
        with caplog.at_level(logging.WARNING):
            desk = Desk()
            chat.start(desk)
            eventually(lambda: "invalid_auth" in caplog.text)
            assert not chat.connected
            good[0] = slack.app.bot_token
            eventually(lambda: desk.connections)
            chat.stop()
        assert "xoxb" not in caplog.text


def test_a_bad_app_token_is_named_for_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with team(None, OUR_APP) as slack, caplog.at_level(logging.WARNING):
        chat = chat_on(slack, app_token=lambda: slack.app.bot_token)
        chat.start(Desk())
        eventually(lambda: "xapp- the app's" in caplog.text)
        chat.stop()


def test_a_failure_of_slacks_is_not_taken_for_a_bad_token(caplog: pytest.LogCaptureFixture) -> None:
    with team(None, OUR_APP) as slack, caplog.at_level(logging.WARNING):
        slack.spoil("auth.test", FaultKind.STATUS, 1, status=500)
        desk = Desk()
        with running(slack, desk):
            assert "auth.test with the status 500" in caplog.text
            assert "token" not in caplog.text


def test_a_channel_without_the_bot_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with team(None, OUR_APP) as slack, caplog.at_level(logging.WARNING):
        slack.leave(slack.app.user, RELEASES)
        with running(slack) as (_, desk):
            assert "invite it there" in caplog.text
            assert desk.connections


def test_the_attempts_become_rarer() -> None:
    with team(None, OUR_APP) as slack:
        slack.spoil("auth.test", FaultKind.STATUS, 1000)
        chat, began = chat_on(slack), time.monotonic()
        chat.start(Desk())
        eventually(lambda: len(slack.requests) == 4)
        took = time.monotonic() - began
        chat.stop()
        assert took > 0.15 + 0.3 + 0.6


def test_after_stop_nothing_is_delivered_and_stopping_is_quick() -> None:
    with team(None, OUR_APP) as slack, running(slack) as (chat, desk):
        began = time.monotonic()
        chat.stop()
        assert time.monotonic() - began < 2
        slack.say(OPERATOR, RELEASES, "!ping")
        assert not desk.events
        assert not slack.connections
        assert chat.post(HERE, prompt(), "k").message_id


def test_the_bots_own_log_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Bolt gives the logger that is called as its app the level of the logger that it was given."""
    with bot(), caplog.at_level(logging.INFO):
        logging.getLogger("kcibot.core").info("still here")
        assert "still here" in caplog.text
        assert logging.getLogger("kcibot").level == logging.NOTSET
