"""What changed decides the steps."""

from pathlib import Path

import pytest

from kcibot_commands.rules.changes import (
    Component,
    Kind,
    by_kind,
    causes,
    explained,
    kinds_of,
    may_leak,
    staging_leaks,
)
from kcibot_commands.rules.problem import Severity

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "kernelci"
HEADER = "/* ----\n * Jenkins parameters\n\n{}\n */\n\nnode {{ {} }}\n"


@pytest.mark.parametrize(
    ("component", "path", "kinds"),
    [
        (Component.CORE, "jenkins/dockerfiles/build-base/Dockerfile", {Kind.IMAGES}),
        (Component.CORE, "config/docker/clang-12/Dockerfile", {Kind.IMAGES}),
        (Component.CORE, "jenkins/debian/debos/scripts/strip.sh", {Kind.ROOTFS}),
        (Component.CORE, "config/rootfs/debos/rootfs.yaml", {Kind.ROOTFS}),
        (Component.CORE, "config/core/rootfs-configs.yaml", {Kind.ROOTFS}),
        (Component.CORE, "rootfs-configs.yaml", {Kind.ROOTFS}),
        (Component.CORE, "jenkins/stretch-igt.jpl", {Kind.ROOTFS}),
        (Component.CORE, "test-configs.yaml", {Kind.CONFIGS}),
        (Component.CORE, "config/core/build-configs.yaml", {Kind.CONFIGS}),
        (Component.CORE, "labs.ini", {Kind.CONFIGS}),
        (Component.CORE, "kernelci/build.py", {Kind.CODE}),
        (Component.CORE, "jenkins/build.jpl", {Kind.CODE}),
        (Component.JENKINS, "jobs.groovy", {Kind.JOBS}),
        (Component.BACKEND, "app/handlers/boot.py", {Kind.BACKEND}),
        (Component.FRONTEND, "app/dashboard/templates/base.html", {Kind.FRONTEND}),
        (Component.FRONTEND, "app/dashboard/static/js/common.js", {Kind.FRONTEND, Kind.FRONTEND_JS}),
        (Component.BACKEND_CONFIG, "site.yml", {Kind.PLAYBOOKS}),
        (Component.OTHER, "site.yml", set()),
    ],
)
def test_a_path_calls_for_its_kind_of_update(component, path, kinds):
    assert kinds_of(component, path) == kinds


@pytest.mark.parametrize(
    ("old", "new", "jobs"),
    [
        (HEADER.format("ARCH\n  CPU", "a"), HEADER.format("ARCH\n  CPU\nCC\n  compiler", "a"), True),
        (HEADER.format("ARCH\n  CPU", "a"), HEADER.format("ARCH\n  the CPU", "b"), False),
        ("", HEADER.format("ARCH\n  CPU", "a"), True),
        (HEADER.format("ARCH\n  CPU", "a"), "", True),
    ],
)
def test_a_pipeline_calls_for_job_definitions_if_its_parameters_changed(old, new, jobs):
    found = by_kind(causes(Component.CORE, ["jenkins/build.jpl"], lambda _path: (old, new)))
    assert (Kind.JOBS in found) is jobs
    assert Kind.CODE in found


def test_the_reason_names_the_path():
    paths = ["jenkins/dockerfiles/gcc-8_arm/Dockerfile", "jenkins/dockerfiles/gcc-8_arm64/Dockerfile", "README.md"]
    grouped = by_kind(causes(Component.CORE, paths, lambda _path: ("", "")))
    assert explained(Kind.IMAGES, grouped) == "jenkins/dockerfiles/gcc-8_arm/Dockerfile and 1 more changed"
    assert explained(Kind.ROOTFS, grouped) == "no change of rootfs"
    assert str(grouped[Kind.CODE][0]) == "code: README.md of core changed"


def test_a_staging_server_in_yaml_or_jobs_is_found_with_its_line():
    texts = {
        "test-configs.yaml": "a: 1\n    url: 'http://storage.staging.kernelci.org/images'\n",
        "jenkins/monitor.jpl": "KCI_STORAGE_URL (https://staging-storage.kernelci.org/)",
        "jenkins/build.sh": "curl https://staging-api.kernelci.org",
        "doc/notes.md": "staging-api",
    }
    found = staging_leaks(texts)
    assert [problem.text.split(" ")[0] for problem in found] == [
        "test-configs.yaml:2",
        "jenkins/monitor.jpl:1",
        "jenkins/build.sh:1",
    ]
    assert {problem.severity for problem in found} == {Severity.CONFIRM}
    assert not may_leak("doc/notes.md")


def test_a_staging_server_that_production_names_already_only_warns():
    text = "  debian-staging:\n    url: 'http://storage.staging.kernelci.org/images/rootfs/debian'\n"
    (old,) = staging_leaks({"test-configs.yaml": "# new\n" + text}, {"test-configs.yaml": text})
    assert old.severity is Severity.WARN
    (moved,) = staging_leaks({"lab-configs.yaml": text}, {"test-configs.yaml": text})
    assert moved.severity is Severity.CONFIRM


@pytest.mark.skipif(not DATA.is_dir(), reason="the real YAML files are not beside this repository")
def test_the_real_files_of_2019_hold_no_staging_server():
    texts = {path.name: path.read_text(encoding="utf-8") for path in DATA.glob("*/*.yaml")}
    assert staging_leaks(texts) == ()
