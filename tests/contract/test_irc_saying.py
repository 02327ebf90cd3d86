"""What the bot says on IRC: once as well as can be, in lines that fit, to those whom it concerns."""

import re
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import Level, Notice
from kcibot.errors import OutcomeUnknown, PermanentError, TransientError
from tests.fakes import irc_server as irc_server_module
from tests.fakes.irc_bench import HASTY, ROOM, joined, person, plain, said
from tests.fakes.irc_server import Client, irc_server, until

# ---- posting -----------------------------------------------------------------------------------------------------


def test_a_message_is_known_by_the_id_of_its_last_line() -> None:
    with irc_server() as server, joined(server) as (chat, _, client):
        ref = chat.post(ROOM, Notice("one", lines=("two", "three")), "k")
        assert ref == MessageRef("irc", "#rel", f"id{len(said(client))}")


def test_without_echoes_a_message_is_sent_when_the_socket_took_it_and_no_reaction_can_name_it() -> None:
    with irc_server(caps=None) as server, joined(server) as (chat, _, client):
        first, second = chat.post(ROOM, Notice("one"), "a"), chat.post(ROOM, Notice("two"), "b")
        assert first.message_id.startswith("sent-")
        assert first != second
        client.saw("two")
        assert client.seen(r"^PING k\d") == []


def test_without_echoes_an_urgent_message_waits_for_a_sign_that_the_server_has_it() -> None:
    with irc_server(caps=None) as server, joined(server) as (chat, _, client):
        chat.post(ROOM, Notice("Go?", Level.PROMPT), "a")
        assert client.seen(r"^PING k\d")
        server.special["PING"] = lambda _client, _line: True
        with pytest.raises(OutcomeUnknown):
            chat.post(ROOM, Notice("Go now?", Level.PROMPT), "b")


def test_without_labels_echoes_are_matched_in_order() -> None:
    caps = "echo-message message-tags"
    with irc_server(caps=caps) as server, joined(server) as (chat, _, client):
        refs = [chat.post(ROOM, Notice("same", lines=("same",)), f"k{number}").message_id for number in range(3)]
        assert len(set(refs)) == 3
        assert not client.seen("label=")


def test_a_line_that_the_server_does_not_pass_on_was_certainly_not_said() -> None:
    def moderated(client: Client, line: str) -> bool:
        client.numeric("404", "#rel", text="Cannot send to channel (+m)")
        return True

    with irc_server() as server, joined(server) as (chat, _, client):
        server.special["PRIVMSG"] = moderated
        with pytest.raises(TransientError, match=r"Cannot send to channel"):
            chat.post(ROOM, Notice("hello"), "k")
        server.special.clear()
        assert chat.find(ROOM, "k") is None
        chat.post(ROOM, Notice("hello"), "k")
        assert plain(said(client)) == ["hello", "hello"]  # without a mark: the first was refused


def test_what_nobody_echoes_may_or_may_not_be_said_and_is_repeated_with_a_mark() -> None:
    with irc_server() as server, joined(server) as (chat, _, client):
        server.special["PRIVMSG"] = lambda _client, _line: True
        with pytest.raises(OutcomeUnknown):
            chat.post(ROOM, Notice("hello"), "k")
        server.special.clear()
        assert chat.find(ROOM, "k") is None
        chat.post(ROOM, Notice("hello"), "k")
        assert plain(said(client)) == ["hello", "(again) hello"]


def test_words_that_the_server_swallows_are_given_up_and_so_is_what_is_said_instead() -> None:
    def swallow(_client: Client, line: str) -> bool:
        return "viagra" in line

    with irc_server() as server, joined(server, replace(HASTY, echo=0.05)) as (chat, _, client):
        server.special["PRIVMSG"] = swallow

        def post(text: str) -> MessageRef:
            return chat.post(ROOM, Notice(text), "k")

        for text in ("viagra", "no viagra"):
            for _ in range(2):
                with pytest.raises(OutcomeUnknown):
                    post(text)
            if text == "viagra":
                with pytest.raises(PermanentError, match="swallowed it 3 times"):
                    post(text)
        assert post("no viagra").message_id.startswith("sent-")
        chat.post(ROOM, Notice("hello"), "k2")
        assert plain(said(client))[-1] == "hello"


def test_words_that_the_server_did_not_come_to_are_never_given_up() -> None:
    with irc_server() as server, joined(server, replace(HASTY, echo=0.05)) as (chat, _, _):
        server.special.update(PRIVMSG=lambda _client, _line: True, PING=lambda _client, _line: True)
        for _ in range(8):
            with pytest.raises(OutcomeUnknown):
                chat.post(ROOM, Notice("hello"), "k")


def test_where_no_codes_are_allowed_nothing_is_bold_from_the_first_refusal_on() -> None:
    def no_codes(client: Client, line: str) -> bool:
        if "\x02" in line:
            client.numeric("404", "#rel", text="You cannot send messages containing formatting (+c)")
        return "\x02" in line

    with irc_server() as server, joined(server) as (chat, _, client):
        server.special["PRIVMSG"] = no_codes
        with pytest.raises(TransientError):
            chat.post(ROOM, Notice("Go?", Level.WARNING), "k")
        chat.post(ROOM, Notice("Go?", Level.WARNING), "k")
        chat.post(ROOM, Notice("Gone", Level.WARNING), "k2")
        assert said(client)[1:] == ["(!) Go?", "(!) Gone"]


@pytest.mark.parametrize("refused", [True, False])
def test_what_is_left_out_of_a_message_is_said_behind_it_and_nothing_else_is_repeated(refused: bool) -> None:
    times = 0

    def picky(client: Client, line: str) -> bool:
        nonlocal times
        bad = "\x02" in line or ("two" in line and times == 0)
        times += "two" in line
        if bad and refused:
            client.numeric("404", "#rel", text="Cannot send to channel")
        return bad

    with irc_server() as server, joined(server) as (chat, _, client):
        server.special["PRIVMSG"] = picky
        ref = chat.post(ROOM, Notice("one", Level.WARNING, lines=("two", "three", "four")), "k")
        client.saw(":two$", times=2)
        assert plain(said(client)) == ["(!) one", "two", "three", "four", "(!) one", "two"]
        assert ref.message_id == "id2"


def test_without_labels_it_is_told_by_its_text_which_line_was_left_out() -> None:
    def swallow_once(client: Client, line: str) -> bool:
        return line.endswith(":two") and len(client.seen(":two$")) == 1

    with irc_server(caps="echo-message message-tags") as server, joined(server) as (chat, _, client):
        server.special["PRIVMSG"] = swallow_once
        chat.post(ROOM, Notice("one", lines=("two", "three")), "k")
        client.saw(":two$", times=2)
        assert plain(said(client)) == ["one", "two", "three", "two"]


def test_of_a_long_message_only_the_line_in_flight_is_repeated() -> None:
    def swallow_after_two(client: Client, _line: str) -> bool:
        return len(said(client)) > 2

    notice = Notice("one", lines=("two", "three", "four"))
    with irc_server() as server, joined(server) as (chat, _, client):
        server.special["PRIVMSG"] = swallow_after_two
        with pytest.raises(OutcomeUnknown):
            chat.post(ROOM, notice, "k")
        server.special.clear()
        before = plain(said(client))
        chat.post(ROOM, notice, "k")
        again = plain(said(client))[len(before) :]
        assert again == [f"(again) {before[2]}", *before[3:]]


def test_what_is_repeated_fits_in_a_line_with_its_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(irc_server_module, "HOST", f"{'u' * 10}@{'h' * 100}")
    text = "x" * 400
    with irc_server() as server, joined(server) as (chat, _, client):
        server.special["PRIVMSG"] = lambda _client, _line: True
        with pytest.raises(OutcomeUnknown):
            chat.post(ROOM, Notice(text), "k")
        server.special.clear()
        chat.post(ROOM, Notice(text), "k")
        again = plain(said(client))[-len(plain(said(client))) // 2 :]
        assert again[0].startswith("(again) x")
        assert all(len(f":{client.mask} PRIVMSG #rel :{line}\r\n".encode()) <= 512 for line in said(client))


def test_an_echo_that_comes_late_is_found() -> None:
    late = threading.Event()

    def slowly(client: Client, line: str) -> bool:
        label = client.seen("PRIVMSG")[-1].split()[0].removeprefix("@")

        def echo() -> None:
            late.wait(10)
            client.send(f"@{label};msgid=late1 :{client.mask} {line}")

        threading.Thread(target=echo, daemon=True).start()
        return True

    with irc_server() as server, joined(server) as (chat, _, client):
        server.special["PRIVMSG"] = slowly
        with pytest.raises(OutcomeUnknown):
            chat.post(ROOM, Notice("hello"), "k")
        assert chat.find(ROOM, "k") is None
        late.set()
        found: list[MessageRef | None] = []
        until(lambda: found.append(chat.find(ROOM, "k")) or found[-1] is not None)
        assert found[-1] == MessageRef("irc", "#rel", "late1")
        assert len(said(client)) == 1


def test_after_a_restart_a_message_in_flight_is_marked() -> None:
    with irc_server() as server, joined(server) as (chat, _, client):
        assert chat.find(ROOM, "from another life") is None
        chat.post(ROOM, Notice("hello"), "from another life")
        chat.post(ROOM, Notice("hello"), "new")
        assert plain(said(client)) == ["(again) hello", "hello"]


def test_a_message_that_was_given_back_before_it_was_sent_has_no_mark() -> None:
    with irc_server() as server, joined(server, replace(HASTY, patience=0.1)) as (chat, _, client):
        server.special["JOIN"] = lambda _client, _line: True
        client.send(":op!u@h KICK #rel relbot :out")
        client.saw("^JOIN", times=2)
        with pytest.raises(TransientError, match="kicked from #rel"):
            chat.post(ROOM, Notice("hello"), "k")
        assert chat.find(ROOM, "k") is None
        client.send(f":{client.mask} JOIN #rel relbot :bot", f":{client.mask} JOIN #rel relbot :bot")
        until(lambda: chat._session is not None and chat._session.channels.there("#rel"))
        chat.post(ROOM, Notice("hello"), "k")
        assert plain(said(client)) == ["hello"]


def test_a_message_of_another_network_is_refused() -> None:
    with irc_server() as server, joined(server) as (chat, _, _), pytest.raises(PermanentError):
        chat.post(Place("slack", "C1"), Notice("hello"), "k")


# ---- lines that fit ----------------------------------------------------------------------------------------------


def test_a_line_of_ten_kilobytes_arrives_whole_or_is_kept_for_more() -> None:
    words = " ".join(f"wörd{number}" for number in range(900))
    with irc_server() as server, joined(server, longest=4) as (chat, _, client):
        chat.post(ROOM, Notice("log", lines=(words, "the end")), "k")
        passed_on = [f":{client.mask} PRIVMSG #rel :{text}\r\n".encode() for text in said(client)]
        assert len(passed_on) == 4
        assert all(len(line) <= 512 for line in passed_on)


WORDS = st.text(st.characters(codec=None), max_size=700)
NOTICES = st.builds(
    Notice,
    WORDS,
    st.sampled_from(Level),
    lines=st.lists(WORDS, max_size=5).map(tuple),
    brief=st.one_of(st.just(""), WORDS),
    milestone=WORDS,
)


def test_whatever_is_said_is_lines_for_the_channel_that_fit_and_hold_no_control_codes() -> None:
    with irc_server() as server, joined(server, rate=1e6, burst=10_000) as (chat, _, client):
        begin = len(client.got)

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(NOTICES, NOTICES)
        def torture(notice: Notice, changed: Notice) -> None:
            chat.edit(chat.post(ROOM, notice, f"k{server._number}"), changed)

        torture()
        for line in client.got[begin:]:
            assert re.fullmatch("@label=k[0-9]+ PRIVMSG #rel :[^\x00\x01\x03-\x0e\x10-\x1f\x7f-\x9f]+", line)
            assert len(f":{client.mask} {line.split(' ', 1)[1]}\r\n".encode()) <= 512


def test_the_rest_of_a_long_answer_is_said_a_page_at_a_time_on_demand() -> None:
    lines = tuple(f"row {number}" for number in range(12))
    with irc_server() as server, joined(server, longest=5) as (chat, ear, client):
        chat.post(ROOM, Notice("table", lines=lines), "k")
        shown = len(said(client))
        assert shown == 5
        for _ in range(4):
            client.send(f"{person('alice')} PRIVMSG #rel :!more")
        until(lambda: any("no more" in text for text in said(client)))
        everything = "\n".join(said(client))
        assert all(f"row {number}" in everything for number in range(12))
        assert [event.text for event in ear.events] == []


def test_more_can_be_asked_for_by_name() -> None:
    lines = tuple(f"row {number}" for number in range(9))
    with irc_server() as server, joined(server, longest=3) as (chat, ear, client):
        chat.post(ROOM, Notice("table", lines=lines), "k")
        assert said(client)[-1].endswith(" more lines: !more")
        client.send(*(f"{person('alice')} PRIVMSG #rel :{text}" for text in ("Relbot: more", "!more", "!ping")))
        assert ear.heard().text == "!ping"
        client.saw("row 6")
        assert said(client)[-1] == "… 2 more lines: !more"


# ---- whom it concerns --------------------------------------------------------------------------------------------


def test_a_whisper_goes_to_the_one_it_concerns_under_their_nick_of_now() -> None:
    with irc_server() as server, joined(server) as (chat, ear, client):
        client.send(":al!u@h JOIN #rel alice :Alice", ":al!u@h NICK al2", f"{person('al2', 'alice')} PRIVMSG #rel :hi")
        ear.heard()
        chat.post(ROOM, Notice("you may not", Level.WARNING, whisper="alice"), "k")
        assert len(said(client, "al2", "NOTICE")) == 1
        assert said(client) == []


def test_what_asked_for_more_while_the_bot_was_away_is_not_answered() -> None:
    with irc_server() as server, joined(server) as (chat, ear, client):
        chat._memory.set_rest("#rel", ["more"])
        client.send(f"{person('alice', time='2026-01-02T03:04:05.000Z')} PRIVMSG #rel :!more")
        client.send(f"{person('alice')} PRIVMSG #rel :end")
        ear.heard()
        assert said(client) == []


def test_coming_does_not_use_up_what_may_be_said_at_once() -> None:
    with irc_server() as server, joined(server, rate=0.5, burst=5) as (chat, _, client):
        begun = time.monotonic()
        chat.post(ROOM, Notice("Go?"), "k")
        assert len(said(client)) == 1
        assert time.monotonic() - begun < 2


def test_the_rest_of_a_whisper_is_not_shown_to_all() -> None:
    long = Notice("no", Level.WARNING, lines=tuple(f"secret {n}" for n in range(20)), whisper="bob")
    with irc_server(members="bob") as server, joined(server, longest=3) as (chat, _, client):
        chat.post(ROOM, long, "k")
        client.send(f"{person('alice')} PRIVMSG #rel :!more")
        until(lambda: bool(said(client)))
        assert said(client) == ["There is no more."]


def test_a_whisper_to_somebody_who_left_is_said_to_nobody() -> None:
    with irc_server() as server, joined(server) as (chat, _, client):
        chat.post(ROOM, Notice("you may not", Level.WARNING, whisper="alice"), "k")
        chat.post(ROOM, Notice("end"), "k2")
        assert plain(said(client)) == ["end"]
        assert not client.seen("NOTICE")


def test_persons_are_addressed_by_their_nick_of_now_and_many_only_when_it_is_urgent() -> None:
    everybody = {"bob": "manager-1-account"}
    with irc_server(members="bob", whois=everybody) as server, joined(server) as (chat, _, client):
        client.saw("^WHO #rel")
        chat.post(ROOM, Notice("done", mentions=("manager-1",)), "a")
        assert "bob" in " ".join(said(client))
        many = tuple(f"manager-{number}" for number in range(1, 6))
        before = len(said(client))
        chat.post(ROOM, Notice("fyi", mentions=many), "b")
        assert "bob" not in " ".join(said(client)[before:])
        chat.post(ROOM, Notice("Go?", Level.PROMPT, mentions=many), "c")
        assert "bob" in " ".join(said(client)[before:])
