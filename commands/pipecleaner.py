"""Step 9: the pipe cleaner, a full build and test run of one known-good kernel through the new code, and its verbs."""

from collections.abc import Iterable

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Gate,
    Notice,
    Outcome,
    Procedure,
    Remember,
    Run,
    Step,
    StepRecord,
    StepState,
    UserError,
    command,
    listed,
)
from kcibot_commands.pipecleaner_configs import PipecleanerArgs, PipecleanerSettings
from kcibot_commands.pipecleaner_prepare import prepare_pipe_cleaner
from kcibot_commands.pipecleaner_results import (
    HISTORY,
    about_results,
    accept_results,
    accepted,
    baseline,
    compare_results,
    history_rows,
    judged,
    shown,
    summary,
    taken,
)
from kcibot_commands.pipecleaner_retry import RETRY, RetryArgs
from kcibot_commands.pipecleaner_run import LAST, STOPS, TOPIC, Cleaned, run_pipe_cleaner
from kcibot_commands.production import open_production, take_production_lock
from kcibot_commands.rules.problem import worded

__all__ = [
    "PIPECLEANER",
    "about_results",
    "accept_results",
    "accepted",
    "compare_results",
    "prepare_pipe_cleaner",
    "run_pipe_cleaner",
]

ACCEPT = "accept"
ALL = "all"
FAILED = "failed"
UNDER_WAY = frozenset({StepState.RUNNING, StepState.WAITING})

PIPECLEANER = Procedure(
    "pipecleaner",
    Gate("pipecleaner", "Run the pipe cleaner"),
    take_production_lock,
    prepare_pipe_cleaner,
    run_pipe_cleaner,
    compare_results,
    open_production,
    title="Pipe cleaner",
)


def show_comparison(context: Context) -> Done[None]:
    """The last pipe cleaner as the results API has it now, beside its baseline."""
    cleaned = context.args(Cleaned)
    compared = judged(context, cleaned, taken(context, cleaned), baseline(context, cleaned))
    return Done("\n".join([f"Pipe cleaner: {summary(compared)}", *shown(compared)]), None)


COMPARE = Procedure(
    "pipecleaner compare", Step("compare-now", "Results compared", show_comparison, type(None)), card=False
)


# ---- verbs -----------------------------------------------------------------------------------------------------


@command("pipecleaner", role="operator", example="!pipecleaner kernelci")
def pipecleaner(call: Call, config: str = "") -> Outcome:
    """Build and test one build config all through, once approved, and compare it with the last accepted run."""
    running = _under_way(call)
    if running:
        raise UserError(f"{running.title} is at it already: !pipecleaner status")
    name = config or call.settings(PipecleanerSettings).config
    return call.start(PIPECLEANER, f"Pipe cleaner {name}", PipecleanerArgs(name))


@command("pipecleaner status", role="observer")
def pipecleaner_status(call: Call) -> Outcome:
    """Say how far the pipe cleaner is, or how the last one ended."""
    running = _under_way(call)
    if running:
        return Outcome(Notice(f"{running.title}: {_step(running).text or 'starting'}"))
    run, cleaned = _last(call)
    step = run.step(run_pipe_cleaner.id)
    judgement = next((one.text for one in run.steps if one.id == compare_results.id), "")
    lines = tuple(line for line in (f"Verdict: {judgement}" if judgement else "", cleaned.url) if line)
    return Outcome(Notice(f"The last pipe cleaner, {cleaned.kernel}: {step.text}", lines=lines))


@command("pipecleaner compare", role="operator")
def pipecleaner_compare(call: Call) -> Outcome:
    """Compare the last run anew; if its acceptance is being asked for, it is asked for the new results."""
    run, cleaned = _last(call)
    if not run.ended and any(step.id == ACCEPT and step.state is not StepState.DONE for step in run.steps):
        outcome = _begin_anew(call, run, (compare_results.id, ACCEPT))
        return Outcome(Notice(f"I look at the results of {cleaned.kernel} again."), outcome.changes, outcome.wake)
    return call.start(COMPARE, args=cleaned)


@command("pipecleaner retry", role="operator", example="!pipecleaner retry arm64")
def pipecleaner_retry(call: Call, what: str = FAILED) -> Outcome:
    """Build again what failed, what failed on one architecture, or all of it."""
    running = _under_way(call)
    if running:
        raise UserError(f"{running.title} is still at it; !pipecleaner stop ends it")
    if what == ALL:
        return _all_again(call)
    _run, cleaned = _last(call)
    builds = tuple(one for one in cleaned.failed if what in {FAILED, one.arch})
    if not builds:
        archs = sorted({one.arch for one in cleaned.failed})
        where = f"; failures are on {listed(archs)}" if archs else "; nothing failed"
        raise UserError(f"there is nothing to build again for “{what}” in {cleaned.kernel}{where}")
    title = f"{worded(len(builds), 'kernel')} of {cleaned.kernel} again"
    return call.start(RETRY, title, RetryArgs(cleaned, builds))


@command("pipecleaner stop", role="operator")
def pipecleaner_stop(call: Call) -> Outcome:
    """End the pipe cleaner's builds; what there is of it is judged as it is."""
    running = _under_way(call)
    if running is None:
        raise UserError("no pipe cleaner is running")
    stop = Remember(STOPS, str(running.id), {"by": call.person.id})
    return call.audited(Outcome(Notice("I end it at my next look."), (stop,)), "pipecleaner stop", running.title)


@command("pipecleaner history", role="observer")
def pipecleaner_history(call: Call, number: int = 10) -> Outcome:
    """List the last pipe cleaners with their verdicts."""
    rows = history_rows(call.world.journal.recall(HISTORY), number)
    return Outcome(Notice("Pipe cleaners, newest first" if rows else "There has been no pipe cleaner yet", lines=rows))


# ---- finding runs ----------------------------------------------------------------------------------------------


def _under_way(call: Call) -> Run | None:
    """The open run whose pipe cleaner is being built or tested now."""
    for run in call.world.journal.open_runs():
        current = run.current
        if current and current.id == run_pipe_cleaner.id and current.state in UNDER_WAY:
            return run
    return None


def _step(run: Run) -> StepRecord:
    return run.step(run_pipe_cleaner.id)


def _last(call: Call) -> tuple[Run, Cleaned]:
    """The last run with a pipe cleaner in it, and how that ended. Raises UserError if there is none."""
    last = call.world.journal.recall(TOPIC).get(LAST)
    if not isinstance(last, dict):
        raise UserError("there has been no pipe cleaner yet: !pipecleaner CONFIG runs one")
    run = call.world.journal.run(int(last["run"]))
    value = _step(run).value
    if value is None or _step(run).state is not StepState.DONE:
        raise UserError(f"the pipe cleaner of {run.title} was begun anew: !pipecleaner status")
    return run, call.world.journal.codec.load(Cleaned, value)


def _all_again(call: Call) -> Outcome:
    """Inside an open run its steps begin anew, down to the acceptance; else a new run of the same build config."""
    for run in call.world.journal.open_runs():
        steps = {step.id: step for step in run.steps}
        if run_pipe_cleaner.id in steps and steps[run_pipe_cleaner.id].state is not StepState.PENDING:
            return _begin_anew(call, run, (run_pipe_cleaner.id, compare_results.id, ACCEPT))
    _run, cleaned = _last(call)
    return call.start(PIPECLEANER, f"Pipe cleaner {cleaned.config}", PipecleanerArgs(cleaned.config))


def _begin_anew(call: Call, run: Run, ids: Iterable[str]) -> Outcome:
    """All these steps in one transaction, as far as the run has them and they have begun."""
    outcome = Outcome()
    for step_id in ids:
        if any(step.id == step_id and step.state is not StepState.PENDING for step in run.steps):
            one = call.engine.retry(run, step_id, call.person)
            run = _changed(one, run)
            outcome = Outcome(None, (*outcome.changes, *one.changes), one.wake)
    return outcome


def _changed(outcome: Outcome, before: Run) -> Run:
    """The run as that outcome leaves it."""
    runs = [getattr(change, "run", None) for change in outcome.changes]
    return next((run for run in runs if isinstance(run, Run)), before)
