"""The pipe cleaner's snapshot: what is made of the results API's answers, and how it is kept."""

import json
from dataclasses import replace
from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from kcibot.core import ports
from kcibot.core.ports import KernelResult
from kcibot_commands.pipecleaner.snapshot import as_json, boards, from_json, kernels, snapshot_digest
from kcibot_commands.rules.results import (
    BoardResult,
    Ended,
    Kernel,
    KernelKey,
    Mail,
    MailState,
    Results,
    Status,
)

WORDS = st.text("abcdefgh-_+=0123456789", min_size=1, max_size=12)
KERNELS = st.builds(
    Kernel,
    st.builds(KernelKey, WORDS, WORDS, WORDS),
    st.lists(st.sampled_from(Status), max_size=3).map(tuple),
    st.integers(0, 99),
)


@st.composite
def board_results(draw: st.DrawFn) -> BoardResult:
    cases = draw(st.lists(st.sampled_from("abcdef"), unique=True))
    passed = draw(st.integers(0, len(cases)))
    names = (tuple(sorted(cases[:passed])), tuple(sorted(cases[passed:])))
    return BoardResult(
        draw(WORDS), draw(WORDS), draw(WORDS), draw(st.integers(0, 99)), draw(st.integers(0, 99)), *names
    )


TIMES = st.one_of(st.none(), st.datetimes(timezones=st.just(UTC)))
MAILS = st.builds(Mail, WORDS, st.sampled_from(MailState), WORDS, TIMES, WORDS)
RESULTS = st.builds(
    Results,
    WORDS,
    WORDS,
    st.sampled_from(Ended),
    st.lists(KERNELS, max_size=4).map(tuple),
    st.lists(board_results(), max_size=4).map(tuple),
    st.lists(MAILS, max_size=2).map(tuple),
    st.lists(WORDS, max_size=2).map(tuple),
)


@given(RESULTS)
def test_a_snapshot_is_read_back_as_it_was_kept(results: Results) -> None:
    assert from_json(json.loads(json.dumps(as_json(results)))) == results


SMALL = Results("v5.10.80", "5.10", Ended.COMPLETE, (Kernel(KernelKey("arm", "defconfig", "gcc-8"), (Status.PASS,)),))


def test_what_is_no_snapshot_is_none() -> None:
    assert from_json(None) is None
    assert from_json({"kernel": "v5.10"}) is None
    assert from_json({**as_json(SMALL), "tests": [[1]]}) is None
    assert from_json({**as_json(SMALL), "tests": [["lab", "board", "igt", 1, 0, 7, []]]}) is None


def test_a_snapshot_of_before_cases_had_names_is_read() -> None:
    old = as_json(replace(SMALL, tests=(BoardResult("lab", "board", "igt", 3, 1),)))
    del old["cases"], old["sets"]
    old["mails"] = [["build", "seen", ""]]
    found = from_json(old)
    assert found
    assert found.tests == (BoardResult("lab", "board", "igt", 3, 1),)
    assert found.mails == (Mail("build", MailState.SEEN),)


def test_the_digest_names_the_snapshot() -> None:
    assert snapshot_digest(SMALL) == snapshot_digest(replace(SMALL))
    assert snapshot_digest(SMALL) != snapshot_digest(replace(SMALL, ended=Ended.STOPPED))
    passed, failed = (BoardResult("l", "d", "igt", 1, 1, (a,), (b,)) for a, b in (("x", "y"), ("y", "x")))
    assert snapshot_digest(replace(SMALL, tests=(passed,))) != snapshot_digest(replace(SMALL, tests=(failed,)))


def full_size(*, alike: bool) -> Results:
    """220 kernels, 10 labs with 5 boards each, 4 plans of 50 cases; boards that are alike ran the same cases."""
    keys = (KernelKey(f"arch-{n % 7}", f"some_long_defconfig+CONFIG_NUMBER_{n}=y", "gcc-10") for n in range(220))
    tests = []
    for number in range(10 * 5 * 4):
        lab, device, plan = number // 20, number // 4 % 5, number % 4
        cases = [f"plan-{plan}.some-subtest-of-it-{n:02d}" for n in range(50) if alike or (n + number) % 50]
        failed = tuple(cases[number % 40 : number % 40 + 2])
        passed = tuple(case for case in cases if case not in failed)
        row = (f"lab-number-{lab}", f"some-device-type-{device}", f"plan-{plan}", len(passed), len(failed))
        tests.append(BoardResult(*row, passed, failed))
    return Results("v5.10", "5.10", Ended.COMPLETE, tuple(Kernel(key, (Status.PASS,)) for key in keys), tuple(tests))


def test_a_snapshot_of_ten_thousand_test_cases_stays_small() -> None:
    """Each name is there once, and each set of cases that ran together."""
    same, different = full_size(alike=True), full_size(alike=False)
    assert sum(len(one.passed_cases) + len(one.failed_cases) for one in same.tests) == 10_000
    assert len(json.dumps(as_json(same))) < 45_000
    assert len(json.dumps(as_json(different))) < 65_000
    assert from_json(as_json(different)) == different


def test_failures_before_a_retry_count_as_attempts() -> None:
    found = kernels([KernelResult("arm", "defconfig", "gcc-8", "PASS")], {"arm defconfig gcc-8": 1})
    assert found[0].attempts == (Status.FAIL, Status.PASS)
    assert (found[0].status, found[0].failures) == (Status.PASS, 1)


def test_one_kernel_is_one_row_and_its_last_result_counts() -> None:
    twice = [KernelResult("arm", "defconfig", "gcc-8", status, warnings=len(status)) for status in ("UNKNOWN", "PASS")]
    assert [(one.status, one.warnings) for one in kernels(twice, {})] == [(Status.PASS, 4)]


def test_a_case_that_passed_and_failed_on_a_board_has_failed_there() -> None:
    found = boards([ports.TestResult("lab", "board", "igt", 3, 1, ("c", "b", "a"), ("b",))])
    assert found == (BoardResult("lab", "board", "igt", 3, 1, ("a", "c"), ("b",)),)
