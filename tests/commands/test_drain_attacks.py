"""What must not be taken for a drain, and what those who wait for one are told when it goes wrong."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kcibot.core.journal import Measured
from kcibot.core.notice import Level, Notice
from kcibot.core.run import RunState, StepState
from kcibot.errors import NotFound, TransientError
from kcibot.sandbox.http import Fault, FaultKind, Request, Response
from kcibot.services.jenkins.adapter import _xml_problem
from kcibot_commands.durations import described
from kcibot_commands.monitor.flags import MonitorSettings
from tests.fakes.ci_bench import BISECTION, MONITOR, TIMER, TRIGGER, CiBench, busy, ci_bench, definition

Answer = dict[str, Any]
LENGTHS = ("content-encoding", "content-length")


@pytest.fixture
def ci(tmp_path: Path) -> Iterator[CiBench]:
    with ci_bench(tmp_path) as bench:
        bench.server.disable(MONITOR)
        yield bench


def step_text(ci: CiBench) -> str:
    return ci.newest().step("drain").text


def replies(ci: CiBench, who: str, text: str) -> str:
    ci.bench.deliver()
    ci.bench.say(who, text)
    return "\n".join(ci.bench.replies())


def mentioned(ci: CiBench, title: str) -> set[str]:
    """Everybody whom messages with that in their title name."""
    ci.bench.deliver()
    return {who for notice in ci.bench.notices.values() if title in notice.title for who in notice.mentions}


def late(ci: CiBench) -> None:
    for _ in range(13):
        ci.bench.tick(timedelta(minutes=5))
    assert ci.newest().state is RunState.FAILED


# ---- answers of a wrong type -----------------------------------------------------------------------------------


def spoil(ci: CiBench, monkeypatch: pytest.MonkeyPatch, path: str, change: Callable[[Answer], Answer]) -> None:
    """Have that address answer what a broken Jenkins, or something in between, might."""
    respond = ci.jenkins.respond

    def spoiled(request: Request) -> Response:
        answer = respond(request)
        if request.method != "GET" or request.path != path or answer.status != 200:
            return answer
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in LENGTHS}
        return Response(200, json.dumps(change(json.loads(answer.body))).encode(), headers)

    monkeypatch.setattr(ci.jenkins, "respond", spoiled)


def never_drained(ci: CiBench) -> None:
    ci.say("!drain wait")
    for _ in range(6):
        ci.bench.tick(timedelta(seconds=31))
    assert ci.newest().state is RunState.WAITING
    assert step_text(ci).startswith("Jenkins cannot be seen since ")


def with_executors(answer: Answer, value: object) -> Answer:
    for node in answer["computer"]:
        node["executors"] = node["oneOffExecutors"] = value
    return answer


def with_idle(answer: Answer, value: object) -> Answer:
    for node in answer["computer"]:
        for executor in (*node["executors"], *node["oneOffExecutors"]):
            executor.update(idle=value, currentExecutable=None)
    return answer


@pytest.mark.parametrize(
    "change",
    [
        *(lambda answer, wrong=wrong: {**answer, "computer": wrong} for wrong in ([], {}, "", False, 0)),
        *(lambda answer, wrong=wrong: with_executors(answer, wrong) for wrong in ({}, "", False, 0)),
        *(lambda answer, wrong=wrong: with_idle(answer, wrong) for wrong in ("false", "true", [False], 1)),
    ],
)
def test_executors_of_a_wrong_type_are_not_idle(
    ci: CiBench, monkeypatch: pytest.MonkeyPatch, change: Callable[[Answer], Answer]
) -> None:
    busy(ci, 6000)
    spoil(ci, monkeypatch, "/computer/api/json", change)
    never_drained(ci)


@pytest.mark.parametrize("items", [{}, "", False, 0, None])
def test_a_queue_of_a_wrong_type_is_not_empty(ci: CiBench, monkeypatch: pytest.MonkeyPatch, items: object) -> None:
    ci.jenkins.create_job("lab", "<project><assignedNode>nowhere</assignedNode></project>")
    ci.jenkins.trigger("lab", {})
    ci.forward(seconds=11)
    assert ci.server.look().queued
    spoil(ci, monkeypatch, "/queue/api/json", lambda answer: {**answer, "items": items})
    never_drained(ci)


@pytest.mark.parametrize("flag", ["false", "true", [False], 1])
def test_a_flag_of_a_wrong_type_is_not_disabled(ci: CiBench, monkeypatch: pytest.MonkeyPatch, flag: object) -> None:
    ci.server.enable(MONITOR)
    jobs = lambda answer: {**answer, "jobs": [{**job, "disabled": flag} for job in answer["jobs"]]}  # noqa: E731
    spoil(ci, monkeypatch, "/api/json", jobs)
    never_drained(ci)


# ---- those who wait --------------------------------------------------------------------------------------------


def test_a_wait_after_a_timeout_really_waits(ci: CiBench) -> None:
    busy(ci, 3 * 3600)
    ci.say("!drain wait --timeout 1h")
    late(ci)
    said = replies(ci, "manager-1", "!drain wait")
    assert "Drain of Jenkins had given up and waits as long again now" in said
    assert "waiting already" not in said
    assert ci.newest().state is RunState.WAITING
    ci.forward(hours=3)
    assert ci.tick_until_ended(timedelta(seconds=31)).state is RunState.SUCCEEDED
    assert len(ci.bench.journal.runs(5)) == 1
    assert "manager-1" in mentioned(ci, "Jenkins is drained")


def test_a_wait_for_a_drain_that_is_held_says_so_and_how_it_goes_on(ci: CiBench) -> None:
    busy(ci, 6000)
    run = ci.say("!drain wait")
    ci.bench.say("operator", "!stop")
    said = replies(ci, "manager-1", "!drain wait")
    assert "stands still (stop by operator: !stop), so nobody looks at Jenkins" in said
    assert f"!release continue --run {run.id} has it go on" in said
    assert "waiting already" not in said
    ci.bench.say("operator", f"!release continue --run {run.id}")
    ci.bench.say("operator", "!hold the lab is down")
    assert f"!unhold --run {run.id}" in replies(ci, "manager-2", "!drain wait")


def test_what_only_begins_a_drain_is_refused_for_one_that_broke(ci: CiBench) -> None:
    busy(ci, 3 * 3600)
    run = ci.say("!drain wait --timeout 1h")
    late(ci)
    said = replies(ci, "manager-1", "!drain wait --timeout 2h")
    assert "does not wait any more: Jenkins was not proven idle" in said
    assert said.count(f"!release retry drain --run {run.id}") == 1
    ci.say("!drain status")
    assert "does not wait any more" in ci.said()


def test_everybody_who_waits_is_told_of_a_timeout(ci: CiBench) -> None:
    busy(ci, 3 * 3600)
    ci.bench.say("observer", "!notify drain")
    ci.say("!drain wait --timeout 1h")
    ci.bench.say("manager-1", "!drain wait")
    late(ci)
    assert mentioned(ci, "Jenkins was not proven idle within 1 h") == {"manager-1", "observer"}
    assert mentioned(ci, "“Jenkins drained” failed") == {"operator"}


def test_everybody_who_waits_is_told_of_a_cancel(ci: CiBench) -> None:
    busy(ci, 6000)
    ci.bench.say("observer", "!notify drain")
    ci.say("!drain wait")
    ci.bench.say("manager-1", "!drain wait")
    ci.say("!drain cancel we go on tomorrow", "manager-2")
    assert mentioned(ci, "Nobody waits for a drain any more: we go on tomorrow") == {
        "operator",
        "manager-1",
        "observer",
    }
    assert ci.bench.journal.recall("notify") == {"drain/observer": {"run": 0}}


# ---- what is left out, and what is said ------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["!drain ignore {} it is stuck", "!drain wait --ignore {}"])
def test_a_job_that_is_not_there_is_not_left_out_and_the_nearest_is_named(ci: CiBench, verb: str) -> None:
    busy(ci, 300)
    if "ignore {} " in verb:
        ci.say("!drain wait")
    ci.say(verb.format("kernel-build-tirgger"))
    ci.bench.tick(timedelta(seconds=31))
    notice: Notice = ci.notice(":no job")
    ci.bench.tick(timedelta(seconds=31))
    assert not any(":no job" in key for key in ci.bench.deliver()), "it is said once"
    assert notice.title.startswith("Jenkins has no job kernel-build-tirgger, so nothing is left out")
    assert notice.lines == (f"Was it {TRIGGER}? !drain ignore {TRIGGER} REASON leaves that out.",)
    assert notice.level is Level.WARNING
    assert ci.bench.journal.recall("drain-ignored") == {}
    assert ci.newest().state is RunState.WAITING


def test_the_monitor_is_refused_and_never_dropped(ci: CiBench) -> None:
    assert f"{MONITOR} cannot be left out" in replies(ci, "operator", f"!drain wait --ignore {MONITOR}").lower()
    assert ci.bench.journal.runs(1) == ()


def test_an_enabled_monitor_says_which_verb_disables_it(ci: CiBench) -> None:
    ci.server.enable(MONITOR)
    ci.say("!drain wait")
    assert step_text(ci).startswith(f"{MONITOR} is enabled (!monitor pause disables it); ")


def test_there_is_an_estimate_while_something_waits(ci: CiBench) -> None:
    busy(ci, 600)
    ci.forward(minutes=11)
    busy(ci, 600)
    ci.jenkins.trigger(BISECTION, {})
    ci.say("!drain wait")
    assert "1 running, 1 queued" in step_text(ci)
    assert step_text(ci).endswith("; at least about 9 min to go")


def test_what_is_missing_is_said_in_a_sentence(ci: CiBench) -> None:
    with pytest.raises(NotFound, match="Jenkins has no builds of nothing"):
        ci.server.builds("nothing")
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, "^GET /queue/api/json$", status=404))
    with pytest.raises(NotFound, match="Jenkins has no queue"):
        ci.server.look()


@pytest.mark.parametrize("reference", ["&#x1b;", "&#27;", "&#x0001;"])
def test_a_control_character_is_xml_if_it_is_written_as_jenkins_does(reference: str) -> None:
    body = f"<project><x>{reference}[1m</x></project>"
    assert _xml_problem(f"<?xml version='1.1' encoding='UTF-8'?>\n{body}") == ""
    assert _xml_problem(f"<?xml version='1.0' encoding='UTF-8'?>\n{body}"), "version 1.0 has no such characters"
    assert _xml_problem("<?xml version='1.1'?><project>&#0;</project>"), "nor has any version that one"


def test_a_web_page_is_no_definition_in_any_version(ci: CiBench) -> None:
    assert _xml_problem("<?xml version='1.1'?><html>&#x1b;</html>") == "it is a web page"
    ci.jenkins.faults.add(Fault(FaultKind.HTML))
    with pytest.raises(TransientError, match="not XML"):
        ci.server.definition(MONITOR)


# ---- history ---------------------------------------------------------------------------------------------------


def test_history_shows_what_was_measured_of_the_builds(ci: CiBench) -> None:
    busy(ci, 300)
    ci.say("!drain wait")
    assert ci.tick_until_ended().state is RunState.SUCCEEDED
    assert ci.newest().step("drain").state is StepState.DONE
    ci.bench.say("observer", "!drain history")
    ci.bench.deliver()
    lines = next(n for n in ci.bench.notices.values() if n.title == "Drains, newest first").lines
    assert lines[-2:] == ("Builds that drains saw end:", f"{TRIGGER}: usually 5 min; 1 build seen to end, 0 failed")


def test_the_usual_duration_is_that_of_builds_that_succeed(ci: CiBench) -> None:
    now = ci.bench.clock.now()
    ends = [(600, "SUCCESS"), (1200, "SUCCESS"), (60, "FAILURE"), (7200, "SUCCESS"), (1, "ABORTED")]
    builds = [Measured("build", "one", str(number), now, seconds, end) for number, (seconds, end) in enumerate(ends)]
    assert described("one", builds) == "one: usually 20 min; 5 builds seen to end, 1 failed"
    assert described("one", builds[2:3]) == "one: none succeeded; 1 build seen to end, 1 failed"


# ---- a copy of the monitor -------------------------------------------------------------------------------------


def test_an_enabled_copy_of_the_monitor_with_a_timer_of_its_own_is_no_drain(tmp_path: Path) -> None:
    with ci_bench(tmp_path, sections={MonitorSettings: MonitorSettings(run_job="copy")}) as ci:
        ci.jenkins.create_job("copy", definition("CONFIG_LIST", timer=TIMER))
        ci.server.disable(MONITOR)
        ci.say("!drain wait")
        for _ in range(4):
            ci.bench.tick(timedelta(seconds=30))
        assert ci.newest().state is RunState.WAITING
        assert "copy has a timer of its own" in ci.newest().step("drain").text
        ci.server.disable("copy")
        assert ci.tick_until_ended().state is RunState.SUCCEEDED


@pytest.mark.parametrize("path", ["GET /job/copy/api/json", "GET /job/copy/config.xml"])
def test_a_copy_that_cannot_be_seen_is_not_taken_for_harmless(tmp_path: Path, path: str) -> None:
    with ci_bench(tmp_path, sections={MonitorSettings: MonitorSettings(run_job="copy")}) as ci:
        ci.jenkins.create_job("copy", definition("CONFIG_LIST"))
        ci.server.disable(MONITOR)
        ci.jenkins.faults.add(Fault(FaultKind.STATUS, path, times=999, status=503))
        ci.say("!drain wait")
        for _ in range(4):
            ci.bench.tick(timedelta(minutes=1))
        assert ci.newest().state is RunState.WAITING
        assert "is not known" in ci.newest().step("drain").text
        ci.jenkins.faults.clear()
        assert ci.tick_until_ended(timedelta(minutes=1)).state is RunState.SUCCEEDED
