"""A channel that is closed to the bot holds up no other one, and it is said once; a bot that is shut out waits."""

import logging

import pytest

from kcibot.core.message import Place
from kcibot.core.notice import Notice
from kcibot.errors import PermanentError, TransientError
from kcibot.sandbox.slack import SlackStandIn
from tests.fakes.slack_bot import HERE, bot, chat_on, prompt, running
from tests.fakes.slack_people import ELSEWHERE, MANAGER, OPERATOR, RELEASES, SECRET, eventually

CARD = Notice("release 2019.6", lines=("tags: done",), milestone="m")
THERE = Place("slack", ELSEWHERE)
BOTH = (RELEASES, ELSEWHERE)
TOKENS = ["invalid_auth", "account_inactive", "token_revoked", "token_expired", "team_access_not_granted"]


def invited(slack: SlackStandIn) -> None:
    slack.join(slack.app.user, ELSEWHERE)


def close(slack: SlackStandIn, how: str) -> None:
    if how == "archived":
        slack.workspace.channel(ELSEWHERE).archived = True
    else:
        slack.leave(slack.app.user, ELSEWHERE)


@pytest.mark.parametrize("how", ["archived", "removed"])
def test_what_is_said_in_a_closed_channel_waits_and_the_others_are_told_once(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    with bot(channels=BOTH) as (slack, chat, _), caplog.at_level(logging.ERROR):
        invited(slack)
        close(slack, how)
        for number in range(3):
            with pytest.raises(TransientError):
                chat.post(THERE, CARD, f"card {number}")
            chat.post(HERE, CARD, f"card {number}")
        told = [one.text for one in slack.posted(RELEASES) if f"<#{ELSEWHERE}>" in one.text]
        assert len(told) == 1
        assert ("archived" if how == "archived" else "invite it") in told[0]
        assert len(slack.posted(RELEASES)) == 4
        assert caplog.text.count(f"what is said in {ELSEWHERE} waits") == 1


def test_a_channel_that_is_open_again_is_spoken_in_and_the_next_closing_is_said_again() -> None:
    with bot(channels=BOTH) as (slack, chat, _):
        for _ in range(2):
            with pytest.raises(TransientError):
                chat.post(THERE, CARD, "waits")
            invited(slack)
            assert chat.post(THERE, CARD, "heard").message_id
            slack.leave(slack.app.user, ELSEWHERE)
        assert len(slack.posted(RELEASES)) == 1 + 1


def test_the_votes_in_a_channel_that_is_closed_now_are_not_taken_for_gone() -> None:
    with bot(channels=BOTH) as (slack, chat, _):
        invited(slack)
        said = chat.post(THERE, prompt(), "prompt")
        slack.leave(slack.app.user, ELSEWHERE)
        with pytest.raises(TransientError):
            chat.reactions(said)
        with pytest.raises(TransientError):
            chat_on(slack, channels=BOTH).find(THERE, "prompt")


@pytest.mark.parametrize(
    ("channel", "words"),
    [(ELSEWHERE, "invite it"), ("C0NONE", "no such channel"), (SECRET, "not invited")],
)
def test_in_the_only_channel_everything_waits_and_what_to_do_is_in_the_log(channel: str, words: str) -> None:
    with bot(channels=(channel,)) as (_, chat, _), pytest.raises(TransientError, match=words):
        chat.post(Place("slack", channel), CARD, "card")


def test_an_archived_only_channel_makes_everything_wait() -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, CARD, "card")
        slack.workspace.channel(RELEASES).archived = True
        with pytest.raises(TransientError, match="archived"):
            chat.post(HERE, CARD, "another")
        slack.workspace.channel(RELEASES).archived = False
        chat.edit(ref, CARD)


def test_what_was_said_while_the_bot_was_outside_is_found_when_it_is_invited_again() -> None:
    with bot(channels=BOTH) as (slack, _, desk):
        slack.say(OPERATOR, ELSEWHERE, "!ping")
        slack.say(OPERATOR, RELEASES, "!here")
        eventually(lambda: desk.texts == ["!here"])
        invited(slack)
        eventually(lambda: "!ping" in desk.texts)


def test_a_thread_that_was_deleted_does_not_hold_up_what_belongs_into_it() -> None:
    with bot() as (slack, chat, _):
        card = chat.post(HERE, CARD, "card")
        slack.workspace.delete(slack.workspace.message(RELEASES, card.message_id))
        ref = chat.post(HERE, CARD, "detail", card)
        assert not slack.message(RELEASES, ref.message_id).thread_ts


# ---- shut out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", TOKENS)
def test_a_bot_that_is_shut_out_was_refused_nothing_for_good(error: str) -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, prompt(), "card")
        slack.shut_out(error)
        with pytest.raises(TransientError, match=error):
            chat.edit(ref, CARD)
        with pytest.raises(TransientError, match=error):
            chat.post(HERE, CARD, "another")
        with pytest.raises(TransientError):
            chat.reactions(ref)
        with pytest.raises(TransientError):
            chat.find(HERE, "card")
        slack.let_in()
        chat.edit(ref, CARD)
        assert chat.find(HERE, "another") is None


def test_an_empty_token_is_no_refusal_for_good_either() -> None:
    token = ["xoxb-stand-in"]
    with bot(bot_token=lambda: token[0]) as (_, chat, _):
        ref = chat.post(HERE, CARD, "card")
        token[0] = ""
        with pytest.raises(TransientError, match="empty"):
            chat.edit(ref, CARD)


def test_what_is_wrong_with_the_message_itself_is_refused_for_good() -> None:
    with bot() as (slack, chat, _):
        slack.lie("chat.postMessage", lambda _: {"ok": False, "error": "invalid_blocks"})
        with pytest.raises(PermanentError, match="blocks"):
            chat.post(HERE, CARD, "card")


def test_a_bot_shut_out_at_its_start_is_there_once_it_is_let_in() -> None:
    with bot() as (slack, chat, desk):
        chat.stop()
        slack.shut_out()
        chat.start(desk)
        eventually(lambda: [call for call in slack.calls("auth.test") if call.error == "token_revoked"])
        assert not chat.connected
        slack.let_in()
        with running(slack, desk, chat_on(slack)):
            slack.say(MANAGER, RELEASES, "!ping")
            assert eventually(lambda: desk.texts) == ["!ping"]
