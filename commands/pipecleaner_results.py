"""Step 9, last part: the results beside those of the last accepted run, and a verdict that people accept or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from kcibot.sdk import (
    Context,
    Done,
    KcibotError,
    Level,
    Notice,
    Preview,
    Revision,
    Step,
    Wait,
    listed,
)
from kcibot_commands.notify import Event, forget_once, to_mention
from kcibot_commands.pipecleaner_configs import PipecleanerSettings
from kcibot_commands.pipecleaner_run import Cleaned, run_pipe_cleaner
from kcibot_commands.pipecleaner_snapshot import as_json, boards, from_json, kernels, mails, snapshot_digest
from kcibot_commands.rules.kernel_releases import series_of
from kcibot_commands.rules.results import Ended, Results, Row, table
from kcibot_commands.rules.verdict import Kind, Verdict, judge

BASELINE = "baseline"
RETRIES = "pipecleaner-retries"
HISTORY = "pipecleaner-history"
RESULTS_API = "results API"
TRIES = 4
LONGEST = 120
SOON = timedelta(seconds=30)
LEVELS = {Kind.PASS: Level.SUCCESS, Kind.FAIL: Level.ALERT}


@dataclass(frozen=True)
class Compared:
    """The snapshot that was judged, named by its digest, and what is proposed and why."""

    revision: str
    url: str
    snapshot: Results
    digest: str
    baseline: str
    rows: tuple[Row, ...]
    verdict: Verdict


# ---- the snapshot and its baseline -----------------------------------------------------------------------------


def taken(context: Context, cleaned: Cleaned) -> Results:
    """Everything that the results API says of that revision now. Raises what the API raises."""
    api, revision = context.ports.results, cleaned.revision
    failed_before = context.recall(RETRIES).get(revision_name(revision))
    counts = failed_before if isinstance(failed_before, dict) else {}
    return Results(
        kernel=cleaned.kernel,
        series=cleaned.series,
        ended=cleaned.ended,
        kernels=kernels(api.kernels(revision), {str(key): int(count) for key, count in counts.items()}),
        tests=boards(api.tests(revision)),
        mails=mails(api.reports(revision)),
    )


def revision_name(revision: Revision) -> str:
    return f"{revision.tree}/{revision.branch} {revision.kernel}"


def baseline(context: Context, cleaned: Cleaned) -> Results | None:
    """The last accepted run of the same series, else of any, else the configured earlier one; None if there is none.

    Raises what the API raises.
    """
    accepted = context.recall(BASELINE)
    newest = sorted(accepted, key=lambda series: (series == cleaned.series, _at(accepted[series])))
    for series in reversed(newest):
        value = accepted[series]
        found = from_json(value.get("results")) if isinstance(value, dict) else None
        if found and found.kernel != cleaned.kernel:
            return found
    return _configured(context, cleaned)


def _at(value: object) -> str:
    return str(value.get("at", "")) if isinstance(value, dict) else ""


def _configured(context: Context, cleaned: Cleaned) -> Results | None:
    settings, api = context.settings(PipecleanerSettings), context.ports.results
    if not settings.previous or settings.previous == cleaned.kernel:
        return None
    revision = Revision(cleaned.tree, cleaned.branch, settings.previous)
    built = kernels(api.kernels(revision), {})
    if not built:
        return None
    # A tag such as kernelci-20190510 names no series: then it is taken to be of the configured one.
    series = series_of(settings.previous) or settings.series
    return Results(settings.previous, series, Ended.COMPLETE, built, boards(api.tests(revision)))


# ---- the step --------------------------------------------------------------------------------------------------


def compare(context: Context) -> Done[Compared] | Wait:
    """Take the snapshot once, and judge it. If the results API does not answer the verdict is unknown, never a pass."""
    cleaned = context.result(run_pipe_cleaner)
    tries = context.memory if isinstance(context.memory, int) else 0
    try:
        compared = judged(context, cleaned, taken(context, cleaned), baseline(context, cleaned))
    except KcibotError as error:
        if tries + 1 < TRIES:
            return Wait(context.clock.now() + SOON, f"{error} I ask again.", tries + 1)
        compared = judged(context, cleaned, unseen(cleaned), None)
    _record(context, cleaned, compared)
    context.say("verdict", notice(compared, mentions=to_mention(context, Event.PIPECLEANER)))
    forget_once(context, Event.PIPECLEANER)
    return Done(summary(compared), compared)


def unseen(cleaned: Cleaned) -> Results:
    """The snapshot of a run whose results cannot be seen."""
    return Results(cleaned.kernel, cleaned.series, cleaned.ended, unreachable=(RESULTS_API,))


def judged(context: Context, cleaned: Cleaned, results: Results, base: Results | None) -> Compared:
    verdict = judge(results, base, context.settings(PipecleanerSettings).thresholds)
    if results.unreachable and verdict.kind is Kind.NONE:
        verdict = Verdict(Kind.UNKNOWN, verdict.reasons)
    return Compared(
        revision=revision_name(cleaned.revision),
        url=cleaned.url,
        snapshot=results,
        digest=snapshot_digest(results),
        baseline=base.kernel if base else "",
        rows=table(results, base),
        verdict=verdict,
    )


def _record(context: Context, cleaned: Cleaned, compared: Compared) -> None:
    """What `!pipecleaner history` lists, since Jenkins and the labs forget."""
    row = {
        "at": context.clock.now().isoformat(),
        "revision": compared.revision,
        "verdict": compared.verdict.kind.value,
        "built": cleaned.kernels,
        "failed": len(cleaned.failed),
        "accepted": False,
    }
    context.remember(HISTORY, str(context.run.id), row)


def summary(compared: Compared) -> str:
    """The verdict with its weightiest reason, in a line."""
    kind, reasons = compared.verdict.kind, compared.verdict.reasons
    why = f": {_short(reasons[0].text)}" if reasons and kind is not Kind.PASS else ""
    said = "no verdict" if kind is Kind.NONE else kind.value
    return f"{said}{why}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3].rstrip()}..."


def shown(compared: Compared) -> tuple[str, ...]:
    """The table, what was before beside what is now, and all reasons."""
    versus = f"beside {compared.baseline}" if compared.baseline else "with nothing to compare"
    rows = [f"  {row.label}: {row.current} (was {row.baseline})" for row in compared.rows]
    reasons = [f"  {reason.level.value}: {reason.text}" for reason in compared.verdict.reasons]
    head = "Reasons:" if reasons else "No remarks."
    return (f"{compared.revision}, {versus}", *rows, head, *reasons, *_once_more(compared), compared.url)


def _once_more(compared: Compared) -> tuple[str, ...]:
    """One failure may be chance: how to find out, if there are such."""
    if not any(reason.rule == "retry" for reason in compared.verdict.reasons):
        return ()
    return ("!pipecleaner retry failed builds them once more, !pipecleaner compare then judges anew.",)


def notice(compared: Compared, mentions: tuple[str, ...] = ()) -> Notice:
    level = LEVELS.get(compared.verdict.kind, Level.WARNING)
    return Notice(f"Pipe cleaner: {summary(compared)}", level, shown(compared), mentions=mentions)


compare_results = Step(
    "compare-results",
    "Results compared",
    compare,
    Compared,
    after=(run_pipe_cleaner,),
    limit=timedelta(hours=2),
)


# ---- accepting -------------------------------------------------------------------------------------------------


def about_results(context: Context) -> Preview:
    """What the gate `accept` is about: the immutable snapshot and the proposed verdict, or that there is none."""
    if not context.has_result(compare_results):
        return Preview(
            {"snapshot": "", "verdict": ""}, ("No pipe cleaner was judged in this run.", *_why_none(context))
        )
    compared = context.result(compare_results)
    facts = {"snapshot": compared.digest, "verdict": compared.verdict.kind.value}
    return Preview(facts, (f"Proposed: {summary(compared)}", *shown(compared)))


def _why_none(context: Context) -> tuple[str, ...]:
    ids = (run_pipe_cleaner.id, compare_results.id)
    return tuple(f"{step.title}: {step.text}" for step in context.run.steps if step.id in ids and step.text)


def accepted(context: Context) -> str:
    """Make the judged run the baseline of its series; what was done, in words. To be called once people accepted it."""
    if not context.has_result(compare_results):
        return "no results to keep"
    compared = context.result(compare_results)
    results = compared.snapshot
    _mark_accepted(context)
    if results.unreachable or not results.kernels:
        return f"{results.kernel} is accepted, but without results it is no baseline"
    value = {"at": context.clock.now().isoformat(), "run": context.run.id, "results": as_json(results)}
    context.remember(BASELINE, results.series, value)
    return f"{results.kernel} is the baseline of {results.series or 'its series'}"


def _mark_accepted(context: Context) -> None:
    row = context.recall(HISTORY).get(str(context.run.id))
    if isinstance(row, dict):
        context.remember(HISTORY, str(context.run.id), {**row, "accepted": True})


def accept(context: Context) -> Done[None]:
    return Done(accepted(context), None)


def accept_preview(context: Context) -> Preview:
    """The snapshot again: an approval of an older one is void when there is a newer one by now."""
    return Preview(about_results(context).facts)


accept_results = Step(
    "accept-results",
    "Results accepted",
    accept,
    type(None),
    preview=accept_preview,
    after=(compare_results,),
    limit=timedelta(hours=1),
)


def history_rows(recalled: Mapping[str, object], most: int) -> tuple[str, ...]:
    """A line per pipe cleaner, newest first."""
    rows = [row for row in recalled.values() if isinstance(row, dict)]
    rows.sort(key=lambda row: str(row.get("at", "")), reverse=True)
    return tuple(_history_row(row) for row in rows[:most])


def _history_row(row: Mapping[str, object]) -> str:
    marks = [str(row.get("verdict", "")), *(["accepted"] if row.get("accepted") else [])]
    when = str(row.get("at", ""))[:16].replace("T", " ")
    return f"{when} UTC {row.get('revision')}: {row.get('built')} kernels, {row.get('failed')} failed; {listed(marks)}"
