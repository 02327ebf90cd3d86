"""Step 9: builds of a pipe cleaner that nobody follows any more, since its run was aborted or stands still."""

from datetime import datetime, timedelta

from kcibot.sdk import (
    BuildRef,
    Change,
    Context,
    Forget,
    KcibotError,
    Level,
    NotFound,
    Notice,
    Remember,
    Watch,
    Watcher,
    span,
)

FOLLOWED = "pipecleaner-followed"
"""Run -> the trigger that it follows, and when it last looked at it."""
STANDS_STILL = timedelta(minutes=15)
EVERY = timedelta(minutes=5)


def followed(context: Context, ref: BuildRef) -> None:
    """Note now and then that this run follows that trigger."""
    now = context.clock.now()
    known = context.recall(FOLLOWED).get(str(context.run.id))
    if isinstance(known, dict) and known["number"] == ref.number and now - _at(known) < EVERY and not known["told"]:
        return
    value = {"job": ref.job, "number": ref.number, "at": now.isoformat(), "told": False}
    context.remember(FOLLOWED, str(context.run.id), value)


def no_longer_followed(context: Context) -> None:
    context.forget(FOLLOWED, str(context.run.id))


def _at(value: dict[str, object]) -> datetime:
    return datetime.fromisoformat(str(value["at"]))


def watch_left(watcher: Watcher) -> tuple[Change, ...]:
    """Say once of each trigger that still builds although its run does not look at it any more."""
    changes: list[Change] = []
    for run, value in watcher.recall(FOLLOWED).items():
        if isinstance(value, dict) and not value["told"] and watcher.now - _at(value) > STANDS_STILL:
            changes += _left(watcher, run, value)
    return tuple(changes)


def _left(watcher: Watcher, run: str, value: dict[str, object]) -> tuple[Change, ...]:
    ref = BuildRef(str(value["job"]), int(str(value["number"])))
    try:
        build = watcher.ports.ci.build(ref)
    except NotFound:
        return (Forget(FOLLOWED, run),)
    except KcibotError:
        return ()  # it is looked at again at the next round
    if not build.building:
        return (Forget(FOLLOWED, run),)
    title = f"{ref} goes on building, but run {run} has not looked at it for {span(watcher.now - _at(value))}"
    lines = (
        "The run was aborted or stands still. What its builds send to the labs and to the results API arrives.",
        f"!release continue or retry follows them again; to end them, stop {ref} on Jenkins: {build.url}",
    )
    said = watcher.say(f"left:{run}:{ref}", Notice(title, Level.WARNING, lines))
    return (*said, Remember(FOLLOWED, run, {**value, "told": True}))


LEFT = Watch("pipe cleaner left", EVERY, watch_left)
