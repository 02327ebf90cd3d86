"""Step 9: all is built. The labs go on, and the report mails come: when both are done, or not waited for any more."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kcibot.sdk import Context, DeviceStatus, Lab, OpenJob, Revision, TransientError, listed, span
from kcibot_commands.pipecleaner.baseline import baseline
from kcibot_commands.pipecleaner.configs import PipecleanerSettings
from kcibot_commands.pipecleaner.mails import MAILS, MailsSettings, mails, shown
from kcibot_commands.pipecleaner.progress import EXPECTED
from kcibot_commands.pipecleaner.state import Following, Seen
from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.results import Mail, MailState

SHOWN = 4


@dataclass(frozen=True)
class Left:
    """What is waited for still, in words; empty when there is nothing."""

    text: str
    state: Following


def left(context: Context, place: str, seen: Seen, state: Following, series: str) -> Left:
    """The labs, and the mails that must come: both are told as long as one of them is waited for."""
    labs = _labs_left(context, place, seen, state, series)
    if state.revision is None or seen.builds_ended is None:
        return labs
    found = mails(context, state.revision, seen.builds_ended)
    context.remember(place, MAILS, list(shown(found)))
    return replace(labs, text=_with_mails(context, labs.text, found))


# ---- labs ------------------------------------------------------------------------------------------------------


def _labs_left(context: Context, place: str, seen: Seen, state: Following, series: str) -> Left:
    """They are done when no result came for a while, and no lab has a job of ours open that it can run."""
    settings, now, revision = context.settings(PipecleanerSettings), context.clock.now(), state.revision
    if not settings.tests_quiet or revision is None or seen.standing is None:
        return Left("", state)
    plans = seen.standing.plans
    count = sum(plans.values())
    if count != state.plans:
        state = replace(state, plans=count, plans_at=now.isoformat())
    quiet_at = datetime.fromisoformat(state.plans_at) + settings.tests_quiet
    expected = _expected(context, place, revision, series)
    said = f"all {state.total} kernels built; {_said(plans, expected)}"
    if now < quiet_at:
        return Left(said, state)
    return Left(_open_jobs(context, revision, said), state)


def _expected(context: Context, place: str, revision: Revision, series: str) -> Mapping[str, int]:
    """How many plans each lab sent in the baseline, counted as they are now; asked once."""

    def look() -> dict[str, int]:
        base = baseline(context, revision, series)
        if base is None:
            return {}
        then = context.ports.results.standing(Revision(revision.tree, revision.branch, base.kernel)).plans
        found = dict.fromkeys(base.labs(), 0) | dict(then)
        context.remember(place, EXPECTED, found)
        return found

    return context.keep(EXPECTED, look)


def _said(plans: Mapping[str, int], expected: Mapping[str, int]) -> str:
    """`lab-x 12 of 15 plans, lab-y nothing yet`: those that lack something, or how many sent what."""
    behind = sorted(lab for lab, count in expected.items() if plans.get(lab, 0) < max(1, count))
    if not expected or not behind:
        return f"{worded(sum(plans.values()), 'test plan')} from {worded(len(plans), 'lab')} so far"
    more = [f"and {len(behind) - SHOWN} more"] if len(behind) > SHOWN else []
    return ", ".join([*(_lab(lab, plans.get(lab, 0), expected[lab]) for lab in behind[:SHOWN]), *more])


def _lab(lab: str, now: int, then: int) -> str:
    if not now:
        return f"{lab} nothing yet"
    return f"{lab} {now} of {then} plans"


def _open_jobs(context: Context, revision: Revision, said: str) -> str:
    """Quiet is no proof: a lab may have a queue before one board. One that cannot be asked is not waited for."""
    open_jobs = {lab.name: _ours(lab, revision) for lab in context.ports.labs}
    holding = {name: count for name, count in open_jobs.items() if count}
    if not holding:
        return ""
    names = listed([f"{name} has {worded(count, 'open job')}" for name, count in holding.items()])
    return f"{said}; {names} of it"


def _ours(lab: Lab, revision: Revision) -> int:
    """Jobs that name this kernel and run, or wait for a board that can take them."""
    try:
        named = [job for job in lab.open_jobs() if revision.kernel in job.description]
        if not named:
            return 0
        working = {one.device_type for one in lab.devices() if one.status is not DeviceStatus.OFFLINE}
    except TransientError:
        return 0
    return sum(_comes(job, working) for job in named)


def _comes(job: OpenJob, working: set[str]) -> bool:
    return job.state.has_begun or not job.device_type or job.device_type in working


# ---- mails -----------------------------------------------------------------------------------------------------


def _with_mails(context: Context, labs: str, found: tuple[Mail, ...]) -> str:
    """Empty if neither a lab nor a mail that must come is waited for."""
    needed = set(context.settings(MailsSettings).needed)
    built = tuple(one for one in found if one.kind in needed)
    if not labs and not any(one.state is MailState.WAITING for one in built):
        return ""
    return "; ".join([labs or "the labs are done", *shown(built)])


# ---- what does not answer --------------------------------------------------------------------------------------


def silent_for(context: Context, seen: Seen, state: Following) -> timedelta:
    """Since when the results API does not answer although all is built."""
    if not state.silent_since:
        return timedelta()
    since = datetime.fromisoformat(state.silent_since)
    return context.clock.now() - max(since, seen.ended_at or since)


def silence(context: Context, state: Following) -> str:
    since = datetime.fromisoformat(state.silent_since)
    return f"all built; the results API does not answer since {span(context.clock.now() - since)}"
