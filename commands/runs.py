"""Steering a run by hand: pause, retry, skip, amend, abort, hold and stop, for a release and for any other run."""

from kcibot.sdk import (
    Call,
    Change,
    EffectState,
    HoldKind,
    Level,
    Notice,
    Outcome,
    Reason,
    Run,
    RunState,
    StepState,
    UserError,
    brief,
    card,
    command,
    listed,
    span,
)
from kcibot_commands.monitor_flags import MONITOR, PAUSED
from kcibot_commands.production import LOCK, PRODUCTION

NONE = 0
"""No run number was given: the release is meant, or the only run there is."""
MOST = 50


@command("release status", role="observer", example="!release status")
def release_status(call: Call, *, run: int = NONE) -> Outcome:
    """Show where the release stands, or the run with that number, also one that has ended."""
    return Outcome(card(call.world.journal.run(run) if run else _run(call, NONE), call.world.clock.now()))


@command("release pause", role="operator", example="!release pause the lab is down")
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
    return call.engine.retry(chosen, step or _broken_step(chosen), call.person, not_done=not_done)


@command("release skip", role="operator", example="!release skip deploy-frontend done by hand")
def release_skip(call: Call, step: str, reason: Reason, *, run: int = NONE) -> Outcome:
    """Go on without a step, or with what was done by hand."""
    return call.engine.skip(_run(call, run), step, call.person, reason)


@command("release amend", role="operator")
def release_amend(call: Call, *, run: int = NONE) -> Outcome:
    """Freeze what is on the development branches now as the release's next revision."""
    return call.engine.amend(_run(call, run), call.person)


@command("release abort", role="operator", example="!release abort a boot regression")
def release_abort(call: Call, reason: Reason, *, run: int = NONE) -> Outcome:
    """End the run where it is, and say what it leaves behind."""
    chosen = _run(call, run)
    outcome = call.engine.abort(chosen, call.person, reason)
    left = _left_behind(call, chosen)
    if not left:
        return outcome
    told = call.world.everywhere(f"run:{chosen.id}:left", Notice(f"{chosen.title} leaves behind", Level.ALERT, left))
    return Outcome(outcome.notice, (*outcome.changes, *told), outcome.wake)


def _left_behind(call: Call, run: Run) -> tuple[str, ...]:
    """What stays as the run made it: nobody but people can tell whether production is in order."""
    recall = call.world.journal.recall
    lines = []
    lock, pause = recall(LOCK).get(PRODUCTION), recall(PAUSED).get(MONITOR)
    if isinstance(lock, dict) and lock.get("run") == run.id:
        lines.append("Production stays locked: !release rollback undoes what was done, !unlock opens it as it is.")
    if isinstance(pause, dict) and pause.get("run") == run.id:
        lines.append("The monitor stays paused: !monitor resume enables it again.")
    return tuple(lines)


@command("release history", role="observer")
def release_history(call: Call, number: int = 10) -> Outcome:
    """List the last runs."""
    runs = call.world.journal.runs(max(1, min(number, MOST)))
    return Outcome(Notice("Runs, newest first" if runs else "There has been no run yet", lines=tuple(map(_row, runs))))


@command("hold", role="observer", example="!hold the mail server is down")
def hold(call: Call, reason: Reason, *, run: int = NONE) -> Outcome:
    """Stop a release until the hold is lifted."""
    return call.engine.hold(_run(call, run), HoldKind.HOLD, call.person, reason)


@command("unhold", role="operator")
def unhold(call: Call, *, run: int = NONE) -> Outcome:
    """Lift a hold."""
    return call.engine.release(_run(call, run), frozenset({HoldKind.HOLD}), call.person)


@command("stop", role="operator", urgent=True)
def stop(call: Call) -> Outcome:
    """End all further effects of all runs at once, and say where things are."""
    changes: list[Change] = []
    runs = call.world.journal.open_runs()
    lines: list[str] = []
    for run in runs:
        flying = listed([effect.key for effect in call.world.journal.effects_in(EffectState.IN_FLIGHT, run.id)])
        changes += call.engine.hold(run, HoldKind.STOP, call.person, "!stop").changes
        lines.append(brief(run) + (f"; in flight: {flying}" if flying else ""))
    title = f"Stopped by {call.person.id}. !release continue goes on." if runs else "Nothing is running."
    changes += (
        call.world.everywhere(f"stop:{call.event.event_id}", Notice(title, Level.ALERT, tuple(lines))) if runs else ()
    )
    return Outcome(None if runs else Notice(title), tuple(changes), tuple(run.id for run in runs))


@command("status", role="everybody")
def status(call: Call) -> Outcome:
    """Say what runs, what waits for whom, and who holds production."""
    lines = [f"{run.id}. {brief(run)}" for run in call.world.journal.open_runs()]
    lines += [f"“{ask.title}” waits for an answer: !approve {ask.code}" for ask in call.world.journal.open_asks()]
    return Outcome(Notice("Status" if lines else "Nothing is running.", lines=tuple(lines)))


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
