"""Who wants to be told when something ends, and telling them: `!notify`, and what steps use to mention people."""

from enum import StrEnum

from kcibot.sdk import Call, Change, Context, Forget, Notice, Outcome, Remember, UserError, command, listed, nearest

TOPIC = "notify"
ALWAYS = 0


class Event(StrEnum):
    """What people may be told of."""

    DRAIN = "drain"
    PIPECLEANER = "pipecleaner"
    RELEASE = "release"


ENDS = {
    Event.DRAIN: "the end of every drain",
    Event.PIPECLEANER: "every verdict on a pipe cleaner, when people are asked to accept it",
    Event.RELEASE: "the end of every release",
}
"""When that is, in words."""


def subscribers(context: Context, event: Event) -> tuple[str, ...]:
    """Ids of those who asked to be told of every such event, or of this run's."""
    return tuple(
        key.partition("/")[2]
        for key, value in sorted(context.recall(TOPIC).items())
        if key.startswith(f"{event}/") and _run_of(value) in {ALWAYS, context.run.id}
    )


def to_mention(context: Context, event: Event) -> tuple[str, ...]:
    """The starter of the run and everybody who subscribed, each once."""
    return tuple(dict.fromkeys((context.run.starter, *subscribers(context, event))))


def forget_once(context: Context, event: Event) -> None:
    """The event came: those who asked for this run's only are told no more."""
    for key, value in context.recall(TOPIC).items():
        if key.startswith(f"{event}/") and _run_of(value) == context.run.id:
            context.forget(TOPIC, key)


def subscribe_once(call: Call, event: Event, run_id: int) -> tuple[Change, ...]:
    """The changes that have the caller told of this run's event; nothing if they are told of every one."""
    key = f"{event}/{call.person.id}"
    standing = call.world.journal.recall(TOPIC).get(key)
    if standing is not None and _run_of(standing) == ALWAYS:
        return ()
    return (Remember(TOPIC, key, {"run": run_id}),)


@command("notify", role="observer", example="!notify drain")
def notify(call: Call, event: str = "", *, off: bool = False) -> Outcome:
    """Mention me at the end of every drain, pipecleaner or release; --off ends that. Alone, it lists mine."""
    if not event:
        return _listed(call)
    wanted = _event(event)
    key = f"{wanted}/{call.person.id}"
    if off:
        told = f"I no longer mention you at {ENDS[wanted]}."
        return Outcome(Notice(told), (Forget(TOPIC, key),))
    told = f"I mention you at {ENDS[wanted]}. !notify {wanted} --off ends that."
    return Outcome(Notice(told), (Remember(TOPIC, key, {"run": ALWAYS}),))


def _event(name: str) -> Event:
    """Raises UserError naming the nearest."""
    known = {event.value: event for event in Event}
    found = known.get(name.lower()) or known.get(name.lower().replace("-", "").replace("_", ""))
    if found is None:
        near = nearest(name.lower(), known)
        hint = f" Did you mean {near}?" if near else ""
        raise UserError(f"I can tell you of {listed(list(known))}, not of “{name}”.{hint} !notify lists what you have")
    return found


def _listed(call: Call) -> Outcome:
    """What the caller is told of, and what not."""
    standing = call.world.journal.recall(TOPIC)
    lines = [_line(event, standing.get(f"{event}/{call.person.id}")) for event in Event]
    return Outcome(Notice(f"{call.person.id}, I mention you", lines=tuple(lines)))


def _line(event: Event, standing: object) -> str:
    if standing is None:
        return f"not at {ENDS[event]}: !notify {event} changes that"
    run = _run_of(standing)
    return (
        f"at {ENDS[event]}: !notify {event} --off ends that" if run == ALWAYS else f"once, at the {event} of run {run}"
    )


def _run_of(value: object) -> int:
    return int(value.get("run", ALWAYS)) if isinstance(value, dict) else ALWAYS
