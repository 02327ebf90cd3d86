"""What a pipe cleaner is compared with, what is proposed, and what is said: over the real adapter."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.run import StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot_commands.rules.results import Ended
from kcibot_commands.rules.verdict import Kind
from tests.fakes.judging_bench import CASES, KERNELS, LABS, Judging, judging


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Judging]:
    with judging(tmp_path) as made:
        yield made


def unreachable(there: Judging, path: str) -> None:
    there.api.faults.add(Fault(FaultKind.STATUS, path, times=1000, status=502))


# ---- the baseline ----------------------------------------------------------------------------------------------


def test_the_last_accepted_run_of_the_series_is_the_baseline_and_the_table_says_who_accepted_it(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.79")
    there.results("v5.10.81")
    found = there.compared(there.judge("v5.10.81"))
    assert (found.verdict.kind, found.baseline) == (Kind.PASS, "v5.10.80")
    assert "beside v5.10.80 (accepted 23 Nov 2026 by manager-1)" in there.shown()


def test_without_one_the_nearest_run_of_the_series_is_and_the_table_says_that_nobody_accepted_it(
    there: Judging,
) -> None:
    there.results("v5.10.79-1-gabc")
    there.bench.clock.forward(timedelta(days=7))
    there.results("v5.10.80-1-gdef")
    there.results("v5.11.1-1-gdef")
    there.results("v5.10.82", done=False)
    there.results("v5.10.81")
    found = there.compared(there.judge("v5.10.81"))
    assert (found.verdict.kind, found.baseline) == (Kind.PASS, "v5.10.80-1-gdef")
    assert "beside v5.10.80-1-gdef (the nearest run of 5.10, never accepted)" in there.shown()


def test_a_name_that_tells_no_series_is_known_from_the_bots_own_record(there: Judging) -> None:
    there.results("kernelci-20261101.0")
    there.results("kernelci-20261108.0")
    assert there.compared(there.judge("kernelci-20261101.0")).verdict.kind is Kind.NONE
    number = there.judge("kernelci-20261108.0")
    assert there.compared(number).baseline == "kernelci-20261101.0"


def test_a_run_that_was_judged_bad_is_the_nearest_only_if_it_was_accepted(there: Judging) -> None:
    there.results("v5.10.78")
    there.bench.clock.forward(timedelta(days=1))
    there.results("v5.10.79", {"arm tiny": "gone"})
    there.results("v5.10.80")
    assert there.compared(there.judge("v5.10.79")).verdict.kind is Kind.FAIL
    assert there.compared(there.judge("v5.10.80")).baseline == "v5.10.78"


def test_of_another_series_only_rates_are_compared_and_the_accepted_run_of_the_own_is_preferred(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.15.1", {"arm tiny": "FAIL"})
    other = there.compared(there.judge("v5.15.1", "5.15"))
    assert (other.verdict.kind, other.baseline) == (Kind.WARN, "v5.10.80")
    assert any("only rates are compared" in one.text for one in other.verdict.reasons)
    assert any("arm tiny gcc-10 (once)" in one.text for one in other.verdict.reasons)
    there.approve()
    there.bench.clock.forward(timedelta(days=7))
    there.results("v5.10.81")
    assert there.compared(there.judge("v5.10.81")).baseline == "v5.10.80"


def test_a_configured_run_is_before_one_of_another_series(tmp_path: Path) -> None:
    with judging(tmp_path, previous="good-one") as there:
        there.results("v5.15.1")
        there.judge("v5.15.1", "5.15")
        there.approve()
        there.results("good-one")
        there.results("v5.10.81")
        found = there.compared(there.judge("v5.10.81"))
        assert (found.baseline, found.why) == ("good-one", "the configured earlier run")


def test_an_accepted_run_that_is_compared_again_is_beside_the_one_before_it(there: Judging) -> None:
    there.accepted("v5.10.79")
    there.accepted("v5.10.80")
    assert there.compared(there.judge("v5.10.80")).baseline == "v5.10.79"


# ---- what could not be seen ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/test", "/build", "/report"])
def test_whatever_does_not_answer_makes_the_verdict_unknown_and_the_baseline_is_shown_all_the_same(
    there: Judging, path: str
) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81")
    unreachable(there, path)
    number = there.judge("v5.10.81")
    found = there.compared(number)
    assert (found.verdict.kind, found.baseline) == (Kind.UNKNOWN, "v5.10.80")
    assert found.verdict.reasons[0].rule == "unreachable"
    assert not found.verdict.texts(found.verdict.reasons[0].level.FAIL)
    assert "!pipecleaner compare looks again" in there.shown()


def test_what_was_seen_is_judged_though_the_rest_was_not(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81", {"arm tiny": "FAIL"})
    unreachable(there, "/test")
    found = there.compared(there.judge("v5.10.81"))
    assert (found.verdict.kind, len(found.snapshot.kernels)) == (Kind.UNKNOWN, len(KERNELS))
    assert any("arm tiny gcc-10 failed once" in one.text for one in found.verdict.reasons)


def test_once_the_api_answers_again_people_compare_again_and_the_old_question_is_void(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81")
    unreachable(there, "/test")
    number = there.judge("v5.10.81")
    (ask,) = there.bench.journal.open_asks()
    there.api.faults.clear()
    there.bench.say("operator", "!pipecleaner compare")
    there.settled(number)
    assert there.compared(number).verdict.kind is Kind.PASS
    there.bench.say("manager-1", f"!approve {ask.code}")
    assert f"no prompt has the code {ask.code}" in there.said().lower() or "no longer valid" in there.said()
    assert there.bench.run(number).step("accept").state is StepState.WAITING
    there.approve()
    assert "v5.10.81 is the baseline of 5.10" in there.bench.run(number).step("accept-results").text


def test_if_nobody_can_tell_whether_there_is_a_baseline_the_verdict_is_unknown(there: Judging) -> None:
    there.results("v5.10.81")
    unreachable(there, "/job")
    assert there.compared(there.judge("v5.10.81")).verdict.kind is Kind.UNKNOWN


def test_a_jenkins_that_was_not_seen_at_the_end_makes_it_unknown(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81", {"arm tiny": "gone"})
    found = there.compared(there.judge("v5.10.81", unreachable=("Jenkins",)))
    assert (found.verdict.kind, found.snapshot.unreachable) == (Kind.UNKNOWN, ("Jenkins",))


# ---- the cases, as the adapter brings them ---------------------------------------------------------------------


def test_a_case_that_fails_on_all_boards_is_a_regression_and_on_one_board_a_warning(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81", cases={**CASES, "case-7": "FAIL"})
    number = there.judge("v5.10.81")
    assert (there.compared(number).verdict.kind, there.rules(number)) == (Kind.FAIL, {"test regression"})
    assert "igt case-7 fails on all boards" in there.shown()
    there.bench.say("manager-1", f"!reject {there.bench.journal.open_asks()[0].code} a regression")
    there.results("v5.10.82")
    there.api.post_tests(
        "kernelci",
        "kernelci.org",
        "v5.10.82",
        LABS[0],
        f"board-of-{LABS[0]}",
        "igt",
        0,
        0,
        cases={**CASES, "case-7": "FAIL"},
    )
    number = there.judge("v5.10.82")
    assert (there.compared(number).verdict.kind, there.rules(number)) == (Kind.WARN, {"test fails"})


def test_new_warnings_are_seen(there: Judging) -> None:
    there.accepted("v5.10.80", warnings=10)
    there.results("v5.10.81", warnings=12)
    number = there.judge("v5.10.81")
    assert (there.compared(number).verdict.kind, there.rules(number)) == (Kind.WARN, {"warnings"})


def test_the_build_mail_that_is_missing_is_a_failure_and_test_mails_are_not(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81", done=False)
    there.api.revision_done("kernelci", "kernelci.org", "v5.10.81", report=False)
    number = there.judge("v5.10.81")
    assert (there.compared(number).verdict.kind, there.rules(number)) == (Kind.FAIL, {"reports"})
    assert "the build mail is missing after its delay" in there.shown()


def test_a_whole_architecture_that_fails_is_one_reason(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81", {name: "FAIL" for name in KERNELS if name.startswith("mips")})
    number = there.judge("v5.10.81")
    assert (there.compared(number).verdict.kind, there.rules(number)) == (Kind.FAIL, {"tool chain"})


def test_a_run_that_was_stopped_is_never_a_pass(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81")
    assert there.compared(there.judge("v5.10.81", ended=Ended.STOPPED)).verdict.kind is Kind.UNKNOWN


# ---- what is shown ---------------------------------------------------------------------------------------------


def test_what_differs_has_a_line_and_what_does_not_is_one_line_for_all(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81", {"arm tiny": "FAIL"}, labs=LABS[:3])
    there.judge("v5.10.81")
    lines = there.shown().splitlines()
    assert "  kernels, arm: 2 of 3 passed (was 3 of 3 passed)" in lines
    assert "  kernels as before: mips 3 of 3, x86_64 3 of 3" in lines
    assert "  tests, lab-d: 0 (was 60 of 60 passed)" in lines
    assert "  tests as before: lab-a 60 of 60, lab-b 60 of 60, lab-c 60 of 60" in lines


def test_many_failures_are_cut_and_the_record_has_them_all(there: Judging) -> None:
    many = {f"arm config-{n}": "PASS" for n in range(40)}
    there.accepted("v5.10.80", many)
    there.results("v5.10.81", {**many, **dict.fromkeys(list(many)[:30], "FAIL")})
    number = there.judge("v5.10.81")
    lines = there.shown().splitlines()
    assert sum("failed once and was not tried again" in line for line in lines) == 5 + 1  # the proposal, too
    assert "  unknown: and 25 more (retry)" in lines
    assert sum(one.rule == "retry" for one in there.compared(number).verdict.reasons) == 30
    assert all(len(line) < 700 for line in lines)
    assert len(lines) < 40


def test_the_question_is_about_the_snapshot_by_its_digest_and_offers_what_else_can_be_done(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81", {"arm tiny": "FAIL", "mips tiny": "FAIL"})
    number = there.judge("v5.10.81")
    (ask,) = there.bench.journal.open_asks()
    found = there.compared(number)
    assert ask.facts["accept"] == {"snapshot": found.digest, "verdict": "unknown", "against": "unknown"}
    assert len(str(ask.facts)) < 300
    shown = there.shown()
    assert "!pipecleaner retry failed | retry arm | retry mips | retry all builds again" in shown
    for verb in ("!pipecleaner compare", "!release amend", "!hold REASON", "!reject CODE REASON", "!release rollback"):
        assert verb in shown
    assert "To accept goes against this proposal" in shown
