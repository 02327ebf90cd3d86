"""A vote that is taken back counts no more, and everybody sees that."""

from pathlib import Path

from kcibot.core.gate import AskState, GatePolicy
from kcibot.core.procedure import Gate
from tests.fakes.bench import Bench
from tests.fakes.toys import Target, push, toy_bench


def prompt(room: Bench) -> str:
    room.deliver()
    return next(key for key in room.notices if ":gate:go:" in key)


def test_the_prompt_says_that_a_vote_was_taken_back(tmp_path: Path) -> None:
    room = toy_bench(tmp_path, Gate("go", "Go"), push(Target()), go=GatePolicy(role="release-manager", quorum=2))
    room.say("operator", "!go")
    room.settle()
    room.react("manager-1", prompt(room))
    assert "manager-1 approves" in room.notices[prompt(room)].lines
    room.react("manager-1", prompt(room), removed=True)
    assert "manager-1 approves (withdrawn)" in room.notices[prompt(room)].lines


def test_a_gate_whose_only_vote_was_taken_back_before_anything_began_is_open_again(tmp_path: Path) -> None:
    room = toy_bench(tmp_path, Gate("go", "Go"), push(Target()), go=GatePolicy(role="release-manager", quorum=2))
    room.say("operator", "!go")
    room.settle()
    for person in ("manager-1", "manager-2"):
        room.react(person, prompt(room), removed=False)
        room.react(person, prompt(room), removed=True)
    [ask] = room.journal.asks(1)
    assert ask.state is AskState.OPEN
    assert all(vote.withdrawn for vote in room.journal.votes(ask))
