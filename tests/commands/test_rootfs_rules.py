"""Which names move and which stay, as values."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest

from kcibot.errors import PermanentError
from kcibot_commands.rootfs_builds import RootfsBuild, summary, table
from kcibot_commands.rootfs_orders import architectures, chosen, next_version
from kcibot_commands.rootfs_update import decision, same_leaves_except
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


def all_there(urls: Sequence[FileUrl]) -> dict[str, int]:
    return {one.url: 200 for one in urls}


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


def test_an_unseen_answer_is_no_file() -> None:
    found = decision(TEXT, ALL, lambda urls: {one.url: 200 for one in urls if "full.rootfs" not in one.url})
    assert found.moves == {"stretch-igt": NEW}
    assert "answers nothing" in found.notes[0]


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
