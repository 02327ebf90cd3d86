"""Root file systems on Jenkins as it was: 2021, when it made the version, and 2019, when each name had its own job."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from kcibot.core.run import RunState, StepState
from kcibot.errors import OutcomeUnknown
from kcibot.sandbox.jenkins import RunningBuild, Sleep, Steps, WaitFor
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.definitions import Parameter, pipeline_xml
from kcibot.sandbox.kernelci.world import Sandbox
from tests.fakes.kernelci_bench import Followed
from tests.fakes.rootfs_bench import FILE, approve, bot, build, builds_of, built, git, push_to, shown, text_at
from tests.fakes.sandbox_bench import sandbox, sandbox_ports

VERSION = "20261123.7"
TEXT_2019 = """\
file_system_types:
  debian:
    url: 'http://storage.kernelci.org/images/rootfs/debian'
file_systems:
  debian_stretch_nfs:
    type: debian
    ramdisk: 'stretch/20190322.1/{arch}/initrd.cpio.gz'
    nfs: 'stretch/20190322.1/{arch}/full.rootfs.tar.xz'
    root_type: nfs
  debian_stretch-igt_ramdisk:
    type: debian
    ramdisk: 'stretch-igt/20190322.0/{arch}/rootfs.cpio.gz'
"""
ARCHS_2019 = {"stretch": ("armhf", "amd64"), "stretch-igt": ("armhf", "arm64")}
JOBS = {name: name for name in ARCHS_2019}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path) as made:
        yield made


# ---- 2021 ------------------------------------------------------------------------------------------------------


def trigger_of_2021(build: RunningBuild) -> Steps:
    """Makes the version itself, and tells it to its children only."""
    name = build.parameters["ROOTFS_CONFIG"]
    yield Sleep(30)
    wanted = [
        {"ROOTFS_CONFIG": name, "ROOTFS_ARCH": arch, "PIPELINE_VERSION": VERSION}
        for arch in kci.ROOTFS_ARCHITECTURES[name]
    ]
    yield WaitFor([build.trigger(kci.ROOTFS_BUILDER, parameters) for parameters in wanted])
    return "SUCCESS"


def as_in_2021(world: Sandbox) -> None:
    parameters = [Parameter("ROOTFS_CONFIG"), Parameter("ROOTFS_ARCH")]
    world.jenkins.create_job(kci.ROOTFS_TRIGGER, pipeline_xml("Builds root file systems", parameters), trigger_of_2021)


def test_a_trigger_without_a_version_parameter_is_followed_by_its_number(world: Sandbox) -> None:
    as_in_2021(world)
    bench = bot(world)
    run = build(bench, "buster-ltp buster-v4l2")
    assert run.step("build-rootfs").text == f"6 of 6 built as {VERSION}"
    assert builds_of(world, kci.ROOTFS_TRIGGER) == 2
    assert approve(bench).state is RunState.SUCCEEDED
    assert f"buster-ltp/{VERSION}" in text_at(world, "main")


def test_a_start_of_2021_whose_answer_was_lost_is_found_and_not_made_twice(world: Sandbox) -> None:
    as_in_2021(world)

    def lost() -> None:
        raise OutcomeUnknown("the answer was lost")

    ports = sandbox_ports(world)
    bench = bot(world, ports=replace(ports, ci=Followed(ports.ci, "trigger", lost)))
    assert build(bench, "buster-ltp").step("build-rootfs").text == f"3 of 3 built as {VERSION}"
    assert builds_of(world, kci.ROOTFS_TRIGGER) == 1


def test_a_trigger_that_is_disabled_is_not_enabled_behind_peoples_backs(world: Sandbox) -> None:
    as_in_2021(world)
    sandbox_ports(world).ci.disable(kci.ROOTFS_TRIGGER)
    run = build(bot(world), "buster-ltp")
    assert run.step("build-rootfs").state is StepState.FAILED
    assert "is disabled: somebody must enable it first" in run.step("build-rootfs").text


# ---- 2019 ------------------------------------------------------------------------------------------------------


def as_in_2019(world: Sandbox, fails: Mapping[str, str] | None = None) -> dict[str, object]:
    """One job per name, whose builds make all architectures; `fails` maps a name to one that fails. The settings."""
    for name, version in {"stretch": "20261123.1", "stretch-igt": "20261123.0"}.items():
        job = job_of_2019(world, name, version, (fails or {}).get(name, ""))
        world.jenkins.create_job(name, pipeline_xml(f"Builds {name}", [Parameter("DOCKER_BASE", "kernelci/")]), job)
    lists = {f"jenkins/{name}.jpl": f"def config = ['arch_list':{list(archs)}]\n" for name, archs in ARCHS_2019.items()}
    push_to(world, "main", {FILE: TEXT_2019, **lists})
    return {"jobs": JOBS}


def job_of_2019(world: Sandbox, name: str, version: str, fails: str) -> object:
    def job(build: RunningBuild) -> Steps:
        yield Sleep(1200)
        for arch in ARCHS_2019[name]:
            if arch == fails:
                continue
            world.storage.put_rootfs(name, version, arch)
            for file in kci.ROOTFS_FILES:
                build.artifact(f"{version}/{arch}/{file}", b"small\n")
        return "FAILURE" if fails else "SUCCESS"

    return job


def test_one_job_per_name_as_in_2019(world: Sandbox) -> None:
    bench = bot(world, **as_in_2019(world))
    run = build(bench)
    assert run.step("build-rootfs").text == "4 of 4 built as 20261123.0 and 20261123.1"
    assert approve(bench).state is RunState.SUCCEEDED
    now = text_at(world, "main")
    assert now.count("stretch/20261123.1/{arch}/") == 2
    assert now.count("stretch-igt/20261123.0/{arch}/") == 1
    assert git(world, "log", "-1", "--format=%s", "main").endswith("rootfs URLs to 20261123.0, 20261123.1")


def test_a_failed_architecture_of_2019_keeps_its_name_where_it_is(world: Sandbox) -> None:
    bench = bot(world, **as_in_2019(world, {"stretch-igt": "arm64"}))
    run = build(bench)
    assert run.step("build-rootfs").text.endswith("not built: stretch-igt arm64")
    assert "stretch-igt keeps its version: arm64: failed" in shown(bench)
    approve(bench)
    assert "stretch-igt/20190322.0" in text_at(world, "main")
    assert "stretch/20261123.1" in text_at(world, "main")


def test_only_the_jobs_of_the_names_asked_for_are_started(world: Sandbox) -> None:
    bench = bot(world, **as_in_2019(world))
    build(bench, "stretch-igt")
    assert (builds_of(world, "stretch"), builds_of(world, "stretch-igt")) == (0, 1)


def test_a_bot_that_was_restarted_goes_on_with_the_builds_of_2019(world: Sandbox) -> None:
    settings = as_in_2019(world)
    first = bot(world, **settings)
    first.say("operator", "!rootfs build")
    first.journal.close()
    second = bot(world, **settings)
    second.engine.resume()
    assert built(second).step("build-rootfs").state is StepState.DONE
    assert builds_of(world, "stretch") == 1
