"""Play the cases of the verdict's table in the sandbox, and print what is proposed beside what is expected.

    python -m tests.verdicts kernel-fails-twice lab-offline

Without a name all are played: 220 kernels on 7 architectures and of 2 compilers, tested in 10 labs.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

import click

from tests.fakes.bench import close_benches
from tests.verdicts.play import Played, play
from tests.verdicts.scenarios import SCENARIOS

WIDTH = 110
ROW = "{:<42} {:<9} {:<9} {:>5}  {}"


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice([one.name for one in SCENARIOS]), metavar="[CASE...]")
@click.option("--kernels", default=220, show_default=True, help="How many kernels are built.")
def main(names: Sequence[str], kernels: int) -> None:
    click.echo(ROW.format("case", "expected", "proposed", "s", "reason"))
    wrong = []
    for scenario in SCENARIOS:
        if not names or scenario.name in names:
            with tempfile.TemporaryDirectory(prefix="kcibot-verdicts-") as folder:
                played = play(scenario, Path(folder), kernels)
                close_benches()
            tell(played)
            wrong += [played.scenario.name] if played.problem else []
    raise SystemExit(1 if wrong else 0)


def tell(played: Played) -> None:
    """One row, and what is wrong with it below."""
    case = played.scenario
    reason = shorten(played.reason, WIDTH, placeholder=" ...")
    click.echo(ROW.format(case.name, case.expected.value, played.proposed, f"{played.seconds:.1f}", reason))
    if played.problem:
        click.echo(f"  WRONG: {played.problem}")
        for reason in played.verdict.reasons if played.verdict else ():
            click.echo(f"    {reason.level.value} ({reason.rule}): {reason.text}")


if __name__ == "__main__":
    main()
