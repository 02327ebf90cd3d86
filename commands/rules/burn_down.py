"""How much of something there was over time: curves that are kept small, and what people are shown of them."""

from collections.abc import Iterable

from kcibot.sdk import Chart, Picture, Series

MOST = 96
"""Of more points than this the one is left out that stands closest to its neighbours: a drain may last for days."""

Curve = tuple[tuple[float, int], ...]
"""Minutes since the beginning, and how many there were then (builds left, kernels ended); in the order of time."""


def added(curve: Curve, minutes: float, count: int) -> Curve:
    """The curve with one more look; looks that saw the same as before and after them are left out."""
    if len(curve) > 1 and curve[-1][1] == curve[-2][1] == count:
        curve = curve[:-1]
    curve = (*curve, (round(minutes, 1), count))
    if len(curve) <= MOST:
        return curve
    spare = min(range(1, len(curve) - 1), key=lambda place: curve[place + 1][0] - curve[place - 1][0])
    return (*curve[:spare], *curve[spare + 1 :])


def chart(title: str, unit: str, curves: Iterable[tuple[str, Curve]]) -> Chart:
    """The curves that have anything to see in them, each under its label, on one scale."""
    seen = [(label, curve) for label, curve in curves if any(count for _, count in curve)]
    return Chart(title, unit, tuple(Series(label, curve) for label, curve in seen))


def drawn(curve: Curve, title: str = "Burn-down", unit: str = "builds") -> Picture | None:
    """A picture of that curve alone; None while there is nothing to see in it."""
    one = chart(title, unit, [("", curve)])
    return Picture(title, (one,)) if one.series and len(curve) > 1 else None
