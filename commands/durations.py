"""How long builds took: measured by us, since Jenkins forgets them within days."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from statistics import median

from kcibot.sdk import Build, BuildResult, Context, Measured, span

BUILD = "build"
MEASURED = "measured-jobs"
"""Topic: the jobs of which builds were measured."""
ENOUGH = 3
"""Fewer than these say less than Jenkins' own estimate."""
FAILED = frozenset({BuildResult.FAILURE.value, BuildResult.UNSTABLE.value})


def measure(context: Context, builds: Iterable[Build]) -> None:
    """Keep how those builds ended; one that still runs is left out."""
    ended = [build for build in builds if build.result and not build.building]
    for job in {build.ref.job for build in ended} - set(context.recall(MEASURED)):
        context.remember(MEASURED, job, "build")
    context.measured(*map(_measured, ended))


def usual(context: Context, job: str) -> timedelta | None:
    """How long a build of that job takes that succeeds: the median of the last ones; None if too few were seen."""
    seen = _succeeded(context.history(BUILD, job))
    return timedelta(seconds=median(seen)) if len(seen) >= ENOUGH else None


def described(job: str, builds: Sequence[Measured]) -> str:
    """`kernel-build-trigger: usually 42 min; 12 builds seen to end, 2 failed`."""
    seen, failed = _succeeded(builds), sum(build.result in FAILED for build in builds)
    usually = f"usually {span(timedelta(seconds=median(seen)))}" if seen else "none succeeded"
    return f"{job}: {usually}; {len(builds)} {'builds' if len(builds) > 1 else 'build'} seen to end, {failed} failed"


def _succeeded(builds: Iterable[Measured]) -> list[float]:
    return [build.seconds for build in builds if build.result == BuildResult.SUCCESS.value]


def _measured(build: Build) -> Measured:
    result = build.result.value if build.result else ""
    return Measured(BUILD, build.ref.job, str(build.ref), build.started, build.seconds, result)
