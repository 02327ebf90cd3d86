"""Step 10, last part, and the end: what the monitor's first build brought, and the report of the whole release."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from kcibot.sdk import (
    Build,
    BuildRef,
    Context,
    Done,
    Level,
    Needed,
    Notice,
    Run,
    Step,
    StepKind,
    StepRecord,
    StepState,
    TransientError,
    Wait,
    listed,
    span,
)
from kcibot_commands.deploy import deploy_backend, deploy_frontend
from kcibot_commands.images import digest_lines
from kcibot_commands.jobs_checklist import unticked
from kcibot_commands.monitor import MonitorSettings, start_monitor_once
from kcibot_commands.notify import Event, forget_once, to_mention
from kcibot_commands.pipecleaner_configs import PipecleanerSettings
from kcibot_commands.pipecleaner_results import compare_results
from kcibot_commands.pipecleaner_results import summary as verdict_summary
from kcibot_commands.plan import SHORT, Part, plan
from kcibot_commands.rules.problem import worded

RECENT = 50
KERNELS = 300
WORTH_SAYING = timedelta(seconds=1)


@dataclass(frozen=True)
class ReportSettings:
    """How long the first builds after a release are watched, and how often they are looked at.

    `first_results`: the span after the monitor's first build in which its builds are watched. `look`: the span between
    two looks.
    """

    section: ClassVar[str] = "report"
    first_results: timedelta = timedelta(minutes=10)
    look: timedelta = timedelta(minutes=1)


@dataclass(frozen=True)
class FirstResults:
    """What the monitor's first build started, and how its kernels stood at the end of the watch."""

    monitor: BuildRef
    configs: tuple[str, ...]
    running: int
    passed: int
    failed: int


# ---- the first results -----------------------------------------------------------------------------------------


def watch_needed(context: Context) -> Needed:
    there = context.has_result(start_monitor_once)
    return Needed(there, "" if there else "the monitor was not started here")


def watch(context: Context) -> Done[FirstResults] | Wait:
    """See that the monitor starts builds again and that kernels get built; nothing new is no fault."""
    settings, now = context.settings(ReportSettings), context.clock.now()
    started = datetime.fromisoformat(context.keep("since", now.isoformat))
    try:
        seen = _seen(context, context.result(start_monitor_once).build)
    except TransientError as error:
        return Wait(now + settings.look, f"{error} I look again.")
    if seen.configs and now - started < settings.first_results:
        return Wait(min(now + settings.look, started + settings.first_results), _said(seen))
    return Done(_said(seen), seen)


def _seen(context: Context, monitor: BuildRef) -> FirstResults:
    """Two requests, however much it started."""
    ci = context.ports.ci
    job, kernel_job = context.settings(MonitorSettings).trigger_job, context.settings(PipecleanerSettings).kernel_job
    triggers = [one for one in ci.builds(job, RECENT) if one.upstream == monitor]
    parents = {one.ref for one in triggers}
    kernels = [one for one in ci.builds(kernel_job, KERNELS) if one.upstream in parents]
    ended = [one for one in kernels if not one.building]
    passed = sum(one.result == "SUCCESS" for one in ended)
    configs = tuple(sorted({_config(one) for one in triggers}))
    return FirstResults(monitor, configs, len(kernels) - len(ended), passed, len(ended) - passed)


def _config(one: Build) -> str:
    return one.parameters.get("BUILD_CONFIG", str(one.ref))


def _said(seen: FirstResults) -> str:
    if not seen.configs:
        return f"{seen.monitor} found no new commit to build"
    kernels = f"{seen.passed} kernels built, {seen.failed} failed, {seen.running} running"
    return f"{seen.monitor} started {listed(seen.configs)}: {kernels}"


watch_first_results = Step(
    "watch-first-results",
    "First results seen",
    watch,
    FirstResults,
    needed=watch_needed,
    after=(start_monitor_once,),
    limit=timedelta(hours=24),
)


# ---- the report ------------------------------------------------------------------------------------------------


def make_report(context: Context) -> Done[None]:
    """Tell the rooms what went in, who approved it, how long it took, and what was left out and why."""
    run, now = context.run, context.clock.now()
    released = _released(context)
    head = context.keep("audit head", context.audit_head)
    lines = [*released, *_deployments(context), *digest_lines(context), *approvals(run), *durations(run)]
    lines += [*left_out(run), *_results(context), *_open_notes(context), f"Audit head: {head}"]
    title = f"{run.title} is in production, {span(now - run.created_at)} after it was begun by {run.starter}"
    mentions = to_mention(context, Event.RELEASE)
    context.say("report", Notice(title, Level.SUCCESS, tuple(lines), mentions=mentions))
    forget_once(context, Event.RELEASE)
    return Done(f"{worded(len(released), 'component')} reported", None)


def _released(context: Context) -> list[str]:
    if not context.has_result(plan):
        return []
    frozen = context.result(plan)
    changed = [part for part in frozen.parts.values() if part.changed or (part.base or part.production) != part.release]
    same = [part.component for part in frozen.parts.values() if part not in changed and not part.read_only]
    unchanged = [f"Unchanged: {listed(same)}"] if same else []
    return [*(_part_line(part) for part in changed), *unchanged]


def _deployments(context: Context) -> list[str]:
    """What answers where, by which playbooks, and what of it nobody saw."""
    there = [context.result(step) for step in (deploy_backend, deploy_frontend) if context.has_result(step)]
    return [f"{one.component} deployed: {one}" for one in there]


def _part_line(part: Part) -> str:
    if not part.changed:
        return f"{part.component}: {part.previous or part.release[:SHORT]}, put there by an earlier revision"
    since = f" since {part.previous}" if part.previous else ""
    return f"{part.component}: {part.tag or part.release[:SHORT]}, {worded(len(part.commits), 'commit')}{since}"


def approvals(run: Run) -> list[str]:
    """`Update production: by manager-1`, for every gate that was asked."""
    gates = [step for step in run.steps if step.kind is StepKind.GATE and step.state is StepState.DONE]
    return [f"{step.title}: approved {step.text}" for step in gates]


def durations(run: Run) -> list[str]:
    """One line with all steps that took time."""
    took = [(step.title, _took(step)) for step in run.steps if step.kind is StepKind.STEP]
    worth = [f"{title} {span(length)}" for title, length in took if length >= WORTH_SAYING]
    return [f"Took: {', '.join(worth)}"] if worth else []


def _took(step: StepRecord) -> timedelta:
    if step.started_at is None or step.ended_at is None or step.state is not StepState.DONE:
        return timedelta()
    return step.ended_at - step.started_at


def left_out(run: Run) -> list[str]:
    """Steps that people skipped, each with the reason, and those that were not needed, whose reasons the card tells."""
    skipped = [f"Skipped: {step.title}, {step.text}" for step in _in(run.steps, StepState.SKIPPED)]
    idle = [step.title for step in _in(run.steps, StepState.NOT_NEEDED) if step.text]
    return [*skipped, *([f"Not needed: {listed(idle)}"] if idle else [])]


def _in(steps: Iterable[StepRecord], state: StepState) -> list[StepRecord]:
    return [step for step in steps if step.state is state and step.kind is StepKind.STEP]


def _results(context: Context) -> list[str]:
    lines: list[str] = []
    if context.has_result(compare_results):
        compared = context.result(compare_results)
        lines.append(f"Pipe cleaner {compared.snapshot.kernel}: {verdict_summary(compared)}")
    if context.has_result(watch_first_results):
        lines.append(f"First results: {_said(context.result(watch_first_results))}")
    return lines


def _open_notes(context: Context) -> list[str]:
    """Lines of the checklist that nobody ticked: a job may still be as it was."""
    if not context.has_result(plan):
        return []
    return [f"Not ticked, !jobs tick {note.code}: {note.text}" for note in unticked(context)]


report = Step("report", "Release reported", make_report, type(None), after=(plan,), limit=timedelta(hours=1))
