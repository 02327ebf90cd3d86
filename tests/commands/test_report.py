"""The end of a release: the monitor's first builds are watched, and everybody is told what happened."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kcibot.core.message import Place
from kcibot.core.run import Run, RunState, StepKind, StepRecord, StepState
from kcibot.sandbox import kernelci_definitions as kci
from kcibot.sandbox.kernelci import Sandbox
from kcibot.sandbox.kernelci_jobs import Settings
from kcibot.sdk import Procedure
from kcibot_commands import approvals, runs
from kcibot_commands.monitor import start_monitor_once
from kcibot_commands.plan import plan
from kcibot_commands.report import FirstResults, durations, left_out, report, watch_first_results
from kcibot_commands.report import approvals as approved
from tests.fakes.bench import ROOM, Bench
from tests.fakes.sandbox_bench import sandbox, sandbox_bench

ENDING = Procedure("ending", plan, start_monitor_once, watch_first_results, report, title="Release")
BEGAN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path, Settings(kernels=12)) as made:
        yield made


def end(world: Sandbox) -> Bench:
    """A run of the end alone, driven to its end."""
    bench = sandbox_bench(world, approvals, runs, sections={})
    bench.world.registry.procedures[ENDING.name] = ENDING
    outcome = bench.engine.start(ENDING, bench.world.people.get("operator"), ROOM, "Release of today")
    bench.journal.commit(outcome.changes)
    bench.engine.wake(outcome.wake)
    for _ in range(60):
        run = bench.run(1)
        if run.ended or run.state is RunState.FAILED:
            break
        bench.tick(timedelta(seconds=30))
    assert bench.run(1).state is RunState.SUCCEEDED, bench.run(1).current
    return bench


def said(bench: Bench) -> str:
    bench.deliver()
    notice = bench.notices["run:1:report:1:report"]
    return "\n".join((notice.title, *notice.lines))


def test_what_the_first_monitor_build_started_is_watched_for_a_while(world: Sandbox) -> None:
    world.backend.set_last_commit("mainline", "0" * 40)
    world.backend.set_last_commit("next", "0" * 40)
    bench = end(world)
    step = bench.run(1).step("watch-first-results")
    seen = bench.journal.codec.load(FirstResults, step.value)
    assert seen.configs == ("mainline", "next")
    assert seen.monitor.job == kci.MONITOR
    assert seen.running + seen.passed + seen.failed == 24
    assert step.ended_at
    assert step.started_at
    assert timedelta(minutes=10) <= step.ended_at - step.started_at < timedelta(minutes=12)


def test_a_monitor_that_finds_nothing_new_is_no_fault_and_not_waited_for(world: Sandbox) -> None:
    bench = end(world)
    step = bench.run(1).step("watch-first-results")
    assert step.text.endswith("found no new commit to build")
    assert step.ended_at == step.started_at or (step.ended_at or BEGAN) - (step.started_at or BEGAN) < timedelta(
        minutes=1
    )


def test_the_report_names_what_went_in_by_component_and_tag(world: Sandbox) -> None:
    bench = end(world)
    text = said(bench)
    assert text.startswith("Release of today is in production, ")
    frozen = bench.journal.codec.load(plan.result, bench.run(1).step("plan").value)
    for part in frozen.parts.values():
        assert (f"{part.component}: {part.tag}, {len(part.commits)} commit" in text) is part.changed
    assert "First results: " in text


def record(name: str, kind: StepKind, state: StepState, text: str, minutes: int = 0) -> StepRecord:
    ended = BEGAN + timedelta(minutes=minutes)
    return StepRecord(name, name.capitalize(), kind, state, text, started_at=BEGAN, ended_at=ended)


RUN = Run(
    1,
    "release",
    "Release",
    "operator",
    Place("console", "#kernelci"),
    BEGAN,
    (
        record("go", StepKind.GATE, StepState.DONE, "by manager-1", 90),
        record("drain", StepKind.STEP, StepState.DONE, "idle", 45),
        record("push", StepKind.STEP, StepState.DONE, "pushed"),
        record("images", StepKind.STEP, StepState.NOT_NEEDED, "no Dockerfile changed"),
        record("frontend", StepKind.STEP, StepState.SKIPPED, "skipped by operator: done by hand"),
        record("quiet", StepKind.STEP, StepState.NOT_NEEDED, ""),
    ),
)


def test_who_approved_how_long_it_took_and_what_was_left_out_come_from_the_run() -> None:
    assert approved(RUN) == ["Go: approved by manager-1"]
    assert durations(RUN) == ["Took: Drain 45 min"]
    assert left_out(RUN) == [
        "Skipped: Frontend, skipped by operator: done by hand",
        "Not needed: Images",
    ]
