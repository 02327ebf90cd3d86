"""Coming to an IRC network: capabilities, logins that fail closed, nicks, deadlines."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest

from kcibot.chat.irc.register import WANTED
from kcibot.chat.irc.settings import Mechanism
from kcibot.errors import ConfigError
from tests.fakes.irc_bench import HASTY, PLAIN, Ear, irc_chat, joined, person
from tests.fakes.irc_server import MODERN, Client, IrcServer, irc_server, until


def test_capabilities_are_asked_for_by_name_and_never_all_that_is_offered() -> None:
    with irc_server() as server, joined(server) as (_, _, client):
        asked = client.saw("^CAP REQ").removeprefix("CAP REQ :").split()
        assert set(asked) == set(WANTED)
        assert "inspircd.org/poison" not in asked


def test_a_login_is_found_by_its_name_before_the_equals_sign_and_a_list_may_end_with_a_blank() -> None:
    with irc_server() as server, joined(server, **PLAIN) as (_, _, client):
        proof = base64.b64decode(client.saw("^AUTHENTICATE [^P]").split()[1])
        assert proof == b"\0relbot\0s3cret"
        order = [line.split()[0:2] for line in client.got]
        assert order.index(["AUTHENTICATE", "PLAIN"]) < order.index(["CAP", "END"])


def test_a_list_of_capabilities_may_come_in_several_lines() -> None:
    def in_parts(client: Client, line: str) -> bool:
        if line.startswith("CAP LS"):
            client.send(":irc.test CAP * LS * :message-tags sasl=PLAIN", ":irc.test CAP * LS :account-tag ")
        return line.startswith("CAP LS")

    with irc_server(special={"CAP": in_parts}) as server, joined(server, **PLAIN) as (_, _, client):
        assert client.saw("^CAP REQ") == "CAP REQ :account-tag message-tags sasl"


def test_a_refused_list_is_asked_for_one_by_one() -> None:
    def picky(client: Client, line: str) -> bool:
        if line.startswith("CAP REQ") and " " in line.removeprefix("CAP REQ :"):
            client.send(f":irc.test CAP * NAK {line.removeprefix('CAP REQ ')}")
            return True
        if line == "CAP REQ :chghost":
            client.send(":irc.test CAP * NAK :chghost")
            return True
        return False

    with irc_server(special={"CAP": picky}) as server, joined(server, **PLAIN) as (chat, _, client):
        assert client.saw("^CAP END")
        assert "chghost" not in client.caps
        assert "account-tag" in client.caps
        assert chat.connected_since


def test_a_long_login_is_sent_in_chunks_and_a_full_last_chunk_is_followed_by_an_empty_one() -> None:
    password = "p" * (300 - len("\0relbot\0"))  # 300 bytes are 400 characters

    def patient(client: Client, line: str) -> bool:
        return line not in {"AUTHENTICATE PLAIN", "AUTHENTICATE +"}

    login = {**PLAIN, "password": lambda: password}
    with irc_server(special={"AUTHENTICATE": patient}) as server, joined(server, **login) as (_, _, client):
        chunks = [line.split()[1] for line in client.seen("^AUTHENTICATE")[1:]]
        assert [len(chunk) for chunk in chunks] == [400, 1]


def test_by_certificate_the_login_is_empty() -> None:
    with irc_server() as server, joined(server, mechanism=Mechanism.EXTERNAL) as (_, _, client):
        assert client.seen("^AUTHENTICATE") == ["AUTHENTICATE EXTERNAL", "AUTHENTICATE +"]


# ---- failing closed ----------------------------------------------------------------------------------------------


def refused(number: str) -> dict[str, object]:
    def answer(client: Client, line: str) -> bool:
        if line == "AUTHENTICATE PLAIN":
            return False
        client.send(f":irc.test {number} {client.nick} :SASL authentication failed")
        return True

    return {"AUTHENTICATE": answer}


def silent(_client: Client, _line: str) -> bool:
    return True


def never_came(server: IrcServer, why: str, **changes: object) -> None:
    """The bot left, said why, tried again, and never joined or finished the registration."""
    with irc_chat(server, **{**PLAIN, **changes}) as (chat, ear):
        until(lambda: len(server.clients) >= 2, lambda: "it did not try again")
        until(lambda: why in chat.last_error, lambda: f"said {chat.last_error!r}")
        _never_in(server, ear)


def _never_in(server: IrcServer, ear: Ear) -> None:
    assert server.clients[0].closed.wait(5)
    for client in server.clients:
        assert client.seen("^(JOIN|CAP END|PRIVMSG)") == []
    assert ear.connections == 0


@pytest.mark.parametrize("number", ["902", "904", "905", "906"])
def test_a_refused_login_ends_the_connection_and_is_tried_again_later(number: str) -> None:
    with irc_server(special=refused(number)) as server:
        never_came(server, "does not take our login")


def test_where_no_login_is_offered_the_bot_does_not_stay() -> None:
    with irc_server(caps=MODERN.replace("sasl=PLAIN,EXTERNAL", "")) as server:
        never_came(server, "offers no login")


def test_where_only_another_way_to_log_in_is_offered_the_bot_does_not_stay() -> None:
    with irc_server(caps=MODERN.replace("sasl=PLAIN,EXTERNAL", "sasl=EXTERNAL,SCRAM-SHA-256")) as server:
        never_came(server, "takes no login by PLAIN")


def test_a_server_without_capabilities_is_left_by_a_bot_that_has_to_log_in() -> None:
    with irc_server(caps=None) as server:
        never_came(server, "login")


def test_a_server_that_lets_us_in_before_our_login_is_left() -> None:
    def hasty(client: Client, _line: str) -> bool:
        server.welcome(client)
        return True

    with irc_server(special={"AUTHENTICATE": hasty}) as server:
        never_came(server, "without our login")


def test_silence_after_authenticate_ends_at_a_deadline() -> None:
    with irc_server(special={"AUTHENTICATE": silent}) as server:
        never_came(server, "no sign of an answer to our login", timeout=timedelta(seconds=0.3))


def test_a_server_that_never_answers_is_given_up_at_a_deadline() -> None:
    everything = dict.fromkeys(("CAP", "NICK", "USER"), silent)
    with irc_server(special=everything) as server:
        never_came(server, "no sign of its greeting", timeout=timedelta(seconds=0.3))


def test_a_login_as_somebody_else_is_no_login() -> None:
    with irc_server(account="otherbot") as server:
        never_came(server, "takes us for otherbot")


def test_a_password_that_cannot_be_read_ends_the_connection_and_is_reported() -> None:
    def missing() -> str:
        raise ConfigError("IRC_PASSWORD is not set")

    with irc_server() as server:
        never_came(server, "IRC_PASSWORD is not set", password=missing)


def test_what_proves_who_we_are_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with irc_server() as server, joined(server, **PLAIN):
        pass
    assert "s3cret" not in caplog.text
    assert base64.b64encode(b"\0relbot\0s3cret").decode() not in caplog.text
    assert "AUTHENTICATE ..." in caplog.text


def test_who_is_logged_out_later_does_not_stay_as_nobody() -> None:
    with irc_server() as server, joined(server, **PLAIN) as (chat, ear, client):
        client.numeric("901", client.mask, text="You are now logged out")
        until(lambda: ear.connections == 2)
        assert "logged us out" in chat.last_error
        assert server.client(2).seen("^AUTHENTICATE PLAIN")


def test_who_never_logged_in_cannot_be_logged_out() -> None:
    with irc_server() as server, joined(server) as (_, ear, client):
        client.numeric("901", client.mask, text="You are now logged out")
        client.send(f"{person('alice')} PRIVMSG #rel :still there?")
        ear.heard()
        assert not client.closed.is_set()


# ---- nicks -------------------------------------------------------------------------------------------------------


def test_a_nick_in_use_is_replaced_and_regained_when_it_is_free() -> None:
    with irc_server(taken={"relbot", "relbot_"}) as server, joined(server) as (_, _, client):
        assert client.nick == "relbot__"
        client.saw("^NICK relbot$", times=3)
        server.taken.clear()
        until(lambda: client.nick == "relbot")


def test_a_nick_that_is_given_up_before_our_eyes_is_taken_back_at_once() -> None:
    with irc_server(taken={"relbot"}) as server, joined(server, replace(HASTY, regain=60.0)) as (_, _, client):
        server.taken.clear()
        client.send(":relbot!u@h QUIT :bye")
        until(lambda: client.nick == "relbot")


def test_a_nick_that_is_forced_on_us_is_ours_and_what_we_say_is_still_no_event() -> None:
    with irc_server() as server, joined(server) as (_, ear, client):
        client.send(f":{client.mask} NICK Guest1")
        client.nick = "Guest1"
        client.send(":Guest1!u@h PRIVMSG #rel :!status", ":alice!u@h PRIVMSG #rel :!ping")
        assert ear.heard().nick == "alice"
        client.saw("^NICK relbot$", times=2)
