"""What a gate says: its prompt, edited in place as votes come in, and its reminders."""

from datetime import datetime

from kcibot.core.access import BREAK_GLASS, People, Person
from kcibot.core.gate import Ask, AskState, Choice, GatePolicy, StarterVote, Vote, standing
from kcibot.core.notice import Button, Field, Level, Notice
from kcibot.core.run import Run
from kcibot.core.wording import listed, moment

HEADS = {
    AskState.OPEN: "asks for approval",
    AskState.APPROVED: "approved",
    AskState.REJECTED: "rejected",
    AskState.VOID: "no longer valid",
    AskState.EXPIRED: "expired",
}

BRIEF_VOTES = 3


def prompt(run: Run, ask: Ask, policy: GatePolicy, people: People, votes: tuple[Vote, ...], now: datetime) -> Notice:
    """The prompt as it stands."""
    is_open = ask.state is AskState.OPEN
    said = tuple(_vote_line(vote) for vote in votes)
    return Notice(
        title=f"{run.title}: “{ask.title}” {HEADS[ask.state]}",
        level=Level.PROMPT if is_open else Level.INFO,
        lines=(*ask.display, *said),
        fields=_fields(run, ask, policy, people, votes, now),
        buttons=(Button("Approve", f"!approve {ask.code}"), Button("Reject", f"!reject {ask.code}")) if is_open else (),
        mentions=tuple(p.id for p in voters(run, policy, people)) if is_open else (),
        brief=_brief(run, ask, said),
        milestone="\n".join((ask.state.value, *said)),
    )


def _brief(run: Run, ask: Ask, said: tuple[str, ...]) -> str:
    """The asking, the newest votes, and what to type. A vote that is withdrawn keeps its place among the others."""
    last = f" ({'; '.join(said[-BRIEF_VOTES:])})" if said else ""
    answer = f": {ask.to_approve}" if ask.state is AskState.OPEN else ""
    return f"{run.title}: “{ask.title}” {HEADS[ask.state]}{last}{answer}"


def reminder(run: Run, ask: Ask, policy: GatePolicy, people: People, now: datetime) -> Notice:
    """Somebody still has to answer."""
    names = tuple(p.id for p in voters(run, policy, people))
    return Notice(
        title=f"{run.title} still waits for “{ask.title}”, asked {moment(ask.opened_at, now)}",
        level=Level.ALERT,
        lines=(f"{ask.to_approve} or !reject {ask.code} REASON",),
        mentions=names,
    )


def reminder_key(ask: Ask, at: datetime) -> str:
    return f"{ask.message_key}:reminder:{at.isoformat()}"


def reminder_over(run: Run, ask: Ask) -> Notice:
    """What becomes of a reminder when there is a newer one, or an answer."""
    return Notice(f"{run.title} waited for “{ask.title}”")


def voters(run: Run, policy: GatePolicy, people: People) -> tuple[Person, ...]:
    """Who may answer."""
    starter_may = policy.starter is StarterVote.ALLOWED
    return tuple(p for p in people.having(policy.role) if starter_may or p.id != run.starter)


def _fields(
    run: Run, ask: Ask, policy: GatePolicy, people: People, votes: tuple[Vote, ...], now: datetime
) -> tuple[Field, ...]:
    if ask.state is not AskState.OPEN:
        return (Field("Digest", ask.code),)
    may = voters(run, policy, people)
    names = listed([p.id for p in may]) or f"nobody has the role {policy.role}"
    have = standing(policy, people, run.starter, votes)
    needed = f"{have.missing} more of {policy.quorum}" if have.approved_by else str(policy.quorum)
    fields = [Field("Digest", ask.code), Field("May approve", names), Field("Approvals needed", needed)]
    if len(may) < policy.quorum:
        breakers = listed([p.id for p in people.having(BREAK_GLASS) if p.id != run.starter]) or "nobody has that role"
        fields.append(Field("Too few to approve it", f"!approve {ask.code} --override REASON ({breakers})"))
    if ask.expires_at:
        fields.append(Field("Expires", moment(ask.expires_at, now)))
    return tuple(fields)


def _vote_line(vote: Vote) -> str:
    reason = f": {vote.reason}" if vote.reason else ""
    said = {Choice.APPROVE: "approves", Choice.REJECT: "rejects", Choice.OVERRIDE: "OVERRIDES the quorum"}[vote.choice]
    taken_back = " (withdrawn)" if vote.withdrawn else ""
    return f"{vote.person} {said}{reason}{taken_back}"
