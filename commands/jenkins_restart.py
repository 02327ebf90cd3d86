"""Restarting Jenkins: only when nothing runs, seen to be back by its session, and looked over afterwards."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from kcibot.sdk import (
    Call,
    Change,
    CiServer,
    Context,
    Done,
    Forget,
    Gate,
    Happened,
    KcibotError,
    Level,
    Needed,
    NotFound,
    NotHappened,
    Notice,
    Outcome,
    PermanentError,
    Preview,
    Procedure,
    Proof,
    Reason,
    Remember,
    Step,
    TransientError,
    Wait,
    Watch,
    Watcher,
    command,
    listed,
    span,
)
from kcibot_commands.drain import drain
from kcibot_commands.locks import open_production, still_locked, take_production_lock
from kcibot_commands.monitor.flags import MonitorSettings, cron_problem
from kcibot_commands.rules import drain_holders as holders_of
from kcibot_commands.rules.drain_holders import HolderKind
from kcibot_commands.rules.job_definitions import timer_specs
from kcibot_commands.rules.problem import RuleError
from kcibot_commands.starts import NotYet

LOOK_AGAIN = timedelta(seconds=5)
ATTEMPTS = "restart-attempts"
QUIETING = "quieting"
"""Topic: number of the run that keeps Jenkins from starting builds -> when it looked at that last."""
LEFT_ALONE = timedelta(minutes=3)
"""A run that works on its restart looks much more often: one that has not for so long stands still, or is over."""
LOOKS_TO_REMIND = 30


@dataclass(frozen=True)
class RestartSettings:
    """How a restart of Jenkins is made.

    After `wait_for_builds` of quieting down, what still runs keeps it from being restarted, and the quieting is called
    off. A Jenkins that is not back after `back_within` is reported. `in_release` makes it a part of every release,
    after the drain.
    """

    section: ClassVar[str] = "jenkins_restart"
    wait_for_builds: timedelta = timedelta(hours=1)
    back_within: timedelta = timedelta(minutes=15)
    in_release: bool = False


@dataclass(frozen=True)
class Restarted:
    """The session before and after, and what is not as it was."""

    before: str
    after: str
    problems: tuple[str, ...] = ()


def restart_needed(context: Context) -> Needed:
    """Whoever says `!jenkins restart` wants one; a release makes one only if that is configured."""
    if context.run.procedure == RESTART.name or context.settings(RestartSettings).in_release:
        return Needed(needed=True)
    return Needed(needed=False, why="a release does not restart Jenkins, as configured")


def preview(context: Context) -> Preview:
    """What runs and waits is for people only: it may change while they think."""
    lines = ("let nothing new start, wait for what runs, restart, and look at the flags and the monitor's timer",)
    return Preview({"server": "Jenkins", "action": "safe restart"}, (*lines, _now(context)))


def _now(context: Context) -> str:
    try:
        found = holders_of.seen(context.ports.ci.look()).holders
    except KcibotError as error:
        return f"what runs on it now is not known: {error}"
    return f"now: {holders_of.one_line(found, context.clock.cautious_now())}"


def restart(context: Context) -> Done[Restarted] | Wait:
    """Quiet down, wait for what runs, restart, see a new session, and look at what a restart loses."""
    before = context.keep("before", lambda: _state(context))
    session = str(before["session"])
    _begin_quieting(context)
    try:
        context.keep("idle", lambda: _idle(context))
        asked = _asked_at(context)
        context.effect(
            "safe restart", _asked(lambda: _restart(context)), lambda: _seen(_restarted(context, session, asked))
        )
        after = context.keep("after", lambda: _until_back(context, session, asked))
    except NotYet as error:
        return error.wait
    context.forget(QUIETING, str(context.run.id))
    problems = _problems(context, before, after)
    if problems:
        context.say("lost", Notice("Jenkins is back, but not as it was", Level.ALERT, problems))
    return Done("; ".join(["restarted", *problems]), Restarted(session, str(after["session"]), problems))


def _restart(context: Context) -> None:
    still_locked(context)
    context.ports.ci.restart()


def _state(context: Context) -> dict[str, object]:
    """What has to be the same afterwards: one request for the flags, and one for the timers of each job."""
    ci = context.ports.ci
    jobs = ci.jobs()
    disabled = sorted(name for name, job in jobs.items() if job.disabled)
    return {"session": ci.session(), "disabled": disabled, "timers": {job: _timers(ci, job) for job in sorted(jobs)}}


def _timers(ci: CiServer, job: str) -> list[str] | None:
    """The cron lines of its definition; None if that cannot be read."""
    try:
        return list(timer_specs(ci.definition(job)))
    except (RuleError, NotFound):
        return None


def _asked_at(context: Context) -> datetime:
    """When this try came to the restart: kept before it is asked, so that an answer that is lost has its end too."""
    began = context.run.step(restart_jenkins.id).started_at
    key = f"asked in the try of {began.isoformat()}" if began else "asked"
    return datetime.fromisoformat(context.keep(key, lambda: context.clock.cautious_now().isoformat()))


def _begin_quieting(context: Context) -> None:
    """Once for each time that people try: after a time-out it was called off. Each look is noted, see `QUIETED`."""
    ci = context.ports.ci
    noted = {"at": context.clock.now().isoformat(), "title": context.run.title}
    context.remember(QUIETING, str(context.run.id), noted)
    key = f"quiet down {_attempt(context)}"
    context.keep(f"{key} began", lambda: context.clock.cautious_now().isoformat())
    context.effect(key, _asked(ci.quiet_down), lambda: _seen(ci.quieting_down()))


def _idle(context: Context) -> str:
    """Raises NotYet while something runs, or may; calls the quieting off when that takes too long."""
    ci, now = context.ports.ci, context.clock.cautious_now()
    attempt = _attempt(context)
    began = datetime.fromisoformat(context.keep(f"quiet down {attempt} began", now.isoformat))
    text = _still_runs(context, now)
    if not text:
        return now.isoformat()
    patience = context.settings(RestartSettings).wait_for_builds
    if now - began < patience:
        raise NotYet(Wait(now + LOOK_AGAIN, f"nothing new starts on Jenkins; {text}"))
    context.effect(f"call off {attempt}", _asked(ci.cancel_quiet_down), lambda: _seen(not ci.quieting_down()))
    context.forget(QUIETING, str(context.run.id))
    context.remember(ATTEMPTS, str(context.run.id), attempt + 1)
    raise PermanentError(
        f"Jenkins was not restarted, since after {span(patience)} there is {text}; it goes on as before"
    )


def _still_runs(context: Context, now: datetime) -> str:
    """What keeps Jenkins from being restarted; empty if nothing does. What cannot be seen may run."""
    try:
        look = context.ports.ci.look()
    except TransientError as error:
        return f"a Jenkins that cannot be seen, so what runs is not known: {error}"
    running = tuple(h for h in holders_of.seen(look).holders if h.kind is not HolderKind.QUEUED)
    return holders_of.one_line(running, now) if running else ""


def _until_back(context: Context, session: str, asked: datetime) -> dict[str, object]:
    """What is there after the restart; raises NotYet until then. Any trouble meanwhile is part of restarting."""
    try:
        if context.ports.ci.session() != session:
            return _state(context)
        why = "It still answers as before."
    except TransientError as error:
        why = str(error)
    raise _not_back(context, asked, why)


def _not_back(context: Context, asked: datetime, why: str) -> NotYet | PermanentError:
    """What to raise of a Jenkins that is not back: patience, until it has lasted too long."""
    now, patience = context.clock.cautious_now(), context.settings(RestartSettings).back_within
    if now - asked >= patience:
        return PermanentError(f"Jenkins is not back {span(patience)} after it was asked to restart. {why}")
    return NotYet(Wait(now + LOOK_AGAIN, f"Jenkins restarts. {why}"))


def _problems(context: Context, before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...]:
    """Flags that changed, and timers that got lost."""
    was, now = _names(before["disabled"]), _names(after["disabled"])
    problems = [f"{job} was disabled and is enabled now" for job in sorted(was - now)]
    problems += [f"{job} was enabled and is disabled now" for job in sorted(now - was)]
    monitor = context.settings(MonitorSettings).job
    cron = cron_problem(context.ports.ci.definition(monitor), context)
    return (*problems, *([cron] if cron else []), *_lost_timers(before.get("timers"), after["timers"], monitor))


def _lost_timers(before: object, after: object, monitor: str) -> Iterator[str]:
    """What other jobs than the monitor no longer start by; a definition that cannot be read may have lost its own."""
    was, now = (value if isinstance(value, dict) else {} for value in (before, after))
    for job, specs in was.items():
        left = now.get(job)
        if job == monitor or not specs:
            continue
        if left is None:
            yield f"{job} had the timer {listed(specs)}, and its definition cannot be read now"
        elif lost := [spec for spec in specs if spec not in left]:
            yield f"{job} has lost the timer {listed(lost)}: !jobs diff shows whether Git has it"


def _names(value: object) -> frozenset[str]:
    return frozenset(map(str, value)) if isinstance(value, list) else frozenset()


def _restarted(context: Context, session: str, asked: datetime) -> bool:
    """Raises NotYet while it is away, for a while: that is what a restart looks like."""
    try:
        return context.ports.ci.session() != session
    except TransientError as error:
        raise _not_back(context, asked, str(error)) from error


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


def call_off(context: Context) -> Done[None]:
    """Let Jenkins start builds again."""
    ci = context.ports.ci
    context.effect("call off", _asked(ci.cancel_quiet_down), lambda: _seen(not ci.quieting_down()))
    for run_id in context.recall(QUIETING):
        context.forget(QUIETING, run_id)
    return Done("Jenkins starts builds again", None)


def left_quieting(context: Context) -> Needed:
    """The restart was skipped when nothing new was let start already."""
    left = str(context.run.id) in context.recall(QUIETING)
    return Needed(left, "" if left else "nothing keeps Jenkins from it")


restart_jenkins = Step(
    "restart-jenkins", "Jenkins restarted", restart, Restarted, needed=restart_needed, preview=preview, after=(drain,)
)
end_quieting = Step(
    "end-quieting", "Jenkins starts builds", call_off, type(None), needed=left_quieting, after=(restart_jenkins,)
)
RESTART = Procedure(
    "jenkins restart",
    Gate("restart", "Restart Jenkins"),
    take_production_lock,
    restart_jenkins,
    end_quieting,
    open_production,
    title="Restart of Jenkins",
)
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
        elif run.current and run.current.id == restart_jenkins.id:
            ended = call.engine.skip(run, restart_jenkins.id, call.person, reason)
        else:
            continue
        outcome = Outcome(None, (*ended.changes, *outcome.changes), (*ended.wake, *outcome.wake))
    return outcome


# ---- nobody is left with a Jenkins that starts nothing ---------------------------------------------------------


def watch_quieting(watcher: Watcher) -> tuple[Change, ...]:
    """Say so if Jenkins starts no builds for a run that is over or stands still."""
    left = {run: value for run, value in watcher.recall(QUIETING).items() if _left_alone(watcher, value)}
    if not left:
        return ()
    if not watcher.ports.ci.quieting_down():
        return tuple(Forget(QUIETING, run) for run in left)
    return tuple(change for run, value in left.items() for change in _say_left(watcher, run, value))


def _left_alone(watcher: Watcher, value: object) -> bool:
    return isinstance(value, dict) and watcher.now - datetime.fromisoformat(str(value["at"])) >= LEFT_ALONE


def _say_left(watcher: Watcher, run: str, value: object) -> tuple[Change, ...]:
    """At the second look in a row, since a bot that was started just now has not gone on yet; then now and then."""
    known = value if isinstance(value, dict) else {}
    looks = int(known.get("looks", 0))
    kept = Remember(QUIETING, run, {**known, "looks": looks + 1})
    if looks % LOOKS_TO_REMIND != 1:
        return (kept,)
    since = watcher.now - datetime.fromisoformat(str(known["at"]))
    lines = (
        f"{known.get('title')} (run {run}) let nothing new start and does not go on since {span(since)}.",
        "!jenkins cancel REASON ends that; what waits in the queue starts then.",
    )
    notice = Notice("Jenkins starts no builds", Level.ALERT, lines)
    return (kept, *watcher.say(f"quieting:{run}:{known['at']}:{looks}", notice))


QUIETED = Watch("quiet Jenkins", timedelta(minutes=2), watch_quieting)
