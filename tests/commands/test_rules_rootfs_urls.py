"""The root file system URLs of test-configs.yaml, edited line by line."""

import difflib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kcibot_commands.rootfs.update import same_leaves_except
from kcibot_commands.rules.problem import RuleError
from kcibot_commands.rules.rootfs_urls import (
    Change,
    FileSystems,
    file_problems,
    planned_update,
    same_except,
    version_numbers,
)

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "kernelci"
FILES = ["2019/test-configs.yaml", "seed-era/test-configs.yaml"]
real_files = pytest.mark.skipif(not DATA.is_dir(), reason="the real YAML files are not beside this repository")

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


REAL = {
    "seed-era/test-configs.yaml": (
        {"stretch": "20190322.1", "stretch-igt": "20190322.0", "stretch-v4l2": "20190322.0"}
    ),
    "2019/test-configs.yaml": dict.fromkeys(["stretch", "stretch-igt", "stretch-v4l2"], "20190531.0"),
}
"""The versions that the real files have."""


def moved_by_hand(data, moving):
    """The file's bytes after an editor's search and replace, one name after the other."""
    for name, (old, new) in moving.items():
        data = data.replace(f"'{name}/{old}/".encode(), f"'{name}/{new}/".encode())
    return data


@real_files
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "chosen", [["stretch"], ["stretch-igt", "stretch-v4l2"], ["stretch", "stretch-igt", "stretch-v4l2"]]
)
def test_the_real_files_change_in_their_urls_and_in_no_other_byte(file, chosen):
    data = (DATA / file).read_bytes()
    update = planned_update(data.decode(), dict.fromkeys(chosen, "20190607.0"))
    assert update.text.encode() == moved_by_hand(data, {name: (REAL[file][name], "20190607.0") for name in chosen})
    diff = list(difflib.unified_diff(data.decode().split("\n"), update.text.split("\n"), lineterm=""))[2:]
    assert len([line for line in diff if line.startswith("-")]) == len(chosen)
    assert len([line for line in diff if line.startswith("+")]) == len(chosen)
    assert len(update.changes) == len(chosen)


@real_files
@pytest.mark.parametrize("file", FILES)
def test_the_real_files_change_in_their_urls_and_in_no_other_value(file):
    """Aliases are resolved in what is compared, so that a value which is reached by one is compared there, too."""
    text = (DATA / file).read_text(encoding="utf-8")
    update = planned_update(text, dict.fromkeys(REAL[file], "20190607.0"))
    old, new = yaml.safe_load(text), yaml.safe_load(update.text)
    assert same_leaves_except(old, new, update.changes) == ()
    assert same_leaves_except(old, new, update.changes[1:]) == (f"file_systems.{update.changes[0].entry}.ramdisk",)
    before, after = dict(leaves(old)), dict(leaves(new))
    changed = {path: value for path, value in after.items() if before[path] != value}
    assert before.keys() == after.keys()
    assert {path[:1] + path[2:] for path in changed} == {("file_systems", "ramdisk")}
    assert len(changed) == 3
    assert all("/20190607.0/{arch}/rootfs.cpio.gz" in value for value in changed.values())


def leaves(value, path=()):
    """Every value with its path."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


ALIASES = """\
file_system_types:
  debian: &debian
    url: 'http://storage.kernelci.org/images/rootfs/debian'
  debian-staging:
    <<: *debian
    url: 'http://storage.staging.kernelci.org/images/rootfs/debian'

file_systems:
  debian_buster_nfs: &nfs  # the base of all
    type: debian
    ramdisk: 'buster/20200821.0/{arch}/initrd.cpio.gz'
    nfs: 'buster/20200821.0/{arch}/full.rootfs.tar.xz'
    root_type: nfs
  debian_buster-cip_nfs:
    <<: *nfs
    params: {}
  debian_buster-igt_ramdisk:
    type: debian
    ramdisk: 'buster-igt/20200821.0/{arch}/rootfs.cpio.gz'

test_plans:
  baseline-nfs: &baseline {rootfs: debian_buster_nfs}
  baseline-cip: *baseline
"""


def test_anchors_aliases_merge_keys_and_comments_stay_as_they_are():
    update = planned_update(ALIASES, {"buster": "20200911.0"})
    assert update.text.encode() == ALIASES.encode().replace(b"'buster/20200821.0/", b"'buster/20200911.0/")
    assert len(update.changes) == 2


def test_an_edit_that_reaches_another_entry_by_a_merge_key_is_seen_in_the_values():
    """The line is the planned one, and still another entry would change with it: that is for people to edit."""
    update = planned_update(ALIASES, {"buster": "20200911.0"})
    found = same_leaves_except(yaml.safe_load(ALIASES), yaml.safe_load(update.text), update.changes)
    assert found == ("file_systems.debian_buster-cip_nfs.nfs", "file_systems.debian_buster-cip_nfs.ramdisk")


@real_files
@pytest.mark.parametrize("file", FILES)
@given(moving=st.dictionaries(names, version))
def test_an_update_of_the_real_files_touches_nothing_else(file, moving):
    text = (DATA / file).read_text(encoding="utf-8")
    update = planned_update(text, moving)
    higher = {
        name: new for name, new in moving.items() if version_numbers(new) > version_numbers(REAL[file].get(name, new))
    }
    assert {change.name for change in update.changes} == set(higher)
    by_hand = moved_by_hand(text.encode(), {name: (REAL[file][name], new) for name, new in higher.items()})
    assert update.text.encode() == by_hand


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
