"""An event is stored before it is acknowledged, whatever the inbox does, and however often it is delivered."""

from kcibot.core.message import EventKind
from kcibot.sandbox.slack import Pace
from tests.fakes.slack_bot import HERE, bot, prompt
from tests.fakes.slack_people import MANAGER, OPERATOR, QUICK, RELEASES, eventually


def test_nothing_is_acknowledged_while_it_is_being_stored() -> None:
    with bot() as (slack, _, desk):
        desk.open.clear()
        slack.say(OPERATOR, RELEASES, "!ping")
        eventually(lambda: slack.calls("users.info"))
        assert not slack.acks
        desk.open.set()
        eventually(lambda: slack.acks)
        assert desk.texts == ["!ping"]


def test_what_could_not_be_stored_is_not_acknowledged_comes_again_and_is_one_event() -> None:
    with bot(QUICK) as (slack, _, desk):
        desk.fail_next = 2
        slack.say(OPERATOR, RELEASES, "!release prepare")
        eventually(lambda: slack.acks)
        assert desk.refused == 2
        assert desk.texts == ["!release prepare"]
        assert slack.late


def test_what_slack_gave_up_to_deliver_is_found_in_the_history() -> None:
    with bot(Pace(acknowledge=0.3, retries=())) as (slack, _, desk):
        desk.fail_next = 1
        slack.say(OPERATOR, RELEASES, "!release prepare")
        eventually(lambda: slack.lost)
        eventually(lambda: desk.events)
        assert desk.texts == ["!release prepare"]


def test_a_reaction_that_could_not_be_stored_makes_the_votes_be_compared_again() -> None:
    with bot(Pace(acknowledge=0.3, retries=())) as (slack, chat, desk):
        ref = chat.post(HERE, prompt(), "k")
        desk.fail_next = 1
        slack.react(MANAGER, RELEASES, ref.message_id, "+1")
        eventually(lambda: slack.lost)
        eventually(lambda: desk.connections == 2)


def test_a_press_that_could_not_be_stored_is_shown_as_failed() -> None:
    with bot(QUICK) as (slack, chat, desk):
        ref = chat.post(HERE, prompt(), "k")
        desk.fail_next = 1
        button = slack.message(RELEASES, ref.message_id).buttons()[0]["action_id"]
        slack.press(MANAGER, RELEASES, ref.message_id, button)
        eventually(lambda: slack.lost)
        slack.press(MANAGER, RELEASES, ref.message_id, button)
        eventually(lambda: desk.events)
        assert len(desk.events) == 1


def test_duplicates_are_acknowledged_and_are_one_event() -> None:
    with bot() as (slack, chat, desk):
        ref = chat.post(HERE, prompt(), "k")
        slack.duplicate(3)
        slack.say(OPERATOR, RELEASES, "!ping")
        slack.react(MANAGER, RELEASES, ref.message_id, "+1")
        slack.press(
            OPERATOR, RELEASES, ref.message_id, slack.message(RELEASES, ref.message_id).buttons()[0]["action_id"]
        )
        eventually(lambda: len([ack for ack in slack.acks if ack.attempt == 1]) == 3)
        kinds = [event.kind for event in desk.events]
        assert kinds == [EventKind.MESSAGE, EventKind.REACTION_ADDED, EventKind.MESSAGE]


def test_every_subscribed_event_is_acknowledged_though_most_say_nothing() -> None:
    with bot() as (slack, chat, desk):
        ref = chat.post(HERE, prompt(), "k")
        slack.add_person("U0NEW", "newcomer")
        slack.join("U0NEW", RELEASES)
        ts = slack.say(OPERATOR, RELEASES, "@kcibot hello")
        slack.edit(OPERATOR, RELEASES, ts, "hello")
        slack.delete(OPERATOR, RELEASES, ts)
        slack.react(MANAGER, RELEASES, ref.message_id, "eyes")
        slack.unreact(MANAGER, RELEASES, ref.message_id, "eyes")
        slack.announce(RELEASES, "from a webhook")
        slack.say(OPERATOR, slack.workspace.direct(OPERATOR).id, "hello")
        eventually(lambda: slack.posted(slack.workspace.direct(OPERATOR).id))
        slack.say(OPERATOR, RELEASES, "!last")
        eventually(lambda: "!last" in desk.texts)
        eventually(lambda: len({ack.event_id for ack in slack.acks}) >= 11)
        assert not slack.late
        assert not slack.lost
        assert all(ack.seconds < 3 for ack in slack.acks)


def test_events_nobody_asked_for_and_nonsense_are_acknowledged() -> None:
    with bot() as (slack, _, desk):
        nonsense = [
            {"type": "channel_rename", "channel": {"id": RELEASES}, "event_ts": "1.1"},
            {"type": "message", "channel": RELEASES, "event_ts": "1.2"},
            {"type": "message", "channel": RELEASES, "user": OPERATOR, "text": "!ping", "ts": "soon"},
            {"type": "message", "channel": RELEASES, "user": {"id": OPERATOR}, "text": ["!ping"], "ts": "1.000001"},
            {"type": "message", "channel": RELEASES, "user": OPERATOR, "text": "!x", "ts": "9" * 40 + ".1"},
            {"type": "reaction_added", "user": MANAGER, "reaction": "+1", "item": "C1", "event_ts": "1.4"},
            {"type": "reaction_added", "user": MANAGER, "reaction": "+1", "item": {"type": "file"}, "event_ts": "1.5"},
            {"type": "reaction_added", "item": {"type": "message", "channel": RELEASES, "ts": "1.2"}},
        ]
        for number, event in enumerate(nonsense):
            body = {"type": "event_callback", "team_id": "T1", "event_id": f"Ev{number}", "event": event}
            slack.delivery.deliver("events_api", body)
        eventually(lambda: len(slack.acks) == len(nonsense))
        assert not desk.events
