"""Step 9, fourth part: the step that starts a pipe cleaner and stays with it to its end."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kcibot.sdk import (
    BuildRef,
    Context,
    Done,
    Level,
    Notice,
    PermanentError,
    Preview,
    Revision,
    Step,
    TransientError,
    Wait,
    span,
)
from kcibot_commands.monitor_flags import stop_build
from kcibot_commands.pipecleaner_configs import How, PipecleanerSettings, chosen_config, described, resolved
from kcibot_commands.pipecleaner_follow import FailedBuild, Following, Seen, failed, look, progress, progress_of
from kcibot_commands.pipecleaner_prepare import Prepared, prepare_pipe_cleaner
from kcibot_commands.pipecleaner_start import begun, find_trigger, give_up
from kcibot_commands.rules.kernel_releases import series_of
from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.results import Ended

TOPIC = "pipecleaner"
LAST = "last"
STOPS = "pipecleaner-stops"
TOLD_AT_ONCE = 10
COUNTS = 6


@dataclass(frozen=True)
class Cleaned:
    """A pipe cleaner that came to its end: what was built, how it ended, and the kernels that failed."""

    config: str
    tree: str
    branch: str
    kernel: str
    commit: str
    series: str
    trigger: BuildRef
    url: str
    began: datetime
    ended: Ended
    kernels: int
    failed: tuple[FailedBuild, ...]

    @property
    def revision(self) -> Revision:
        return Revision(self.tree, self.branch, self.kernel)


def run(context: Context) -> Done[Cleaned] | Wait:
    """Start it, find its trigger, and look again and again. What cannot be seen for a while is looked at again."""
    prepared = _prepared(context)
    commit = prepared.commit if prepared else ""
    state = begun(context, commit, STEP_ID)
    if not state.trigger:
        _refuse_stopped(context)
        found = find_trigger(context, chosen_config(context), commit, STEP_ID, state)
        if isinstance(found, Wait):
            return found
        state = found
    try:
        return _followed(context, state)
    except TransientError as error:
        return Wait(
            context.clock.now() + context.settings(PipecleanerSettings).look, f"{error} I look again.", state.json
        )


def _refuse_stopped(context: Context) -> None:
    if str(context.run.id) in context.recall(STOPS):
        context.forget(STOPS, str(context.run.id))
        raise PermanentError("it was stopped before a build of it was seen; look at Jenkins whether one began")


def _prepared(context: Context) -> Prepared | None:
    return context.result(prepare_pipe_cleaner) if context.has_result(prepare_pipe_cleaner) else None


def _followed(context: Context, state: Following) -> Done[Cleaned] | Wait:
    settings, now = context.settings(PipecleanerSettings), context.clock.now()
    ref = BuildRef(settings.trigger_job, state.trigger)
    late = now - (context.run.step(STEP_ID).started_at or now) > settings.timeout
    stopped = str(context.run.id) in context.recall(STOPS)
    if state.tests >= 0 and not late and not stopped and now < _count_at(state, settings):
        return Wait(min(now + settings.look, _count_at(state, settings)), context.run.step(STEP_ID).text, state.json)
    seen, state = look(context, ref, state)
    context.report(progress(seen, state, now), progress_of(seen, state))
    state = _tell(context, seen, state, last=seen.idle or late or stopped)
    if stopped:
        stop_build(context, seen.trigger.ref)
        context.forget(STOPS, str(context.run.id))
        return _done(context, seen, state, Ended.STOPPED)
    if seen.cut_off:
        _refuse_empty(context, seen, state)
        return _done(context, seen, state, Ended.STOPPED)
    if late:
        return _done(context, seen, state, Ended.TIME_LIMIT)
    if not seen.complete:
        return Wait(now + settings.look, progress(seen, state, now), state.json)
    return _labs(context, seen, state)


def _refuse_empty(context: Context, seen: Seen, state: Following) -> None:
    """A trigger that built nothing is nothing to be judged."""
    if seen.builds:
        return
    give_up(context, chosen_config(context), STEP_ID, state)
    result = seen.trigger.result.value if seen.trigger.result else "nothing"
    raise PermanentError(
        f"{seen.trigger.ref} ended as {result} and built nothing ({seen.trigger.url}). "
        "A retry builds the commit again, also if it was built before"
    )


# ---- the labs --------------------------------------------------------------------------------------------------


def _labs(context: Context, seen: Seen, state: Following) -> Done[Cleaned] | Wait:
    """All is built. The labs go on: they are done when nothing has come from them for a while."""
    settings, now = context.settings(PipecleanerSettings), context.clock.now()
    if not settings.tests_quiet or state.revision is None:
        return _done(context, seen, state, Ended.COMPLETE)
    tests = context.ports.results.tests(state.revision)
    count = sum(one.passed + one.failed for one in tests)
    if count != state.tests:
        state = replace(state, tests=count, tests_at=now.isoformat())
    elif now >= datetime.fromisoformat(state.tests_at) + settings.tests_quiet:
        return _done(context, seen, state, Ended.COMPLETE)
    state = replace(state, tests_seen=now.isoformat())
    labs = worded(len({one.lab for one in tests}), "lab")
    text = f"all {state.total} kernels built; {worded(count, 'test result')} from {labs} so far"
    return Wait(min(now + settings.look, _count_at(state, settings)), text, state.json)


def _count_at(state: Following, settings: PipecleanerSettings) -> datetime:
    """Test results take many requests to count, so they are counted a few times only in the span that shows quiet."""
    return datetime.fromisoformat(state.tests_seen) + settings.tests_quiet / COUNTS


# ---- ends ------------------------------------------------------------------------------------------------------


def _tell(context: Context, seen: Seen, state: Following, *, last: bool) -> Following:
    """Name failures, some at a time: the rooms are not to be flooded."""
    fresh = [one for one in failed(seen) if one.number not in state.told]
    if not fresh or (len(fresh) < TOLD_AT_ONCE and not last):
        return state
    title = f"Pipe cleaner {state.kernel}: {worded(len(fresh), 'kernel')} failed"
    notice = Notice(title, Level.WARNING, tuple(one.line for one in fresh))
    context.say(f"failed after {len(state.told)}", notice)
    return replace(state, told=(*state.told, *(one.number for one in fresh)))


def _done(context: Context, seen: Seen, state: Following, ended: Ended) -> Done[Cleaned]:
    prepared = _prepared(context)
    cleaned = Cleaned(
        config=chosen_config(context),
        tree=state.tree,
        branch=state.branch,
        kernel=state.kernel,
        commit=prepared.commit if prepared else seen.trigger.parameters.get("COMMIT_ID", ""),
        series=prepared.series if prepared else series_of(state.kernel),
        trigger=seen.trigger.ref,
        url=seen.trigger.url,
        began=seen.trigger.started,
        ended=ended,
        kernels=len(seen.ended),
        failed=failed(seen),
    )
    context.remember(TOPIC, LAST, {"run": context.run.id})
    took = span(context.clock.now() - seen.trigger.started)
    how = {Ended.COMPLETE: "", Ended.STOPPED: "stopped, ", Ended.TIME_LIMIT: "not complete in time, "}.get(ended, "")
    text = f"{how}{worded(cleaned.kernels, 'kernel')}, {len(cleaned.failed)} failed, in {took}"
    return Done(text, cleaned)


# ---- the step --------------------------------------------------------------------------------------------------


def preview(context: Context) -> Preview:
    settings = context.settings(PipecleanerSettings)
    config = resolved(context, chosen_config(context))
    facts: Mapping[str, object] = {"config": config.name, "how": settings.how.value}
    how = "the monitor for it alone" if settings.how is How.MONITOR else settings.trigger_job
    return Preview(facts, (f"build {config.name} ({', '.join(described(config))}), started by {how}",))


STEP_ID = "run-pipe-cleaner"
run_pipe_cleaner = Step(
    STEP_ID,
    "Pipe cleaner",
    run,
    Cleaned,
    preview=preview,
    after=(prepare_pipe_cleaner,),
    limit=timedelta(hours=48),
)
