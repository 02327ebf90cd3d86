"""Step 9, third part: one look at everything that hangs on the trigger, in a constant number of requests.

Jenkins' SUCCESS means nothing by itself, since children do not pass their failure on: a kernel's status is the API's.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from kcibot.sdk import Build, BuildRef, Context, JobState, PermanentError, QueueItem
from kcibot_commands.pipecleaner.configs import PipecleanerSettings
from kcibot_commands.pipecleaner.kept import kept_queue, kept_trigger, queue_seen, standing_seen, trigger_seen
from kcibot_commands.pipecleaner.record import (
    COMPLETIONS,
    KERNELS,
    TESTS,
    Page,
    Record,
    fetched,
    load,
    merged,
    save,
    topic,
)
from kcibot_commands.pipecleaner.state import Following, Seen
from kcibot_commands.rules.burn_down import added

FIRSTS = "first builds"


def first_builds(context: Context) -> Mapping[str, int]:
    """The lowest numbers that builds of ours can have, by job: to be asked before anything is started."""
    return context.keep(FIRSTS, lambda: {name: job.next_build for name, job in _jobs(context).items()})


def _jobs(context: Context) -> Mapping[str, JobState]:
    """The followed jobs that Jenkins has: one request."""
    settings, known = context.settings(PipecleanerSettings), context.ports.ci.jobs()
    if settings.kernel_job not in known:
        raise PermanentError(f"Jenkins has no job {settings.kernel_job}: it is named in the section pipecleaner")
    names = (settings.trigger_job, settings.kernel_job, settings.complete_job, settings.test_job)
    return {name: known[name] for name in names if name in known}


def where(context: Context, step_id: str) -> str:
    """The topic under which this round's builds are kept."""
    return topic(context.run.id, context.run.step(step_id).round)


def look(context: Context, ref: BuildRef, state: Following, step_id: str) -> tuple[Seen, Following]:
    """A constant number of requests, however many builds there are.

    The queue comes first: what leaves it meanwhile is then seen running. Test runs are asked for before the kernels
    that start them, so that the kernel of each is known.
    """
    place = where(context, step_id)
    kept = context.recall(place)
    queue = context.ports.ci.look().queued
    trigger = trigger_seen(context, place, kept, ref)
    jobs = _jobs(context)
    before = _records(context, kept)
    pages = {name: fetched(context, one, jobs[one.job].next_build) for name, one in before.items() if one.job in jobs}
    after, state = _after(before, pages, trigger, state)
    for name, record in after.items():
        save(context, place, name, before[name], record)
    standing = standing_seen(context, place, kept, state.revision)
    others, state = _other_triggers(context, jobs, ref, state)
    seen = Seen(trigger, after[KERNELS], after[COMPLETIONS], after[TESTS], (), standing, _absent(context, jobs), others)
    seen = replace(seen, queued=_queued(queue, seen, state))
    queue_seen(context, place, kept, seen.queued)
    return seen, _counted(context, seen, state)


def _records(context: Context, kept: Mapping[str, object]) -> Mapping[str, Record]:
    """What the looks before this one left, in the order of asking."""
    settings = context.settings(PipecleanerSettings)
    jobs = {TESTS: settings.test_job, COMPLETIONS: settings.complete_job, KERNELS: settings.kernel_job}
    return {name: load(kept, name) or Record(job, first_builds(context).get(job, 1)) for name, job in jobs.items()}


def _after(
    before: Mapping[str, Record], pages: Mapping[str, Page | None], trigger: Build, state: Following
) -> tuple[Mapping[str, Record], Following]:
    """The records with what that look has shown, and the revision as the builds call it.

    A bot that was killed may know the builds of before and not yet how they are called: by that name ours are told.
    """
    state = _named(state, trigger, before[KERNELS])

    def merge(name: str, is_ours: Callable[[Build], bool]) -> Record:
        return merged(before[name], pages.get(name), is_ours)

    ref = trigger.ref
    kernels = merge(KERNELS, lambda one: one.upstream == ref or _by_hand(one, trigger, state))
    state = _named(state, trigger, kernels)
    completions = merge(COMPLETIONS, lambda one: one.upstream == ref or _of_revision(one.parameters, state))
    tests = merge(TESTS, _tests_of(ref, kernels))
    return {KERNELS: kernels, COMPLETIONS: completions, TESTS: tests}, state


def _by_hand(one: Build, trigger: Build, state: Following) -> bool:
    """A build of the same revision that a person, or the bot, started again."""
    return one.upstream is None and one.started > trigger.started and _of_revision(one.parameters, state)


def _of_revision(given: Mapping[str, str], state: Following) -> bool:
    """What a build does not say of itself (as, since 2019, tree and branch) tells it from nothing."""
    names = (("TREE_NAME", state.tree), ("BRANCH", state.branch), ("BUILD_CONFIG", state.config))
    same = all((given.get(name) or value) == value for name, value in names)
    return bool(state.kernel) and given.get("GIT_DESCRIBE") == state.kernel and same


def _tests_of(trigger: BuildRef, kernels: Record) -> Callable[[Build], bool]:
    """A test run says which kernel it tests, or its cause does; or which trigger it hangs on."""
    ours = {str(trigger), *(str(kernels.ref(one)) for one in kernels.builds.values())}

    def is_ours(one: Build) -> bool:
        names = (str(one.upstream), _ref(one.parameters, "TRIGGER_JOB"), _ref(one.parameters, "BUILD_JOB"))
        return not ours.isdisjoint(names)

    return is_ours


def _ref(given: Mapping[str, str], name: str) -> str:
    return f"{given.get(f'{name}_NAME', '')} #{given.get(f'{name}_NUMBER', '')}"


def _named(state: Following, trigger: Build, kernels: Record) -> Following:
    """The revision as the builds call it, which is how the results API will; what they leave out is known already."""
    if state.kernel or not kernels.common:
        return state
    given = kernels.common
    return replace(
        state,
        config=trigger.parameters.get("BUILD_CONFIG", ""),
        tree=given.get("TREE_NAME") or state.tree,
        branch=given.get("BRANCH") or state.branch,
        kernel=given.get("GIT_DESCRIBE", ""),
    )


def _queued(queue: tuple[QueueItem, ...], seen: Seen, state: Following) -> tuple[QueueItem, ...]:
    """Kernels of ours that wait. What left the queue meanwhile is counted as a build."""
    config = seen.trigger.parameters.get("BUILD_CONFIG", "")
    started = {one.queue_id for one in seen.kernels.builds.values()}
    return tuple(
        item
        for item in queue
        if item.job == seen.kernels.job
        and item.item_id not in started
        and (_of_revision(item.parameters, state) if state.kernel else item.parameters.get("BUILD_CONFIG") == config)
    )


def _absent(context: Context, jobs: Mapping[str, JobState]) -> tuple[str, ...]:
    settings = context.settings(PipecleanerSettings)
    return tuple(name for name in (settings.complete_job, settings.test_job) if name and name not in jobs)


def _other_triggers(
    context: Context, jobs: Mapping[str, JobState], ref: BuildRef, state: Following
) -> tuple[tuple[Build, ...], Following]:
    """Triggers that began since the last look and are not ours: one request, none if there is no new one."""
    first = max(state.triggers, first_builds(context).get(ref.job, ref.number) - 1)
    newest = jobs[ref.job].next_build - 1 - first if ref.job in jobs else 0
    if newest <= 0:
        return (), state
    found = [one for one in context.ports.ci.builds(ref.job, newest) if one.ref.number > first]
    numbers = [one.ref.number for one in found]
    others = tuple(one for one in found if one.ref != ref)
    return others, replace(state, triggers=max((first, *numbers)))


def _counted(context: Context, seen: Seen, state: Following) -> Following:
    """What this look adds to the counts and the curves."""
    now = context.clock.now()
    minutes = (now - seen.trigger.started).total_seconds() / 60
    plans = sum(seen.standing.plans.values()) if seen.standing else max(0, state.plans)
    silent = "" if seen.standing else state.silent_since or now.isoformat()
    return replace(
        state,
        total=max(state.total, len(seen.kernels.newest) + len(seen.waiting)),
        unseen=0,
        idle=state.idle + 1 if seen.idle else 0,
        silent_since=silent,
        kernels_curve=added(state.kernels_curve, minutes, len(seen.ended)),
        tests_curve=added(state.tests_curve, minutes, plans),
    )


def seen_before(context: Context, state: Following, step_id: str) -> Seen | None:
    """What the looks before have shown, of the journal alone but for the results API; None if there was no look."""
    place = where(context, step_id)
    kept = context.recall(place)
    trigger, records = kept_trigger(kept), _records(context, kept)
    if trigger is None or not records[KERNELS].builds:
        return None
    standing = standing_seen(context, place, kept, state.revision)
    return Seen(trigger, records[KERNELS], records[COMPLETIONS], records[TESTS], kept_queue(kept), standing)
