"""A person on two networks is one voter; and what they may do is what the configuration says now."""

from dataclasses import replace
from pathlib import Path

import pytest

from kcibot.core.access import People
from kcibot.core.gate import AskState, Choice, GatePolicy
from kcibot.core.procedure import Gate
from kcibot.errors import UserError
from tests.fakes.bench import PEOPLE, Bench
from tests.fakes.second_network import OtherNetwork, two_networks, type_on_irc
from tests.fakes.toys import Target, decide, person, push
from tests.unit.test_two_networks import send

BOTH = GatePolicy(quorum=2)


@pytest.fixture
def asked(tmp_path: Path) -> tuple[Bench, OtherNetwork, Target]:
    """A gate that wants two votes; the people are this test's own, and can change."""
    target = Target()
    room, irc = two_networks(tmp_path, Gate("go", "Go"), push(target), go=BOTH)
    people = People(PEOPLE, PEOPLE.known.implied)
    world = replace(room.world, people=people)
    room = replace(room, world=world, engine=type(room.engine)(world))
    room = replace(room, dispatcher=type(room.dispatcher)(world, room.engine))
    room.say("operator", "!go")
    room.settle()
    return room, irc, target


def vote(room: Bench, who: str, network: str, choice: Choice = Choice.APPROVE) -> None:
    ask = room.journal.asks(1)[0]
    decide(room, lambda: room.engine.vote(ask, person(room, who), network, choice))


def take_back(room: Bench, who: str, network: str) -> None:
    ask = room.journal.asks(1)[0]
    decide(room, lambda: room.engine.withdraw(ask, person(room, who), network))


def state(room: Bench) -> AskState:
    return room.journal.asks(1)[0].state


def test_yes_here_and_no_there_is_no(asked: tuple[Bench, OtherNetwork, Target]) -> None:
    room, _, target = asked
    vote(room, "manager-1", "console")
    vote(room, "manager-1", "irc", Choice.REJECT)
    assert state(room) is AskState.REJECTED
    with pytest.raises(UserError):
        vote(room, "manager-2", "console")
    assert target.effects == 0


def test_yes_on_both_is_one_vote_and_stands_until_both_are_taken_back(
    asked: tuple[Bench, OtherNetwork, Target],
) -> None:
    room, _, target = asked
    vote(room, "manager-1", "console")
    vote(room, "manager-1", "irc")
    assert state(room) is AskState.OPEN
    take_back(room, "manager-1", "irc")
    take_back(room, "manager-1", "console")
    vote(room, "manager-2", "console")
    assert (state(room), target.effects) == (AskState.OPEN, 0)
    vote(room, "manager-1", "irc")
    assert target.effects == 1


def test_a_vote_does_not_count_when_its_voter_is_gone_from_the_configuration_before_the_quorum(
    asked: tuple[Bench, OtherNetwork, Target],
) -> None:
    room, _, target = asked
    vote(room, "manager-1", "console")
    rest = [one for one in room.world.people if one.id != "manager-1"]
    room.world.people.become(People(rest, PEOPLE.known.implied))
    vote(room, "manager-2", "console")
    assert (state(room), target.effects) == (AskState.OPEN, 0)


def test_a_vote_does_not_count_when_its_voter_lost_the_role_before_the_quorum(
    asked: tuple[Bench, OtherNetwork, Target],
) -> None:
    room, _, target = asked
    vote(room, "manager-1", "console")
    lowered = [replace(one, roles=frozenset({"observer"})) if one.id == "manager-1" else one for one in PEOPLE]
    room.world.people.become(People(lowered, PEOPLE.known.implied))
    vote(room, "manager-2", "console")
    assert (state(room), target.effects) == (AskState.OPEN, 0)


def test_what_the_bot_relays_is_no_command_wherever_it_is_heard(asked: tuple[Bench, OtherNetwork, Target]) -> None:
    room, irc, _ = asked
    room.say("operator", "!go")
    send(room, irc)
    before = len(room.journal.open_runs())
    for title in irc.titles():
        type_on_irc(room, "m1", title)
    assert len(room.journal.open_runs()) == before
