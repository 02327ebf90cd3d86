"""Which root file systems move to their new version."""

import pytest

from kcibot_commands.rules.problem import RuleError
from kcibot_commands.rules.rootfs_moves import (
    ArchResult,
    FileUrl,
    Kept,
    Moves,
    Outcome,
    commit_subject,
    confirm,
    decide,
    urls_of,
)
from kcibot_commands.rules.rootfs_urls import FileSystems, planned_update

ARCHS = {"stretch": ("armhf", "amd64"), "stretch-igt": ("armhf",)}
TEXT = """\
file_system_types:
  debian:
    url: 'http://storage.kernelci.org/images/rootfs/debian'
file_systems:
  debian_stretch_ramdisk:
    type: debian
    ramdisk: 'stretch/20190322.1/{arch}/rootfs.cpio.gz'
  debian_stretch_nfs:
    type: debian
    ramdisk: 'stretch/20190322.1/{arch}/initrd.cpio.gz'
    nfs: 'stretch/20190322.1/{arch}/full.rootfs.tar.xz'
    root_type: nfs
  debian_stretch-igt_ramdisk:
    type: debian
    ramdisk: 'stretch-igt/20190322.0/{arch}/rootfs.cpio.gz'
"""


def built(name, arch, version="20190506.0"):
    return ArchResult(name, arch, Outcome.BUILT, version)


ALL_BUILT = [built("stretch", "armhf"), built("stretch", "amd64"), built("stretch-igt", "armhf", "20190506.1")]


def test_a_name_moves_if_every_architecture_was_built():
    assert decide(ALL_BUILT, ARCHS) == Moves({"stretch": "20190506.0", "stretch-igt": "20190506.1"}, ())


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNKNOWN, Outcome.MISSING])
def test_one_architecture_that_was_not_built_keeps_the_whole_name(outcome):
    bad = ArchResult("stretch", "amd64", outcome, log="http://jenkins.example.org/job/rootfs-builder/7/console")
    found = decide([ALL_BUILT[0], bad, ALL_BUILT[2]], ARCHS)
    assert found.moves == {"stretch-igt": "20190506.1"}
    assert found.kept == (Kept("stretch", (f"amd64: {outcome}",), (bad,)),)


def test_an_architecture_nobody_reported_is_not_built():
    (kept,) = decide(ALL_BUILT[1:], ARCHS).kept
    assert kept.reasons == ("armhf: not built",)


@pytest.mark.parametrize(
    ("other", "says"),
    [("20190507.0", "different versions: 20190506.0, 20190507.0"), ("", "no usable version"), ("new", "different")],
)
def test_versions_that_do_not_agree_keep_the_name(other, says):
    results = [ALL_BUILT[0], built("stretch", "amd64", other), ALL_BUILT[2]]
    if other == "new":
        says = "no usable version"
        results = [built("stretch", "armhf", other), built("stretch", "amd64", other), ALL_BUILT[2]]
    (kept,) = decide(results, ARCHS).kept
    assert says in kept.reasons[0]


def test_a_name_without_architectures_never_moves():
    assert decide([], {"sid": ()}).moves == {}


def test_every_file_of_every_entry_is_asked_for_per_architecture():
    text = planned_update(TEXT, {"stretch": "20190506.0"}).text
    urls = [one.url for one in urls_of(FileSystems.read(text), {"stretch": ("armhf", "amd64")})]
    base = "http://storage.kernelci.org/images/rootfs/debian/stretch/20190506.0"
    assert urls == [
        f"{base}/{arch}/{file}"
        for file in ("rootfs.cpio.gz", "initrd.cpio.gz", "full.rootfs.tar.xz")
        for arch in ("armhf", "amd64")
    ]


def test_an_entry_of_a_type_without_url_is_refused():
    with pytest.raises(RuleError, match="type 'other'"):
        urls_of(FileSystems.read(TEXT.replace("type: debian", "type: other", 1)), ARCHS)


@pytest.mark.parametrize("status", [404, 503, 301, None])
def test_a_file_that_does_not_answer_200_keeps_its_name(status):
    moves = Moves({"stretch": "20190506.0", "stretch-igt": "20190506.1"}, ())
    good, bad = FileUrl("stretch-igt", "armhf", "x", "http://a/igt"), FileUrl("stretch", "arm64", "y", "http://a/arm64")
    answers = {"http://a/igt": 200} | ({} if status is None else {"http://a/arm64": status})
    found = confirm(moves, [good, bad], answers)
    assert found.moves == {"stretch-igt": "20190506.1"}
    (kept,) = found.kept
    assert kept.name == "stretch"
    assert kept.reasons == (f"http://a/arm64 answers {status or 'nothing'}",)
    assert [row.arch for row in kept.failed] == ["arm64"]


@pytest.mark.parametrize(
    ("moves", "kept", "subject"),
    [
        ({"stretch": "20190506.0"}, [], "test-configs.yaml: update rootfs URLs to 20190506.0"),
        (
            {"stretch": "20190506.0"},
            ["stretch-v4l2", "stretch-igt"],
            "test-configs.yaml: update rootfs URLs to 20190506.0 except stretch-igt, stretch-v4l2",
        ),
        (
            {"stretch": "20190322.10", "stretch-igt": "20190322.9"},
            [],
            "test-configs.yaml: update rootfs URLs to 20190322.9, 20190322.10",
        ),
    ],
)
def test_the_commit_says_the_version_and_who_stays_behind(moves, kept, subject):
    assert commit_subject(moves, kept) == subject


def test_nothing_to_move_is_nothing_to_commit():
    with pytest.raises(RuleError):
        commit_subject({}, ["stretch"])
