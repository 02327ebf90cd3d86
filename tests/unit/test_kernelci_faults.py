"""The sandbox's pipe cleaner at production's size, and each thing that can be made to go wrong with it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from kcibot.core.ports import Revision
from kcibot.core.ports.labs import DeviceStatus
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.jenkins import JenkinsStandIn
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.boards import PLANS, Board, Farm, boards, boards_of
from kcibot.sandbox.kernelci.jobs import KernelciJobs
from kcibot.sandbox.kernelci.kernels import CLANG, GCC, Kernel, kernels
from kcibot.sandbox.kernelci.settings import Faults, Settings, production
from kcibot.sandbox.kernelci.world import make_labs
from kcibot.sandbox.labs import LavaStandIn
from kcibot.services.lava.adapter import LavaLab
from tests.fakes.bench import BEGINS
from tests.fakes.kernelci_memory import Memory, forward, parameters, runs

KERNELS = 60
TEGRA = Kernel("arm", "tegra_defconfig")
EXYNOS = Kernel("arm", "exynos_defconfig")
ODROID = Board("lab-collabora", "odroid-xu3")


class World:
    """The jobs over a backend in memory, with time put forward by hand."""

    def __init__(self, jobs: KernelciJobs, clock: SandboxClock, memory: Memory) -> None:
        self.jobs, self.clock, self.memory = jobs, clock, memory

    def build(self, minutes: float = 180, **more: str) -> "World":
        self.jobs.jenkins.trigger(kci.TRIGGER, {"BUILD_CONFIG": "kernelci", **more})
        forward(self.jobs, self.clock, minutes)
        return self

    def results(self, job: str) -> list[str | None]:
        return [run.result for run in runs(self.jobs, job)]

    def kernel_build(self, kernel: Kernel) -> list[str | None]:
        """What Jenkins calls its builds."""
        given = {"ARCH": kernel.arch, "DEFCONFIG": kernel.defconfig, "BUILD_ENVIRONMENT": kernel.environment}
        found = runs(self.jobs, kci.KERNEL_BUILD)
        return [run.result for run in found if given.items() <= parameters(run).items()]

    @property
    def boards(self) -> set[Board]:
        """Those that sent results."""
        return {board for board, _plan in self.memory.tests}


@pytest.fixture
def clock(tmp_path: Path) -> SandboxClock:
    return SandboxClock.create(tmp_path / "clock.json", begins=BEGINS)


@contextmanager
def world(clock: SandboxClock, settings: Settings) -> Iterator[World]:
    memory = Memory()
    with JenkinsStandIn(clock, "bot", "token") as jenkins:
        yield World(KernelciJobs.install(jenkins, memory, settings), clock, memory)


def built(clock: SandboxClock, **faults: object) -> "Iterator[World]":
    return world(clock, production(KERNELS, faults=Faults(**faults)))  # type: ignore[arg-type,return-value]


# ---- its size --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [220, 2200])
def test_there_are_as_many_different_kernels_as_asked_for_on_seven_architectures(count: int) -> None:
    found = kernels(count, (GCC, CLANG))
    assert len(set(found)) == count
    assert {kernel.arch for kernel in found} == {"arc", "arm", "arm64", "i386", "mips", "riscv", "x86_64"}
    assert {kernel.arch for kernel in found if kernel.environment == CLANG} == {"arm", "arm64", "x86_64"}


def test_one_compiler_alone_builds_what_the_demo_always_built() -> None:
    assert kernels(24) == tuple(kernel for kernel in kernels(24) if kernel.environment == GCC)
    assert kernels(202)[-1] == Kernel("x86_64", "x86_64_defconfig+kselftest")
    assert not any("+CONFIG_SMP=n" in kernel.defconfig for kernel in kernels(202))
    assert len(set(kernels(2200))) == 2200


def test_ten_labs_have_boards_of_several_types_and_every_board_a_kernel_of_the_220() -> None:
    there = boards(Farm.TEN)
    tested = [board for kernel in kernels(220, (GCC, CLANG)) for board in boards_of(Farm.TEN, kernel)]
    assert sorted(tested) == there
    labs = Counter(board.lab for board in there)
    assert len(labs) == 10
    assert min(labs.values()) >= 2


def test_production_is_built_and_tested_everywhere(clock: SandboxClock) -> None:
    with world(clock, production()) as there:
        there.build()
        assert there.results(kci.TRIGGER) == ["SUCCESS"]
        assert Counter(there.memory.kernels.values()) == {"PASS": 220}
        assert there.boards == set(boards(Farm.TEN))
        assert len(there.memory.tests) == len(there.boards) * len(PLANS)
        assert {status for one in there.memory.tests.values() for status in one.values()} == {"PASS"}
        assert any(there.memory.warnings.values())


# ---- who starts what -------------------------------------------------------------------------------------------


def test_tests_are_started_by_the_trigger_for_kernels_with_boards_only(clock: SandboxClock) -> None:
    with built(clock, labs=("lab-baylibre",)) as there:
        there.build()
        (trigger,) = runs(there.jobs, kci.TRIGGER)
        numbers = {run.number: run for run in runs(there.jobs, kci.KERNEL_BUILD)}
        tested = {}
        for run in runs(there.jobs, kci.TEST_RUNNER):
            assert run.causes[0].text == f'Started by upstream project "{kci.TRIGGER}" build number {trigger.number}'
            given = parameters(run)
            assert (given["TRIGGER_JOB_NAME"], given["TRIGGER_JOB_NUMBER"]) == (kci.TRIGGER, str(trigger.number))
            assert given["BUILD_JOB_NAME"] == kci.KERNEL_BUILD
            tested[parameters(numbers[int(given["BUILD_JOB_NUMBER"])])["DEFCONFIG"]] = given["LABS"].split()
        assert tested["exynos_defconfig"] == ["lab-collabora"]
        assert "lab-baylibre" not in tested["multi_v7_defconfig"]
        assert "tegra_defconfig" not in tested


def test_kernel_builds_know_their_tree_or_as_since_may_2019_their_build_config_alone(clock: SandboxClock) -> None:
    for told in (True, False):
        with world(clock, replace(production(KERNELS), told_tree=told)) as there:
            there.build()
            given = parameters(runs(there.jobs, kci.KERNEL_BUILD)[0])
            assert (given["TREE_NAME"], given["BRANCH"]) == (("kernelci", "kernelci.org") if told else ("", ""))
            assert given["GIT_DESCRIBE"] == "v5.15-aaaa"
            assert given["BUILD_CONFIG"] == "kernelci"
            assert len(there.memory.kernels) == KERNELS
            assert there.memory.done == [(Revision("kernelci", "kernelci.org", "v5.15-aaaa"), frozenset())]


# ---- kernels ---------------------------------------------------------------------------------------------------


def test_a_kernel_that_fails_always_fails_again_and_is_not_tested(clock: SandboxClock) -> None:
    with built(clock, fails=(str(EXYNOS),)) as there:
        there.build().build(ALLOW_REBUILD="true")
        assert there.kernel_build(EXYNOS) == ["FAILURE", "FAILURE"]
        assert [str(one) for one, status in there.memory.kernels.items() if status == "FAIL"] == [str(EXYNOS)]
        assert there.results(kci.TRIGGER) == ["SUCCESS", "SUCCESS"]
        assert ODROID not in there.boards


def test_a_kernel_that_fails_once_passes_when_it_is_built_again(clock: SandboxClock) -> None:
    with built(clock, fails_once=(str(EXYNOS),)) as there:
        there.build()
        assert there.memory.kernels[EXYNOS] == "FAIL"
        (failed,) = [run for run in runs(there.jobs, kci.KERNEL_BUILD) if run.result == "FAILURE"]
        there.jobs.jenkins.trigger(kci.KERNEL_BUILD, parameters(failed))
        forward(there.jobs, clock, 60)
        assert there.memory.kernels[EXYNOS] == "PASS"
        assert there.kernel_build(EXYNOS) == ["FAILURE", "SUCCESS"]


def test_jenkins_may_call_a_failed_kernel_success(clock: SandboxClock) -> None:
    with built(clock, fails=("arm *_defconfig gcc-8",), unnoticed=(str(EXYNOS),)) as there:
        there.build()
        assert (there.memory.kernels[EXYNOS], there.kernel_build(EXYNOS)) == ("FAIL", ["SUCCESS"])
        assert (there.memory.kernels[TEGRA], there.kernel_build(TEGRA)) == ("FAIL", ["FAILURE"])
        assert not there.boards


def test_a_kernel_that_was_never_started_is_known_to_nobody(clock: SandboxClock) -> None:
    with built(clock, unbuilt=(str(TEGRA),)) as there:
        there.build()
        assert there.kernel_build(TEGRA) == []
        assert TEGRA not in there.memory.kernels
        assert len(there.memory.kernels) == KERNELS - 1


def test_an_architecture_or_a_compiler_fails_as_a_whole(clock: SandboxClock) -> None:
    with built(clock, fails=("mips *", f"* {CLANG}")) as there:
        there.build()
        failing = {kernel for kernel, status in there.memory.kernels.items() if status == "FAIL"}
        assert failing == {one for one in there.memory.kernels if one.arch == "mips" or one.environment == CLANG}


def test_a_kernel_that_hangs_keeps_the_trigger_from_ending(clock: SandboxClock) -> None:
    with built(clock, hangs=(str(TEGRA),)) as there:
        there.build(60 * 24)
        assert there.results(kci.TRIGGER) == [None]
        assert there.kernel_build(TEGRA) == [None]
        assert len(there.memory.kernels) == KERNELS - 1
        assert not there.memory.done
        assert ODROID in there.boards


def test_more_warnings_are_a_share_of_the_usual_ones(clock: SandboxClock) -> None:
    totals = []
    for share in (0.0, 0.25):
        with built(clock, warnings=share) as there:
            totals.append(sum(there.build().memory.warnings.values()))
    assert totals[1] == 1.25 * totals[0] > 0


# ---- labs, tests, mails ----------------------------------------------------------------------------------------


def test_nothing_comes_from_a_lab_or_a_board_that_is_offline(clock: SandboxClock) -> None:
    with built(clock, labs=("lab-pengutronix",), boards=(str(ODROID),)) as there:
        there.build()
        expected = {board for kernel in there.memory.kernels for board in boards_of(Farm.TEN, kernel)}
        silent = {board for board in expected if board.lab == "lab-pengutronix"} | {ODROID}
        assert there.boards == expected - silent
        asked = {Board(lab, device) for lab, device, _ in there.memory.submitted}
        assert ODROID in asked
        assert "lab-pengutronix" not in {board.lab for board in asked}


@pytest.mark.parametrize(("where", "boards_hit"), [("* igt kms_vblank", "all"), (f"{ODROID} igt kms_vblank", "one")])
def test_a_case_fails_on_all_boards_or_on_one(clock: SandboxClock, where: str, boards_hit: str) -> None:
    with built(clock, cases=(where,)) as there:
        there.build()
        failing = {
            (board, plan, case)
            for (board, plan), statuses in there.memory.tests.items()
            for case, status in statuses.items()
            if status == "FAIL"
        }
        wanted = there.boards if boards_hit == "all" else {ODROID}
        assert failing == {(board, "igt", "kms_vblank") for board in wanted}


def test_lost_mails_are_named_to_the_backend(clock: SandboxClock) -> None:
    with built(clock, mails=frozenset({"build", "igt"})) as there:
        ((_revision, lost),) = there.build().memory.done
        assert lost == {"build", "igt"}


def test_the_earlier_run_has_faults_of_its_own(clock: SandboxClock) -> None:
    settings = production(
        KERNELS,
        faults=Faults(fails=(str(TEGRA),), unbuilt=("mips *",), boards=(str(ODROID),), warnings=1.0),
        past=Faults(fails=("riscv *",), labs=("lab-mhart",), mails=frozenset({"build"})),
    )
    with world(clock, settings) as there:
        there.jobs.past_run(Revision("kernelci", "kernelci.org", "v5.15-0000"))
        found = there.memory.kernels
        assert {kernel.arch for kernel, status in found.items() if status == "FAIL"} == {"riscv"}
        assert len(found) == KERNELS
        assert ODROID in there.boards
        assert "lab-mhart" not in {board.lab for board in there.boards}
        assert there.memory.done[0][1] == {"build"}
        usual: Mapping[Kernel, int] = dict(there.memory.warnings)
        there.build()
        assert all(there.memory.warnings[one] == 2 * usual[one] for one in found if one.arch != "mips")


# ---- the labs' own answers -------------------------------------------------------------------------------------


def test_a_job_for_boards_that_are_all_offline_waits_on(clock: SandboxClock) -> None:
    lab = LavaStandIn("lab-collabora", "kernel-ci", "token", clock)
    lab.add_device("odroid-xu3-01", "odroid-xu3", DeviceStatus.OFFLINE)
    lab.add_device("panda-01", "panda", DeviceStatus.OFFLINE)
    lab.add_device("panda-02", "panda")
    for device in ("odroid-xu3", "panda", "elsewhere"):
        lab.submit("baseline", device)
    clock.advance(timedelta(days=1))
    with lab:
        adapter = LavaLab("lab-collabora", lab.url, "kernel-ci", lambda: "token", "rest")
        assert [job.device_type for job in adapter.open_jobs()] == ["odroid-xu3"]


def test_a_lab_that_is_offline_answers_nobody_and_the_others_show_their_boards(clock: SandboxClock) -> None:
    labs = make_labs(clock, production(faults=Faults(labs=("lab-drue",), boards=(str(ODROID),))))
    assert set(labs) == {board.lab for board in boards(Farm.TEN)}
    with labs["lab-drue"] as silent, labs["lab-collabora"] as lab:
        assert requests.get(f"{silent.url}/api/v0.2/devices/", timeout=5).status_code == 502
        rows = requests.get(f"{lab.url}/api/v0.2/devices/", timeout=5).json()["results"]
        assert {row["device_type"] for row in rows if row["health"] == "Maintenance"} == {"odroid-xu3"}
