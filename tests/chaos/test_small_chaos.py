"""The small release under fire: a part of what `python -m tests.chaos` does, in less than a minute."""

from pathlib import Path

import pytest

from tests.chaos.campaign import Campaign, Played, Release
from tests.chaos.points import AFTER, BEFORE, CLOCK, DURING, TORN, Point, chains, points_of, stable
from tests.chaos.small import Small

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

SEED, POINTS, CHAIN = 1, 20, 20


def wrong(played: list[Played]) -> list[str]:
    return [violation for one in played for violation in one.violations]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[Played]:
    """An undisturbed release, and then the others."""
    played: list[Played] = []
    Campaign(Small(), tmp_path_factory.mktemp("campaign"), played.append).run(SEED, POINTS, CHAIN)
    return played


def test_a_bot_that_is_killed_again_and_again_does_nothing_twice_and_loses_nothing(told: list[Played]) -> None:
    assert wrong(told) == []
    kills = {point for one in told for point in one.kills}
    assert len(kills) >= POINTS - 2, "a few points are not come to in every release"


def test_a_bot_that_is_killed_while_it_starts_goes_on_where_it_was(tmp_path: Path) -> None:
    points = [Point("anywhere", CLOCK, milliseconds) for milliseconds in (350, 500, 600, 700)]
    played = Release(Small(), tmp_path / "release").play(points)
    assert wrong([played]) == []
    assert played.lives > 1


def test_a_bot_that_is_killed_at_the_same_place_twice_goes_on(tmp_path: Path) -> None:
    places = [
        ("commit effect push-core “push core” in-flight", AFTER),
        ("commit effect push-backend “push backend” done", BEFORE),
        ("post run:#:gate:accept:#", TORN),
        ("start", BEFORE),
    ]
    played = Release(Small(), tmp_path / "release").play([Point(*place, turn) for place in places for turn in (1, 2)])
    assert wrong([played]) == []
    assert {(point.label, point.phase) for point in played.kills} == set(places)


def test_every_kind_of_place_is_a_point(told: list[Played]) -> None:
    points = points_of(told[0].folder, 1)
    labels = {point.label for point in points}
    for kind in ("commit effect", "commit run at", "accept", "post", "edit", "mailer send", "ci trigger", "git server"):
        assert any(label.startswith(kind) for label in labels), kind
    assert len(points) > 100
    assert Point("mailer send", DURING) in points
    assert sorted(point for chain in chains(points, 15) for point in chain) == sorted(points)


def test_what_differs_from_run_to_run_is_not_in_a_label() -> None:
    assert stable("Small release · succeeded · 12 s") == stable("Small release · succeeded · 1 min 4 s")
    assert stable("run:12:gate:go:1 at 5e0b8f7ab") == "run:#:gate:go:# at #"
