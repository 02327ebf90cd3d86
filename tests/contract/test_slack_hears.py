"""What persons do in Slack reaches the inbox once, and what is no command of theirs does not."""

from datetime import timedelta

import pytest

from kcibot.core.message import EventKind
from kcibot.core.notice import Notice
from kcibot.sandbox.http import FaultKind
from kcibot.sandbox.slack import Kind, SlackStandIn
from tests.fakes.slack_bot import HERE, Desk, bot, prompt
from tests.fakes.slack_people import (
    ELSEWHERE,
    GUEST,
    MANAGER,
    OPERATOR,
    OTHER_BOT,
    RELEASES,
    STRANGER,
    eventually,
)


def last_heard(slack: SlackStandIn, desk: Desk) -> list[str]:
    """All texts that were stored before a line that comes last."""
    slack.say(OPERATOR, RELEASES, "!last")
    eventually(lambda: "!last" in desk.texts)
    return desk.texts[: desk.texts.index("!last")]


def test_a_line_comes_as_it_was_typed_with_the_user_id_as_identity() -> None:
    with bot() as (slack, _, desk):
        ts = slack.say(OPERATOR, RELEASES, "!hold a < b & “c”\N{NO-BREAK SPACE}https://kernelci.org/x see kernelci.org")
        eventually(lambda: desk.events)
        event = desk.events[0]
        assert (event.event_id, event.kind, event.place) == (f"{RELEASES}:{ts}", EventKind.MESSAGE, HERE)
        assert (event.identity, event.nick) == (OPERATOR, "oper")
        assert event.text == "!hold a < b & “c” https://kernelci.org/x see kernelci.org"
        assert event.at.timestamp() == pytest.approx(float(ts), abs=0.001)
        assert event.at.utcoffset() == timedelta(0)


def test_a_mention_of_the_bot_addresses_it_and_is_one_event() -> None:
    with bot() as (slack, _, desk):
        slack.say(OPERATOR, RELEASES, "@kcibot status")
        assert last_heard(slack, desk) == ["@kcibot status"]


def test_a_line_in_a_thread_is_a_command_too() -> None:
    with bot() as (slack, chat, desk):
        ref = chat.post(HERE, Notice("card"), "k")
        slack.say(OPERATOR, RELEASES, "!release status", ref.message_id)
        assert last_heard(slack, desk) == ["!release status"]


def test_lines_come_in_their_order() -> None:
    with bot() as (slack, _, desk):
        lines = [f"!ping {number}" for number in range(40)]
        for line in lines:
            slack.say(OPERATOR, RELEASES, line)
        assert last_heard(slack, desk) == lines
        assert not slack.late


def test_an_edited_line_never_executes_not_even_by_naming_the_bot() -> None:
    with bot() as (slack, _, desk):
        ts = slack.say(OPERATOR, RELEASES, "harmless")
        slack.edit(OPERATOR, RELEASES, ts, "!release prepare")
        slack.edit(OPERATOR, RELEASES, ts, f"<@{slack.app.user}> release prepare")
        assert last_heard(slack, desk) == ["harmless"]


def test_bots_webhooks_and_the_bot_itself_never_command() -> None:
    with bot() as (slack, chat, desk):
        slack.announce(RELEASES, "!release prepare")
        slack.say(OTHER_BOT, RELEASES, "!release prepare")
        chat.post(HERE, Notice("!release prepare"), "k")
        assert last_heard(slack, desk) == []


@pytest.mark.parametrize(
    "text",
    ["> !release prepare", "`!release prepare`", "```!release prepare```", "```\n!release prepare\n```", " > !stop"],
)
def test_a_quote_or_code_is_no_command(text: str) -> None:
    with bot() as (slack, _, desk):
        slack.say(OPERATOR, RELEASES, text)
        assert not [line for line in last_heard(slack, desk) if line.startswith("!")]


def test_what_is_forwarded_is_no_command_and_neither_is_its_comment() -> None:
    with bot() as (slack, _, desk):
        ts = slack.say(OPERATOR, ELSEWHERE, "!release prepare")
        slack.share(OPERATOR, ELSEWHERE, ts, RELEASES)
        slack.share(OPERATOR, ELSEWHERE, ts, RELEASES, "!approve abc123")
        slack.share(OPERATOR, ELSEWHERE, ts, RELEASES, f"@{slack.app.name} release prepare")
        assert last_heard(slack, desk) == []


def test_a_line_whose_link_gets_a_preview_is_one_command() -> None:
    with bot() as (slack, _, desk):
        ts = slack.say(OPERATOR, RELEASES, "!hold https://example.org/")
        slack.unfurl(RELEASES, ts, "!release prepare")
        assert last_heard(slack, desk) == ["!hold https://example.org/"]


def test_a_file_without_words_says_nothing_and_its_comment_is_a_line_like_every_other() -> None:
    with bot() as (slack, _, desk):
        slack.attach(OPERATOR, RELEASES, "!release prepare")
        slack.attach(OPERATOR, RELEASES, "console.log", "!hold look at this")
        slack.attach(OPERATOR, RELEASES, "console.log", "> !stop")
        assert last_heard(slack, desk) == ["!hold look at this"]


def test_a_command_behind_a_mention_in_an_edit_of_it_is_none() -> None:
    with bot() as (slack, _, desk):
        ts = slack.say(OPERATOR, RELEASES, "@kcibot status")
        slack.edit(OPERATOR, RELEASES, ts, f"<@{slack.app.user}> release abort")
        assert last_heard(slack, desk) == ["@kcibot status"]


def test_deleting_a_line_is_no_command() -> None:
    with bot() as (slack, _, desk):
        slack.delete(OPERATOR, RELEASES, slack.say(OPERATOR, RELEASES, "!ping"))
        assert last_heard(slack, desk) == ["!ping"]


def test_channels_that_are_not_served_are_not_heard_but_told_once() -> None:
    with bot() as (slack, _, desk):
        slack.join(slack.app.user, ELSEWHERE)
        ts = slack.say(OPERATOR, ELSEWHERE, "!release prepare")
        slack.react(OPERATOR, ELSEWHERE, ts, "+1")
        for _ in range(2):
            slack.say(OPERATOR, ELSEWHERE, "@kcibot release prepare")
        assert last_heard(slack, desk) == []
        told = eventually(lambda: slack.ephemerals)
        assert [(one.channel, one.user) for one in told] == [(ELSEWHERE, OPERATOR)]
        assert f"<#{RELEASES}>" in told[0].text


def test_a_direct_message_is_answered_once_and_does_nothing() -> None:
    with bot() as (slack, _, desk):
        direct = slack.workspace.direct(OPERATOR).id
        for _ in range(3):
            slack.say(OPERATOR, direct, "!release prepare")
        assert last_heard(slack, desk) == []
        eventually(lambda: slack.posted(direct))
        assert len(slack.posted(direct)) == 1
        assert f"<#{RELEASES}>" in slack.posted(direct)[0].text


@pytest.mark.parametrize("user", [GUEST, STRANGER])
def test_guests_and_strangers_are_their_user_id_which_only_the_configuration_gives_authority(user: str) -> None:
    with bot() as (slack, _, desk):
        slack.say(user, RELEASES, "!status")
        assert eventually(lambda: desk.events)[0].identity == user


def test_an_id_of_ours_that_comes_from_another_workspace_is_not_vouched_for() -> None:
    with bot() as (slack, _, desk):
        channel = slack.workspace.channel(RELEASES)
        channel.shared = True
        slack.add_person(OPERATOR, "oper", Kind.STRANGER)  # what the event will say
        slack.hold_events()
        slack.say(OPERATOR, RELEASES, "!release prepare")
        slack.add_person(OPERATOR, "oper")  # what users.info says
        slack.release_events()
        event = eventually(lambda: desk.events)[0]
        assert (event.identity, event.nick) == ("", "oper")


def test_who_was_switched_off_is_not_vouched_for() -> None:
    with bot() as (slack, _, desk):
        slack.hold_events()
        slack.say(MANAGER, RELEASES, "!release prepare")
        slack.add_person(MANAGER, "manager-1", Kind.DELETED)
        slack.release_events()
        assert eventually(lambda: desk.events)[0].identity == ""


def test_when_slack_cannot_be_asked_ours_are_known_by_their_id_and_strangers_are_nobody() -> None:
    with bot() as (slack, _, desk):
        slack.rate_limit("users.info", 60)
        slack.say(OPERATOR, RELEASES, "!stop")
        slack.say(STRANGER, RELEASES, "!status")
        eventually(lambda: len(desk.events) == 2)
        assert [(event.identity, event.nick) for event in desk.events] == [(OPERATOR, OPERATOR), ("", STRANGER)]
        assert not slack.late


def test_slow_answers_about_people_delay_no_acknowledgement_beyond_three_seconds() -> None:
    with bot() as (slack, _, desk):
        slack.spoil("users.info", FaultKind.HANG, 2)
        slack.say(OPERATOR, RELEASES, "!ping")
        assert eventually(lambda: desk.texts) == ["!ping"]
        assert desk.events[0].identity == OPERATOR
        assert not slack.late


def test_people_are_looked_up_once_in_a_while() -> None:
    with bot() as (slack, _, desk):
        for number in range(5):
            slack.say(OPERATOR, RELEASES, f"!ping {number}")
        last_heard(slack, desk)
        assert len(slack.calls("users.info")) == 1


def test_a_reaction_and_its_withdrawal_point_at_the_message() -> None:
    with bot() as (slack, chat, desk):
        ref = chat.post(HERE, prompt(), "k")
        slack.react(MANAGER, RELEASES, ref.message_id, "+1::skin-tone-2")
        slack.unreact(MANAGER, RELEASES, ref.message_id, "+1::skin-tone-2")
        eventually(lambda: len(desk.events) == 2)
        added, removed = desk.events
        assert (added.kind, added.identity, added.target) == (EventKind.REACTION_ADDED, MANAGER, ref)
        assert (removed.kind, removed.identity, removed.target) == (EventKind.REACTION_REMOVED, MANAGER, ref)
        assert added.text == removed.text == "+1::skin-tone-2"
        assert added.event_id != removed.event_id


def test_the_same_reaction_again_is_another_event() -> None:
    with bot() as (slack, chat, desk):
        ref = chat.post(HERE, prompt(), "k")
        for _ in range(2):
            slack.react(MANAGER, RELEASES, ref.message_id, "+1")
            slack.unreact(MANAGER, RELEASES, ref.message_id, "+1")
        eventually(lambda: len(desk.events) == 4)
        assert len({event.event_id for event in desk.events}) == 4


def test_ten_thousand_reactions_are_all_seen_and_few_are_looked_up() -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, prompt(), "k")
        message = slack.workspace.message(RELEASES, ref.message_id)
        message.reactions["+1"] = [MANAGER, slack.app.user, *(f"U9{number:06d}" for number in range(9_998))]
        found = chat.reactions(ref)
        assert found is not None
        assert len(found) == 9_999
        assert (found[0].identity, found[0].nick, found[0].name) == (MANAGER, "man1", "+1")
        assert slack.app.user not in {one.identity for one in found}
        assert len(slack.calls("users.info")) <= 50
