"""Step 9, last part: the results beside those of the last accepted run, and a verdict that is proposed to people."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from kcibot.sdk import Context, Done, KcibotError, Level, Notice, Picture, Revision, Step, StepKind, StepState, Wait
from kcibot_commands.notify import Event, forget_once, to_mention
from kcibot_commands.pipecleaner.attempts import RETRIES, revision_name
from kcibot_commands.pipecleaner.baseline import HISTORY, Base, chosen
from kcibot_commands.pipecleaner.configs import PipecleanerSettings
from kcibot_commands.pipecleaner.mails import mails
from kcibot_commands.pipecleaner.past import drawn, record
from kcibot_commands.pipecleaner.renewal import cleaned_of, waits_for
from kcibot_commands.pipecleaner.run import Cleaned, run_pipe_cleaner
from kcibot_commands.pipecleaner.snapshot import as_json, boards, from_json, kernels, snapshot_digest
from kcibot_commands.rules import verdict_reasons
from kcibot_commands.rules.results import Ended, Results, Row, table
from kcibot_commands.rules.verdict import Kind, Verdict, judge
from kcibot_commands.rules.verdict_reasons import Reason

RESULTS_API = "results API"
TRIES = 4
LONGEST = 120
LINE = 300
MOST = {verdict_reasons.Level.FAIL: 8, verdict_reasons.Level.UNKNOWN: 5}
"""So many reasons of one case are shown, and FEW of the lighter ones; the record has all."""
FEW = 3
SOON = timedelta(seconds=30)
LEVELS = {Kind.PASS: Level.SUCCESS, Kind.FAIL: Level.ALERT}
SAID = {Kind.NONE: "no verdict"}

T = TypeVar("T")


@dataclass(frozen=True)
class Compared:
    """The snapshot that was judged, named by its digest, what it was compared with, and what is proposed and why.

    `stored` is the snapshot as it is kept: a pipe cleaner has tens of thousands of test cases.
    """

    revision: str
    url: str
    stored: Mapping[str, object]
    digest: str
    baseline: str
    why: str
    rows: tuple[Row, ...]
    verdict: Verdict

    @property
    def snapshot(self) -> Results:
        return from_json(self.stored) or Results("", "", Ended.STOPPED, unreachable=(RESULTS_API,))


# ---- the snapshot ----------------------------------------------------------------------------------------------


@dataclass
class _Looking:
    """Looks that may fail: what they brought, and of whom nothing could be seen."""

    unseen: dict[str, str] = field(default_factory=dict)

    def see(self, source: str, look: Callable[[], tuple[T, ...]]) -> tuple[T, ...]:
        try:
            return look()
        except KcibotError as error:
            self.unseen.setdefault(source, str(error))
            return ()


def taken(context: Context, cleaned: Cleaned) -> tuple[Results, str]:
    """Everything that can be seen of that revision now, and why the rest cannot, in the words of the first error.

    What does not answer is named in the snapshot, which then is never a pass.
    """
    api, revision, looking = context.ports.results, cleaned.revision, _Looking()
    counts = _failed_before(context, revision)
    built = looking.see(RESULTS_API, lambda: kernels(api.kernels(revision), counts))
    tests = looking.see(RESULTS_API, lambda: boards(api.tests(revision)))
    ended = cleaned.builds_ended or context.clock.now()
    sent = looking.see(RESULTS_API, lambda: mails(context, revision, ended))
    unreachable = tuple(dict.fromkeys((*cleaned.unreachable, *looking.unseen)))
    results = Results(cleaned.kernel, cleaned.series, cleaned.ended, built, tests, sent, unreachable)
    return results, next(iter(looking.unseen.values()), "")


def _failed_before(context: Context, revision: Revision) -> Mapping[str, int]:
    counts = context.recall(RETRIES).get(revision_name(revision))
    return {str(key): int(count) for key, count in counts.items()} if isinstance(counts, dict) else {}


# ---- the step --------------------------------------------------------------------------------------------------


def compare(context: Context) -> Done[Compared] | Wait:
    """Take the snapshot once, and judge it. If something does not answer the verdict is unknown, never a pass."""
    cleaned = cleaned_of(context)
    if again := waits_for(context):
        return Wait(context.clock.now() + context.settings(PipecleanerSettings).look, again)
    tries = context.memory if isinstance(context.memory, int) else 0
    compared, trouble = comparison(context, cleaned)
    if trouble and tries + 1 < TRIES:
        return Wait(context.clock.now() + SOON, f"{trouble} I ask again.", tries + 1)
    record(context, cleaned, compared.snapshot, compared.verdict, compared.digest, compared.baseline)
    picture = drawn(context.recall(HISTORY), cleaned.kernels_curve, cleaned.tests_curve, compared.baseline)
    told = notice(compared, to_mention(context, Event.PIPECLEANER), picture)
    context.say("verdict", replace(told, lines=(*told.lines, *_asked_next(context))))
    forget_once(context, Event.PIPECLEANER)
    return Done(summary(compared), compared)


def _asked_next(context: Context) -> tuple[str, ...]:
    """That people are awaited: those who want to hear of that are mentioned with the verdict."""
    gates = [step for step in context.run.steps if step.kind is StepKind.GATE and step.state is StepState.PENDING]
    return tuple(f"People are asked now: “{step.title}”." for step in gates[:1])


def comparison(context: Context, cleaned: Cleaned) -> tuple[Compared, str]:
    """The results as they are now beside those of the baseline, and why something could not be seen, if so."""
    results, trouble = taken(context, cleaned)
    base: Base | None = None
    try:
        base = chosen(context, cleaned.revision, cleaned.series)
    except KcibotError as error:
        # Nobody knows whether there is something to compare with: that is not the same as that there is nothing.
        trouble = trouble or str(error)
        results = replace(results, unreachable=tuple(dict.fromkeys((*results.unreachable, RESULTS_API))))
    return judged(context, cleaned, results, base), trouble


def judged(context: Context, cleaned: Cleaned, results: Results, base: Base | None) -> Compared:
    before = base.results if base else None
    return Compared(
        revision=revision_name(cleaned.revision),
        url=cleaned.url,
        stored=as_json(results),
        digest=snapshot_digest(results),
        baseline=before.kernel if before else "",
        why=base.why if base else "",
        rows=table(results, before),
        verdict=judge(results, before, context.settings(PipecleanerSettings).thresholds),
    )


# ---- in words --------------------------------------------------------------------------------------------------


def summary(compared: Compared) -> str:
    """The verdict with its weightiest reason, in a line."""
    kind, reasons = compared.verdict.kind, compared.verdict.reasons
    why = f": {short(reasons[0].text, LONGEST)}" if reasons and kind is not Kind.PASS else ""
    return f"{SAID.get(kind, kind.value)}{why}"


def short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3].rstrip()}..."


def shown(compared: Compared) -> tuple[str, ...]:
    """The table, what was before beside what is now, and the reasons, few enough for a chat."""
    why = f" ({compared.why})" if compared.why else ""
    versus = f"beside {compared.baseline}{why}" if compared.baseline else "with nothing to compare"
    reasons = _reasons(compared.verdict.reasons)
    head = "Reasons:" if reasons else "No remarks."
    return (f"{compared.revision}, {versus}", *_table(compared), head, *reasons, *_once_more(compared), compared.url)


def _table(compared: Compared) -> tuple[str, ...]:
    """A line for each total and for each part that differs; parts that do not are one line for all."""
    lines: list[str] = []
    alike: dict[str, list[str]] = {}
    for row in compared.rows:
        what, _, part = row.label.partition(", ")
        if part and (row.current == row.baseline or not compared.baseline):
            alike.setdefault(what, []).append(f"{part} {row.current.removesuffix(' passed')}")
        else:
            lines.append(f"  {row.label}: {row.current} (was {row.baseline})")
    as_before = " as before" if compared.baseline else ""
    lines += [short(f"  {what}{as_before}: {', '.join(parts)}", 2 * LINE) for what, parts in alike.items()]
    return tuple(lines)


def _reasons(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """By weight, of each case a few, and how many more there are."""
    cases: dict[tuple[verdict_reasons.Level, str], list[str]] = {}
    for reason in reasons:
        cases.setdefault((reason.level, reason.rule), []).append(f"  {reason.level.value}: {short(reason.text, LINE)}")
    lines: list[str] = []
    for (level, rule), texts in cases.items():
        most = MOST.get(level, FEW)
        lines += texts[:most]
        lines += [f"  {level.value}: and {len(texts) - most} more ({rule})"] if len(texts) > most else []
    return tuple(lines)


def _once_more(compared: Compared) -> tuple[str, ...]:
    """What would tell more, if something would."""
    rules = {reason.rule for reason in compared.verdict.reasons}
    if "unreachable" in rules:
        return ("!pipecleaner compare looks again and judges anew.",)
    if "retry" in rules:
        return ("!pipecleaner retry failed builds them once more; then it is judged anew.",)
    return ()


def notice(compared: Compared, mentions: tuple[str, ...] = (), picture: Picture | None = None) -> Notice:
    level = LEVELS.get(compared.verdict.kind, Level.WARNING)
    title = f"Pipe cleaner: {summary(compared)}"
    return Notice(title, level, shown(compared), mentions=mentions, picture=picture)


compare_results = Step(
    "compare-results",
    "Results compared",
    compare,
    Compared,
    after=(run_pipe_cleaner,),
    limit=timedelta(hours=24),
)
