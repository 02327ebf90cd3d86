"""A production lock that no run is working under is not forgotten: one taken by hand, or left by an aborted run."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from kcibot.sdk import Change, Level, Notice, Remember, Watch, Watcher, span
from kcibot_commands.locks import LOCK, PRODUCTION, Lock, as_line, read_lock
from kcibot_commands.watch import ABORTED

REMINDED = "lock-reminded"
LOOK_AGAIN = timedelta(minutes=5)


@dataclass(frozen=True)
class LockSettings:
    """`remind`: after how long people are told again that production is locked, if no run is at work there."""

    section: ClassVar[str] = "lock"
    remind: timedelta = timedelta(hours=4)


def remind(watcher: Watcher) -> tuple[Change, ...]:
    """Say who has it and why, each time that the span has passed; the person is called."""
    held = read_lock(watcher.recall(LOCK).get(PRODUCTION))
    if held is None or not _idle(watcher, held):
        return ()
    age = watcher.now - held.since
    told = {"since": held.since.isoformat(), "count": age // max(watcher.settings(LockSettings).remind, LOOK_AGAIN)}
    if not told["count"] or watcher.recall(REMINDED).get(PRODUCTION) == told:
        return ()
    title = f"Production is locked for {span(age)} now, and no run is at work there"
    lines = (f"{as_line(held, watcher.now)}.", "!unlock opens it.")
    notice = Notice(title, Level.WARNING, lines, mentions=(held.who,))
    key = f"{REMINDED}:{told['since']}:{told['count']}"
    return (Remember(REMINDED, PRODUCTION, told), *watcher.say(key, notice))


def _idle(watcher: Watcher, held: Lock) -> bool:
    return not held.run or watcher.recall(ABORTED).get(PRODUCTION) == held.run


REMINDER = Watch("production lock", LOOK_AGAIN, remind)
