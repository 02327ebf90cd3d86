"""What becomes an event and what does not; who said it is what the network vouches for, never a nick."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kcibot.core.message import EventKind, MessageRef
from kcibot.core.notice import Button, Level, Notice
from kcibot.errors import OutcomeUnknown
from tests.fakes.irc_bench import ROOM, joined, person
from tests.fakes.irc_server import Client, irc_server

UP = "\N{THUMBS UP SIGN}"


# ---- lines -------------------------------------------------------------------------------------------------------


def test_a_line_of_a_channel_is_an_event_with_its_id_its_time_and_its_account() -> None:
    with irc_server() as server, joined(server) as (_, ear, client):
        said = datetime.now(UTC).replace(microsecond=0)
        who = person("alice", "Alice", msgid="1~2", time=f"{said:%Y-%m-%dT%H:%M:%S}.000Z")
        client.send(f"{who} PRIVMSG #REL :\x0304!release\x0f plan")
        event = ear.heard()
        assert (event.event_id, event.kind, event.place) == ("1~2", EventKind.MESSAGE, ROOM)
        assert (event.identity, event.nick, event.text, event.at) == ("Alice", "alice", "!release plan", said)


def test_where_there_are_no_ids_every_line_gets_one_of_its_own() -> None:
    with irc_server(caps=None) as server, joined(server) as (_, ear, client):
        client.send(":alice!u@h PRIVMSG #rel :!ping", ":alice!u@h PRIVMSG #rel :!ping")
        assert ear.heard(1).event_id != ear.heard(2).event_id


def test_a_server_whose_clock_is_wrong_does_not_make_commands_old() -> None:
    wrong = datetime.now(UTC) - timedelta(hours=2)

    def late(client: Client, line: str) -> bool:
        client.send(f"@time={wrong:%Y-%m-%dT%H:%M:%S}.000Z :irc.test PONG irc.test :{line.split()[1]}")
        return True

    with irc_server(special={"PING": late}) as server, joined(server) as (_, ear, client):
        client.send(f"{person('alice', time=f'{wrong:%Y-%m-%dT%H:%M:%S}.000Z')} PRIVMSG #rel :!ping")
        assert abs(ear.heard().at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_clock_that_is_a_little_wrong_is_believed() -> None:
    told = (datetime.now(UTC) - timedelta(seconds=10)).replace(microsecond=0)

    def late(client: Client, line: str) -> bool:
        client.send(f"@time={told:%Y-%m-%dT%H:%M:%S}.000Z :irc.test PONG irc.test :{line.split()[1]}")
        return True

    with irc_server(special={"PING": late}) as server, joined(server) as (_, ear, client):
        client.send(f"{person('alice', time=f'{told:%Y-%m-%dT%H:%M:%S}.000Z')} PRIVMSG #rel :!ping")
        assert ear.heard().at == told


@pytest.mark.parametrize(
    "line",
    [
        "NOTICE #rel :!stop",
        "PRIVMSG #rel :\x01ACTION !stop\x01",
        "PRIVMSG #rel :\x01VERSION\x01",
        "PRIVMSG #other :!stop",
        "PRIVMSG @#rel :!stop",
        "TAGMSG #rel",
        "JOIN #rel",
        "PRIVMSG relbot :!stop",
    ],
)
def test_notices_ctcp_private_messages_and_other_channels_never_execute(line: str) -> None:
    with irc_server() as server, joined(server) as (_, ear, client):
        client.send(f"{person('alice', 'alice')} {line}", f"{person('alice', 'alice')} PRIVMSG #rel :end")
        assert ear.heard().text == "end"


def test_what_the_bot_says_itself_is_no_event() -> None:
    with irc_server() as server, joined(server) as (chat, ear, client):
        chat.post(ROOM, Notice("!stop"), "k")
        client.send(f"{person('alice')} PRIVMSG #rel :end")
        assert ear.heard().text == "end"


def test_a_private_message_is_answered_once_in_a_while_and_by_a_notice() -> None:
    with irc_server() as server, joined(server) as (_, ear, client):
        client.send(*(f"{person('alice', 'alice')} PRIVMSG relbot :!help" for _ in range(5)))
        client.send(f"{person('alice')} PRIVMSG #rel :end")
        assert ear.heard().text == "end"
        client.saw("^(@.* )?NOTICE alice :Commands belong in the channel: #rel")
        assert len(client.seen("NOTICE alice")) == 1


def test_a_client_that_asks_for_our_version_is_told() -> None:
    with irc_server() as server, joined(server) as (_, _, client):
        client.send(f"{person('alice')} PRIVMSG relbot :\x01VERSION\x01")
        client.saw("^NOTICE alice :\x01VERSION kcibot\x01")


# ---- what is shown again -----------------------------------------------------------------------------------------


def test_history_is_handed_over_with_its_own_time_and_id_and_once() -> None:
    old = f"{person('alice', 'alice', msgid='old1', batch='7', time='2026-01-02T03:04:05.000Z')} PRIVMSG #rel :!ping"
    with irc_server() as server, joined(server) as (_, ear, client):
        for _ in range(2):
            client.send(":irc.test BATCH +7 chathistory #rel", old, ":irc.test BATCH -7")
        client.send(f"{person('alice')} PRIVMSG #rel :end")
        assert ear.heard(2).text == "end"
        assert (ear.events[0].event_id, ear.events[0].identity) == ("old1", "alice")
        assert ear.events[0].at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_history_without_an_account_is_nobodys_whoever_has_the_nick_now() -> None:
    with irc_server(caps="batch account-notify extended-join") as server, joined(server) as (_, ear, client):
        client.send(":alice!u@h JOIN #rel alice :Alice", ":irc.test BATCH +7 chathistory #rel")
        client.send("@batch=7 :alice!u@h PRIVMSG #rel :!stop", ":irc.test BATCH -7", ":alice!u@h PRIVMSG #rel :!ping")
        assert [ear.heard(1).identity, ear.heard(2).identity] == ["", "alice"]


def test_what_the_bot_said_long_ago_is_no_echo_of_what_it_says_now() -> None:
    with irc_server(caps="echo-message batch message-tags") as server, joined(server) as (chat, ear, client):
        server.special["PRIVMSG"] = lambda _client, _line: True
        old = f"@batch=7;msgid=old1 :{client.mask} PRIVMSG #rel :hello"
        threading.Timer(0.1, client.send, (":irc.test BATCH +7 chathistory #rel", old, ":irc.test BATCH -7")).start()
        with pytest.raises(OutcomeUnknown):
            chat.post(ROOM, Notice("hello"), "k")
        assert ear.events == []


def test_the_network_is_there_once_what_it_kept_was_shown() -> None:
    def with_history(client: Client, line: str) -> bool:
        server.on_join(client, line, "")
        client.send(":irc.test BATCH +7 chathistory #rel", f"{person('alice', batch='7')} PRIVMSG #rel :old")
        return True

    with irc_server(special={"JOIN": with_history}) as server, joined(server) as (_, ear, _):
        assert [event.text for event in ear.events] == ["old"]


# ---- reactions ---------------------------------------------------------------------------------------------------


def react(client: Client, message_id: str, what: str = "react", channel: str = "#rel", account: str = "alice") -> None:
    tags = f"+draft/{what}={UP};msgid={client.server.next_id()};+draft/reply={message_id}"
    tags += f";account={account}" if account else ""
    client.send(f"@{tags} :alice!u@h TAGMSG :{channel}")


def test_a_reaction_on_a_message_and_its_withdrawal_are_events_that_point_at_it() -> None:
    with irc_server() as server, joined(server) as (chat, ear, client):
        ref = chat.post(ROOM, Notice("Go?", Level.PROMPT), "k")
        react(client, ref.message_id)
        react(client, ref.message_id, "unreact")
        kinds = [(ear.heard(number).kind, ear.heard(number).target) for number in (1, 2)]
        assert kinds == [(EventKind.REACTION_ADDED, ref), (EventKind.REACTION_REMOVED, ref)]
        assert (ear.events[0].text, ear.events[0].identity) == (UP, "alice")


def test_a_reaction_on_any_line_of_a_message_is_one_on_the_message() -> None:
    with irc_server() as server, joined(server) as (chat, ear, client):
        ref = chat.post(ROOM, Notice("Go?", Level.PROMPT, lines=("one", "two")), "k")
        assert ref.message_id == f"id{len(client.seen('PRIVMSG #rel'))}"  # the last line asks
        react(client, "id1")
        assert ear.heard().target == ref


def test_a_reaction_on_the_first_line_may_come_before_the_last_line_is_said() -> None:
    slow = {"rate": 4.0, "burst": 1}
    with irc_server() as server, joined(server, **slow) as (chat, ear, client):
        refs: list[MessageRef] = []
        notice = Notice("Go?", Level.PROMPT, lines=("one", "two", "three"), buttons=(Button("Yes", "!approve abc"),))
        posting = threading.Thread(target=lambda: refs.append(chat.post(ROOM, notice, "k")))
        posting.start()
        client.saw("PRIVMSG #rel")
        react(client, "id1")
        react(client, "id1", "unreact")
        assert not refs
        posting.join()
        kinds = [(ear.heard(number).kind, ear.heard(number).target) for number in (1, 2)]
        assert kinds == [(EventKind.REACTION_ADDED, refs[0]), (EventKind.REACTION_REMOVED, refs[0])]


def test_a_reaction_that_comes_with_the_echo_is_not_lost() -> None:
    def at_once(client: Client, line: str) -> bool:
        label = client.seen("PRIVMSG")[-1].split()[0].removeprefix("@")
        number = client.server.next_id()
        echo = f"@{label};msgid={number} :{client.mask} {line}"
        client.send(echo, f"@+draft/react={UP};+draft/reply={number};msgid=r{number} :al!u@h TAGMSG #rel")
        return True

    with irc_server(special={"PRIVMSG": at_once}) as server, joined(server) as (chat, ear, _):
        notice = Notice("Go?", Level.PROMPT, lines=("one", "two", "three"), buttons=(Button("Yes", "!approve abc"),))
        lines = 5
        for number in range(1, 11):
            ref = chat.post(ROOM, notice, f"k{number}")
            ear.heard(number * lines)
            assert {event.target for event in ear.events[-lines:]} == {ref}


def test_a_reaction_during_a_message_that_fails_is_not_lost() -> None:
    with irc_server() as server, joined(server) as (chat, ear, client):
        first = chat.post(ROOM, Notice("Go?", Level.PROMPT), "k1")
        server.special["PRIVMSG"] = lambda _client, _line: True
        threading.Timer(0.1, react, (client, first.message_id)).start()
        threading.Timer(0.2, react, (client, "another")).start()
        with pytest.raises(OutcomeUnknown):
            chat.post(ROOM, Notice("hello"), "k2")
        assert {ear.heard(1).target, ear.heard(2).target} == {first, replace(first, message_id="another")}


def test_a_reaction_on_a_line_of_a_message_that_is_in_doubt_waits_until_all_of_it_is_said() -> None:
    def swallow_the_second(client: Client, line: str) -> bool:
        return "two" in line

    with irc_server() as server, joined(server) as (chat, ear, client):
        server.special["PRIVMSG"] = swallow_the_second
        notice = Notice("one", lines=("two", "two of three"))
        with pytest.raises(OutcomeUnknown):
            chat.post(ROOM, notice, "k")
        react(client, "id1")
        client.send(f"{person('alice')} PRIVMSG #rel :end")
        assert ear.heard().text == "end"
        server.special.clear()
        ref = chat.post(ROOM, notice, "k")
        assert (ear.heard(2).target, ref.message_id) == (ref, "id4")


def test_a_reaction_of_somebody_who_is_not_logged_in_has_no_identity() -> None:
    with irc_server() as server, joined(server) as (_, ear, client):
        client.send(f"{person('alice', 'alice')} PRIVMSG #rel :hello")
        react(client, "id9", account="")
        assert ear.heard(2).identity == ""


def test_reactions_in_other_channels_and_other_tags_are_no_events() -> None:
    with irc_server() as server, joined(server) as (_, ear, client):
        react(client, "id1", channel="#other")
        client.send("@+typing=active :alice!u@h TAGMSG #rel", "@+draft/react=x :alice!u@h TAGMSG #rel")
        client.send(f"@+draft/react=x;+draft/reply=id1;account=relbot :{client.mask} TAGMSG #rel")
        react(client, "id2")
        assert ear.heard().target == MessageRef("irc", "#rel", "id2")
