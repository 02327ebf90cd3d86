"""Step 9, second part: exactly one build config is started, and the trigger found that its builds hang on."""

from dataclasses import replace
from datetime import timedelta

from kcibot.sdk import Build, BuildRef, Context, PermanentError, Wait
from kcibot_commands import starts
from kcibot_commands.monitor.run import run_monitor_for
from kcibot_commands.pipecleaner.configs import How, PipecleanerSettings
from kcibot_commands.pipecleaner.state import Following
from kcibot_commands.starts import Start

STARTED = "pipecleaner-started"
GIVEN_UP = "pipecleaner-given-up"
RECENT = 50
SOON = timedelta(seconds=5)
LOOKS_BEFORE_NOTHING = 3
"""So often the trigger may be neither queued nor running although the monitor ended: it is between the two."""


def begun(context: Context, commit: str, step_id: str) -> Following:
    """Where the step is: what its last wait kept, or a start, with ALLOW_REBUILD if it may have been built before."""
    attempt = context.recall(GIVEN_UP).get(_key(context, step_id), 0)
    state = Following.read(context.memory)
    if isinstance(attempt, int) and attempt > state.attempt:
        return Following(attempt=attempt, rebuild=True)
    if state.trigger or state.monitor or state.rebuild:
        return state
    before = context.recall(STARTED).get(commit)
    # the branch of somebody else's tree may have nothing new, and is to be built all the same
    built = before not in {None, _key(context, step_id)} if commit else True
    return replace(state, rebuild=built)


def _key(context: Context, step_id: str) -> str:
    return f"{context.run.id}.{step_id}.{context.run.step(step_id).round}"


def find_trigger(context: Context, config: str, commit: str, step_id: str, state: Following) -> Following | Wait:
    """What is known once the trigger's build is, or a wait until then, which keeps how far it is.

    Raises PermanentError if there is nothing to build; a retry then builds the commit again.
    """
    if commit:
        context.remember(STARTED, commit, _key(context, step_id))
    if state.rebuild or context.settings(PipecleanerSettings).how is How.TRIGGER_JOB:
        one = _start_of(context, config, state)
        if one.disabled:
            raise PermanentError(f"{one.job} is disabled on Jenkins, so nothing can be built with it")
        found = starts.build_of(context, one, starts.start(context, one))
    elif not state.monitor:
        _first_trigger(context)
        found = run_monitor_for(context, (config,))
        if isinstance(found, BuildRef):
            monitor = found.job
            context.keep("monitor job", lambda: monitor)
            return find_trigger(context, config, commit, step_id, replace(state, monitor=found.number))
    else:
        return _by_monitor(context, config, step_id, state)
    if isinstance(found, Wait):
        return Wait(found.until, found.text, state.json)
    return replace(state, trigger=found.number)


def _first_trigger(context: Context) -> int:
    """The lowest number that the trigger's build can have: the branch was moved before."""
    job = context.settings(PipecleanerSettings).trigger_job
    return context.keep("first trigger", lambda: context.ports.ci.job(job).next_build)


def _start_of(context: Context, config: str, state: Following) -> Start:
    parameters = {"BUILD_CONFIG": config, **({"ALLOW_REBUILD": "true"} if state.rebuild else {})}
    return starts.prepared(context, context.settings(PipecleanerSettings).trigger_job, parameters)


def give_up(context: Context, config: str, step_id: str, state: Following) -> None:
    """That start came to nothing: the next try begins anew, and builds the commit although it may have been built."""
    context.remember(GIVEN_UP, _key(context, step_id), state.attempt + 1)
    if state.rebuild or context.settings(PipecleanerSettings).how is How.TRIGGER_JOB:
        starts.give_up(context, _start_of(context, config, state))


def _by_monitor(context: Context, config: str, step_id: str, state: Following) -> Following | Wait:
    """The trigger which that build of the monitor caused. What leaves the queue meanwhile is then seen as a build.

    The monitor's timer may have rung while the monitor was enabled for our start: then its build took the commit.
    """
    ci, job = context.ports.ci, context.settings(PipecleanerSettings).trigger_job
    now, first = context.clock.now(), _first_trigger(context)
    ref = BuildRef(context.keep("monitor job", lambda: ""), state.monitor)
    monitor = ci.build(ref)
    queued = any(i.job == job and i.parameters.get("BUILD_CONFIG") == config for i in ci.look().queued)
    for one in ci.builds(job, RECENT):
        mine = one.upstream == ref or (one.upstream and one.upstream.job == ref.job and one.ref.number >= first)
        if mine and one.parameters.get("BUILD_CONFIG") == config:
            return replace(state, trigger=one.ref.number)
    if monitor.building or queued:
        return Wait(now + SOON, f"{ref} looks for the new commit", replace(state, missed=0).json)
    if state.missed + 1 >= LOOKS_BEFORE_NOTHING:
        give_up(context, config, step_id, state)
        raise PermanentError(_nothing(config, monitor))
    return Wait(
        now + SOON, f"{ref} has ended; its trigger is not there yet", replace(state, missed=state.missed + 1).json
    )


def _nothing(config: str, monitor: Build) -> str:
    result = monitor.result.value if monitor.result else "nothing"
    return (
        f"{monitor.ref} ended as {result} and started no build of {config}: it saw no new commit on the branch "
        f"({monitor.url}). A retry builds the commit again, without the monitor"
    )
