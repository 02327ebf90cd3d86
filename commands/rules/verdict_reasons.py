"""The pieces of a verdict: a reason with its weight, and the numbers that can be configured."""

from dataclasses import dataclass
from enum import StrEnum

_NOISE = 1e-9


class Level(StrEnum):
    """How much a reason weighs, the weightiest first."""

    FAIL = "fail"
    UNKNOWN = "unknown"
    WARN = "warn"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason; `rule` names the case of the table."""

    level: Level
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The numbers of the table.

    `failures`: how often a kernel must fail before it counts (there is one automatic retry). `complete`: the share of
    the baseline's kernels that must be there after the time limit. `rate_points`: percentage points by which a pass
    rate may fall. `labs_missing`: the share of labs that may be silent. `boards`: on how many boards a test must have
    passed to be called a regression. `warnings`: the share by which build warnings may grow.
    """

    failures: int = 2
    complete: float = 0.95
    rate_points: float = 2.0
    labs_missing: float = 1 / 3
    boards: int = 2
    warnings: float = 0.10


def exceeds(value: float, limit: float) -> bool:
    """Whether a value lies above a limit, apart from the noise of floating point."""
    return value - limit > _NOISE


def listed(names: list[str], most: int = 5) -> str:
    """`a, b and 3 more`."""
    shown, rest = names[:most], len(names) - most
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")
