"""A network that was away is not reminded of what was decided meanwhile."""

from datetime import timedelta
from pathlib import Path

from kcibot.core.gate import GatePolicy
from kcibot.core.notice import Level
from kcibot.core.procedure import Gate
from kcibot.core.sender import Sender
from tests.fakes.bench import Bench
from tests.fakes.second_network import OtherNetwork, two_networks
from tests.fakes.toys import Target, push

EVERY = timedelta(hours=4)


def away(folder: Path, reminders: int) -> tuple[Bench, OtherNetwork]:
    """A gate that waited for long while the second network was away."""
    room, irc = two_networks(folder, Gate("go", "Go"), push(Target()), go=GatePolicy(remind=EVERY))
    room.say("operator", "!go")
    for _ in range(reminders):
        room.tick(EVERY)
    return room, irc


def back(room: Bench, irc: OtherNetwork) -> list[str]:
    """The alerts that it gets when it is there again."""
    sender = Sender(room.outbox, irc)
    while sender.send_some():
        room.journal.writer.flush()
    return [notice.title for notice in irc.said.values() if notice.level is Level.ALERT]


def test_of_many_reminders_it_gets_the_last(tmp_path: Path) -> None:
    room, irc = away(tmp_path, 6)
    assert len(back(room, irc)) == 1


def test_it_is_not_reminded_of_what_was_answered(tmp_path: Path) -> None:
    room, irc = away(tmp_path, 3)
    room.react("manager-1", "run:1:gate:go:1")
    assert back(room, irc) == []


def test_it_is_not_reminded_of_what_was_aborted(tmp_path: Path) -> None:
    room, irc = away(tmp_path, 3)
    person = room.world.people.get("operator")
    room.journal.commit(room.engine.abort(room.run(), person, "enough").changes)
    assert not any("still waits" in title for title in back(room, irc))


def test_where_nothing_was_missed_every_reminder_is_said(tmp_path: Path) -> None:
    room, _ = away(tmp_path, 0)
    said = list[str]()
    for _ in range(3):
        room.tick(EVERY)
        said += [title for title in room.deliver().values() if "still waits" in title]
    assert len(said) == 3
