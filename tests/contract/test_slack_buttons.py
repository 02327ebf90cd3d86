"""A press does what typing its command does, for who pressed, if the message really offers it as it stands now."""

import copy
from typing import Any

import pytest

from kcibot.core.message import EventKind, MessageRef
from kcibot.core.notice import Button, Notice
from kcibot.sandbox.http import FaultKind
from kcibot.sandbox.slack import SlackStandIn
from tests.fakes.slack_bot import HERE, OUR_APP, bot, chat_on, prompt, running
from tests.fakes.slack_people import ELSEWHERE, MANAGER, OPERATOR, QUICK, RELEASES, client, eventually, team


def press(slack: SlackStandIn, user: str, ref: MessageRef, number: int = 0) -> dict[str, Any]:
    button = slack.message(ref.channel, ref.message_id).buttons()[number]
    return slack.press(user, ref.channel, ref.message_id, button["action_id"])


def test_a_press_is_the_command_typed_by_who_pressed() -> None:
    with bot() as (slack, chat, desk):
        ref = chat.post(HERE, prompt(code="abc123"), "k")
        payload = press(slack, MANAGER, ref, 1)
        event = eventually(lambda: desk.events)[0]
        assert (event.kind, event.place, event.text) == (EventKind.MESSAGE, HERE, "!reject abc123")
        assert (event.identity, event.nick, event.target) == (MANAGER, "man1", None)
        assert event.at.timestamp() == pytest.approx(float(payload["actions"][0]["action_ts"]), abs=0.001)


def test_two_presses_are_two_commands_and_a_replayed_one_is_none() -> None:
    with bot() as (slack, chat, desk):
        ref = chat.post(HERE, prompt(), "k")
        stolen = press(slack, MANAGER, ref)
        press(slack, MANAGER, ref)
        slack.interact(stolen)
        eventually(lambda: len(slack.acks) >= 3)
        assert desk.texts == ["!approve abc123"] * 2


def test_a_button_that_is_gone_does_nothing_and_says_so_to_who_pressed() -> None:
    with bot() as (slack, chat, desk):
        ref = chat.post(HERE, prompt(code="old111"), "k")
        old = slack.message(RELEASES, ref.message_id)
        chat.edit(ref, prompt(code="new222"))
        late = press(slack, OPERATOR, ref)
        late["actions"][0].update(value="!approve old111", action_ts="1700000001.000001")
        late["message"]["blocks"] = old.blocks
        slack.interact(late)
        told = eventually(lambda: slack.ephemerals)[0]
        assert (told.user, told.channel) == (OPERATOR, RELEASES)
        assert "out of date" in told.text
        assert desk.texts == ["!approve new222"]


@pytest.mark.parametrize("where", ["foreign channel", "another's message", "no such message", "whisper"])
def test_a_forged_press_does_nothing(where: str) -> None:
    with bot() as (slack, chat, desk):
        ref = chat.post(HERE, prompt(), "k")
        payload = press(slack, MANAGER, ref)
        eventually(lambda: desk.events)
        forged = copy.deepcopy(payload)
        forged["actions"][0].update(value="!release abort", action_ts="1700000002.000001")
        place = forged["container"]
        if where == "foreign channel":
            place["channel_id"] = forged["channel"]["id"] = ELSEWHERE
        elif where == "another's message":
            place["message_ts"] = slack.say(OPERATOR, RELEASES, "hello")
        elif where == "no such message":
            place["message_ts"] = "1700000000.000001"
        else:
            place["is_ephemeral"] = True
        before = len(slack.acks)
        slack.interact(forged)
        eventually(lambda: len(slack.acks) > before)
        assert "!release abort" not in desk.texts


def test_after_a_restart_a_button_is_compared_with_the_message_as_slack_has_it() -> None:
    with team(None, OUR_APP) as slack:
        with running(slack) as (chat, _):
            ref = chat.post(HERE, prompt(), "k")
            below = chat.post(HERE, Notice("card", buttons=(Button("Go", "!go"),)), "k2", ref)
        with running(slack) as (_, desk):
            press(slack, MANAGER, ref)
            forged = press(slack, MANAGER, below)
            forged["actions"][0].update(value="!stop", action_ts="1700000003.000001")
            slack.interact(forged)
            eventually(lambda: slack.ephemerals)
            assert desk.texts == ["!approve abc123", "!go"]


def test_a_press_that_cannot_be_checked_is_neither_done_nor_acknowledged() -> None:
    with team(QUICK, OUR_APP) as slack:
        with running(slack) as (chat, _):
            ref = chat.post(HERE, prompt(), "k")
        with running(slack) as (_, desk):
            slack.spoil("conversations.history", FaultKind.STATUS)
            press(slack, MANAGER, ref)
            eventually(lambda: slack.lost)
            assert not desk.events
            press(slack, MANAGER, ref)
            assert eventually(lambda: desk.texts) == ["!approve abc123"]


def test_another_apps_message_with_our_command_in_it_is_not_ours() -> None:
    with bot() as (slack, chat, desk):
        ref = chat.post(HERE, prompt(), "k")
        payload = press(slack, MANAGER, ref)
        eventually(lambda: desk.events)
        message = slack.workspace.message(RELEASES, slack.say(OPERATOR, RELEASES, "hello"))
        message.blocks = slack.message(RELEASES, ref.message_id).blocks
        payload["container"]["message_ts"] = message.ts
        slack.interact(payload)
        eventually(lambda: slack.ephemerals)
        assert desk.texts.count("!approve abc123") == 1


def test_the_adapter_is_the_one_that_the_stand_in_knows() -> None:
    """Guards the tests above: what they forge is refused for what it is, not because nothing is heard."""
    with team(None, OUR_APP) as slack:
        assert client(slack).auth_test()["user_id"] == chat_on(slack)._who_we_are().user
