"""Step 9: the pipe cleaner, a full build and test run of one known-good kernel through the new code, and its verbs."""

from kcibot.sdk import (
    Call,
    Change,
    Context,
    Done,
    Forget,
    Gate,
    Notice,
    Outcome,
    Procedure,
    Reason,
    Remember,
    Run,
    Step,
    StepState,
    UserError,
    command,
    nearest,
)
from kcibot_commands.pipecleaner.accept import ACCEPT, about_results, accept_results, accepted
from kcibot_commands.pipecleaner.configs import PipecleanerArgs, PipecleanerSettings
from kcibot_commands.pipecleaner.history import beside
from kcibot_commands.pipecleaner.prepare import prepare_pipe_cleaner
from kcibot_commands.pipecleaner.renewal import AGAIN, RetryArgs, ask_acceptance_anew, begun
from kcibot_commands.pipecleaner.results import compare_results, comparison, shown, summary
from kcibot_commands.pipecleaner.retry import build_failed_again
from kcibot_commands.pipecleaner.run import STOPS, Cleaned, run_pipe_cleaner
from kcibot_commands.pipecleaner.which import (
    ALL,
    FAILED,
    begin_anew,
    building_again,
    last,
    open_acceptance,
    under_way,
    wanted,
)
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

NO_REASON = Reason("no reason given")
VERBS = ("status", "show", "compare", "retry", "stop", "history")

PIPECLEANER = Procedure(
    "pipecleaner",
    Gate("pipecleaner", "Run the pipe cleaner"),
    take_production_lock,
    prepare_pipe_cleaner,
    run_pipe_cleaner,
    compare_results,
    open_production,
    Gate(ACCEPT, "Accept the pipe cleaner's results", about=about_results),
    accept_results,
    title="Pipe cleaner",
)
RETRY = Procedure(
    "pipecleaner retry",
    Gate("pipecleaner", "Build kernels of a pipe cleaner again"),
    build_failed_again,
    compare_results,
    Gate(ACCEPT, "Accept the pipe cleaner's results", about=about_results),
    accept_results,
    title="Kernels built again",
)
"""Of a pipe cleaner that nobody is asked to accept any more."""
RETRY_INSIDE = Procedure(
    "pipecleaner retry inside", build_failed_again, ask_acceptance_anew, title="Kernels built again"
)
"""While people are asked to accept: the run in which they are asks them anew."""


def show_comparison(context: Context) -> Done[None]:
    """The last pipe cleaner as the results API has it now, beside its baseline."""
    cleaned = context.args(Cleaned)
    compared, _trouble = comparison(context, cleaned)
    return Done("\n".join([f"Pipe cleaner: {summary(compared)}", *shown(compared)]), None)


COMPARE = Procedure(
    "pipecleaner compare", Step("compare-now", "Results compared", show_comparison, type(None)), card=False
)


# ---- verbs -----------------------------------------------------------------------------------------------------


@command("pipecleaner", role="operator", example="!pipecleaner kernelci")
def pipecleaner(call: Call, config: str = "") -> Outcome:
    """Build and test one build config all through, once approved, and compare it with the last accepted run."""
    _refuse_misspelt(config)
    running = under_way(call)
    if running:
        raise UserError(f"{running.title} is at it already: !pipecleaner status")
    for run in call.world.journal.open_runs():
        if run.procedure == PIPECLEANER.name and run.current and run.current is run.steps[0]:
            raise UserError(f"{run.title} is there already, {run.current.text or 'about to begin'}")
    name = config or call.settings(PipecleanerSettings).config
    return call.start(PIPECLEANER, f"Pipe cleaner {name}", PipecleanerArgs(name))


def _refuse_misspelt(config: str) -> None:
    """A verb with a slip in it is no build config: nothing is started on a guess."""
    verb = nearest(config.lower(), VERBS)
    if verb:
        raise UserError(f"“{config}” looks like !pipecleaner {verb}. Nothing was started; type that, or a build config")


@command("pipecleaner compare", role="operator", example="!pipecleaner compare v5.10.79-1-g0123456789ab")
def pipecleaner_compare(call: Call, kernel: str = "") -> Outcome:
    """Look at the last run's results anew, and ask anew if its acceptance is open; or show it beside an older one."""
    if kernel:
        return Outcome(beside(call, kernel))
    run, cleaned = last(call)
    if not open_acceptance(run):
        return call.start(COMPARE, args=cleaned)
    anew = begin_anew(call, run, (compare_results.id, ACCEPT))
    told = Notice(f"I look at the results of {cleaned.kernel} again; then {run.title} asks anew.")
    return Outcome(told, (*anew.changes, Forget(AGAIN, str(run.id))), anew.wake)


@command("pipecleaner retry", role="operator", example="!pipecleaner retry arm64")
def pipecleaner_retry(call: Call, what: str = FAILED, *, whole: bool = False) -> Outcome:
    """Build again what failed, what failed on an architecture or compiler (--whole: what passed there, too), or all."""
    running = under_way(call) or building_again(call)
    if running:
        raise UserError(f"“{running.title}” is still at it: !pipecleaner status shows it, !pipecleaner stop ends it")
    if what == ALL:
        return _all_again(call)
    run, cleaned = last(call)
    builds = wanted(call, run, cleaned, what, whole=whole)
    title = f"{worded(len(builds), 'kernel')} of {cleaned.kernel} again"
    if not open_acceptance(run):
        return call.start(RETRY, title, RetryArgs(cleaned, builds))
    return _again_inside(call, run, title, RetryArgs(cleaned, builds, run.id))


def _again_inside(call: Call, run: Run, title: str, args: RetryArgs) -> Outcome:
    """The open question is void at once, and asked anew with the results of those kernels; all in one transaction."""
    again = call.start(RETRY_INSIDE, title, args)
    anew = begin_anew(call, run, (compare_results.id, ACCEPT))
    until = call.world.clock.now() + build_failed_again.limit
    waits = begun(run.id, again.wake[0], len(args.builds), until)
    lines = (
        f"What “{run.title}” asked is void, and so are votes on it: it compares and asks anew when they have ended.",
        "!pipecleaner status shows how far it is, !pipecleaner stop ends it, !pipecleaner compare goes on without it.",
    )
    told = Notice(f"I build {worded(len(args.builds), 'kernel')} of {args.cleaned.kernel} again.", lines=lines)
    return Outcome(told, (*again.changes, *anew.changes, waits), (*again.wake, *anew.wake))


def _all_again(call: Call) -> Outcome:
    """Inside an open run its steps begin anew, down to the acceptance; else a new run of the same build config."""
    run, cleaned = last(call)
    if open_acceptance(run):
        anew = begin_anew(call, run, (run_pipe_cleaner.id, compare_results.id, ACCEPT))
        return Outcome(
            Notice(f"I build all of {cleaned.kernel} again; then {run.title} asks anew."), anew.changes, anew.wake
        )
    return call.start(PIPECLEANER, f"Pipe cleaner {cleaned.config}", PipecleanerArgs(cleaned.config))


@command("pipecleaner stop", role="operator", example="!pipecleaner stop the lab moves today")
def pipecleaner_stop(call: Call, reason: Reason = NO_REASON) -> Outcome:
    """End what the pipe cleaner builds on Jenkins; what there is of it is judged as it is, and never a pass."""
    running = under_way(call) or building_again(call)
    if running is None:
        raise UserError(_nothing_to_stop(call))
    if str(running.id) in call.world.journal.recall(STOPS):
        raise UserError(f"“{running.title}” is being stopped already: !pipecleaner status")
    if running.holds:
        raise UserError(f"“{running.title}” stands still; !release continue --run {running.id} lets it look, and stop")
    stop: Change = Remember(STOPS, str(running.id), {"by": call.person.id, "reason": reason})
    step = running.current.text if running.current else ""
    lines = (
        *((f"So far: {step}.",) if step else ()),
        "Its builds that run or wait on Jenkins are ended; what has ended is kept and judged.",
        "That cannot be taken back: !pipecleaner retry all builds it anew.",
    )
    told = Notice(f"I end “{running.title}” at my next look.", lines=lines)
    return call.audited(Outcome(told, (stop,)), "pipecleaner stop", running.title, reason=reason, run=running.id)


def _nothing_to_stop(call: Call) -> str:
    for run in call.world.journal.open_runs():
        step = run.current
        ask = call.world.journal.ask(run.id, step.id) if step and step.state is StepState.WAITING else None
        if step and ask and step is run.steps[0] and run.procedure in {PIPECLEANER.name, RETRY.name}:
            return f"{run.title} has not begun: !reject {ask.code} REASON ends it"
        if step and ask and step.id == ACCEPT:
            return f"all of {run.title} is built, and nothing runs: people are asked to accept it (!approve {ask.code})"
    return "no pipe cleaner is running"
