"""The pipe cleaner's snapshot and what is said of a run, as values."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kcibot.core import ports
from kcibot.core.ports import Build, BuildRef, BuildResult, KernelResult, RevisionStatus
from kcibot_commands.pipecleaner_follow import Following, Seen, failed, progress
from kcibot_commands.pipecleaner_results import history_rows
from kcibot_commands.pipecleaner_snapshot import as_json, boards, from_json, kernels, mails, snapshot_digest
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
BOARDS = st.builds(BoardResult, WORDS, WORDS, WORDS, st.integers(0, 99), st.integers(0, 99))
MAILS = st.builds(Mail, WORDS, st.sampled_from(MailState), WORDS)
RESULTS = st.builds(
    Results,
    WORDS,
    WORDS,
    st.sampled_from(Ended),
    st.lists(KERNELS, max_size=4).map(tuple),
    st.lists(BOARDS, max_size=4).map(tuple),
    st.lists(MAILS, max_size=2).map(tuple),
    st.lists(WORDS, max_size=2).map(tuple),
)


@given(RESULTS)
def test_a_baseline_is_read_back_as_it_was_kept(results: Results) -> None:
    assert from_json(as_json(results)) == results


def test_what_is_no_snapshot_is_none() -> None:
    assert from_json(None) is None
    assert from_json({"kernel": "v5.10"}) is None
    assert from_json({**as_json(SMALL), "tests": [[1]]}) is None


SMALL = Results("v5.10.80", "5.10", Ended.COMPLETE, (Kernel(KernelKey("arm", "defconfig", "gcc-8"), (Status.PASS,)),))


def test_the_digest_names_the_snapshot() -> None:
    assert snapshot_digest(SMALL) == snapshot_digest(replace(SMALL))
    assert snapshot_digest(SMALL) != snapshot_digest(replace(SMALL, ended=Ended.STOPPED))


def test_failures_before_a_retry_count_as_attempts() -> None:
    found = kernels([KernelResult("arm", "defconfig", "gcc-8", "PASS")], {"arm defconfig gcc-8": 1})
    assert found[0].attempts == (Status.FAIL, Status.PASS)
    assert (found[0].status, found[0].failures) == (Status.PASS, 1)


def test_one_kernel_is_one_row_and_its_last_result_counts() -> None:
    twice = [KernelResult("arm", "defconfig", "gcc-8", status) for status in ("FAIL", "PASS")]
    assert [one.status for one in kernels(twice, {})] == [Status.PASS]


def test_only_mails_that_the_backend_has_a_word_of_are_in_the_snapshot() -> None:
    assert mails({"build": "SENT", "boot": "ERROR", "test": "SENT"}) == (
        Mail("boot", MailState.ERROR),
        Mail("build", MailState.SEEN),
    )
    assert boards([ports.TestResult("lab", "board", "igt", 3, 1)]) == (BoardResult("lab", "board", "igt", 3, 1),)


# ---- one look --------------------------------------------------------------------------------------------------

BEGAN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TRIGGER = Build(BuildRef("trigger", 5), True, None, BEGAN, 0, 1, {"BUILD_CONFIG": "kernelci"}, None, "http://ci/5/")


def kernel_build(number: int, result: BuildResult | None) -> Build:
    given = {"ARCH": "arm", "DEFCONFIG": f"config-{number}", "BUILD_ENVIRONMENT": "gcc-8"}
    ref = BuildRef("kernel-build", number)
    return Build(ref, result is None, result, BEGAN, 60, number, given, TRIGGER.ref, f"http://ci/{number}/")


def seen(ended: int, running: int, *, bad: int = 0) -> Seen:
    results = [BuildResult.FAILURE if n < bad else BuildResult.SUCCESS for n in range(ended)]
    builds = [kernel_build(n, result) for n, result in enumerate([*results, *([None] * running)])]
    return Seen(TRIGGER, tuple(builds), 0, RevisionStatus.BUILD, ())


def test_progress_tells_how_many_which_failed_and_how_long_it_may_take() -> None:
    text = progress(seen(30, 10, bad=1), Following(total=40), BEGAN + timedelta(minutes=30))
    assert text == "30/40 kernels, 1 failed (arm config-0 gcc-8), about 10 min left"


def test_many_failures_are_counted_and_not_listed() -> None:
    text = progress(seen(30, 10, bad=9), Following(total=40), BEGAN + timedelta(minutes=30))
    assert text == "30/40 kernels, 9 failed, about 10 min left"


def test_when_all_is_built_the_results_api_is_what_is_waited_for() -> None:
    one = replace(seen(40, 0), trigger=replace(TRIGGER, building=False, result=BuildResult.SUCCESS))
    assert progress(one, Following(total=40), BEGAN) == "40/40 kernels, all built; the results API still says BUILD"
    assert not one.complete
    assert replace(one, status=RevisionStatus.FAIL).complete


def test_a_kernel_that_the_api_calls_failed_is_failed_whatever_jenkins_says() -> None:
    api = (KernelResult("arm", "config-3", "gcc-8", "FAIL"),)
    assert [one.number for one in failed(replace(seen(5, 0), kernels=api))] == [3]


def test_what_a_wait_keeps_is_read_back() -> None:
    state = Following(attempt=1, rebuild=True, trigger=7, kernel="v5.10", told=(3, 4), tests=12, tests_at="x")
    assert Following.read(state.json) == state
    assert Following.read(None) == Following()
    assert Following.read({"gone": 1}) == Following()


def test_history_is_listed_newest_first() -> None:
    rows = {
        "1": {"at": "2026-11-16T10:00:00+00:00", "revision": "old", "verdict": "pass", "accepted": True},
        "2": {"at": "2026-11-23T10:00:00+00:00", "revision": "new", "verdict": "fail"},
    }
    assert [row.split(" UTC ")[1][:3] for row in history_rows(rows, 5)] == ["new", "old"]
    assert "pass and accepted" in history_rows(rows, 5)[1]
    assert len(history_rows(rows, 1)) == 1
