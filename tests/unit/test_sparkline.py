"""Curves as a line of text, for networks that take no pictures."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kcibot.chat import room_event
from kcibot.chat.console_render import render
from kcibot.chat.room_event import Event, RoomKind
from kcibot.core.notice import Chart, Notice, Picture, Progress, Series
from kcibot.core.sparkline import BARS, COLUMNS, bars, sparklines
from tests.fakes.bench import BEGINS

RISING = tuple((float(minute), float(4 * minute)) for minute in range(31))
SLOWER = tuple((float(minute), float(2 * minute)) for minute in range(61))


def one(*points: tuple[float, float], unit: str = "min") -> Picture:
    return Picture("p", (Chart("Kernels", "kernels", (Series("now", points),)),), unit)


def test_a_curve_is_its_first_value_its_bars_and_its_last_value() -> None:
    assert sparklines(one(*RISING)) == ("Kernels: 0 ▁▂▂▂▃▃▃▄▄▄▅▅▅▅▆▆▆▇▇▇████ 120 in 30 min",)


def test_a_second_curve_is_below_the_first_on_the_same_scale() -> None:
    """The one that is at its end in half the time fills half the columns; the other rises half as fast."""
    chart = Chart("Kernels", "kernels", (Series("this run", RISING), Series("baseline", SLOWER)))
    assert sparklines(Picture("p", (chart,))) == (
        f"Kernels, this run: 0 ▁▂▃▃▄▅▅▆▆▇███{' ' * 11} 120 in 30 min",
        "Kernels, baseline: 0 ▁▂▂▂▃▃▃▄▄▄▅▅▅▅▆▆▆▇▇▇████ 120 in 1 h 00 min",
    )


def test_charts_share_their_time() -> None:
    late = Chart("Tests", "results", (Series("now", ((30.0, 1.0), (60.0, 9.0))),))
    kernels = Chart("Kernels", "kernels", (Series("now", RISING),))
    first, second = sparklines(Picture("p", (kernels, late)))
    assert first.index("120 in 30 min") > 0
    assert second.startswith("Tests: 1            ▂")
    assert second.endswith("█ 9 in 1 h 00 min")


def test_nothing_is_shown_of_what_has_nothing_to_see_in_it() -> None:
    for points in ((), ((0.0, 3.0),), ((0.0, 0.0), (1.0, 0.0)), ((0.0, 3.0), (0.0, 3.0))):
        assert sparklines(one(*points)) == ()


def test_whatever_is_not_nothing_is_more_than_the_lowest_bar() -> None:
    (line,) = sparklines(one((0.0, 10_000.0), (10.0, 1.0), (20.0, 0.0)))
    assert set(line.split()[2]) == {"█", "▂", "▁"}


def test_other_units_than_minutes_are_named() -> None:
    assert sparklines(one((0.0, 1.5), (4.0, 2.0), unit="looks"))[0].endswith(" 2 in 4 looks")


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=2, max_size=50).map(sorted))
def test_every_curve_takes_as_many_columns_whatever_is_in_it(points: list[tuple[float, float]]) -> None:
    series = Series("now", tuple(points))
    drawn = bars(series, longest=points[-1][0] or 1.0, highest=max(y for _, y in points) or 1.0)
    assert len(drawn) == COLUMNS
    assert set(drawn) <= {*BARS, " "}


def test_a_console_shows_a_picture_as_its_sparklines_below_the_lines() -> None:
    notice = Notice("Drained", lines=("nothing ran",), picture=one(*RISING), progress=Progress(1, 2))
    assert render(notice, 80) == [
        "Drained",
        "  nothing ran",
        "  Kernels: 0 ▁▂▂▂▃▃▃▄▄▄▅▅▅▅▆▆▆▇▇▇████ 120 in 30 min",
        "  [##########..........] 1/2",
    ]


def test_a_room_keeps_a_picture_and_reads_what_was_kept_before_there_were_any() -> None:
    event = Event(1, BEGINS, RoomKind.POST, "#kernelci", "kcibot", notice=Notice("t", picture=one(*RISING)), key="k")
    line = room_event.dump(event)
    assert room_event.load(line, 1) == event
    old = room_event.dump(replace(event, notice=Notice("t"))).replace(b', "picture": null', b"")
    assert room_event.load(old, 1).notice == Notice("t")
