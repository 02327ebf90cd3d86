"""What a pipe cleaner is compared with: the last accepted run of its series, or the nearest there is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from kcibot.sdk import Context, Revision, RevisionStatus
from kcibot_commands.pipecleaner.attempts import revision_name
from kcibot_commands.pipecleaner.configs import AUTO, PipecleanerSettings
from kcibot_commands.pipecleaner.snapshot import as_json, boards, from_json, kernels
from kcibot_commands.rules.kernel_releases import series_of
from kcibot_commands.rules.results import Ended, Mail, MailState, Results
from kcibot_commands.rules.verdict_expected import Expected, expected

BASELINE = "baseline"
"""Series -> the run that people accepted last, and the one before it."""
HISTORY = "pipecleaner-history"
"""Run -> what became of its pipe cleaner."""
COMPLETE = frozenset({RevisionStatus.PASS, RevisionStatus.FAIL})
BAD = frozenset({"fail", "unknown"})


@dataclass(frozen=True)
class Base:
    """A run to compare with; `why` it was chosen, as a clause."""

    results: Results
    why: str


def baseline(context: Context, revision: Revision, series: str) -> Results | None:
    """The results of the run that `chosen` chooses."""
    base = chosen(context, revision, series)
    return base.results if base else None


def chosen(context: Context, revision: Revision, series: str) -> Base | None:
    """What to compare with, never the revision itself; None if there is nothing. Raises what the API raises.

    The first there is of: the last accepted run of the same series; the nearest run of it that the results API has,
    unless it was judged bad; the configured earlier run; the last accepted run of any series.
    """
    return (
        _accepted(context, revision, series)
        or _nearest(context, revision, series)
        or _configured(context, revision)
        or _accepted_elsewhere(context, revision)
    )


# ---- accepted by people ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Standing:
    """What was kept when a run was accepted."""

    value: Mapping[str, object]
    results: Results

    @property
    def why(self) -> str:
        at, by = str(self.value.get("at", "")), str(self.value.get("by", ""))
        when = f"{datetime.fromisoformat(at):%d %b %Y}" if at else ""
        return " ".join(part for part in ("accepted", when, by) if part)

    @property
    def expected(self) -> Expected:
        kept = cast("list[object]", self.value.get("kept", []))
        return Expected(self.results, frozenset(map(str, kept)))


def _standing(context: Context, revision: Revision, series: str) -> _Standing | None:
    """The last accepted run of that series; the one before it, if that revision is the last."""
    for value in _back(context.recall(BASELINE).get(series)):
        results = from_json(value.get("results"))
        if results and results.kernel != revision.kernel:
            return _Standing(value, results)
    return None


def _back(value: object) -> Iterator[Mapping[str, object]]:
    while isinstance(value, dict):
        yield value
        value = value.get("before")


def _accepted(context: Context, revision: Revision, series: str) -> Base | None:
    standing = _standing(context, revision, series) if series else None
    return Base(standing.results, standing.why) if standing else None


def _accepted_elsewhere(context: Context, revision: Revision) -> Base | None:
    found = [one for series in context.recall(BASELINE) if (one := _standing(context, revision, series))]
    if not found:
        return None
    newest = max(found, key=lambda one: str(one.value.get("at", "")))
    return Base(newest.results, newest.why)


def keep(context: Context, revision: Revision, results: Results, by: str) -> None:
    """Make an accepted run the baseline of its series, with what it no longer does as `expected` has it.

    Done twice for a run it is done once. The baseline before it is kept too: the same run may be compared again.
    """
    before = _standing(context, revision, results.series)
    same_branch = before and before.value.get("branch", _branch(revision)) == _branch(revision)
    merged = expected(results, before.expected if before and same_branch else None)
    value = {
        "at": context.clock.now().isoformat(),
        "by": by,
        "run": context.run.id,
        "branch": _branch(revision),
        "results": as_json(merged.results),
        "kept": sorted(merged.kept),
        "before": {**before.value, "before": None} if before else None,
    }
    context.remember(BASELINE, results.series, value)


def _branch(revision: Revision) -> str:
    return f"{revision.tree}/{revision.branch}"


# ---- never accepted --------------------------------------------------------------------------------------------


def _nearest(context: Context, revision: Revision, series: str) -> Base | None:
    """The newest run of that series on the same branch, unless it was judged bad and not accepted.

    A tag such as kernelci-20210506.1 tells no series: the bot's own record of its runs does.
    """
    if not series:
        return None
    judged = _newest_judgements(context)
    for one in context.ports.results.revisions(revision.tree, revision.branch):
        row = judged.get(revision_name(one.revision), {})
        of_series = row.get("series") or series_of(one.revision.kernel)
        bad = row.get("verdict") in BAD and not row.get("accepted")
        if of_series != series or bad or one.revision == revision or one.status not in COMPLETE:
            continue
        if found := _from_api(context, one.revision, series):
            return Base(found, f"the nearest run of {series}, never accepted")
    return None


def _newest_judgements(context: Context) -> Mapping[str, Mapping[str, object]]:
    """What became of the bot's own runs, by their revision."""
    rows = [row for row in context.recall(HISTORY).values() if isinstance(row, dict)]
    return {str(row.get("revision")): row for row in sorted(rows, key=lambda row: str(row.get("at", "")))}


def _configured(context: Context, revision: Revision) -> Base | None:
    settings = context.settings(PipecleanerSettings)
    if not settings.previous or settings.previous == revision.kernel:
        return None
    earlier = Revision(revision.tree, revision.branch, settings.previous)
    # A tag such as kernelci-20190510 names no series: then it is taken to be of the configured one.
    configured = "" if settings.series == AUTO else settings.series
    found = _from_api(context, earlier, series_of(settings.previous) or configured)
    return Base(found, "the configured earlier run") if found else None


def _from_api(context: Context, revision: Revision, series: str) -> Results | None:
    """An earlier run as the results API still has it; None if it has no kernel of it."""
    api = context.ports.results
    built = kernels(api.kernels(revision), {})
    if not built:
        return None
    sent = tuple(Mail(kind, MailState.SEEN) for kind, status in api.reports(revision).items() if status == "SENT")
    return Results(revision.kernel, series, Ended.COMPLETE, built, boards(api.tests(revision)), sent)
