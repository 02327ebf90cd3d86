"""The root file system URLs of test-configs.yaml, edited line by line."""

import difflib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcibot_commands.rules.problem import RuleError
from kcibot_commands.rules.rootfs_urls import (
    Change,
    FileSystems,
    file_problems,
    planned_update,
    same_except,
    text_diff,
    version_numbers,
)

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "kernelci"
FILES = ["2019/test-configs.yaml", "seed-era/test-configs.yaml"]
real_files = pytest.mark.skipif(not DATA.is_dir(), reason="the real YAML files are not beside this repository")

DIFF = """\
   debian_buster_nfs:
     type: debian
-    ramdisk: 'buster/20200821.0/{arch}/initrd.cpio.gz'
-    nfs: 'buster/20200821.0/{arch}/full.rootfs.tar.xz'
+    ramdisk: 'buster/20200911.0/{arch}/initrd.cpio.gz'
+    nfs: 'buster/20200911.0/{arch}/full.rootfs.tar.xz'
     root_type: nfs
"""
TEXT = """\
# See the wiki regarding the format.

file_system_types:

  buildroot:
    url: 'https://storage.kernelci.org/images/rootfs/buildroot/kci-2018.11'

  debian:
    url: 'http://storage.kernelci.org/images/rootfs/debian'  # the one
    arch_map:
      armhf: [{arch: arm}]

file_systems:

  buildroot_ramdisk:
    type: buildroot
    ramdisk: '{arch}/base/rootfs.cpio.gz'

  debian_stretch_ramdisk: &stretch
    type: debian
    ramdisk: 'stretch/20190322.1/{arch}/rootfs.cpio.gz'

  # kept apart
  debian_stretch-igt_ramdisk:
    type: debian
    ramdisk: stretch-igt/20190322.0/{arch}/rootfs.cpio.gz

  debian_stretch_nfs:
    type: debian
    ramdisk: "stretch/20190322.1/{arch}/initrd.cpio.gz"
    nfs: "stretch/20190322.1/{arch}/full.rootfs.tar.xz"
    root_type: nfs

test_plans:

  boot:
    ramdisk: 'stretch/20190322.1/somewhere/else'
"""


def systems(text=TEXT):
    return FileSystems.read(text)


def rules(problems):
    return [problem.rule for problem in problems]


# ---- reading


def test_the_dated_lines_are_found_with_their_entries_and_types():
    found = systems()
    assert [(line.number, line.key, line.name, line.version) for line in found.lines] == [
        (21, "ramdisk", "stretch", "20190322.1"),
        (26, "ramdisk", "stretch-igt", "20190322.0"),
        (30, "ramdisk", "stretch", "20190322.1"),
        (31, "nfs", "stretch", "20190322.1"),
    ]
    assert [(entry.entry, entry.type, entry.nfs_root) for entry in found.entries] == [
        ("debian_stretch_ramdisk", "debian", False),
        ("debian_stretch-igt_ramdisk", "debian", False),
        ("debian_stretch_nfs", "debian", True),
    ]
    assert found.type_urls["debian"] == "http://storage.kernelci.org/images/rootfs/debian"
    assert found.versions() == {"stretch": ("20190322.1",), "stretch-igt": ("20190322.0",)}


@real_files
@pytest.mark.parametrize("name", FILES)
def test_exactly_three_lines_of_the_real_files_are_found(name):
    found = systems((DATA / name).read_text(encoding="utf-8"))
    assert len(found.lines) == 3
    assert {entry.type for entry in found.entries} == {"debian"}
    assert found.near_misses == ()
    assert file_problems(found) == ()


def test_versions_compare_as_numbers():
    assert version_numbers("20190322.10") > version_numbers("20190322.9")
    with pytest.raises(RuleError):
        version_numbers("20190322")


# ---- the update


def test_the_real_diff_is_reproduced_byte_for_byte():
    lines = DIFF.splitlines(keepends=True)
    old = "file_systems:\n" + "".join(line[1:] for line in lines if line[0] in " -")
    new = "file_systems:\n" + "".join(line[1:] for line in lines if line[0] in " +")
    update = planned_update(old, {"buster": "20200911.0"})
    assert update.text == new
    assert update.problems == ()
    made = list(difflib.unified_diff(old.splitlines(keepends=True), update.text.splitlines(keepends=True)))[4:]
    assert "".join(made) == DIFF


def test_only_the_chosen_names_move_and_both_lines_of_an_nfs_entry_together():
    update = planned_update(TEXT, {"stretch": "20190506.0"})
    assert update.text == TEXT.replace("stretch/20190322.1/{arch}", "stretch/20190506.0/{arch}")
    assert [(change.number, change.name, change.old, change.new) for change in update.changes] == [
        (21, "stretch", "20190322.1", "20190506.0"),
        (30, "stretch", "20190322.1", "20190506.0"),
        (31, "stretch", "20190322.1", "20190506.0"),
    ]
    assert same_except(TEXT, update.text, update.changes) == ()


def test_a_version_never_goes_down():
    update = planned_update(TEXT, {"stretch": "20190322.0", "stretch-igt": "20190322.10"})
    assert rules(update.problems) == ["down"]
    assert [change.name for change in update.changes] == ["stretch-igt"]


def test_the_same_version_is_no_change():
    update = planned_update(TEXT, {"stretch": "20190322.1"})
    assert (update.text, update.changes, update.problems) == (TEXT, (), ())


@pytest.mark.parametrize(
    ("moving", "rule"),
    [({"stretch-ltp": "20190506.0"}, "unused"), ({"stretch": "tomorrow"}, "version")],
)
def test_a_name_that_cannot_move_is_left_alone(moving, rule):
    update = planned_update(TEXT, moving)
    assert (update.text, rules(update.problems)) == (TEXT, [rule])


def test_an_entry_never_ends_up_with_two_versions():
    text = TEXT.replace('nfs: "stretch/', 'nfs: "stretch-nfs/')
    update = planned_update(text, {"stretch": "20190506.0"})
    assert (update.text, rules(update.problems)) == (text, ["split"])
    both = planned_update(text, {"stretch": "20190506.0", "stretch-nfs": "20190506.0"})
    assert both.problems == ()
    assert len(both.changes) == 3


def test_a_line_in_an_unusual_form_is_pointed_at():
    text = TEXT.replace('{arch}/initrd.cpio.gz"', '{arch}/initrd.cpio.gz"  # small')
    assert "unread" in rules(planned_update(text, {"stretch-igt": "20190506.0"}).problems)


names = st.sampled_from(["stretch", "stretch-igt", "stretch-v4l2", "buster"])
version = st.builds("{:08d}.{}".format, st.integers(20180101, 20221231), st.integers(0, 12))


@given(st.dictionaries(names, version))
def test_an_update_touches_nothing_but_the_planned_lines(moving):
    update = planned_update(TEXT, moving)
    assert same_except(TEXT, update.text, update.changes) == ()
    numbers = {change.number for change in update.changes}
    for number, (old, new) in enumerate(zip(TEXT.split("\n"), update.text.split("\n"), strict=True), start=1):
        assert (old == new) is (number not in numbers)
    before, after = systems().lines, systems(update.text).lines
    assert all(version_numbers(a.version) >= version_numbers(b.version) for b, a in zip(before, after, strict=True))


@real_files
@pytest.mark.parametrize("name", FILES)
@given(moving=st.dictionaries(names, version))
def test_an_update_of_the_real_files_touches_nothing_else(name, moving):
    text = (DATA / name).read_text(encoding="utf-8")
    update = planned_update(text, moving)
    assert same_except(text, update.text, update.changes) == ()


# ---- the check afterwards


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + "\n",
        lambda text: text.replace("# kept apart", "# kept"),
        lambda text: text.replace("20190506.0/{arch}/full", "20190322.1/{arch}/full"),
        lambda text: text.replace("20190506.0/{arch}/full", "20190506.1/{arch}/full"),
        lambda text: text.replace("stretch-igt/20190322.0", "stretch-igt/20190506.0"),
        lambda _text: TEXT,
    ],
)
def test_a_text_that_is_not_the_planned_one_is_found(spoil):
    update = planned_update(TEXT, {"stretch": "20190506.0"})
    assert same_except(TEXT, spoil(update.text), update.changes)


def test_a_change_of_a_line_that_does_not_exist_is_found():
    change = Change(99, "debian_stretch_ramdisk", "ramdisk", "stretch", "20190322.1", "20190506.0")
    assert rules(same_except(TEXT, TEXT, [change])) == ["line"]


def test_the_diff_names_the_path():
    diff = text_diff("a\nb", "a\nc", "test-configs.yaml")
    assert diff.split("\n") == [
        "--- a/test-configs.yaml",
        "+++ b/test-configs.yaml",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "+c",
    ]


# ---- the rule of the files


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{arch}/initrd.cpio.gz", "{arch}/rootfs.cpio.gz", "must be initrd.cpio.gz, not rootfs.cpio.gz"),
        ("{arch}/full.rootfs.tar.xz", "{arch}/full.rootfs.cpio.gz", "must be full.rootfs.tar.xz"),
        (
            "igt/20190322.0/{arch}/rootfs.cpio.gz",
            "igt/20190322.0/{arch}/initrd.cpio.gz",
            "a ramdisk entry must be rootfs",
        ),
        ("    root_type: nfs\n", "", "needs root_type: nfs"),
        ('    ramdisk: "stretch/20190322.1/{arch}/initrd.cpio.gz"\n', "", "needs a ramdisk"),
        ('    nfs: "stretch/20190322.1/{arch}/full.rootfs.tar.xz"\n', "", "there is no nfs line"),
    ],
)
def test_an_initrd_is_not_a_root_file_system(old, new, says):
    assert file_problems(systems()) == ()
    (problem,) = file_problems(systems(TEXT.replace(old, new)))
    assert says in problem.text
