"""What a drain keeps of the builds it saw end, what it estimates from that, and the curve it draws."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.chat.console_render import render
from kcibot.core.journal import Measured
from kcibot.core.notice import Notice
from kcibot.core.run import RunState
from kcibot.core.sparkline import BARS, COLUMNS, sparklines
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.jenkins import RunningBuild, Sleep, Steps, succeed_after
from kcibot_commands.rules import burn_down
from tests.fakes.ci_bench import BISECTION, MONITOR, TRIGGER, CiBench, ci_bench


@pytest.fixture
def ci(tmp_path: Path) -> Iterator[CiBench]:
    with ci_bench(tmp_path) as bench:
        bench.server.disable(MONITOR)
        yield bench


def busy(ci: CiBench, job: str, seconds: float) -> None:
    ci.jenkins.behave(job, succeed_after(seconds))
    ci.jenkins.trigger(job, {})
    ci.forward(seconds=11)


def measured(ci: CiBench, job: str) -> list[tuple[str, str, int]]:
    ci.bench.journal.writer.flush()
    return [(one.ident, one.result, round(one.seconds)) for one in ci.bench.journal.history("build", job, 20)]


def replies(ci: CiBench) -> list[Notice]:
    ci.bench.deliver()
    return [notice for key, notice in ci.bench.notices.items() if key.startswith("reply:")]


def test_builds_that_the_drain_saw_end_are_measured_once(ci: CiBench) -> None:
    def fail(_build: RunningBuild) -> Steps:
        yield Sleep(90)
        return "FAILURE"

    busy(ci, TRIGGER, 600)
    ci.jenkins.behave(BISECTION, fail)
    ci.jenkins.trigger(BISECTION, {})
    ci.forward(seconds=11)
    ci.say("!drain wait")
    assert ci.tick_until_ended(timedelta(seconds=30)).state is RunState.SUCCEEDED
    assert measured(ci, TRIGGER) == [(f"{TRIGGER} #1", "SUCCESS", 600)]
    assert measured(ci, BISECTION) == [(f"{BISECTION} #1", "FAILURE", 90)]


def test_what_could_not_be_seen_to_end_is_asked_for_again(ci: CiBench) -> None:
    busy(ci, TRIGGER, 60)
    ci.say("!drain wait")
    ci.jenkins.faults.add(Fault(FaultKind.STATUS, f"/job/{TRIGGER}/", times=1, status=502))
    assert ci.tick_until_ended(timedelta(seconds=30)).state is RunState.SUCCEEDED
    assert measured(ci, TRIGGER) == [(f"{TRIGGER} #1", "SUCCESS", 60)]


def test_the_estimate_is_the_median_of_what_was_measured(ci: CiBench) -> None:
    now = ci.bench.clock.now()
    for number, minutes in enumerate((10, 20, 60), start=1):
        at = now - timedelta(days=number)
        one = Measured("build", TRIGGER, f"{TRIGGER} #{number + 70}", at, minutes * 60.0, "SUCCESS")
        ci.bench.journal.commit([one])
    busy(ci, TRIGGER, 600)
    ci.say("!drain wait")
    assert " of about 20 min)" in ci.newest().step("drain").text
    ci.bench.journal.commit([Measured("build", BISECTION, "one", now, 60.0, "SUCCESS")])
    busy(ci, BISECTION, 600)
    ci.bench.tick(timedelta(minutes=1))
    assert " of about 1 min" not in ci.newest().step("drain").text, "one build is not enough to know"


def test_the_end_of_a_drain_shows_how_the_work_grew_less(ci: CiBench) -> None:
    busy(ci, TRIGGER, 600)
    busy(ci, BISECTION, 900)
    ci.say("!drain wait")
    ci.bench.tick(timedelta(minutes=11))
    ci.say("!drain status")
    assert "Burn-down: 2 " in "\n".join(line for reply in replies(ci) for line in render(reply, 120))
    ci.bench.tick(timedelta(minutes=1))
    while not ci.bench.journal.run(1).ended:
        ci.bench.tick(timedelta(seconds=30))
    notice = ci.notice("drained")
    (line,) = [one.strip() for one in render(notice, 120) if "Burn-down" in one]
    assert line.startswith("Burn-down: 2 █")
    assert "▁ 0 in " in line
    assert notice.picture
    assert notice.picture.charts[0].unit == "builds"


def test_a_curve_stays_small_however_long_it_gets() -> None:
    curve: burn_down.Curve = ()
    for minute in range(5000):
        curve = burn_down.added(curve, minute, (5000 - minute) // 10)
    assert len(curve) <= burn_down.MOST
    assert (curve[0], curve[-1]) == ((0, 500), (4999, 0))
    wrong = [count - (5000 - minute) / 10 for minute, count in curve]
    assert max(map(abs, wrong)) < 500 / len(BARS), "it is still the same curve"
    gaps = [after[0] - before[0] for before, after in itertools.pairwise(curve)]
    assert max(gaps) < 5000 / COLUMNS
    picture = burn_down.drawn(curve)
    assert picture
    (drawn,) = sparklines(picture)
    assert drawn == f"Burn-down: 500 {''.join(sorted(drawn.split()[2], reverse=True))} 0 in 3 d 11 h"


def test_nothing_is_drawn_of_nothing() -> None:
    assert burn_down.drawn(()) is burn_down.drawn(((0.0, 0), (1.0, 0))) is burn_down.drawn(((0.0, 3),)) is None
