"""The verbs around the drain: start and end the waiting, leave jobs out of it, and see what holds it."""

from datetime import timedelta

from kcibot.sdk import (
    Call,
    Change,
    Context,
    Done,
    Forget,
    HoldKind,
    Level,
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
    listed,
    span,
)
from kcibot_commands.drain import DRAIN, IGNORED, DrainArgs, DrainSettings, drain, first_look
from kcibot_commands.durations import BUILD, MEASURED, described
from kcibot_commands.monitor.flags import MonitorSettings
from kcibot_commands.notify import TOPIC, Event, subscribe_once
from kcibot_commands.rules import burn_down
from kcibot_commands.rules import drain_holders as holders_of
from kcibot_commands.rules.drain_watching import load

CONFIGURED = timedelta()
_JOINED = f"{Event.DRAIN}/"
NO_REASON = Reason("no longer needed")
BROKEN = frozenset({StepState.FAILED, StepState.UNKNOWN})
ENDED = frozenset({StepState.DONE, StepState.NOT_NEEDED, StepState.SKIPPED})
OLDEST = 500
SHOWN = 15
BUILDS = 200
"""So many of the newest builds of a job say how long they take."""


@command("drain wait", role="operator", example="!drain wait --timeout 3h")
def drain_wait(call: Call, *, timeout: timedelta = CONFIGURED, ignore: Words = ()) -> Outcome:
    """Wait until Jenkins is proven idle, and tell everybody."""
    for job in ignore:
        _refuse_monitor(call, job)
    run = _draining(call)
    if run is None:
        return call.start(DRAIN, args=DrainArgs(timeout, ignore))
    if timeout or ignore:
        raise UserError(f"{_how_it_stands(run)} !drain ignore JOB REASON leaves a job out of it")
    joined = subscribe_once(call, Event.DRAIN, run.id)
    if run.procedure == DRAIN.name and not run.holds and run.step(drain.id).state in BROKEN:
        again = call.engine.retry(run, drain.id, call.person)
        title = f"{run.title} had given up and waits as long again now. I tell you, too."
        told = Notice(title, lines=(run.step(drain.id).text,))
        return Outcome(told, (*joined, *again.changes), again.wake)
    return Outcome(Notice(f"{_how_it_stands(run)} I tell you, too.", _level(run)), joined)


def _how_it_stands(run: Run) -> str:
    """Whether it waits, and if it does not, why and what has it go on."""
    step = run.step(drain.id)
    if run.holds:
        holds = listed([f"{hold.kind.value} by {hold.person}: {hold.reason}" for hold in run.holds])
        hold = any(hold.kind is HoldKind.HOLD for hold in run.holds)
        goes_on = f"!{'unhold' if hold else 'release continue'} --run {run.id}"
        return f"{run.title} stands still ({holds}), so nobody looks at Jenkins. {goes_on} has it go on."
    if step.state in BROKEN:
        known = "!release retry" in step.text
        again = "" if known else f" !release retry {drain.id} --run {run.id} begins the waiting anew."
        return f"{run.title} does not wait any more: {step.text.removesuffix('.')}.{again}"
    return f"{run.title} is waiting already, {step.text or 'begun just now'}."


def _level(run: Run) -> Level:
    return Level.WARNING if run.holds or run.step(drain.id).state in BROKEN else Level.INFO


def _refuse_monitor(call: Call, job: str) -> None:
    if job == call.settings(MonitorSettings).job:
        raise UserError(f"{job} cannot be left out: while it runs, new builds come")


@command("drain cancel", role="operator", example="!drain cancel we go on tomorrow")
def drain_cancel(call: Call, reason: Reason = NO_REASON) -> Outcome:
    """End the waiting. The monitor stays as it is."""
    run = _draining_or_error(call)
    if run.procedure != DRAIN.name:
        raise UserError(f"{run.title} is waiting for it: !release skip {drain.id} REASON goes on without a drain")
    aborted = call.engine.abort(run, call.person, reason)
    return Outcome(aborted.notice, (*aborted.changes, *_told_of_cancel(call, run, reason)), aborted.wake)


def _told_of_cancel(call: Call, run: Run, reason: str) -> tuple[Change, ...]:
    """Those who joined are told of this one no more; who wants to hear of every drain stays."""
    waiting = {key: value for key, value in call.world.journal.recall(TOPIC).items() if key.startswith(_JOINED)}
    once = [key for key, value in waiting.items() if isinstance(value, dict) and value.get("run") == run.id]
    always = [key for key, value in waiting.items() if isinstance(value, dict) and not value.get("run")]
    people = dict.fromkeys((run.starter, *sorted(key.removeprefix(_JOINED) for key in (*once, *always))))
    others = tuple(person for person in people if person != call.person.id)
    notice = Notice(f"Nobody waits for a drain any more: {reason}", Level.ALERT, mentions=others)
    told = call.world.everywhere(f"run:{run.id}:cancelled", notice) if others else ()
    return (*told, *(Forget(TOPIC, key) for key in once))


@command("drain ignore", role="operator", example="!drain ignore lava-bisection it is stuck in a lab")
def drain_ignore(call: Call, job: str, reason: Reason) -> Outcome:
    """Leave a job out of the drain that is being waited for. The override is audited and shown at the end."""
    run = _draining_or_error(call)
    _refuse_monitor(call, job)
    value = {"who": call.person.id, "reason": reason, "at": call.world.clock.now().isoformat()}
    told = Notice(f"From the next look on, {job} does not count for {run.title}: {reason}")
    changes = (Remember(IGNORED, f"{run.id}/{job}", value),)
    return call.audited(Outcome(told, changes, (run.id,)), "drain ignore", job, reason=reason, run=run.id)


@command("drain history", role="observer")
def drain_history(call: Call) -> Outcome:
    """List the last drains and how long they took."""
    runs = [run for run in call.world.journal.runs(OLDEST) if _was_begun(run)]
    title = "Drains, newest first" if runs else "There has been no drain yet"
    return Outcome(Notice(title, lines=(*map(_row, runs[:SHOWN]), *_builds(call))))


def _builds(call: Call) -> list[str]:
    journal = call.world.journal
    seen = {job: journal.history(BUILD, job, BUILDS) for job in sorted(journal.recall(MEASURED))}
    lines = [described(job, builds) for job, builds in seen.items() if builds]
    return ["Builds that drains saw end:", *lines] if lines else []


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
    text = _how_it_stands(run) if _level(run) is Level.WARNING else run.step(drain.id).text
    picture = burn_down.drawn(state.curve) if state else None
    told = Notice(f"{run.title} has been waiting{since}.", lines=(text or "begun just now",), picture=picture)
    return Outcome(told, outcome.changes, outcome.wake)
