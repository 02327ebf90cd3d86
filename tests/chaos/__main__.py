"""Kill the bot at a seeded list of points of a release, and tell whether anything was done twice or lost.

    python -m tests.chaos --seed 1 --points 60

Every release is kept in its folder if something was wrong with it.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from tests.chaos.campaign import Campaign, Played
from tests.chaos.pipecleaner import PipeCleaner
from tests.chaos.production import Rollback, RootFs
from tests.chaos.release import WholeRelease
from tests.chaos.scenario import Scenario
from tests.chaos.small import Small

SCENARIOS: Mapping[str, Callable[[], Scenario]] = {
    "small": Small,
    "release": WholeRelease,
    "rollback": Rollback,
    "rootfs": RootFs,
    "pipecleaner": PipeCleaner,
}


@click.command(help=__doc__)
@click.option("--scenario", type=click.Choice(sorted(SCENARIOS)), default="small", show_default=True)
@click.option("--seed", default=1, show_default=True, help="Chooses the points, if not all of them are wanted.")
@click.option("--points", default=60, show_default=True, help="How many points; 0 for all that there are.")
@click.option("--chain", default=15, show_default=True, help="How many kills there are in one release at most.")
@click.option("--turns", default=1, show_default=True, help="How often one place counts as a point.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the releases are kept; else in a temporary one.")
def main(scenario: str, seed: int, points: int, chain: int, turns: int, folder: Path | None) -> None:
    began = time.monotonic()
    where = folder or Path(tempfile.mkdtemp(prefix="kcibot-chaos-"))
    campaign = Campaign(SCENARIOS[scenario](), where, tell)
    played = campaign.run(seed, points, chain, turns)
    kills = [point for one in played for point in one.kills]
    missed = set(played[-1].missed) if played else set()
    wrong = [one for one in played if one.violations]
    click.echo(
        f"{len(set(kills))} points, {len(kills)} kills in {len(played)} releases and "
        f"{sum(one.lives for one in played)} lives, {time.monotonic() - began:.0f} s, seed {seed}: "
        f"{sum(len(one.violations) for one in played)} violations, {len(missed)} points not come to"
    )
    if not wrong and folder is None:
        shutil.rmtree(where)
    raise SystemExit(1 if wrong else 0)


def tell(played: Played) -> None:
    """One release and every kill in it."""
    click.echo(f"{played.folder.name}: {len(played.kills)} kills, {played.lives} lives, {played.seconds:.1f} s")
    for point in played.kills:
        click.echo(f"  killed at {point}")
    for point in played.missed:
        click.echo(f"  did not come to {point}")
    for violation in played.violations:
        click.echo(f"  WRONG: {violation}")


if __name__ == "__main__":
    main()
