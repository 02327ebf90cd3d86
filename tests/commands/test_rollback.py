"""Rollback: what the gate shows is what is there now; each part goes back by what was seen, and others' work stays."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.procedure import Procedure
from kcibot.core.run import RunState, StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.jenkins import succeed_after
from kcibot_commands import release
from kcibot_commands.monitor import verbs as monitor_verbs
from kcibot_commands.production import open_production, take_production_lock
from tests.fakes.ci_bench import MONITOR, TRIGGER
from tests.fakes.kernelci_bench import (
    PRODUCTION,
    Followed,
    alerts,
    killed,
    lines,
    lost_answer,
    revive,
    start,
    stuck,
    with_ports,
)
from tests.fakes.rollback_bench import (
    BROKEN,
    WITH_IMAGES,
    Yard,
    approve,
    asked,
    gone_on,
    released,
    rolled_back,
    shown,
    texts,
    yard,
)


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Yard]:
    with yard(tmp_path) as made:
        yield made


# ---- branches --------------------------------------------------------------------------------------------------


def test_a_release_is_taken_back_after_one_approval_and_the_monitor_runs_again(there: Yard) -> None:
    bench, place = there.bench(), there.place
    old = place.head("core", PRODUCTION)
    digests = {name: place.registry.digest(name) for name in place.registry.names()}
    assert released(bench, WITH_IMAGES).state is RunState.SUCCEEDED, alerts(bench)
    assert place.head("core", PRODUCTION) != old
    run = rolled_back(bench)
    assert place.head("core", PRODUCTION) == old
    assert {name: place.registry.digest(name) for name in place.registry.names()} == digests
    assert bench.journal.recall("lock") == bench.journal.recall("paused") == {}
    assert not there.ci.job(MONITOR).disabled
    assert len(there.ci.builds(MONITOR)) == 1
    assert len(bench.journal.asks(run.id)) == 1, "one gate"
    order = [step.id for step in run.steps if step.state is StepState.DONE]
    assert order.index("pause-monitor") < order.index("drain") < order.index("images-back") < order.index("core-back")
    assert order.index("core-back") < order.index("rolled-back") < order.index("resume-monitor")


def test_no_release_begins_while_another_is_taken_back(there: Yard) -> None:
    bench = there.bench(release)
    released(bench)
    asked(bench)
    bench.say("operator", "!release prepare")
    assert "is under way: !release status shows it" in bench.replies()[-1]


def test_the_gate_shows_where_the_branch_goes_and_what_leaves_production(there: Yard) -> None:
    bench, place = there.bench(), there.place
    old = place.head("core", PRODUCTION)
    released(bench)
    new = place.head("core", PRODUCTION)
    text = shown(bench, asked(bench))
    assert f"core: kernelci.org {new[:10]} -> {old[:10]}" in text
    count = len(place.git("core", "rev-list", "--no-merges", f"{old}..{new}").split())
    assert f"{count} commits out of production" in text
    assert place.git("core", "log", "-1", "--no-merges", "--format=%h %s", "--abbrev=10", new) in text
    (ask,) = bench.journal.open_asks()
    assert ask.facts["core-back"] == {"branch": PRODUCTION, "old": old, "left": [new]}


def test_a_commit_that_is_nowhere_else_is_said_to_be_lost(there: Yard) -> None:
    bench, place = there.bench(), there.place
    before = place.head("core")
    place.commit("core", {"MORE": "more\n"}, "more")
    released(bench)
    place.git("core", "update-ref", "refs/heads/main", before)
    text = shown(bench, asked(bench))
    assert "more, NOT on the development branch" in text
    assert text.count("NOT on the development branch") == 1


def test_a_branch_that_somebody_pushed_to_since_is_left_alone_and_that_is_shown_before(there: Yard) -> None:
    bench, place = there.bench(), there.place
    released(bench, WITH_IMAGES)
    left = place.head("core", PRODUCTION)
    theirs = place.commit("core", {"HOTFIX": "by hand\n"}, "hotfix by hand", branch=PRODUCTION)
    run = asked(bench)
    text = f"kernelci.org is at {theirs[:10]}, and the run left it at {left[:10]}: somebody moved it, left alone"
    assert text in shown(bench, run)
    run = approve(bench, run)
    assert run.state is RunState.SUCCEEDED, alerts(bench)
    assert text in run.step("core-back").text
    assert place.head("core", PRODUCTION) == theirs
    assert run.step("images-back").text.startswith("4 images back")


def test_a_branch_that_is_pushed_to_after_the_approval_is_asked_about_again(there: Yard) -> None:
    bench, place = there.bench(), there.place
    released(bench)
    run = asked(bench)
    theirs = place.commit("core", {"HOTFIX": "by hand\n"}, "hotfix by hand", branch=PRODUCTION)
    run = approve(bench, run)
    assert f"seen: was not there, is now {theirs}" in lines(bench, f"run:{run.id}:gate:rollback:1:void")
    assert "somebody moved it, left alone" in shown(bench, run, 2)
    assert place.head("core", PRODUCTION) == theirs


def test_a_server_that_lets_no_branch_go_back_keeps_only_that_branch(there: Yard) -> None:
    bench, place = there.bench(), there.place
    before = place.registry.digest("kernelci/build-base")
    released(bench, WITH_IMAGES)
    new = place.head("core", PRODUCTION)
    place.git("core", "config", "receive.denyNonFastForwards", "true")
    run = approve(bench, asked(bench))
    assert run.step("core-back").state is StepState.FAILED
    assert "lift its protection and say !release retry --run 2" in alerts(bench)
    assert place.registry.digest("kernelci/build-base") == before, "the others went back before it"
    bench.say("operator", "!release skip core-back reverted by a commit")
    run = gone_on(bench, run)
    assert run.state is RunState.SUCCEEDED, texts(run)
    assert place.head("core", PRODUCTION) == new
    told = lines(bench, "run:2:rolled-back:1:rolled back")
    assert "is rolled back, without Core's production branch back" in told
    assert "skipped by operator: reverted by a commit" in told


def test_a_protection_that_is_lifted_lets_a_retry_go_on_without_asking_again(there: Yard) -> None:
    bench, place = there.bench(), there.place
    old = place.head("core", PRODUCTION)
    released(bench)
    place.git("core", "config", "receive.denyNonFastForwards", "true")
    run = approve(bench, asked(bench))
    place.git("core", "config", "receive.denyNonFastForwards", "false")
    bench.say("operator", "!release retry")
    run = gone_on(bench, run)
    assert run.state is RunState.SUCCEEDED, texts(run)
    assert place.head("core", PRODUCTION) == old
    assert len(bench.journal.asks(run.id)) == 1
    assert bench.journal.asks(run.id)[0].ask == 1


def test_a_push_back_whose_answer_was_lost_is_found_by_looking(there: Yard) -> None:
    bench = there.bench()
    released(bench)
    git = Followed(there.place.ports.git, "push", lost_answer, of="core")
    bench = there.bench(ports=with_ports(there.ports, git=git))
    run = rolled_back(bench)
    assert run.step("core-back").state is StepState.DONE
    assert git.calls == 1


def test_a_bot_that_is_killed_after_the_push_back_does_not_push_again(there: Yard) -> None:
    place = there.place
    old = place.head("core", PRODUCTION)
    released(there.bench())
    git = Followed(place.ports.git, "push", killed(place), of="core")
    first = there.bench(ports=with_ports(there.ports, git=git))
    run = approve(first, asked(first))
    revive(place, first)
    place.hook("core", "pre-receive", "exit 1")
    second = there.bench()
    second.engine.resume()
    run = gone_on(second, run)
    assert run.state is RunState.SUCCEEDED, texts(run)
    assert place.head("core", PRODUCTION) == old


def test_after_it_the_next_release_starts_from_where_production_is(there: Yard) -> None:
    bench, place = there.bench(), there.place
    old = place.head("core", PRODUCTION)
    released(bench, BROKEN)
    bench.say("operator", "!release abort broken")
    assert bench.journal.recall("moved") == {"core": old}
    rolled_back(bench)
    assert bench.journal.recall("moved") == {}


# ---- the lock --------------------------------------------------------------------------------------------------


def test_a_run_that_waits_does_not_get_production_before_it_is_rolled_back(there: Yard) -> None:
    bench = there.bench()
    released(bench, BROKEN)
    bench.say("operator", "!release abort broken")
    waiting = start(bench, Procedure("deploy", take_production_lock, open_production), who="manager-2")
    run = rolled_back(bench)
    bench.tick(timedelta(minutes=2))
    theirs, ours = bench.run(waiting.id).step("production-lock"), run.step("open-production")
    assert theirs.ended_at
    assert ours.ended_at
    assert theirs.ended_at >= ours.ended_at


def test_a_rollback_that_is_aborted_leaves_its_lock_to_the_next_one(there: Yard) -> None:
    bench, place = there.bench(), there.place
    old = place.head("core", PRODUCTION)
    released(bench)
    place.hook("core", "pre-receive", "exit 1")
    run = approve(bench, asked(bench))
    bench.say("operator", f"!release abort not today --run {run.id}")
    told = lines(bench, f"run:{run.id}:left")
    assert "Production stays locked: !release rollback goes on with it" in told
    assert there.ci.job(MONITOR).disabled
    place.hook("core", "pre-receive", "exit 0")
    run = rolled_back(bench)
    assert place.head("core", PRODUCTION) == old
    assert not there.ci.job(MONITOR).disabled, "its pause was this one's to end"


@pytest.mark.parametrize(
    ("procedure", "advice"),
    [
        ("release", "!release rollback undoes what was done"),
        ("deploy", "!deploy COMPONENT REVISION puts another version there"),
        ("images push", "!images rollback 1 undoes what was done"),
        ("jobs apply", "!release rollback --run 1 undoes what was done"),
        ("jenkins restart", "!unlock opens it"),
    ],
)
def test_what_an_aborted_run_advises_fits_that_run(there: Yard, procedure: str, advice: str) -> None:
    bench = there.bench()
    start(bench, Procedure(procedure, take_production_lock, stuck()))
    bench.say("operator", "!release abort enough --run 1")
    told = lines(bench, "run:1:left")
    assert f"Production stays locked: {advice}" in told
    assert ("rollback" in told) == ("rollback" in advice)


# ---- Jenkins ---------------------------------------------------------------------------------------------------


def test_no_branch_goes_back_while_jenkins_builds(there: Yard) -> None:
    bench, place = there.bench(), there.place
    released(bench)
    new = place.head("core", PRODUCTION)
    there.jenkins.behave(TRIGGER, succeed_after(3600))
    there.jenkins.trigger(TRIGGER, {})
    there.clock.advance(timedelta(seconds=11))
    run = asked(bench)
    assert "1 build of Jenkins runs now; !release skip drain REASON waits for nothing" in shown(bench, run)
    bench.react("manager-1", f"run:{run.id}:gate:rollback:1")
    for _ in range(4):
        bench.tick(timedelta(seconds=30))
    assert bench.run(run.id).step("drain").state is StepState.WAITING
    assert there.ci.job(MONITOR).disabled
    assert place.head("core", PRODUCTION) == new
    bench.say("operator", "!release skip drain the site is down")
    run = gone_on(bench, run)
    assert run.state is RunState.SUCCEEDED, texts(run)


def test_a_pause_that_is_somebody_elses_is_not_ended(there: Yard) -> None:
    bench = there.bench(monitor_verbs)
    bench.say("manager-1", "!monitor pause the storage is being moved")
    for ask in bench.journal.open_asks():
        bench.say("manager-1", f"!approve {ask.code}")
    gone_on(bench, bench.journal.runs(1)[0])
    released(bench)
    run = rolled_back(bench)
    state, text = run.step("resume-monitor").state, run.step("resume-monitor").text
    assert state is StepState.NOT_NEEDED
    assert "the monitor stays paused, by manager-1" in text
    assert run.step("start-monitor").state is StepState.NOT_NEEDED
    assert there.ci.job(MONITOR).disabled
    assert there.ci.builds(MONITOR) == ()


def test_a_jenkins_that_is_down_keeps_nobody_from_taking_the_rest_back(there: Yard) -> None:
    bench, place = there.bench(), there.place
    old = place.head("core", PRODUCTION)
    released(bench)
    there.jenkins.faults.add(Fault(FaultKind.STATUS, times=100_000, status=503))
    run = asked(bench)
    assert "Jenkins answered 503" in shown(bench, run)
    run = approve(bench, run)
    assert run.step("pause-monitor").state is StepState.FAILED
    for step in ("pause-monitor", "drain"):
        bench.say("operator", f"!release skip {step} Jenkins is down")
    run = gone_on(bench, run)
    assert run.state is RunState.SUCCEEDED, texts(run)
    assert place.head("core", PRODUCTION) == old
