"""What is said when a step broke or people said no: what happened, what it leaves, and what can be done next."""

from collections.abc import Iterable, Iterator

from kcibot.core.journal import Effect, EffectState
from kcibot.core.notice import Level, Notice
from kcibot.core.run import Run, StepKind, StepRecord, StepState
from kcibot.core.wording import listed

AMENDING = "amend"
"""The gate of a procedure that can be given new commits."""
CHOICES = (
    "!release retry tries again, !release skip {step} REASON goes on without it, "
    "{amend}!release abort REASON ends the run."
)
CHOICES_GATE = "!release retry asks again, {amend}!release abort REASON ends the run."
CHOICE_AMEND = "!release amend freezes new commits, "
CHOICES_UNKNOWN = (
    "Look for yourselves. !release skip {step} REASON if it happened, !release retry {step} --not-done if it did not, "
    "!release retry {step} lets me look again."
)


def trouble(run: Run, record: StepRecord, state: StepState, text: str, effects: Iterable[Effect]) -> Notice:
    """What broke, what production is left with, and what can be done."""
    is_gate = record.kind is StepKind.GATE
    what = "its outcome is unknown" if state is StepState.UNKNOWN else "failed"
    what = "was not approved" if is_gate and text.startswith("rejected") else "cannot be asked" if is_gate else what
    title = f"{run.title}: “{record.title}” {what}"
    choices = CHOICES_UNKNOWN if state is StepState.UNKNOWN else CHOICES_GATE if is_gate else CHOICES
    amend = CHOICE_AMEND if any(step.id == AMENDING for step in run.steps) else ""
    lines = (text, *_left_with(run, effects), choices.format(step=record.id, amend=amend))
    return Notice(title, Level.ALERT, lines, mentions=(run.starter,))


def _left_with(run: Run, effects: Iterable[Effect]) -> Iterator[str]:
    """What has been done so far: the steps that acted, and what the broken one did before it broke."""
    done = [step.title for step in run.steps if step.state is StepState.DONE and step.kind is StepKind.STEP]
    yield f"Done before it: {listed(done)}." if done else "Nothing had been done before it."
    known = list(effects)
    acted = [effect.key for effect in known if effect.state is EffectState.DONE]
    flying = [effect.key for effect in known if effect.state is EffectState.IN_FLIGHT]
    if acted:
        yield f"Done by this step itself: {listed(acted)}."
    half = [effect.key for effect in known if effect.state is EffectState.BROKEN_OFF]
    if half:
        yield f"Begun by this step and broken off half-way: {listed(half)}."
    if flying:
        yield f"Begun by this step, outcome unknown: {listed(flying)}."
