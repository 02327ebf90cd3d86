"""What the waiting owes to the proof of a drain: in which order and when it looks, and which looks it throws away."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from kcibot.core.procedure import Context, Done, Procedure, Wait
from kcibot.core.run import RunState
from kcibot.sandbox.http import Fault, FaultKind, Request, Response
from kcibot.sandbox.jenkins import succeed_after
from kcibot_commands import drain
from kcibot_commands.rules.drain_proof import Finding, Rule
from kcibot_commands.rules.drain_watching import Watching
from tests.fakes.ci_bench import MONITOR, TRIGGER, CiBench, CiClock, ci_bench
from tests.fakes.jenkins_truth import disable, end_everything

JOBS, LOOK = "/api/json", ["/queue/api/json", "/computer/api/json"]
FIRST = [JOBS, *LOOK]
CONFIRMING = [JOBS, *LOOK, *LOOK, JOBS]
HALF_MINUTE = timedelta(seconds=30)


@pytest.fixture
def ci(tmp_path: Path) -> Iterator[CiBench]:
    with ci_bench(tmp_path) as bench:
        disable(bench, MONITOR)
        yield bench


@contextmanager
def asked(ci: CiBench) -> Iterator[list[str]]:
    """What Jenkins is asked for meanwhile."""
    ci.jenkins.requests.clear()
    paths: list[str] = []
    yield paths
    paths += [request.path for request in ci.jenkins.requests]


def works(ci: CiBench, job: str) -> None:
    """For hours, begun now."""
    ci.jenkins.behave(job, succeed_after(9 * 3600))
    ci.jenkins.trigger(job, {})
    ci.forward(seconds=11)


def half_a_minute_is_left(ci: CiBench) -> bool:
    """But for the moments that the test itself takes."""
    step = ci.newest().step("drain")
    assert step.wake_at
    return timedelta(seconds=25) < step.wake_at - ci.bench.clock.now() <= HALF_MINUTE


def test_a_disabled_monitor_whose_build_runs_holds_the_drain_even_if_it_is_to_be_ignored(tmp_path: Path) -> None:
    sections: dict[type[object], object] = {drain.DrainSettings: drain.DrainSettings(ignored=(MONITOR,))}
    with ci_bench(tmp_path, sections=sections) as ci:
        works(ci, MONITOR)
        disable(ci, MONITOR)
        ci.say("!drain wait")
        for _ in range(4):
            assert f"{MONITOR} #1" in ci.newest().step("drain").text
            ci.bench.tick(HALF_MINUTE)
        end_everything(ci)
        assert ci.tick_until_ended().state is RunState.SUCCEEDED


@pytest.mark.parametrize("fails", range(len(CONFIRMING)))
def test_after_a_look_that_failed_the_next_one_is_a_first_look(ci: CiBench, fails: int) -> None:
    with asked(ci) as paths:
        ci.say("!drain wait")
    assert paths == FIRST
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, status=502, skip=fails))
    with asked(ci) as paths:
        ci.bench.tick(HALF_MINUTE)
    assert paths == CONFIRMING[: fails + 1]
    with asked(ci) as paths:
        ci.bench.tick(HALF_MINUTE)
    assert paths == FIRST
    with asked(ci) as paths:
        ci.bench.tick(HALF_MINUTE)
    assert paths == CONFIRMING


def test_after_a_look_that_saw_work_the_next_one_is_a_first_look(ci: CiBench) -> None:
    ci.say("!drain wait")
    works(ci, TRIGGER)
    with asked(ci) as paths:
        ci.bench.tick(HALF_MINUTE)
    assert paths == CONFIRMING
    end_everything(ci)
    with asked(ci) as paths:
        ci.bench.tick(HALF_MINUTE)
    assert paths[:3] == FIRST
    assert len(set(paths[3:])) <= 1, "apart from the builds that are measured"


def test_a_retry_begins_with_a_first_look(ci: CiBench) -> None:
    ci.say("!drain wait --timeout 10s")
    works(ci, TRIGGER)
    ci.bench.tick(HALF_MINUTE)
    assert ci.newest().state is RunState.FAILED
    end_everything(ci)
    ci.forward(minutes=1)
    with asked(ci) as paths:
        assert ci.say("!release retry drain").state is RunState.WAITING
    assert paths == FIRST
    assert half_a_minute_is_left(ci)


# ---- time ------------------------------------------------------------------------------------------------------


class SlowAnswers:
    """Every answer of Jenkins takes so long."""

    def __init__(self, ci: CiBench, span: timedelta) -> None:
        self._ci, self._span, self._answer = ci, span, ci.jenkins.answer

    def __call__(self, request: Request) -> Response | None:
        response = self._answer(request)
        self._ci.bench.clock.forward(self._span)
        return response


def test_the_half_minute_counts_from_the_last_answer_of_the_first_look(ci: CiBench) -> None:
    ci.jenkins.answer = SlowAnswers(ci, timedelta(seconds=10))  # type: ignore[method-assign]
    ci.say("!drain wait")
    assert half_a_minute_is_left(ci)


def impatient(context: Context) -> Done[drain.Drained] | Wait:
    """The same step, asked again long before it wants to be."""
    end = drain.wait_for_drain(context)
    return replace(end, until=context.clock.now() + timedelta(seconds=5)) if isinstance(end, Wait) else end


def test_who_asks_too_early_costs_jenkins_nothing_and_the_quiet_look_stays(ci: CiBench) -> None:
    step = replace(drain.drain, run=impatient)
    ci.bench.world.registry.procedures["drain"] = Procedure("drain", step, title=drain.DRAIN.title)
    ci.say("!drain wait")
    with asked(ci) as paths:
        for _ in range(5):
            ci.bench.tick(timedelta(seconds=5))
    assert paths == []
    with asked(ci) as paths:
        ci.bench.tick(timedelta(seconds=5))
    assert paths == CONFIRMING
    assert ci.newest().state is RunState.SUCCEEDED


@pytest.mark.parametrize(("early", "finding"), [(0, Finding.DRAINED), (5, Finding.HELD), (25, Finding.HELD)])
def test_a_confirming_look_that_began_too_early_confirms_nothing_however_long_it_takes(
    ci: CiBench, early: int, finding: Finding
) -> None:
    """Whoever calls it, and whatever the clock said before."""
    clock, looked = ci.bench.clock, SimpleNamespace(clock=ci.bench.clock, ports=SimpleNamespace(ci=ci.server))
    rule = Rule(MONITOR, HALF_MINUTE)
    first, _ = drain._judged(cast("Context", looked), rule, Watching(clock.now()))
    clock.forward(HALF_MINUTE - timedelta(seconds=early))
    ci.jenkins.answer = SlowAnswers(ci, timedelta(seconds=10))  # type: ignore[method-assign]
    verdict, _ = drain._judged(cast("Context", looked), rule, Watching(clock.now(), first.quiet))
    assert verdict.finding is finding
    assert ("too early" in verdict.why) == bool(early)


def test_a_wall_clock_that_jumped_ahead_does_not_make_it_ask_all_the_time(
    ci: CiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CiClock, "now", lambda clock: clock.cautious_now() + timedelta(hours=1))
    with asked(ci) as paths:
        ci.say("!drain wait")
    assert paths == FIRST
    with asked(ci) as paths:
        ci.bench.tick(HALF_MINUTE)
    assert paths == CONFIRMING
