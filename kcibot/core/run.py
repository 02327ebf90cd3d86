"""The state of a run as a value, and every way in which it may change, as pure functions."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from kcibot.core.message import Place


class StepState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    NOT_NEEDED = "not-needed"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"


SETTLED = frozenset({StepState.DONE, StepState.NOT_NEEDED, StepState.SKIPPED})
BROKEN = frozenset({StepState.FAILED, StepState.UNKNOWN})


class RunState(StrEnum):
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"


class StepKind(StrEnum):
    STEP = "step"
    GATE = "gate"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What happened to one step. `text` says it in a line: the result, what is waited for, or what broke.

    `round` counts how often the step was begun anew; effects of an older round do not count. `failures` counts the
    tries in a row that failed for a passing reason. `value` is the step's typed result as JSON, or before its end what
    it keeps from one wait to the next.
    """

    id: str
    title: str
    kind: StepKind = StepKind.STEP
    state: StepState = StepState.PENDING
    text: str = ""
    round: int = 1
    failures: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    wake_at: datetime | None = None
    value: object = None


class HoldKind(StrEnum):
    PAUSE = "pause"
    HOLD = "hold"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Hold:
    """Somebody wants the run to stand still."""

    kind: HoldKind
    person: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a procedure. Its steps were recorded when it started, and are named by id, never by position."""

    id: int
    procedure: str
    title: str
    starter: str
    place: Place
    created_at: datetime
    steps: tuple[StepRecord, ...]
    args: object = None
    revision: int = 1
    holds: tuple[Hold, ...] = ()
    ended_at: datetime | None = None
    aborted: str = ""

    @property
    def state(self) -> RunState:
        states = {step.state for step in self.steps}
        if self.aborted:
            return RunState.ABORTED
        for bad, state in ((StepState.UNKNOWN, RunState.UNKNOWN), (StepState.FAILED, RunState.FAILED)):
            if bad in states:
                return state
        if states <= SETTLED:
            return RunState.SUCCEEDED
        if self.holds:
            return RunState.PAUSED
        return RunState.WAITING if StepState.WAITING in states else RunState.RUNNING

    @property
    def ended(self) -> bool:
        return self.ended_at is not None

    @property
    def current(self) -> StepRecord | None:
        """The first step that is not settled."""
        return next((step for step in self.steps if step.state not in SETTLED), None)

    def step(self, step_id: str) -> StepRecord:
        """Raises KeyError for a step that the run does not have."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)

    def with_step(self, step_id: str, **changes: object) -> "Run":
        return replace(
            self,
            steps=tuple(replace(step, **changes) if step.id == step_id else step for step in self.steps),  # type: ignore[arg-type]
        )


def covered_by(run: Run, gate_id: str) -> tuple[StepRecord, ...]:
    """The steps between that gate and the next, as they were recorded when the run started."""
    return tuple(step for step in run.steps if step.kind is StepKind.STEP and gate_of(run, step.id) == gate_id)


def gate_of(run: Run, step_id: str) -> str:
    """Id of the gate after which that step comes; empty if there is none."""
    gate_id = ""
    for step in run.steps:
        if step.id == step_id:
            break
        gate_id = step.id if step.kind is StepKind.GATE else gate_id
    return gate_id


def begun(run: Run, step_id: str, at: datetime) -> Run:
    """The step acts now, for the first time or again."""
    step = run.step(step_id)
    return run.with_step(
        step_id, state=StepState.RUNNING, started_at=step.started_at or at, wake_at=None, text=step.text
    )


def settled(run: Run, step_id: str, state: StepState, at: datetime, text: str, value: object = None) -> Run:
    return run.with_step(step_id, state=state, ended_at=at, wake_at=None, text=text, value=value)


def waiting(run: Run, step_id: str, text: str, wake_at: datetime | None, at: datetime, memory: object = None) -> Run:
    """The step holds no thread until `wake_at`, or until somebody answers (None). A wait is no failed try."""
    step = run.step(step_id)
    return run.with_step(
        step_id,
        state=StepState.WAITING,
        wake_at=wake_at,
        text=text,
        started_at=step.started_at or at,
        failures=0,
        value=memory,
    )


def failed_for_now(run: Run, step_id: str, text: str, wake_at: datetime) -> Run:
    """A try failed for a passing reason; the next one is due at `wake_at`."""
    step = run.step(step_id)
    return run.with_step(step_id, state=StepState.WAITING, wake_at=wake_at, text=text, failures=step.failures + 1)


def looked_at_again(run: Run, step_id: str, text: str, wake_at: datetime) -> Run:
    """Whether an effect happened is looked at again at `wake_at`: neither a failed try nor an end to failing."""
    return run.with_step(step_id, state=StepState.WAITING, wake_at=wake_at, text=text)


def broken(run: Run, step_id: str, state: StepState, text: str) -> Run:
    """The step failed, or its outcome is unknown; people decide."""
    return run.with_step(step_id, state=state, text=text, wake_at=None)


def again(run: Run, step_id: str) -> Run:
    """Try the step again where it broke, with its whole time: effects that are done stay done."""
    return run.with_step(step_id, state=StepState.PENDING, text="", failures=0, wake_at=None, started_at=None)


def anew(run: Run, step_id: str) -> Run:
    """Begin the step from its start: effects of earlier rounds do not count."""
    step = run.step(step_id)
    return again(run, step_id).with_step(step_id, ended_at=None, value=None, round=step.round + 1)


def held(run: Run, hold: Hold) -> Run:
    """One hold of a kind per person: a second one replaces the first one's reason."""
    kept = tuple(h for h in run.holds if (h.kind, h.person) != (hold.kind, hold.person))
    return replace(run, holds=(*kept, hold))


def released(run: Run, kinds: frozenset[HoldKind]) -> Run:
    return replace(run, holds=tuple(h for h in run.holds if h.kind not in kinds))


def ended(run: Run, at: datetime, aborted: str = "") -> Run:
    return replace(run, ended_at=at, aborted=aborted)
