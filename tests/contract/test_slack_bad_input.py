"""Floods, long lines, odd bytes and lies of the network do not stop the bot, nor does it believe them."""

import json

import pytest

from kcibot.core.message import MessageRef
from kcibot.errors import KcibotError, TransientError
from kcibot.sandbox.http import Fault, FaultKind
from tests.fakes.slack_bot import HERE, bot, prompt
from tests.fakes.slack_people import MANAGER, OPERATOR, RELEASES, eventually


def test_a_thousand_lines_at_once_are_all_taken_in_time_and_in_their_order() -> None:
    with bot() as (slack, _, desk):
        lines = [f"!ping {number}" for number in range(1000)]
        slack.hold_events()
        for line in lines:
            slack.say(OPERATOR, RELEASES, line)
        slack.release_events()
        eventually(lambda: len(desk.events) == 1000)
        assert desk.texts == lines
        assert not slack.late
        assert desk.connections == 1


def test_a_long_line_is_taken_whole() -> None:
    with bot() as (slack, _, desk):
        line = "!hold " + "é" * 10_000
        slack.say(OPERATOR, RELEASES, line)
        assert eventually(lambda: desk.texts) == [line]


def test_halves_of_characters_control_codes_and_invisible_signs_do_no_harm() -> None:
    with bot() as (slack, _, desk):
        slack.say_raw(OPERATOR, RELEASES, "!hold \ud83d \x00\x07\u200b end")
        slack.say_raw(OPERATOR, RELEASES, "!ping")
        eventually(lambda: len(desk.events) == 2)
        assert desk.texts[1] == "!ping"
        assert desk.texts[0].startswith("!hold ")
        assert "\x00" not in desk.texts[0]


def test_frames_that_are_no_json_or_no_text_are_passed_over() -> None:
    with bot() as (slack, _, desk):
        for text in ("nonsense", "{", "[]", "{}", '{"type": "events_api"}', json.dumps({"type": "hello"}) * 2):
            slack.delivery.each(lambda one, text=text: one.send(text))
        slack.say(OPERATOR, RELEASES, "!ping")
        assert eventually(lambda: desk.texts) == ["!ping"]


def test_a_name_that_looks_like_anothers_is_only_a_name() -> None:
    with bot() as (slack, _, desk):
        fake = slack.add_person("U0FAKE", "m\N{CYRILLIC SMALL LETTER A}n1")
        slack.workspace.channel(RELEASES).members.add(fake)
        slack.say(fake, RELEASES, "!release prepare")
        assert eventually(lambda: desk.events)[0].identity == "U0FAKE"


@pytest.mark.parametrize(
    "lie",
    [
        lambda _: [],
        lambda _: {},
        lambda _: {"ok": True, "message": "none"},
        lambda _: {"ok": True, "message": {"reactions": "many"}},
        lambda _: {"ok": True, "message": {"reactions": ["+1"]}},
        lambda answer: {
            **answer,
            "message": {**answer["message"], "reactions": [{"name": "+1", "users": [MANAGER], "count": 7}]},
        },
    ],
)
def test_an_answer_about_votes_that_is_not_whole_is_no_answer(lie: object) -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, prompt(), "k")
        slack.faults.add(Fault(FaultKind.CHANGED, "/api/reactions.get$", change=lie))  # type: ignore[arg-type]
        with pytest.raises(TransientError):
            chat.reactions(ref)
        assert chat.reactions(ref) == ()


@pytest.mark.parametrize("kind", [FaultKind.STATUS, FaultKind.HTML, FaultKind.EMPTY, FaultKind.TRUNCATED])
def test_votes_that_cannot_be_seen_are_not_votes_taken_back(kind: FaultKind) -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, prompt(), "k")
        slack.react(MANAGER, RELEASES, ref.message_id, "+1")
        slack.spoil("reactions.get", kind)
        with pytest.raises(KcibotError):
            chat.reactions(ref)
        found = chat.reactions(ref)
        assert found is not None
        assert [one.identity for one in found] == [MANAGER]


def test_a_storm_of_429_is_no_busy_loop() -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, prompt(), "k")
        slack.rate_limit("reactions.get", 30, times=100)
        for _ in range(200):
            with pytest.raises(TransientError, match=r"reactions\.get for another \d+ s"):
                chat.reactions(MessageRef("slack", RELEASES, ref.message_id))
        assert len(slack.calls("reactions.get")) == 1


@pytest.mark.parametrize("method", ["conversations.history", "users.info", "auth.test", "apps.connections.open"])
@pytest.mark.parametrize("lie", [[], {"ok": True}, {"ok": True, "messages": 1, "channel": "C", "user": "U"}])
def test_whatever_slack_answers_once_the_bot_comes_back(method: str, lie: object) -> None:
    with bot() as (slack, _, desk):
        slack.faults.add(Fault(FaultKind.CHANGED, f"/api/{method}$", change=lambda _: lie))
        slack.hold_events()
        slack.drop_sockets()
        slack.say(OPERATOR, RELEASES, "!missed")
        eventually(lambda: desk.connections >= 2 and desk.events)
        assert desk.texts == ["!missed"]
        assert desk.events[0].identity == OPERATOR
