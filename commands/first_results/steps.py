"""Step 10, last part: see that the monitor starts builds again, and have its first results watched from then on.

The release waits only until the first kernels are being built. What their results are worth shows in hours: a watch
of its own follows them (`watch`), whatever becomes of this run.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar

from kcibot.sdk import (
    Build,
    BuildRef,
    BuildResult,
    Button,
    Context,
    Done,
    KcibotError,
    Level,
    Needed,
    Notice,
    Preview,
    Step,
    StepState,
    TransientError,
    Wait,
    listed,
    span,
)
from kcibot_commands.first_results.state import WATCHED, Watched
from kcibot_commands.monitor.flags import MonitorSettings
from kcibot_commands.monitor.run import CONFIG_LIST
from kcibot_commands.monitor.steps import start_monitor_once
from kcibot_commands.notify import Event, to_mention
from kcibot_commands.pipecleaner.configs import PipecleanerSettings
from kcibot_commands.plan.steps import plan
from kcibot_commands.rules.first_results import Limits, too_many
from kcibot_commands.rules.problem import worded

RECENT = 200
KERNELS = 300
LOOK_AGAIN = timedelta(minutes=1)
FEW = 5
PAUSE = Button("Pause the monitor", "!monitor pause")


@dataclass(frozen=True)
class FirstResultsSettings:
    """How the first builds after a release are watched, and when their results are much worse than before.

    `seen_within`: how long the release waits for the first kernels. `watch`: for how long after that what the monitor
    starts is followed; `look` lies between two looks. `history`: how many earlier revisions of the same branch are
    compared with. `labs_after`: a lab that has sent nothing so long after the last build is silent. `limits`: what is
    much worse. `at_once`: the share of all build configs which no run of the monitor starts for new commits alone.
    """

    section: ClassVar[str] = "first_results"
    seen_within: timedelta = timedelta(minutes=10)
    watch: timedelta = timedelta(hours=6)
    look: timedelta = timedelta(minutes=5)
    history: int = 5
    labs_after: timedelta = timedelta(hours=2)
    limits: Limits = field(default_factory=Limits)
    at_once: float = 0.5


@dataclass(frozen=True)
class FirstResults:
    """The monitor's first build, the build configs that it started, and how many of their kernels were seen.

    What it starts is followed until `until`.
    """

    monitor: BuildRef
    configs: tuple[str, ...]
    kernels: int = 0
    until: datetime | None = None


@dataclass(frozen=True)
class Seen:
    """What one build of the monitor started, as Jenkins shows it now."""

    triggers: tuple[Build, ...]
    kernels: tuple[Build, ...]

    @property
    def configs(self) -> tuple[str, ...]:
        return tuple(sorted({config_of(one) for one in self.triggers}))

    @property
    def building(self) -> bool:
        """Whether each trigger has kernels, or came to its end without."""
        with_kernels = {one.upstream for one in self.kernels}
        return all(one.ref in with_kernels or not one.building for one in self.triggers)


def config_of(one: Build) -> str:
    return one.parameters.get("BUILD_CONFIG", str(one.ref))


# ---- the step --------------------------------------------------------------------------------------------------


def watch_needed(context: Context) -> Needed:
    """Also for a monitor that people started by hand, and skipped the step for."""
    record = next((one for one in context.run.steps if one.id == start_monitor_once.id), None)
    idle = record is None or record.state is StepState.NOT_NEEDED
    return Needed(not idle, "the monitor was not started here" if idle else "")


def watch_preview(context: Context) -> Preview:
    length = context.settings(FirstResultsSettings).watch
    return Preview({}, (f"see it build, then compare for {span(length)} what it starts with what was before",))


def watch(context: Context) -> Done[FirstResults] | Wait:
    """See that the monitor starts builds again and that kernels get built; nothing new is no fault."""
    settings, now = context.settings(FirstResultsSettings), context.clock.now()
    began = datetime.fromisoformat(context.keep("since", now.isoformat))
    try:
        monitor = BuildRef(context.settings(MonitorSettings).job, context.keep("first build", lambda: _first(context)))
        seen = _seen(context, monitor)
    except TransientError as error:
        return Wait(now + LOOK_AGAIN, f"{error} I look again.")
    if _early(context, seen) and now < began + settings.seen_within:
        return Wait(min(now + LOOK_AGAIN, began + settings.seen_within), _said(monitor, seen))
    until = now + settings.watch
    configs = context.keep("configs", lambda: _configs(context))
    told = _tell_storm(context, monitor, seen, configs)
    _hand_on(context, Watched(context.run.id, context.run.title, (), monitor.number, configs, now, until, bad=told))
    text = f"{_said(monitor, seen)}; what it starts is watched until {until:%a %d %b %H:%M} UTC"
    return Done(text, FirstResults(monitor, seen.configs, len(seen.kernels), until))


def _first(context: Context) -> int:
    """The number of the build that was started here, or by hand instead; one for chosen configs is an earlier one."""
    if context.has_result(start_monitor_once):
        return context.result(start_monitor_once).build.number
    ci, job = context.ports.ci, context.settings(MonitorSettings).job
    for build in ci.builds(job, 1):
        chosen = bool(build.parameters.get(CONFIG_LIST))
        return build.ref.number + chosen
    return ci.job(job).next_build


def _early(context: Context, seen: Seen) -> bool:
    """Whether something is still to come: a trigger that waits in the queue, or the first kernels."""
    expected = context.result(start_monitor_once).triggers if context.has_result(start_monitor_once) else 0
    return len(seen.triggers) < expected or not seen.building


def _seen(context: Context, monitor: BuildRef) -> Seen:
    """Two requests, however much it started."""
    ci = context.ports.ci
    job, kernel_job = context.settings(MonitorSettings).trigger_job, context.settings(PipecleanerSettings).kernel_job
    triggers = tuple(one for one in ci.builds(job, RECENT) if one.upstream == monitor)
    parents = {one.ref for one in triggers}
    kernels = tuple(one for one in ci.builds(kernel_job, KERNELS) if one.upstream in parents)
    return Seen(triggers, kernels)


def _said(monitor: BuildRef, seen: Seen) -> str:
    if not seen.configs:
        return f"{monitor} found no new commit to build, its next run shows more"
    empty = [one for one in seen.triggers if not one.building and one.result is not BuildResult.SUCCESS]
    ended = f", {worded(len(empty), 'trigger')} ended early" if empty else ""
    return f"{monitor} started {named(seen.configs)}: {worded(len(seen.kernels), 'kernel')} seen so far{ended}"


def named(names: tuple[str, ...]) -> str:
    """The first few of them by name."""
    rest = [f"{len(names) - FEW} more"] if len(names) > FEW else []
    return listed([*names[:FEW], *rest])


def _configs(context: Context) -> int:
    """How many build configs the monitor looks after; 0 if that cannot be told."""
    settings = context.settings(PipecleanerSettings)
    if not context.has_result(plan):
        return 0
    try:
        git, commit = (
            context.ports.git.remote(settings.component),
            context.result(plan).part(settings.component).release,
        )
        document = git.document(commit, settings.build_configs)
    except KcibotError:
        return 0
    found = document.get("build_configs") if isinstance(document, dict) else None
    return len(found) if isinstance(found, dict) else 0


def _tell_storm(context: Context, monitor: BuildRef, seen: Seen, configs: int) -> tuple[int, ...]:
    """The build's number, if there was reason to."""
    if not too_many(len(seen.configs), configs, context.settings(FirstResultsSettings).at_once, FEW):
        return ()
    context.say("too many", storm(monitor.number, len(seen.configs), configs, (context.run.starter,)))
    return (monitor.number,)


def storm(number: int, started: int, configs: int, mentions: tuple[str, ...]) -> Notice:
    """Every tree at once is no news of every tree."""
    title = f"Build {number} of the monitor started {started} of {configs} build configs at once"
    lines = (
        "It takes a storage that does not answer for news on every tree: see whether last-commit files can be read.",
        "!monitor pause ends that; triggers in the queue are cancelled on Jenkins.",
    )
    return Notice(title, Level.ALERT, lines, buttons=(PAUSE,), mentions=mentions)


def _hand_on(context: Context, begun: Watched) -> None:
    """From now on it is the watch's own; it may have begun before a restart."""
    begun = replace(begun, mentions=to_mention(context, Event.RELEASE))
    context.claim(WATCHED, str(context.run.id), begun.json)


watch_first_results = Step(
    "watch-first-results",
    "First results seen",
    watch,
    FirstResults,
    needed=watch_needed,
    preview=watch_preview,
    after=(start_monitor_once,),
    limit=timedelta(hours=24),
)
