"""A bot that pauses the monitor, and what its newest run says of it."""

from collections.abc import Iterator

from kcibot.core.run import RunState, StepState
from kcibot_commands.monitor.flags import read_pause
from tests.fakes.ci_bench import BISECTION, MONITOR, TIMER, CiBench, definition

DONE = frozenset({StepState.DONE, StepState.NOT_NEEDED})


def states(ci: CiBench) -> dict[str, StepState]:
    return {step.id: step.state for step in ci.newest().steps}


def texts(ci: CiBench) -> str:
    return "; ".join(step.text for step in ci.newest().steps)


def paused(ci: CiBench) -> tuple[str, ...] | None:
    pause = read_pause(ci.bench.journal.recall("paused").get("monitor"))
    return pause.jobs if pause else None


def unfinished(ci: CiBench) -> Iterator[str]:
    run = ci.newest()
    if run.state is not RunState.SUCCEEDED or not set(states(ci).values()) <= {*DONE}:
        yield f"it did not go on: {run.state}, {texts(ci)}"


def pause(ci: CiBench) -> None:
    ci.say("!monitor pause")
    ci.tick_until_ended()
    assert paused(ci) == (MONITOR, BISECTION)


def pause_freestyle(ci: CiBench) -> None:
    for job in (MONITOR, BISECTION):
        parameter = definition("CONFIG_LIST", timer=TIMER)
        ci.jenkins.create_job(job, parameter.replace("flow-definition", "project"))
    pause(ci)
