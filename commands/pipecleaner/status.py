"""`!pipecleaner status`: where a pipe cleaner is, or how the last one ended; of what the journal has, asking nobody."""

from collections.abc import Mapping
from enum import StrEnum

from kcibot.sdk import (
    Call,
    KcibotError,
    Level,
    Notice,
    Outcome,
    Progress,
    Run,
    RunState,
    StepRecord,
    StepState,
    command,
    listed,
    moment,
    span,
)
from kcibot_commands.pipecleaner.accept import ACCEPT
from kcibot_commands.pipecleaner.baseline import HISTORY
from kcibot_commands.pipecleaner.configs import PipecleanerSettings
from kcibot_commands.pipecleaner.history import accepted_by, picture_of
from kcibot_commands.pipecleaner.mails import MAILS
from kcibot_commands.pipecleaner.past import Past, baseline_row, past, picture
from kcibot_commands.pipecleaner.prepare import prepare_pipe_cleaner
from kcibot_commands.pipecleaner.progress import kept_seen, lines
from kcibot_commands.pipecleaner.record import topic
from kcibot_commands.pipecleaner.results import Compared, compare_results, summary
from kcibot_commands.pipecleaner.retry import build_failed_again
from kcibot_commands.pipecleaner.run import run_pipe_cleaner
from kcibot_commands.pipecleaner.state import Following, Seen
from kcibot_commands.pipecleaner.stop import STOPS
from kcibot_commands.rules.kernel_releases import series_of
from kcibot_commands.rules.problem import worded

START = "pipecleaner"
"""The gate of a pipe cleaner that is run alone."""
FAILURES = 15
OLDEST = 200
BROKEN = frozenset({StepState.FAILED, StepState.UNKNOWN})


class Phase(StrEnum):
    """What a pipe cleaner is at, in the order in which it comes to it."""

    APPROVAL = "waiting for approval to begin"
    PREPARING = "preparing"
    STARTING = "starting the builds"
    BUILDS = "building"
    RETRY = "building what failed once more"
    LABS = "all built, waiting for labs and mails"
    STOPPING = "being stopped"
    AGAIN = "building again what people asked for"
    COMPARING = "comparing"
    ACCEPTANCE = "waiting for acceptance"


STEPS: Mapping[str, Phase] = {
    START: Phase.APPROVAL,
    prepare_pipe_cleaner.id: Phase.PREPARING,
    run_pipe_cleaner.id: Phase.BUILDS,
    build_failed_again.id: Phase.AGAIN,
    compare_results.id: Phase.COMPARING,
    ACCEPT: Phase.ACCEPTANCE,
}


@command("pipecleaner status", role="observer", example="!pipecleaner status")
def pipecleaner_status(call: Call) -> Outcome:
    """Say how far the pipe cleaner is, or how the last one ended."""
    runs = [run for run in call.world.journal.open_runs() if run.current and run.current.id in STEPS]
    if not runs:
        return Outcome(_last(call))
    shown = [_notice(call, run) for run in runs]
    main, others = shown[-1], shown[:-1]
    also = tuple(f"Also {one.title[:1].lower()}{one.title[1:]}" for one in others)
    return Outcome(Notice(main.title, main.level, (*main.lines, *also), progress=main.progress, picture=main.picture))


# ---- one that is under way -------------------------------------------------------------------------------------


def _notice(call: Call, run: Run) -> Notice:
    step = run.current or run.steps[-1]
    if step.state in BROKEN:
        return _stuck(run, step)
    if run.holds:
        held = listed([f"{hold.kind.value} by {hold.person}: {hold.reason}" for hold in run.holds])
        return Notice(f"{run.title} stands still ({held})", Level.WARNING, _text(step))
    match STEPS[step.id]:
        case Phase.BUILDS:
            return _building(call, run, step)
        case Phase.ACCEPTANCE:
            return _awaited(call, run, step)
        case phase:
            return Notice(f"{run.title}: {phase}", lines=_text(step))


def _text(step: StepRecord) -> tuple[str, ...]:
    return (step.text,) if step.text else ()


def _stuck(run: Run, step: StepRecord) -> Notice:
    """People decide, and are told how."""
    lines = (
        step.text,
        f"!release retry {step.id} --run {run.id} tries it again, !release abort REASON --run {run.id} ends it.",
    )
    return Notice(f"{run.title} stands still at “{step.title}”", Level.WARNING, lines)


def _building(call: Call, run: Run, step: StepRecord) -> Notice:
    """With everything that the last look saw; of one that looked at nothing yet there is only its text."""
    state = Following.read(step.value)
    kept = call.world.journal.recall(topic(run.id, step.round))
    seen = kept_seen(kept)
    if seen is None:
        return Notice(f"{run.title}: {Phase.STARTING}", lines=_text(step))
    rows = call.world.journal.recall(HISTORY)
    series = series_of(state.kernel) or call.settings(PipecleanerSettings).series
    beside = baseline_row(rows, series, state.kernel)
    total = max(state.total, len(seen.kernels.newest))
    stopping = str(run.id) in call.world.journal.recall(STOPS)
    since = f"Begun {moment(seen.trigger.started, call.world.clock.now())}: {seen.trigger.url}"
    return Notice(
        f"{run.title}: {Phase.STOPPING if stopping else _phase(seen, state)}",
        lines=(
            *(*_text(step), *lines(kept), *_mails(kept), *_again(seen, state)),
            *(*_failures(seen), *_beside(beside), since),
        ),
        progress=Progress(len(seen.ended), total, "kernels") if total else None,
        picture=picture(state.kernels_curve, state.tests_curve, beside, run.title),
    )


def _mails(kept: Mapping[str, object]) -> tuple[str, ...]:
    """The report mails as they were seen last; nothing before the builds have ended."""
    found = kept.get(MAILS)
    return (f"Report mails: {'; '.join(map(str, found))}",) if isinstance(found, list) and found else ()


def _phase(seen: Seen, state: Following) -> Phase:
    open_ones = {**seen.running, **dict.fromkeys(seen.waiting)}
    if state.again and open_ones and _only_again(seen, state):
        return Phase.RETRY
    return Phase.LABS if seen.built else Phase.BUILDS


def _only_again(seen: Seen, state: Following) -> bool:
    """Whether nothing but kernels that were started once more is still being built."""
    items = frozenset(state.again.values())
    return not seen.trigger.building and all(one.queue_id in items for one in seen.running.values())


def _again(seen: Seen, state: Following) -> tuple[str, ...]:
    if not state.again:
        return ()
    items = frozenset(state.again.values())
    ended = sum(one.queue_id in items and not one.open for one in seen.kernels.builds.values())
    return (f"Built once more by me: {worded(len(state.again), 'kernel')}, {ended} of them ended",)


def _failures(seen: Seen) -> tuple[str, ...]:
    """Each with the log of its build."""
    named = [f"failed: {key}: {seen.kernels.link(one)}console" for key, one in sorted(seen.failed.items())]
    more = [f"and {len(named) - FAILURES} more failed"] if len(named) > FAILURES else []
    return (*named[:FAILURES], *more)


def _beside(row: Past | None) -> tuple[str, ...]:
    if row is None:
        return ("Nothing was accepted yet that it could be compared with.",)
    took = f" in {span(row.took)}" if row.took else ""
    return (f"Baseline: {row.kernel}, {worded(row.kernels, 'kernel')}, {row.failed} failed{took}",)


def _awaited(call: Call, run: Run, step: StepRecord) -> Notice:
    ask = call.world.journal.ask(run.id, ACCEPT)
    since = (f"Asked {moment(ask.opened_at, call.world.clock.now())}.",) if ask else ()
    verdict = (f"Proposed: {said}",) if (said := _verdict(call, run)) else ()
    row = next((one for one in past(call.world.journal.recall(HISTORY)) if one.run == run.id), None)
    return Notice(
        f"{run.title}: {Phase.ACCEPTANCE}",
        lines=(
            *verdict,
            *_text(step),
            *since,
            f"!pipecleaner show {run.id} has the table and all reasons; !pipecleaner retry failed builds again.",
        ),
        picture=picture_of(call, row, row.baseline) if row else None,
    )


def _verdict(call: Call, run: Run) -> str:
    """The verdict of that run; empty if there is none that this version can read."""
    value = run.step(compare_results.id).value if any(one.id == compare_results.id for one in run.steps) else None
    try:
        return summary(call.world.journal.codec.load(Compared, value)) if value else ""
    except KcibotError:
        return ""


# ---- the last one ----------------------------------------------------------------------------------------------


def _last(call: Call) -> Notice:
    """How the newest ended, also one that never came to its end."""
    newest = next((run for run in call.world.journal.runs(OLDEST) if _begun(run)), None)
    rows = past(call.world.journal.recall(HISTORY))
    if newest and not any(row.run == newest.id for row in rows[:1]):
        return _without_verdict(call, newest, rows)
    if not rows:
        return Notice("There has been no pipe cleaner yet: !pipecleaner CONFIG runs one.")
    return _ended(call, rows[0])


def _begun(run: Run) -> bool:
    return any(step.id == run_pipe_cleaner.id and step.started_at for step in run.steps)


def _without_verdict(call: Call, run: Run, rows: tuple[Past, ...]) -> Notice:
    step = run.step(run_pipe_cleaner.id)
    ended = f"aborted {run.aborted}" if run.state is RunState.ABORTED else run.state.value
    when = moment(run.ended_at or run.created_at, call.world.clock.now())
    before = [f"The last that was judged: {row.kernel}, {row.said} (!pipecleaner show {row.run})" for row in rows[:1]]
    lines = (*_text(step), when, *before)
    return Notice(f"The last pipe cleaner, {run.title}, has no verdict: {ended}", Level.WARNING, lines)


def _ended(call: Call, row: Past) -> Notice:
    now, run = call.world.clock.now(), call.world.journal.run(row.run)
    accepted = f"Accepted by {accepted_by(row)}" if row.accepted else ""
    lines = (
        f"Verdict: {_verdict(call, run) or row.said}",
        f"{worded(row.kernels, 'kernel')}, {row.failed} failed; {row.passed_cases} of {row.cases} test cases passed",
        accepted or _not_accepted(run),
        f"Judged {moment(row.at, now)}, {span(row.took)} after its start, in {run.title} (run {row.run})",
        row.url,
        f"!pipecleaner show {row.run} has the table and all reasons.",
    )
    title = f"The last pipe cleaner, {row.kernel}: {row.said}"
    return Notice(title, lines=tuple(line for line in lines if line), picture=picture_of(call, row, row.baseline))


def _not_accepted(run: Run) -> str:
    """Who did not, or that nobody was asked."""
    gate = next((step for step in run.steps if step.id == ACCEPT), None)
    if gate is None:
        return "Nobody was asked to accept it."
    return f"Not accepted: {gate.text or gate.state.value}"
