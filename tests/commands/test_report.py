"""The end of a release: the monitor is seen to build again, and everybody is told what happened, once and for all."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kcibot.core.message import Place
from kcibot.core.run import Run, RunState, StepKind, StepRecord, StepState
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.jobs import Settings
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot.sdk import (
    Approval,
    Context,
    Done,
    Gate,
    GateRequest,
    Level,
    PermanentError,
    Preview,
    Procedure,
    Remember,
    Step,
)
from kcibot_commands import approvals, runs
from kcibot_commands.first_results.state import ENDED, WATCHED, Watched
from kcibot_commands.first_results.steps import FirstResults, watch_first_results
from kcibot_commands.monitor.steps import start_monitor_once
from kcibot_commands.plan.steps import plan
from kcibot_commands.report import steps as report_module
from kcibot_commands.report.open import of_verdict, troubled
from kcibot_commands.report.parts import Section, durations, not_needed, shown, skipped
from kcibot_commands.report.parts import approvals as approved
from kcibot_commands.report.steps import report
from kcibot_commands.rules.verdict_reasons import Level as VerdictLevel
from kcibot_commands.rules.verdict_reasons import Reason
from tests.fakes.bench import PEOPLE, ROOM, Bench, make_bench
from tests.fakes.sandbox_bench import sandbox, sandbox_bench

ENDING = Procedure("ending", plan, start_monitor_once, watch_first_results, report, title="Release")
BEGAN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path, Settings(kernels=12)) as made:
        yield made


def end(world: Sandbox) -> Bench:
    """A run of the end alone, driven to its end."""
    bench = sandbox_bench(world, approvals, runs, report_module, sections={})
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


def test_the_release_waits_for_the_first_kernels_and_the_watch_begins_then(world: Sandbox) -> None:
    world.backend.set_last_commit("mainline", "0" * 40)
    world.backend.set_last_commit("next", "0" * 40)
    bench = end(world)
    step = bench.run(1).step("watch-first-results")
    seen = bench.journal.codec.load(FirstResults, step.value)
    assert seen.configs == ("mainline", "next")
    assert seen.monitor.job == kci.MONITOR
    assert seen.kernels
    assert "started mainline and next: " in step.text
    assert step.ended_at
    assert step.started_at
    assert step.ended_at - step.started_at < timedelta(minutes=11)
    watched = Watched.read(bench.journal.recall(WATCHED)["1"])
    assert watched
    assert watched.first == seen.monitor.number
    assert watched.until == seen.until
    assert watched.configs > 2


def test_a_monitor_that_finds_nothing_new_is_no_fault_and_its_next_run_is_watched(world: Sandbox) -> None:
    bench = end(world)
    step = bench.run(1).step("watch-first-results")
    assert "found no new commit to build, its next run shows more; what it starts is watched until " in step.text
    assert (step.ended_at or BEGAN) - (step.started_at or BEGAN) < timedelta(minutes=1)
    assert "1" in bench.journal.recall(WATCHED)


def test_a_monitor_that_starts_nearly_everything_at_once_is_an_alert(world: Sandbox) -> None:
    for config in world.backend.build_configs():
        world.backend.set_last_commit(config, "0" * 40)
    bench = end(world)
    bench.deliver()
    notice = bench.notices["run:1:watch-first-results:1:too many"]
    assert notice.level is Level.ALERT
    assert "build configs at once" in notice.title
    assert Watched.read(bench.journal.recall(WATCHED)["1"]).bad  # type: ignore[union-attr]


def test_the_report_names_what_went_in_by_component_and_tag(world: Sandbox) -> None:
    bench = end(world)
    text = said(bench)
    assert text.startswith("Release of today is in production, ")
    frozen = bench.journal.codec.load(plan.result, bench.run(1).step("plan").value)
    for part in frozen.parts.values():
        assert (f"{part.component}: {part.tag}, {len(part.commits)} commit" in text) is part.changed
    assert "First results: " in text
    assert "Audit head: " in text


def test_the_report_is_on_the_record_and_is_shown_again_with_what_came_later(world: Sandbox) -> None:
    bench = end(world)
    text = said(bench)
    for words in ("!release report", "!release report 1"):
        bench.say("observer", words)
        assert text in shown_last(bench)
    bench.journal.commit([Remember(ENDED, "1", {"title": "First results: as before", "lines": ["mainline: fine"]})])
    bench.say("observer", "!release report 1")
    assert shown_last(bench).endswith("First results: as before\n  mainline: fine")


def test_a_run_that_was_not_reported_is_said_with_those_that_were(world: Sandbox) -> None:
    bench = end(world)
    bench.say("observer", "!release report 12")
    assert bench.replies()[-1].startswith("Run 12 was not reported; reports are there of 1.")


def test_before_any_release_there_is_no_report(world: Sandbox) -> None:
    bench = sandbox_bench(world, report_module, sections={})
    bench.say("observer", "!release report")
    assert bench.replies()[-1].startswith("No release was reported yet.")


def shown_last(bench: Bench) -> str:
    """The newest reply."""
    bench.deliver()
    notice = next(one for key, one in reversed(bench.notices.items()) if key.startswith("reply:"))
    return "\n".join((notice.title, *notice.lines))


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


def test_how_long_it_took_and_what_was_left_out_come_from_the_run() -> None:
    assert durations(RUN) == ("Drain 45 min",)
    assert skipped(RUN) == ("Frontend, skipped by operator: done by hand",)
    assert not_needed(RUN) == ("Images",)


def test_an_override_is_loud_and_has_its_reason() -> None:
    given = (
        Approval("prepare", "Make the tags", ("operator",)),
        Approval("force:push-core", "Push with force", ("manager-1", "manager-2")),
        Approval("go", "Update production", (), (("manager-2", "the site is down"),)),
    )
    assert approved(given) == (
        "Make the tags: operator",
        "Push with force: manager-1 and manager-2",
        "Update production: OVERRIDDEN by manager-2: the site is down",
    )


def test_who_approved_is_told_of_gates_that_steps_asked_for_too(tmp_path: Path) -> None:
    asked = Step("push", "Push", lambda _context: Done("pushed", None), type(None), preview=lambda _c: PUSH, asks=_asks)
    told = Step("tell", "Tell", lambda context: Done("\n".join(approved(context.approvals())), None), type(None))
    bench = make_bench(tmp_path, Procedure("toy", Gate("go", "Update production"), asked, told))
    outcome = bench.engine.start(bench.world.registry.procedures["toy"], PEOPLE.get("operator"), ROOM)
    bench.journal.commit(outcome.changes)
    bench.engine.wake(outcome.wake)
    bench.run(1)
    bench.world.registry.add(approvals)
    (ask,) = bench.journal.open_asks()
    bench.clock.forward(timedelta(minutes=1))
    bench.say("manager-2", f"!approve {ask.code} --override the site is down")
    (ask,) = bench.journal.open_asks()
    bench.say("manager-1", f"!approve {ask.code}")
    assert bench.run(1).step("tell").text.splitlines() == [
        "Update production: OVERRIDDEN by manager-2: the site is down",
        "Push with force: manager-1",
    ]


PUSH = Preview({"push": "core"}, ("push core",))


def _asks(_context: Context) -> GateRequest:
    return GateRequest("force", "Push with force", Preview({"lost": 1}, ("a commit is lost",)))


def test_what_the_verdict_leaves_to_be_fixed_is_named_and_what_is_only_worth_knowing_is_not() -> None:
    reasons = [
        *(Reason(VerdictLevel.NOTE, "known", f"arm config-{n} fails, as in the baseline") for n in range(7)),
        Reason(VerdictLevel.NOTE, "flaky", "arm64 defconfig is flaky"),
        Reason(VerdictLevel.NOTE, "fixed", "mips defconfig passes"),
        Reason(VerdictLevel.NOTE, "reports", "no test mail came"),
        Reason(VerdictLevel.WARN, "lab missing", "lab missing: lab-one sent no results"),
        Reason(VerdictLevel.FAIL, "reports", "reports: the build mail is missing"),
    ]
    assert list(of_verdict(reasons)) == [
        *(f"arm config-{n} fails, as in the baseline" for n in range(5)),
        "and 2 more of that kind (known)",
        "arm64 defconfig is flaky",
        "lab missing: lab-one sent no results",
        "reports: the build mail is missing",
    ]


def test_steps_that_did_not_go_well_at_once_are_named_with_who_retried_them() -> None:
    run = replace(RUN, steps=(*RUN.steps, replace(record("deploy", StepKind.STEP, StepState.DONE, ""), failures=2)))
    retried = {"1/drain": {"by": "operator", "times": 1, "why": "Jenkins did not answer"}, "2/drain": {}}
    assert list(troubled(run, retried)) == [
        "Drain was retried once by operator: Jenkins did not answer",
        "Deploy went well after 2 failures that passed",
    ]


def test_a_retry_by_people_is_kept_for_the_report(tmp_path: Path) -> None:
    tries: list[int] = []

    def fails_once(_context: Context) -> Done[None]:
        tries.append(1)
        if len(tries) == 1:
            raise PermanentError("the disk is full")
        return Done("done", None)

    bench = make_bench(tmp_path, Procedure("release", Step("push", "Push", fails_once, type(None))))
    bench.world.registry.add(runs)
    outcome = bench.engine.start(bench.world.registry.procedures["release"], PEOPLE.get("operator"), ROOM)
    bench.journal.commit(outcome.changes)
    bench.engine.wake(outcome.wake)
    bench.run(1)
    bench.say("manager-1", "!release retry push")
    assert bench.run(1).state is RunState.SUCCEEDED
    (line,) = troubled(bench.run(1), bench.journal.recall(runs.RETRIED))
    assert line == "Push was retried once by manager-1: the disk is full"


def test_a_section_of_one_line_stands_beside_its_heading() -> None:
    parts = (Section("", ("core: new",)), Section("Took", ("an hour",)), Section("To fix", ("this", "that")))
    assert shown(parts) == ("core: new", "Took: an hour", "To fix:", "  this", "  that")
