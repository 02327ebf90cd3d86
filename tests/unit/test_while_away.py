"""What was typed while the bot was away, and people who change while it runs."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from kcibot.core.access import People, Person
from kcibot.core.command import Outcome, Reason, command
from kcibot.core.dispatch import Call, Dispatcher
from kcibot.core.message import EventKind, Incoming
from tests.fakes.bench import PEOPLE, ROOM, Bench
from tests.fakes.toys import Target, push, toy_bench


def away(folder: Path, target: Target) -> Bench:
    """A bot that takes commands which are at most five minutes old."""
    room = toy_bench(folder, push(target))
    dispatcher = Dispatcher(room.world, room.engine, stale_after=timedelta(minutes=5))
    return replace(room, dispatcher=dispatcher)


def typed(room: Bench, text: str, ago: timedelta) -> None:
    event = Incoming(f"{text}{ago}", EventKind.MESSAGE, ROOM, "operator", "operator", text, room.clock.now() - ago)
    room.journal.accept(event)
    room.dispatcher.handle(event)
    room.settle()


def test_a_command_of_long_ago_is_reported_and_not_run(tmp_path: Path) -> None:
    target = Target()
    room = away(tmp_path, target)
    typed(room, "!go", timedelta(minutes=6))
    assert target.effects == 0
    assert room.replies() == ["I was away when operator typed “!go”, 08:54 UTC (6 min ago): it was not done"]


def test_a_command_of_just_now_is_run(tmp_path: Path) -> None:
    target = Target()
    room = away(tmp_path, target)
    typed(room, "!go", timedelta(minutes=4))
    assert target.effects == 1


def test_people_change_while_the_bot_runs_and_every_change_is_told() -> None:
    people = People(PEOPLE, {"operator": frozenset({"observer"})})
    others = [
        Person("operator", frozenset({"observer"}), frozenset({("console", "operator")})),
        Person("manager-3", frozenset({"release-manager"}), frozenset({("slack", "U3")})),
    ]
    changes = people.become(People(others, {"operator": frozenset(), "release-manager": frozenset({"operator"})}))
    assert changes == (
        "manager-1 is gone",
        "manager-2 is gone",
        "manager-3 is new: release-manager (slack: U3)",
        "observer is gone",
        "operator was operator (console: operator) and is observer (console: operator)",
        "the role operator implies no other now",
        "the role release-manager implies operator now",
    )
    assert people.resolve("slack", "U3").id == "manager-3"
    assert people.resolve("console", "manager-1").id == ""
    assert people.become(people) == ()


def test_only_what_concerns_the_bot_is_worth_being_stored(tmp_path: Path) -> None:
    room = toy_bench(tmp_path, push(Target()))
    dispatcher = Dispatcher(room.world, room.engine, flood=3)

    def line(text: str, number: int = 0) -> Incoming:
        at = room.clock.now()
        return Incoming(f"{text}{number}", EventKind.MESSAGE, ROOM, "operator", "operator", text, at)

    assert not dispatcher.concerns(line("good morning"))
    assert dispatcher.concerns(line("!ping"))
    for number in range(4):
        assert dispatcher.concerns(line("!ping", number))
        dispatcher.handle(line("!ping", number))
    assert not dispatcher.concerns(line("!ping", 5))
    room.clock.forward(timedelta(minutes=1))
    assert dispatcher.concerns(line("!ping", 6))


def test_the_line_after_a_question_is_worth_being_stored(tmp_path: Path) -> None:
    room = toy_bench(tmp_path, push(Target()))

    @command("why", role="operator")
    def why(call: Call, reason: Reason) -> Outcome:
        """Ask for a reason."""
        return call.audited(Outcome(), "why", reason)

    room.world.registry.commands["why"] = why
    answer = Incoming("a", EventKind.MESSAGE, ROOM, "operator", "operator", "because", room.clock.now())
    assert not room.dispatcher.concerns(answer)
    room.say("operator", "!why")
    assert room.dispatcher.concerns(answer)
    assert not room.dispatcher.concerns(replace(answer, identity="observer"))


def test_a_line_of_before_the_question_is_no_answer_to_it(tmp_path: Path) -> None:
    room = toy_bench(tmp_path, push(Target()))
    heard: list[str] = []

    @command("why", role="operator")
    def why(_call: Call, reason: Reason) -> Outcome:
        """Ask for a reason."""
        heard.append(reason)
        return Outcome()

    room.world.registry.commands["why"] = why
    room.say("operator", "!why")
    at = room.clock.now() - timedelta(minutes=1)
    room.dispatcher.handle(Incoming("old", EventKind.MESSAGE, ROOM, "operator", "operator", "lunch?", at))
    assert heard == []
