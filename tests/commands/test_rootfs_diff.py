"""The edit of the URLs, byte for byte: what the gate shows, what Git has, and nothing else."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kcibot.core.run import RunState
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot.sandbox.storage import rootfs_folder
from kcibot_commands.rootfs.builds import RootfsBuild
from kcibot_commands.rootfs.verbs import UPDATE
from kcibot_commands.rules.rootfs_moves import ArchResult, Outcome
from tests.fakes.kernelci_bench import start
from tests.fakes.rootfs_bench import FILE, approve, bot, push_to, shown
from tests.fakes.sandbox_bench import sandbox

DIFF = """\
   debian_buster_nfs:
     type: debian
-    ramdisk: 'buster/20200821.0/{arch}/initrd.cpio.gz'
-    nfs: 'buster/20200821.0/{arch}/full.rootfs.tar.xz'
+    ramdisk: 'buster/20200911.0/{arch}/initrd.cpio.gz'
+    nfs: 'buster/20200911.0/{arch}/full.rootfs.tar.xz'
     root_type: nfs
"""
SEPTEMBER_2020 = """\
# Everything that a dump would lose: comments, anchors, aliases, merge keys, and the order.
file_system_types:
  debian: &debian
    url: 'http://storage.kernelci.org/images/rootfs/debian'  # the file server
    arch_map:
      armhf: [{arch: arm}]

file_systems:

  debian_buster_nfs:
    type: debian
    ramdisk: 'buster/20200821.0/{arch}/initrd.cpio.gz'
    nfs: 'buster/20200821.0/{arch}/full.rootfs.tar.xz'
    root_type: nfs

test_plans:
  baseline-nfs: &baseline
    rootfs: debian_buster_nfs
  baseline-cip-nfs: {<<: *baseline}
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path) as made:
        yield made


def test_the_gate_and_git_show_the_diff_of_the_procedure_byte_for_byte(world: Sandbox) -> None:
    push_to(world, "main", {FILE: SEPTEMBER_2020})
    archs = ("amd64", "arm64", "armhf")
    for arch in archs:
        world.storage.put_rootfs("buster", "20200911.0", arch)
    rows = tuple(ArchResult("buster", arch, Outcome.BUILT, "20200911.0") for arch in archs)
    bench = bot(world)
    start(bench, UPDATE, RootfsBuild("20200911.0", datetime(2020, 9, 11, tzinfo=UTC), {"buster": archs}, rows))
    in_gate = "\n".join(shown(bench)) + "\n"
    assert f"--- a/{FILE}\n+++ b/{FILE}\n@@ " in in_gate
    assert DIFF in in_gate
    assert approve(bench).state is RunState.SUCCEEDED
    argv = ("git", "-C", str(world.repositories["core"]), "diff", "main~1", "main")
    in_git = subprocess.run(argv, capture_output=True, check=True).stdout
    assert DIFF.encode() in in_git
    changed = [line for line in in_git.splitlines() if line[:1] in {b"-", b"+"} and line[:3] not in {b"---", b"+++"}]
    assert changed == [line for line in DIFF.encode().splitlines() if line[:1] in {b"-", b"+"}]
    now = subprocess.run((*argv[:3], "show", f"main:{FILE}"), capture_output=True, check=True).stdout
    assert now == SEPTEMBER_2020.encode().replace(b"buster/20200821.0/", b"buster/20200911.0/")


def test_an_edit_that_would_reach_another_entry_by_a_merge_key_is_left_to_people(world: Sandbox) -> None:
    merged = SEPTEMBER_2020.replace("debian_buster_nfs:\n", "debian_buster_nfs: &nfs\n", 1)
    merged = merged.replace("\ntest_plans:", "  debian_buster-cip_nfs:\n    <<: *nfs\n\ntest_plans:")
    before = push_to(world, "main", {FILE: merged})
    for file in ("initrd.cpio.gz", "full.rootfs.tar.xz"):
        world.storage.put(f"{rootfs_folder('buster', '20200911.0', 'arm64')}/{file}", b"small")
    row = ArchResult("buster", "arm64", Outcome.BUILT, "20200911.0")
    bench = bot(world)
    run = start(
        bench, UPDATE, RootfsBuild("20200911.0", datetime(2020, 9, 11, tzinfo=UTC), {"buster": ("arm64",)}, (row,))
    )
    assert run.state is RunState.FAILED
    assert "the edit would also change file_systems.debian_buster-cip_nfs.nfs" in run.step("rootfs").text
    assert world.backend.head("core", "main") == before
