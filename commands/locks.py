"""The production lock: one run, or one person by hand, changes production at a time, and everybody can see who."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from kcibot.sdk import (
    Call,
    Change,
    Context,
    Done,
    Forget,
    Notice,
    Outcome,
    PermanentError,
    PermissionDenied,
    Reason,
    Remember,
    Step,
    StepState,
    UserError,
    Wait,
    command,
    moment,
)
from kcibot_commands.plan.steps import MOVED, plan

LOCK = "lock"
PRODUCTION = "production"
MANAGER = "release-manager"
LOOK_AGAIN = timedelta(minutes=1)


@dataclass(frozen=True)
class Lock:
    """Who keeps others from changing production, and why. `run` is 0 for a lock taken by hand."""

    who: str
    reason: str
    since: datetime
    run: int = 0


def read_lock(standing: object) -> Lock | None:
    """The lock as it was remembered; None if there is none. Raises UserError for what is no lock."""
    if standing is None:
        return None
    if not isinstance(standing, dict):
        raise UserError("the production lock in the journal is not readable")
    since = datetime.fromisoformat(str(standing["since"]))
    return Lock(str(standing["who"]), str(standing["reason"]), since, int(str(standing["run"])))


def described(held: Lock, now: datetime) -> str:
    """`production is locked by operator's run 3, 09:00 UTC (5 min ago): Release of 23 Nov 2026`."""
    by = f"{held.who}'s run {held.run}" if held.run else held.who
    return f"production is locked by {by}, {moment(held.since, now)}: {held.reason}"


def as_line(held: Lock, now: datetime) -> str:
    """The same as a line of its own."""
    text = described(held, now)
    return text[:1].upper() + text[1:]


# ---- in a run --------------------------------------------------------------------------------------------------


def take_lock(context: Context) -> Done[None] | Wait:
    """Claim production for this run; while somebody else has it, wait and say who."""
    now = context.clock.now()
    standing = read_lock(context.claim(LOCK, PRODUCTION, _of_run(context)))
    if standing is None or standing.run == context.run.id:
        return Done("held by this run", None)
    return Wait(now + LOOK_AGAIN, f"{described(standing, now)}; !unlock opens it")


def take_lock_from(context: Context, run: int) -> Done[None] | Wait:
    """Take the lock over from that run, which has ended, with no moment in which others could have it."""
    standing = _standing(context)
    if standing and standing.run == run:
        context.remember(LOCK, PRODUCTION, _of_run(context))
    return take_lock(context)


take_production_lock = Step("production-lock", "Production locked", take_lock, type(None), limit=timedelta(days=2))


def still_locked(context: Context) -> None:
    """To be called just before production is changed. Raises PermanentError if others may be changing it now.

    A run whose lock was taken away stops there. One whose lock step was skipped goes on, unless somebody else holds
    production: skipping a step does not open another's lock.
    """
    standing = _standing(context)
    if standing and standing.run == context.run.id:
        return
    if any(step.id == take_production_lock.id and step.state is StepState.DONE for step in context.run.steps):
        now = f"{standing.who} has it" if standing else "nobody has it"
        raise PermanentError(
            f"the production lock was taken away from this run and {now}, so nothing more was done; "
            f"!release retry {take_production_lock.id} asks for it again"
        )
    if standing:
        raise PermanentError(
            f"{described(standing, context.clock.now())}; this run does not hold it, so nothing was done. "
            "!unlock opens it"
        )


def give_lock_back(context: Context) -> Done[None]:
    """Let others at production again, if this run has the lock; a planned run has come to its end with that."""
    standing = _standing(context)
    held = standing is not None and standing.run == context.run.id
    if held:
        context.forget(LOCK, PRODUCTION)
    if context.has_result(plan):
        for component in context.result(plan).parts:
            context.forget(MOVED, component)
    return Done("the lock is given back" if held else "this run did not hold the lock", None)


open_production = Step("open-production", "Production unlocked", give_lock_back, type(None))


def _standing(context: Context) -> Lock | None:
    return read_lock(context.recall(LOCK).get(PRODUCTION))


def _of_run(context: Context) -> dict[str, object]:
    now, run = context.clock.now(), context.run
    return {"who": run.starter, "reason": run.title, "since": now.isoformat(), "run": run.id}


# ---- by hand ---------------------------------------------------------------------------------------------------


@command("lock", role="operator", example="!lock the database is being moved")
def lock(call: Call, reason: Reason) -> Outcome:
    """Keep every run from changing production until !unlock."""
    now = call.world.clock.now()
    standing = read_lock(call.world.journal.recall(LOCK).get(PRODUCTION))
    if standing is not None:
        raise UserError(described(standing, now))
    value = {"who": call.person.id, "reason": reason, "since": now.isoformat(), "run": 0}
    told = Notice("Production is locked: no run changes it until !unlock.")
    others = _elsewhere(call, f"{call.person.id} locked production: no run changes it until !unlock.", (reason,))
    return call.audited(Outcome(told, (Remember(LOCK, PRODUCTION, value), *others)), "lock", reason)


@command("unlock", role="operator")
def unlock(call: Call) -> Outcome:
    """Take the production lock away; one that is another person's or a live run's needs a release manager."""
    held = read_lock(call.world.journal.recall(LOCK).get(PRODUCTION))
    if held is None:
        return Outcome(Notice("Production is not locked."))
    live = any(run.id == held.run for run in call.world.journal.open_runs())
    if (live or held.who != call.person.id) and not call.world.people.may(call.person, MANAGER):
        whose = f"run {held.run} ({held.reason}) is still using it" if live else f"the lock is {held.who}'s"
        raise PermissionDenied(f"{whose}; only a {MANAGER} may take it away")
    told = "Production is open."
    if live:
        told += f" Run {held.run} ({held.reason}) had it, and stops before its next push."
    others = _elsewhere(call, f"{call.person.id} unlocked production.", (described(held, call.world.clock.now()),))
    changes = (Forget(LOCK, PRODUCTION), *others)
    return call.audited(Outcome(Notice(told), changes), "unlock", held.reason, run=held.run)


def _elsewhere(call: Call, title: str, lines: tuple[str, ...]) -> tuple[Change, ...]:
    """Said in every room but the caller's, which gets the reply."""
    told = call.world.everywhere(f"lock:{call.event.event_id}", Notice(title, lines=lines))
    return tuple(say for say in told if say.place != call.event.place)
