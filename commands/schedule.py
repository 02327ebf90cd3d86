"""What comes next, and when."""

from kcibot.sdk import EVERYBODY, Call, Notice, Outcome, StepState, command, moment


@command("schedule", role=EVERYBODY)
def schedule(call: Call) -> Outcome:
    """Say what is waited for, until when, and when production may be touched next."""
    now = call.world.clock.now()
    lines = []
    for run in call.world.journal.open_runs():
        step = run.current
        if step and step.state is StepState.WAITING and step.wake_at:
            lines.append(f"{run.title}, {step.title}: {moment(step.wake_at, now)}")
    hours = call.world.hours
    if hours:
        opening = hours.next_opening(now)
        state = "open now" if hours.is_open(now) else f"next {moment(opening, now)}"
        lines.append(f"Production hours: {state}, until {moment(hours.closing(now), now)}")
    return Outcome(Notice("Schedule" if lines else "Nothing is scheduled.", lines=tuple(lines)))
