"""Step 9, the end: people accept a pipe cleaner's results, or decide what happens instead."""

from datetime import timedelta

from kcibot.sdk import AGAINST, Context, Done, Level, NotHappened, Notice, Preview, Step
from kcibot_commands.pipecleaner.baseline import HISTORY, keep
from kcibot_commands.pipecleaner.renewal import cleaned_of
from kcibot_commands.pipecleaner.results import Compared, compare_results, shown, summary
from kcibot_commands.pipecleaner.run import run_pipe_cleaner
from kcibot_commands.rules.results import Ended, Results, Status
from kcibot_commands.rules.verdict import Kind

ACCEPT = "accept"
ALONE = frozenset({"pipecleaner", "pipecleaner retry"})
"""Procedures that are no part of a release."""
UNFIT = frozenset({Kind.FAIL, Kind.UNKNOWN})
"""Verdicts that do not propose to accept."""


# ---- what people are asked -------------------------------------------------------------------------------------


def about_results(context: Context) -> Preview:
    """What the gate `accept` is about: the immutable snapshot and the proposed verdict, or that there is none."""
    if not context.has_result(compare_results):
        none = ("No pipe cleaner was judged in this run.", *_why_none(context))
        return Preview({"snapshot": "", "verdict": ""}, (*none, *_others(context)))
    compared = context.result(compare_results)
    kind = compared.verdict.kind
    facts = {"snapshot": compared.digest, "verdict": kind.value, **({AGAINST: kind.value} if kind in UNFIT else {})}
    return Preview(facts, (f"Proposed: {summary(compared)}", *shown(compared), *_choices(compared), *_others(context)))


def _why_none(context: Context) -> tuple[str, ...]:
    ids = (run_pipe_cleaner.id, compare_results.id)
    return tuple(f"{step.title}: {step.text}" for step in context.run.steps if step.id in ids and step.text)


def _choices(compared: Compared) -> tuple[str, ...]:
    """That accepting is loud, where it is, and what can be seen or built again, each with the verb that does it."""
    loud = "To accept goes against this proposal, needs a reason, and is told to all: !approve CODE REASON."
    return (
        *((loud,) if compared.verdict.kind in UNFIT else ()),
        f"Instead of accepting: {_retries(compared.snapshot)}; !pipecleaner compare looks at the results again",
    )


def _others(context: Context) -> tuple[str, ...]:
    """What people can do in any case; a pipe cleaner that runs alone has changed nothing that could be put back."""
    alone = context.run.procedure in ALONE
    fix = () if alone else ("!release amend takes in a fix",)
    back = " ends it" if alone else " and then !release rollback put production back"
    others = (*fix, "!hold REASON leaves it open", "!reject CODE REASON refuses it", f"!release abort REASON{back}")
    return (f"  {'; '.join(others)}",)


def _retries(results: Results) -> str:
    """`!pipecleaner retry failed, retry arm or retry all builds again`."""
    archs = sorted({kernel.key.arch for kernel in results.kernels if kernel.status is Status.FAIL})
    parts = ["retry failed", *(f"retry {arch}" for arch in archs)] if archs else []
    return f"!pipecleaner {' | '.join([*parts, 'retry all'])} builds again"


# ---- accepting -------------------------------------------------------------------------------------------------


def accepted(context: Context) -> str:
    """Make the judged run the baseline of its series; what was done, in words. To be called once people accepted it.

    What passed in the baseline before and does not now stays expected, see `verdict_expected`. A run that was not
    seen whole is no baseline: the one before it stays.
    """
    if not context.has_result(compare_results):
        return "no results to keep"
    compared = context.result(compare_results)
    _mark_accepted(context)
    results, by = compared.snapshot, _by(context)
    if compared.verdict.kind in UNFIT:
        context.say("accepted against", _loud(context, compared, by))
    missing = _missing(results)
    if missing:
        return f"{results.kernel} is accepted, but {missing} it is no baseline"
    keep(context, cleaned_of(context).revision, results, by)
    return f"{results.kernel} is the baseline of {results.series or 'its series'}"


def _missing(results: Results) -> str:
    """What a run lacks to be compared with, as the beginning of a clause; empty if nothing."""
    if results.unreachable or not results.kernels:
        return "without results"
    return "" if results.ended is Ended.COMPLETE else "since it was not complete"


def _by(context: Context) -> str:
    """`by manager-1`, as the gate has it; empty where there is none."""
    return next((step.text for step in context.run.steps if step.id == ACCEPT and step.text), "")


def _loud(context: Context, compared: Compared, by: str) -> Notice:
    title = (
        f"{context.run.title}: {compared.snapshot.kernel} is accepted {by} against the proposal “{summary(compared)}”"
    )
    return Notice(title, Level.ALERT)


def _mark_accepted(context: Context) -> None:
    row = context.recall(HISTORY).get(str(context.run.id))
    if isinstance(row, dict):
        context.remember(HISTORY, str(context.run.id), {**row, "accepted": True, "by": _by(context)})


def accept(context: Context) -> Done[None]:
    """Audited with what was proposed. Nothing of it leaves the journal, so that it may be done twice."""
    if not context.has_result(compare_results):
        return Done(accepted(context), None)
    compared = context.result(compare_results)
    what = f"{compared.revision} accepted {_by(context)}; proposed: {summary(compared)}; snapshot {compared.digest}"
    text = context.effect(what, lambda: accepted(context), NotHappened, late=timedelta())
    return Done(text, None)


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
