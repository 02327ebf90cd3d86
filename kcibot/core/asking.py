"""Gates in a run: what they show, how they are opened, and what a vote does. Every function returns changes."""

from dataclasses import replace
from datetime import datetime

from kcibot.core.access import Person
from kcibot.core.card import card, card_key
from kcibot.core.gate import Ask, AskState, Choice, GatePolicy, Vote, may_vote, standing
from kcibot.core.journal import ACTED, Change, SaveAsk, SaveRun, SaveVote, Say
from kcibot.core.procedure import Approval, Context, Gate, GateRequest, Preview, Procedure, Step
from kcibot.core.prompt import prompt, reminder_key, reminder_over
from kcibot.core.run import SETTLED, Run, StepKind, StepRecord, StepState, again, broken, covered_by, settled
from kcibot.core.trouble import trouble
from kcibot.core.wording import listed, moment
from kcibot.core.world import World
from kcibot.errors import PermissionDenied, UserError

NO_LONGER = {
    AskState.APPROVED: "was approved",
    AskState.REJECTED: "was rejected",
    AskState.VOID: "is no longer valid: what it showed has changed",
    AskState.EXPIRED: "has expired",
}


def shown_by(gate: Gate, procedure: Procedure, context: Context) -> tuple[dict[str, object], list[str]]:
    """The facts of every step that the gate covers and that is still to come, by step, and the lines for people."""
    facts: dict[str, object] = {}
    lines: list[str] = []
    about = gate.about(context)
    if about.facts or about.display:
        facts[gate.id] = about.facts
        lines.extend(about.display)
    for record in covered_by(context.run, gate.id):
        step = procedure.item(record.id)
        if record.state in SETTLED or not isinstance(step, Step):
            continue
        needed = step.needed(context)
        if not needed.needed:
            continue
        preview = step.preview(context)
        if preview.facts:
            facts[step.id] = preview.facts
        if preview.display:
            lines.append(f"For “{step.title}”:")
            lines.extend(f"  {line}" for line in preview.display)
    return facts, lines


def opened(world: World, run: Run, step_id: str, request: GateRequest) -> tuple[Run, list[Change]]:
    """Ask the people; the step waits until they answer or the asking expires. An older asking of it is over."""
    policy = world.policy(request.gate_id)
    now = world.clock.now()
    before = world.journal.ask(run.id, request.gate_id)
    over = closed(world, run, before, AskState.EXPIRED) if before and before.state is AskState.OPEN else []
    ask = Ask(
        run_id=run.id,
        gate_id=request.gate_id,
        ask=before.ask + 1 if before else 1,
        title=request.title,
        facts=request.preview.facts,
        display=request.preview.display,
        opened_at=now,
        expires_at=_expiry(policy, now),
    )
    run = _asked(world, run, step_id, ask)
    return run, [*over, SaveAsk(ask), *_shown(world, run, ask, ())]


def _expiry(policy: GatePolicy, now: datetime) -> datetime | None:
    """When an answer comes too late, and is good no longer: after `expires`, and at the end of the gate's hours."""
    opens = policy.hours.next_opening(now) if policy.hours else now
    ends = [opens + policy.expires] if policy.expires else []
    if policy.hours and not policy.hours.is_open(closing := policy.hours.closing(opens)):
        ends.append(closing)  # hours that go on behind midnight do not end there
    return min(ends, default=None)


def _asked(world: World, run: Run, step_id: str, ask: Ask) -> Run:
    """The step waits for people. It has not begun: what it does is compared with the world once more before it does."""
    text = f"waiting for an answer ({world.policy(ask.gate_id).role}): !approve {ask.code}"
    return run.with_step(step_id, state=StepState.WAITING, wake_at=ask.expires_at, text=text, started_at=None)


def voted(
    world: World, ask: Ask, person: Person, network: str, choice: Choice, reason: str, *, reacted: bool = False
) -> list[Change]:
    """Count a vote. Raises PermissionDenied if it does not count, UserError if the asking is over."""
    run = world.journal.run(ask.run_id)
    policy = world.policy(ask.gate_id)
    now = world.clock.now()
    if run.ended:
        raise UserError(f"{run.title} has ended")
    if ask.state is not AskState.OPEN:
        raise UserError(f"“{ask.title}” {NO_LONGER[ask.state]}")
    refusal = may_vote(policy, world.people, person, run.starter, choice)
    if refusal:
        raise PermissionDenied(refusal)
    if ask.expires_at and now >= ask.expires_at:
        raise UserError(f"“{ask.title}” {NO_LONGER[AskState.EXPIRED]}; it is asked anew when the run goes on")
    if choice is Choice.APPROVE and ask.against and not reason:
        raise UserError(f"“{ask.title}” goes against what I propose ({ask.against}): say why with {ask.to_approve}")
    if choice is not Choice.OVERRIDE and policy.hours and not policy.hours.is_open(now):
        raise UserError(f"“{ask.title}” is decided in production hours only")
    vote = Vote(ask.run_id, ask.gate_id, ask.ask, person.id, network, choice, now, reason, reacted=reacted)
    others = tuple(v for v in world.journal.votes(ask) if (v.person, v.network) != (person.id, network))
    audit = world.audit(person.id, choice.value, f"{run.title}: {ask.title}", digest=ask.digest, reason=reason)
    return [SaveVote(vote), audit, *counted(world, run, ask, (*others, vote))]


def withdrawn(world: World, ask: Ask, person: Person, network: str) -> list[Change]:
    """Take a vote back, as long as nothing that it allowed has begun."""
    run = world.journal.run(ask.run_id)
    mine = [v for v in world.journal.votes(ask) if v.person == person.id and v.network == network and not v.withdrawn]
    if not mine:
        raise UserError("you have no vote there to withdraw")
    if ask.state not in {AskState.OPEN, AskState.APPROVED}:
        raise UserError(f"“{ask.title}” {NO_LONGER[ask.state]}")
    if run.ended or (ask.state is AskState.APPROVED and _has_begun(world, run, ask)):
        raise UserError("it is too late to withdraw: what was approved has begun. !release pause or !stop holds it")
    gone = replace(mine[0], withdrawn=True)
    votes = tuple(gone if v == mine[0] else v for v in world.journal.votes(ask))
    reopened = replace(ask, state=AskState.OPEN)
    audit = world.audit(person.id, "withdraw", f"{run.title}: {ask.title}", digest=ask.digest)
    return [SaveVote(gone), audit, *counted(world, run, reopened, votes)]


def counted(world: World, run: Run, ask: Ask, votes: tuple[Vote, ...]) -> list[Change]:
    """The asking and its run as the votes now have it."""
    now = world.clock.now()
    have = standing(world.policy(ask.gate_id), world.people, run.starter, votes)
    ask = replace(ask, state=have.state)
    step_id = step_of(ask)
    told: tuple[Change, ...] = ()
    match have.state:
        case AskState.APPROVED:
            run = _approved(run, step_id, f"by {listed((*have.approved_by, *have.overridden_by))}", now)
        case AskState.REJECTED:
            why = next((v.reason for v in votes if v.choice is Choice.REJECT and v.reason), "no reason given")
            run = broken(run, step_id, StepState.FAILED, f"rejected by {listed(have.rejected_by)}: {why}")
            told = _rejection(world, run, ask, step_id)
        case _:
            run = _asked(world, run, step_id, ask)
    return [SaveAsk(ask), SaveRun(run), *_shown(world, run, ask, votes), *told]


def approval(world: World, run: Run, ask: Ask) -> Approval:
    """By whom that asking was approved, and who overrode it for which reason."""
    votes = world.journal.votes(ask)
    have = standing(world.policy(ask.gate_id), world.people, run.starter, votes)
    reasons = {vote.person: vote.reason for vote in votes if vote.choice is Choice.OVERRIDE and not vote.withdrawn}
    overrides = tuple((person, reasons.get(person, "")) for person in have.overridden_by)
    return Approval(ask.gate_id, ask.title, have.approved_by, overrides)


def _rejection(world: World, run: Run, ask: Ask, step_id: str) -> tuple[Change, ...]:
    """A "no" stops the run there: people are told what was done so far, and what they can do next."""
    record = run.step(step_id)
    effects = world.journal.effects(run.id, step_id, record.round).values()
    notice = trouble(run, record, StepState.FAILED, record.text, effects)
    return world.everywhere(f"{ask.message_key}:broken:rejected", notice, card_key(run), run.place)


def closed(world: World, run: Run, ask: Ask, state: AskState) -> list[Change]:
    """The asking is over without an answer: void or expired."""
    ask = replace(ask, state=state)
    return [SaveAsk(ask), *_shown(world, run, ask, world.journal.votes(ask))]


def _approved(run: Run, step_id: str, text: str, now: datetime) -> Run:
    if run.step(step_id).kind is StepKind.GATE:
        return settled(run, step_id, StepState.DONE, now, text)
    return again(run, step_id)


def _shown(world: World, run: Run, ask: Ask, votes: tuple[Vote, ...]) -> list[Change]:
    now = world.clock.now()
    notice = prompt(run, ask, world.policy(ask.gate_id), world.people, votes, now)
    prompts = world.everywhere(ask.message_key, notice, card_key(run), run.place)
    over = () if ask.state is AskState.OPEN else no_longer_reminded(world, run, ask)
    return [*prompts, *over, *world.everywhere(card_key(run), card(run, now), origin=run.place)]


def no_longer_reminded(world: World, run: Run, ask: Ask) -> tuple[Say, ...]:
    """The last reminder, which a network that is away has not shown yet, asks for nothing any more."""
    if ask.reminded_at is None:
        return ()
    key, notice = reminder_key(ask, ask.reminded_at), reminder_over(run, ask)
    return tuple(Say(key, place, notice, card_key(run), amends=True) for place in world.rooms)


def step_of(ask: Ask) -> str:
    """The gate's own step, or the step that requested it (`force:push-core`)."""
    return ask.gate_id.partition(":")[2] or ask.gate_id


def lapsed(world: World, run: Run, ask: Ask) -> str:
    """Why an approval that was given is good no longer, as a clause; empty if it is."""
    now, policy = world.clock.now(), world.policy(ask.gate_id)
    have = standing(policy, world.people, run.starter, world.journal.votes(ask))
    if have.state is not AskState.APPROVED:
        return "those who gave it may not give it any more"
    if have.overridden_by:
        return ""  # whoever breaks the glass does not do it for production hours
    if ask.expires_at and now >= ask.expires_at:
        return f"it was good until {moment(ask.expires_at, now)}"
    return "it was for production hours" if policy.hours and not policy.hours.is_open(now) else ""


def _has_begun(world: World, run: Run, ask: Ask) -> bool:
    """Whether a step has acted, or is acting, by leave of that very approval."""
    steps = covered_by(run, ask.gate_id) or (run.step(step_of(ask)),)
    return any(step.kind is StepKind.STEP and _acted(world, run, step, ask.opened_at) for step in steps)


def _acted(world: World, run: Run, step: StepRecord, since: datetime) -> bool:
    if step.state is StepState.RUNNING or (step.state is StepState.WAITING and step.started_at):
        return True
    if step.state is StepState.DONE and step.ended_at and step.ended_at >= since:
        return True
    effects = world.journal.effects(run.id, step.id, step.round).values()
    return any(e.state in ACTED and e.at >= since for e in effects)


def gate_request(gate: Gate, procedure: Procedure, context: Context) -> GateRequest | None:
    """What the gate asks, or None if nothing that it covers will do anything."""
    facts, lines = shown_by(gate, procedure, context)
    if not facts and not lines:
        return None
    return GateRequest(gate.id, gate.title, Preview(facts, tuple(lines)))
