"""Who wants to be told when something ends, and telling them: `!notify`, and what steps use to mention people."""

from enum import StrEnum

from kcibot.sdk import Call, Change, Context, Forget, Notice, Outcome, Remember, command

TOPIC = "notify"
ALWAYS = 0


class Event(StrEnum):
    """What people may be told of."""

    DRAIN = "drain"
    PIPECLEANER = "pipecleaner"
    RELEASE = "release"


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
def notify(call: Call, event: Event, *, off: bool = False) -> Outcome:
    """Mention me whenever that ends; --off ends it."""
    key = f"{event}/{call.person.id}"
    if off:
        return Outcome(Notice(f"I no longer mention you at the end of a {event}."), (Forget(TOPIC, key),))
    return Outcome(
        Notice(f"I mention you at the end of every {event}. !notify {event} --off ends that."),
        (Remember(TOPIC, key, {"run": ALWAYS}),),
    )


def _run_of(value: object) -> int:
    return int(value.get("run", ALWAYS)) if isinstance(value, dict) else ALWAYS
