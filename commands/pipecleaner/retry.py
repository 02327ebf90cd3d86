"""Step 9, again in part: kernels that failed are built once more, with the parameters that their builds had."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import timedelta

from kcibot.sdk import Build, BuildRef, Context, Done, Preview, Step, TransientError, Wait, listed
from kcibot_commands import starts
from kcibot_commands.monitor.flags import stop_build
from kcibot_commands.pipecleaner.attempts import remember_failures
from kcibot_commands.pipecleaner.configs import PipecleanerSettings
from kcibot_commands.pipecleaner.renewal import RetryArgs
from kcibot_commands.pipecleaner.run import Cleaned
from kcibot_commands.pipecleaner.state import FailedBuild, key_of
from kcibot_commands.pipecleaner.stop import asked, cancel, over
from kcibot_commands.rules.problem import worded
from kcibot_commands.starts import Start


@dataclass(frozen=True)
class Retried:
    """Kernels that passed when built again, those that did not, and those whose builds people stopped, by name."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    stopped: tuple[str, ...] = ()


def build_again(context: Context) -> Done[Retried] | Wait:
    """Start all of them, then wait until the last has ended; its status is what the results API says."""
    args, settings = context.args(RetryArgs), context.settings(PipecleanerSettings)
    items = {one.number: starts.start(context, _start(context, one)) for one in args.builds}
    now = context.clock.now()
    try:
        running = _running(context, args, items)
        if running and not asked(context):
            text = f"{worded(len(running), 'kernel')} of {len(args.builds)} still to come"
            return Wait(now + settings.look, text)
        _end(context, {items[one.number] for one in running})
        statuses = _statuses(context, args.cleaned)
    except TransientError as error:
        return Wait(now + settings.look, f"{error} I look again.")
    over(context)
    ended = tuple(one for one in args.builds if one not in running)
    _count_failures(context, args.cleaned, ended)
    passed = tuple(str(one.key) for one in ended if statuses.get(str(one.key)) == "PASS")
    failed = tuple(str(one.key) for one in ended if str(one.key) not in passed)
    stopped = tuple(str(one.key) for one in running)
    return Done(_said(passed, failed, stopped), Retried(passed, failed, stopped))


def _end(context: Context, items: Set[int]) -> None:
    """People stopped it: what waits leaves the queue, what runs is ended. What got away meanwhile comes to its end."""
    if not items:
        return
    ci, job = context.ports.ci, context.settings(PipecleanerSettings).kernel_job
    for item in [one for one in ci.look().queued if one.item_id in items]:
        cancel(context, item)
    for build in [one for one in ci.builds(job, 2 * len(items) + starts.NEWEST) if one.queue_id in items]:
        if build.building:
            stop_build(context, build.ref)


def _start(context: Context, one: FailedBuild) -> Start:
    return starts.prepared(context, context.settings(PipecleanerSettings).kernel_job, one.parameters)


def _running(context: Context, args: RetryArgs, items: dict[int, int]) -> list[FailedBuild]:
    """Which have not ended: one request for all, and one more for each that is not among the newest builds."""
    job = context.settings(PipecleanerSettings).kernel_job
    found = {one.queue_id: one for one in context.ports.ci.builds(job, 2 * len(items) + starts.NEWEST)}
    return [one for one in args.builds if not _ended(context, one, items[one.number], found)]


def _ended(context: Context, one: FailedBuild, item_id: int, found: dict[int, Build]) -> bool:
    build = found.get(item_id)
    if build and build.ref.number > one.number and key_of(build.parameters) == one.key:
        return not build.building
    ref = starts.build_of(context, _start(context, one), item_id)
    return isinstance(ref, BuildRef) and not context.ports.ci.build(ref).building


def _statuses(context: Context, cleaned: Cleaned) -> dict[str, str]:
    known = context.ports.results.kernels(cleaned.revision)
    return {f"{one.arch} {one.defconfig} {one.environment}": one.status for one in known}


def _count_failures(context: Context, cleaned: Cleaned, ended: tuple[FailedBuild, ...]) -> None:
    """The API keeps only the last result of a kernel: those that failed before are counted, each once."""
    bad = {one.number for one in cleaned.failed}
    numbers: dict[str, list[int]] = {}
    for one in ended:
        if one.number in bad:
            numbers.setdefault(str(one.key), []).append(one.number)
    remember_failures(context, cleaned.revision, numbers)


def _said(passed: tuple[str, ...], failed: tuple[str, ...], stopped: tuple[str, ...]) -> str:
    parts = [f"{len(passed)} passed"] if passed else []
    parts += [f"{len(failed)} failed again ({listed(list(failed[:5]))})"] if failed else []
    parts += [f"{len(stopped)} stopped before their end"] if stopped else []
    return listed(parts)


def preview(context: Context) -> Preview:
    args, job = context.args(RetryArgs), context.settings(PipecleanerSettings).kernel_job
    facts = {"job": job, "builds": [one.number for one in args.builds]}
    return Preview(facts, tuple(f"{job} again for {one.key}" for one in args.builds))


build_failed_again = Step(
    "build-failed-again",
    "Kernels built again",
    build_again,
    Retried,
    preview=preview,
    limit=timedelta(hours=12),
)
