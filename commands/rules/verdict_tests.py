"""The part of the verdict that is about labs and boards: who reported, and how many of all tests pass."""

from kcibot_commands.rules.results import Ended, Results, case_counts
from kcibot_commands.rules.verdict_cases import case_reasons
from kcibot_commands.rules.verdict_reasons import Level, Reason, Thresholds, exceeds, listed

_PERCENT = 100


def lab_reasons(current: Results, baseline: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    """Every case of the table that speaks of labs and tests, against a baseline of the same series."""
    if current.unreachable and not current.tests:
        return ()  # that nothing was seen is said, and none of it is the labs' doing
    single = (*_devices(current, baseline), *case_reasons(current, baseline, thresholds)) if current.labs() else ()
    return (*_labs(current, baseline, thresholds), *single, *_rate(current, baseline, thresholds))


def _labs(current: Results, baseline: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    expected = baseline.labs()
    missing = sorted(expected - current.labs())
    if missing and (current.ended is Ended.RUNNING or current.unreachable):
        return (Reason(Level.UNKNOWN, "labs", f"nothing was seen from {listed(missing)} so far"),)
    if exceeds(len(missing), len(expected) * thresholds.labs_missing):
        text = f"labs: {len(missing)} of {len(expected)} labs sent no results: {listed(missing)}"
        return (Reason(Level.FAIL, "labs", text),)
    return tuple(Reason(Level.WARN, "lab missing", f"lab missing: {lab} sent no results") for lab in missing)


def _devices(current: Results, baseline: Results) -> tuple[Reason, ...]:
    """Boards that sent nothing. A type that is gone from every lab that had it, and several had, is no accident."""
    present, labs = {test.board for test in current.tests if test.there}, current.labs()
    expected = sorted({test.board for test in baseline.tests if test.there})
    where = {device: [board for board in expected if board[1] == device] for _lab, device in expected}
    everywhere = [device for device, boards in where.items() if len(boards) > 1 and present.isdisjoint(boards)]
    gone = [board for board in expected if board not in present and board[0] in labs and board[1] not in everywhere]
    return (
        *(_everywhere(device, [lab for lab, _device in where[device]]) for device in everywhere),
        *(Reason(Level.NOTE, "device", f"{device} in {lab} sent no results") for lab, device in gone),
    )


def _everywhere(device: str, labs: list[str]) -> Reason:
    text = f"device missing: {device} sent no results from any lab that had it ({listed(labs)})"
    return Reason(Level.WARN, "device missing", text)


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
