"""Report mails where people see them: on the card and in the status of a pipe cleaner, and in its verdict."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.run import StepState
from kcibot.sandbox.kernelci.jobs import Settings
from kcibot.sandbox.kernelci.settings import Faults
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands.rules.verdict import Kind, Verdict
from kcibot_commands.rules.verdict_reasons import Level
from tests.fakes.bench import Bench
from tests.fakes.pipecleaner_bench import bot, compared, forward, said, start
from tests.fakes.sandbox_bench import sandbox

KERNELS = 8


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    faults = Faults(mails=frozenset(request.param))
    with sandbox(tmp_path, Settings(kernels=KERNELS, failure_rate=0.0, faults=faults)) as made:
        yield made


def reports(verdict: Verdict) -> list[tuple[Level, str]]:
    return [(reason.level, reason.text) for reason in verdict.reasons if reason.rule == "reports"]


def until_waiting_for(bench: Bench, number: int, words: str) -> str:
    """The card's text once it holds these words."""
    for _ in range(40):
        step = bench.run(number).step("run-pipe-cleaner")
        if words in step.text:
            return step.text
        assert step.state is StepState.WAITING, step.text
        bench.tick(timedelta(minutes=3))
    raise AssertionError(bench.run(number).step("run-pipe-cleaner").text)


@pytest.mark.parametrize("world", [("build",)], indirect=True, ids=["no build mail"])
def test_a_build_mail_that_does_not_come_is_waited_for_shown_as_due_and_fails_the_run(world: Sandbox) -> None:
    bench = bot(world, previous=world.baseline.kernel)
    number = start(bench)
    text = until_waiting_for(bench, number, "mail due")
    assert text.startswith("the labs are done; build mail due ")
    bench.say("operator", "!pipecleaner status")
    assert f"Report mails: {text.partition('; ')[2]}; test mails of baseline*" in said(bench)
    forward(bench, number)
    verdict = compared(bench, number).verdict
    assert verdict.kind is Kind.FAIL
    assert (Level.FAIL, "reports: the build mail is missing after its delay") in reports(verdict)


@pytest.mark.parametrize("world", [("baseline",)], indirect=True, ids=["no test mail"])
def test_a_build_mail_that_came_is_said_and_test_mails_that_did_not_are_a_note(world: Sandbox) -> None:
    bench = bot(world, tests_quiet=timedelta(minutes=70), previous=world.baseline.kernel)
    number = start(bench)
    text = until_waiting_for(bench, number, "build mail")
    assert text.endswith("; build mail seen")
    forward(bench, number, minutes=10)
    verdict = compared(bench, number).verdict
    assert verdict.kind is Kind.PASS
    assert (Level.NOTE, "no test mail of baseline* came: without regressions none is sent") in reports(verdict)
    assert not any("build mail" in text for _level, text in reports(verdict))
