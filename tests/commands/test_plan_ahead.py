"""`!release status` tells of commits that came after the plan, which nobody would miss otherwise."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.core.procedure import Procedure
from kcibot.core.run import RunState
from kcibot_commands import runs
from kcibot_commands.plan import ahead as plan_ahead
from kcibot_commands.plan.steps import plan
from kcibot_commands.tags import create_tags
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import Kernelci, kernelci, lines, start, stuck

OPEN = Procedure("release", plan, create_tags, stuck())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


def opened(place: Kernelci) -> Bench:
    bench = place.bench(runs, plan_ahead)
    start(bench, OPEN)
    return bench


def test_commits_that_came_after_the_plan_are_told_with_the_status(place: Kernelci) -> None:
    bench = opened(place)
    for number in range(2):
        place.commit("core", {"README.md": f"{number}\n"}, f"README.md: {number}")
    place.commit("backend", {"README.md": "later\n"}, "later")
    bench.say("observer", "!release status")
    assert lines(bench, "run:2:answer").splitlines() == [
        "core: 2 commits on main not in this release",
        "backend: 1 commit on main not in this release",
        "!release amend takes them in.",
    ]


def test_where_nothing_came_nothing_more_is_said_than_the_status(place: Kernelci) -> None:
    bench = opened(place)
    bench.say("observer", "!release status")
    bench.deliver()
    assert "run:2:answer" not in bench.notices
    assert bench.run(2).state is RunState.SUCCEEDED


def test_a_repository_that_cannot_be_seen_is_named_and_not_passed_over(place: Kernelci) -> None:
    bench = opened(place)
    place.repositories["jenkins"].rename(place.folder / "gone")
    bench.say("observer", "!release status")
    assert lines(bench, "run:2:answer").startswith("jenkins: ")


def test_a_release_that_has_ended_is_not_compared_with_what_came_since(place: Kernelci) -> None:
    bench = place.bench(runs, plan_ahead)
    start(bench, Procedure("release", plan, create_tags))
    bench.say("observer", "!release status --run 1")
    assert [run.id for run in bench.journal.runs(9)] == [1]
