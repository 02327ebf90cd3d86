"""The verdict on a pipe cleaner: other series, no baseline, what was not seen, and the thresholds."""

from dataclasses import replace

import pytest

from kcibot_commands.rules.results import (
    Ended,
    Kernel,
    KernelKey,
    Mail,
    MailState,
    Results,
)
from kcibot_commands.rules.verdict import Kind, judge
from kcibot_commands.rules.verdict_reasons import Level, Thresholds
from tests.fakes.verdict_results import (
    BASELINE,
    BOARDS,
    FAIL,
    LABS,
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


def test_another_series_compares_rates_only_and_says_so():
    other = replace(with_kernels(SAME, k5=(FAIL, FAIL), k9=None), series="5.1", kernel="v5.1.1")
    verdict = judge(other, BASELINE)
    assert verdict.kind is Kind.PASS
    assert verdict.texts(Level.NOTE) == (
        "1 kernel failed: riscv config0 gcc-8 (2 times)",
        "the baseline v5.0.4 is of another series: only rates are compared",
    )
    worse = replace(failing(SAME, lambda key: key.defconfig in ("config1", "config2")), series="5.1")
    assert judge(worse, BASELINE).kind is Kind.WARN
    fewer = replace(SAME, series="5.1", kernels=SAME.kernels[:150])
    assert judge(fewer, BASELINE).kind is Kind.WARN
    broken_arch = replace(failing(SAME, lambda key: key.arch == "mips"), series="5.1")
    assert judge(broken_arch, BASELINE).kind is Kind.FAIL


@pytest.mark.parametrize("nothing", [None, replace(BASELINE, kernels=())])
def test_without_a_baseline_people_decide_and_are_told_what_was_seen(nothing):
    verdict = judge(with_kernels(SAME, k5=(FAIL, FAIL)), nothing)
    assert verdict.kind is Kind.NONE
    assert [reason.rule for reason in verdict.reasons] == ["no baseline", "failing"]
    assert judge(with_mail("build", MailState.MISSING), nothing).reasons[0].rule == "reports"
    assert judge(failing(SAME, lambda key: key.arch == "mips"), nothing).reasons[0].rule == "tool chain"
    assert judge(replace(SAME, unreachable=("Jenkins",)), nothing).kind is Kind.UNKNOWN
    assert judge(replace(SAME, kernels=()), nothing).kind is Kind.UNKNOWN


def test_another_series_hides_nothing_that_is_plainly_bad():
    other = replace(SAME, series="5.1", kernel="v5.1.1")
    assert judge(replace(other, unreachable=("Jenkins",)), BASELINE).kind is Kind.UNKNOWN
    assert judge(replace(other, mails=()), BASELINE).kind is Kind.UNKNOWN
    assert judge(replace(other, tests=()), BASELINE).kind is Kind.UNKNOWN
    assert judge(replace(other, tests=()), replace(BASELINE, tests=())).kind is Kind.PASS
    assert judge(other, replace(BASELINE, tests=())).kind is Kind.PASS
    assert judge(with_kernels(other, k5=(UNKNOWN,)), BASELINE).kind is Kind.UNKNOWN
    mail = replace(other, mails=(Mail("build", MailState.MISSING), Mail("boot", SEEN)))
    assert judge(mail, BASELINE).kind is Kind.FAIL
    unknown = judge(replace(SAME, series=""), replace(BASELINE, series=""))
    assert unknown.texts(Level.NOTE) == ("the baseline v5.0.4 may be of another series: only rates are compared",)


@pytest.mark.parametrize(("kernels", "kind"), [(209, Kind.PASS), (208, Kind.WARN)])
def test_another_series_may_have_a_few_kernels_less(kernels, kind):
    assert judge(replace(SAME, series="5.1", kernels=SAME.kernels[:kernels]), BASELINE).kind is kind


@pytest.mark.parametrize(("bad", "kind"), [(4, Kind.PASS), (5, Kind.WARN)])
def test_another_series_may_pass_two_points_less(bad, kind):
    spread = {f"k{n}": (FAIL, FAIL) for n in range(0, 30 * bad, 30)}
    assert judge(replace(with_kernels(SAME, **spread), series="5.1"), BASELINE).kind is kind


def test_a_tool_chain_is_suspected_on_first_failures_of_two_kernels_or_more():
    def of(arch, *attempts):
        return tuple(Kernel(KernelKey(arch, f"config{n}", "gcc-8"), one) for n, one in enumerate(attempts))

    before = replace(BASELINE, kernels=(*BASELINE.kernels, *of("sparc", (PASS,), (PASS,), (PASS,))))

    def rules(*attempts):
        verdict = judge(replace(SAME, kernels=(*SAME.kernels, *of("sparc", *attempts))), before)
        return verdict.kind, {reason.rule for reason in verdict.reasons}

    assert rules((FAIL,), (FAIL,), (FAIL,)) == (Kind.FAIL, {"tool chain"})
    assert rules((FAIL,), (FAIL,), (PASS,)) == (Kind.UNKNOWN, {"retry"})
    assert rules((FAIL,), (FAIL,), (UNKNOWN,)) == (Kind.UNKNOWN, {"retry", "unknown result"})
    known = replace(before, kernels=(*BASELINE.kernels, *of("sparc", (FAIL,), (FAIL,), (PASS,))))
    now = replace(SAME, kernels=(*SAME.kernels, *of("sparc", (FAIL,), (FAIL,), (FAIL,))))
    assert {reason.rule for reason in judge(now, known).reasons} == {"known", "retry"}
    more = replace(SAME, kernels=(*SAME.kernels, *of("sparc", (FAIL,), (FAIL,), (FAIL,))))
    failed = replace(before, kernels=(*BASELINE.kernels, *of("sparc", (FAIL,), (FAIL,))))
    assert {reason.rule for reason in judge(more, failed).reasons} == {"known", "retry"}
    assert judge(more, failed, Thresholds(failures=1)).kind is Kind.WARN
    alone = judge(
        replace(SAME, kernels=(*SAME.kernels, *of("sparc", (FAIL, FAIL)))),
        replace(BASELINE, kernels=(*BASELINE.kernels, *of("sparc", (PASS,)))),
    )
    assert [reason.rule for reason in alone.reasons] == ["build regression"]


def test_an_architecture_that_was_never_built_is_named_as_a_whole():
    without = replace(SAME, kernels=tuple(one for one in SAME.kernels if one.key.arch != "mips"))
    (reason,) = judge(without, BASELINE).reasons
    assert reason.rule == "incomplete"
    assert reason.text.endswith("missing: all of mips (31 kernels)")


@pytest.mark.parametrize(("number", "named"), [(1, "sparc config0 gcc-8"), (2, "all of sparc (2 kernels)")])
def test_a_single_kernel_that_was_never_built_is_named_as_itself(number, named):
    more = tuple(Kernel(KernelKey("sparc", f"config{n}", "gcc-8"), (PASS,)) for n in range(number))
    (reason,) = judge(SAME, replace(BASELINE, kernels=(*BASELINE.kernels, *more))).reasons
    assert reason.text == f"coverage: never built: {named}"


def test_new_warnings_are_compared_over_what_passed_both_times_and_named():
    (reason,) = judge(warned(23), BASELINE).reasons
    assert reason.text.startswith("243 build warnings, the baseline had 220: arc config0 gcc-8 (+1), ")
    silent = replace(BASELINE, kernels=tuple(replace(one, warnings=0) for one in BASELINE.kernels))
    assert judge(SAME, silent).kind is Kind.WARN
    assert judge(silent, silent).kind is Kind.PASS
    first = replace(SAME.kernels[0], warnings=100)
    hidden = replace(SAME, kernels=(first, *SAME.kernels[2:]))
    assert "warnings" in {reason.rule for reason in judge(hidden, BASELINE).reasons}
    fewer = tuple(replace(one, warnings=0 if n else 24) for n, one in enumerate(SAME.kernels))
    assert judge(replace(SAME, kernels=fewer), BASELINE).kind is Kind.PASS
    loud = replace(BASELINE, kernels=(replace(first, attempts=(FAIL,)), *BASELINE.kernels[1:]))
    assert "warnings" not in {reason.rule for reason in judge(replace(SAME, kernels=loud.kernels), loud).reasons}


def test_what_could_not_be_reached_is_the_first_reason_and_nothing_is_called_missing_for_it():
    nothing = Results("v5.0.5", "5.0", Ended.COMPLETE, unreachable=("results API",))
    verdict = judge(nothing, BASELINE)
    assert verdict.kind is Kind.UNKNOWN
    assert verdict.reasons[0].text == "results API did not answer at the end"
    assert verdict.reasons[0].level is Level.UNKNOWN
    assert not verdict.texts(Level.FAIL)
    assert "coverage" not in {reason.rule for reason in verdict.reasons}
    part = replace(with_kernels(SAME, k5=None), tests=(), unreachable=("Jenkins",))
    assert not judge(part, BASELINE).texts(Level.FAIL)
    assert "coverage" in {reason.rule for reason in judge(part, BASELINE).reasons}
    seen = judge(replace(ONE_TEST_ON_ALL, unreachable=("Jenkins",)), BASELINE)
    assert [reason.rule for reason in seen.reasons][:2] == ["unreachable", "test regression"]
    lab = replace(without_labs(5), unreachable=("Jenkins",))
    assert not judge(lab, BASELINE).texts(Level.FAIL)


@pytest.mark.parametrize(
    ("labs", "missing", "kind"),
    [(10, 3, Kind.WARN), (10, 4, Kind.FAIL), (3, 1, Kind.WARN), (3, 2, Kind.FAIL), (2, 1, Kind.FAIL)],
)
def test_more_than_a_third_of_the_labs_must_be_there(labs, missing, kind):
    before = with_tests(BASELINE, lambda test: test if test.lab in LABS[:labs] else None)
    now = with_tests(before, lambda test: test if test.lab not in LABS[:missing] else None)
    assert judge(now, before).kind is kind


def test_a_lab_of_which_no_case_ran_sent_no_results():
    empty = with_tests(SAME, lambda test: replace(test, passed=0) if test.lab == "lab-9" else test)
    assert {reason.rule for reason in judge(empty, BASELINE).reasons} == {"lab missing"}


def test_thresholds_can_be_configured():
    once = with_kernels(SAME, k5=(FAIL,))
    assert judge(once, BASELINE, Thresholds(failures=1)).kind is Kind.FAIL
    assert judge(without_labs(4), BASELINE, Thresholds(labs_missing=0.5)).kind is Kind.WARN
    before, now = with_rate(95)
    assert judge(now, before, Thresholds(rate_points=5)).kind is Kind.PASS
    assert judge(warned(23), BASELINE, Thresholds(warnings=0.2)).kind is Kind.PASS
    assert judge(broken(BOARDS[4]), BASELINE, Thresholds(boards=1)).kind is Kind.WARN
    once = with_tests(BASELINE, lambda one: one if one.test != "igt" or one.board == BOARDS[4] else None)
    now = with_tests(broken(BOARDS[4]), lambda one: one if one.test != "igt" or one.board == BOARDS[4] else None)
    assert judge(now, once).kind is Kind.WARN
    assert judge(now, once, Thresholds(boards=1)).kind is Kind.FAIL
    assert judge(late(208), BASELINE, Thresholds(complete=0.9)).texts(Level.FAIL)[0].startswith("coverage")
    two = failing(SAME, lambda key: key.arch == "mips", (FAIL,))
    assert judge(two, BASELINE, Thresholds(group=32)).kind is Kind.UNKNOWN


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: value} for name in ("complete", "labs_missing") for value in (-0.1, 1.1)),
        *({name: 0} for name in ("failures", "boards", "group")),
        *({name: -1} for name in ("rate_points", "warnings")),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=r"share|counted from 1|not below 0"):
        Thresholds(**wrong)
    Thresholds(complete=1, labs_missing=0, failures=1, boards=1, group=1, rate_points=0, warnings=0)


def test_a_kernel_that_is_new_and_passes_is_not_worth_a_word():
    new = Kernel(KernelKey("sparc", "defconfig", "gcc-8"), (PASS,), warnings=500)
    assert judge(replace(SAME, kernels=(*SAME.kernels, new)), BASELINE).reasons == ()


def test_warnings_of_a_kernel_that_failed_before_are_not_new():
    first = SAME.kernels[0]
    before = replace(BASELINE, kernels=(replace(first, attempts=(FAIL,), warnings=0), *BASELINE.kernels[1:]))
    now = replace(SAME, kernels=(replace(first, warnings=100), *SAME.kernels[1:]))
    assert {reason.rule for reason in judge(now, before).reasons} == {"fixed"}


def test_a_reason_is_given_once():
    running = judge(replace(SAME, ended=Ended.RUNNING), BASELINE)
    assert [reason.rule for reason in running.reasons] == ["running"]
    gone = judge(without_type("shared"), BASELINE)
    assert [reason.rule for reason in gone.reasons] == ["device missing"]


def test_labs_of_which_nothing_was_seen_are_open_while_the_run_goes_on_and_no_tests_at_all_are_so_at_its_end():
    running = judge(replace(without_labs(1), ended=Ended.RUNNING), BASELINE)
    assert "nothing was seen from lab-0 so far" in running.texts(Level.UNKNOWN)
    no_tests = judge(replace(SAME, tests=()), BASELINE, Thresholds(labs_missing=1))
    assert no_tests.kind is Kind.UNKNOWN
