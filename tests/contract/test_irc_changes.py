"""What is said when a message changes, on a network where nothing that was said can be edited."""

from dataclasses import replace

import pytest

from kcibot.core.message import MessageRef
from kcibot.core.notice import Button, Level, Notice
from tests.fakes.irc_bench import ROOM, joined, person, plain, said
from tests.fakes.irc_server import irc_server, until


def test_a_change_is_a_new_line_when_the_milestone_moved_and_silent_when_it_did_not() -> None:
    ask = Notice("Go?", Level.PROMPT, brief="Go: !approve abc", milestone="open")
    with irc_server() as server, joined(server) as (chat, _, client):
        ref = chat.post(ROOM, ask, "k")
        begin = len(said(client))
        chat.edit(ref, replace(ask, lines=("a clock moved",)))
        assert len(said(client)) == begin
        chat.edit(ref, replace(ask, brief="Go (alice approves): !approve abc", milestone="open alice"))
        assert "alice approves" in said(client)[-1]
        chat.edit(ref, Notice("Go", brief="Go approved", milestone="approved"))
        assert "Go approved" in said(client)[-1]
        assert len(said(client)) == begin + 2


def test_the_change_of_a_prompt_is_one_line_that_asks_nobody_anew() -> None:
    yes, no = Button("Approve", "!approve abc"), Button("Reject", "!reject abc")
    ask = Notice("Go?", Level.PROMPT, ("what", "why"), buttons=(yes, no), mentions=("bob",), brief="Go?", milestone="1")
    with irc_server() as server, joined(server) as (chat, _, client):
        ref = chat.post(ROOM, ask, "k")
        begin = len(said(client))
        chat.edit(ref, replace(ask, brief="Go? (alice approves): !approve abc", milestone="2"))
        assert plain(said(client)[begin:]) == ["Go? (alice approves): !approve abc"]


def test_at_a_milestone_at_which_nothing_else_could_be_said_nothing_is() -> None:
    card = Notice("release", Level.WARNING, brief="release: tags", milestone="1")
    with irc_server() as server, joined(server) as (chat, _, client):
        ref = chat.post(ROOM, card, "k")
        chat.edit(ref, replace(card, milestone="2"))
        assert len(said(client)) == 1
        chat.edit(ref, replace(card, brief="release: drain", milestone="2"))
        assert plain(said(client)[1:]) == ["(!) release: drain"]


def test_a_message_that_becomes_louder_is_said_in_one_line_with_who_is_asked_and_how_much_more_there_is() -> None:
    calm = Notice("Labs: 10 of 10 up", lines=("all well",))
    bad = Notice("Labs: 8 of 10 up", Level.ALERT, ("lab-1 is down", "lab-2 is down"), mentions=("bob",))
    with irc_server(members="bob", whois={"bob": "bob-account"}) as server, joined(server) as (chat, _, client):
        client.saw("^WHO #rel")
        ref = chat.post(ROOM, calm, "k")
        begin = len(said(client))
        chat.edit(ref, replace(calm, title="Labs: 9 of 10 up", lines=("lab-1 is down",)))
        assert len(said(client)) == begin
        chat.edit(ref, bad)
        assert plain(said(client)[begin:]) == ["bob: (!!) Labs: 8 of 10 up (… 2 more lines: !more)"]
        chat.edit(ref, replace(bad, title="Labs: 7 of 10 up"))
        chat.edit(ref, replace(calm, level=Level.WARNING))
        assert len(said(client)) == begin + 1
        client.send(f"{person('bob')} PRIVMSG #rel :!more")
        client.saw("lab-2 is down")


@pytest.mark.parametrize(("level", "lines"), [(Level.INFO, 0), (Level.SUCCESS, 0), (Level.ALERT, 1)])
def test_a_change_of_a_message_of_another_life_is_said_if_it_is_loud(level: Level, lines: int) -> None:
    with irc_server() as server, joined(server) as (chat, _, client):
        for _ in range(2):
            chat.edit(MessageRef("irc", "#rel", "older"), Notice("Labs: 8 of 10 up", level))
        assert len(said(client)) == lines


def test_a_reaction_on_the_newest_line_of_a_prompt_is_one_on_the_prompt() -> None:
    ask = Notice("Go?", Level.PROMPT, brief="Go?", milestone="open")
    with irc_server() as server, joined(server) as (chat, ear, client):
        ref = chat.post(ROOM, ask, "k")
        chat.edit(ref, replace(ask, brief="Go? (alice approves)", milestone="open alice"))
        newest = server._number
        client.send(f"@+draft/react=x;+draft/reply=id{newest};msgid=r1;account=al :al!u@h TAGMSG #rel")
        assert ear.heard().target == ref


def test_a_card_speaks_at_most_once_in_a_while_and_then_says_the_newest() -> None:
    card = Notice("release", brief="release: tags", milestone="tags")
    with irc_server() as server, joined(server) as (chat, _, client):
        ref = chat.post(ROOM, card, "k")
        begin = len(said(client))
        for step in ("announce", "go", "drain"):
            chat.edit(ref, replace(card, brief=f"release: {step}", milestone=step))
        assert len(said(client)) == begin
        until(lambda: len(said(client)) > begin)
        assert "release: drain" in said(client)[-1]
        chat.edit(ref, replace(card, level=Level.SUCCESS, brief="release: done", milestone="done"))
        assert "release: done" in said(client)[-1]
        assert len(said(client)) == begin + 2


def test_a_change_of_a_message_of_before_the_restart_is_said() -> None:
    with irc_server() as server, joined(server) as (chat, _, client):
        chat.edit(MessageRef("irc", "#rel", "older"), Notice("card", brief="card: done", milestone="done"))
        chat.edit(MessageRef("irc", "#rel", "older"), Notice("card", brief="card: done", milestone="done"))
        assert len(said(client)) == 1


def test_reactions_are_not_kept_by_irc() -> None:
    with irc_server() as server, joined(server) as (chat, _, _):
        assert chat.reactions(MessageRef("irc", "#rel", "id1")) is None
