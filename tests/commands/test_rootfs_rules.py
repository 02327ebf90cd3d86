"""Which names move and which stay, as values."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from kcibot.errors import PermanentError
from kcibot_commands.rootfs.builds import RootfsBuild, summary, table
from kcibot_commands.rootfs.orders import architectures, chosen, next_version, pipeline_architectures
from kcibot_commands.rootfs.update import decision, same_leaves_except
from kcibot_commands.rules.rootfs_moves import ArchResult, FileUrl, Outcome
from kcibot_commands.rules.rootfs_urls import Change

TEXT = """\
file_system_types:
  debian:
    url: 'http://storage.kernelci.org/images/rootfs/debian'
file_systems:
  debian_stretch_nfs:
    type: debian
    ramdisk: 'stretch/20190322.1/{arch}/initrd.cpio.gz'
    nfs: 'stretch/20190322.1/{arch}/full.rootfs.tar.xz'
    root_type: nfs
  debian_stretch_ramdisk:
    type: debian
    ramdisk: 'stretch/20190322.1/{arch}/rootfs.cpio.gz'
  debian_stretch-igt_ramdisk:
    type: debian
    ramdisk: 'stretch-igt/20190322.0/{arch}/rootfs.cpio.gz'
"""
NEW = "20190506.0"


def built(*rows: tuple[str, str, Outcome], version: str = NEW) -> RootfsBuild:
    archs: dict[str, tuple[str, ...]] = {}
    for name, arch, _outcome in rows:
        archs[name] = (*archs.get(name, ()), arch)
    results = tuple(
        ArchResult(name, arch, outcome, version if outcome is Outcome.BUILT else "", "http://ci/1/console")
        for name, arch, outcome in rows
    )
    return RootfsBuild(version, datetime(2019, 5, 6, tzinfo=UTC), archs, results)


def all_there(urls: Sequence[FileUrl]) -> dict[str, int | str]:
    """Of every version what is listed, and no more."""
    return {one.url: 404 if one.served else 200 for one in urls}


ALL = built(
    ("stretch", "amd64", Outcome.BUILT), ("stretch", "arm64", Outcome.BUILT), ("stretch-igt", "amd64", Outcome.BUILT)
)


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ((), "20260523.0"),
        (("20260521.3",), "20260523.0"),
        (("20260523.0", "20260523.9", "20260523.10"), "20260523.11"),
        (("20260901.2",), "20260901.3"),
        (("", "nonsense"), "20260523.0"),
    ],
)
def test_a_new_version_is_above_every_version_in_use(used: tuple[str, ...], expected: str) -> None:
    assert next_version(used, date(2026, 5, 23)) == expected


def test_everything_built_and_there_moves_everything() -> None:
    found = decision(TEXT, ALL, all_there)
    assert found.moves == {"stretch": NEW, "stretch-igt": NEW}
    assert found.kept == ()
    assert found.files == 7
    assert found.update.text == TEXT.replace("20190322.1", NEW).replace("20190322.0", NEW)


def test_one_failed_architecture_keeps_its_whole_name() -> None:
    rows = (("stretch", "amd64", Outcome.BUILT), ("stretch", "arm64", Outcome.FAILED))
    found = decision(TEXT, built(*rows, ("stretch-igt", "amd64", Outcome.BUILT)), all_there)
    assert found.moves == {"stretch-igt": NEW}
    assert found.notes == ("stretch keeps its version: arm64: failed",)


def test_an_unseen_answer_is_no_file_and_says_why_it_was_not_seen() -> None:
    why = "the file server answered 403; whether the file is there cannot be seen"
    unseen = lambda urls: all_there(urls) | {one.url: why for one in urls if "full.rootfs" in one.url}  # noqa: E731
    found = decision(TEXT, ALL, unseen)
    assert found.moves == {"stretch-igt": NEW}
    assert why in found.notes[0]


LIBCAMERA = """\
file_system_types:
  debian:
    url: 'http://storage.kernelci.org/images/rootfs/debian'
    arch_map:
      armhf: [{arch: arm}]
      amd64: [{arch: x86_64}]
file_systems:
  debian_buster-libcamera_ramdisk:
    type: debian
    ramdisk: 'buster-libcamera/20211122.0/{arch}/rootfs.cpio.gz'
  debian_buster_ramdisk:
    type: debian
    ramdisk: 'buster/20211122.0/{arch}/rootfs.cpio.gz'
"""
AT_29_NOVEMBER = built(
    ("buster-libcamera", "amd64", Outcome.BUILT),
    ("buster", "amd64", Outcome.BUILT),
    ("buster", "arm64", Outcome.BUILT),
    version="20211129.0",
)


def storage_of_2021(urls: Sequence[FileUrl]) -> dict[str, int | str]:
    """buster-libcamera was there for arm64, and is not in the new version, whose list does not have it."""
    lost = "buster-libcamera/20211129.0/arm64"
    return {one.url: 404 if lost in one.url or "/armhf/" in one.url else 200 for one in urls}


def test_buster_libcamera_not_built_for_arm64_keeps_its_version() -> None:
    """Shipped in kernelci-20211129, -20211206 and -20211213.1, and fixed three weeks later."""
    found = decision(LIBCAMERA, AT_29_NOVEMBER, storage_of_2021)
    assert found.moves == {"buster": "20211129.0"}
    (kept,) = found.kept
    assert (kept.name, [row.arch for row in kept.failed]) == ("buster-libcamera", ["arm64"])
    assert kept.reasons[0].endswith("20211129.0/arm64/rootfs.cpio.gz answers 404, while 20211122.0 serves arm64")


def test_what_another_name_serves_is_looked_for_also_where_it_is_built_alone() -> None:
    alone = replace(
        built(("buster-libcamera", "amd64", Outcome.BUILT), version="20211129.0"), others=("amd64", "arm64")
    )
    assert decision(LIBCAMERA, alone, storage_of_2021).moves == {}


def test_an_architecture_that_was_dropped_on_purpose_keeps_nothing() -> None:
    dropped = {"buster-libcamera": ("arm64",)}
    found = decision(LIBCAMERA, AT_29_NOVEMBER, storage_of_2021, dropped)
    assert found.moves == {"buster": "20211129.0", "buster-libcamera": "20211129.0"}


def test_what_could_not_be_seen_of_the_version_in_use_is_looked_for_in_the_new_one() -> None:
    def unseen(urls: Sequence[FileUrl]) -> dict[str, int | str]:
        return storage_of_2021(urls) | {one.url: "nobody knows" for one in urls if "20211122.0/arm64" in one.url}

    assert decision(LIBCAMERA, AT_29_NOVEMBER, unseen).moves == {"buster": "20211129.0"}


def test_an_nfs_entry_whose_ramdisk_is_no_initrd_keeps_its_name_until_it_is_put_right() -> None:
    """A reviewer once had to catch it."""
    wrong = TEXT.replace("initrd.cpio.gz", "rootfs.cpio.gz")
    found = decision(wrong, ALL, all_there)
    assert found.moves == {"stretch-igt": NEW}
    assert "must be initrd.cpio.gz" in found.notes[0]


def test_a_version_never_goes_down() -> None:
    old = built(("stretch", "amd64", Outcome.BUILT), version="20190101.0")
    found = decision(TEXT, old, all_there)
    assert found.moves == {}
    assert found.update.text == TEXT
    assert "does not go down" in found.notes[0]


def test_a_version_that_is_there_already_needs_no_word() -> None:
    same = built(("stretch-igt", "amd64", Outcome.BUILT), version="20190322.0")
    found = decision(TEXT, same, all_there)
    assert (found.moves, found.notes) == ({}, ())


def test_a_name_that_nobody_uses_is_noted_and_not_called_an_exception() -> None:
    found = decision(TEXT, built(("sid", "amd64", Outcome.FAILED), ("stretch-igt", "amd64", Outcome.BUILT)), all_there)
    assert found.moves == {"stretch-igt": NEW}
    assert found.kept == ()


CHANGE = Change(7, "one", "ramdisk", "stretch", "20190322.0", NEW)
OLD_DATA = {"file_systems": {"one": {"ramdisk": "stretch/20190322.0/{arch}/rootfs.cpio.gz"}, "two": {"list": [1, 2]}}}


def with_value(path: str) -> dict[str, object]:
    return {"file_systems": {"one": {"ramdisk": path}, "two": {"list": [1, 2]}}}


def test_the_data_may_differ_in_the_planned_value_only() -> None:
    new = with_value(f"stretch/{NEW}/{{arch}}/rootfs.cpio.gz")
    assert same_leaves_except(OLD_DATA, new, [CHANGE]) == ()
    assert same_leaves_except(OLD_DATA, {**new, "extra": 1}, [CHANGE]) == ("extra",)


def test_a_planned_change_that_did_not_come_is_an_error_too() -> None:
    assert same_leaves_except(OLD_DATA, OLD_DATA, [CHANGE]) == ("file_systems.one.ramdisk",)
    other = with_value("stretch/20200101.0/{arch}/rootfs.cpio.gz")
    assert same_leaves_except(OLD_DATA, other, [CHANGE]) == ("file_systems.one.ramdisk",)


def test_architectures_are_read_from_the_list() -> None:
    document = {"rootfs_configs": {"sid": {"rootfs_type": "debos", "arch_list": ["amd64", "arm64"]}}}
    known = architectures(document)
    assert known == {"sid": ("amd64", "arm64")}
    assert chosen(known, ()) == known
    with pytest.raises(PermanentError, match="did you mean sid"):
        chosen(known, ("sidd",))


@pytest.mark.parametrize("document", [None, {}, {"rootfs_configs": {"sid": {}}}])
def test_a_list_that_is_none_is_an_error(document: object) -> None:
    with pytest.raises(PermanentError):
        architectures(document)


def test_the_table_names_what_is_missing_with_its_log() -> None:
    rows = built(("stretch", "amd64", Outcome.BUILT), ("stretch", "arm64", Outcome.FAILED))
    assert summary(rows) == f"1 of 2 built as {NEW}; not built: stretch arm64"
    assert table(rows).lines == ("stretch: amd64 built", "  arm64: failed, http://ci/1/console")


def test_a_build_that_was_killed_may_have_left_loop_devices_and_a_full_disk() -> None:
    """Time-out kills break later builds on the same node (KernelCI's procedure, section 11)."""
    rows = built(("stretch", "amd64", Outcome.BUILT), ("stretch", "arm64", Outcome.STOPPED))
    *_rows, stopped, hint = table(rows).lines
    assert stopped == "  arm64: stopped, http://ci/1/console"
    assert "loop devices and a full disk" in hint


STRETCH_IGT = """\
@Library('kernelci') _
def config = ['name':"stretch-igt",
              'arch_list':["armhf", "armel",
                           "arm64"],
              'debian_release':"stretch"]
"""


def test_architectures_of_2019_are_read_from_the_names_own_pipeline() -> None:
    assert pipeline_architectures(STRETCH_IGT, "jenkins/stretch-igt.jpl") == ("armhf", "armel", "arm64")
    with pytest.raises(PermanentError, match=r"jenkins/x\.jpl lists no architectures"):
        pipeline_architectures("r.buildImage(config)", "jenkins/x.jpl")
