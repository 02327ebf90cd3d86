"""Step 9, fourth part: the step that starts a pipe cleaner and stays with it to its end."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from kcibot.sdk import (
    BuildRef,
    Context,
    Done,
    KcibotError,
    PermanentError,
    Preview,
    Step,
    TransientError,
    Wait,
    span,
)
from kcibot_commands.pipecleaner.again import build_again, retried
from kcibot_commands.pipecleaner.attempts import failures_before, remember_failures
from kcibot_commands.pipecleaner.base import as_it_is
from kcibot_commands.pipecleaner.cleaned import Cleaned
from kcibot_commands.pipecleaner.configs import (
    How,
    PipecleanerSettings,
    chosen_config,
    described,
    repository_of,
    resolved,
)
from kcibot_commands.pipecleaner.follow import first_builds, look, seen_before, where
from kcibot_commands.pipecleaner.labs import left, silence, silent_for
from kcibot_commands.pipecleaner.left import followed, no_longer_followed
from kcibot_commands.pipecleaner.prepare import Prepared, prepare_pipe_cleaner
from kcibot_commands.pipecleaner.progress import progress, progress_of, remember_durations, usual_durations
from kcibot_commands.pipecleaner.record import Built, Record
from kcibot_commands.pipecleaner.start import begun, find_trigger, give_up
from kcibot_commands.pipecleaner.state import FailedBuild, Following, Seen
from kcibot_commands.pipecleaner.stop import STOPS, asked, over, refuse_stopped, stop_builds
from kcibot_commands.pipecleaner.tests_again import start_tests_again
from kcibot_commands.pipecleaner.told import tell
from kcibot_commands.rules.kernel_releases import series_of
from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.results import Ended, KernelKey

__all__ = ["LAST", "STEP_ID", "STOPS", "TOPIC", "Cleaned", "run_pipe_cleaner"]

TOPIC = "pipecleaner"
LAST = "last"
JENKINS = "Jenkins"
LOOKS_AT_THE_END = 3
"""So often Jenkins is asked in vain before a run that is over is judged without it."""


def run(context: Context) -> Done[Cleaned] | Wait:
    """Start it, find its trigger, and look again and again. What cannot be seen for a while is looked at again."""
    first_builds(context)
    commit = _commit(context)
    state = begun(context, commit, STEP_ID)
    if not state.trigger:
        refuse_stopped(context)
        found = find_trigger(context, chosen_config(context), commit, STEP_ID, state)
        if isinstance(found, Wait):
            return found
        state = _named(context, found)
    return _followed(context, state)


def _named(context: Context, state: Following) -> Following:
    """With the tree and the branch of the build config: kernel builds do not tell them any more."""
    prepared = _prepared(context)
    if prepared:
        return replace(state, tree=prepared.tree, branch=prepared.branch)
    config = resolved(context, chosen_config(context))
    return replace(state, tree=config.tree, branch=config.branch)


def _commit(context: Context) -> str:
    prepared = _prepared(context)
    return prepared.commit if prepared else ""


def _prepared(context: Context) -> Prepared | None:
    return context.result(prepare_pipe_cleaner) if context.has_result(prepare_pipe_cleaner) else None


def _followed(context: Context, state: Following) -> Done[Cleaned] | Wait:
    """One look, and what it leads to."""
    settings = context.settings(PipecleanerSettings)
    ref, end = BuildRef(settings.trigger_job, state.trigger), _end(context)
    followed(context, ref)
    try:
        seen, state = look(context, ref, state, STEP_ID)
    except TransientError as error:
        return _unseen(context, state, end, error)
    text = progress(seen, state, context.clock.now(), usual_durations(context))
    context.report(text, progress_of(seen, state))
    state = tell(context, seen, state, last=seen.idle or end is not None)
    try:
        return _next(context, seen, state, end) or _wait(context, text, state)
    except TransientError as error:
        return _wait(context, f"{error} I look again.", state)


def _end(context: Context) -> Ended | None:
    """Why it is to end now, whatever still runs."""
    if asked(context):
        return Ended.STOPPED
    began = context.run.step(STEP_ID).started_at or context.clock.now()
    late = context.clock.now() - began > context.settings(PipecleanerSettings).timeout
    return Ended.TIME_LIMIT if late else None


def _next(context: Context, seen: Seen, state: Following, end: Ended | None) -> Done[Cleaned] | Wait | None:
    """Its end, or what is waited for; None while the builds go on."""
    if end is Ended.STOPPED:
        state, wait = stop_builds(context, seen, state)
        return wait or _done(context, seen, state, end)
    if seen.cut_off and state.idle > 1:
        _refuse_empty(context, seen, state)
        return _done(context, seen, state, Ended.STOPPED)
    if end:
        return _done(context, seen, state, end)
    return _when_built(context, seen, state) if seen.built else None


def _when_built(context: Context, seen: Seen, state: Following) -> Done[Cleaned] | Wait | None:
    """What failed once more, then the labs, then the mails."""
    if seen.standing is None:
        silent = silent_for(context, seen, state) >= context.settings(PipecleanerSettings).silence
        return (
            _done(context, seen, state, Ended.TIME_LIMIT) if silent else _wait(context, silence(context, state), state)
        )
    place = where(context, STEP_ID)
    state, wait = build_again(context, place, seen, state, _series(context, state))
    if wait or not seen.complete:
        return wait
    state, wait = start_tests_again(context, seen, state)
    if wait:
        return wait
    rest = left(context, place, seen, state, _series(context, state))
    return _wait(context, rest.text, rest.state) if rest.text else _done(context, seen, rest.state, Ended.COMPLETE)


def _wait(context: Context, text: str, state: Following) -> Wait:
    return Wait(context.clock.now() + context.settings(PipecleanerSettings).look, text, state.json)


def _unseen(context: Context, state: Following, end: Ended | None, error: TransientError) -> Done[Cleaned] | Wait:
    """Jenkins does not answer. When it is to end, that is tried a few times more, and then said."""
    state = replace(state, unseen=state.unseen + 1)
    if end is None or state.unseen < LOOKS_AT_THE_END:
        return _wait(context, f"{error} I look again.", state)
    seen = seen_before(context, state, STEP_ID)
    if seen is None:
        raise PermanentError(
            f"{error} Not one look at its builds succeeded, so there is nothing to be judged"
        ) from error
    return _done(context, seen, state, end, (JENKINS,))


def _refuse_empty(context: Context, seen: Seen, state: Following) -> None:
    """A trigger that built nothing is nothing to be judged."""
    if seen.kernels.builds:
        return
    give_up(context, chosen_config(context), STEP_ID, state)
    no_longer_followed(context)
    result = seen.trigger.result.value if seen.trigger.result else "nothing"
    raise PermanentError(
        f"{seen.trigger.ref} ended as {result} and built nothing ({seen.trigger.url}). "
        "A retry builds the commit again, also if it was built before"
    )


# ---- its end ---------------------------------------------------------------------------------------------------


def _done(
    context: Context, seen: Seen, state: Following, ended: Ended, unreachable: tuple[str, ...] = ()
) -> Done[Cleaned]:
    """Everything that is kept of it, each thing once however often this is entered."""
    seen = _with_all_failures(context, seen, state)
    round_ = context.run.step(STEP_ID).round
    if state.revision:
        remember_failures(context, state.revision, failures_before(seen.kernels, state))
    remember_durations(context, seen.kernels, f"{context.run.id}.{round_}")
    context.remember(TOPIC, LAST, {"run": context.run.id})
    no_longer_followed(context)
    over(context)
    cleaned = _cleaned(context, seen, state, ended, unreachable)
    return Done(_summary(context, seen, cleaned), cleaned)


def _with_all_failures(context: Context, seen: Seen, state: Following) -> Seen:
    """With every failed kernel; a look knows only so many. If the API does not answer now, comparing will find out."""
    if state.revision is None or seen.standing is None:
        return seen
    try:
        failed = tuple(one for one in context.ports.results.kernels(state.revision) if one.status == "FAIL")
    except KcibotError:
        return seen
    return replace(seen, standing=replace(seen.standing, failed=failed))


def _series(context: Context, state: Following) -> str:
    prepared = _prepared(context)
    return prepared.series if prepared else series_of(state.kernel)


def _cleaned(context: Context, seen: Seen, state: Following, ended: Ended, unreachable: tuple[str, ...]) -> Cleaned:
    return Cleaned(
        config=chosen_config(context),
        tree=state.tree,
        branch=state.branch,
        kernel=state.kernel,
        commit=_commit(context) or seen.trigger.parameters.get("COMMIT_ID", ""),
        series=_series(context, state),
        trigger=seen.trigger.ref,
        url=seen.trigger.url,
        began=seen.trigger.started,
        ended=ended,
        kernels=sum(not one.lost for one in seen.ended.values()),
        failed=tuple(_failed(seen.kernels, key, one) for key, one in sorted(seen.failed.items())),
        builds_ended=seen.builds_ended,
        unreachable=unreachable,
        retried=retried(seen, state),
        kernels_curve=state.kernels_curve,
        tests_curve=state.tests_curve,
    )


def _failed(record: Record, key: KernelKey, one: Built) -> FailedBuild:
    link, parameters = record.link(one), record.parameters(one)
    return FailedBuild(key.arch, key.defconfig, key.environment, one.number, link, parameters)


def _summary(context: Context, seen: Seen, cleaned: Cleaned) -> str:
    how = {Ended.COMPLETE: "", Ended.STOPPED: "stopped, ", Ended.TIME_LIMIT: "not complete in time, "}
    lost = sum(one.lost for one in seen.failed.values())
    parts = [f"{how.get(cleaned.ended, '')}{worded(cleaned.kernels, 'kernel')}, {len(cleaned.failed) - lost} failed"]
    parts += [f"{lost} cut off"] if lost else []
    parts += [f"{worded(len(cleaned.retried), 'kernel')} built again"] if cleaned.retried else []
    parts += [f"{worded(len(seen.running), 'build')} still running on Jenkins"] if seen.running else []
    parts += [f"{' and '.join(cleaned.unreachable)} did not answer at the end"] if cleaned.unreachable else []
    return f"{', '.join(parts)}, in {span(context.clock.now() - seen.trigger.started)}"


# ---- the step --------------------------------------------------------------------------------------------------


def preview(context: Context) -> Preview:
    settings = context.settings(PipecleanerSettings)
    config = resolved(context, chosen_config(context))
    ours = bool(repository_of(context, config))
    start = settings.how if ours else How.TRIGGER_JOB
    facts: Mapping[str, object] = {"config": config.name, "how": start.value}
    how = "the monitor for it alone" if start is How.MONITOR else settings.trigger_job
    line = f"build {config.name} ({', '.join(described(config))}), started by {how}"
    return Preview(facts, (line, *(() if ours else as_it_is(context, config))))


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
