"""Taking a release back, root file systems and a pipe cleaner under fire: a few kills of those of `make chaos`."""

from pathlib import Path

import pytest

from tests.chaos.campaign import Campaign, Played
from tests.chaos.pipecleaner import PipeCleaner
from tests.chaos.production import Rollback, RootFs
from tests.chaos.scenario import Scenario

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(600)]

SEED = 2


@pytest.mark.parametrize(
    ("scenario", "points"),
    [(RootFs(), 10), (Rollback(), 6), (PipeCleaner(), 8)],
    ids=["rootfs", "rollback", "pipecleaner"],
)
def test_what_changes_production_survives_kills(tmp_path: Path, scenario: Scenario, points: int) -> None:
    told: list[Played] = []
    undisturbed, *others = Campaign(scenario, tmp_path, told.append).run(SEED, points, points)
    assert [violation for one in (undisturbed, *others) for violation in one.violations] == []
    assert len({point for one in others for point in one.kills}) >= points - 1
