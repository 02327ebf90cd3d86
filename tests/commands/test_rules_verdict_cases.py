"""The verdict on single tests: what passed on boards before, and fails or is missing now."""

from collections.abc import Mapping

import pytest

from kcibot_commands.rules.results import BoardResult, Ended, Kernel, KernelKey, Mail, MailState, Results, Status
from kcibot_commands.rules.verdict import Kind, Verdict, judge
from kcibot_commands.rules.verdict_reasons import Level, Reason, Thresholds

CASES = tuple(f"case-{n:02d}" for n in range(50))
A, B, C = ("lab-a", "kevin"), ("lab-b", "panda"), ("lab-c", "xu3")
KERNELS = (Kernel(KernelKey("arm", "defconfig", "gcc-8"), (Status.PASS,)),)

Bad = Mapping[tuple[str, str], tuple[str, ...]]


def row(board: tuple[str, str], failed: tuple[str, ...] = (), *, ran: tuple[str, ...] = CASES) -> BoardResult:
    passed = tuple(case for case in ran if case not in failed)
    return BoardResult(*board, "igt", len(passed), len(failed), passed, failed)


def results(*rows: BoardResult) -> Results:
    # Another plan on every board, so that a board without igt is there all the same.
    others = tuple(BoardResult(*board, "sleep", 400, 0) for board in sorted({one.board for one in rows}))
    return Results("v5.0.5", "5.0", Ended.COMPLETE, KERNELS, (*rows, *others), (Mail("build", MailState.SEEN),))


BEFORE = results(row(A), row(B), row(C))


def judged(*rows: BoardResult, before: Results = BEFORE, thresholds: Thresholds | None = None) -> Verdict:
    return judge(results(*rows), before, thresholds or Thresholds())


def only(verdict: Verdict) -> Reason:
    (reason,) = verdict.reasons
    return reason


def test_a_case_that_fails_on_all_boards_is_a_regression_though_others_of_its_plan_failed_before() -> None:
    known = (CASES[9],)
    before = results(row(A, known), row(B, known), row(C, known))
    bad = (CASES[3], CASES[9])
    verdict = judged(row(A, bad), row(B, bad), row(C, bad), before=before)
    assert verdict.kind is Kind.FAIL
    assert only(verdict).rule == "test regression"
    assert only(verdict).text == (
        "test regression: igt case-03 fails on all boards on which it passed: "
        "kevin in lab-a, panda in lab-b, xu3 in lab-c"
    )


def test_several_cases_of_a_plan_are_one_sentence_with_a_few_names() -> None:
    bad = CASES[:30]
    verdict = judged(row(A, bad), row(B, bad), row(C, bad), thresholds=Thresholds(rate_points=100))
    assert verdict.kind is Kind.FAIL
    assert only(verdict).text.startswith(
        "test regression: 30 tests of igt (case-00, case-01, case-02 and 27 more) fail"
    )
    assert len(only(verdict).text) < 250


def test_a_plan_that_fails_as_a_whole_is_told_as_such() -> None:
    verdict = judged(row(A, CASES), row(B, CASES), row(C, CASES), thresholds=Thresholds(rate_points=100))
    assert only(verdict).text.startswith("test regression: all 50 tests of igt (case-00,")


def test_a_case_that_fails_on_some_boards_only_warns() -> None:
    one, two = judged(row(A, CASES[:1]), row(B), row(C)), judged(row(A, CASES[:1]), row(B, CASES[:1]), row(C))
    assert (one.kind, two.kind) == (Kind.WARN, Kind.WARN)
    assert only(one).text == "igt case-00 fails on 1 of 3 boards on which it passed: kevin in lab-a"
    assert only(two).text.startswith("igt case-00 fails on 2 of 3 boards on which it passed: kevin in lab-a, panda")


def test_a_case_that_passed_on_one_board_only_warns() -> None:
    before = results(row(A), row(B, CASES[:1]))
    verdict = judged(row(A, CASES[:1]), row(B, CASES[:1]), before=before)
    assert (verdict.kind, only(verdict).rule) == (Kind.WARN, "test fails")


def test_boards_that_did_not_report_do_not_save_a_case_that_fails_on_two_others() -> None:
    verdict = judged(row(A, CASES[:1]), row(B, CASES[:1]))
    assert verdict.kind is Kind.FAIL
    (text,) = verdict.texts(Level.FAIL)
    assert "igt case-00 fails on all boards that reported on which it passed: kevin in lab-a, panda in lab-b" in text


def test_a_failure_on_the_only_board_that_reported_is_undecided() -> None:
    gone = Thresholds(labs_missing=0.9)
    verdict = judged(row(A, CASES[:1]), thresholds=gone)
    assert verdict.kind is Kind.UNKNOWN
    assert verdict.texts(Level.UNKNOWN) == (
        "igt case-00 fails on kevin in lab-a; no other board on which it passed reported",
    )
    assert judged(row(A), thresholds=gone).kind is Kind.WARN


def test_a_case_that_ran_nowhere_is_never_a_pass() -> None:
    fewer = CASES[1:]
    verdict = judged(row(A, ran=fewer), row(B, ran=fewer), row(C, ran=fewer))
    assert (verdict.kind, only(verdict).rule) == (Kind.WARN, "test not run")
    assert only(verdict).text == (
        "igt case-00 did not run on kevin in lab-a, panda in lab-b, xu3 in lab-c, where it passed before"
    )


def test_a_board_that_broke_off_in_the_middle_is_told() -> None:
    verdict = judged(row(A, ran=CASES[:20]), row(B), row(C))
    assert verdict.kind is Kind.WARN
    assert only(verdict).text.startswith("30 tests of igt (case-20, case-21, case-22 and 27 more) did not run on kevin")


def test_a_plan_that_a_board_no_longer_runs_is_told() -> None:
    silent = BoardResult("lab-c", "xu3", "igt", 0, 0)
    assert judged(row(A), row(B), silent).kind is Kind.WARN
    assert only(judged(row(A), row(B), silent)).text.startswith("all 50 tests of igt (case-00")


def test_a_test_of_a_device_type_that_is_offline_runs_elsewhere() -> None:
    before = results(row(A), row(B), row(("lab-a", "panda")))
    verdict = judged(row(A), row(B), before=before)
    assert (verdict.kind, [one.rule for one in verdict.reasons]) == (Kind.PASS, ["device"])


def test_a_test_that_only_an_offline_device_type_ran_is_told() -> None:
    before = results(row(A), row(("lab-a", "panda"), ran=("alone",)))
    verdict = judged(row(A), before=before)
    assert (verdict.kind, [one.rule for one in verdict.reasons]) == (Kind.WARN, ["test not run", "device"])


def test_failures_without_a_result_in_the_baseline_are_noted() -> None:
    more = (*CASES, "new-case")
    verdict = judged(row(A, ("new-case",), ran=more), row(B), row(C), row(("lab-a", "new-board"), CASES[:1]))
    assert verdict.kind is Kind.PASS
    assert only(verdict).text == (
        "2 tests of igt (case-00, new-case) fail on kevin in lab-a, new-board in lab-a, "
        "of which the baseline has no result"
    )


def test_a_single_failure_without_a_result_in_the_baseline_is_one_test() -> None:
    verdict = judged(row(A), row(B), row(C), row(("lab-a", "new-board"), CASES[:1]))
    assert only(verdict).text == "igt case-00 fails on new-board in lab-a, of which the baseline has no result"


def test_a_case_that_failed_in_one_of_several_results_of_a_board_has_failed_there() -> None:
    bad = CASES[:1]
    for first, second in ((row(A, bad), row(A)), (row(A), row(A, bad))):
        verdict = judged(first, second, row(B), row(C))
        assert (verdict.kind, only(verdict).rule) == (Kind.WARN, "test fails")


@pytest.mark.parametrize("side", ["before", "now"])
def test_without_names_on_one_side_the_plan_is_judged_as_one(side: str) -> None:
    bad = (CASES[3],)
    good = [BoardResult(*board, "igt", 50, 0) for board in (A, B, C)]
    plain = [BoardResult(*board, "igt", 49, 1) for board in (A, B, C)]
    if side == "before":
        verdict = judged(row(A, bad), row(B, bad), row(C, bad), before=results(*good))
    else:
        verdict = judged(*plain)
    assert verdict.kind is Kind.FAIL
    assert only(verdict).text.startswith("test regression: igt fails on all boards on which it passed: kevin in lab-a")


def test_one_board_without_names_does_not_hide_the_others() -> None:
    bad = (CASES[3],)
    nameless = BoardResult(*C, "igt", 49, 1)
    assert judged(row(A, bad), row(B, bad), nameless).kind is Kind.FAIL


def test_while_the_run_goes_on_what_did_not_run_is_not_yet_missing() -> None:
    fewer = results(row(A, ran=CASES[1:]), row(B), row(C))
    running = judge(Results(**{**_fields(fewer), "ended": Ended.RUNNING}), BEFORE)
    assert {one.rule for one in running.reasons if one.level is Level.UNKNOWN} == {"running", "test not run"}


def _fields(one: Results) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__slots__}
