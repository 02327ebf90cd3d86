"""Pipe cleaners that were judged: a row of each is kept, with its curves, since Jenkins and the labs forget."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kcibot.sdk import Context, Picture, nearest
from kcibot_commands.pipecleaner.baseline import HISTORY
from kcibot_commands.pipecleaner.run import Cleaned
from kcibot_commands.rules import burn_down
from kcibot_commands.rules.burn_down import Curve
from kcibot_commands.rules.results import Results, Status, case_counts
from kcibot_commands.rules.verdict import Verdict

THIS_RUN = "this run"
SAID = {"none": "no verdict"}


@dataclass(frozen=True)
class Past:
    """One row: `failed` of `kernels` failed, `passed_cases` of `cases` test cases passed.

    `took` is from the start of the trigger to the judging. `accepted_by` is empty also where earlier versions wrote
    the row, which did not keep it.
    """

    run: int
    at: datetime
    revision: str
    kernel: str
    verdict: str
    kernels: int
    failed: int
    series: str = ""
    config: str = ""
    baseline: str = ""
    url: str = ""
    passed_cases: int = 0
    cases: int = 0
    took: timedelta = timedelta()
    accepted: bool = False
    accepted_by: str = ""
    kernels_curve: Curve = ()
    tests_curve: Curve = ()

    @property
    def said(self) -> str:
        """The verdict in a word or two."""
        return SAID.get(self.verdict, self.verdict)

    @property
    def names(self) -> tuple[str, str]:
        """How people call it."""
        return (self.kernel, str(self.run))


# ---- keeping ---------------------------------------------------------------------------------------------------


def record(context: Context, cleaned: Cleaned, snapshot: Results, verdict: Verdict, digest: str, baseline: str) -> None:
    """Keep the row of a pipe cleaner that was judged; a newer judgement of the same run takes its place.

    The snapshot itself, of that digest, is in the run's own record.
    """
    passed, cases = case_counts(snapshot)
    bad = sum(kernel.status is not Status.PASS for kernel in snapshot.kernels)
    row = {
        "at": context.clock.now().isoformat(),
        "config": cleaned.config,
        "revision": f"{cleaned.tree}/{cleaned.branch} {cleaned.kernel}",
        "kernel": cleaned.kernel,
        "series": cleaned.series,
        "ended": cleaned.ended.value,
        "verdict": verdict.kind.value,
        "snapshot": digest,
        "baseline": baseline,
        "built": len(snapshot.kernels) or cleaned.kernels,
        "failed": bad if snapshot.kernels else len(cleaned.failed),
        "passed_cases": passed,
        "cases": cases,
        "seconds": (context.clock.now() - cleaned.began).total_seconds(),
        "url": cleaned.url,
        "kernels_curve": cleaned.kernels_curve,
        "tests_curve": cleaned.tests_curve,
        "accepted": False,
    }
    context.remember(HISTORY, str(context.run.id), row)


# ---- reading ---------------------------------------------------------------------------------------------------


def past(recalled: Mapping[str, object]) -> tuple[Past, ...]:
    """All rows, newest first. One that an earlier version wrote has fewer values."""
    rows = [_read(key, row) for key, row in recalled.items() if key.isdigit() and isinstance(row, dict)]
    return tuple(sorted(rows, key=lambda row: row.at, reverse=True))


def _read(key: str, row: Mapping[str, object]) -> Past:
    revision = str(row.get("revision", ""))
    return Past(
        run=int(key),
        at=datetime.fromisoformat(str(row["at"])) if "at" in row else datetime.min.replace(tzinfo=UTC),
        revision=revision,
        kernel=str(row.get("kernel") or revision.rpartition(" ")[2]),
        verdict=str(row.get("verdict", "")),
        kernels=_number(row.get("built")),
        failed=_number(row.get("failed")),
        series=str(row.get("series", "")),
        config=str(row.get("config", "")),
        baseline=str(row.get("baseline", "")),
        url=str(row.get("url", "")),
        passed_cases=_number(row.get("passed_cases")),
        cases=_number(row.get("cases")),
        took=timedelta(seconds=_number(row.get("seconds"))),
        accepted=bool(row.get("accepted")),
        accepted_by=str(row.get("by", "")).removeprefix("by "),
        kernels_curve=_curve(row.get("kernels_curve")),
        tests_curve=_curve(row.get("tests_curve")),
    )


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _items(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _curve(value: object) -> Curve:
    points = [point for point in _items(value) if isinstance(point, list | tuple)]
    return tuple((float(at), int(count)) for at, count in points)


def found(rows: Iterable[Past], name: str) -> Past | None:
    """The newest of that kernel, or of that run, or the only kernel whose name begins or ends so; None if none is."""
    rows = tuple(rows)
    exact = [row for row in rows if name in row.names]
    if exact:
        return exact[0]
    alike = {row.kernel: row for row in reversed(rows) if row.kernel.startswith(name) or row.kernel.endswith(name)}
    return next(iter(alike.values())) if len(alike) == 1 and name else None


def meant(rows: Iterable[Past], name: str) -> str:
    """The kernel that was most likely meant, or the newest; empty if there is none at all."""
    kernels = [row.kernel for row in rows]
    return nearest(name, kernels) or next(iter(kernels), "")


# ---- pictures --------------------------------------------------------------------------------------------------


def picture(kernels: Curve, tests: Curve, beside: Past | None, title: str = "Pipe cleaner") -> Picture | None:
    """Kernels and tests over time, with those of the run that it is compared with; None if there is nothing to see."""
    drawn = (
        burn_down.chart("Kernels", "kernels", _with(kernels, beside, beside.kernels_curve if beside else ())),
        burn_down.chart("Tests", "test plans", _with(tests, beside, beside.tests_curve if beside else ())),
    )
    charts = tuple(chart for chart in drawn if chart.series and chart.series[0].label == THIS_RUN)
    return Picture(title, charts) if charts else None


def _with(curve: Curve, beside: Past | None, other: Curve) -> list[tuple[str, Curve]]:
    return [(THIS_RUN, curve), *([(beside.kernel, other)] if beside else [])]


def drawn(
    recalled: Mapping[str, object], kernels: Curve, tests: Curve, baseline: str, title: str = "Pipe cleaner"
) -> Picture | None:
    """The same, beside the newest run of the kernel `baseline`, if that is known."""
    return picture(kernels, tests, next((row for row in past(recalled) if row.kernel == baseline), None), title)


def baseline_row(recalled: Mapping[str, object], series: str, but: str) -> Past | None:
    """What a run of that series is going to be compared with: the last that was accepted, of the same series first."""
    accepted = [row for row in past(recalled) if row.accepted and row.kernel != but]
    return next((row for row in accepted if row.series == series), next(iter(accepted), None))
