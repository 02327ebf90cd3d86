"""How the work on Jenkins grew less: a curve that is kept small, and drawn in one line of text."""

BARS = "▁▂▃▄▅▆▇█"
COLUMNS = 24
MOST = 96
"""Of more points than this the one is left out that stands closest to its neighbours: a drain may last for days."""

Curve = tuple[tuple[float, int], ...]
"""Minutes since the beginning, and how many builds ran or waited then; in the order of time."""


def added(curve: Curve, minutes: float, count: int) -> Curve:
    """The curve with one more look; looks that saw the same as before and after them are left out."""
    if len(curve) > 1 and curve[-1][1] == curve[-2][1] == count:
        curve = curve[:-1]
    curve = (*curve, (round(minutes, 1), count))
    if len(curve) <= MOST:
        return curve
    spare = min(range(1, len(curve) - 1), key=lambda place: curve[place + 1][0] - curve[place - 1][0])
    return (*curve[:spare], *curve[spare + 1 :])


def drawn(curve: Curve) -> str:
    """`13 ██▇▆▅▃▁ 0 in 21 min`; empty while there is nothing to see in it."""
    highest = max((count for _, count in curve), default=0)
    if len(curve) <= 1 or not highest:
        return ""
    last = curve[-1][0]
    counts = [_at(curve, last * column / (COLUMNS - 1)) for column in range(COLUMNS)]
    bars = "".join(BARS[-(-count * (len(BARS) - 1) // highest)] for count in counts)
    return f"{curve[0][1]} {bars} {curve[-1][1]} in {last:.0f} min"


def _at(curve: Curve, minutes: float) -> int:
    """What the last look until then saw."""
    return next((count for at, count in reversed(curve) if at <= minutes), curve[0][1])
