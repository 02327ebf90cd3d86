"""Pauses that requests go wrong in: a flag is never said to be what it was not seen to be."""

from collections.abc import Iterator
from functools import partial

from kcibot.core.run import StepState
from kcibot.sandbox.jenkins import succeed_after
from kcibot_commands.monitor.flags import MonitorSettings
from tests.fakes.ci_bench import BISECTION, MONITOR, CiBench
from tests.fakes.jenkins_faults import Scenario
from tests.fakes.jenkins_paused import DONE, pause, pause_freestyle, paused, states, texts, unfinished
from tests.fakes.jenkins_troubles import WRONG_TYPES
from tests.fakes.jenkins_truth import is_disabled, results, truth

HOURS = 9 * 3600
CRON = "H * * * *"


# ---- pausing ---------------------------------------------------------------------------------------------------


def busy(ci: CiBench) -> None:
    """A bisection runs, and a build of the monitor waits."""
    ci.jenkins.behave(BISECTION, succeed_after(HOURS))
    ci.jenkins.trigger(BISECTION, {"TARGET": "a board"})
    ci.forward(seconds=11)
    with truth(ci) as jenkins:
        job = jenkins.jobs.find(MONITOR)
        assert job
        jenkins.schedule(job, {}, [], quiet=HOURS)


def busy_freestyle(ci: CiBench) -> None:
    for job in (MONITOR, BISECTION):
        ci.jenkins.create_job(job, "<project/>")
    busy(ci)


def false_pause(ci: CiBench) -> Iterator[str]:
    for step, job in (("pause-monitor", MONITOR), ("abort-bisections", BISECTION)):
        if states(ci)[step] in DONE and not is_disabled(ci, job):
            yield f"{job} is enabled, but said was: {texts(ci)}"
        if states(ci)[step] in DONE and job not in (paused(ci) or ()):
            yield f"the resume will not give back {job}"
    if states(ci)["abort-bisections"] in DONE and results(ci, BISECTION) != ["ABORTED"]:
        yield f"the bisection goes on, but said was: {texts(ci)}"


def not_paused(ci: CiBench) -> Iterator[str]:
    yield from unfinished(ci)
    if "that cancelled 1 build in the queue" not in texts(ci) or paused(ci) != (MONITOR, BISECTION):
        yield f"{paused(ci)}, {texts(ci)}"


PAUSE = partial(Scenario, begin=lambda ci: ci.say("!monitor pause"), missing=not_paused, lies=false_pause)


# ---- resuming --------------------------------------------------------------------------------------------------


def false_resume(ci: CiBench) -> Iterator[str]:
    disabled = [job for job in (MONITOR, BISECTION) if is_disabled(ci, job)]
    if disabled and (states(ci)["resume-monitor"] in DONE or paused(ci) is None):
        yield f"{disabled} disabled, but said was: {texts(ci)}"
    if states(ci)["start-monitor"] is StepState.DONE and results(ci, MONITOR) != ["SUCCESS"]:
        yield f"builds: {results(ci, MONITOR)}, but said was: {texts(ci)}"
    for wrong in ("not by me", "somebody else", "will not start by itself", "has lost its timer"):
        if wrong in texts(ci) or wrong in ci.said():
            yield f"said was: {texts(ci)}"


def not_resumed(ci: CiBench) -> Iterator[str]:
    yield from unfinished(ci)
    if results(ci, MONITOR) != ["SUCCESS"] or paused(ci) is not None:
        yield f"builds {results(ci, MONITOR)}, {texts(ci)}"


def timer_not_put_back(ci: CiBench) -> Iterator[str]:
    yield from not_resumed(ci)
    with truth(ci) as jenkins:
        job = jenkins.jobs.find(MONITOR)
        if not job or job.config.timer != CRON:
            yield f"the timer was not put back: {texts(ci)}"


def false_flags(ci: CiBench) -> Iterator[str]:
    yield from (lie for lie in false_resume(ci) if "timer" not in lie)


RESUME = partial(Scenario, begin=lambda ci: ci.say("!monitor resume"), missing=not_resumed, lies=false_resume)


PAUSES = (
    PAUSE("pause", prepare=busy),
    PAUSE("pause of freestyle jobs", prepare=busy_freestyle, troubles=WRONG_TYPES),
    RESUME("resume", prepare=pause),
    RESUME("resume of freestyle jobs", prepare=pause_freestyle, troubles=WRONG_TYPES),
    RESUME(
        "resume after a lost timer",
        prepare=pause,
        lies=false_flags,
        missing=timer_not_put_back,
        about="config.xml",
        sections={MonitorSettings: MonitorSettings(cron=CRON)},
    ),
)
