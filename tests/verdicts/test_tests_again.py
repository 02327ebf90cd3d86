"""A kernel that passed only when it was built again is tested then, as the trigger would have tested it."""

from pathlib import Path

from kcibot.sandbox.jenkins.model import Job
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.settings import Faults, production
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands.rules.verdict import Kind
from tests.fakes.kernelci_memory import parameters
from tests.fakes.sandbox_bench import sandbox
from tests.verdicts.play import SMALL, bot, driven
from tests.verdicts.scenarios import TESTED_KERNEL, Scenario

ARCH, DEFCONFIG, _ = TESTED_KERNEL.split()
FLAKY = Faults(fails_once=(TESTED_KERNEL,), labs=("lab-drue",))


def job(world: Sandbox, name: str) -> Job:
    found = world.jenkins.world.jobs.find(name)
    assert found
    return found


def test_its_test_run_is_started_once_for_the_build_that_passed_in_all_labs_that_answer(tmp_path: Path) -> None:
    scenario = Scenario("flaky", Kind.WARN, faults=FLAKY)
    with sandbox(tmp_path, production(SMALL, faults=FLAKY)) as world:
        driven(world, bot(world, scenario), scenario)
        built = [
            number
            for number, run in job(world, kci.KERNEL_BUILD).runs.items()
            if (parameters(run)["ARCH"], parameters(run)["DEFCONFIG"]) == (ARCH, DEFCONFIG)
            and parameters(run)["BUILD_ENVIRONMENT"] == "gcc-8"
            and parameters(run)["BUILD_CONFIG"] == "kernelci"
        ]
        tested = [parameters(run) for run in job(world, kci.TEST_RUNNER).runs.values()]
        (mine,) = [one for one in tested if int(one["BUILD_JOB_NUMBER"]) in built]
        assert len(built) == 2
        assert mine["BUILD_JOB_NUMBER"] == str(built[-1])
        assert mine["TRIGGER_JOB_NUMBER"] == tested[0]["TRIGGER_JOB_NUMBER"]
        assert set(mine["LABS"].split()) == set(world.labs) - {"lab-drue"}


def test_what_cannot_be_started_is_said_and_shows_as_labs_without_results(tmp_path: Path) -> None:
    def disable(world: Sandbox) -> None:
        with world.jenkins.loop.lock:
            world.jenkins.world.set_disabled(job(world, kci.TEST_RUNNER), disabled=True)

    scenario = Scenario("flaky", Kind.WARN, faults=FLAKY, after_builds=disable)
    with sandbox(tmp_path, production(SMALL, faults=FLAKY)) as world:
        bench = bot(world, scenario)
        run = driven(world, bench, scenario)
        bench.deliver()
        said = [notice.title for notice in bench.notices.values()]
        assert f"{TESTED_KERNEL} passed when built again, and is not tested: test-runner is disabled on Jenkins" in said
        assert run.step("compare-results").text.startswith("warn")
        assert job(world, kci.TEST_RUNNER).config.disabled
