"""Curves in one line of text each, for networks that take no pictures: `0 ▁▂▃▅▆▇█ 220 in 62 min`."""

import math
from bisect import bisect_right
from datetime import timedelta

from kcibot.core.notice import MINUTES, Chart, Picture, Series
from kcibot.core.wording import span

BARS = "▁▂▃▄▅▆▇█"
COLUMNS = 24
NOTHING_SEEN = " "


def sparklines(picture: Picture) -> tuple[str, ...]:
    """A line per series that has something to see in it; those of one chart are on the same scale, below each other."""
    ends = [series.points[-1][0] for chart in picture.charts for series in chart.series if series.points]
    longest = max(ends, default=0)
    return tuple(line for chart in picture.charts for line in _lines(chart, longest, picture.unit))


def _lines(chart: Chart, longest: float, unit: str) -> tuple[str, ...]:
    shown = [series for series in chart.series if len(series.points) > 1]
    highest = max((y for series in shown for _, y in series.points), default=0)
    if highest <= 0 or longest <= 0:
        return ()
    names = [f"{chart.title}, {one.label}:" if len(chart.series) > 1 else f"{chart.title}:" for one in shown]
    firsts = [number(one.points[0][1]) for one in shown]
    name_width, first_width = max(map(len, names)), max(map(len, firsts))
    return tuple(
        f"{name:{name_width}} {first:>{first_width}} {bars(one, longest, highest)} {_end(one, unit)}"
        for name, first, one in zip(names, firsts, shown, strict=True)
    )


def bars(series: Series, longest: float, highest: float) -> str:
    """The series in so many columns up to `longest`; blank where it has not begun or has ended, a bar is never 0."""
    times, step = [x for x, _ in series.points], longest / (COLUMNS - 1)
    return "".join(_bar(series, times, step * column, step / 2, highest) for column in range(COLUMNS))


def _bar(series: Series, times: list[float], at: float, near: float, highest: float) -> str:
    """What was seen last until then, or near enough. Whatever is not nothing is more than the lowest bar."""
    if times[0] > at + near or times[-1] < at - near:
        return NOTHING_SEEN
    place = max(0, bisect_right(times, at) - 1)
    part = max(0.0, series.points[place][1]) / highest
    return BARS[math.ceil(part * (len(BARS) - 1))]


def _end(series: Series, unit: str) -> str:
    last, value = series.points[-1]
    took = span(timedelta(minutes=last)) if unit == MINUTES else f"{number(last)} {unit}".rstrip()
    return f"{number(value)} in {took}"


def number(value: float) -> str:
    """`220` or `3.5`: no more places than there are."""
    return f"{value:.1f}".removesuffix(".0")
