"""The verdict on a pipe cleaner: one test per row of the table of cases, at the real size."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcibot_commands.rules.results import (
    BoardResult,
    Ended,
    Kernel,
    KernelKey,
    Mail,
    MailState,
    Results,
    Row,
    Status,
    table,
)
from kcibot_commands.rules.verdict import Kind, judge
from kcibot_commands.rules.verdict_reasons import Level, Thresholds

ARCHS = ("arc", "arm", "arm64", "i386", "mips", "riscv", "x86_64")
PASS, FAIL, UNKNOWN = Status.PASS, Status.FAIL, Status.UNKNOWN
KEYS = tuple(
    KernelKey(ARCHS[n % 7], f"config{n // 7}", "clang-8" if n % 7 == 2 and n < 70 else "gcc-8") for n in range(220)
)
LABS = tuple(f"lab-{n}" for n in range(10))
BOARDS = tuple((lab, f"board-{n}") for lab in LABS for n in range(3))
BASELINE = Results(
    kernel="v5.0.4",
    series="5.0",
    ended=Ended.COMPLETE,
    kernels=tuple(Kernel(key, (PASS,), warnings=1) for key in KEYS),
    tests=tuple(BoardResult(lab, device, plan, 10, 0) for lab, device in BOARDS for plan in ("baseline", "igt")),
    mails=(Mail("build", MailState.SEEN), Mail("boot", MailState.SEEN), Mail("test", MailState.SEEN, "igt")),
)
SAME = replace(BASELINE, kernel="v5.0.5")


def with_kernels(results, **attempts):
    """Other attempts of some kernels, by their number: k7=(FAIL, PASS); None takes the kernel out."""
    changes = {KEYS[int(name[1:])]: value for name, value in attempts.items()}
    kernels = [
        replace(kernel, attempts=changes.get(kernel.key, kernel.attempts))
        for kernel in results.kernels
        if changes.get(kernel.key, ()) is not None
    ]
    return replace(results, kernels=tuple(kernels))


def failing(results, chosen, attempts=(FAIL, FAIL)):
    kernels = (replace(one, attempts=attempts) if chosen(one.key) else one for one in results.kernels)
    return replace(results, kernels=tuple(kernels))


def with_tests(results, change):
    """Each test's result through a function that gives another one, or None to take it out."""
    return replace(results, tests=tuple(new for test in results.tests if (new := change(test)) is not None))


def without_labs(count):
    return with_tests(SAME, lambda test: None if test.lab in LABS[:count] else test)


def broken(*boards, test="igt"):
    """That test failing on those boards."""
    return with_tests(
        SAME,
        lambda one: replace(one, passed=9, failed=1) if one.test == test and (one.lab, one.device) in boards else one,
    )


def with_mail(kind, state, plan=""):
    return replace(SAME, mails=(*(mail for mail in SAME.mails if mail.kind != kind), Mail(kind, state, plan)))


def with_rate(passed_of_ten):
    """Failures spread so that no test fails on a board on which it passed before."""
    unstable = with_tests(BASELINE, lambda test: replace(test, passed=98, failed=2))
    return unstable, with_tests(SAME, lambda test: replace(test, passed=passed_of_ten, failed=100 - passed_of_ten))


ONE_TEST_ON_ALL = broken(*BOARDS)

CASES = [
    ("all built and passed, all labs, same rate", SAME, Kind.PASS, None),
    ("a kernel that passed fails twice", with_kernels(SAME, k5=(FAIL, FAIL)), Kind.FAIL, "build regression"),
    ("a kernel fails once and passes on retry", with_kernels(SAME, k5=(FAIL, PASS)), Kind.PASS, "flaky"),
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
    ("the results API is unreachable", replace(SAME, unreachable=("results API",)), Kind.UNKNOWN, "unreachable"),
    ("Jenkins is unreachable", replace(SAME, unreachable=("Jenkins",)), Kind.UNKNOWN, "unreachable"),
    ("the run has not ended", replace(SAME, ended=Ended.RUNNING), Kind.UNKNOWN, "running"),
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
    assert judge(alone, BASELINE).kind is Kind.WARN


def test_a_test_that_failed_before_is_no_regression():
    before = with_tests(BASELINE, lambda one: replace(one, passed=9, failed=1) if one.test == "igt" else one)
    assert judge(ONE_TEST_ON_ALL, before).kind is Kind.PASS


def test_another_series_compares_rates_only_and_says_so():
    other = replace(with_kernels(SAME, k5=(FAIL, FAIL), k9=None), series="5.1", kernel="v5.1.1")
    verdict = judge(other, BASELINE)
    assert verdict.kind is Kind.PASS
    assert verdict.texts(Level.NOTE) == ("the baseline v5.0.4 is of another series: only rates are compared",)
    worse = replace(failing(SAME, lambda key: key.defconfig in ("config1", "config2")), series="5.1")
    assert judge(worse, BASELINE).kind is Kind.WARN
    fewer = replace(SAME, series="5.1", kernels=SAME.kernels[:150])
    assert judge(fewer, BASELINE).kind is Kind.WARN
    broken_arch = replace(failing(SAME, lambda key: key.arch == "mips"), series="5.1")
    assert judge(broken_arch, BASELINE).kind is Kind.FAIL


def test_without_a_baseline_people_decide():
    verdict = judge(with_kernels(SAME, k5=(FAIL, FAIL)), None)
    assert verdict.kind is Kind.NONE
    assert verdict.reasons[0].rule == "no baseline"


def test_thresholds_can_be_configured():
    once = with_kernels(SAME, k5=(FAIL,))
    assert judge(once, BASELINE, Thresholds(failures=1)).kind is Kind.FAIL
    assert judge(without_labs(4), BASELINE, Thresholds(labs_missing=0.5)).kind is Kind.WARN
    before, now = with_rate(95)
    assert judge(now, before, Thresholds(rate_points=5)).kind is Kind.PASS


statuses = st.lists(st.sampled_from(Status), max_size=3).map(tuple)


@given(st.dictionaries(st.integers(0, 219), statuses, max_size=8), st.lists(st.sampled_from(["Jenkins"]), max_size=1))
def test_nothing_passes_unless_every_kernel_of_the_baseline_passed(changes, unreachable):
    now = replace(
        with_kernels(SAME, **{f"k{n}": value for n, value in changes.items()}), unreachable=tuple(unreachable)
    )
    verdict = judge(now, BASELINE)
    good = all(kernel.status is PASS for kernel in now.kernels) and not unreachable
    assert (verdict.kind is Kind.PASS) is good


def test_the_table_shows_both_sides():
    rows = table(with_kernels(SAME, k0=(FAIL,)), BASELINE)
    assert rows[0] == Row("kernel", "v5.0.4", "v5.0.5")
    assert Row("kernels", "220 of 220 passed", "219 of 220 passed") in rows
    assert Row("kernels, arc", "32 of 32 passed", "31 of 32 passed") in rows
    assert Row("labs", "10", "10") in rows
    assert table(SAME, None)[1] == Row("kernels", "-", "220 of 220 passed")
