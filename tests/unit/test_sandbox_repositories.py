"""The sandbox's repositories have the shape, and the traps, of KernelCI's real ones."""

import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from kcibot.sandbox.repositories import create_repositories

NOW = datetime(2021, 5, 24, 9, 0, tzinfo=UTC)
REAL_YAML = Path(__file__).resolve().parents[3] / "shared" / "data" / "kernelci" / "seed-era"
CORE_TAG = re.compile(r"kernelci-(\d{8})(?:\.(\d+))?")
VERSION = re.compile(r"\d{4}\.\d{1,2}(?:\.\d+)?")
ROOTFS = re.compile(
    r"^ {4}(ramdisk|nfs): (['\"]?)(?P<name>[a-z0-9.-]+)/(?P<ver>\d{8}\.\d+)/\{arch\}/(?P<file>[\w.]+)\2$", re.MULTILINE
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    return create_repositories(tmp_path_factory.mktemp("sandbox") / "repositories", NOW)


def git(path: Path, *arguments: str) -> str:
    asked = ("git", *arguments)
    return subprocess.run(asked, cwd=path, check=True, capture_output=True, text=True).stdout.strip()


def show(path: Path, name: str, commit: str = "main") -> str:
    return git(path, "show", f"{commit}:{name}")


def tags(path: Path) -> list[str]:
    return git(path, "tag").splitlines()


def test_there_are_seven_sound_repositories_with_their_branches(paths: Mapping[str, Path]) -> None:
    both, main = {"main", "kernelci.org"}, {"main"}
    assert {name: set(git(path, "branch", "--format=%(refname:short)").split()) for name, path in paths.items()} == {
        "core": both,
        "backend": both,
        "frontend": both,
        "jenkins": both,
        "linux": {"kernelci.org"},
        "backend-config": main,
        "frontend-config": main,
    }
    for path in paths.values():
        assert git(path, "fsck", "--strict") == ""


def test_every_history_is_dated_before_now_and_the_last_release_is_a_week_old(paths: Mapping[str, Path]) -> None:
    for path in paths.values():
        newest = int(git(path, "log", "-1", "--all", "--format=%ct"))
        assert newest < NOW.timestamp()
    assert "kernelci-20210517" in tags(paths["core"])
    assert git(paths["core"], "rev-parse", "kernelci-20210517^{}") == git(paths["core"], "rev-parse", "kernelci.org")


def test_production_is_behind_development_and_never_beside_it(paths: Mapping[str, Path]) -> None:
    for name in ("core", "backend", "frontend", "jenkins"):
        assert git(paths[name], "rev-list", "kernelci.org", "^main") == ""
        assert git(paths[name], "rev-list", "main", "^kernelci.org") != ""


def test_the_next_core_release_touches_images_root_file_systems_and_configs(paths: Mapping[str, Path]) -> None:
    changed = git(paths["core"], "diff", "--name-only", "kernelci.org", "main").splitlines()
    assert {
        "config/docker/build-base/Dockerfile",
        "config/docker/gcc-10_arm64/Dockerfile",
        "config/rootfs/debos/scripts/igt.sh",
        "config/core/test-configs.yaml",
        "config/core/build-configs.yaml",
        "jenkins/build.jpl",
    } <= set(changed)
    assert git(paths["core"], "rev-list", "--merges", "kernelci.org..main") != ""


def test_core_has_tags_with_the_errors_that_people_made(paths: Mapping[str, Path]) -> None:
    core = paths["core"]
    kinds = dict(
        line.split() for line in git(core, "for-each-ref", "--format=%(refname:short) %(objecttype)").splitlines()
    )
    released = [name for name in tags(core) if CORE_TAG.fullmatch(name)]
    assert {"2014.10", "2019.5.0", "kernelci-1.0", "20210329.1", "kernelci-2021.04.05"} <= kinds.keys() - set(released)
    assert [name for name in released if kinds[name] == "commit"] == ["kernelci-20210412"]
    assert git(core, "cat-file", "-p", "kernelci-20210405").splitlines()[1] == "type tag"
    days = {date.fromisoformat(CORE_TAG.fullmatch(name)[1]) for name in released}  # type: ignore[index]
    assert max(days) > NOW.date()  # a wrong month
    assert min(days).year == 2011  # a wrong year
    assert {"kernelci-20210426", "kernelci-20210426.1", "kernelci-20210503.1"} <= set(released)
    assert "kernelci-20210503" not in released  # counted from one


def test_the_yaml_files_of_core_parse_and_hold_what_the_procedure_needs(paths: Mapping[str, Path]) -> None:
    core = paths["core"]
    builds = yaml.safe_load(show(core, "config/core/build-configs.yaml"))
    assert builds["build_configs"]["kernelci"]["tree"] == "kernelci"
    assert builds["build_configs"]["gtucker_stable"]["branch"] == "kernelci-stable"
    assert len(builds["build_configs"]["kernelci"]["variants"]["gcc-10"]["architectures"]) == 7
    text = show(core, "config/core/test-configs.yaml")
    assert yaml.safe_load(text)["test_plans"]["baseline-nfs"]["rootfs"] == "debian_buster_nfs"
    assert min(text.count(mark) for mark in ("&", "*", "<<:", "#")) > 2
    names = {match["name"]: match["ver"] for match in ROOTFS.finditer(text)}
    recipes = yaml.safe_load(show(core, "config/core/rootfs-configs.yaml"))["rootfs_configs"]
    assert names.keys() <= recipes.keys()
    assert sum(len(recipe["arch_list"]) for recipe in recipes.values()) == 25
    assert names["buster"] > names["buster-ltp"]  # kept back


def test_every_image_builds_on_debian_or_on_the_base(paths: Mapping[str, Path]) -> None:
    files = [
        name for name in git(paths["core"], "ls-tree", "-r", "--name-only", "main").split() if "Dockerfile" in name
    ]
    bases = {name.split("/")[2]: show(paths["core"], name).split()[1].split(":")[0] for name in files}
    assert bases == {
        "build-base": "debian",
        "clang-11": "kernelci/build-base",
        "debos": "debian",
        "gcc-10_arm64": "kernelci/build-base",
        "gcc-10_x86": "kernelci/build-base",
        "qemu": "debian",
    }


def test_backend_waits_for_its_version_bump(paths: Mapping[str, Path]) -> None:
    backend = paths["backend"]
    line = '__version__ = "2021.5.0"'
    assert line in show(backend, "app/handlers/__init__.py")
    assert git(backend, "rev-parse", "2021.5.0^{}") == git(backend, "rev-parse", "kernelci.org")
    assert {"2020.10", "2020.9.1", "2020.06.1", "staging-20200616.1"} <= set(tags(backend))


def test_frontend_has_one_changed_view_under_a_new_name_mapped_everywhere(paths: Mapping[str, Path]) -> None:
    frontend, js = paths["frontend"], "app/dashboard/static/js/"
    listed = git(frontend, "ls-tree", "-r", "--name-only", "main", js).splitlines()
    views = {name.removeprefix(js).removesuffix(".js") for name in listed if "/app/view-" in name}
    for view in views:
        page = view.partition(".")[0]
        line = f"            '{page}': '{view}',\n"
        assert show(frontend, js + "common.js").count(line) == 1
        assert show(frontend, js + "build.js").count(line) == 1
        assert show(frontend, js + "build.js").count(f"        {{name: '{view}'}},\n") == 1
    renamed = git(frontend, "diff", "-M", "--diff-filter=R", "--name-status", "kernelci.org", "main").split()[1:]
    assert renamed == [f"{js}app/view-builds-id.2020.10.js", f"{js}app/view-builds-id.2021.5.js"]


def test_jenkins_has_a_definition_per_job_and_one_new_parameter(paths: Mapping[str, Path]) -> None:
    jenkins = paths["jenkins"]
    files = git(jenkins, "ls-tree", "-r", "--name-only", "main", "jobs/").splitlines()
    for name in files:
        ET.fromstring(show(jenkins, name).partition("\n")[2])  # noqa: S314 (our own)
    assert {Path(name).stem for name in files} >= {"kernel-tree-monitor", "kernel-build-trigger", "rootfs-builder"}
    assert "<spec>H H/2 * * *</spec>" in show(jenkins, "jobs/kernel-tree-monitor.xml")
    changed = git(jenkins, "diff", "--name-only", "kernelci.org", "main").splitlines()
    assert changed == ["jobs.groovy", "jobs/kernel-build.xml"]
    assert "NODE_LABEL" in git(jenkins, "diff", "kernelci.org", "main", "--", "jobs/kernel-build.xml")


def test_linux_has_stable_releases_and_the_last_pipe_cleaner_on_an_older_one(paths: Mapping[str, Path]) -> None:
    linux = paths["linux"]
    assert {"v5.10.79", "v5.10.80"} <= set(tags(linux))
    assert git(linux, "rev-parse", "kernelci.org~1") == git(linux, "rev-parse", "v5.10.79^{}")
    assert git(linux, "show", "kernelci.org:kernelci.org") == "kernelci-20210517.0"


def test_the_same_time_makes_the_same_repositories(paths: Mapping[str, Path], tmp_path: Path) -> None:
    again = create_repositories(tmp_path / "repositories", NOW)
    for name in ("core", "backend", "frontend", "jenkins", "linux"):
        assert git(again[name], "for-each-ref") == git(paths[name], "for-each-ref")


@pytest.mark.parametrize("now", [datetime(2024, 2, 29, 0, 5, tzinfo=UTC), datetime(2027, 1, 3, 23, 55, tzinfo=UTC)])
def test_any_day_of_the_year_will_do(now: datetime, tmp_path: Path) -> None:
    paths = create_repositories(tmp_path / "repositories", now)
    for name in ("backend", "frontend"):
        versions = [name for name in tags(paths[name]) if VERSION.fullmatch(name)]
        assert len(versions) == len(set(versions)) > 8


@pytest.mark.skipif(not REAL_YAML.is_dir(), reason="KernelCI's own files of March 2019 are not beside the repository")
def test_kernelcis_own_files_can_be_used(tmp_path: Path) -> None:
    core = create_repositories(tmp_path / "repositories", NOW, real_yaml=REAL_YAML)["core"]
    builds = yaml.safe_load(show(core, "config/core/build-configs.yaml"))
    assert {"gtucker_stable", "kernelci", "pinctrl_for-next"} <= builds["build_configs"].keys()
    assert {"kernelci", "pinctrl"} <= builds["trees"].keys()
    text = show(core, "config/core/test-configs.yaml")
    assert "meson-sm1-khadas-vim3l" in yaml.safe_load(text)["device_types"]
    assert {match["name"]: match["ver"] for match in ROOTFS.finditer(text)} == {
        "stretch": "20210516.0",
        "stretch-igt": "20210516.0",
        "stretch-v4l2": "20210516.0",
    }
    assert set(yaml.safe_load(show(core, "config/core/rootfs-configs.yaml"))["rootfs_configs"]) == {
        "stretch",
        "stretch-igt",
        "stretch-v4l2",
    }
