"""Restarting Jenkins: only when nothing runs, seen to be back by its session, and looked over afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Gate,
    Happened,
    Level,
    NotHappened,
    Notice,
    Outcome,
    PermanentError,
    Preview,
    Procedure,
    Proof,
    Reason,
    Step,
    TransientError,
    Wait,
    command,
    span,
)
from kcibot_commands.monitor_flags import MonitorSettings, cron_problem
from kcibot_commands.production import open_production, take_production_lock
from kcibot_commands.rules import drain_holders as holders_of
from kcibot_commands.rules.drain_holders import HolderKind
from kcibot_commands.starts import NotYet

LOOK_AGAIN = timedelta(seconds=5)
ATTEMPTS = "restart-attempts"


@dataclass(frozen=True)
class RestartSettings:
    """How a restart of Jenkins is made.

    After `wait_for_builds` of quieting down, what still runs keeps it from being restarted, and the quieting is called
    off. A Jenkins that is not back after `back_within` is reported.
    """

    section: ClassVar[str] = "jenkins_restart"
    wait_for_builds: timedelta = timedelta(hours=1)
    back_within: timedelta = timedelta(minutes=15)


@dataclass(frozen=True)
class Restarted:
    """The session before and after, and what is not as it was."""

    before: str
    after: str
    problems: tuple[str, ...] = ()


def preview(_context: Context) -> Preview:
    lines = ("let nothing new start, wait for what runs, restart, and look at the flags and the monitor's timer",)
    return Preview({"server": "Jenkins", "action": "safe restart"}, lines)


def restart(context: Context) -> Done[Restarted] | Wait:
    """Quiet down, wait for what runs, restart, see a new session, and look at what a restart loses."""
    ci = context.ports.ci
    before = context.keep("before", lambda: _state(context))
    session = str(before["session"])
    _begin_quieting(context)
    try:
        context.keep("idle", lambda: _idle(context))
        context.effect("safe restart", _asked(ci.restart), lambda: _seen(_restarted(context, session)))
        asked = datetime.fromisoformat(context.keep("asked", lambda: context.clock.cautious_now().isoformat()))
        after = context.keep("after", lambda: _until_back(context, session, asked))
    except NotYet as error:
        return error.wait
    problems = _problems(context, before, after)
    if problems:
        context.say("lost", Notice("Jenkins is back, but not as it was", Level.ALERT, problems))
    return Done("; ".join(["restarted", *problems]), Restarted(session, str(after["session"]), problems))


def _state(context: Context) -> dict[str, object]:
    """What has to be the same afterwards. Looked at together, or not at all."""
    ci = context.ports.ci
    disabled = sorted(name for name, job in ci.jobs().items() if job.disabled)
    return {"session": ci.session(), "disabled": disabled}


def _begin_quieting(context: Context) -> None:
    """Once for each time that people try: after a time-out it was called off."""
    ci = context.ports.ci
    key = f"quiet down {_attempt(context)}"
    context.keep(f"{key} began", lambda: context.clock.cautious_now().isoformat())
    context.effect(key, _asked(ci.quiet_down), lambda: _seen(ci.quieting_down()))


def _idle(context: Context) -> str:
    """Raises NotYet while something runs; calls the quieting off when that takes too long."""
    ci, now = context.ports.ci, context.clock.cautious_now()
    attempt = _attempt(context)
    began = datetime.fromisoformat(context.keep(f"quiet down {attempt} began", now.isoformat))
    running = tuple(h for h in holders_of.seen(ci.look()).holders if h.kind is not HolderKind.QUEUED)
    if not running:
        return now.isoformat()
    text = holders_of.one_line(running, now)
    patience = context.settings(RestartSettings).wait_for_builds
    if now - began < patience:
        raise NotYet(Wait(now + LOOK_AGAIN, f"nothing new starts on Jenkins; {text}"))
    context.effect(f"call off {attempt}", _asked(ci.cancel_quiet_down), lambda: _seen(not ci.quieting_down()))
    context.remember(ATTEMPTS, str(context.run.id), attempt + 1)
    raise PermanentError(
        f"Jenkins was not restarted, since after {span(patience)} there is {text}; it goes on as before"
    )


def _until_back(context: Context, session: str, asked: datetime) -> dict[str, object]:
    """What is there after the restart; raises NotYet until then. Any trouble meanwhile is part of restarting."""
    now, patience = context.clock.cautious_now(), context.settings(RestartSettings).back_within
    try:
        state = _state(context)
    except TransientError as error:
        state, why = {"session": session}, str(error)
    else:
        why = "It still answers as before."
    if state["session"] != session:
        return state
    if now - asked >= patience:
        raise PermanentError(f"Jenkins is not back {span(patience)} after it was asked to restart. {why}")
    raise NotYet(Wait(now + LOOK_AGAIN, f"Jenkins restarts. {why}"))


def _problems(context: Context, before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...]:
    """Flags that changed, and a timer that got lost."""
    was, now = _names(before["disabled"]), _names(after["disabled"])
    problems = [f"{job} was disabled and is enabled now" for job in sorted(was - now)]
    problems += [f"{job} was enabled and is disabled now" for job in sorted(now - was)]
    cron = cron_problem(context.ports.ci.definition(context.settings(MonitorSettings).job), context)
    return (*problems, *([cron] if cron else []))


def _names(value: object) -> frozenset[str]:
    return frozenset(map(str, value)) if isinstance(value, list) else frozenset()


def _restarted(context: Context, session: str) -> bool:
    """Raises NotYet while it is away: that is what a restart looks like."""
    try:
        return context.ports.ci.session() != session
    except TransientError as error:
        raise NotYet(Wait(context.clock.now() + LOOK_AGAIN, f"Jenkins restarts, or is away. {error}")) from error


def _asked(act: Callable[[], None]) -> Callable[[], str]:
    """The same action, with a value for the journal."""

    def acting() -> str:
        act()
        return "asked"

    return acting


def _seen(happened: bool) -> Proof[str]:  # noqa: FBT001 (private)
    return Happened("seen") if happened else NotHappened()


def _attempt(context: Context) -> int:
    kept = context.recall(ATTEMPTS).get(str(context.run.id))
    return kept if isinstance(kept, int) else 1


restart_jenkins = Step("restart-jenkins", "Jenkins restarted", restart, Restarted, preview=preview)
RESTART = Procedure(
    "jenkins restart",
    Gate("restart", "Restart Jenkins"),
    take_production_lock,
    restart_jenkins,
    open_production,
    title="Restart of Jenkins",
)


def call_off(context: Context) -> Done[None]:
    ci = context.ports.ci
    context.effect("call off", _asked(ci.cancel_quiet_down), lambda: _seen(not ci.quieting_down()))
    return Done("Jenkins starts builds again", None)


CANCEL = Procedure("jenkins cancel", Step("call-off", "Restart called off", call_off, type(None)), card=False)


@command("jenkins restart", role="operator")
def jenkins_restart(call: Call) -> Outcome:
    """Restart Jenkins after an approval, when nothing runs any more; what is queued is kept."""
    return call.start(RESTART)


@command("jenkins cancel", role="operator", example="!jenkins cancel the builds take too long")
def jenkins_cancel(call: Call, reason: Reason) -> Outcome:
    """Call off a restart that waits for builds to end: Jenkins starts new ones again."""
    outcome = call.start(CANCEL)
    for run in call.world.journal.open_runs():
        if run.procedure == RESTART.name:
            ended = call.engine.abort(run, call.person, reason)
            outcome = Outcome(None, (*ended.changes, *outcome.changes), (*ended.wake, *outcome.wake))
    return outcome
