"""A reaction to a message whose place is not recorded yet: it waits, keeps its order, and does not wait for ever."""

from datetime import timedelta
from pathlib import Path

from kcibot.core.early import WAITS_SECONDS
from kcibot.core.gate import AskState, GatePolicy
from kcibot.core.message import EventKind, Incoming, MessageRef
from kcibot.core.notice import Level
from kcibot.core.procedure import Gate
from tests.fakes.bench import ROOM, Bench
from tests.fakes.toys import MANAGER, Target, push, toy_bench

KEY = "run:1:gate:go:1"


def reaction(room: Bench, number: int, kind: EventKind = EventKind.REACTION_ADDED, who: str = "manager-1") -> Incoming:
    target = MessageRef(ROOM.network, ROOM.channel, KEY)
    return Incoming(f"r{number}", kind, ROOM, who, who, "+1", room.clock.now(), target)


def asked(folder: Path, policy: GatePolicy = MANAGER) -> tuple[Bench, Target]:
    """Its prompt is being posted, and nobody knows where it stands."""
    target = Target()
    room = toy_bench(folder, Gate("go", "Go"), push(target), go=policy)
    room.say("operator", "!go")
    room.dispatcher.posting = lambda _network: True
    return room, target


def test_a_vote_that_was_taken_back_right_away_is_not_counted_behind_its_withdrawal(tmp_path: Path) -> None:
    room, target = asked(tmp_path, GatePolicy(quorum=2))
    added, removed = reaction(room, 1), reaction(room, 2, EventKind.REACTION_REMOVED)
    assert not room.dispatcher.handle(added)
    room.deliver()
    room.dispatcher.posting = lambda _network: False
    assert not room.dispatcher.handle(removed)
    assert room.dispatcher.handle(added)
    assert room.dispatcher.handle(removed)
    assert target.effects == 0
    [vote] = room.journal.votes(room.journal.asks(1)[0])
    assert vote.withdrawn


def test_a_vote_that_waits_does_not_keep_those_on_other_messages_waiting(tmp_path: Path) -> None:
    room, target = asked(tmp_path)
    elsewhere = Incoming(
        "e",
        EventKind.REACTION_ADDED,
        ROOM,
        "observer",
        "observer",
        "+1",
        room.clock.now(),
        MessageRef("console", "#kernelci", "x"),
    )
    assert not room.dispatcher.handle(elsewhere)
    room.deliver()
    assert room.dispatcher.handle(reaction(room, 1))
    room.settle()
    assert target.effects == 1


def test_a_reaction_on_somebody_elses_message_does_not_wait_for_ever_while_nothing_can_be_posted(
    tmp_path: Path,
) -> None:
    room, _ = asked(tmp_path)
    event = reaction(room, 1)
    assert not room.dispatcher.handle(event)
    room.clock.forward(timedelta(seconds=WAITS_SECONDS))
    assert room.dispatcher.handle(event)


def test_a_second_reaction_that_says_the_same_is_not_worth_an_error(tmp_path: Path) -> None:
    room, target = asked(tmp_path)
    room.deliver()
    for number in (1, 2):
        room.dispatcher.handle(reaction(room, number))
        room.settle()
    room.deliver()
    assert target.effects == 1
    assert room.journal.asks(1)[0].state is AskState.APPROVED
    assert not [notice.title for notice in room.notices.values() if notice.level is Level.ERROR]


def test_a_late_approval_by_another_person_is_answered(tmp_path: Path) -> None:
    room, _ = asked(tmp_path)
    room.deliver()
    for number, who in enumerate(("manager-1", "manager-2")):
        room.dispatcher.handle(reaction(room, number, who=who))
        room.settle()
    assert room.replies()
