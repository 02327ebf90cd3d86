"""The verdict on a pipe cleaner: one test per row of the table of cases, at the real size."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcibot_commands.rules.results import (
    Ended,
    Kernel,
    KernelKey,
    Mail,
    MailState,
    Row,
    Status,
    table,
)
from kcibot_commands.rules.verdict import Kind, judge
from kcibot_commands.rules.verdict_reasons import Level
from tests.fakes.verdict_results import (
    BASELINE,
    BOARDS,
    FAIL,
    KEYS,
    ONE_TEST_ON_ALL,
    PASS,
    SAME,
    SEEN,
    UNKNOWN,
    broken,
    failing,
    late,
    warned,
    with_kernels,
    with_mail,
    with_rate,
    with_tests,
    without_labs,
    without_type,
)

CASES = [
    ("all built and passed, all labs, same rate", SAME, Kind.PASS, None),
    ("a kernel that passed fails twice", with_kernels(SAME, k5=(FAIL, FAIL)), Kind.FAIL, "build regression"),
    ("a kernel fails once and passes on retry", with_kernels(SAME, k5=(FAIL, PASS)), Kind.PASS, "flaky"),
    ("a kernel fails twice before it passes", with_kernels(SAME, k5=(FAIL, FAIL, PASS)), Kind.WARN, "flaky"),
    ("a kernel fails once and is not tried again", with_kernels(SAME, k5=(FAIL,)), Kind.UNKNOWN, "retry"),
    ("a kernel of the baseline was never built", with_kernels(SAME, k5=None), Kind.FAIL, "coverage"),
    ("the result of a kernel is unknown", with_kernels(SAME, k5=(UNKNOWN,)), Kind.UNKNOWN, "unknown result"),
    ("all of one architecture fail", failing(SAME, lambda key: key.arch == "mips"), Kind.FAIL, "tool chain"),
    ("all of one compiler fail", failing(SAME, lambda key: key.environment == "clang-8"), Kind.FAIL, "tool chain"),
    (
        "fewer than 95 % after the time limit",
        replace(SAME, kernels=SAME.kernels[:208], ended=Ended.TIME_LIMIT),
        Kind.FAIL,
        "incomplete",
    ),
    ("one lab is offline", without_labs(1), Kind.WARN, "lab missing"),
    ("three of ten labs are offline", without_labs(3), Kind.WARN, "lab missing"),
    ("more than a third of the labs are offline", without_labs(4), Kind.FAIL, "labs"),
    (
        "a device type is offline in one lab",
        with_tests(SAME, lambda test: None if (test.lab, test.device) == BOARDS[0] else test),
        Kind.PASS,
        "device",
    ),
    ("a test fails on all boards on which it passed", ONE_TEST_ON_ALL, Kind.FAIL, "test regression"),
    ("a test fails on one board only", broken(BOARDS[4]), Kind.WARN, "test fails"),
    (
        "more than 10 % new warnings",
        replace(SAME, kernels=tuple(replace(one, warnings=2) for one in SAME.kernels)),
        Kind.WARN,
        "warnings",
    ),
    ("the build mail is missing after its delay", with_mail("build", MailState.MISSING), Kind.FAIL, "reports"),
    ("a test mail is missing", with_mail("test", MailState.MISSING, "igt"), Kind.PASS, "reports"),
    ("the build mail could not be sent", with_mail("build", MailState.ERROR), Kind.FAIL, "reports"),
    ("the build mail is not due yet", with_mail("build", MailState.WAITING), Kind.UNKNOWN, "reports"),
    ("nobody saw whether the build mail came", with_mail("build", MailState.UNKNOWN), Kind.UNKNOWN, "reports"),
    ("nobody looked for any mail", replace(SAME, mails=()), Kind.UNKNOWN, "reports"),
    ("nobody looked for the boot mail", replace(SAME, mails=(Mail("build", SEEN),)), Kind.UNKNOWN, "reports"),
    ("the boot mail is missing after its delay", with_mail("boot", MailState.MISSING), Kind.FAIL, "reports"),
    ("a test mail could not be sent", with_mail("test", MailState.ERROR, "igt"), Kind.WARN, "reports"),
    ("a test mail is not due yet", with_mail("test", MailState.WAITING, "igt"), Kind.PASS, "reports"),
    ("nobody saw whether a test mail came", with_mail("test", MailState.UNKNOWN, "igt"), Kind.PASS, "reports"),
    ("the results API is unreachable", replace(SAME, unreachable=("results API",)), Kind.UNKNOWN, "unreachable"),
    ("Jenkins is unreachable", replace(SAME, unreachable=("Jenkins",)), Kind.UNKNOWN, "unreachable"),
    ("the run has not ended", replace(SAME, ended=Ended.RUNNING), Kind.UNKNOWN, "running"),
    ("all is there, but the time limit was reached", replace(SAME, ended=Ended.TIME_LIMIT), Kind.UNKNOWN, "time limit"),
    ("all is there, but it was cut off", replace(SAME, ended=Ended.STOPPED), Kind.UNKNOWN, "stopped"),
    ("209 of 220 kernels after the time limit", late(209), Kind.FAIL, "coverage"),
    ("208 of 220 kernels after the time limit", late(208), Kind.FAIL, "incomplete"),
    ("208 of 220 kernels when it was stopped", replace(late(208), ended=Ended.STOPPED), Kind.FAIL, "incomplete"),
    ("exactly 10 % new warnings", warned(22), Kind.PASS, None),
    ("one more than 10 % new warnings", warned(23), Kind.WARN, "warnings"),
    ("a device type is offline in every lab that had it", without_type("shared"), Kind.WARN, "device missing"),
    ("nothing was seen", replace(SAME, kernels=()), Kind.FAIL, "nothing seen"),
]


@pytest.mark.parametrize(("results", "kind", "rule"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_case_of_the_table_has_its_verdict(results, kind, rule):
    verdict = judge(results, BASELINE)
    assert verdict.kind is kind
    assert {reason.rule for reason in verdict.reasons} >= ({rule} if rule else set())
    if rule is None:
        assert verdict.reasons == ()


def test_a_kernel_that_failed_before_is_listed_as_known():
    before = with_kernels(BASELINE, k5=(FAIL, FAIL))
    verdict = judge(with_kernels(SAME, k5=(FAIL,)), before)
    assert verdict.kind is Kind.PASS
    assert verdict.texts(Level.NOTE) == (f"{KEYS[5]} fails, as in the baseline",)


def test_a_kernel_that_passes_again_is_noted():
    verdict = judge(SAME, with_kernels(BASELINE, k5=(FAIL,)))
    assert (verdict.kind, verdict.reasons[0].rule) == (Kind.PASS, "fixed")


def test_a_regression_is_named():
    verdict = judge(with_kernels(SAME, k5=(FAIL, FAIL)), BASELINE)
    assert verdict.texts(Level.FAIL) == ("build regression: riscv config0 gcc-8 failed 2 times",)


def test_a_broken_tool_chain_is_one_reason_and_not_thirty():
    verdict = judge(failing(SAME, lambda key: key.arch == "mips"), BASELINE)
    assert len(verdict.reasons) == 1
    assert "architecture mips" in verdict.reasons[0].text
    whole = judge(failing(SAME, lambda _key: True), BASELINE)
    assert [reason.text.split(" fail")[0] for reason in whole.reasons] == [
        "all 10 kernels of compiler clang-8",
        "all 210 kernels of compiler gcc-8",
    ]


def test_one_compiler_for_one_architecture_is_one_image():
    verdict = judge(failing(SAME, lambda key: (key.arch, key.environment) == ("arm64", "gcc-8")), BASELINE)
    assert "compiler and architecture gcc-8 arm64" in verdict.reasons[0].text
    assert len(verdict.reasons) == 1


def test_an_architecture_that_failed_as_a_whole_before_is_known():
    before = failing(BASELINE, lambda key: key.arch == "mips")
    verdict = judge(failing(SAME, lambda key: key.arch == "mips", (FAIL,)), before)
    assert verdict.kind is Kind.PASS
    assert {reason.rule for reason in verdict.reasons} == {"known"}


def test_a_new_kernel_that_fails_only_warns():
    new = Kernel(KernelKey("arm", "brand_new_defconfig", "gcc-8"), (FAIL, FAIL))
    verdict = judge(replace(SAME, kernels=(*SAME.kernels, new)), BASELINE)
    assert (verdict.kind, verdict.reasons[0].rule) == (Kind.WARN, "new kernel")


def test_a_failure_of_what_was_unknown_before_only_warns():
    verdict = judge(with_kernels(SAME, k5=(FAIL, FAIL)), with_kernels(BASELINE, k5=(UNKNOWN,)))
    assert (verdict.kind, verdict.reasons[0].rule) == (Kind.WARN, "unknown before")


def test_a_baseline_without_tests_asks_for_none():
    assert judge(replace(SAME, tests=()), replace(BASELINE, tests=())).kind is Kind.PASS


def test_what_is_missing_while_the_run_goes_on_is_not_yet_missing():
    verdict = judge(replace(with_kernels(SAME, k5=None), ended=Ended.RUNNING), BASELINE)
    assert verdict.kind is Kind.UNKNOWN
    assert "219 of 220 kernels so far" in " ".join(verdict.texts(Level.UNKNOWN))


def test_a_definite_failure_weighs_more_than_what_is_still_open():
    verdict = judge(with_kernels(SAME, k5=(FAIL, FAIL), k6=(FAIL,)), BASELINE)
    assert verdict.kind is Kind.FAIL
    assert [reason.level for reason in verdict.reasons] == [Level.FAIL, Level.UNKNOWN]


@pytest.mark.parametrize(("passed", "kind"), [(98, Kind.PASS), (96, Kind.PASS), (95, Kind.WARN), (100, Kind.PASS)])
def test_the_test_pass_rate_may_fall_by_two_points(passed, kind):
    before, now = with_rate(passed)
    assert judge(now, before).kind is kind


def test_no_tests_at_all_is_never_a_pass():
    verdict = judge(replace(SAME, tests=()), BASELINE)
    assert verdict.kind is Kind.FAIL
    assert {reason.rule for reason in verdict.reasons} == {"labs", "no tests"}


def test_boards_that_did_not_report_neither_save_nor_condemn_a_test():
    now = with_tests(
        broken(*BOARDS[:2]),
        lambda one: None if one.test == "igt" and (one.lab, one.device) not in BOARDS[:2] else one,
    )
    assert judge(now, BASELINE).kind is Kind.FAIL
    alone = with_tests(now, lambda one: None if one.test == "igt" and (one.lab, one.device) == BOARDS[1] else one)
    verdict = judge(alone, BASELINE)
    assert verdict.kind is Kind.UNKNOWN
    assert verdict.texts(Level.UNKNOWN) == (
        "igt fails on board-0-lab-0 in lab-0; no other board on which it passed reported",
    )


def test_a_test_that_failed_before_is_no_regression():
    before = with_tests(BASELINE, lambda one: replace(one, passed=9, failed=1) if one.test == "igt" else one)
    assert judge(ONE_TEST_ON_ALL, before).kind is Kind.PASS


statuses = st.lists(st.sampled_from(Status), max_size=3).map(tuple)


@given(st.dictionaries(st.integers(0, 219), statuses, max_size=8), st.lists(st.sampled_from(["Jenkins"]), max_size=1))
def test_nothing_passes_unless_every_kernel_of_the_baseline_passed(changes, unreachable):
    now = replace(
        with_kernels(SAME, **{f"k{n}": value for n, value in changes.items()}), unreachable=tuple(unreachable)
    )
    verdict = judge(now, BASELINE)
    good = all(kernel.status is PASS and kernel.failures < 2 for kernel in now.kernels) and not unreachable
    assert (verdict.kind is Kind.PASS) is good


def test_the_table_shows_both_sides():
    rows = table(with_kernels(SAME, k0=(FAIL,)), BASELINE)
    assert rows[0] == Row("kernel", "v5.0.4", "v5.0.5")
    assert Row("kernels", "220 of 220 passed", "219 of 220 passed") in rows
    assert Row("kernels, arc", "32 of 32 passed", "31 of 32 passed") in rows
    assert Row("labs", "10", "10") in rows
    assert Row("tests, lab-0", "80 of 80 passed", "80 of 80 passed") in rows
    assert Row("mails", "build seen, boot seen, 1 test seen", "build seen, boot seen, 1 test seen") in rows
    assert table(SAME, None)[1] == Row("kernels", "-", "220 of 220 passed")
    gone = table(without_labs(1), BASELINE)
    assert Row("tests, lab-0", "80 of 80 passed", "0") in gone
