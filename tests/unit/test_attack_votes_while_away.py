"""Votes found again after an absence: in which order they count, in which rooms, and what one failure may spoil."""

from dataclasses import replace
from pathlib import Path

import pytest

from kcibot.core.desk import Desk
from kcibot.core.dispatch import Dispatcher
from kcibot.core.engine import Engine
from kcibot.core.gate import AskState, Choice, GatePolicy
from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import Notice
from kcibot.core.ports import Reaction
from kcibot.core.procedure import Gate
from kcibot.core.reconcile import Reconciler
from kcibot.core.run import RunState
from kcibot.core.sender import Sender
from kcibot.errors import PermanentError, TransientError
from tests.fakes.bench import PEOPLE, ROOM, Bench
from tests.fakes.irc_server import until
from tests.fakes.second_network import IRC, OtherNetwork, reconcile, two_networks
from tests.fakes.toys import MANAGER, Target, decide, person, push

UP, DOWN = "+1", "-1"
TEAM = Place("irc", "#team")
SECOND = Reaction("m2", "second", DOWN)


class TwoRooms(OtherNetwork):
    """A network in which every room has its own messages; some rooms may refuse to be looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.closed: dict[str, Exception] = {}
        self.looks: list[str] = []

    def post(self, place: Place, notice: Notice, key: str, thread: MessageRef | None = None) -> MessageRef:
        return super().post(place, notice, f"{place.channel} {key}", thread)

    def reactions(self, ref: MessageRef) -> tuple[Reaction, ...] | None:
        self.looks.append(ref.channel)
        if ref.channel in self.closed:
            raise self.closed[ref.channel]
        return super().reactions(ref)

    def prompt_in(self, place: Place) -> str:
        (found,) = (
            number for key, number in self.keys.items() if key.startswith(f"{place.channel} ") and ":gate:" in key
        )
        return found


def send(room: Bench, network: OtherNetwork) -> None:
    sender = Sender(room.outbox, network)
    while sender.send_some():
        room.journal.writer.flush()


def asked(folder: Path, policy: GatePolicy = MANAGER) -> tuple[Bench, TwoRooms, Target]:
    """A run that waits at its gate; its prompt stands in two rooms of the second network."""
    target, irc = Target(), TwoRooms()
    room, _ = two_networks(folder, Gate("accept", "Accept it"), push(target), accept=policy)
    world = replace(room.world, rooms=(ROOM, IRC, TEAM))
    engine = Engine(world)
    room = replace(room, world=world, engine=engine, dispatcher=Dispatcher(world, engine))
    known = world.people.get("manager-2")
    both = replace(known, identities=known.identities | {("irc", "m2")})
    world.people.become(
        type(world.people)([both if one.id == known.id else one for one in world.people], world.people.known.implied)
    )
    room.say("operator", "!go")
    room.deliver()
    send(room, irc)
    return room, irc, target


@pytest.fixture(autouse=True)
def _people_as_they_were() -> object:
    before = PEOPLE.known
    yield
    PEOPLE.known = before


def state(room: Bench) -> AskState:
    ask = room.journal.ask(1, "accept")
    assert ask
    return ask.state


def test_of_an_approval_and_a_rejection_that_were_missed_the_rejection_counts_first(tmp_path: Path) -> None:
    room, irc, target = asked(tmp_path)
    irc.reacted[irc.prompt_in(IRC)] = [Reaction("m1", "first", UP), SECOND]
    reconcile(room, irc)
    assert target.effects == 0
    assert room.run().state is RunState.FAILED


def test_a_person_who_changed_to_a_rejection_and_left_the_approval_there_rejects(tmp_path: Path) -> None:
    room, irc, target = asked(tmp_path)
    irc.reacted[irc.prompt_in(IRC)] = [Reaction("m1", "first", UP), Reaction("m1", "first", DOWN)]
    reconcile(room, irc)
    assert target.effects == 0
    assert state(room) is AskState.REJECTED


def test_a_rejection_in_one_room_counts_before_an_approval_in_the_other(tmp_path: Path) -> None:
    room, irc, target = asked(tmp_path)
    irc.reacted[irc.prompt_in(IRC)] = [Reaction("m1", "first", UP)]
    irc.reacted[irc.prompt_in(TEAM)] = [SECOND]
    reconcile(room, irc)
    assert target.effects == 0


def test_a_vote_in_one_room_is_not_taken_back_by_the_lack_of_it_in_another_of_the_network(tmp_path: Path) -> None:
    room, irc, target = asked(tmp_path, GatePolicy(quorum=2))
    for place in (IRC, TEAM):
        irc.reacted.clear()
        irc.reacted[irc.prompt_in(place)] = [Reaction("m1", "first", UP)]
        reconcile(room, irc)
        assert reconcile(room, irc) == []
    decide(
        room,
        lambda: room.engine.vote(room.journal.open_asks()[0], person(room, "manager-2"), "console", Choice.APPROVE),
    )
    assert target.effects == 1


def test_a_room_that_cannot_be_looked_at_leaves_the_votes_of_the_other_to_be_found(tmp_path: Path) -> None:
    room, irc, target = asked(tmp_path)
    irc.closed[IRC.channel] = PermanentError("the channel is archived")
    irc.reacted[irc.prompt_in(TEAM)] = [Reaction("m1", "first", UP)]
    try:
        reconcile(room, irc)
    except PermanentError:
        room.settle()
    for event in room.journal.unsettled():
        room.dispatcher.handle(event)
    room.settle()
    assert target.effects == 1


def test_no_vote_is_taken_back_while_one_of_its_rooms_cannot_be_looked_at(tmp_path: Path) -> None:
    room, irc, _ = asked(tmp_path, GatePolicy(quorum=2))
    irc.reacted[irc.prompt_in(IRC)] = [Reaction("m1", "first", UP)]
    reconcile(room, irc)
    irc.closed[IRC.channel] = TransientError("not now")
    with pytest.raises(TransientError):
        reconcile(room, irc)
    for event in room.journal.unsettled():
        room.dispatcher.handle(event)
    [vote] = room.journal.votes(room.journal.open_asks()[0])
    assert not vote.withdrawn


class VotesMeanwhile(OtherNetwork):
    """Somebody reacts right after the network was asked, and is heard at once."""

    deed: object = None

    def reactions(self, ref: MessageRef) -> tuple[Reaction, ...] | None:
        found = super().reactions(ref)
        deed, self.deed = self.deed, None
        if callable(deed):
            deed()
        return found


def test_a_vote_that_is_given_while_the_network_is_asked_is_not_taken_for_one_taken_back(tmp_path: Path) -> None:
    target, irc = Target(), VotesMeanwhile()
    room, _ = two_networks(tmp_path, Gate("accept", "Accept it"), push(target), accept=GatePolicy(quorum=2))
    room.say("operator", "!go")
    room.deliver()
    send(room, irc)
    ask = room.journal.open_asks()[0]
    irc.deed = lambda: decide(
        room, lambda: room.engine.vote(ask, person(room, "manager-1"), "irc", Choice.APPROVE, reacted=True)
    )
    reconcile(room, irc)
    [vote] = room.journal.votes(ask)
    assert not vote.withdrawn


def test_votes_that_could_not_be_seen_are_looked_for_again_without_another_connection(tmp_path: Path) -> None:
    room, irc, target = asked(tmp_path)
    irc.closed[IRC.channel] = TransientError("too many questions")
    irc.reacted[irc.prompt_in(IRC)] = [Reaction("m1", "first", UP)]
    reconciler = Reconciler(room.world, {"irc": irc}, room.journal.accept)
    desk = Desk(room.journal, reconciler, room.dispatcher.concerns, again=0.02)
    desk.connected("irc")
    assert not desk.wait({"irc"}, 0), "what was voted there meanwhile is not known"
    irc.closed.clear()
    try:
        until(lambda: bool(room.journal.unsettled()), lambda: "nobody looked again")
        assert desk.wait({"irc"}, 10)
    finally:
        desk.close()
    for event in room.journal.unsettled():
        room.dispatcher.handle(event)
    room.settle()
    assert target.effects == 1
