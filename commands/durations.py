"""How long builds took: measured by us, since Jenkins forgets them within days."""

from collections.abc import Iterable
from datetime import timedelta
from statistics import median

from kcibot.sdk import Build, BuildResult, Context, Measured

BUILD = "build"
ENOUGH = 3
"""Fewer than these say less than Jenkins' own estimate."""


def measure(context: Context, builds: Iterable[Build]) -> None:
    """Keep how those builds ended; one that still runs is left out."""
    context.measured(*[_measured(build) for build in builds if build.result and not build.building])


def usual(context: Context, job: str) -> timedelta | None:
    """How long a build of that job takes that succeeds: the median of the last ones; None if too few were seen."""
    seen = [one.seconds for one in context.history(BUILD, job) if one.result == BuildResult.SUCCESS.value]
    return timedelta(seconds=median(seen)) if len(seen) >= ENOUGH else None


def _measured(build: Build) -> Measured:
    result = build.result.value if build.result else ""
    return Measured(BUILD, build.ref.job, str(build.ref), build.started, build.seconds, result)
