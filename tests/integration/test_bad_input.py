"""What people may type, forge, forward, replay and repeat: none of it acts, and none of it stops the bot."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kcibot.core.message import EventKind, Incoming, Place
from kcibot.core.run import RunState
from tests.fakes.bench import ROOM
from tests.fakes.both_bot import CHANNEL, SECOND, Both, both, nothing_began, started, still_waits, votes
from tests.fakes.irc_bot import Life
from tests.fakes.irc_server import until
from tests.fakes.slack_people import ELSEWHERE, MANAGER, OBSERVER, OPERATOR, RELEASES
from tests.fakes.toys import Target, push, toy_bench


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Both]:
    with both(tmp_path, more=", flood: 20") as one:
        yield one


@pytest.fixture
def life(rooms: Both) -> Iterator[Life]:
    with rooms.bot() as one:
        yield one


def stored(life: Life) -> int:
    """How many events are in the inbox."""
    with closing(sqlite3.connect(life.folder / "state" / "kcibot.db")) as database:
        return int(database.execute("SELECT count(*) FROM inbox").fetchone()[0])


# ---- who somebody is -----------------------------------------------------------------------------------------------


def test_a_spoofed_nick_gives_no_authority(rooms: Both, life: Life) -> None:
    started(rooms)
    rooms.irc.say("manager-1", f"!approve {rooms.code()}", account="")
    rooms.irc.mark("manager-1", rooms.irc.prompt().msgid, account="")
    rooms.irc.mark("manager-1", rooms.irc.prompt().msgid, account="passer-by")
    still_waits(rooms, life)


def test_a_nick_that_was_changed_after_identifying_takes_its_account_along_and_leaves_none_behind(
    rooms: Both, life: Life
) -> None:
    started(rooms)
    rooms.irc.join("manager-1")
    rooms.irc.bot.send(":manager-1!u@h NICK innocent")
    rooms.irc.join("manager-1", account="")  # the nick that has just become free
    rooms.irc.say("manager-1", f"!approve {rooms.code()}", account="")
    rooms.irc.mark("manager-1", rooms.irc.prompt().msgid, account="")
    still_waits(rooms, life)
    rooms.irc.mark("innocent", rooms.irc.prompt().msgid, account="manager-1")
    until(lambda: [vote.person for vote in votes(life)] == ["manager-1"])


def test_a_display_name_of_anothers_gives_no_authority(rooms: Both, life: Life) -> None:
    rooms.slack.add_person("U0FAKE", "operator")
    rooms.slack.workspace.channel(RELEASES).members.add("U0FAKE")
    rooms.slack.say("U0FAKE", RELEASES, "!toy start")
    until(lambda: any(one.user == "U0FAKE" for one in rooms.slack.ephemerals))
    nothing_began(rooms, life)


def test_control_characters_in_names_reach_neither_network(rooms: Both, life: Life) -> None:
    rooms.slack.add_person("U0FAKE", "man\r\nJOIN #other\x02\x00")
    rooms.slack.workspace.channel(RELEASES).members.add("U0FAKE")
    for number in range(30):  # that it is too much is told on IRC too
        rooms.slack.say("U0FAKE", RELEASES, f"!ping {number}")
    rooms.irc.hear("(unknown) on slack: !ping")
    assert rooms.irc.bot.seen("^JOIN #other") == []
    assert not [line for line in rooms.irc.bot.got if "\x00" in line]
    assert "\x00" not in json.dumps([one.text for one in rooms.slack.posted(RELEASES)])


# ---- what a prompt is answered with --------------------------------------------------------------------------------


def test_another_persons_reaction_on_an_old_prompt_is_no_vote(rooms: Both, life: Life) -> None:
    started(rooms)
    old, line = rooms.asked("Push it"), rooms.irc.prompt()
    rooms.irc.mark("manager-1", line.msgid)
    rooms.slack.react(SECOND, RELEASES, old.ts, "+1")
    rooms.irc.prompt("Deploy it")
    rooms.asked("Deploy it")
    rooms.slack.react(MANAGER, RELEASES, old.ts, "+1")
    rooms.irc.mark("manager-2", line.msgid)
    rooms.irc.say("observer", "!ping behind")
    rooms.irc.hear("pong behind")
    assert life.bot.world.journal.votes(life.bot.world.journal.asks(1)[1]) == ()
    assert (life.run.state, life.target.value) == (RunState.WAITING, "new")


def test_a_reaction_on_what_somebody_else_said_is_no_vote(rooms: Both, life: Life) -> None:
    started(rooms)
    ts = rooms.slack.say(OPERATOR, RELEASES, f"please !approve {rooms.code()}")
    rooms.slack.react(MANAGER, RELEASES, ts, "+1")
    rooms.irc.mark("manager-1", "id1")
    rooms.irc.mark("manager-1", "no-such-line")
    still_waits(rooms, life)


# ---- what is no command --------------------------------------------------------------------------------------------


def test_a_forwarded_command_is_not_given_again(rooms: Both, life: Life) -> None:
    ts = rooms.slack.say(OPERATOR, ELSEWHERE, "!toy start")
    rooms.slack.share(OPERATOR, ELSEWHERE, ts, RELEASES)
    rooms.slack.share(OPERATOR, ELSEWHERE, ts, RELEASES, "!toy start")
    nothing_began(rooms, life)


def test_an_edited_command_is_not_given(rooms: Both, life: Life) -> None:
    ts = rooms.slack.say(OPERATOR, RELEASES, "good morning")
    rooms.slack.edit(OPERATOR, RELEASES, ts, "!toy start")
    nothing_began(rooms, life)


@pytest.mark.parametrize(
    "text",
    [
        "> !toy start",
        "`!toy start`",
        "```!toy start```",
        "```\n!toy start\n```",
        "say !toy start",
        '"!toy start"',
        "<operator> !toy start",
        "\N{FULLWIDTH EXCLAMATION MARK}toy start",
    ],
)
def test_a_command_in_a_quote_or_in_code_is_not_given(text: str, rooms: Both, life: Life) -> None:
    rooms.slack.say(OPERATOR, RELEASES, text)
    rooms.irc.say("operator", text.replace("\n", " "))
    nothing_began(rooms, life)


def test_an_action_a_notice_and_a_private_message_are_no_commands(rooms: Both, life: Life) -> None:
    rooms.irc.say("operator", "\x01ACTION !toy start\x01")
    rooms.irc.bot.send(f"@account=operator :operator!u@h NOTICE {CHANNEL} :!toy start")
    rooms.irc.say("operator", "!toy start", channel="kcibot")
    rooms.slack.say(OPERATOR, rooms.slack.workspace.direct(OPERATOR).id, "!toy start")
    nothing_began(rooms, life)


# ---- where ---------------------------------------------------------------------------------------------------------


def test_commands_in_channels_that_are_no_rooms_are_not_heard(rooms: Both, life: Life) -> None:
    rooms.slack.say(OPERATOR, ELSEWHERE, "!toy start")
    rooms.slack.say(OPERATOR, ELSEWHERE, "@kcibot toy start")
    rooms.irc.say("operator", "!toy start", channel="#elsewhere")
    nothing_began(rooms, life)


def test_reactions_in_channels_that_the_bot_does_not_serve_are_not_votes(rooms: Both, life: Life) -> None:
    started(rooms)
    ts = rooms.slack.say(OPERATOR, ELSEWHERE, "lunch?")
    rooms.slack.react(MANAGER, ELSEWHERE, ts, "+1")
    msgid = rooms.irc.prompt().msgid
    reaction = f"@account=manager-1;+draft/reply={msgid};+draft/react=+1"
    rooms.irc.bot.send(f"{reaction} :manager-1!u@h TAGMSG #elsewhere")
    still_waits(rooms, life)


def test_an_event_of_a_place_that_is_no_room_does_nothing_whoever_lets_it_through(tmp_path: Path) -> None:
    target = Target()
    room = toy_bench(tmp_path, push(target))
    for number, place in enumerate((Place("console", "#other"), Place("irc", ROOM.channel), Place("", ""))):
        event = Incoming(f"x{number}", EventKind.MESSAGE, place, "operator", "operator", "!go", room.clock.now())
        assert not room.dispatcher.concerns(event)
        room.journal.accept(event)  # as one that was stored before the rooms were changed
        assert room.dispatcher.handle(event)
    room.settle()
    assert (target.effects, room.replies(), room.journal.unsettled()) == (0, [], ())
    room.say("operator", "!go")
    assert target.effects == 1


# ---- how much ------------------------------------------------------------------------------------------------------


def test_a_line_of_ten_thousand_bytes_is_answered_or_passed_over_and_harms_nothing(rooms: Both, life: Life) -> None:
    rooms.slack.say(OPERATOR, RELEASES, "!ping " + "é" * 5000)
    rooms.irc.say("operator", "!toy " + "x" * 10_000)
    rooms.irc.say("operator", "!" + "x" * 10_000)
    rooms.slack.say(OPERATOR, RELEASES, "!" + "x" * 10_000)
    nothing_began(rooms, life)
    assert not rooms.slack.remarks
    assert max(len(line.encode()) for line in rooms.irc.bot.got) <= 512


@pytest.mark.parametrize("network", ["irc", "slack"])
def test_beyond_the_flood_limit_lines_are_ignored_with_one_notice_and_not_stored(
    network: str, rooms: Both, life: Life
) -> None:
    for number in range(1000):
        if network == "irc":
            rooms.irc.say("observer", f"!ping {number}")
        else:
            rooms.slack.say(OBSERVER, RELEASES, f"!ping {number}")
    rooms.irc.say("manager-2", "!ping behind")
    rooms.irc.hear("pong behind")
    rooms.slack.say(OPERATOR, RELEASES, "!ping behind")
    until(lambda: len(rooms.told("pong behind")) == 1, seconds=20.0)
    before = stored(life)
    for number in range(50):
        if network == "irc":
            rooms.irc.say("observer", f"!ping again {number}")
        else:
            rooms.slack.say(OBSERVER, RELEASES, f"!ping again {number}")
    rooms.irc.say("manager-1", "!ping last")
    rooms.irc.hear("pong last")
    rooms.slack.say(MANAGER, RELEASES, "!ping last")
    until(lambda: len(rooms.told("pong last")) == 1)
    assert stored(life) <= before + 2
    notices = [one.text for one in rooms.irc.said if "I ignore the others of observer" in one.text]
    assert len(notices) == 1
    assert len(rooms.told("I ignore the others of observer")) == 1


def test_who_is_ignored_can_still_stop_everything(rooms: Both, life: Life) -> None:
    for number in range(100):
        rooms.irc.say("operator", f"!ping {number}")
    rooms.irc.say("operator", "!stop the world ends")
    rooms.irc.hear("the world ends")
    assert life.bot.world.journal.open_runs() == ()


def test_a_flood_of_reactions_is_no_vote_and_is_not_stored(rooms: Both, life: Life) -> None:
    started(rooms)
    before, msgid = stored(life), rooms.irc.prompt().msgid
    for _ in range(500):
        rooms.irc.mark("passer-by", msgid, account="")
        rooms.irc.mark("passer-by", msgid, account="", taken_back=True)
        rooms.irc.mark("observer", "some-line")
    still_waits(rooms, life)
    assert stored(life) - before < 60


def test_bytes_that_are_no_text_harm_nothing(rooms: Both, life: Life) -> None:
    rooms.irc.bot.send_bytes(b"@account=operator :operator!u@h PRIVMSG #kernelci :!toy \xff\xfe\x80\r\n")
    rooms.irc.bot.send_bytes(b"\xff\xfe\x00\r\n@account=\xff;msgid=\xfe :\xff PRIVMSG \xfe :\xff\r\n")
    rooms.slack.say_raw(OPERATOR, RELEASES, "!toy \ud800 \x00\x07")
    nothing_began(rooms, life)
