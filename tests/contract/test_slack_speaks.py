"""What the bot says in Slack is said once, where it belongs, and is found again when its answer was lost."""

import time
from datetime import timedelta

import pytest

from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import Level, Notice
from kcibot.errors import NotFound, OutcomeUnknown, PermanentError, TransientError
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.slack import SlackApp
from tests.fakes.slack_bot import HERE, OUR_APP, bot, chat_on, prompt
from tests.fakes.slack_people import OBSERVER, OPERATOR, RELEASES, team

CARD = Notice("release 2019.6", lines=("tags: done", "drain: running"), milestone="m")


def test_a_message_is_posted_with_its_key_and_edited_in_place() -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, CARD, "release:1")
        posted = slack.message(RELEASES, ref.message_id)
        assert posted.metadata == {"event_type": "kcibot", "event_payload": {"key": "release:1"}}
        assert "2019.6" in posted.text
        chat.edit(ref, Notice("release 2019.6 done"))
        assert "done" in slack.message(RELEASES, ref.message_id).text
        assert len(slack.posted(RELEASES)) == 1
        assert chat.find(HERE, "release:1") == ref


@pytest.mark.parametrize("level", list(Level))
def test_details_go_into_the_thread_and_what_is_urgent_into_the_channel(level: Level) -> None:
    with bot() as (slack, chat, _):
        card = chat.post(HERE, CARD, "card")
        ref = chat.post(HERE, Notice("news", level), "news", card)
        urgent = level in {Level.PROMPT, Level.ALERT, Level.ERROR}
        assert slack.message(RELEASES, ref.message_id).thread_ts == ("" if urgent else card.message_id)


def test_a_whisper_is_seen_by_one_and_cannot_be_edited() -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, Notice("you may not", Level.WARNING, whisper=OBSERVER), "k")
        assert [(one.user, one.channel) for one in slack.ephemerals] == [(OBSERVER, RELEASES)]
        assert not slack.posted(RELEASES)
        with pytest.raises(NotFound):
            chat.edit(ref, Notice("changed"))


def test_a_whisper_to_nobody_slack_knows_is_said_aloud() -> None:
    with bot() as (slack, chat, _):
        chat.post(HERE, Notice("you may not", whisper="oper"), "k")
        assert len(slack.posted(RELEASES)) == 1


@pytest.mark.parametrize("kind", [FaultKind.RESET_AFTER, FaultKind.RESET_MIDWAY, FaultKind.TRUNCATED, FaultKind.EMPTY])
def test_an_answer_that_was_lost_is_unknown_and_the_message_is_found(kind: FaultKind) -> None:
    with bot() as (slack, chat, _):
        slack.spoil("chat.postMessage", kind)
        with pytest.raises(OutcomeUnknown):
            chat.post(HERE, CARD, "card")
        assert len(slack.posted(RELEASES)) == 1
        found = chat.find(HERE, "card")
        assert found == MessageRef("slack", RELEASES, slack.posted(RELEASES)[0].ts)


@pytest.mark.parametrize("kind", [FaultKind.STATUS, FaultKind.HTML, FaultKind.RESET_BEFORE])
def test_a_failure_that_had_no_effect_is_unknown_too_and_nothing_is_found(kind: FaultKind) -> None:
    with bot() as (slack, chat, _):
        slack.spoil("chat.postMessage", kind)
        with pytest.raises(OutcomeUnknown):
            chat.post(HERE, CARD, "card")
        assert chat.find(HERE, "card") is None


def test_an_answer_that_takes_too_long_is_unknown() -> None:
    with team(None, OUR_APP) as slack:
        chat = chat_on(slack, timeout=timedelta(seconds=0.3))
        slack.spoil("chat.postMessage", FaultKind.HANG)
        with pytest.raises(OutcomeUnknown):
            chat.post(HERE, CARD, "card")


def test_a_network_that_is_away_had_no_effect() -> None:
    with team(None, OUR_APP) as slack:
        chat = chat_on(slack)
        slack.close_port()
        with pytest.raises(TransientError, match="cannot be reached"):
            chat.post(HERE, CARD, "card")
        with pytest.raises(TransientError):
            chat.reactions(MessageRef("slack", RELEASES, "1700000000.000100"))
        with pytest.raises(TransientError):
            chat.find(HERE, "card")


def test_a_message_in_a_thread_is_found_after_a_restart() -> None:
    with bot() as (slack, chat, _):
        card = chat.post(HERE, CARD, "card")
        reply = chat.post(HERE, Notice("detail"), "detail", card)
        for number in range(230):
            slack.say(OPERATOR, RELEASES, f"chatter {number}")
        fresh = chat_on(slack)
        assert fresh.find(HERE, "detail") == reply
        assert fresh.find(HERE, "card") == card
        assert fresh.find(HERE, "never") is None


def test_a_key_in_anothers_message_is_not_ours() -> None:
    with bot() as (slack, chat, _):
        message = slack.workspace.message(RELEASES, slack.say(OPERATOR, RELEASES, "hello"))
        message.metadata = {"event_type": "kcibot", "event_payload": {"key": "card"}}
        assert chat.find(HERE, "card") is None


def test_a_look_that_fails_half_way_is_no_answer() -> None:
    with bot() as (slack, chat, _):
        chat.post(HERE, CARD, "card")
        for number in range(230):
            slack.say(OPERATOR, RELEASES, f"chatter {number}")
        slack.faults.add(Fault(FaultKind.STATUS, "/api/conversations.history$", 1, skip=1))
        with pytest.raises(TransientError):
            chat.find(HERE, "card")


def test_429_is_obeyed_for_that_method_and_others_go_on() -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, CARD, "card")
        slack.rate_limit("chat.update", 30)
        for _ in range(20):
            with pytest.raises(TransientError, match=r"chat\.update"):
                chat.edit(ref, Notice("changed"))
        assert len(slack.calls("chat.update")) == 1
        assert chat.post(HERE, Notice("other"), "other").message_id
        assert chat.reactions(ref) == ()


def test_for_a_second_it_is_waited() -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, CARD, "card")
        slack.rate_limit("chat.update", 1)
        began = time.monotonic()
        chat.edit(ref, Notice("changed"))
        assert time.monotonic() - began > 0.8
        assert len(slack.calls("chat.update")) == 2
        assert "changed" in slack.message(RELEASES, ref.message_id).text


def test_a_message_refused_for_429_was_not_posted() -> None:
    with bot() as (slack, chat, _):
        slack.rate_limit("chat.postMessage", 30)
        with pytest.raises(TransientError):
            chat.post(HERE, CARD, "card")
        assert not slack.posted(RELEASES)


def test_a_missing_scope_is_named() -> None:
    app = SlackApp(scopes=OUR_APP.scopes - {"chat:write"}, events=OUR_APP.events)
    with team(None, app) as slack, pytest.raises(PermanentError, match="chat:write"):
        chat_on(slack).post(HERE, CARD, "card")


def test_a_message_that_was_deleted_is_not_found_and_has_no_votes_to_compare() -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, prompt(), "k")
        slack.workspace.delete(slack.workspace.message(RELEASES, ref.message_id))
        with pytest.raises(NotFound):
            chat.edit(ref, CARD)
        assert chat.reactions(ref) is None
        assert chat.find(HERE, "k") is None


def test_another_network_is_refused() -> None:
    with team() as slack:
        chat = chat_on(slack)
        with pytest.raises(PermanentError):
            chat.post(Place("irc", RELEASES), CARD, "k")
        with pytest.raises(PermanentError):
            chat.edit(MessageRef("irc", RELEASES, "1.1"), CARD)


def test_persons_are_addressed_by_their_user_id() -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, Notice("done", mentions=("operator", "unknown")), "k")
        posted = slack.message(RELEASES, ref.message_id)
        assert f"<@{OPERATOR}>" in str(posted.blocks) + posted.text
