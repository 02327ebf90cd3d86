"""One conversation on two networks: what each sees of the other, threads, digests, and votes cast while it was away."""

from pathlib import Path

import pytest

from kcibot.core import sender as sending
from kcibot.core.gate import AskState, Choice, GatePolicy
from kcibot.core.journal import Say
from kcibot.core.message import MessageRef
from kcibot.core.notice import Level, Notice
from kcibot.core.ports import Reaction
from kcibot.core.procedure import Gate
from kcibot.core.relay import Sees
from kcibot.core.run import RunState
from kcibot.core.sender import Sender
from kcibot.errors import TransientError
from tests.fakes.bench import Bench
from tests.fakes.second_network import IRC, OtherNetwork, reconcile, two_networks, type_on_irc
from tests.fakes.toys import MANAGER, Target, decide, person, push

UP, DOWN = "\N{THUMBS UP SIGN}", "-1"


def send(room: Bench, network: OtherNetwork) -> Sender:
    sender = Sender(room.outbox, network)
    while sender.send_some():
        room.journal.writer.flush()
    return sender


def asked(folder: Path, relayed: Sees = Sees.ALL, policy: GatePolicy = MANAGER) -> tuple[Bench, OtherNetwork, Target]:
    """A run that waits at its gate, whose prompt stands on both networks."""
    target = Target()
    room, irc = two_networks(folder, Gate("accept", "Accept it"), push(target), relayed=relayed, accept=policy)
    room.say("operator", "!go")
    room.deliver()
    send(room, irc)
    return room, irc, target


def in_words(room: Bench, who: str, network: str) -> None:
    (ask,) = room.journal.open_asks()
    decide(room, lambda: room.engine.vote(ask, person(room, who), network, Choice.APPROVE))


def prompt(irc: OtherNetwork) -> str:
    """The prompt's message on the second network."""
    (found,) = (number for key, number in irc.keys.items() if ":gate:" in key)
    return found


def ask_state(room: Bench) -> AskState:
    ask = room.journal.ask(1, "accept")
    assert ask
    return ask.state


# ---- what is seen ------------------------------------------------------------------------------------------------


def test_a_command_that_does_something_is_seen_in_the_other_rooms(tmp_path: Path) -> None:
    room, irc, _ = asked(tmp_path)
    assert "operator on console: !go" in irc.titles()
    room.say("operator", "!frobnicate")
    send(room, irc)
    assert not any("frobnicate" in title for title in irc.titles())


def test_a_refusal_is_for_the_one_who_is_refused(tmp_path: Path) -> None:
    room, irc, _ = asked(tmp_path)
    type_on_irc(room, "stranger", "!go")
    send(room, irc)
    (refusal,) = (notice for notice in irc.said.values() if notice.whisper)
    assert refusal.whisper == "stranger"
    room.deliver()
    assert not any("stranger" in notice.title for notice in room.notices.values())


def test_a_network_of_alerts_only_sees_prompts_and_what_becomes_of_them(tmp_path: Path) -> None:
    room, irc, _ = asked(tmp_path, Sees.ALERTS)
    assert [notice.level for notice in irc.said.values()] == [Level.PROMPT]
    room.react("manager-1", "run:1:gate:accept:1")
    room.run()
    send(room, irc)
    assert "approved" in irc.titles()[0]
    assert len(irc.said) == 1


def test_a_network_of_nothing_sees_only_what_was_begun_there(tmp_path: Path) -> None:
    room, irc, _ = asked(tmp_path, Sees.NONE)
    assert irc.said == {}
    type_on_irc(room, "m1", "!go")
    send(room, irc)
    assert any("asks for approval" in title for title in irc.titles())


def test_what_belongs_below_another_message_names_it_once_that_is_there(tmp_path: Path) -> None:
    room, irc = two_networks(tmp_path)
    room.journal.commit([Say("early", IRC, Notice("early"), "card")])
    send(room, irc)
    room.journal.commit([Say("card", IRC, Notice("the card")), Say("late", IRC, Notice("late"), "card")])
    send(room, irc)
    assert irc.threads[irc.keys["early"]] is None
    assert irc.threads[irc.keys["late"]] == MessageRef("irc", "#kernelci", irc.keys["card"])


# ---- a network that was away -------------------------------------------------------------------------------------


def test_a_network_that_was_away_gets_one_digest_and_the_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, irc = two_networks(tmp_path)
    now = [1000.0]
    monkeypatch.setattr(sending.time, "monotonic", lambda: now[0])
    room.journal.commit([Say(f"note {n}", IRC, Notice(f"note {n}")) for n in range(6)])
    room.journal.commit([Say("ask", IRC, Notice("Go?", Level.PROMPT))])
    sender = Sender(room.outbox, irc)
    irc.away = True
    with pytest.raises(TransientError):
        sender.send_some()
    now[0] += 3600
    irc.away = False
    sender.send_some()
    assert irc.titles() == ["Go?", "irc was away for a while; 6 messages were said meanwhile"]
    assert irc.said["2"].lines == tuple(f"note {n}" for n in range(6))
    room.journal.commit([Say("note 3", IRC, Notice("note 3, changed"))])
    sender.send_some()
    assert irc.titles()[2:] == ["note 3, changed"]


def test_a_short_absence_loses_nothing_and_makes_no_digest(tmp_path: Path) -> None:
    room, irc = two_networks(tmp_path)
    room.journal.commit([Say(f"note {n}", IRC, Notice(f"note {n}")) for n in range(6)])
    sender = Sender(room.outbox, irc)
    irc.away = True
    with pytest.raises(TransientError):
        sender.send_some()
    irc.away = False
    sender.send_some()
    assert irc.titles() == [f"note {n}" for n in range(6)]


# ---- votes that were missed --------------------------------------------------------------------------------------


def test_a_vote_that_was_cast_meanwhile_counts_and_is_counted_once(tmp_path: Path) -> None:
    room, irc, target = asked(tmp_path)
    irc.reacted[prompt(irc)] = [Reaction("m1", "manager", f"{UP}\N{EMOJI MODIFIER FITZPATRICK TYPE-3}")]
    assert len(reconcile(room, irc)) == 1
    assert room.run().state is RunState.SUCCEEDED
    assert target.effects == 1
    assert reconcile(room, irc) == []


def test_reactions_of_strangers_and_other_reactions_are_no_votes(tmp_path: Path) -> None:
    room, irc, target = asked(tmp_path)
    irc.reacted[prompt(irc)] = [Reaction("m1", "manager", "eyes"), Reaction("nobody", "m1", UP), Reaction("", "m1", UP)]
    assert reconcile(room, irc) == []
    assert target.effects == 0


def test_a_vote_that_was_taken_back_meanwhile_is_no_vote(tmp_path: Path) -> None:
    room, irc, target = asked(tmp_path, policy=GatePolicy(quorum=2))
    irc.reacted[prompt(irc)] = [Reaction("m1", "manager", UP)]
    reconcile(room, irc)
    irc.reacted.clear()
    assert len(reconcile(room, irc)) == 1
    in_words(room, "manager-2", "console")
    assert ask_state(room) is AskState.OPEN
    assert target.effects == 0
    irc.reacted[prompt(irc)] = [Reaction("m1", "manager", UP)]
    assert reconcile(room, irc) == []  # what was taken back by whatever way is given again in words only


def test_a_vote_in_words_is_not_taken_back_by_the_lack_of_a_reaction(tmp_path: Path) -> None:
    room, irc, target = asked(tmp_path)
    in_words(room, "manager-1", "irc")
    assert reconcile(room, irc) == []
    assert target.effects == 1


def test_a_rejection_beside_an_approval_that_was_missed_stops_it(tmp_path: Path) -> None:
    room, irc, target = asked(tmp_path)
    irc.reacted[prompt(irc)] = [Reaction("m1", "manager", DOWN)]
    reconcile(room, irc)
    assert room.run().state is RunState.FAILED
    assert target.effects == 0
    irc.reacted[prompt(irc)].append(Reaction("m1", "manager", UP))
    assert reconcile(room, irc) == []
