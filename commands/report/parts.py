"""What the report of a release says: what went in, who approved it, how long it took, what was left out, and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from kcibot.sdk import Approval, Context, Run, StepKind, StepRecord, StepState, listed, span
from kcibot_commands.deploy.steps import deploy_backend, deploy_frontend
from kcibot_commands.first_results.steps import watch_first_results
from kcibot_commands.images.verbs import digest_lines
from kcibot_commands.pipecleaner.results import compare_results
from kcibot_commands.pipecleaner.results import summary as verdict_summary
from kcibot_commands.plan.steps import SHORT, Part, plan
from kcibot_commands.report.open import to_fix
from kcibot_commands.rules.problem import worded

RECORDS = "release-report"
"""Run -> its report, as it was made."""
TO_FIX = "To fix next week"
WORTH_SAYING = timedelta(seconds=1)


@dataclass(frozen=True)
class Section:
    """Some lines under a heading, or without one."""

    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """The report of one release, by the release's name."""

    name: str
    title: str
    at: datetime
    sections: tuple[Section, ...]

    @property
    def json(self) -> dict[str, object]:
        rows = [[one.heading, list(one.lines)] for one in self.sections]
        return {"name": self.name, "title": self.title, "at": self.at.isoformat(), "sections": rows}

    @classmethod
    def read(cls, value: object) -> "Record":
        """What `json` wrote."""
        row: Mapping[str, object] = value if isinstance(value, dict) else {}
        rows = row.get("sections")
        found = [Section(str(head), tuple(map(str, lines))) for head, lines in rows] if isinstance(rows, list) else []
        return cls(str(row["name"]), str(row["title"]), datetime.fromisoformat(str(row["at"])), tuple(found))


def shown(parts: Iterable[Section]) -> tuple[str, ...]:
    """A heading with its lines below it; a single line stands beside its heading."""
    lines: list[str] = []
    for part in parts:
        if not part.heading:
            lines += part.lines
        elif len(part.lines) == 1:
            lines.append(f"{part.heading}: {part.lines[0]}")
        else:
            lines += [f"{part.heading}:", *(f"  {line}" for line in part.lines)]
    return tuple(lines)


def sections(context: Context) -> tuple[Section, ...]:
    """Everything there is to say, what matters most first."""
    run = context.run
    found = (
        Section("", (*went_in(context), *unchanged(context), *_deployments(context), *digest_lines(context))),
        Section("Approved", approvals(context.approvals())),
        Section("", tuple(_results(context))),
        Section(TO_FIX, tuple(to_fix(context))),
        Section("Skipped", skipped(run)),
        Section("Not needed", not_needed(run)),
        Section("Took", durations(run)),
        Section("Audit head", (context.audit_head(),)),
    )
    return tuple(one for one in found if one.lines)


# ---- what went in ----------------------------------------------------------------------------------------------


def went_in(context: Context) -> list[str]:
    """A line for each component that is another now."""
    return [_part_line(part) for part in _changed(context)]


def unchanged(context: Context) -> list[str]:
    if not context.has_result(plan):
        return []
    changed, parts = _changed(context), context.result(plan).parts.values()
    same = [part.component for part in parts if part not in changed and not part.read_only]
    return [f"Unchanged: {listed(same)}"] if same else []


def _changed(context: Context) -> list[Part]:
    parts = context.result(plan).parts.values() if context.has_result(plan) else ()
    return [part for part in parts if part.changed or (part.base or part.production) != part.release]


def _part_line(part: Part) -> str:
    if not part.changed:
        return f"{part.component}: {part.previous or part.release[:SHORT]}, put there by an earlier revision"
    since = f" since {part.previous}" if part.previous else ""
    return f"{part.component}: {part.tag or part.release[:SHORT]}, {worded(len(part.commits), 'commit')}{since}"


def _deployments(context: Context) -> list[str]:
    """What answers where, by which playbooks, and what of it nobody saw."""
    there = [context.result(step) for step in (deploy_backend, deploy_frontend) if context.has_result(step)]
    return [f"{one.component} deployed: {one}" for one in there]


def _results(context: Context) -> list[str]:
    lines: list[str] = []
    if context.has_result(compare_results):
        compared = context.result(compare_results)
        lines.append(f"Pipe cleaner {compared.snapshot.kernel}: {verdict_summary(compared)}")
    record = next((step for step in context.run.steps if step.id == watch_first_results.id), None)
    if record and record.state is StepState.DONE:
        lines.append(f"First results: {record.text}")
    return lines


# ---- who, how long, what not -----------------------------------------------------------------------------------


def approvals(given: Iterable[Approval]) -> tuple[str, ...]:
    """`Update production: manager-1`, for every gate that was asked; loud where somebody broke the glass."""
    return tuple(f"{one.title}: {'; '.join(_by(one))}" for one in given)


def _by(one: Approval) -> list[str]:
    overridden = [f"OVERRIDDEN by {person}: {reason or 'no reason given'}" for person, reason in one.overrides]
    return [*([listed(one.approved_by)] if one.approved_by else []), *overridden] or ["approved"]


def durations(run: Run) -> tuple[str, ...]:
    """One line with all steps that took time."""
    took = [(step.title, _took(step)) for step in run.steps if step.kind is StepKind.STEP]
    worth = [f"{title} {span(length)}" for title, length in took if length >= WORTH_SAYING]
    return (", ".join(worth),) if worth else ()


def _took(step: StepRecord) -> timedelta:
    if step.started_at is None or step.ended_at is None or step.state is not StepState.DONE:
        return timedelta()
    return step.ended_at - step.started_at


def skipped(run: Run) -> tuple[str, ...]:
    """Steps that people left out, each with who and why."""
    return tuple(f"{step.title}, {step.text}" for step in _in(run.steps, StepState.SKIPPED))


def not_needed(run: Run) -> tuple[str, ...]:
    """One line; the card tells the reasons."""
    idle = [step.title for step in _in(run.steps, StepState.NOT_NEEDED) if step.text]
    return (listed(idle),) if idle else ()


def _in(steps: Iterable[StepRecord], state: StepState) -> list[StepRecord]:
    return [step for step in steps if step.state is state and step.kind is StepKind.STEP]
