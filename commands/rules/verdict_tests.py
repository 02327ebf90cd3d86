"""The part of the verdict that is about labs and tests: who reported, and what passed before and fails now."""

from collections.abc import Iterable, Mapping

from kcibot_commands.rules.results import BoardResult, Results, case_counts
from kcibot_commands.rules.verdict_reasons import Level, Reason, Thresholds, exceeds, listed

_PERCENT = 100
Board = tuple[str, str]
"""Lab and device type."""


def lab_reasons(current: Results, baseline: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    """Every case of the table that speaks of labs and tests, against a baseline of the same series."""
    return (
        *_labs(current, baseline, thresholds),
        *_devices(current, baseline),
        *_failing_tests(current, baseline, thresholds),
        *_rate(current, baseline, thresholds),
    )


def _labs(current: Results, baseline: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    expected = baseline.labs()
    missing = sorted(expected - current.labs())
    if exceeds(len(missing), len(expected) * thresholds.labs_missing):
        text = f"{len(missing)} of {len(expected)} labs sent no results: {listed(missing)}"
        return (Reason(Level.FAIL, "labs", text),)
    return tuple(Reason(Level.WARN, "lab missing", f"lab missing: {lab} sent no results") for lab in missing)


def _devices(current: Results, baseline: Results) -> tuple[Reason, ...]:
    present, labs = {_board(test) for test in current.tests}, current.labs()
    missing = sorted({_board(test) for test in baseline.tests} - present)
    return tuple(
        Reason(Level.NOTE, "device", f"{device} in {lab} sent no results") for lab, device in missing if lab in labs
    )


def _board(test: BoardResult) -> Board:
    return (test.lab, test.device)


def _failing_tests(current: Results, baseline: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    """Tests that passed on a board before and fail there now; failures that were there before are known."""
    now, found = _by_test(current.tests), []
    for name, boards in sorted(_by_test(baseline.tests).items()):
        passed_on = {board for board, good in boards.items() if good}
        seen = now.get(name, {})
        reported = sorted(board for board in passed_on if board in seen)
        failing = [board for board in reported if not seen[board]]
        if failing:
            whole = len(failing) == len(reported) >= thresholds.boards
            found.append(_regression(name, failing) if whole else _partly(name, failing, reported))
    return tuple(found)


def _by_test(tests: Iterable[BoardResult]) -> Mapping[str, Mapping[Board, bool]]:
    """Test -> board -> whether it passed; several results of one board count together."""
    found: dict[str, dict[Board, bool]] = {}
    for test in tests:
        boards = found.setdefault(test.test, {})
        boards[_board(test)] = boards.get(_board(test), True) and test.good
    return found


def _regression(name: str, failing: list[Board]) -> Reason:
    text = f"test regression: {name} fails on all boards on which it passed: {_named(failing)}"
    return Reason(Level.FAIL, "test regression", text)


def _partly(name: str, failing: list[Board], reported: list[Board]) -> Reason:
    text = f"{name} fails on {len(failing)} of {len(reported)} boards on which it passed: {_named(failing)}"
    return Reason(Level.WARN, "test fails", text)


def _named(boards: list[Board]) -> str:
    return listed([f"{device} in {lab}" for lab, device in boards])


def _rate(current: Results, baseline: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    (passed, total), (passed_then, total_then) = case_counts(current), case_counts(baseline)
    if not total_then:
        return ()
    if not total:
        return (Reason(Level.UNKNOWN, "no tests", "no test results were seen; the baseline has some"),)
    now, then = _PERCENT * passed / total, _PERCENT * passed_then / total_then
    if not exceeds(then - now, thresholds.rate_points):
        return ()
    return (Reason(Level.WARN, "test rate", f"{now:.1f} % of the tests pass, in the baseline {then:.1f} %"),)
