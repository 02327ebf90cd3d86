"""Step 3b: wait until Jenkins is proven to be drained. How that is proven is in `rules/drain_proof`."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

from kcibot.sdk import (
    BuildRef,
    CiServer,
    Context,
    Done,
    KcibotError,
    Level,
    NotFound,
    Notice,
    PermanentError,
    Procedure,
    Step,
    TransientError,
    Wait,
    listed,
    moment,
    nearest,
    span,
)
from kcibot_commands.durations import measure, usual
from kcibot_commands.monitor.flags import MonitorSettings
from kcibot_commands.monitor.run import copy_problem
from kcibot_commands.notify import Event, forget_once, to_mention
from kcibot_commands.rules import burn_down
from kcibot_commands.rules import drain_holders as holders_of
from kcibot_commands.rules.drain_holders import Holder
from kcibot_commands.rules.drain_proof import (
    ConfirmingLook,
    Finding,
    FirstLook,
    Quiet,
    Rule,
    Verdict,
    judge_confirming,
    judge_first,
)
from kcibot_commands.rules.drain_watching import Watching, dump, load

IGNORED = "drain-ignored"
LONGEST = timedelta(days=14)
NEWEST = 50


@dataclass(frozen=True)
class DrainSettings:
    """How Jenkins is watched until it is idle.

    `quiet_for` lies between the two looks that prove it, and must be longer than Jenkins' quiet period. `interval` is
    between two looks, down to `shortest` near the end and up to `longest` while Jenkins does not answer. After
    `warn_after` the rooms are told what holds it, after `timeout` people decide. Jobs in `ignored` do not count.
    """

    section: ClassVar[str] = "drain"
    quiet_for: timedelta = timedelta(seconds=30)
    interval: timedelta = timedelta(seconds=30)
    shortest: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(minutes=5)
    warn_after: timedelta = timedelta(minutes=90)
    timeout: timedelta = timedelta(hours=3)
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class DrainArgs:
    """What `!drain wait` was told. A time-out of nothing means the configured one."""

    timeout: timedelta = timedelta()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drained:
    """Jenkins was idle from `since` on, when its `session` was that; `left_out` ran or waited all the same."""

    since: datetime
    session: str
    jobs: int
    left_out: tuple[str, ...] = ()
    restarts: int = 0


# ---- looking ---------------------------------------------------------------------------------------------------


def first_look(ci: CiServer) -> FirstLook:
    """Three requests, in the order on which the proof rests."""
    jobs = ci.jobs()
    return FirstLook(jobs, ci.look())


def confirming_look(ci: CiServer) -> ConfirmingLook:
    """Six requests, in the order on which the proof rests."""
    before = ci.jobs()
    first = ci.look()
    second = ci.look()
    return ConfirmingLook(before, first, second, ci.jobs())


def _judged(context: Context, rule: Rule, state: Watching) -> tuple[Verdict, frozenset[str]]:
    """The verdict of one look, and which jobs there are."""
    if state.quiet:
        began = context.clock.cautious_now()
        confirming = confirming_look(context.ports.ci)
        return judge_confirming(rule, state.quiet, confirming, began), frozenset(confirming.jobs_after)
    first = first_look(context.ports.ci)
    return judge_first(rule, first, context.clock.cautious_now()), frozenset(first.jobs)


# ---- the step --------------------------------------------------------------------------------------------------


def wait_for_drain(context: Context) -> Done[Drained] | Wait:
    """One look per call; Done only when `rules/drain_proof` says so. Not being able to see is no look at all."""
    settings, rule, state = context.settings(DrainSettings), _rule(context), _watching(context)
    if state.quiet and not state.quiet.due(rule, context.clock.cautious_now()):
        return _to_confirm(context, rule, state, state.quiet)
    try:
        verdict, jobs = _judged(context, rule, state)
    except TransientError as error:
        return _unseen(context, settings, state, error)
    _say_unknown(context, rule, jobs, verdict, state)
    state = _measured(context, _after(context, state, verdict), verdict)
    if verdict.quiet:
        try:
            problem = _open_copy(context)
        except TransientError as error:
            return _unseen(context, settings, state, error)
        if problem:
            return _not_closed(context, settings, state, problem)
    if verdict.finding is Finding.DRAINED:
        return _drained(context, state, verdict, len(jobs))
    if verdict.quiet:
        return _to_confirm(context, rule, state, verdict.quiet)
    return _held(context, settings, state, verdict)


def _to_confirm(context: Context, rule: Rule, state: Watching, quiet: Quiet) -> Wait:
    text = f"nothing runs or is queued since {quiet.at:%H:%M:%S} UTC; I look again before I believe it"
    left = quiet.at + rule.quiet_for - context.clock.cautious_now()
    return Wait(context.clock.now() + left, text, dump(state))


def _open_copy(context: Context) -> str:
    """Why the configured copy of the monitor may start new work by itself; empty if it cannot, or there is none."""
    job = context.settings(MonitorSettings).run_job
    try:
        harmless = not job or context.ports.ci.job(job).disabled
    except NotFound:
        harmless = True
    return "" if harmless else copy_problem(context)


def _not_closed(context: Context, settings: DrainSettings, state: Watching, problem: str) -> Wait:
    """What can start at any moment is no drain, however quiet it is; the proof begins anew."""
    _in_time(context, settings, state, problem, context.clock.cautious_now())
    return Wait(context.clock.now() + settings.interval, problem, dump(replace(state, quiet=None)))


def _held(context: Context, settings: DrainSettings, state: Watching, verdict: Verdict) -> Wait:
    now = context.clock.cautious_now()
    found = _estimated(context, verdict.holders)
    text = holders_of.one_line(found, now)
    if verdict.why:
        enabled = " (!monitor pause disables it)" if verdict.why.endswith("is enabled") else ""
        text = f"{verdict.why}{enabled}; {text}"
    _in_time(context, settings, state, text, now)
    _warn_if_slow(context, settings, state, found, now)
    wait = holders_of.interval(found, now, settings.interval, settings.shortest)
    return Wait(context.clock.now() + (wait if found else settings.shortest), text, dump(state))


def _unseen(context: Context, settings: DrainSettings, state: Watching, error: TransientError) -> Wait:
    now = context.clock.cautious_now()
    since = state.silent_since or now
    state = replace(state, quiet=None, silent_since=since, failures=state.failures + 1)
    last = f" Last seen: {listed(state.last_seen[:5])}." if state.last_seen else ""
    text = f"Jenkins cannot be seen since {moment(since, now)}, so whether it is idle is not known. {error}{last}"
    _in_time(context, settings, state, text, now)
    wait = holders_of.back_off(state.failures, settings.interval, settings.longest)
    return Wait(context.clock.now() + wait, text, dump(state))


def _in_time(context: Context, settings: DrainSettings, state: Watching, text: str, now: datetime) -> None:
    timeout = _args(context).timeout or settings.timeout
    if now - state.started < timeout:
        return
    title = f"Jenkins was not proven idle within {span(timeout)}"
    others = tuple(one for one in to_mention(context, Event.DRAIN) if one != context.run.starter)
    if others:  # the starter is told by the run itself
        context.say(f"late {state.started.isoformat()}", Notice(title, Level.ALERT, (text,), mentions=others))
    raise PermanentError(
        f"{title}. At last: {text}. !drain ignore JOB REASON leaves a job out; "
        f"!release retry {drain.id} --run {context.run.id} waits as long again"
    )


def _warn_if_slow(
    context: Context, settings: DrainSettings, state: Watching, found: tuple[Holder, ...], now: datetime
) -> None:
    waited = now - state.started
    if waited >= settings.warn_after and found:
        lines = tuple(holders_of.row(holder, now) for holder in found)
        text = f"Jenkins is not idle after {span(waited)}: {holders_of.counted(found)}"
        context.say(f"slow since {state.started.isoformat()}", Notice(text, Level.WARNING, lines))


def _after(context: Context, state: Watching, verdict: Verdict) -> Watching:
    """What is known after a look that was answered. A restart is told: what ran then was killed, not finished."""
    restarted = bool(state.session) and verdict.session != state.session
    if restarted:
        lines = tuple(f"ran or waited when last seen: {name}" for name in state.last_seen)
        text = "Jenkins was restarted during the drain. What ran then is gone, not finished"
        context.say(f"restart {verdict.session}", Notice(text, Level.ALERT, lines, mentions=(context.run.starter,)))
    return replace(
        state,
        quiet=verdict.quiet,
        session=verdict.session,
        last_seen=holders_of.names(verdict.holders),
        restarts=state.restarts + restarted,
        silent_since=None,
        failures=0,
    )


def _say_unknown(context: Context, rule: Rule, jobs: frozenset[str], verdict: Verdict, state: Watching) -> None:
    """A job that is left out and not on Jenkins is a slip of the pen: said once, and left out no longer."""
    by_hand = context.recall(IGNORED)
    for name in sorted(rule.ignored - jobs - {holder.job for holder in (*verdict.holders, *verdict.seen.left_out)}):
        key = f"{context.run.id}/{name}"
        if key not in by_hand and state.session:
            continue  # it was told at the first look
        title = f"Jenkins has no job {name}, so nothing is left out of the drain by that name"
        meant = nearest(name, jobs)
        line = f"Was it {meant}? !drain ignore {meant} REASON leaves that out." if meant else "It has no similar one."
        context.say(f"no job {name}: {by_hand.get(key)}", Notice(title, Level.WARNING, (line,)))
        context.forget(IGNORED, key)


def _estimated(context: Context, found: tuple[Holder, ...]) -> tuple[Holder, ...]:
    """What we measured ourselves says more than Jenkins, which knows its last builds only."""
    known = {job: usual(context, job) for job in {holder.job for holder in found}}
    return holders_of.estimated(found, {job: span_ for job, span_ in known.items() if span_})


def _measured(context: Context, state: Watching, verdict: Verdict) -> Watching:
    """Keep how the builds ended that no longer run, one request for each job; what cannot be seen is asked again."""
    now_running = holders_of.running(verdict.holders)
    ended = [ref for ref in state.running if ref not in now_running]
    unseen: list[BuildRef] = []
    for job in dict.fromkeys(ref.job for ref in ended):
        mine = {ref for ref in ended if ref.job == job}
        try:
            measure(context, [build for build in context.ports.ci.builds(job, NEWEST) if build.ref in mine])
        except TransientError:
            unseen += mine
        except KcibotError:
            continue  # it is gone, and nobody can tell any more
    minutes = (context.clock.cautious_now() - state.started) / timedelta(minutes=1)
    curve = burn_down.added(state.curve, minutes, len(verdict.holders))
    return replace(state, running=(*now_running, *unseen), curve=curve)


def _drained(context: Context, state: Watching, verdict: Verdict, jobs: int) -> Done[Drained]:
    since = verdict.quiet.at if verdict.quiet else state.started
    left_out = holders_of.names(verdict.seen.left_out)
    value = Drained(since, verdict.session, jobs, left_out, state.restarts)
    lines = [f"Nothing of {jobs} jobs ran, waited or started from {since:%H:%M:%S} UTC on."]
    lines += [f"Left out: {name}" for name in left_out]
    lines += ["Jenkins was restarted meanwhile: what ran then was killed."] if state.restarts else []
    title = f"Jenkins is drained, after {span(context.clock.cautious_now() - state.started)} of waiting"
    mentions = to_mention(context, Event.DRAIN)
    picture = burn_down.drawn(state.curve)
    context.say("drained", Notice(title, Level.ALERT, tuple(lines), mentions=mentions, picture=picture))
    forget_once(context, Event.DRAIN)
    _forget_ignored(context)
    apart = f", apart from {listed(left_out)}" if left_out else ""
    return Done(f"{jobs} jobs, idle since {since:%H:%M} UTC{apart}", value)


drain = Step("drain", "Jenkins drained", wait_for_drain, Drained, limit=LONGEST)
DRAIN = Procedure("drain", drain, title="Drain of Jenkins")


# ---- what counts, and what is remembered -----------------------------------------------------------------------


def _rule(context: Context) -> Rule:
    settings, monitor = context.settings(DrainSettings), context.settings(MonitorSettings)
    by_hand = [key.partition("/")[2] for key in _ignored(context)]
    ignored = frozenset((*settings.ignored, *_args(context).ignore, *by_hand))
    return Rule(monitor.job, settings.quiet_for, ignored - {monitor.job})


def _args(context: Context) -> DrainArgs:
    """A release has arguments of its own."""
    return context.args(DrainArgs) if context.run.procedure == DRAIN.name else DrainArgs()


def _ignored(context: Context) -> list[str]:
    return [key for key in context.recall(IGNORED) if key.startswith(f"{context.run.id}/")]


def _forget_ignored(context: Context) -> None:
    for key in _ignored(context):
        context.forget(IGNORED, key)


def _watching(context: Context) -> Watching:
    """What the last look left. A step that people try again has no text yet: its time begins anew."""
    state = load(context.memory)
    now = context.clock.cautious_now()
    if state is None:
        return Watching(now)
    return state if context.run.step(drain.id).text else replace(state, started=now, quiet=None)
