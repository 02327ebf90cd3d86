"""The card of a run: one message, edited in place, with every step and its state."""

from datetime import datetime, timedelta

from kcibot.core.notice import Level, Notice, Progress
from kcibot.core.run import SETTLED, Run, RunState, StepRecord, StepState
from kcibot.core.wording import MARKS, moment, span

_WORTH_SAYING = timedelta(minutes=1)
_LONG_WAIT = timedelta(minutes=15)
"""Shorter ones are looks that come again, not times that anybody plans with."""

LEVELS = {
    RunState.SUCCEEDED: Level.SUCCESS,
    RunState.FAILED: Level.WARNING,
    RunState.UNKNOWN: Level.WARNING,
    RunState.ABORTED: Level.WARNING,
}


def card_key(run: Run) -> str:
    return f"run:{run.id}:card"


def card(run: Run, now: datetime, progress: Progress | None = None, live: str = "") -> Notice:
    """The run as it stands. `live` is what the acting step last reported."""
    lines = tuple(_line(step, now, live if step is run.current else "") for step in run.steps)
    holds = tuple(f"{hold.kind.value} by {hold.person}: {hold.reason}" for hold in run.holds)
    settled = sum(step.state in SETTLED for step in run.steps)
    return Notice(
        title=f"{run.title} · {run.state.value}{_took(run)}",
        level=LEVELS.get(run.state, Level.INFO),
        lines=(*holds, *lines),
        progress=progress or (None if len(run.steps) == 1 else Progress(settled, len(run.steps), "steps")),
        brief=brief(run),
        milestone=_milestone(run),
    )


def brief(run: Run) -> str:
    """The essence of the card in one line."""
    current = run.current
    where = f": {current.title}" if current else ""
    text = f" ({current.text})" if current and current.text else ""
    return f"{run.title} {run.state.value}{where}{text}"


def _milestone(run: Run) -> str:
    """State and step; what a step reports meanwhile is none."""
    current = run.current
    return f"{run.state.value} {current.id if current else ''} {len(run.holds)}"


def _line(step: StepRecord, now: datetime, live: str) -> str:
    parts = [f"{MARKS[step.state]} {step.title}"]
    text = live or step.text
    if text:
        parts.append(text)
    if step.state is StepState.WAITING and step.wake_at and step.started_at and step.wake_at - now > _LONG_WAIT:
        parts.append(f"until {moment(step.wake_at, now)}")
    took = _step_took(step, now)
    if took:
        parts.append(took)
    return " · ".join(parts)


def _step_took(step: StepRecord, now: datetime) -> str:
    if step.started_at is None or step.state in {StepState.NOT_NEEDED, StepState.SKIPPED}:
        return ""
    took = (step.ended_at or now) - step.started_at
    return span(took) if took >= _WORTH_SAYING else ""


def _took(run: Run) -> str:
    return f" · {span(run.ended_at - run.created_at)}" if run.ended_at else ""
