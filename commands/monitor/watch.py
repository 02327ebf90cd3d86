"""A monitor that fails, or does not start any more, is noticed within a day, whether or not there was a release."""

from datetime import timedelta

from kcibot.sdk import Build, BuildResult, Change, Forget, Level, Notice, Remember, Watch, Watcher, span
from kcibot_commands.first_results.state import WATCHED
from kcibot_commands.monitor.flags import MONITOR, PAUSED, MonitorSettings

FAILING = "monitor-failing"
SILENT = "monitor-silent"
"""Monitor -> the number of the build that people were told of."""
EVERY = timedelta(minutes=30)
NEWEST = 5


def watch_builds(watcher: Watcher) -> tuple[Change, ...]:
    """One request. A paused monitor has its own reminder, and after a release the first results are watched anyway."""
    if watcher.recall(PAUSED).get(MONITOR) or watcher.recall(WATCHED):
        return ()
    settings = watcher.settings(MonitorSettings)
    builds = watcher.ports.ci.builds(settings.job, NEWEST)
    ended = next((one for one in builds if not one.building), None)
    failing = _failing(watcher, ended) if ended else ()
    return (*failing, *(_silent(watcher, builds[0]) if builds else ()))


def _failing(watcher: Watcher, newest: Build) -> tuple[Change, ...]:
    """Told once until it goes well again."""
    told = watcher.recall(FAILING).get(MONITOR)
    if newest.result is BuildResult.SUCCESS:
        return (Forget(FAILING, MONITOR),) if told else ()
    if told:
        return ()
    result = newest.result.value if newest.result else "nothing"
    lines = ("What it did not look at is not built. I say it once, until a build of it goes well again.", newest.url)
    return _said(watcher, FAILING, newest, Notice(f"{newest.ref} ended as {result}", Level.ALERT, lines))


def _silent(watcher: Watcher, newest: Build) -> tuple[Change, ...]:
    """It is enabled, and yet nothing starts it: its timer is lost, or Jenkins has nowhere to run it."""
    settings, told = watcher.settings(MonitorSettings), watcher.recall(SILENT).get(MONITOR)
    since = watcher.now - newest.started
    if since < settings.silent_after or told == newest.ref.number or watcher.ports.ci.job(settings.job).disabled:
        return ()
    title = f"{settings.job} has not run for {span(since)}, although it is enabled"
    lines = ("A restart of Jenkins loses its timer: !monitor status says whether it has one.", newest.url)
    return _said(watcher, SILENT, newest, Notice(title, Level.ALERT, lines))


def _said(watcher: Watcher, topic: str, newest: Build, notice: Notice) -> tuple[Change, ...]:
    number = newest.ref.number
    return (Remember(topic, MONITOR, number), *watcher.say(f"{topic}:{number}", notice))


BUILDS = Watch("builds of the monitor", EVERY, watch_builds)
