"""Runs of the monitor that requests go wrong in: it runs once, and is not left enabled in silence."""

import re
from collections.abc import Iterator
from functools import partial

from kcibot.core.run import BROKEN, RunState, StepState
from kcibot.core.watching import Watching
from kcibot.sandbox.jenkins import succeed_after
from kcibot_commands.monitor.flags import MonitorSettings
from tests.fakes.ci_bench import MONITOR, CiBench, definition
from tests.fakes.jenkins_faults import Scenario
from tests.fakes.jenkins_paused import pause, pause_freestyle, texts, unfinished
from tests.fakes.jenkins_truth import disable, is_disabled, results, truth

HOURS = 9 * 3600
COPY = "monitor-copy"


# ---- for chosen build configs ----------------------------------------------------------------------------------


def pause_with_a_fresh_copy(ci: CiBench) -> None:
    copy = ci.jenkins.create_job(COPY, definition("CONFIG_LIST"))
    with truth(ci):
        copy.held = True
    pause(ci)


def false_run(ci: CiBench, job: str = MONITOR) -> Iterator[str]:
    run, told = ci.newest(), texts(ci)
    if run.state is RunState.SUCCEEDED and (results(ci, job) != ["SUCCESS"] or not is_disabled(ci, MONITOR)):
        yield f"builds {results(ci, job)}, but said was: {told}"
    broken = {step.state for step in run.steps} & BROKEN
    if broken and not is_disabled(ci, MONITOR) and not re.search(rf"enabled|disabling {MONITOR}", told):
        yield f"{MONITOR} was left enabled, but said was: {told}"


def not_run(ci: CiBench, job: str = MONITOR) -> Iterator[str]:
    yield from unfinished(ci)
    if results(ci, job) != ["SUCCESS"] or not is_disabled(ci, MONITOR) or ci.bench.journal.recall("monitor-opened"):
        yield f"builds {results(ci, job)}, {MONITOR} {'disabled' * is_disabled(ci, MONITOR)}, {texts(ci)}"


RUN = partial(Scenario, begin=lambda ci: ci.say("!monitor run kernelci"))


# ---- status, and what is watched -------------------------------------------------------------------------------


def ask(ci: CiBench) -> None:
    ci.say("!monitor status", "observer")


def pause_while_it_runs(ci: CiBench) -> None:
    ci.jenkins.behave(MONITOR, succeed_after(HOURS))
    ci.jenkins.trigger(MONITOR, {})
    ci.forward(seconds=11)
    pause_freestyle(ci)


def false_status(ci: CiBench) -> Iterator[str]:
    step = ci.newest().step("monitor-status")
    facts = (
        f"{MONITOR} is disabled",
        "Paused by operator",
        "Running: #1; in the queue: nothing.",
        "Timer: in the job.",
    )
    if step.state is StepState.DONE and not all(fact in step.text for fact in facts):
        yield f"said: {step.text}"


STATUS = Scenario("monitor status", ask, unfinished, false_status, pause_while_it_runs, lifted=ask)


def watch(ci: CiBench) -> None:
    ci.forward(minutes=5)
    Watching(ci.bench.world).tick()


def asked(ci: CiBench) -> bool:
    return "although the monitor is paused" in ci.said()


def pause_and_enable(ci: CiBench) -> None:
    pause_freestyle(ci)
    disable(ci, MONITOR, disabled=False)


def not_asked(ci: CiBench) -> Iterator[str]:
    if not asked(ci):
        yield "nobody was asked about the flag"


def false_alarm(ci: CiBench) -> Iterator[str]:
    if asked(ci):
        yield "asked about a flag that is as it must be"


WATCH = partial(Scenario, begin=watch, move=watch, over=lambda _ci: False, moves=0, most=2, silent=True)

RUNS = (
    RUN("run", prepare=pause, lies=false_run, missing=not_run),
    RUN(
        "run of a fresh copy",
        prepare=pause_with_a_fresh_copy,
        lies=partial(false_run, job=COPY),
        missing=partial(not_run, job=COPY),
        sections={MonitorSettings: MonitorSettings(run_job=COPY)},
    ),
    STATUS,
    WATCH("a paused monitor that came back", prepare=pause_and_enable, missing=not_asked, over=asked),
    WATCH("a paused monitor", prepare=pause_freestyle, missing=false_alarm, lies=false_alarm),
)
