"""Whatever goes wrong in a request about the monitor: its flag is never said to be what it was not seen to be."""

from collections.abc import Iterator
from functools import partial

import pytest

from kcibot.core.run import StepState
from kcibot.sandbox.jenkins import succeed_after
from kcibot_commands.monitor_flags import MonitorSettings
from tests.fakes.ci_bench import BISECTION, MONITOR, CiBench
from tests.fakes.jenkins_faults import (
    Cell,
    Known,
    Scenario,
    cells,
    example,
    of_the_crumb,
    of_wrong_types,
    only_if_asked_for,
    part,
)
from tests.fakes.jenkins_paused import DONE, pause, pause_freestyle, paused, states, texts, unfinished
from tests.fakes.jenkins_play import play
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


SCENARIOS = (
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


# ---- the matrix ------------------------------------------------------------------------------------------------


def of_an_empty_item(_scenario: Scenario, cell: Cell) -> bool:
    return "/queue/item/" in cell.call.asked and cell.trouble.name == "object without anything"


def of_a_definition(_scenario: Scenario, cell: Cell) -> bool:
    return cell.call.asked.startswith("POST") and "config.xml" in cell.call.asked and cell.trouble.name == "html"


KNOWN = (
    Known(
        'the word "false" is taken for true: jenkins_parse.job_state does not insist on a boolean',
        "pause of freestyle jobs",
        "GET /job/kernel-tree-monitor/api/json (1) booleans as words, for good",
        of_wrong_types,
    ),
    Known(
        "an answer without anything is taken for an item that waits: jenkins_parse.item_state",
        "pause",
        "GET /queue/item/2/api/json (1) object without anything, once",
        of_an_empty_item,
    ),
    Known(
        "a crumb that is no text ends as an unexpected error: jenkins_http.Connection._crumb",
        "pause",
        "GET /crumbIssuer/api/json (1) words as null, once",
        of_the_crumb,
    ),
    Known(
        "that no crumb came is said without what Jenkins did: jenkins_http.Connection._crumb",
        "pause",
        "GET /crumbIssuer/api/json (1) 503, for good",
        of_the_crumb,
    ),
    Known(
        "a web page that answers a new definition is taken for Jenkins' own answer: jenkins.JenkinsServer.define",
        "resume after a lost timer",
        "POST /job/kernel-tree-monitor/config.xml (1) html, once",
        of_a_definition,
    ),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_flag_is_never_said_to_be_what_it_is_not_and_nothing_is_left_alone(scenario: Scenario) -> None:
    assert [wrong for cell in part(scenario, KNOWN) for wrong in play(scenario, cell)] == []


@pytest.mark.parametrize(
    "known", [pytest.param(bug, marks=pytest.mark.xfail(strict=True, reason=bug.reason)) for bug in KNOWN]
)
def test_what_is_known_to_be_wrong(known: Known) -> None:
    assert play(*example(known, SCENARIOS)) == []


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_whole_matrix(scenario: Scenario, pytestconfig: pytest.Config) -> None:
    only_if_asked_for(pytestconfig)
    assert [wrong for cell in cells(scenario) for wrong in play(scenario, cell)] == []
