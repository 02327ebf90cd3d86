"""The part of the verdict that is about single tests: what passed on boards before, and fails or is missing now.

A test is a case of a plan. Where the names of a plan's cases are not known on both sides, the plan is judged as one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.results import BoardResult, Ended, Results
from kcibot_commands.rules.verdict_reasons import Level, Reason, Thresholds, listed

_MOST = 3
Board = tuple[str, str]
"""Lab and device type."""
Plan = Mapping[str, Mapping[Board, bool]]
"""Case -> board -> whether it passed there. A plan that is judged as one has one case without a name."""
_WHOLE = ""


class _Finding(Enum):
    """What became of a test that passed somewhere in the baseline, the weightiest first."""

    REGRESSION = auto()
    UNDECIDED = auto()
    PARTLY = auto()
    NOT_RUN = auto()


@dataclass(frozen=True, slots=True)
class _Case:
    """One test with its finding: the boards where it fails, or did not run, of those on which it passed."""

    name: str
    finding: _Finding
    boards: tuple[Board, ...]
    of: int


def case_reasons(current: Results, baseline: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    """One sentence per plan and finding, however many cases and boards it is about."""
    found: list[Reason] = []
    present = {test.board for test in current.tests if test.there}
    now_by, then_by = _by_plan(current.tests), _by_plan(baseline.tests)
    for plan, then_rows in sorted(then_by.items()):
        now_rows = now_by.get(plan, [])
        whole = not (_named(then_rows) and _named(now_rows))
        now, then = _cases(now_rows, whole=whole), _cases(then_rows, whole=whole)
        cases = [case for name in sorted(then) for case in _judged(name, then[name], now, present, thresholds)]
        found += _sentences(plan, cases, len(then), current)
        found += _new_failures(plan, now, then)
    return tuple(found)


def _by_plan(tests: Iterable[BoardResult]) -> Mapping[str, list[BoardResult]]:
    plans: dict[str, list[BoardResult]] = {}
    for test in tests:
        if test.there:
            plans.setdefault(test.test, []).append(test)
    return plans


def _named(rows: Iterable[BoardResult]) -> bool:
    return all(row.named for row in rows)


def _cases(rows: Iterable[BoardResult], *, whole: bool) -> Plan:
    """Several results of one board count together: a test passed there if it did not fail in any."""
    found: dict[str, dict[Board, bool]] = {}
    for row in rows:
        for name, good in [(_WHOLE, row.good)] if whole else _outcomes(row):
            boards = found.setdefault(name, {})
            boards[row.board] = boards.get(row.board, True) and good
    return found


def _outcomes(row: BoardResult) -> list[tuple[str, bool]]:
    return [*((case, True) for case in row.passed_cases), *((case, False) for case in row.failed_cases)]


# ---- one test --------------------------------------------------------------------------------------------------


def _judged(
    name: str, then: Mapping[Board, bool], now: Plan, present: set[Board], thresholds: Thresholds
) -> list[_Case]:
    """What is to be said of a test; failures that were there before are known."""
    passed_on = sorted(board for board, good in then.items() if good)
    seen = now.get(name, {})
    reported = [board for board in passed_on if board in seen]
    failing = [board for board in reported if not seen[board]]
    # Boards that sent nothing at all are told as such, unless nothing is left that ran the test.
    silent = [board for board in passed_on if board not in seen and (board in present or not reported)]
    found = []
    if failing:
        found.append(_Case(name, _finding(passed_on, reported, failing, thresholds), tuple(failing), len(passed_on)))
    if silent:
        found.append(_Case(name, _Finding.NOT_RUN, tuple(silent), len(passed_on)))
    return found


def _finding(passed_on: list[Board], reported: list[Board], failing: list[Board], thresholds: Thresholds) -> _Finding:
    """A failure on all boards that reported is a regression only if so many did; with fewer nobody can tell."""
    if len(failing) < len(reported) or len(passed_on) < thresholds.boards:
        return _Finding.PARTLY
    return _Finding.REGRESSION if len(reported) >= thresholds.boards else _Finding.UNDECIDED


# ---- in words --------------------------------------------------------------------------------------------------


def _sentences(plan: str, cases: list[_Case], total: int, current: Results) -> list[Reason]:
    """The findings on a plan, each with all of its tests. `total` is how many tests the plan has in the baseline."""
    found = []
    for finding in _Finding:
        hit = [case for case in cases if case.finding is finding]
        if hit:
            found.append(_reason(plan, finding, hit, total, current))
    return found


def _reason(plan: str, finding: _Finding, hit: list[_Case], total: int, current: Results) -> Reason:
    what, boards = _what(plan, hit, total), sorted({board for case in hit for board in case.boards})
    where, many = _named_boards(boards), len(hit) > 1
    fail, they = ("fail", "they") if many else ("fails", "it")
    match finding:
        case _Finding.REGRESSION:
            missing = " that reported" if any(len(case.boards) < case.of for case in hit) else ""
            text = f"test regression: {what} {fail} on all boards{missing} on which {they} passed: {where}"
            return Reason(Level.FAIL, "test regression", text)
        case _Finding.UNDECIDED:
            text = f"{what} {fail} on {where}; no other board on which {they} passed reported"
            return Reason(Level.UNKNOWN, "test undecided", text)
        case _Finding.PARTLY:
            of = f"{len(hit[0].boards)} of {worded(hit[0].of, 'board')}" if not many else worded(len(boards), "board")
            return Reason(Level.WARN, "test fails", f"{what} {fail} on {of} on which {they} passed: {where}")
        case _Finding.NOT_RUN:
            level = Level.UNKNOWN if current.unreachable or current.ended is Ended.RUNNING else Level.WARN
            return Reason(level, "test not run", f"{what} did not run on {where}, where {they} passed before")


def _what(plan: str, hit: list[_Case], total: int) -> str:
    """`igt`, `igt kms_atomic`, or `2 tests of igt (kms_atomic, kms_vblank)`."""
    names = [case.name for case in hit]
    if names == [_WHOLE]:
        return plan
    if len(names) == 1:
        return f"{plan} {names[0]}"
    count = f"all {total}" if len(names) == total else str(len(names))
    return f"{count} tests of {plan} ({listed(names, most=_MOST)})"


def _named_boards(boards: list[Board]) -> str:
    return listed([f"{device} in {lab}" for lab, device in boards], most=_MOST)


def _new_failures(plan: str, now: Plan, then: Plan) -> list[Reason]:
    """Failures on boards of which the baseline has no result of that test: nothing says that they are new."""
    hit = [
        _Case(name, _Finding.PARTLY, boards, len(boards))
        for name in sorted(now)
        if (boards := tuple(board for board, good in now[name].items() if not good and board not in then.get(name, {})))
    ]
    if not hit:
        return []
    where = _named_boards(sorted({board for case in hit for board in case.boards}))
    fails = "fail" if len(hit) > 1 else "fails"
    text = f"{_what(plan, hit, len(now))} {fails} on {where}, of which the baseline has no result"
    return [Reason(Level.NOTE, "new test", text)]
