"""The stand-in's Socket Mode, as slack_sdk's built-in client sees it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests
from slack_sdk import WebClient

from kcibot.sandbox.http import FaultKind
from kcibot.sandbox.slack import NoSuchThingError, Pace, SlackApp, SlackStandIn, smart
from kcibot.sandbox.slack.events import SCOPES
from kcibot.sandbox.slack.people import BOT_SCOPES
from tests.fakes.slack_people import (
    ELSEWHERE,
    MANAGER,
    OPERATOR,
    OTHER_BOT,
    QUICK,
    RELEASES,
    STRANGER,
    Ear,
    client,
    eventually,
    listening,
    team,
)

BUTTONS = [
    {
        "type": "actions",
        "block_id": "gate",
        "elements": [
            {
                "type": "button",
                "action_id": "approve",
                "value": "ab12",
                "text": {"type": "plain_text", "text": "Approve"},
            }
        ],
    }
]


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with team() as here:
        yield here


@pytest.fixture
def ear(slack: SlackStandIn) -> Iterator[Ear]:
    with listening(slack) as here:
        yield here


def card(slack: SlackStandIn) -> str:
    return str(client(slack).chat_postMessage(channel=RELEASES, text="approve?", blocks=BUTTONS)["ts"])


def test_hello_comes_first_and_tells_the_app(slack, ear):
    eventually(lambda: ear.frames)
    assert ear.frames[0]["type"] == "hello"
    assert ear.frames[0]["connection_info"] == {"app_id": slack.app.id}


def test_a_message_arrives_as_slack_wraps_it(slack, ear):
    ts = slack.say(
        OPERATOR, RELEASES, '!note "a & b" <now> see https://kernelci.org/x or kernelci.org, @man1 #elsewhere'
    )
    event = eventually(lambda: ear.events("message"))[0]
    assert event["text"] == (
        '!note "a &amp; b" &lt;now&gt; see <https://kernelci.org/x> or <http://kernelci.org|kernelci.org>, '
        f"<@{MANAGER}> <#{ELSEWHERE}|elsewhere>"
    )
    assert (event["user"], event["channel"], event["ts"], event["channel_type"]) == (OPERATOR, RELEASES, ts, "channel")
    assert "subtype" not in event
    payload = eventually(lambda: ear.heard)[0].payload
    assert payload["type"] == "event_callback"
    assert payload["event_id"].startswith("Ev")
    assert payload["authorizations"][0]["user_id"] == slack.app.user


def test_smart_quotes_are_as_a_telephone_makes_them(slack, ear):
    slack.say(OPERATOR, RELEASES, smart("""!skip drain "it's late" now"""))
    assert eventually(ear.events)[0]["text"] == "!skip drain \u201cit\u2019s late\u201d now"


def test_a_message_that_names_the_app_is_two_events(slack, ear):
    ts = slack.say(OPERATOR, RELEASES, "@kcibot status")
    eventually(lambda: len(ear.events()) == 2)
    assert [event["type"] for event in ear.events()] == ["message", "app_mention"]
    assert {event["ts"] for event in ear.events()} == {ts}
    assert len({frame["payload"]["event_id"] for frame in ear.frames[1:]}) == 2


def test_an_edit_of_what_names_the_app_is_a_mention_again(slack, ear):
    ts = slack.say(OPERATOR, RELEASES, "@kcibot ping")
    slack.edit(OPERATOR, RELEASES, ts, f"<@{slack.app.user}> status")
    eventually(lambda: len(ear.events("app_mention")) == 2)
    first, again = ear.events("app_mention")
    assert first["ts"] == again["ts"] == ts
    assert "edited" not in first
    assert again["edited"]["user"] == OPERATOR


def test_edits_deletions_and_previews_are_subtypes(slack, ear):
    ts = slack.say(OPERATOR, RELEASES, "!ping")
    slack.unfurl(RELEASES, ts, "a preview")
    slack.edit(OPERATOR, RELEASES, ts, "!release prepare")
    slack.delete(OPERATOR, RELEASES, ts)
    eventually(lambda: len(ear.events()) == 4)
    _, preview, edit, deletion = ear.events()
    assert (preview["subtype"], "edited" in preview["message"]) == ("message_changed", False)
    assert edit["message"]["edited"]["user"] == OPERATOR
    assert (edit["message"]["text"], edit["previous_message"]["text"]) == ("!release prepare", "!ping")
    assert edit["message"]["ts"] == ts != edit["ts"]
    assert (deletion["subtype"], deletion["deleted_ts"]) == ("message_deleted", ts)


def test_bots_webhooks_strangers_and_forwards_are_told_apart(slack, ear):
    ts = slack.say(OTHER_BOT, RELEASES, "!ping")
    slack.announce(RELEASES, "!ping")
    slack.say(STRANGER, RELEASES, "!ping")
    slack.share(OPERATOR, RELEASES, ts, RELEASES, "look")
    eventually(lambda: len(ear.events()) == 4)
    bot, hook, stranger, forward = ear.events()
    assert bot["bot_id"]
    assert bot["user"] == OTHER_BOT
    assert hook["subtype"] == "bot_message"
    assert "user" not in hook
    assert stranger["team"] != bot["team"]
    assert (forward["text"], forward["attachments"][0]["text"]) == ("look", "!ping")
    assert forward["attachments"][0]["is_share"]


def test_reactions_come_and_go_with_their_skin_tone(slack, ear):
    ts = card(slack)
    slack.react(MANAGER, RELEASES, ts, "+1::skin-tone-2")
    slack.react(MANAGER, RELEASES, ts, "+1::skin-tone-2")
    slack.unreact(MANAGER, RELEASES, ts, "+1::skin-tone-2")
    eventually(lambda: ear.events("reaction_removed"))
    added, *more = ear.events("reaction_added")
    assert not more
    assert (added["reaction"], added["item"]) == ("+1::skin-tone-2", {"type": "message", "channel": RELEASES, "ts": ts})
    assert added["item_user"] == slack.app.user
    assert slack.reactions(RELEASES, ts) == {}


def test_nothing_is_heard_of_channels_without_the_bot_until_it_joins(slack, ear):
    slack.react(OPERATOR, ELSEWHERE, slack.say(OPERATOR, ELSEWHERE, "among us"), "+1")
    slack.join(slack.app.user, ELSEWHERE)
    slack.say(OPERATOR, ELSEWHERE, "now")
    slack.leave(slack.app.user, ELSEWHERE)
    slack.say(OPERATOR, ELSEWHERE, "among us again")
    eventually(lambda: len(ear.events()) == 5)
    assert [event.get("subtype", event["type"]) for event in ear.events()] == [
        "member_joined_channel",
        "channel_join",
        "message",
        "member_left_channel",
        "channel_leave",
    ]


def test_events_without_subscription_or_scope_are_not_sent():
    scopes = BOT_SCOPES - {SCOPES["reaction_added"]}
    app = SlackApp(scopes=scopes, events=frozenset({"message", "reaction_added"}))
    with team(app=app) as slack, listening(slack) as ear:
        ts = slack.say(OPERATOR, RELEASES, "@kcibot one")
        slack.react(OPERATOR, RELEASES, ts, "+1")
        slack.say(OPERATOR, RELEASES, "two")
        eventually(lambda: len(ear.events()) == 2)
        assert {event["type"] for event in ear.events()} == {"message"}


def test_a_press_tells_the_button_and_the_message(slack, ear):
    ts = card(slack)
    sent = slack.press(MANAGER, RELEASES, ts, "approve")
    eventually(lambda: [one for one in ear.heard if one.type == "interactive"])
    payload = next(one for one in ear.heard if one.type == "interactive").payload
    assert payload == sent
    assert payload["actions"][0]["value"] == "ab12"
    assert (payload["user"]["id"], payload["container"]["message_ts"]) == (MANAGER, ts)
    slack.interact({**sent, "user": {**sent["user"], "id": OPERATOR}})
    eventually(lambda: len([one for one in ear.heard if one.type == "interactive"]) == 2)


def test_a_button_that_one_person_saw_comes_without_its_message(slack, ear):
    ts = client(slack).chat_postEphemeral(channel=RELEASES, user=OPERATOR, text="sure?", blocks=BUTTONS)["message_ts"]
    payload = slack.press_ephemeral(OPERATOR, ts, "approve")
    assert payload["container"]["is_ephemeral"]
    assert "message" not in payload
    eventually(lambda: [one for one in ear.heard if one.type == "interactive"])
    with pytest.raises(NoSuchThingError):
        slack.press_ephemeral(MANAGER, ts, "approve")


def test_quotes_and_code_are_told_by_their_rich_text(slack, ear):
    slack.say(OPERATOR, RELEASES, "> !ping")
    slack.say(OPERATOR, RELEASES, "```!ping```")
    eventually(lambda: len(ear.events()) == 2)
    kinds = [event["blocks"][0]["elements"][0]["type"] for event in ear.events()]
    assert kinds == ["rich_text_quote", "rich_text_preformatted"]


def test_a_response_url_answers_one_person_or_replaces_the_message_five_times(slack):
    def respond(value: dict) -> int:
        return requests.post(url, json=value, timeout=5).status_code

    ts = card(slack)
    url = slack.press(MANAGER, RELEASES, ts, "approve")["response_url"]
    assert respond({"text": "only you"}) == 200
    assert respond({"text": "done", "replace_original": True}) == 200
    assert [told.user for told in slack.ephemerals] == [MANAGER]
    assert slack.message(RELEASES, ts).text == "done"
    assert respond({"tekst": "x"}) == 400
    assert [respond({"text": "x"}) for _ in range(4)] == [200, 200, 200, 404]


def test_acknowledgements_are_kept_with_their_times(slack, ear):
    slack.say(OPERATOR, RELEASES, "hello")
    ack = eventually(lambda: slack.acks)[0]
    assert (ack.event_id, ack.attempt) == (ear.frames[1]["payload"]["event_id"], 0)
    assert 0 < ack.seconds < 3
    assert not slack.late


def test_without_an_acknowledgement_it_comes_again_and_is_lost_in_the_end():
    with team(QUICK) as slack, listening(slack) as ear:
        ear.deaf.set()
        slack.say(OPERATOR, RELEASES, "hello?")
        eventually(lambda: slack.lost)
        sent = [frame for frame in ear.frames if frame["type"] == "events_api"]
        assert [frame["retry_attempt"] for frame in sent] == [0, 1, 2, 3]
        assert {frame["retry_reason"] for frame in sent[1:]} == {"timeout"}
        assert len({frame["payload"]["event_id"] for frame in sent}) == 1
        assert len({frame["envelope_id"] for frame in sent}) == 4
        assert len(slack.late) == 4


def test_a_retry_that_is_acknowledged_is_the_last():
    with team(replace(QUICK, acknowledge=0.5)) as slack, listening(slack) as ear:
        ear.deaf.set()
        slack.say(OPERATOR, RELEASES, "hello?")
        eventually(lambda: slack.late)
        ear.deaf.clear()
        eventually(lambda: slack.acks)
        assert not slack.lost
        assert slack.acks[0].attempt >= 1


def test_a_duplicate_has_the_same_event_id(slack, ear):
    slack.duplicate()
    slack.say(OPERATOR, RELEASES, "twice")
    slack.say(OPERATOR, RELEASES, "once")
    eventually(lambda: len(ear.heard) == 3)
    ids = [frame["payload"]["event_id"] for frame in ear.frames[1:]]
    assert ids[0] == ids[1] != ids[2]
    assert sorted(request.retry_attempt for request in ear.heard) == [0, 0, 1]


def test_events_can_come_out_of_order(slack):
    with listening(slack) as ear:
        slack.hold_events()
        said = [slack.say(OPERATOR, RELEASES, str(number)) for number in range(3)]
        slack.release_events(lambda held: held[::-1])
        eventually(lambda: len(ear.frames) == 4)
        assert [frame["payload"]["event"]["ts"] for frame in ear.frames[1:]] == said[::-1]


def test_what_happens_while_nobody_listens_is_lost_but_for_the_retries():
    with team(Pace(retries=())) as slack:
        ts = slack.say(OPERATOR, RELEASES, "anybody?")
        assert [shipment.payload["event"]["ts"] for shipment in slack.lost] == [ts]
        with listening(slack) as ear:
            slack.say(OPERATOR, RELEASES, "now")
            assert eventually(ear.events)[0]["text"] == "now"
            assert client(slack).conversations_history(channel=RELEASES)["messages"][1]["ts"] == ts


def test_a_retry_reaches_who_came_meanwhile():
    with team(Pace(retries=(1.5,))) as slack:
        slack.say(OPERATOR, RELEASES, "wait for me")
        with listening(slack) as ear:
            assert eventually(ear.events)[0]["text"] == "wait for me"
            assert eventually(lambda: ear.heard)[0].retry_attempt == 1


def test_each_event_goes_to_one_of_several_connections(slack):
    with listening(slack) as one, listening(slack) as two:
        for number in range(4):
            slack.say(OPERATOR, RELEASES, str(number))
        eventually(lambda: len(one.heard) + len(two.heard) == 4)
        assert len(one.heard) == len(two.heard) == 2
        assert slack.connections == 2


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
def test_a_disconnect_frame_makes_the_client_come_anew(slack, ear, reason):
    slack.disconnect(reason, grace=0.2)
    eventually(lambda: len(slack.calls("apps.connections.open")) == 2)
    eventually(lambda: slack.connections == 1)
    slack.say(OPERATOR, RELEASES, "still there?")
    assert eventually(ear.events)[0]["text"] == "still there?"


@pytest.mark.parametrize("end", [SlackStandIn.close_sockets, SlackStandIn.drop_sockets])
def test_a_lost_connection_is_made_again(slack, ear, end):
    end(slack)
    eventually(lambda: len(slack.calls("apps.connections.open")) == 2)
    eventually(lambda: slack.connections == 1)
    slack.say(OPERATOR, RELEASES, "still there?")
    assert eventually(ear.events)[0]["text"] == "still there?"


def test_a_refused_websocket_is_tried_again(slack):
    slack.refuse_websockets(times=2)
    with listening(slack) as ear:
        slack.say(OPERATOR, RELEASES, "at last")
        assert eventually(ear.events)[0]["text"] == "at last"


def test_silence_makes_the_client_give_up_the_connection(slack, ear):
    eventually(lambda: ear.client.current_session.last_ping_pong_time)  # without a first pong it waits for ever
    slack.go_silent()
    eventually(lambda: len(slack.calls("apps.connections.open")) >= 2)


def test_pings_are_sent_and_answered():
    with team(QUICK) as slack, listening(slack):
        eventually(lambda: any(one.socket.pongs for one in slack.delivery._connections))


def test_a_port_that_is_closed_drops_everybody_and_opens_again(slack, ear):
    slack.close_port()
    eventually(lambda: slack.connections == 0)
    with pytest.raises(OSError, match="refused"):
        client(slack).auth_test()
    slack.open_port()
    eventually(lambda: slack.connections == 1)


def test_a_frame_that_acknowledges_nothing_is_remarked(slack, ear):
    ear.client.send_message('{"envelope_id": "made-up"}')
    eventually(lambda: slack.remarks)


def test_opening_a_connection_can_be_limited(slack):
    slack.rate_limit("apps.connections.open", retry_after=1)
    slack.spoil("auth.test", FaultKind.SLOW, seconds=0.2)
    with listening(slack):
        assert WebClient(slack.app.bot_token, base_url=slack.api).auth_test()["ok"]
