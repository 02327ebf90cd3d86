"""The verbs around the drain: start and end the waiting, leave jobs out of it, and see what holds it."""

from datetime import timedelta

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Notice,
    Outcome,
    Procedure,
    Reason,
    Remember,
    Retry,
    Run,
    RunState,
    Step,
    StepState,
    UserError,
    Words,
    command,
    span,
)
from kcibot_commands.drain import DRAIN, IGNORED, DrainArgs, DrainSettings, drain, first_look
from kcibot_commands.monitor_flags import MonitorSettings
from kcibot_commands.notify import Event, subscribe_once
from kcibot_commands.rules import burn_down
from kcibot_commands.rules import drain_holders as holders_of
from kcibot_commands.rules.drain_watching import load

CONFIGURED = timedelta()
NO_REASON = Reason("no longer needed")
ENDED = frozenset({StepState.DONE, StepState.NOT_NEEDED, StepState.SKIPPED})
OLDEST = 500
SHOWN = 15


@command("drain wait", role="operator", example="!drain wait --timeout 3h")
def drain_wait(call: Call, *, timeout: timedelta = CONFIGURED, ignore: Words = ()) -> Outcome:
    """Wait until Jenkins is proven idle, and tell everybody."""
    run = _draining(call)
    if run is None:
        return call.start(DRAIN, args=DrainArgs(timeout, ignore))
    if timeout or ignore:
        raise UserError(f"{run.title} is waiting already. !drain ignore JOB REASON leaves a job out of it")
    told = Notice(f"{run.title} is waiting already, {run.step(drain.id).text or 'begun just now'}. I tell you, too.")
    return Outcome(told, subscribe_once(call, Event.DRAIN, run.id))


@command("drain cancel", role="operator", example="!drain cancel we go on tomorrow")
def drain_cancel(call: Call, reason: Reason = NO_REASON) -> Outcome:
    """End the waiting. The monitor stays as it is."""
    run = _draining_or_error(call)
    if run.procedure != DRAIN.name:
        raise UserError(f"{run.title} is waiting for it: !release skip {drain.id} REASON goes on without a drain")
    return call.engine.abort(run, call.person, reason)


@command("drain ignore", role="operator", example="!drain ignore lava-bisection it is stuck in a lab")
def drain_ignore(call: Call, job: str, reason: Reason) -> Outcome:
    """Leave a job out of the drain that is being waited for. The override is audited and shown at the end."""
    run = _draining_or_error(call)
    if job == call.settings(MonitorSettings).job:
        raise UserError(f"{job} cannot be left out: while it runs, new builds come")
    value = {"who": call.person.id, "reason": reason, "at": call.world.clock.now().isoformat()}
    told = Notice(f"{job} no longer counts for {run.title}: {reason}")
    changes = (Remember(IGNORED, f"{run.id}/{job}", value),)
    return call.audited(Outcome(told, changes, (run.id,)), "drain ignore", job, reason=reason, run=run.id)


@command("drain history", role="observer")
def drain_history(call: Call) -> Outcome:
    """List the last drains and how long they took."""
    runs = [run for run in call.world.journal.runs(OLDEST) if _was_begun(run)]
    title = "Drains, newest first" if runs else "There has been no drain yet"
    return Outcome(Notice(title, lines=tuple(map(_row, runs[:SHOWN]))))


def _draining(call: Call) -> Run | None:
    """The open run that waits for a drain now, alone or as a part of a release."""
    for run in call.world.journal.open_runs():
        if _has_drain(run) and run.current and run.current.id == drain.id:
            return run
    return None


def _draining_or_error(call: Call) -> Run:
    run = _draining(call)
    if run is None:
        raise UserError("nobody is waiting for a drain. !drain wait begins one")
    return run


def _has_drain(run: Run) -> bool:
    return any(step.id == drain.id for step in run.steps)


def _was_begun(run: Run) -> bool:
    return _has_drain(run) and run.step(drain.id).started_at is not None


def _row(run: Run) -> str:
    step = run.step(drain.id)
    begun = step.started_at or run.created_at
    end = step.ended_at or run.ended_at
    took = f"{span(end - begun)}: " if end else ""
    state = "aborted" if run.state is RunState.ABORTED and step.state not in ENDED else step.state.value
    text = f", {step.text}" if step.text else ""
    return f"{run.id}. {begun:%d %b %H:%M UTC} {run.title}: {took}{state}{text}"


# ---- one look --------------------------------------------------------------------------------------------------


def show(context: Context) -> Done[None]:
    """What one look sees. A quiet one proves nothing, and says so."""
    monitor = context.settings(MonitorSettings).job
    look, quieting = first_look(context.ports.ci), context.ports.ci.quieting_down()
    now = context.clock.now()
    found = holders_of.seen(look.look, context.settings(DrainSettings).ignored)
    state = look.jobs.get(monitor)
    flag = "does not exist" if state is None else "is disabled" if state.disabled else "is enabled"
    lines = [f"Jenkins: {holders_of.counted(found.holders) or 'nothing runs or is queued in this one look'}"]
    lines += [holders_of.row(holder, now) for holder in found.holders]
    lines += [f"left out: {holders_of.row(holder, now)}" for holder in found.left_out]
    lines += [f"{monitor} {flag}."]
    lines += ["Jenkins is being shut down: what is queued does not start."] if quieting else []
    lines += [] if found.holders else ["That is no proof of a drain: !drain wait makes one."]
    return Done("\n".join(lines), None)


STATUS = Procedure(
    "drain status", Step("drain-status", "What Jenkins does", show, type(None), retry=Retry(1)), card=False
)


@command("drain status", role="observer")
def drain_status(call: Call) -> Outcome:
    """Say what runs and waits on Jenkins now."""
    run = _draining(call)
    outcome = call.start(STATUS)
    if run is None:
        return outcome
    begun = run.step(drain.id).started_at
    since = f" for {span(call.world.clock.now() - begun)}" if begun else ""
    state = load(run.step(drain.id).value)
    curve = burn_down.drawn(state.curve) if state else ""
    lines = (run.step(drain.id).text or "begun just now", *([f"Burn-down: {curve}"] if curve else []))
    told = Notice(f"{run.title} has been waiting{since}.", lines=lines)
    return Outcome(told, outcome.changes, outcome.wake)
