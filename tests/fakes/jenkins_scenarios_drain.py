"""Drains that requests go wrong in: it is never said to be drained falsely."""

from collections.abc import Iterator
from functools import partial

from kcibot.core.run import RunState, StepState
from kcibot.sandbox.jenkins import succeed_after
from tests.fakes.ci_bench import BISECTION, MONITOR, TIMER, TRIGGER, CiBench
from tests.fakes.jenkins_faults import Scenario
from tests.fakes.jenkins_troubles import WRONG_TYPES
from tests.fakes.jenkins_truth import at_work, disable, end_everything, is_disabled, truth

FREESTYLE = f"<project><properties>{TIMER}</properties></project>"
"""Unlike a pipeline's, its flag is in its JSON."""


def begin(ci: CiBench) -> None:
    ci.say("!drain wait")


def false_drain(ci: CiBench) -> Iterator[str]:
    step = ci.newest().step("drain")
    if step.state is not StepState.WAITING and (at_work(ci) or not is_disabled(ci, MONITOR)):
        yield f"drained, although it is not: {step.state}, {step.text}"


def not_drained(ci: CiBench) -> Iterator[str]:
    run = ci.newest()
    if run.state is not RunState.SUCCEEDED or "Jenkins is drained, after" not in ci.said():
        yield f"it did not go on: {run.state}, {run.step('drain').text}"


def idle(ci: CiBench) -> None:
    disable(ci, MONITOR)


def running(ci: CiBench) -> None:
    idle(ci)
    work(ci)


def work(ci: CiBench, job: str = TRIGGER, hours: float = 9) -> None:
    ci.jenkins.behave(job, succeed_after(hours * 3600))
    ci.jenkins.trigger(job, {})
    ci.forward(seconds=11)


def queued(ci: CiBench) -> None:
    """It waits for as long as nobody cancels it."""
    idle(ci)
    with truth(ci) as jenkins:
        job = jenkins.jobs.find(TRIGGER)
        assert job
        jenkins.schedule(job, {}, [], quiet=24 * 3600)


def freestyle(ci: CiBench) -> None:
    ci.jenkins.create_job(MONITOR, FREESTYLE)


def began_between(ci: CiBench) -> None:
    begin(ci)
    work(ci)


def ran_between(ci: CiBench) -> None:
    begin(ci)
    work(ci, hours=0)
    end_everything(ci)


def enabled_between(ci: CiBench) -> None:
    begin(ci)
    disable(ci, MONITOR, disabled=False)


def let_it_end(ci: CiBench) -> None:
    disable(ci, MONITOR)
    end_everything(ci)


HELD = partial(Scenario, begin=begin, missing=not_drained, lies=false_drain, lifted=let_it_end, moves=0)
BETWEEN = partial(HELD, prepare=idle, moves=1, first=3)
"""After the three requests of the first look, which was quiet."""
WAIT = (
    Scenario("an idle Jenkins", begin, not_drained, false_drain, idle),
    HELD("a build that runs", prepare=running),
    HELD("a build that waits", prepare=queued),
    HELD("a monitor that is enabled"),
    HELD("a freestyle monitor that is enabled", prepare=freestyle, troubles=WRONG_TYPES),
    BETWEEN("a build that began between the looks", begin=began_between),
    BETWEEN("a build that ran between the looks", begin=ran_between),
    BETWEEN("a monitor that was enabled between the looks", begin=enabled_between),
)


# ---- !drain status ---------------------------------------------------------------------------------------------


def ask(ci: CiBench) -> None:
    ci.say("!drain status", "observer")


def much_to_tell(ci: CiBench) -> None:
    freestyle(ci)
    work(ci)
    with truth(ci) as jenkins:
        job = jenkins.jobs.find(BISECTION)
        assert job
        jenkins.schedule(job, {}, [], quiet=24 * 3600)


def false_status(ci: CiBench) -> Iterator[str]:
    step = ci.newest().step("drain-status")
    facts = ("1 running, 1 queued", f"{TRIGGER} #1 (", f"{BISECTION} (item ", f"{MONITOR} is enabled.")
    if step.state is StepState.DONE and not all(fact in step.text for fact in facts):
        yield f"said: {step.text}"


def no_status(ci: CiBench) -> Iterator[str]:
    if ci.newest().state is not RunState.SUCCEEDED:
        yield "no answer afterwards"


STATUS = Scenario("drain status", ask, no_status, false_status, much_to_tell, lifted=ask)


DRAIN = (*WAIT, STATUS)
