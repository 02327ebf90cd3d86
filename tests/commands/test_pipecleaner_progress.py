"""What is said of a pipe cleaner while it builds: how far it is, by architecture, and how long it may take."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kcibot.core.ports import Build, BuildRef, BuildResult, KernelResult, QueueItem, RevisionStatus, Standing
from kcibot_commands.pipecleaner.progress import arch_lines, lab_lines, progress
from kcibot_commands.pipecleaner.record import Page, Record, merged
from kcibot_commands.pipecleaner.state import Following, Seen
from kcibot_commands.rules.results import KernelKey

BEGAN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NOW = BEGAN + timedelta(minutes=30)
TRIGGER = Build(BuildRef("trigger", 5), True, None, BEGAN, 0, 1, {"BUILD_CONFIG": "kernelci"}, None, "http://ci/5/")
IDLE = replace(TRIGGER, building=False, result=BuildResult.SUCCESS)


def given(number: int, arch: str = "arm") -> Mapping[str, str]:
    return {"ARCH": arch, "DEFCONFIG": f"config-{number}", "BUILD_ENVIRONMENT": "gcc-8"}


def kernel_build(number: int, result: BuildResult | None, arch: str = "arm") -> Build:
    ref = BuildRef("kernel-build", number)
    url = f"http://ci/{number}/"
    return Build(ref, result is None, result, BEGAN, 60, number, given(number, arch), TRIGGER.ref, url)


def record(builds: list[Build]) -> Record:
    newest = max((one.ref.number for one in builds), default=0)
    page = Page(sorted(builds, key=lambda one: -one.ref.number), len(builds) + 1, newest + 1)
    return merged(Record("kernel-build", 0), page, lambda _one: True)


def seen(ended: int, running: int, *, bad: int = 0, arch: str = "arm", status: str = "BUILD") -> Seen:
    results = [BuildResult.FAILURE if n < bad else BuildResult.SUCCESS for n in range(ended)]
    builds = [kernel_build(n, result, arch) for n, result in enumerate([*results, *([None] * running)])]
    nothing = Record("", 1)
    return Seen(TRIGGER, record(builds), nothing, nothing, standing=Standing(RevisionStatus(status)))


def test_progress_tells_how_many_which_failed_and_how_long_it_may_take() -> None:
    text = progress(seen(30, 10, bad=1), Following(total=40), NOW, {})
    assert text == "30/40 kernels (arm 30/40), 1 failed (arm config-0 gcc-8), about 10 min left"


def test_many_failures_are_counted_and_not_listed() -> None:
    text = progress(seen(30, 10, bad=9), Following(total=40), NOW, {})
    assert text == "30/40 kernels (arm 30/40), 9 failed, about 10 min left"


def test_while_nothing_is_known_no_time_is_named() -> None:
    assert progress(seen(0, 10), Following(total=10), NOW, {}) == "0/10 kernels (arm 0/10)"
    assert progress(seen(0, 0), Following(), NOW, {}) == "trigger #5 prepares the sources"


def test_how_long_these_kernels_took_before_is_known_better_than_the_pace() -> None:
    usual = {f"arm config-{number} gcc-8": 40 * 60.0 for number in range(10)}
    text = progress(seen(8, 2), Following(total=10), NOW, usual)
    assert text == "8/10 kernels (arm 8/10), about 10 min left"


def test_kernels_that_wait_come_one_after_another_where_few_run_at_a_time() -> None:
    usual = {f"arm config-{number} gcc-8": 40 * 60.0 for number in range(20)}
    waiting = tuple(QueueItem(900 + n, "kernel-build", "", BEGAN, given(n)) for n in range(10, 14))
    one = replace(seen(8, 2), queued=waiting)
    # two run, 10 min each are left, and four of 40 min wait: 180 min of work on two executors
    assert progress(one, Following(total=14), NOW, usual).endswith("about 1 h 30 min left")


def test_only_architectures_with_something_left_are_on_the_card_and_all_in_the_status() -> None:
    builds = [kernel_build(n, BuildResult.SUCCESS, "arm64") for n in range(5)]
    builds += [kernel_build(5, BuildResult.FAILURE, "mips"), kernel_build(6, None, "mips")]
    one = replace(seen(0, 0), kernels=record(builds))
    assert progress(one, Following(total=7), NOW, {}).startswith("6/7 kernels (mips 1/2), 1 failed")
    assert arch_lines(one) == ("arm64 5/5", "mips 1/2, 1 failed")


def test_when_all_is_built_the_results_api_is_what_is_waited_for() -> None:
    one = replace(seen(40, 0), trigger=IDLE)
    assert progress(one, Following(total=40), NOW, {}) == "40/40 kernels, all built; the results API still says BUILD"
    assert not one.complete
    assert replace(one, standing=Standing(RevisionStatus.FAIL)).complete
    silent = replace(one, standing=None)
    assert not silent.complete
    assert progress(silent, Following(total=40), NOW, {}).endswith("all built; the results API does not answer")


def test_a_kernel_that_the_api_calls_failed_is_failed_whatever_jenkins_says() -> None:
    api = (KernelResult("arm", "config-3", "gcc-8", "FAIL"),)
    one = replace(seen(5, 0), standing=Standing(RevisionStatus.FAIL, {"FAIL": 1}, api))
    assert [built.number for built in one.failed.values()] == [3]


def test_a_look_that_left_something_out_is_never_idle() -> None:
    one = replace(seen(5, 0), trigger=IDLE)
    assert one.idle
    assert not replace(one, kernels=replace(one.kernels, whole=False)).idle
    assert not replace(one, queued=(QueueItem(9, "kernel-build", "", BEGAN, given(7)),)).idle
    assert not replace(one, tests=record([kernel_build(1, None)])).idle


def test_a_kernel_that_is_queued_to_be_built_again_is_not_one_more() -> None:
    again = QueueItem(9, "kernel-build", "", BEGAN, given(3))
    assert replace(seen(5, 0), queued=(again,)).waiting == frozenset()
    fresh = replace(again, parameters=given(8))
    assert replace(seen(5, 0), queued=(fresh,)).waiting == {KernelKey("arm", "config-8", "gcc-8")}


def test_labs_are_told_beside_what_they_sent_in_the_baseline() -> None:
    rows = lab_lines({"lab-a": 12, "lab-c": 1}, {"lab-a": 15, "lab-b": 4})
    assert rows == ("lab-a: 12 of 15 plans", "lab-b: nothing yet", "lab-c: 1 plan")


def test_what_a_wait_keeps_is_read_back() -> None:
    state = Following(attempt=1, rebuild=True, trigger=7, kernel="v5.10", told=(3, 4), again={"3": 40})
    state = replace(state, kernels_curve=((0.0, 0), (1.5, 3)))
    assert Following.read(state.json) == state
    assert Following.read(None) == Following()
    assert Following.read({"gone": 1}) == Following()
