"""A failed night run of the monitor, and one that did not come at all, are noticed within a day."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.notice import Level
from kcibot.core.watching import Watching
from kcibot.sandbox.http import Fault, FaultKind
from kcibot_commands.monitor import watch as monitor_watch
from tests.fakes.ci_bench import MONITOR
from tests.fakes.first_results_bench import After, after

HOUR = timedelta(hours=1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[After]:
    with after(tmp_path) as made:
        registry = made.world.registry
        registry.watches.clear()
        registry.watches["builds"] = monitor_watch.BUILDS
        yield made


def alerts(world: After) -> list[str]:
    """Titles of what was said about the monitor's builds, oldest first."""
    world.ci.bench.deliver()
    said = world.ci.bench.notices.items()
    assert all(notice.level is Level.ALERT for key, notice in said if key.startswith("monitor-"))
    return [notice.title for key, notice in said if key.startswith("monitor-")]


def test_a_failed_run_is_told_of_once_until_one_goes_well(world: After) -> None:
    world.monitor()
    world.pass_time(HOUR, HOUR)
    assert alerts(world) == []
    world.monitor(result="FAILURE")
    world.pass_time(HOUR, HOUR)
    world.monitor(result="ABORTED")
    world.pass_time(HOUR, HOUR)
    assert alerts(world) == [f"{MONITOR} #2 ended as FAILURE"]
    world.monitor()
    world.pass_time(HOUR, HOUR)
    world.monitor(result="FAILURE")
    world.pass_time(HOUR, HOUR)
    assert alerts(world) == [f"{MONITOR} #2 ended as FAILURE", f"{MONITOR} #5 ended as FAILURE"]


def test_a_monitor_that_has_not_run_for_a_day_is_told_of_once(world: After) -> None:
    world.monitor()
    world.pass_time(23 * HOUR, HOUR)
    assert alerts(world) == []
    world.pass_time(5 * HOUR, HOUR)
    assert len(alerts(world)) == 1
    assert alerts(world)[0].startswith(f"{MONITOR} has not run for 1 d 0 h, although it is enabled")


def test_a_paused_monitor_and_one_that_others_disabled_are_not_asked_why_they_do_not_run(world: After) -> None:
    world.monitor()
    world.ci.server.disable(MONITOR)
    world.pass_time(30 * HOUR, HOUR)
    assert alerts(world) == []
    world.ci.server.enable(MONITOR)
    world.ci.say("!monitor pause")
    world.pass_time(30 * HOUR, HOUR)
    assert alerts(world) == []


def test_a_jenkins_that_cannot_be_seen_says_nothing_about_its_monitor(world: After) -> None:
    world.monitor(result="FAILURE")
    world.ci.jenkins.faults.add(Fault(FaultKind.STATUS, times=1000, status=503))
    world.pass_time(2 * HOUR, HOUR)
    assert alerts(world) == []
    world.ci.jenkins.faults.clear()
    world.pass_time(HOUR, HOUR)
    assert len(alerts(world)) == 1


def test_after_a_release_the_watch_of_the_first_results_tells_it(world: After) -> None:
    world.begin()
    world.monitor(result="FAILURE")
    world.pass_time(2 * HOUR, HOUR)
    assert alerts(world) == []


def test_a_restarted_bot_does_not_tell_it_again(world: After) -> None:
    world.monitor(result="FAILURE")
    world.pass_time(HOUR, HOUR)
    assert len(alerts(world)) == 1
    world.ci.bench.notices.clear()
    world.watching = Watching(replace(world.world))
    world.pass_time(HOUR, HOUR)
    assert alerts(world) == []
