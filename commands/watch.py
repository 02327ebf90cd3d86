"""What is watched apart from any run: that a paused monitor is not forgotten, and that it stays paused."""

from datetime import datetime, timedelta

from kcibot.sdk import (
    Button,
    Change,
    KcibotError,
    Level,
    Notice,
    Remember,
    Watch,
    Watcher,
    is_or_are,
    listed,
    moment,
    span,
)
from kcibot_commands.monitor.flags import (
    MONITOR,
    OPENED,
    PAUSED,
    MonitorSettings,
    Opened,
    Pause,
    read_opened,
    read_pause,
)
from kcibot_commands.production import LOCK, PRODUCTION

REMINDED = "reminded"
CAME_BACK = "came-back"
LEFT_OPEN = "left-open"
ABORTED = "aborted"
"""PRODUCTION -> the newest run that was aborted: a lock that it left is nobody's work any more."""
LOUDNESS = (Level.INFO, Level.WARNING, Level.ALERT)
"""Of the first, the second and every further reminder."""
RESUME, END = Button("Resume", "!monitor resume"), Button("End the pause", "!monitor resume")
AGAIN = Button("Pause again", "!monitor pause")


def remind(watcher: Watcher) -> tuple[Change, ...]:
    """Say each time who paused the monitor, when and why; the longer it lasts, the louder."""
    pause = read_pause(watcher.recall(PAUSED).get(MONITOR))
    if pause is None:
        return ()
    count, last = _told(watcher, REMINDED, MONITOR, pause.since)
    if watcher.now - last < watcher.settings(MonitorSettings).remind:
        return ()
    level = LOUDNESS[min(count, len(LOUDNESS) - 1)]
    title = f"The monitor is paused for {span(watcher.now - pause.since)} now"
    holder = _holder(watcher, pause)
    lines = (_story(watcher, pause), holder or "!monitor resume ends it.")
    buttons = () if holder else (RESUME,)
    notice = Notice(title, level, lines, buttons=buttons, mentions=(pause.who,) if count else ())
    return _said(watcher, REMINDED, MONITOR, pause.since, count + 1, notice)


def watch_flag(watcher: Watcher) -> tuple[Change, ...]:
    """If a job is enabled though it should not be, ask. What people did is never undone."""
    pause = read_pause(watcher.recall(PAUSED).get(MONITOR))
    held = tuple(dict.fromkeys((watcher.settings(MonitorSettings).job, *pause.jobs))) if pause else ()
    came_back = _came_back(watcher, pause, held) if pause else ()
    return (*came_back, *_left_open(watcher, held))


def _came_back(watcher: Watcher, pause: Pause, held: tuple[str, ...]) -> tuple[Change, ...]:
    """Jobs of the pause that are enabled, and not by us for a start that goes on."""
    enabled = [job for job in held if not _being_started(watcher, job) and _is_enabled(watcher, job)]
    count, last = _told(watcher, CAME_BACK, MONITOR, pause.since)
    if not enabled or (count and watcher.now - last < watcher.settings(MonitorSettings).remind):
        return ()
    holder = _holder(watcher, pause)
    ends = holder or "!monitor resume ends the pause."
    lines = (_story(watcher, pause), f"{_whose(watcher, enabled)} !monitor pause disables it again. {ends}")
    buttons = (AGAIN,) if holder else (AGAIN, END)
    title = f"{listed(enabled)} {is_or_are(enabled)} enabled, although the monitor is paused. Who wants what?"
    notice = Notice(title, Level.ALERT, lines, buttons=buttons, mentions=(pause.who,))
    return _said(watcher, CAME_BACK, MONITOR, pause.since, count + 1, notice)


def _left_open(watcher: Watcher, held: tuple[str, ...]) -> tuple[Change, ...]:
    """Jobs that a run enabled for its start and does not look after any more; those of the pause are told with it."""
    changes: list[Change] = []
    for job, value in watcher.recall(OPENED).items():
        opened = read_opened(value)
        if opened and job not in held and opened.stands_still(watcher.now) and _is_enabled(watcher, job):
            changes += _asked_about(watcher, job, opened)
    return tuple(changes)


def _asked_about(watcher: Watcher, job: str, opened: Opened) -> tuple[Change, ...]:
    count, last = _told(watcher, LEFT_OPEN, job, opened.at)
    if count and watcher.now - last < watcher.settings(MonitorSettings).remind:
        return ()
    pausing = job == watcher.settings(MonitorSettings).job
    when, number = moment(opened.at, watcher.now), opened.run
    lines = (
        f"I enabled it for a start of run {number}, which was last seen to go on {when}. It was disabled before.",
        f"While that run is open, !release continue, or abort, with --run {number} disables it.",
        f"If it has ended, {'!monitor pause' if pausing else 'somebody on Jenkins'} disables it.",
    )
    title = f"{job} is enabled for a start that got stuck. Who wants what?"
    notice = Notice(title, Level.ALERT, lines, buttons=(Button("Pause", "!monitor pause"),) if pausing else ())
    return _said(watcher, LEFT_OPEN, job, opened.at, count + 1, notice)


def _is_enabled(watcher: Watcher, job: str) -> bool:
    """A Jenkins that cannot be seen says nothing about it."""
    try:
        return not watcher.ports.ci.job(job).disabled
    except KcibotError:
        return False


def _being_started(watcher: Watcher, job: str) -> bool:
    opened = read_opened(watcher.recall(OPENED).get(job))
    return opened is not None and not opened.stands_still(watcher.now)


def _whose(watcher: Watcher, enabled: list[str]) -> str:
    """We may have enabled it for a start, and not been able to disable it again."""
    ours = [job for job in enabled if job in watcher.recall(OPENED)]
    return f"I enabled {listed(ours)} for a start that got stuck." if ours else "I did not enable it."


def _story(watcher: Watcher, pause: Pause) -> str:
    return f"Paused by {pause.who}, {moment(pause.since, watcher.now)}: {pause.why}."


def _holder(watcher: Watcher, pause: Pause) -> str:
    """Which run that changes production keeps it paused; empty if none does, or people have ended that run."""
    lock = watcher.recall(LOCK).get(PRODUCTION)
    number = lock.get("run") if isinstance(lock, dict) else 0
    if not isinstance(lock, dict) or not number or watcher.recall(ABORTED).get(PRODUCTION) == number:
        return ""
    run = f"{lock.get('reason')} (run {number})"
    if pause.run == number:
        return f"It belongs to {run}, whose end enables it: !release status --run {number} shows where that is."
    return f"{run} changes production now: !monitor resume is for after its end."


def _told(watcher: Watcher, topic: str, key: str, since: datetime) -> tuple[int, datetime]:
    """How often people were told of this very thing, and when last; never yet counts from its beginning."""
    told = watcher.recall(topic).get(key)
    if isinstance(told, dict) and told.get("since") == since.isoformat():
        return int(told["count"]), datetime.fromisoformat(str(told["at"]))
    return 0, since


def _said(watcher: Watcher, topic: str, key: str, since: datetime, count: int, notice: Notice) -> tuple[Change, ...]:
    value = {"since": since.isoformat(), "count": count, "at": watcher.now.isoformat()}
    name = f"{topic}:{since.isoformat()}:{count}" if key == MONITOR else f"{topic}:{key}:{since.isoformat()}:{count}"
    return (Remember(topic, key, value), *watcher.say(name, notice))


REMINDER = Watch("paused monitor", timedelta(minutes=5), remind)
FLAG = Watch("flag of the monitor", timedelta(minutes=5), watch_flag)
