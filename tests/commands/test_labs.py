"""Waiting for the labs before production changes: over the real adapter and the LAVA stand-in."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kcibot.core.procedure import Context, Done, Procedure, Step
from kcibot.core.run import Run, RunState, StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.jenkins import succeed_after
from kcibot_commands.labs import LabsSettings, WaitFor, drain_labs
from kcibot_commands.plan.steps import Part, Plan, plan
from tests.fakes.bench import BEGINS, ROOM
from tests.fakes.ci_bench import TRIGGER, CiBench, ci_bench

LABS = ("lab-one", "lab-two")
ALONE = Procedure("labs", drain_labs)


@pytest.fixture
def ci(tmp_path: Path) -> Iterator[CiBench]:
    with ci_bench(tmp_path, labs=LABS) as bench:
        yield bench


def start(ci: CiBench, procedure: Procedure = ALONE) -> Run:
    bench = ci.bench
    bench.world.registry.procedures[procedure.name] = procedure
    with bench.world.lock:
        outcome = bench.engine.start(procedure, bench.world.people.get("operator"), ROOM)
        bench.journal.commit(outcome.changes)
    bench.engine.wake(outcome.wake)
    return ci.newest()


def labs(run: Run) -> tuple[StepState, str]:
    return run.step("drain-labs").state, run.step("drain-labs").text


def frozen(**parts: bool) -> Procedure:
    """A release whose plan changes those components."""
    made = {name: Part(name, "a" * 40, "main", ("b" if changed else "a") * 40) for name, changed in parts.items()}
    value = Plan("kernelci-20261123", 1, BEGINS, "<one@kernelci.org>", made)

    def run(_context: Context) -> Done[Plan]:
        return Done("frozen", value)

    return Procedure("release", Step(plan.id, plan.title, run, Plan), drain_labs)


def test_it_waits_until_no_lab_has_an_open_job_of_ours(ci: CiBench) -> None:
    ci.labs["lab-one"].submit("baseline", "panda", waits=timedelta(minutes=3), runs=timedelta(minutes=9))
    ci.labs["lab-two"].submit("somebody's", "panda", runs=timedelta(days=9), submitter="somebody")
    assert labs(start(ci)) == (StepState.WAITING, "lab-one: 0 running, 1 waiting")
    ci.bench.tick(timedelta(minutes=4))
    assert labs(ci.newest()) == (StepState.WAITING, "lab-one: 1 running, 0 waiting")
    ci.bench.tick(timedelta(minutes=9))
    assert labs(ci.newest()) == (StepState.DONE, "2 labs without an open job of ours")


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.STATUS, FaultKind.HTML, FaultKind.TRUNCATED])
def test_a_lab_that_cannot_be_seen_is_not_idle(ci: CiBench, kind: FaultKind) -> None:
    ci.labs["lab-two"].faults.add(Fault(kind, times=999))
    start(ci)
    for _ in range(3):
        state, text = labs(ci.newest())
        assert state is StepState.WAITING
        assert text.startswith("lab-two cannot be seen, so what runs there is not known: ")
        ci.bench.tick(timedelta(minutes=2))
    ci.labs["lab-two"].faults.clear()
    ci.bench.tick(timedelta(minutes=2))
    assert labs(ci.newest())[0] is StepState.DONE


def test_people_decide_when_it_takes_too_long(ci: CiBench) -> None:
    ci.labs["lab-one"].submit("stuck", "panda", runs=timedelta(days=2))
    start(ci)
    for _ in range(125):
        ci.bench.tick(timedelta(minutes=2))
    state, text = labs(ci.newest())
    assert state is StepState.FAILED
    assert text.startswith("not all is done within 4 h 00 min: lab-one: 1 running, 0 waiting. What is posted while")
    assert "!release skip drain-labs REASON goes on" in text
    ci.bench.say("operator", "!release retry")
    assert labs(ci.newest()) == (StepState.WAITING, "lab-one: 1 running, 0 waiting")


@pytest.mark.parametrize(
    ("settings", "procedure", "why"),
    [
        ({"wait": WaitFor.NEVER}, ALONE, "labs and report mails are not waited for, as configured"),
        ({}, frozen(core=True, backend=False), "the backend stays as it is, so what the labs post arrives"),
        ({}, frozen(core=True), "the backend stays as it is, so what the labs post arrives"),
        ({"wait": WaitFor.ALWAYS}, frozen(core=True, backend=False), ""),
        ({}, frozen(backend=True), ""),
    ],
)
def test_not_to_wait_is_a_decision_that_is_written_down(
    tmp_path: Path, settings: dict[str, Any], procedure: Procedure, why: str
) -> None:
    with ci_bench(tmp_path, labs=LABS, sections={LabsSettings: LabsSettings(**settings)}) as ci:
        ci.labs["lab-one"].submit("baseline", "panda", runs=timedelta(days=1))
        assert labs(start(ci, procedure)) == (
            (StepState.NOT_NEEDED, why) if why else (StepState.WAITING, "lab-one: 0 running, 1 waiting")
        )


def test_without_a_configured_lab_nobody_pretends_to_know(tmp_path: Path) -> None:
    with ci_bench(tmp_path) as ci:
        assert labs(start(ci)) == (StepState.NOT_NEEDED, "no lab is configured, so nobody knows what runs there")


def test_report_mails_are_waited_for_after_the_last_build(tmp_path: Path) -> None:
    with ci_bench(tmp_path, sections={LabsSettings: LabsSettings(mails=timedelta(minutes=30))}) as ci:
        ci.jenkins.behave(TRIGGER, succeed_after(600))
        ci.jenkins.trigger(TRIGGER, {})
        ci.forward(minutes=11)
        state, text = labs(start(ci))
        assert (state, text[:32]) == (StepState.WAITING, "report mails may be sent until 0")
        ci.jenkins.faults.add(Fault(FaultKind.STATUS, status=503, times=2))
        ci.bench.tick(timedelta(minutes=2))
        assert labs(ci.newest())[1].startswith("whether report mails are due is not known: ")
        while not ci.newest().ended:
            ci.bench.tick(timedelta(minutes=2))
        ended = ci.newest().step("drain-labs").ended_at
        (build,) = ci.server.builds(TRIGGER)
        assert ended
        assert ended - build.started > timedelta(minutes=39)


def test_report_mails_are_waited_for_after_the_build_that_ended_last(tmp_path: Path) -> None:
    with ci_bench(tmp_path, sections={LabsSettings: LabsSettings(mails=timedelta(minutes=30))}) as ci:
        ci.jenkins.behave(TRIGGER, lambda build: succeed_after(3600 if build.number == 1 else 60)(build))
        for number in (1, 2):
            ci.jenkins.trigger(TRIGGER, {"BUILD_CONFIG": f"config-{number}"})
            ci.forward(seconds=30)
        ci.forward(minutes=60)
        newest, oldest = ci.server.builds(TRIGGER)
        assert (newest.seconds, oldest.seconds) == (60, 3600)
        end = oldest.started + timedelta(minutes=90)
        assert labs(start(ci)) == (StepState.WAITING, f"report mails may be sent until {end:%H:%M} UTC")


def test_the_state_of_every_lab_can_be_asked_for(ci: CiBench) -> None:
    ci.labs["lab-one"].add_device("panda-01", "panda")
    ci.labs["lab-one"].submit("baseline", "panda")
    ci.labs["lab-two"].faults.add(Fault(FaultKind.STATUS, times=99))
    assert ci.say("!labs status", "observer").state is RunState.SUCCEEDED
    answer = ci.notice(":answer")
    assert answer.title == "1 open job of ours in lab-one and lab-two"
    assert answer.lines[0] == "lab-one: 0 running, 1 waiting; 1 of 1 boards online"
    assert answer.lines[1].startswith("lab-two: not known. ")
