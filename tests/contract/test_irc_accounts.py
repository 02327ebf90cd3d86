"""Who said it: the account for which the network vouches, for as long as it is certain that it is the same person."""

from dataclasses import replace

import pytest

from kcibot.core.message import Place
from tests.fakes.irc_bench import HASTY, joined, person
from tests.fakes.irc_server import MODERN, Client, irc_server, until

OLD = "account-notify extended-join"
DUMB = "multi-prefix"


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


@pytest.mark.parametrize("caps", [DUMB, "account-notify", "extended-join"])
def test_where_nobody_tells_of_changes_an_answer_is_believed_for_a_while_only(caps: str) -> None:
    forgetful = replace(HASTY, believed=0.0)
    with (
        irc_server(caps=caps, members="alice", whois={"alice": "Alice"}) as server,
        joined(server, forgetful) as (_, ear, client),
    ):
        client.send(":alice!u@h PRIVMSG #rel :1")
        assert ear.heard(1).identity == "Alice"
        server.whois.clear()
        client.send(":alice!u@h PRIVMSG #rel :2")
        assert ear.heard(2).identity == ""


def test_a_server_that_does_not_answer_who_it_is_makes_them_nobody() -> None:
    with (
        irc_server(caps=DUMB, members="alice", special={"WHOIS": lambda _client, _line: True}) as server,
        joined(server) as (_, ear, client),
    ):
        client.send(":alice!u@h PRIVMSG #rel :!ping")
        assert (ear.heard().text, ear.heard().identity) == ("!ping", "")


LEAVING = [
    ":alice!u@h QUIT :irc.a irc.b",
    ":alice!u@h PART #rel",
    ":op!u@h KICK #rel alice :bye",
    ":alice!u@h NICK gone",
]


@pytest.mark.parametrize("leaving", LEAVING)
def test_a_nick_that_changed_hands_has_no_account(leaving: str) -> None:
    """A netsplit is a QUIT too."""
    with irc_server(caps=OLD) as server, joined(server) as (_, ear, client):
        client.send(":alice!u@h JOIN #rel alice :Alice", leaving)
        client.send(":alice!evil@h JOIN #rel * :Alice", ":alice!evil@h PRIVMSG #rel :!stop")
        assert ear.heard().identity == ""


@pytest.mark.parametrize("leaving", LEAVING)
def test_a_nick_that_left_has_no_account_where_lines_may_come_from_outside(leaving: str) -> None:
    with irc_server(caps=OLD) as server, joined(server) as (_, ear, client):
        client.send(":alice!u@h JOIN #rel alice :Alice", leaving, ":alice!evil@h PRIVMSG #rel :!stop")
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
        assert not client.seen("poison")
        client.send(f"{person('alice', 'alice')} PRIVMSG #rel :!ping")
        assert ear.heard().identity == "alice"


def test_of_a_list_that_is_refused_later_each_is_asked_for_alone() -> None:
    def picky(client: Client, line: str) -> bool:
        together = line == "CAP REQ :account-tag chghost"
        if together:
            client.send(f":irc.test CAP {client.nick} NAK :account-tag chghost ")
        return together

    later = MODERN.replace("account-tag ", "").replace("chghost ", "")
    with irc_server(caps=later, special={"CAP": picky}) as server, joined(server) as (_, ear, client):
        server.caps = MODERN
        client.send(":irc.test CAP relbot NEW :account-tag chghost")
        until(lambda: {"account-tag", "chghost"} <= client.caps)
        client.send(f"{person('alice', 'alice')} PRIVMSG #rel :!ping")
        assert ear.heard().identity == "alice"


def test_while_changes_were_not_told_accounts_may_have_changed() -> None:
    with irc_server(caps=OLD, members="alice", whois={"alice": "Alice"}) as server, joined(server) as (_, ear, client):
        client.send(":alice!u@h PRIVMSG #rel :1")
        assert ear.heard(1).identity == "Alice"
        client.send(":irc.test CAP relbot DEL :account-notify")
        server.whois.clear()
        client.send(":irc.test CAP relbot NEW :account-notify")
        client.saw("^CAP REQ :account-notify$")
        client.send(":alice!u@h PRIVMSG #rel :2")
        assert ear.heard(2).identity == ""


def test_an_answer_about_all_that_comes_late_is_not_believed_of_a_nick_that_changed_hands() -> None:
    def late(client: Client, line: str) -> bool:
        client.send(":alice!u@h NICK other", ":evil!u@h NICK alice", ":bob!u@h QUIT :", ":bob!evil@h JOIN #rel")
        server.whois.clear()
        for nick in ("alice", "bob", "carol"):
            client.send(f":irc.test 354 {client.nick} {nick} {nick}")
        client.numeric("315", line.split()[1], text="End of WHO")
        return True

    caps, members = "account-notify", "alice evil bob carol"
    with irc_server(caps=caps, members=members, special={"WHO": late}) as server, joined(server) as (_, ear, client):
        client.saw("^WHO #rel")
        client.send(*(f":{nick}!u@h PRIVMSG #rel :{nick}" for nick in ("alice", "bob", "carol")))
        until(lambda: len(ear.events) == 3)
        assert {event.text: event.identity for event in ear.events} == {"alice": "", "bob": "", "carol": "carol"}


def test_what_the_server_says_of_itself_may_change() -> None:
    with (
        irc_server(caps=OLD, features="WHOX PREFIX=(qov)*@+ CASEMAPPING=ascii", members="*alice") as server,
        joined(server) as (chat, ear, client),
    ):
        us = chat._session.us if chat._session else None
        assert us
        server.whois["alice"] = "Alice"
        client.send(":alice!u@h PRIVMSG #rel :1")
        assert ear.heard(1).identity == "Alice"  # the rank before the nick was told apart from it
        assert (us.same("a^", "A^"), us.same("a^", "a~")) == (True, False)
        client.send(":irc.test 005 relbot PREFIX=nonsense LOAD_FEATURE=1 -WHOX CASEMAPPING=rfc1459 :are supported")
        client.send(":alice!u@h PRIVMSG #rel :2")
        assert ear.heard(2).text == "2"
        assert (us.offers("WHOX"), us.same("a^", "a~")) == (False, True)


def test_two_channels_are_two_places() -> None:
    with irc_server() as server, joined(server, channels=("#rel", "#Dev")) as (_, ear, client):
        client.send(f"{person('alice')} PRIVMSG #dev :hello")
        assert ear.heard().place == Place("irc", "#Dev")
