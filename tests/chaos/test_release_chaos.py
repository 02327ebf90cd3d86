"""The whole release under fire: a few kills of the many of `python -m tests.chaos --scenario release`."""

from pathlib import Path

import pytest

from tests.chaos.campaign import Campaign, Played
from tests.chaos.release import WholeRelease

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(600)]

SEED, POINTS = 3, 12


def test_a_whole_release_survives_a_dozen_kills(tmp_path: Path) -> None:
    told: list[Played] = []
    _undisturbed, *others = Campaign(WholeRelease(), tmp_path, told.append).run(SEED, POINTS, POINTS)
    assert [violation for one in others for violation in one.violations] == []
    assert len({point for one in others for point in one.kills}) >= POINTS - 1
