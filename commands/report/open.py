"""What a release leaves to be fixed by the next one: gathered from its steps, its verdict, and what is remembered."""

from collections.abc import Iterable, Iterator

from kcibot.sdk import Context, KcibotError, Run, StepKind, StepState, listed
from kcibot_commands.deploy.steps import deploy_backend, deploy_frontend
from kcibot_commands.jobs.checklist import unticked
from kcibot_commands.monitor.flags import MonitorSettings, cron_problem
from kcibot_commands.pipecleaner.results import compare_results
from kcibot_commands.plan.steps import plan
from kcibot_commands.rootfs.report import REPORTED
from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.verdict_reasons import Level, Reason
from kcibot_commands.runs import RETRIED

FEW = 5
NOTED = frozenset({"known", "flaky", "failing", "device"})
"""Rules of the verdict whose notes are work for somebody; other notes are only worth knowing."""


def to_fix(context: Context) -> Iterator[str]:
    """Sentences, what production itself lacks first."""
    yield from _deployed(context)
    yield from _monitor(context)
    yield from _notes(context)
    yield from _rootfs(context)
    yield from _verdict(context)
    yield from _warnings(context)
    yield from troubled(context.run, context.recall(RETRIED))


def _deployed(context: Context) -> Iterator[str]:
    for step in (deploy_backend, deploy_frontend):
        if context.has_result(step):
            one = context.result(step)
            if one.unchecked:
                yield f"{one.component}: {one.unchecked}"
            if one.restarted:
                yield f"{one.component}: the playbook does not restart {listed(one.restarted)}, I did"


def _monitor(context: Context) -> Iterator[str]:
    """What people have to put right on Jenkins by hand."""
    job = context.settings(MonitorSettings).job
    if not any(step.id == "resume-monitor" for step in context.run.steps):
        return
    try:
        if context.ports.ci.job(job).disabled:
            yield f"{job} is disabled: !monitor resume enables it"
        problem = cron_problem(context.ports.ci.definition(job), context)
    except KcibotError as error:
        problem = f"whether {job} is enabled and has its timer could not be seen: {error}"
    if problem:
        yield problem


def _notes(context: Context) -> Iterator[str]:
    """Lines of the checklist that nobody ticked: a job may still be as it was."""
    for note in unticked(context) if context.has_result(plan) else ():
        yield f"not ticked, !jobs tick {note.code}: {note.text}"


def _rootfs(context: Context) -> Iterator[str]:
    """Root file systems that failed at their last build, this week's or an earlier one."""
    rows = [(pair, value) for pair, value in sorted(context.recall(REPORTED).items()) if isinstance(value, dict)]
    if rows:
        names = [f"{pair} ({value.get('version')})" for pair, value in rows]
        yield f"root file systems that fail: {_few(names)}"


def _verdict(context: Context) -> Iterator[str]:
    if context.has_result(compare_results):
        yield from of_verdict(context.result(compare_results).verdict.reasons)


def of_verdict(reasons: Iterable[Reason]) -> Iterator[str]:
    """The verdict's remarks, of each kind a few: what fails, what is missing, what nobody knows."""
    kinds: dict[str, list[str]] = {}
    for reason in reasons:
        if reason.level is not Level.NOTE or reason.rule in NOTED:
            kinds.setdefault(reason.rule, []).append(reason.text)
    for rule, texts in kinds.items():
        yield from texts[:FEW]
        if len(texts) > FEW:
            yield f"and {len(texts) - FEW} more of that kind ({rule})"


def _warnings(context: Context) -> Iterator[str]:
    if context.has_result(plan):
        yield from context.result(plan).warnings


def troubled(run: Run, retried: object) -> Iterator[str]:
    """Steps that did not go well at once, and why."""
    known = retried if isinstance(retried, dict) else {}
    for step in run.steps:
        told = known.get(f"{run.id}/{step.id}")
        if isinstance(told, dict):
            times = "once" if told["times"] == 1 else f"{told['times']} times"
            yield f"{step.title} was retried {times} by {told['by']}: {told['why']}"
        elif step.kind is StepKind.STEP and step.state is StepState.DONE and step.failures:
            yield f"{step.title} went well after {worded(step.failures, 'failure')} that passed"


def _few(names: list[str]) -> str:
    rest = [f"{len(names) - FEW} more"] if len(names) > FEW else []
    return listed([*names[:FEW], *rest])
