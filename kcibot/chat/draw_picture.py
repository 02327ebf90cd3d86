"""The process that draws one picture: its data as JSON on the standard input, a PNG file on the standard output."""

import json
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

from kcibot.core.notice import MINUTES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 100
WIDTH, CHART_HEIGHT, MARGIN = 8.0, 2.6, 0.8
LONGEST_TEXT = 80
HOURS_FROM = 300.0
"""Minutes from which on an axis counts in hours."""
COLOURS = ("#1f77b4", "#999999", "#d62728", "#2ca02c")
"""What is new first, what it is compared with in grey."""
STYLES = ("-", "--", "-.", ":")


def main(source: BinaryIO, target: BinaryIO) -> None:
    """Raises whatever goes wrong: the process ends with an error, and there is no picture."""
    figure(json.loads(source.read())).savefig(target, format="png", dpi=DPI)


def figure(picture: dict[str, Any]) -> "Figure":
    """The picture with its charts one above the other, on one axis of time."""
    from matplotlib.figure import Figure  # noqa: PLC0415 (only here, since it takes a second)

    charts = [chart for chart in picture["charts"] if any(series["points"] for series in chart["series"])]
    whole = Figure(figsize=(WIDTH, CHART_HEIGHT * len(charts) + MARGIN), layout="constrained")
    whole.suptitle(plain(picture["title"]), parse_math=False)
    axes = whole.subplots(len(charts), 1, sharex=True, squeeze=False)[:, 0]
    factor, unit = scale(picture)
    for chart, one in zip(charts, axes, strict=True):
        draw(one, chart, factor)
    axes[-1].set_xlabel(plain(unit), parse_math=False)
    return whole


def scale(picture: dict[str, Any]) -> tuple[float, str]:
    """What the x values are multiplied by, and their unit then."""
    longest = max(x for chart in picture["charts"] for series in chart["series"] for x, _ in series["points"])
    if picture["unit"] == MINUTES and longest >= HOURS_FROM:
        return 1 / 60, "h"
    return 1.0, picture["unit"]


def draw(axes: "Axes", chart: dict[str, Any], factor: float) -> None:
    """Steps, since a count stays until it is another; a single point would be no line, and gets a mark."""
    shown = [series for series in chart["series"] if series["points"]]
    for place, series in enumerate(shown):
        axes.plot(
            [x * factor for x, _ in series["points"]],
            [y for _, y in series["points"]],
            color=COLOURS[place % len(COLOURS)],
            linestyle=STYLES[place % len(STYLES)],
            marker="o" if len(series["points"]) == 1 else "",
            drawstyle="steps-post",
            label=f"series {place}",
        )
    axes.set_title(plain(chart["title"]), loc="left", fontsize="medium", parse_math=False)
    axes.set_ylabel(plain(chart["unit"]), parse_math=False)
    axes.set_ylim(bottom=min(0, *(y for series in shown for _, y in series["points"])))
    axes.grid(visible=True, alpha=0.3)
    if len(shown) > 1:
        name(axes, [series["label"] for series in shown])


def name(axes: "Axes", labels: list[str]) -> None:
    """A legend whose words are taken as they are: a label may begin with `_` or hold a `$`."""
    for text, label in zip(axes.legend(fontsize="small").get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(plain(label))


def plain(text: str) -> str:
    """One line that can be drawn, and not too long."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= LONGEST_TEXT else f"{shown[: LONGEST_TEXT - 1]}…"


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
