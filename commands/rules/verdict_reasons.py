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

    @property
    def weight(self) -> int:
        """The smaller the weightier."""
        return list(Level).index(self)


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
    passed to be called a regression. `warnings`: the share by which build warnings may grow. `group`: how many kernels
    of an architecture or a compiler must newly fail, with none that passes, before its tool chain is suspected.
    """

    failures: int = 2
    complete: float = 0.95
    rate_points: float = 2.0
    labs_missing: float = 1 / 3
    boards: int = 2
    warnings: float = 0.10
    group: int = 2

    def __post_init__(self) -> None:
        """Raise ValueError for what would let everything pass, or nothing."""
        for name in ("complete", "labs_missing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, such as 0.95 for 95 %")
        for name in ("failures", "boards", "group"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is counted from 1 on")
        if self.rate_points < 0 or self.warnings < 0:
            raise ValueError("rate_points and warnings are not below 0")


def exceeds(value: float, limit: float) -> bool:
    """Whether a value lies above a limit, apart from the noise of floating point."""
    return value - limit > _NOISE


def times(number: int) -> str:
    """`once`, `2 times`."""
    return "once" if number == 1 else f"{number} times"


def listed(names: list[str], most: int = 5) -> str:
    """`a, b and 3 more`."""
    shown, rest = names[:most], len(names) - most
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")
