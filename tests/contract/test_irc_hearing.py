"""What becomes an event and what does not; who said it is what the network vouches for, never a nick."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kcibot.core.message import EventKind, MessageRef, Place
from kcibot.core.notice import Button, Level, Notice
from kcibot.errors import OutcomeUnknown
from tests.fakes.irc_bench import ROOM, joined, person
from tests.fakes.irc_server import MODERN, Client, irc_server, until

UP = "\N{THUMBS UP SIGN}"
OLD = "account-notify extended-join"
DUMB = "multi-prefix"


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


def test_a_reaction_of_somebody_who_is_not_logged_in_has_no_identity() -> None:
    with irc_server() as server, joined(server) as (_, ear, client):
        client.send(f"{person('alice', 'alice')} PRIVMSG #rel :hello")
        react(client, "id9", account="")
        assert ear.heard(2).identity == ""


def test_reactions_in_other_channels_and_other_tags_are_no_events() -> None:
    with irc_server() as server, joined(server) as (_, ear, client):
        react(client, "id1", channel="#other")
        client.send("@+typing=active :alice!u@h TAGMSG #rel", "@+draft/react=x :alice!u@h TAGMSG #rel")
        react(client, "id2")
        assert ear.heard().target == MessageRef("irc", "#rel", "id2")


# ---- who ---------------------------------------------------------------------------------------------------------


def test_where_lines_are_tagged_one_without_a_tag_is_nobodys_whatever_was_known() -> None:
    with irc_server() as server, joined(server) as (_, ear, client):
        client.send(":alice!u@h JOIN #rel alice :Alice", ":alice!u@h PRIVMSG #rel :!stop")
        assert ear.heard().identity == ""


def test_without_tags_the_account_comes_from_the_join_and_from_changes() -> None:
    with irc_server(caps=OLD) as server, joined(server) as (_, ear, client):
        client.send(":alice!u@h JOIN #rel alice :Alice", ":alice!u@h PRIVMSG #rel :1")
        client.send(":alice!u@h ACCOUNT *", ":alice!u@h PRIVMSG #rel :2")
        client.send(":alice!u@h ACCOUNT alice", ":alice!u@h NICK boss", ":boss!u@h PRIVMSG #rel :3")
        assert [ear.heard(number).identity for number in (1, 2, 3)] == ["alice", "", "alice"]
        assert client.seen("WHOIS") == []


def test_who_was_there_before_us_is_known_by_whox() -> None:
    everybody = {"alice": "Alice", "bob": ""}
    with irc_server(caps=OLD, members="@alice +bob", whois=everybody) as server, joined(server) as (_, ear, client):
        client.saw("^WHO #rel %na")
        client.send(":alice!u@h PRIVMSG #rel :1", ":bob!u@h PRIVMSG #rel :2")
        assert [ear.heard(number).identity for number in (1, 2)] == ["Alice", ""]


def test_where_nobody_tells_the_server_is_asked_and_the_line_waits_for_the_answer() -> None:
    with (
        irc_server(caps=DUMB, features="NICKLEN=9", members="alice bob", whois={"alice": "Alice"}) as server,
        joined(server) as (_, ear, client),
    ):
        client.send(":alice!u@h PRIVMSG #rel :1", ":alice!u@h PRIVMSG #rel :2", ":bob!u@h PRIVMSG #rel :3")
        by_text = {ear.heard(number).text: ear.heard(number).identity for number in (1, 2, 3)}
        assert by_text == {"1": "Alice", "2": "Alice", "3": ""}
        client.send(":alice!u@h PRIVMSG #rel :4")
        assert ear.heard(4).identity == "Alice"
        assert len(client.seen("^WHOIS alice")) == 1


def test_a_server_that_does_not_answer_who_it_is_makes_them_nobody() -> None:
    with (
        irc_server(caps=DUMB, members="alice", special={"WHOIS": lambda _client, _line: True}) as server,
        joined(server) as (_, ear, client),
    ):
        client.send(":alice!u@h PRIVMSG #rel :!ping")
        assert (ear.heard().text, ear.heard().identity) == ("!ping", "")


@pytest.mark.parametrize(
    "leaving",
    [":alice!u@h QUIT :irc.a irc.b", ":alice!u@h PART #rel", ":op!u@h KICK #rel alice :bye", ":alice!u@h NICK gone"],
)
def test_a_nick_that_changed_hands_has_no_account(leaving: str) -> None:
    """A netsplit is a QUIT too."""
    with irc_server(caps=OLD) as server, joined(server) as (_, ear, client):
        client.send(":alice!u@h JOIN #rel alice :Alice", leaving)
        client.send(":alice!evil@h JOIN #rel * :Alice", ":alice!evil@h PRIVMSG #rel :!stop")
        assert ear.heard().identity == ""


def test_who_joins_again_without_having_left_has_to_be_told_anew() -> None:
    """As where a channel does not show who leaves."""
    with (
        irc_server(caps=DUMB, features="NICKLEN=9", members="alice", whois={"alice": "Alice"}) as server,
        joined(server) as (_, ear, client),
    ):
        client.send(":alice!u@h PRIVMSG #rel :1")
        assert ear.heard().identity == "Alice"
        server.whois.clear()
        client.send(":alice!evil@h JOIN #rel", ":alice!evil@h PRIVMSG #rel :2")
        assert ear.heard(2).identity == ""


def test_an_answer_about_somebody_who_has_left_the_nick_is_not_believed() -> None:
    def slowly(client: Client, line: str) -> bool:
        client.send(":alice!u@h NICK other", ":evil!u@h NICK alice")
        server.whois["alice"] = "Alice"
        return False

    with (
        irc_server(caps=DUMB, features="NICKLEN=9", members="alice evil", special={"WHOIS": slowly}) as server,
        joined(server) as (_, ear, client),
    ):
        client.send(":alice!u@h PRIVMSG #rel :!stop")
        assert ear.heard().identity == ""


def test_a_line_from_outside_the_channel_is_nobodys_where_lines_are_not_tagged() -> None:
    with irc_server(caps=DUMB, whois={"ghost": "Alice"}) as server, joined(server) as (_, ear, client):
        client.send(":ghost!u@h PRIVMSG #rel :!stop")
        assert ear.heard().identity == ""


def test_when_the_tags_are_withdrawn_lines_are_not_believed_to_be_anonymous_for_good() -> None:
    with irc_server(members="alice", whois={"alice": "Alice"}) as server, joined(server) as (_, ear, client):
        client.send(":irc.test CAP relbot DEL :account-tag", ":alice!u@h PRIVMSG #rel :!ping")
        assert ear.heard().identity == "Alice"


def test_what_is_offered_later_is_taken_and_what_nobody_wants_is_not() -> None:
    later = MODERN.replace("account-tag ", "")
    with irc_server(caps=later) as server, joined(server) as (_, ear, client):
        server.caps = MODERN
        client.send(":irc.test CAP relbot NEW :account-tag inspircd.org/poison")
        client.saw("^CAP REQ :account-tag$")
        until(lambda: "account-tag" in client.caps)
        client.send(f"{person('alice', 'alice')} PRIVMSG #rel :!ping")
        assert ear.heard().identity == "alice"


def test_two_channels_are_two_places() -> None:
    with irc_server() as server, joined(server, channels=("#rel", "#Dev")) as (_, ear, client):
        client.send(f"{person('alice')} PRIVMSG #dev :hello")
        assert ear.heard().place == Place("irc", "#Dev")
