"""Answers to gates, for networks and moments without reactions."""

from kcibot.sdk import (
    BREAK_GLASS,
    Ask,
    AskState,
    Call,
    Choice,
    Level,
    Notice,
    Outcome,
    PermissionDenied,
    Reason,
    UserError,
    Words,
    command,
    listed,
)

SHORTEST_CODE = 4


@command("approve", role="observer", example="!approve a1b2c3")
def approve(call: Call, code: str, reason: Words = (), *, override: bool = False) -> Outcome:
    """Approve what the prompt with that code shows; --override and a REASON break the glass."""
    ask, why = _ask(call, code), " ".join(reason)
    if not override:
        return call.engine.vote(ask, call.person, call.event.place.network, Choice.APPROVE, why)
    if not call.world.people.may(call.person, BREAK_GLASS):
        raise PermissionDenied(f"an override is for people with the role {BREAK_GLASS}")
    if not why:
        raise UserError(f"an override needs a reason: !approve {ask.code} --override REASON")
    outcome = call.engine.vote(ask, call.person, call.event.place.network, Choice.OVERRIDE, why)
    loud = Notice(f"{call.person.id} overrides the approval of “{ask.title}”: {why}", Level.ALERT)
    return Outcome(None, (*outcome.changes, *call.world.everywhere(f"{ask.message_key}:override", loud)), outcome.wake)


@command("reject", role="observer", example="!reject a1b2c3 the tag is missing a fix", only_holds=True)
def reject(call: Call, code: str, reason: Reason) -> Outcome:
    """Reject what the prompt with that code shows, and say why."""
    return call.engine.vote(_ask(call, code), call.person, call.event.place.network, Choice.REJECT, reason)


@command("withdraw", role="observer", example="!withdraw a1b2c3", only_holds=True)
def withdraw(call: Call, code: str) -> Outcome:
    """Take your vote back, as long as nothing that it allowed has begun."""
    return call.engine.withdraw(_ask(call, code), call.person, call.event.place.network)


def _ask(call: Call, code: str) -> Ask:
    """The asking whose digest starts with that code, of a run that has not ended."""
    journal = call.world.journal
    asks = [ask for run in journal.open_runs() for ask in journal.asks(run.id)]
    found = [ask for ask in asks if len(code) >= SHORTEST_CODE and ask.digest.startswith(code.lower())]
    if len(found) == 1:
        return found[0]
    waiting = [f"{ask.code} ({ask.title})" for ask in asks if ask.state is AskState.OPEN]
    open_now = f"Waiting for an answer: {listed(waiting)}" if waiting else "Nothing waits for an answer"
    raise UserError(f"no prompt has the code {code}. {open_now}")
