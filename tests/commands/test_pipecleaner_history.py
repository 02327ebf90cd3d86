"""What is kept of pipe cleaners that were judged: the table, one of them again, two of them side by side."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.chat.console_render import render
from kcibot.core.journal import Remember
from kcibot.core.notice import Notice
from kcibot.sandbox.kernelci.jobs import Settings
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands.pipecleaner.baseline import HISTORY
from kcibot_commands.pipecleaner.history import HEADS
from kcibot_commands.pipecleaner.past import Past, baseline_row, found, meant, past, picture
from tests.fakes.bench import BEGINS, Bench
from tests.fakes.pipecleaner_bench import bot, forward, once_accepted, start
from tests.fakes.sandbox_bench import sandbox


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    quick = Settings(kernels=12, failure_rate=0.2, kernel_minutes=(2.0, 6.0), lab_minutes=(1.0, 5.0))
    with sandbox(tmp_path, quick) as made:
        yield made


def ask(bench: Bench, text: str) -> Notice:
    before = set(bench.notices)
    bench.say("observer" if "compare" not in text else "operator", text)
    bench.deliver()
    (key,) = [key for key in bench.notices if key not in before and key.startswith("reply:")]
    return bench.notices[key]


def row(run: int, kernel: str, **values: object) -> Past:
    (one,) = past({str(run): {"at": BEGINS.isoformat(), "revision": f"kernelci/kernelci.org {kernel}", **values}})
    return one


def test_a_judged_run_can_be_looked_up_when_jenkins_has_forgotten_it(world: Sandbox) -> None:
    bench = bot(world, tests_quiet=timedelta(minutes=10))
    once_accepted(bench)
    number = start(bench)
    forward(bench, number)
    bench.journal.close()
    bench = bot(world)
    world.jenkins.faults.clear()
    asked = len(world.jenkins.requests) + len(world.api.requests)

    table = ask(bench, "!pipecleaner history").lines
    assert re.split(r" {2,}", table[0]) == list(HEADS)
    assert [line.split()[0] for line in table[1:]] == ["2", "1"]
    assert "kernelci-20261123.0" in table[2]
    assert table[2].endswith("manager-1")
    assert table[1].endswith("nobody")
    assert "5.10" in table[1]
    assert "(now)" in table[1] or " ago)" in table[1]
    assert len(ask(bench, "!pipecleaner history 1").lines) == 2

    shown = ask(bench, "!pipecleaner show 1")
    assert shown.title.startswith("Pipe cleaner kernelci-20261123.0 (run 1): no verdict")
    assert "Accepted by manager-1." in shown.lines[0]
    assert any(line.startswith("  kernels: ") for line in shown.lines)
    assert any("there is nothing to compare with" in line for line in shown.lines)
    assert ask(bench, "!pipecleaner history kernelci-20261123.0") == shown
    assert ask(bench, "!pipecleaner show").title.startswith("Pipe cleaner kernelci-20261123.1 (run 2): ")
    assert "Is kernelci-20261123.0 meant?" in ask(bench, "!pipecleaner show kernelci-2026112.0").title
    assert "there was no pipe cleaner 17" in ask(bench, "!pipecleaner show 17").title.lower()

    beside = ask(bench, "!pipecleaner compare kernelci-20261123.0")
    assert beside.title.startswith("Pipe cleaner kernelci-20261123.1 beside kernelci-20261123.0: pass")
    lines = "\n".join(render(beside, 200))
    assert "Kernels, this run:            0 " in lines
    assert "Kernels, kernelci-20261123.0: 0 " in lines
    assert "Tests, kernelci-20261123.0: 0 " in lines
    assert "name an older one" in ask(bench, "!pipecleaner compare 2").title
    assert len(world.jenkins.requests) + len(world.api.requests) == asked, "nobody was asked anything"
    assert len(bench.journal.open_asks()) == 1, "what is asked stands as it is"


def test_a_row_that_an_earlier_version_wrote_is_listed_with_what_it_has(world: Sandbox) -> None:
    bench = bot(world)
    old = {"at": BEGINS.isoformat(), "revision": "kernelci/kernelci.org kernelci-20210506.1", "verdict": "pass"}
    bench.journal.commit([Remember(HISTORY, "4", {**old, "built": 200, "failed": 3, "accepted": True})])
    line = ask(bench, "!pipecleaner history").lines[1]
    number, when, *rest = re.split(r" {2,}", line)
    assert (number, when[:9]) == ("4", "09:00 UTC")
    assert rest == ["kernelci-20210506.1", "-", "pass", "197/3", "-", "-", "people"]
    assert "there is no run 4" in ask(bench, "!pipecleaner show 4").title.lower()


def test_a_run_is_found_by_its_kernel_its_number_or_the_only_part_that_fits() -> None:
    rows = (row(3, "kernelci-20261123.1"), row(2, "kernelci-20261123.0"), row(1, "v5.10.79-1-gabcdef"))
    assert found(rows, "v5.10.79-1-gabcdef") is rows[2]
    assert found(rows, "2") is rows[1]
    assert found(rows, "v5.10") is rows[2]
    assert found(rows, "kernelci-2026") is None, "two begin so"
    assert found(rows, "") is None
    assert meant(rows, "kernelci-2026112.0") == "kernelci-20261123.0"
    assert meant((), "x") == ""


def test_a_kernel_that_was_judged_twice_is_the_newer_one() -> None:
    rows = past({str(run): {"at": f"2026-11-2{run}T10:00:00+00:00", "revision": "t/b k"} for run in (1, 3, 2)})
    newest = found(rows, "k")
    assert newest
    assert newest.run == 3


def test_the_baseline_is_the_last_accepted_one_of_the_series_then_of_any() -> None:
    rows = {
        "1": {"at": "2026-11-20T10:00:00+00:00", "revision": "t/b a", "series": "5.10", "accepted": True},
        "2": {"at": "2026-11-21T10:00:00+00:00", "revision": "t/b b", "series": "5.4", "accepted": True},
        "3": {"at": "2026-11-22T10:00:00+00:00", "revision": "t/b c", "series": "5.10", "accepted": False},
    }

    def kernel(series: str, but: str = "") -> str:
        one = baseline_row(rows, series, but)
        return one.kernel if one else ""

    assert (kernel("5.10"), kernel("5.4"), kernel("6.1"), kernel("5.10", but="a")) == ("a", "b", "b", "b")
    assert baseline_row({}, "5.10", "") is None


def test_a_picture_has_what_there_is_to_see_of_this_run_and_of_the_other() -> None:
    kernels, tests = ((0.0, 0), (60.0, 220)), ((0.0, 0), (60.0, 30))
    other = row(1, "old", kernels_curve=[[0, 0], [74, 214]], tests_curve=[])
    both = picture(kernels, tests, other)
    assert both
    assert [(chart.title, [one.label for one in chart.series]) for chart in both.charts] == [
        ("Kernels", ["this run", "old"]),
        ("Tests", ["this run"]),
    ]
    assert picture((), (), other) is None
    assert picture(((0.0, 0),), (), None) is None
