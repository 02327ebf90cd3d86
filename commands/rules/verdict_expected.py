"""What the next pipe cleaner is expected to do: the accepted run, and what it no longer does but did before.

People may accept a run in which something is wrong. If it were the baseline just as it is, next week its regressions
would be known failures, and a lab that was offline for a week would be missed by nobody.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kcibot_commands.rules.results import BoardResult, Kernel, Results, Status

Place = tuple[str, str, str]
"""Lab, device type, test plan."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A baseline. `kept` names what is in it as it was before, since the accepted run no longer did it."""

    results: Results
    kept: frozenset[str] = frozenset()


def expected(accepted: Results, before: Expected | None) -> Expected:
    """The baseline that follows `before` when that run is accepted.

    A kernel that passed before and does not now, or was never built, and a board whose tests passed before and do not
    now, or did not run, stay as they were for one accepted run more. If the next accepted run does not have them
    either, that is how it is now: a configuration that was dropped, a lab that is gone.
    """
    if before is None:
        return Expected(accepted)
    kernels = _kept_kernels(accepted, before)
    boards = _kept_boards(accepted, before)
    places = {_place(row) for row in boards}
    results = replace(
        accepted,
        kernels=_sorted([*kernels.values(), *(one for one in accepted.kernels if str(one.key) not in kernels)]),
        tests=(*boards, *(row for row in accepted.tests if _place(row) not in places)),
    )
    return Expected(results, frozenset({*kernels, *(_name(place) for place in places)}))


def _kept_kernels(accepted: Results, before: Expected) -> Mapping[str, Kernel]:
    now = accepted.by_key()
    lost = (one for one in before.results.kernels if one.key not in now or _worse(one, now[one.key]))
    return {str(one.key): one for one in lost if str(one.key) not in before.kept}


def _worse(then: Kernel, now: Kernel) -> bool:
    return then.status is Status.PASS and now.status is not Status.PASS


def _sorted(kernels: Iterable[Kernel]) -> tuple[Kernel, ...]:
    return tuple(sorted(kernels, key=lambda kernel: kernel.key))


def _kept_boards(accepted: Results, before: Expected) -> tuple[BoardResult, ...]:
    now = {_place(row): row for row in accepted.tests if row.there}
    lost = (row for row in before.results.tests if row.there and _lost(row, now.get(_place(row))))
    return tuple(row for row in lost if _name(_place(row)) not in before.kept)


def _lost(then: BoardResult, now: BoardResult | None) -> bool:
    """Whether anything that passed there no longer does."""
    if now is None:
        return True
    if then.named and now.named:
        return not set(then.passed_cases) <= set(now.passed_cases)
    return then.good and not now.good


def _place(row: BoardResult) -> Place:
    return (row.lab, row.device, row.test)


def _name(place: Place) -> str:
    return " ".join(place)
