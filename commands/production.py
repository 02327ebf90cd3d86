"""Step 4: the production lock, and pushing exactly the frozen commit to a production branch."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from kcibot_commands.plan import SHORT, ReleaseSettings, plan

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
    PermissionDenied,
    Preview,
    Proof,
    Reason,
    RefUpdate,
    Remember,
    Step,
    UserError,
    Wait,
    command,
    moment,
)

LOCK = "lock"
PRODUCTION = "production"
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
    if isinstance(standing, dict) and standing.get("run") == context.run.id:
        return Done("held by this run", None)
    lock = _read(standing)
    return Wait(now + LOOK_AGAIN, f"locked by {lock.who}, {moment(lock.since, now)}: {lock.reason}")


take_production_lock = Step("production-lock", "Production locked", take_lock, type(None), limit=timedelta(days=2))


def give_lock_back(context: Context) -> Done[None]:
    """Let others at production again, if this run has the lock."""
    standing = context.recall(LOCK).get(PRODUCTION)
    if isinstance(standing, dict) and standing.get("run") == context.run.id:
        context.forget(LOCK, PRODUCTION)
    return Done("", None)


open_production = Step("open-production", "Production open to others", give_lock_back, type(None))


@command("lock", role="operator", example="!lock the database is being moved")
def lock(call: Call, reason: Reason) -> Outcome:
    """Keep every run from changing production until !unlock."""
    standing = call.world.journal.recall(LOCK).get(PRODUCTION)
    if standing is not None:
        held = _read(standing)
        raise UserError(
            f"production is locked by {held.who}, {moment(held.since, call.world.clock.now())}: {held.reason}"
        )
    value = {"who": call.person.id, "reason": reason, "since": call.world.clock.now().isoformat(), "run": 0}
    return call.audited(Outcome(Notice("Production is locked."), (Remember(LOCK, PRODUCTION, value),)), "lock", reason)


@command("unlock", role="operator")
def unlock(call: Call) -> Outcome:
    """Take the production lock away; another person's lock needs a release manager."""
    standing = call.world.journal.recall(LOCK).get(PRODUCTION)
    if standing is None:
        return Outcome(Notice("Production is not locked."))
    held = _read(standing)
    if held.who != call.person.id and not call.world.people.may(call.person, "release-manager"):
        raise PermissionDenied(f"the lock is {held.who}'s; only they or a release-manager may take it away")
    return call.audited(Outcome(Notice("Production is open."), (Forget(LOCK, PRODUCTION),)), "unlock", held.reason)


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
    """Old and new commit of the production branch, the old one asked of the server now."""
    part, branch = context.result(plan).part(component), _branch(context, component)
    old = context.ports.git.remote(component).branches().get(branch, "nothing")
    facts = {"repository": component, "branch": branch, "old": old, "new": part.release}
    lost = [f"  loses {line}" for line in part.lost]
    return Preview(facts, (f"{component}: {branch} {old[:SHORT]} -> {part.release[:SHORT]} ({part.tag})", *lost))


def push_asks(context: Context, component: str) -> GateRequest | None:
    """A push that loses commits has a gate of its own."""
    part = context.result(plan).part(component)
    lost = context.ports.git.remote(component).lost(part.production, part.release)
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
    """Set the production branch to the frozen commit, provided that it is where the plan saw it; then read it back."""
    part, branch = context.result(plan).part(component), _branch(context, component)
    git = context.ports.git.remote(component)
    ref = f"refs/heads/{branch}"

    def probe() -> Proof[str]:
        return Happened(part.release) if git.branches().get(branch) == part.release else NotHappened()

    def push() -> str:
        git.push([RefUpdate(ref, part.release, part.production)])
        return part.release

    context.effect(f"push {component} {branch}", push, probe)
    seen = git.branches().get(branch)
    if seen != part.release:
        raise OutcomeUnknown(f"{component} {branch} was pushed, but the server shows {seen} instead of {part.release}")
    return Pushed(component, part.production, part.release)


def _branch(context: Context, component: str) -> str:
    return context.settings(ReleaseSettings).components[component].production


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
