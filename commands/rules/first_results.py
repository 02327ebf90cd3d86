"""The first results after a release beside those of the same branch before it: what is much worse, in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.verdict_reasons import Level, Reason, exceeds, listed

_PERCENT = 100
_SURE = 2
"""What was so in fewer earlier revisions than this may be chance."""


@dataclass(frozen=True, slots=True)
class Share:
    """One revision's results in a few numbers: its kernels, how many of them passed, the labs that sent results."""

    kernel: str
    kernels: int
    passed: int
    labs: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """The percentage of its kernels that passed."""
        return _PERCENT * self.passed / self.kernels if self.kernels else 0.0

    def __str__(self) -> str:
        return f"{self.passed} of {self.kernels} kernels passed"


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on results are much worse.

    `rate_points`: percentage points below the usual pass rate. `kernels`: the share of the usual number of kernels.
    Usual is the median of the earlier revisions.
    """

    rate_points: float = 5.0
    kernels: float = 0.8


def kernel_reasons(now: Share, before: Sequence[Share], limits: Limits) -> tuple[Reason, ...]:
    """What of the kernels is much worse than in those earlier revisions; nothing if there are none of them."""
    if not before:
        return ()
    usual, rate = median(one.kernels for one in before), median(one.rate for one in before)
    beside = _beside(before)
    if exceeds(usual * limits.kernels, now.kernels):
        text = f"{worded(now.kernels, 'kernel')} built, usual are {usual:.0f} ({beside})"
        return (Reason(Level.FAIL, "kernels", text), *_rate(now, rate, limits, beside))
    return _rate(now, rate, limits, beside)


def _rate(now: Share, usual: float, limits: Limits, beside: str) -> tuple[Reason, ...]:
    if not now.kernels or not exceeds(usual - now.rate, limits.rate_points):
        return ()
    text = f"{now.rate:.1f} % of the kernels passed, usual are {usual:.1f} % ({beside})"
    return (Reason(Level.FAIL, "pass rate", text),)


def lab_reasons(now: Share, before: Sequence[Share]) -> tuple[Reason, ...]:
    """Labs that sent results for each of the earlier revisions, and none for this one; all of them is a failure."""
    if len(before) < _SURE:
        return ()
    always = set.intersection(*(set(one.labs) for one in before))
    silent = sorted(always - set(now.labs))
    if not silent:
        return ()
    if not now.labs:
        text = f"no lab sent results; always were {listed(silent)} ({_beside(before)})"
        return (Reason(Level.FAIL, "labs", text),)
    text = f"{listed(silent)} sent no results, and always did ({_beside(before)})"
    return (Reason(Level.WARN, "lab missing", text),)


def _beside(before: Sequence[Share]) -> str:
    return f"beside {listed([one.kernel for one in before], 1)}"


def too_many(started: int, watched: int, share: float, least: int) -> bool:
    """Whether one run of the monitor started so many build configs that its storage, not the trees, is to blame.

    `watched` is how many there are, 0 if that is not known: then nothing can be said.
    """
    return started >= least and bool(watched) and exceeds(started, watched * share)
