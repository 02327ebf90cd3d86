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
    listed,
    moment,
    span,
)
from kcibot_commands.monitor_flags import MONITOR, PAUSED, MonitorSettings, Pause, read_pause
from kcibot_commands.monitor_run import OPENED

REMINDED = "reminded"
CAME_BACK = "came-back"
STARTING = timedelta(minutes=10)
"""So long the monitor may be enabled for a start that we are making."""
LOUDNESS = (Level.INFO, Level.WARNING, Level.ALERT)
"""Of the first, the second and every further reminder."""


def remind(watcher: Watcher) -> tuple[Change, ...]:
    """Say each time who paused the monitor, when and why; the longer it lasts, the louder."""
    pause = read_pause(watcher.recall(PAUSED).get(MONITOR))
    if pause is None:
        return ()
    count, last = _told(watcher, REMINDED, pause)
    if watcher.now - last < watcher.settings(MonitorSettings).remind:
        return ()
    level = LOUDNESS[min(count, len(LOUDNESS) - 1)]
    title = f"The monitor is paused for {span(watcher.now - pause.since)} now"
    lines = (_story(watcher, pause), "!monitor resume ends it.")
    mentions = (pause.who,) if count else ()
    notice = Notice(title, level, lines, buttons=(Button("Resume", "!monitor resume"),), mentions=mentions)
    return _said(watcher, REMINDED, pause, count + 1, notice)


def watch_flag(watcher: Watcher) -> tuple[Change, ...]:
    """If a job is enabled though we hold it paused, and not by us, ask. What people did is never undone."""
    pause = read_pause(watcher.recall(PAUSED).get(MONITOR))
    enabled = _enabled(watcher, pause) if pause else []
    if pause is None or not enabled:
        return ()
    count, last = _told(watcher, CAME_BACK, pause)
    if count and watcher.now - last < watcher.settings(MonitorSettings).remind:
        return ()
    lines = (
        _story(watcher, pause),
        f"{_whose(watcher, enabled)} !monitor pause disables it again, !monitor resume ends the pause.",
    )
    buttons = (Button("Pause again", "!monitor pause"), Button("End the pause", "!monitor resume"))
    title = f"{listed(enabled)} is enabled, although the monitor is paused. Who wants what?"
    notice = Notice(title, Level.ALERT, lines, buttons=buttons, mentions=(pause.who,))
    return _said(watcher, CAME_BACK, pause, count + 1, notice)


def _enabled(watcher: Watcher, pause: Pause) -> list[str]:
    """Jobs of the pause that are enabled; a Jenkins that cannot be seen says nothing about them."""
    jobs = dict.fromkeys((watcher.settings(MonitorSettings).job, *pause.jobs))
    return [job for job in jobs if not _being_started(watcher, job) and _is_enabled(watcher, job)]


def _is_enabled(watcher: Watcher, job: str) -> bool:
    try:
        return not watcher.ports.ci.job(job).disabled
    except KcibotError:
        return False


def _being_started(watcher: Watcher, job: str) -> bool:
    opened = watcher.recall(OPENED).get(job)
    return isinstance(opened, dict) and watcher.now - datetime.fromisoformat(str(opened["at"])) < STARTING


def _whose(watcher: Watcher, enabled: list[str]) -> str:
    """We may have enabled it for a start, and not been able to disable it again."""
    ours = [job for job in enabled if job in watcher.recall(OPENED)]
    return f"I enabled {listed(ours)} for a start that got stuck." if ours else "I did not enable it."


def _story(watcher: Watcher, pause: Pause) -> str:
    return f"Paused by {pause.who}, {moment(pause.since, watcher.now)}: {pause.why}."


def _told(watcher: Watcher, topic: str, pause: Pause) -> tuple[int, datetime]:
    """How often people were told of this very pause, and when last; never yet counts from its beginning."""
    told = watcher.recall(topic).get(MONITOR)
    if isinstance(told, dict) and told.get("since") == pause.since.isoformat():
        return int(told["count"]), datetime.fromisoformat(str(told["at"]))
    return 0, pause.since


def _said(watcher: Watcher, topic: str, pause: Pause, count: int, notice: Notice) -> tuple[Change, ...]:
    value = {"since": pause.since.isoformat(), "count": count, "at": watcher.now.isoformat()}
    key = f"{topic}:{pause.since.isoformat()}:{count}"
    return (Remember(topic, MONITOR, value), *watcher.say(key, notice))


REMINDER = Watch("paused monitor", timedelta(minutes=5), remind)
FLAG = Watch("flag of the monitor", timedelta(minutes=5), watch_flag)
