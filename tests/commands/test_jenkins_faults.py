"""Whatever goes wrong in a request to Jenkins: nothing false is said, and it goes on afterwards."""

from pathlib import Path

import pytest

from kcibot.core.run import RunState
from kcibot.core.watching import Watching
from kcibot.sandbox.http import Fault, FaultKind
from tests.fakes.ci_bench import MONITOR, ci_bench
from tests.fakes.jenkins_faults import Scenario, cell_of, cells, only_if_asked_for, part
from tests.fakes.jenkins_paused import pause, texts
from tests.fakes.jenkins_play import play
from tests.fakes.jenkins_scenarios_drain import DRAIN
from tests.fakes.jenkins_scenarios_pause import PAUSES
from tests.fakes.jenkins_scenarios_runs import RUNS, asked
from tests.fakes.jenkins_truth import is_disabled

SCENARIOS = {scenario.name: scenario for scenario in (*DRAIN, *PAUSES, *RUNS)}
EACH = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
OF_THE_MONITOR = f"GET /job/{MONITOR}/api/json"
ONCE_WRONG = (
    (
        "a word is no flag, of all jobs",
        "a freestyle monitor that is enabled",
        "GET /api/json (1) booleans as words, for good",
    ),
    ("a word is no flag, of one job", "pause of freestyle jobs", f"{OF_THE_MONITOR} (1) booleans as words, for good"),
    ("nothing is no flag", "a paused monitor", f"{OF_THE_MONITOR} (1) booleans as null, once"),
    ("nothing is no item that waits", "pause", "GET /queue/item/2/api/json (1) object without anything, once"),
    ("a crumb is text", "pause", "GET /crumbIssuer/api/json (1) words as null, once"),
    ("why no crumb came is said", "pause", "GET /crumbIssuer/api/json (1) 503, for good"),
    ("why no crumb came is said of a run", "run of a fresh copy", "GET /crumbIssuer/api/json (1) 503, for good"),
    ("a web page answers no definition", "resume after a lost timer", f"POST /job/{MONITOR}/config.xml (1) html, once"),
    ("a run that is stuck says that the monitor is enabled", "run", f"{OF_THE_MONITOR} (4) 502, for good"),
)
"""The rule that was broken, and the cell that showed it."""


@EACH
def test_nothing_false_is_said_and_nothing_is_left_alone(scenario: Scenario) -> None:
    assert [wrong for cell in part(scenario) for wrong in play(scenario, cell)] == []


@pytest.mark.parametrize(
    ("scenario", "cell"), [pytest.param(scenario, cell, id=rule) for rule, scenario, cell in ONCE_WRONG]
)
def test_what_was_wrong_once_stays_right(scenario: str, cell: str) -> None:
    assert play(SCENARIOS[scenario], cell_of(SCENARIOS[scenario], cell)) == []


def test_what_we_enabled_ourselves_is_not_said_to_be_somebody_elses(tmp_path: Path) -> None:
    with ci_bench(tmp_path) as ci:
        pause(ci)
        ci.jenkins.faults.add(Fault(FaultKind.STATUS, f"GET /job/{MONITOR}/api", times=99, skip=3))
        run = ci.say("!monitor run kernelci")
        assert run.state is RunState.WAITING
        assert f"{MONITOR} is enabled until I can disable it again" in texts(ci)
        assert not is_disabled(ci, MONITOR)
        ci.jenkins.faults.clear()
        ci.forward(minutes=11)
        Watching(ci.bench.world).tick()
        assert asked(ci)
        assert f"I enabled {MONITOR} for a start that got stuck" in ci.said()
        assert "I did not enable it" not in ci.said()
        assert ci.tick_until_ended().state is RunState.SUCCEEDED
        assert is_disabled(ci, MONITOR)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@EACH
def test_the_whole_matrix(scenario: Scenario, pytestconfig: pytest.Config) -> None:
    only_if_asked_for(pytestconfig)
    assert [wrong for cell in cells(scenario) for wrong in play(scenario, cell)] == []
