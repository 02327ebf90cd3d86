"""Which run a verb of the pipe cleaner means, and which of its builds."""

from collections import Counter
from collections.abc import Iterable

from kcibot.sdk import Call, Outcome, Run, StepState, UserError, listed, nearest
from kcibot_commands.pipecleaner.accept import ACCEPT
from kcibot_commands.pipecleaner.baseline import HISTORY
from kcibot_commands.pipecleaner.history import snapshot_of
from kcibot_commands.pipecleaner.past import past
from kcibot_commands.pipecleaner.record import KERNELS, Record, load, topic
from kcibot_commands.pipecleaner.results import compare_results
from kcibot_commands.pipecleaner.retry import build_failed_again
from kcibot_commands.pipecleaner.run import LAST, TOPIC, Cleaned, run_pipe_cleaner
from kcibot_commands.pipecleaner.state import FailedBuild
from kcibot_commands.rules.results import Results, Status

ALL, FAILED = "all", "failed"
UNDER_WAY = frozenset({StepState.RUNNING, StepState.WAITING})


def under_way(call: Call) -> Run | None:
    """The open run whose pipe cleaner is being built or tested now."""
    return _at(call, run_pipe_cleaner.id)


def building_again(call: Call) -> Run | None:
    """The open run that builds kernels again."""
    return _at(call, build_failed_again.id)


def _at(call: Call, step_id: str) -> Run | None:
    for run in call.world.journal.open_runs():
        if run.current and run.current.id == step_id and run.current.state in UNDER_WAY:
            return run
    return None


def open_acceptance(run: Run) -> bool:
    """Whether the run asks people for acceptance, or is about to; also after somebody said no."""
    return not run.ended and run.current is not None and run.current.id in {compare_results.id, ACCEPT}


def last(call: Call) -> tuple[Run, Cleaned]:
    """The last run with a pipe cleaner in it, and how that ended. Raises UserError if there is none."""
    newest = call.world.journal.recall(TOPIC).get(LAST)
    if not isinstance(newest, dict):
        raise UserError("there has been no pipe cleaner yet: !pipecleaner CONFIG runs one")
    run = call.world.journal.run(int(newest["run"]))
    step = run.step(run_pipe_cleaner.id)
    if step.value is None or step.state is not StepState.DONE:
        raise UserError(f"the pipe cleaner of {run.title} was begun anew: !pipecleaner status")
    return run, call.world.journal.codec.load(Cleaned, step.value)


def begin_anew(call: Call, run: Run, ids: Iterable[str]) -> Outcome:
    """All these steps in one transaction, as far as the run has them and they have begun."""
    outcome = Outcome()
    for step_id in ids:
        if any(step.id == step_id and step.state is not StepState.PENDING for step in run.steps):
            one = call.engine.retry(run, step_id, call.person)
            run = _changed(one, run)
            outcome = Outcome(None, (*outcome.changes, *one.changes), one.wake)
    return outcome


def _changed(outcome: Outcome, before: Run) -> Run:
    """The run as that outcome leaves it."""
    runs = [getattr(change, "run", None) for change in outcome.changes]
    return next((run for run in runs if isinstance(run, Run)), before)


# ---- builds ----------------------------------------------------------------------------------------------------


def wanted(call: Call, run: Run, cleaned: Cleaned, what: str, *, whole: bool) -> tuple[FailedBuild, ...]:
    """The builds that are meant by `failed`, an architecture or a compiler. Raises UserError if there are none."""
    kept = _kept(call, run) or cleaned.failed
    known = _names(kept)
    if what != FAILED and what not in known:
        near = nearest(what, (FAILED, ALL, *known))
        hint = f" Did you mean {near}?" if near else ""
        raise UserError(
            f"“{what}” is no architecture and no compiler of {cleaned.kernel}.{hint} "
            f"There is: {listed([FAILED, ALL, *known])}"
        )
    if what == FAILED and whole:
        raise UserError("--whole goes with an architecture or a compiler; !pipecleaner retry all builds everything")
    failed = kept if whole else _failed(call, cleaned, kept)
    found = tuple(one for one in failed if what in {FAILED, one.arch, one.environment})
    if not found:
        raise UserError(_nothing(cleaned, what, failed))
    return found


def _failed(call: Call, cleaned: Cleaned, kept: tuple[FailedBuild, ...]) -> tuple[FailedBuild, ...]:
    """What the newest snapshot has as failed, and what failed so that it has no result: not what passed since."""
    snapshot = _snapshot(call, cleaned)
    if snapshot is None or not snapshot.kernels:
        return cleaned.failed
    statuses = {kernel.key: kernel.status for kernel in snapshot.kernels}
    lost = {one.key for one in cleaned.failed} - statuses.keys()
    builds = {one.key: one for one in (*cleaned.failed, *kept)}
    return tuple(one for key, one in builds.items() if statuses.get(key) is Status.FAIL or key in lost)


def _snapshot(call: Call, cleaned: Cleaned) -> Results | None:
    """The newest of that kernel; None while it is being looked at anew."""
    row = next((one for one in past(call.world.journal.recall(HISTORY)) if one.kernel == cleaned.kernel), None)
    try:
        return snapshot_of(call, row).snapshot if row else None
    except UserError:
        return None


def _nothing(cleaned: Cleaned, what: str, failed: tuple[FailedBuild, ...]) -> str:
    if not failed:
        return f"nothing of {cleaned.kernel} fails; !pipecleaner retry all builds it anew"
    counts = [f"{arch} ({count})" for arch, count in sorted(Counter(one.arch for one in failed).items())]
    return (
        f"nothing failed on {what} in {cleaned.kernel}; failures are on {listed(counts)}. --whole builds all of {what}"
    )


def _kept(call: Call, run: Run) -> tuple[FailedBuild, ...]:
    """The last build of every kernel, as the bot keeps them; none of what an earlier version ran."""
    place = topic(run.id, run.step(run_pipe_cleaner.id).round)
    record = load(call.world.journal.recall(place), KERNELS) or Record("", 1)
    return tuple(
        FailedBuild(key.arch, key.defconfig, key.environment, one.number, record.link(one), record.parameters(one))
        for key, one in sorted(record.newest.items())
    )


def _names(builds: Iterable[FailedBuild]) -> tuple[str, ...]:
    """Architectures, then compilers."""
    every = tuple(builds)
    return (*sorted({one.arch for one in every}), *sorted({one.environment for one in every}))
