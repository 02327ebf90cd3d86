"""The hours after a release: what the monitor builds is compared with what was before; what nobody saw is unknown."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.notice import Level
from kcibot.core.procedure import Procedure
from kcibot.core.run import RunState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sdk import Remember
from kcibot_commands.first_results.state import ENDED, USUAL, WATCHED, Watched
from kcibot_commands.first_results.steps import watch_first_results
from kcibot_commands.monitor.steps import start_monitor_once
from tests.fakes.first_results_bench import LABS, RUN, SETTINGS, After, after
from tests.fakes.kernelci_bench import start, stuck

HOUR = timedelta(hours=1)
FOREVER = 10_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[After]:
    with after(tmp_path) as made:
        yield made


def test_results_like_those_before_end_in_one_line_that_says_so(world: After) -> None:
    world.history("mainline", 38, 39, 38)
    world.begin()
    world.monitor("mainline")
    world.pass_time(HOUR / 2)
    assert "mainline v5.12-mainline: no kernel yet; being built" in world.said()
    world.results("mainline", 38, 2)
    world.end(1)
    world.pass_time(HOUR / 2)
    assert "38 of 40 kernels passed, 3 labs; waiting for the labs" in world.said()
    world.pass_time(6 * HOUR)
    closing = world.notice("end")
    assert closing
    assert closing.title == f"First results after Release {RUN}: 1 revision, as before"
    assert closing.level is Level.SUCCESS
    assert world.world.journal.recall(WATCHED) == {}
    assert str(RUN) in world.world.journal.recall(ENDED)
    assert not world.said("worse 1")


def test_a_much_lower_pass_rate_is_an_alert_as_soon_as_the_builds_are_done(world: After) -> None:
    world.history("mainline", 38, 39, 38, 40)
    world.begin()
    world.monitor("mainline")
    world.results("mainline", 30, 10)
    world.pass_time(SETTINGS.look * 2)
    alert = world.notice("worse 1")
    assert alert
    assert alert.level is Level.ALERT
    assert alert.mentions == ("operator",)
    assert "75.0 % of the kernels passed, usual are 96.2 %" in world.said("worse 1")
    assert "!monitor pause" in world.said("worse 1")
    world.pass_time(7 * HOUR)
    assert world.said("end").startswith(f"First results after Release {RUN}: 1 revision, worse than before")


def test_a_rate_within_the_limit_and_a_few_kernels_less_are_as_before(world: After) -> None:
    world.history("mainline", 38, 38, 38)
    world.begin()
    world.monitor("mainline")
    world.results("mainline", 33, 2)
    world.pass_time(7 * HOUR)
    assert "as before" in world.said("end")


def test_far_fewer_kernels_than_usual_are_an_alert(world: After) -> None:
    world.history("mainline", 38, 39, 38)
    world.begin()
    world.monitor("mainline")
    world.results("mainline", 31, 0)
    world.pass_time(SETTINGS.look * 2)
    assert "31 kernels built, usual are 40" in world.said("worse 1")


def test_a_lab_that_always_reported_and_is_silent_is_a_warning_once_it_had_its_time(world: After) -> None:
    world.history("mainline", 38, 39, 38)
    world.begin()
    world.monitor("mainline")
    world.results("mainline", 38, 2, labs=LABS[:2])
    world.pass_time(HOUR)
    assert not world.said("remarks 1")
    world.pass_time(2 * HOUR)
    remarks = world.notice("remarks 1")
    assert remarks
    assert remarks.level is Level.WARNING
    assert "lab-three sent no results, and always did" in world.said("remarks 1")
    world.pass_time(4 * HOUR)
    assert "1 revision, with remarks" in world.said("end")


def test_no_result_from_any_lab_is_an_alert_since_callbacks_are_lost(world: After) -> None:
    world.history("mainline", 38, 39, 38)
    world.begin()
    world.monitor("mainline")
    world.results("mainline", 38, 2, labs=())
    world.pass_time(3 * HOUR)
    assert "no lab sent results; always were lab-one, lab-three, lab-two" in world.said("worse 1")


def test_a_lab_that_was_silent_before_at_times_is_not_missed(world: After) -> None:
    world.history("mainline", 38)
    world.history("mainline", 38, 38, labs=LABS[:2])
    world.begin()
    world.monitor("mainline")
    world.results("mainline", 38, 2, labs=LABS[:2])
    world.pass_time(7 * HOUR)
    assert "as before" in world.said("end")


def test_a_branch_without_history_is_said_to_have_nothing_to_compare_with(world: After) -> None:
    world.begin()
    world.monitor("fresh")
    world.results("fresh", 1, 39)
    world.pass_time(7 * HOUR)
    closing = world.notice("end")
    assert closing
    assert closing.title.endswith("1 revision, with nothing to compare with")
    assert closing.level is Level.INFO


def test_revisions_of_after_the_release_are_not_what_it_is_compared_with(world: After) -> None:
    world.history("mainline", 38, 38)
    world.begin()
    world.ci.forward(minutes=5)
    for number in range(5):
        world.results("mainline", 20, 20, f"v5.12-after-{number}")
    world.monitor("mainline")
    world.results("mainline", 20, 20)
    world.pass_time(SETTINGS.look * 2)
    assert "50.0 % of the kernels passed, usual are 95.0 %" in world.said("worse 1")


def test_what_the_results_api_forgot_is_compared_with_as_i_remember_it(world: After) -> None:
    rows = [{"kernel": f"v5.{n}", "kernels": 40, "passed": 38, "labs": ["lab-one"]} for n in (9, 10, 11)]
    world.world.journal.commit([Remember(USUAL, "mainline/master", rows)])
    world.begin()
    world.monitor("mainline")
    world.results("mainline", 20, 20)
    world.pass_time(SETTINGS.look * 2)
    assert "usual are 95.0 % (beside v5.11 and 2 more)" in world.said("worse 1")


def test_what_was_followed_to_its_end_is_remembered_for_the_next_release(world: After) -> None:
    world.begin()
    world.monitor("mainline")
    world.results("mainline", 38, 2)
    world.pass_time(7 * HOUR)
    expected = [{"kernel": "v5.12-mainline", "kernels": 40, "passed": 38, "labs": sorted(LABS)}]
    assert world.world.journal.recall(USUAL) == {"mainline/master": expected}


def test_a_results_api_that_is_down_leaves_everything_unknown_never_as_before(world: After) -> None:
    world.history("mainline", 38, 39, 38)
    world.begin()
    world.monitor("mainline")
    world.results("mainline", 38, 2)
    world.api.faults.add(Fault(FaultKind.STATUS, times=FOREVER, status=503))
    world.pass_time(SETTINGS.look)
    assert "No results can be seen" in world.said()
    world.pass_time(12 * HOUR, HOUR)
    closing = world.notice("end")
    assert closing
    assert closing.level is Level.WARNING
    assert "1 revision, unknown; not all could be seen" in closing.title
    assert "as before" not in world.said("end")


def test_an_api_that_comes_back_is_asked_again_also_after_the_time(world: After) -> None:
    world.history("mainline", 38, 39, 38)
    world.begin()
    world.monitor("mainline")
    world.results("mainline", 38, 2)
    world.api.faults.add(Fault(FaultKind.STATUS, times=FOREVER, status=503))
    world.pass_time(7 * HOUR, HOUR)
    assert not world.said("end")
    world.api.faults.clear()
    world.pass_time(3 * HOUR)
    assert world.said("end").splitlines()[0].endswith("1 revision, as before")


def test_a_jenkins_that_cannot_be_seen_at_the_end_is_said(world: After) -> None:
    world.begin()
    world.ci.jenkins.faults.add(Fault(FaultKind.STATUS, times=FOREVER, status=503))
    world.pass_time(12 * HOUR, HOUR)
    closing = world.notice("end")
    assert closing
    assert closing.level is Level.WARNING
    assert "not all could be seen" in closing.title


def test_a_monitor_that_finds_nothing_is_no_fault_and_its_next_run_is_followed(world: After) -> None:
    world.history("mainline", 38, 39, 38)
    world.begin()
    world.monitor()
    world.pass_time(HOUR)
    assert "nothing new was found so far" in world.said()
    world.monitor("mainline")
    world.results("mainline", 20, 20)
    world.pass_time(SETTINGS.look * 2)
    assert world.said("worse 1")


def test_hours_without_any_build_are_a_warning(world: After) -> None:
    world.begin()
    world.monitor()
    world.pass_time(7 * HOUR, HOUR)
    closing = world.notice("end")
    assert closing
    assert closing.level is Level.WARNING
    assert closing.title.endswith("the monitor started nothing")


def test_what_the_monitor_started_before_the_release_and_what_others_start_is_not_followed(world: After) -> None:
    earlier = world.monitor("earlier")
    world.begin(first=earlier + 1)
    world.monitor("mainline")
    world.ci.jenkins.trigger("kernel-build-trigger", {"BUILD_CONFIG": "by-hand"})
    world.pass_time(SETTINGS.look)
    assert "mainline" in world.said()
    assert "earlier" not in world.said()
    assert "by-hand" not in world.said()


def test_a_later_run_of_the_monitor_that_fails_is_told_of_once(world: After) -> None:
    world.begin()
    world.monitor()
    number = world.monitor(result="FAILURE")
    world.pass_time(HOUR)
    alert = world.notice(f"monitor {number}")
    assert alert
    assert alert.level is Level.ALERT
    assert alert.title == f"kernel-tree-monitor #{number} ended as FAILURE"
    assert not world.notice("monitor 1")


def test_a_monitor_that_starts_everything_at_once_is_an_alert(world: After) -> None:
    world.begin(configs=10)
    world.monitor(*(f"tree-{n}" for n in range(5)))
    world.pass_time(SETTINGS.look)
    assert not world.said("storm 1")
    world.monitor(*(f"tree-{n}" for n in range(6)))
    world.pass_time(SETTINGS.look)
    storm = world.notice("storm 2")
    assert storm
    assert storm.level is Level.ALERT
    assert storm.title == "Build 2 of the monitor started 6 of 10 build configs at once"
    assert [button.command for button in storm.buttons] == ["!monitor pause"]


def test_a_bot_that_is_restarted_goes_on_and_says_nothing_twice(world: After) -> None:
    world.history("mainline", 38, 39, 38)
    world.begin()
    world.monitor("mainline")
    world.results("mainline", 20, 20)
    world.pass_time(SETTINGS.look * 2)
    assert world.said("worse 1")
    world.ci.bench.notices.clear()
    world.restart()
    world.pass_time(HOUR)
    assert not world.said("worse 1")
    world.pass_time(6 * HOUR)
    assert "1 revision, worse than before" in world.said("end")


def test_a_restart_of_jenkins_that_kills_a_trigger_leaves_its_revision_unknown(world: After) -> None:
    world.history("mainline", 38, 39, 38)
    world.history("next", 38, 39, 38)
    world.begin()
    world.monitor("mainline", "next")
    world.build("mainline", 30, 0)
    world.results("next", 38, 2)
    world.end(2)
    world.pass_time(HOUR / 2)
    world.ci.jenkins.restart(kill=True)
    world.end(1, "ABORTED")
    world.pass_time(7 * HOUR)
    text = world.said("end")
    assert "2 revisions: 1 as before and 1 unknown" in text
    assert "its trigger ended as ABORTED, the results API says BUILD" in text


def test_a_look_costs_a_number_of_requests_that_does_not_grow_with_the_revisions(world: After) -> None:
    world.begin()
    world.monitor(*(f"tree-{n}" for n in range(4)))
    world.pass_time(SETTINGS.look)
    few = _requests(world)
    world.monitor(*(f"other-{n}" for n in range(40)))
    world.pass_time(SETTINGS.look)
    assert _requests(world) <= few


def test_builds_that_never_come_to_an_end_are_given_up_as_unknown(world: After) -> None:
    world.history("mainline", 38, 39, 38)
    world.begin()
    world.monitor("mainline")
    world.build("mainline", 38, 0)
    world.end(1)
    world.pass_time(13 * HOUR, HOUR)
    text = world.said("end")
    assert "1 revision, unknown" in text
    assert "the results API still says BUILD" in text


def test_a_newer_release_takes_the_place_of_the_watch_of_an_older_one(world: After) -> None:
    world.begin()
    world.monitor("mainline")
    world.pass_time(SETTINGS.look)
    world.begin(first=2, run=RUN + 1)
    world.pass_time(SETTINGS.look)
    assert "A newer release" in world.said("end")
    assert set(world.world.journal.recall(WATCHED)) == {str(RUN + 1)}


def test_a_monitor_that_people_started_by_hand_is_watched_too(world: After) -> None:
    bench = world.ci.bench
    chosen = world.trigger("kernelci", world.monitor())
    number = world.monitor("mainline")
    run = start(bench, Procedure("release", stuck(), start_monitor_once, watch_first_results))
    bench.say("operator", "!release skip start-monitor I started it by hand")
    bench.say("operator", "!release skip stuck nothing to do")
    assert bench.run(run.id).state is RunState.SUCCEEDED
    watched = Watched.read(bench.journal.recall(WATCHED)[str(run.id)])
    assert watched
    assert watched.first == number > chosen
    assert "started mainline: 2 kernels seen so far" in bench.run(run.id).step("watch-first-results").text


def test_anybody_can_ask_how_the_first_results_are_and_how_they_were(world: After) -> None:
    bench = world.ci.bench
    bench.say("observer", "!release results")
    assert bench.replies() == ["No release was followed to its first results yet"]
    world.begin()
    world.monitor("fresh")
    world.results("fresh", 38, 2)
    world.pass_time(SETTINGS.look)
    bench.say("observer", "!release results")
    assert "1 revision, not done yet; looked at 0 s ago" in bench.replies()[-1]
    world.pass_time(7 * HOUR)
    bench.replies()
    bench.say("observer", "!release results")
    assert "1 revision, with nothing to compare with" in bench.replies()[-1]


def _requests(world: After) -> int:
    """How many one look makes, on both servers."""
    before = len(world.api.requests) + len(world.ci.jenkins.requests)
    world.pass_time(SETTINGS.look)
    return len(world.api.requests) + len(world.ci.jenkins.requests) - before
