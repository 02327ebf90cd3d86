"""Steering a run by hand: pause, retry, skip, amend, abort, hold and stop, for a release and for any other run."""

from dataclasses import replace
from datetime import datetime

from kcibot.sdk import (
    Call,
    Change,
    EffectState,
    Forget,
    HoldKind,
    Level,
    Notice,
    Outcome,
    Reason,
    Remember,
    Run,
    RunState,
    StepKind,
    StepState,
    UserError,
    brief,
    card,
    command,
    is_or_are,
    listed,
    span,
)
from kcibot_commands.announce.draft import SENDING, Told
from kcibot_commands.announce.steps import send_announcement
from kcibot_commands.jenkins_restart import QUIETING
from kcibot_commands.locks import LOCK, PRODUCTION, as_line, read_lock
from kcibot_commands.monitor.flags import MONITOR, OPENED, PAUSED, read_opened
from kcibot_commands.monitor.run import CLOSE, CloseArgs
from kcibot_commands.pipecleaner.renewal import AGAIN, no_longer_awaited
from kcibot_commands.plan.ahead import with_later_commits
from kcibot_commands.watch import ABORTED

RETRIED = "retried"
"""`run/step` -> who retried it last and how often, and why it had to be: for the report of the release."""
NONE = 0
"""No run number was given: the release is meant, or the only run there is."""
MOST = 50
BROKEN = frozenset({StepState.FAILED, StepState.UNKNOWN})


@command("release status", role="observer", example="!release status")
def release_status(call: Call, *, run: int = NONE) -> Outcome:
    """Show where the release stands, or the run with that number, also one that has ended."""
    chosen = call.world.journal.run(run) if run else _run(call, NONE)
    return with_later_commits(call, chosen, Outcome(card(chosen, call.world.clock.now())))


@command("release pause", role="operator", example="!release pause the lab is down", only_holds=True)
def release_pause(call: Call, reason: Reason, *, run: int = NONE) -> Outcome:
    """Let the run stand still at its next safe point."""
    return call.engine.hold(_run(call, run), HoldKind.PAUSE, call.person, reason)


@command("release continue", role="operator")
def release_continue(call: Call, *, run: int = NONE) -> Outcome:
    """Go on after a pause or a stop."""
    return call.engine.release(_run(call, run), frozenset({HoldKind.PAUSE, HoldKind.STOP}), call.person)


@command("release retry", role="operator", example="!release retry push-core")
def release_retry(call: Call, step: str = "", *, run: int = NONE, not_done: bool = False) -> Outcome:
    """Try a step again; --not-done says that you looked, and what was unknown did not happen."""
    chosen = _run(call, run)
    step = step or _broken_step(chosen)
    outcome = call.engine.retry(chosen, step, call.person, not_done=not_done)
    outcome = replace(outcome, changes=(*outcome.changes, *_retried(call, chosen, step)))
    if not_done and step == send_announcement.id:
        outcome = replace(outcome, changes=(*outcome.changes, Forget(SENDING, str(chosen.id))))
    return outcome if _is_current(chosen, step) else _closed(call, chosen, outcome)


def _retried(call: Call, run: Run, step: str) -> tuple[Change, ...]:
    """Kept where the step had broken: one that went well and is begun anew had no trouble."""
    record = run.step(step)
    if record.kind is not StepKind.STEP or record.state not in BROKEN:
        return ()
    key = f"{run.id}/{step}"
    known = call.world.journal.recall(RETRIED).get(key)
    times = int(known["times"]) if isinstance(known, dict) else 0
    return (Remember(RETRIED, key, {"by": call.person.id, "times": times + 1, "why": record.text}),)


@command("release skip", role="operator", example="!release skip deploy-frontend done by hand")
def release_skip(call: Call, step: str, reason: Reason, *, run: int = NONE) -> Outcome:
    """Go on without a step, or with what was done by hand."""
    chosen = _run(call, run)
    outcome = call.engine.skip(chosen, step, call.person, reason)
    return _closed(call, chosen, outcome) if _is_current(chosen, step) else outcome


@command("release amend", role="operator")
def release_amend(call: Call, *, run: int = NONE) -> Outcome:
    """Freeze what is on the development branches now as the release's next revision."""
    chosen = _run(call, run)
    return _closed(call, chosen, call.engine.amend(chosen, call.person))


@command("release abort", role="operator", example="!release abort a boot regression")
def release_abort(call: Call, reason: Reason, *, run: int = NONE) -> Outcome:
    """End the run where it is, and say what it leaves behind."""
    chosen = _run(call, run)
    opened = _opened_by(call, chosen)
    aborted = call.engine.abort(chosen, call.person, reason)
    awaited = no_longer_awaited(call.world.journal.recall(AGAIN), chosen.id)
    aborted = replace(aborted, changes=(*aborted.changes, *awaited))
    left = _left_behind(call, chosen, opened)
    if not left:
        return aborted
    told = call.world.everywhere(f"run:{chosen.id}:left", Notice(f"{chosen.title} leaves behind", Level.ALERT, left))
    return _with_closing(call, chosen, opened, aborted, *told, Remember(ABORTED, PRODUCTION, chosen.id))


def _is_current(run: Run, step: str) -> bool:
    return run.current is not None and run.current.id == step


def _closed(call: Call, run: Run, outcome: Outcome) -> Outcome:
    """The same; and what the step that is left had enabled for its start is disabled again."""
    opened = _opened_by(call, run)
    if not opened:
        return outcome
    told = call.world.everywhere(f"run:{run.id}:closed:{call.event.event_id}", Notice(_closing(opened), Level.WARNING))
    return _with_closing(call, run, opened, outcome, *told)


def _opened_by(call: Call, run: Run) -> tuple[str, ...]:
    """Jobs that the run has enabled for its start, and would disable after it."""
    jobs = call.world.journal.recall(OPENED).items()
    return tuple(job for job, value in jobs if (one := read_opened(value)) and one.run == run.id)


def _closing(jobs: tuple[str, ...]) -> str:
    return f"{listed(jobs)} {is_or_are(jobs)} enabled for a start that this run made, and will be disabled again now."


def _with_closing(call: Call, run: Run, jobs: tuple[str, ...], outcome: Outcome, *changes: Change) -> Outcome:
    """The same, and a run that disables these jobs again, until nothing of that run's can arrive any more."""
    flying = call.world.journal.effects_in(EffectState.IN_FLIGHT, run.id)
    by: datetime = max((effect.until for effect in flying), default=call.world.clock.now())
    closing = [call.start(CLOSE, f"{job} disabled again", CloseArgs(job, run.id, by)) for job in jobs]
    return Outcome(
        outcome.notice,
        (*outcome.changes, *changes, *(change for one in closing for change in one.changes)),
        (*outcome.wake, *(number for one in closing for number in one.wake)),
    )


def _left_behind(call: Call, run: Run, opened: tuple[str, ...]) -> tuple[str, ...]:
    """What stays as the run made it: nobody but people can tell whether production is in order."""
    recall = call.world.journal.recall
    lines = [_closing(opened)] if opened else []
    lock, pause = recall(LOCK).get(PRODUCTION), recall(PAUSED).get(MONITOR)
    if isinstance(lock, dict) and lock.get("run") == run.id:
        lines.append(f"Production stays locked: {_way_back(run)}!unlock opens it as it is.")
    if isinstance(pause, dict) and pause.get("run") == run.id:
        lines.append("The monitor stays paused: !monitor resume enables it again.")
    told = Told.of(recall, run.id)
    if told and not told.called_off:
        lines.append(f"The list was told of {told.release}: !announce cancel REASON tells it that it is called off.")
    if str(run.id) in recall(QUIETING):
        lines.append("Jenkins starts no builds: !jenkins cancel REASON ends that.")
    return tuple(lines)


def _way_back(run: Run) -> str:
    """What takes back what that run did, as the beginning of a sentence; empty where nothing does."""
    match run.procedure:
        case "release":
            return "!release rollback undoes what was done, "
        case "rollback":
            of = run.args.get("run") if isinstance(run.args, dict) else run.id
            return f"!release rollback goes on with it (or !release rollback --run {of}), "
        case "deploy":
            return "!deploy COMPONENT REVISION puts another version there, "
        case "images push":
            return f"!images rollback {run.id} undoes what was done, "
        case "jobs apply":
            return f"!release rollback --run {run.id} undoes what was done, "
        case _:
            return ""


@command("release history", role="observer")
def release_history(call: Call, number: int = 10) -> Outcome:
    """List the last runs."""
    runs = call.world.journal.runs(max(1, min(number, MOST)))
    return Outcome(Notice("Runs, newest first" if runs else "There has been no run yet", lines=tuple(map(_row, runs))))


@command("hold", role="observer", example="!hold the mail server is down", only_holds=True)
def hold(call: Call, reason: Reason, *, run: int = NONE) -> Outcome:
    """Stop a release until the hold is lifted."""
    return call.engine.hold(_run(call, run), HoldKind.HOLD, call.person, reason)


@command("unhold", role="operator")
def unhold(call: Call, *, run: int = NONE) -> Outcome:
    """Lift a hold."""
    return call.engine.release(_run(call, run), frozenset({HoldKind.HOLD}), call.person)


@command("stop", role="operator", urgent=True, only_holds=True)
def stop(call: Call) -> Outcome:
    """End all further effects of all runs at once, and say where things are."""
    changes: list[Change] = []
    runs = call.world.journal.open_runs()
    lines: list[str] = []
    for run in runs:
        flying = listed([effect.key for effect in call.world.journal.effects_in(EffectState.IN_FLIGHT, run.id)])
        changes += call.engine.hold(run, HoldKind.STOP, call.person, "!stop").changes
        lines.append(brief(run) + (f"; in flight: {flying}" if flying else ""))
        lines += [_still_enabled(job, run) for job in _opened_by(call, run)]
    title = f"Stopped by {call.person.id}. !release continue goes on." if runs else "Nothing is running."
    changes += (
        call.world.everywhere(f"stop:{call.event.event_id}", Notice(title, Level.ALERT, tuple(lines))) if runs else ()
    )
    return Outcome(None if runs else Notice(title), tuple(changes), tuple(run.id for run in runs))


def _still_enabled(job: str, run: Run) -> str:
    return (
        f"{job} is enabled for the start of this run, and stays so: !release continue --run {run.id} goes on and "
        f"disables it after that, !release abort REASON --run {run.id} disables it now."
    )


@command("status", role="everybody")
def status(call: Call) -> Outcome:
    """Say what runs, what waits for whom, and who holds production."""
    runs, held = call.world.journal.open_runs(), read_lock(call.world.journal.recall(LOCK).get(PRODUCTION))
    lines = [f"{run.id}. {brief(run)}" for run in runs]
    lines += [f"“{ask.title}” waits for an answer: !approve {ask.code}" for ask in call.world.journal.open_asks()]
    lines += [as_line(held, call.world.clock.now())] if held else []
    return Outcome(Notice("Status" if runs else "Nothing is running.", lines=tuple(lines)))


def _run(call: Call, number: int) -> Run:
    """The run with that number; else the open release; else the only open run. Raises UserError listing them."""
    if number:
        run = call.world.journal.run(number)
        if run.ended:
            raise UserError(f"{run.title} has ended: {run.state.value}")
        return run
    runs = call.world.journal.open_runs()
    releases = [run for run in runs if run.procedure == "release"]
    found = releases or list(runs)
    if not found:
        raise UserError("nothing is running. !release history lists what ran")
    if len(found) > 1:
        raise UserError(f"which run? Add --run N: {listed([f'{run.id} ({run.title})' for run in found])}")
    return found[0]


def _broken_step(run: Run) -> str:
    current = run.current
    if current and current.state in {StepState.FAILED, StepState.UNKNOWN, StepState.WAITING}:
        return current.id
    raise UserError(f"no step of {run.title} has failed; name the one to begin anew: !release retry STEP")


def _row(run: Run) -> str:
    took = f", {span(run.ended_at - run.created_at)}" if run.ended_at else ""
    why = f" {run.aborted}" if run.state is RunState.ABORTED else ""
    return f"{run.id}. {run.created_at:%d %b %H:%M UTC} {run.title}, by {run.starter}: {run.state.value}{why}{took}"
