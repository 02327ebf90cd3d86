"""Step 4: the production lock, and pushing exactly the frozen commit to a production branch."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Forget,
    GateRequest,
    Happened,
    LostCommit,
    Needed,
    NotHappened,
    Notice,
    Outcome,
    OutcomeUnknown,
    PermanentError,
    PermissionDenied,
    Preview,
    Proof,
    Reason,
    RefUpdate,
    Remember,
    Step,
    StepState,
    UserError,
    Wait,
    command,
    moment,
)
from kcibot_commands.plan import MOVED, SHORT, Part, ReleaseSettings, plan

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


def take_lock(context: Context) -> Done[None] | Wait:
    """Claim production for this run; while somebody else has it, wait and say who."""
    now = context.clock.now()
    mine = {"who": context.run.starter, "reason": context.run.title, "since": now.isoformat(), "run": context.run.id}
    standing = context.claim(LOCK, PRODUCTION, mine)
    if _holds(context):
        return Done("held by this run", None)
    return Wait(now + LOOK_AGAIN, f"{_described(_read(standing), now)}; !unlock opens it")


take_production_lock = Step("production-lock", "Production locked", take_lock, type(None), limit=timedelta(days=2))


def still_locked(context: Context) -> None:
    """Raises PermanentError if this run took the lock and somebody took it away: others may be at production now."""
    took = any(s.id == take_production_lock.id and s.state is StepState.DONE for s in context.run.steps)
    if not took or _holds(context):
        return
    standing = context.recall(LOCK).get(PRODUCTION)
    now = f"{_read(standing).who} has it" if standing else "nobody has it"
    raise PermanentError(
        f"the production lock was taken away from this run and {now}, so nothing more was done; "
        f"!release retry {take_production_lock.id} asks for it again"
    )


def give_lock_back(context: Context) -> Done[None]:
    """Let others at production again, if this run has the lock; a planned run has come to its end with that."""
    held = _holds(context)
    if held:
        context.forget(LOCK, PRODUCTION)
    if context.has_result(plan):
        for component in context.result(plan).parts:
            context.forget(MOVED, component)
    return Done("the lock is given back" if held else "this run did not hold the lock", None)


def _holds(context: Context) -> bool:
    standing = context.recall(LOCK).get(PRODUCTION)
    return isinstance(standing, dict) and standing.get("run") == context.run.id


open_production = Step("open-production", "Production unlocked", give_lock_back, type(None))


@command("lock", role="operator", example="!lock the database is being moved")
def lock(call: Call, reason: Reason) -> Outcome:
    """Keep every run from changing production until !unlock."""
    now = call.world.clock.now()
    standing = call.world.journal.recall(LOCK).get(PRODUCTION)
    if standing is not None:
        raise UserError(_described(_read(standing), now))
    value = {"who": call.person.id, "reason": reason, "since": now.isoformat(), "run": 0}
    told = Notice("Production is locked: no run changes it until !unlock.")
    return call.audited(Outcome(told, (Remember(LOCK, PRODUCTION, value),)), "lock", reason)


@command("unlock", role="operator")
def unlock(call: Call) -> Outcome:
    """Take the production lock away; one that is another person's or a live run's needs a release manager."""
    standing = call.world.journal.recall(LOCK).get(PRODUCTION)
    if standing is None:
        return Outcome(Notice("Production is not locked."))
    held = _read(standing)
    live = any(run.id == held.run for run in call.world.journal.open_runs())
    if (live or held.who != call.person.id) and not call.world.people.may(call.person, MANAGER):
        whose = f"run {held.run} ({held.reason}) is still using it" if live else f"the lock is {held.who}'s"
        raise PermissionDenied(f"{whose}; only a {MANAGER} may take it away")
    told = "Production is open."
    if live:
        told += f" Run {held.run} ({held.reason}) had it, and stops before its next push."
    return call.audited(Outcome(Notice(told), (Forget(LOCK, PRODUCTION),)), "unlock", held.reason, run=held.run)


def _described(held: Lock, now: datetime) -> str:
    by = f"{held.who}'s run {held.run}" if held.run else held.who
    return f"production is locked by {by}, {moment(held.since, now)}: {held.reason}"


def _read(value: object) -> Lock:
    if not isinstance(value, dict):
        raise UserError("the production lock in the journal is not readable")
    since = datetime.fromisoformat(str(value["since"]))
    return Lock(str(value["who"]), str(value["reason"]), since, int(str(value["run"])))


# ---- pushes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pushed:
    """A production branch was at `old` and is at `new`."""

    component: str
    old: str
    new: str


def push_needed(context: Context, component: str) -> Needed:
    part = context.result(plan).part(component)
    return Needed(part.changed, "" if part.changed else f"{component} unchanged since {part.previous}")


def push_preview(context: Context, component: str) -> Preview:
    """Old and new commit of the production branch.

    Raises PermanentError if somebody moved the branch since the plan was frozen: its push would be refused.
    """
    part, branch = context.result(plan).part(component), _branch(context, component)
    now = context.ports.git.remote(component).branches().get(branch, "")
    if now not in {part.production, part.release}:
        raise PermanentError(_moved_by_others(part, branch, now))
    facts = {"repository": component, "branch": branch, "old": part.production, "new": part.release}
    tag = f" ({part.tag})" if part.tag else ""
    lost = [f"  loses {line}" for line in part.lost]
    move = f"{part.production[:SHORT]} -> {part.release[:SHORT]}{tag}"
    done = ", which is there already" if now == part.release else ""
    return Preview(facts, (f"{component}: {branch} {move}{done}", *lost))


def push_asks(context: Context, component: str) -> GateRequest | None:
    """A push that loses commits has a gate of its own."""
    part = context.result(plan).part(component)
    lost = context.ports.git.remote(component).lost(part.production, part.release) if part.changed else ()
    if not lost:
        return None
    lines = tuple(_lost_line(one) for one in lost)
    facts = {"old": part.production, "new": part.release, "lost": [one.commit.sha for one in lost]}
    title = f"Force {component}'s production branch"
    return GateRequest("force", title, Preview(facts, (f"{component}: these commits would be lost:", *lines)))


def _lost_line(lost: LostCommit) -> str:
    twin = f"twin {lost.twin[:SHORT]} on the development branch" if lost.twin else "NOT on the development branch"
    return f"{lost.commit.sha[:SHORT]} {lost.commit.subject} ({twin})"


def push_branch(context: Context, component: str) -> Pushed:
    """Set the production branch to the frozen commit, provided that it is where the plan saw it; then read it back.

    A branch that is there already is left alone. Raises PermanentError, and pushes nothing, if somebody moved it.
    """
    part, branch = context.result(plan).part(component), _branch(context, component)
    git = context.ports.git.remote(component)

    def probe() -> Proof[str]:
        return Happened(part.release) if git.branches().get(branch) == part.release else NotHappened()

    def push() -> str:
        still_locked(context)
        now = git.branches().get(branch, "")
        if now not in {part.production, part.release}:
            raise PermanentError(_moved_by_others(part, branch, now))
        if now != part.release:
            context.claim(MOVED, component, part.production)
            git.push([RefUpdate(f"refs/heads/{branch}", part.release, part.production)])
        return part.release

    context.effect(f"push {component} {branch}", push, probe)
    seen = git.branches().get(branch, "")
    if seen != part.release:
        raise OutcomeUnknown(
            f"{component}'s {branch} was pushed to {part.release[:SHORT]}, but the server shows {_place(seen)}: "
            "look at the repository"
        )
    return Pushed(component, part.production, part.release)


def _moved_by_others(part: Part, branch: str, now: str) -> str:
    return (
        f"{part.component}'s {branch} is {_place(now)}, though the plan saw it {_place(part.production)}: somebody "
        f"moved it, and nothing was pushed. !release amend plans anew with what is there"
    )


def _place(commit: str) -> str:
    return f"at {commit[:SHORT]}" if commit else "not there"


def _branch(context: Context, component: str) -> str:
    return context.settings(ReleaseSettings).component(component).production


def push_step(component: str) -> Step[Pushed]:
    """The step that moves that component's production branch."""

    def run(context: Context) -> Done[Pushed]:
        pushed = push_branch(context, component)
        return Done(f"{pushed.old[:SHORT]} -> {pushed.new[:SHORT]}", pushed)

    return Step(
        f"push-{component}",
        f"{component.capitalize()} production branch",
        run,
        Pushed,
        needed=lambda context: push_needed(context, component),
        preview=lambda context: push_preview(context, component),
        asks=lambda context: push_asks(context, component),
        after=(plan, take_production_lock),
    )


push_core = push_step("core")
