"""Step 9, again in part: kernels that failed are built once more, with the parameters that their builds had."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from kcibot.sdk import Build, BuildRef, Context, Done, Preview, Procedure, Step, TransientError, Wait, listed
from kcibot_commands import starts
from kcibot_commands.pipecleaner_configs import PipecleanerSettings
from kcibot_commands.pipecleaner_follow import FailedBuild, key_of
from kcibot_commands.pipecleaner_results import RETRIES, revision_name
from kcibot_commands.pipecleaner_run import Cleaned
from kcibot_commands.rules.problem import worded
from kcibot_commands.starts import Start


@dataclass(frozen=True)
class RetryArgs:
    """The pipe cleaner, and which of its failed kernels are built again."""

    cleaned: Cleaned
    builds: tuple[FailedBuild, ...]


@dataclass(frozen=True)
class Retried:
    """Kernels that passed when built again, and those that did not, by name."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]


def build_again(context: Context) -> Done[Retried] | Wait:
    """Start all of them, then wait until the last has ended; its status is what the results API says."""
    args, settings = context.args(RetryArgs), context.settings(PipecleanerSettings)
    items = {one.number: starts.start(context, _start(context, one)) for one in args.builds}
    now = context.clock.now()
    try:
        running = _running(context, args, items)
        if running:
            text = f"{worded(len(running), 'kernel')} of {len(args.builds)} still to come"
            return Wait(now + settings.look, text)
        statuses = _statuses(context, args.cleaned)
    except TransientError as error:
        return Wait(now + settings.look, f"{error} I look again.")
    _count_failures(context, args)
    passed = tuple(str(one.key) for one in args.builds if statuses.get(str(one.key)) == "PASS")
    failed = tuple(str(one.key) for one in args.builds if str(one.key) not in passed)
    return Done(_said(passed, failed), Retried(passed, failed))


def _start(context: Context, one: FailedBuild) -> Start:
    return starts.prepared(context, context.settings(PipecleanerSettings).kernel_job, one.parameters)


def _running(context: Context, args: RetryArgs, items: dict[int, int]) -> list[str]:
    """Which have not ended: one request for all, and one more for each that is not among the newest builds."""
    job = context.settings(PipecleanerSettings).kernel_job
    found = {one.queue_id: one for one in context.ports.ci.builds(job, 2 * len(items) + starts.NEWEST)}
    return [str(one.key) for one in args.builds if not _ended(context, one, items[one.number], found)]


def _ended(context: Context, one: FailedBuild, item_id: int, found: dict[int, Build]) -> bool:
    build = found.get(item_id)
    if build and build.ref.number > one.number and key_of(build) == one.key:
        return not build.building
    ref = starts.build_of(context, _start(context, one), item_id)
    return isinstance(ref, BuildRef) and not context.ports.ci.build(ref).building


def _statuses(context: Context, cleaned: Cleaned) -> dict[str, str]:
    known = context.ports.results.kernels(cleaned.revision)
    return {f"{one.arch} {one.defconfig} {one.environment}": one.status for one in known}


def _count_failures(context: Context, args: RetryArgs) -> None:
    """The API keeps only the last result of a kernel: the failures before it are counted here, once for each run."""
    name = revision_name(args.cleaned.revision)
    standing = context.recall(RETRIES).get(name)
    before = standing if isinstance(standing, dict) else {}

    def counted() -> dict[str, int]:
        counts = Counter({str(key): int(count) for key, count in before.items()})
        counts.update(str(one.key) for one in args.builds)
        return dict(counts)

    context.remember(RETRIES, name, context.keep("failures before", counted))


def _said(passed: tuple[str, ...], failed: tuple[str, ...]) -> str:
    parts = [f"{len(passed)} passed"] if passed else []
    parts += [f"{len(failed)} failed again ({listed(list(failed[:5]))})"] if failed else []
    return f"{listed(parts)}; !pipecleaner compare judges anew"


def preview(context: Context) -> Preview:
    args, job = context.args(RetryArgs), context.settings(PipecleanerSettings).kernel_job
    facts = {"job": job, "builds": [one.number for one in args.builds]}
    return Preview(facts, tuple(f"{job} again for {one.key}" for one in args.builds))


build_failed_again = Step(
    "build-failed-again",
    "Failed kernels built again",
    build_again,
    Retried,
    preview=preview,
    limit=timedelta(hours=12),
)
RETRY = Procedure("pipecleaner retry", build_failed_again, title="Failed kernels again")
