"""URLs go back line by line: what is still as the release left it, and no half of an entry without the other."""

import pytest

from kcibot_commands.rules.rootfs_back import back

TEXT = """\
file_systems:

  # the smallest one
  debian_buster_ramdisk:
    type: debian
    ramdisk: 'buster/{b}/{{arch}}/rootfs.cpio.gz'

  debian_buster_nfs:
    type: debian
    ramdisk: 'buster/{b}/{{arch}}/initrd.cpio.gz'
    nfs: 'buster/{n}/{{arch}}/full.rootfs.tar.xz'
    root_type: nfs

  debian_sid_ramdisk:
    type: debian
    ramdisk: 'sid/{s}/{{arch}}/rootfs.cpio.gz'
"""
OLD, NEW, LATER = "20261101.0", "20261108.0", "20261115.2"


def text(buster: str, sid: str, nfs: str = "") -> str:
    return TEXT.format(b=buster, n=nfs or buster, s=sid)


def test_every_line_that_moved_goes_back_and_no_other_character_changes() -> None:
    found = back(text(NEW, NEW), text(OLD, OLD), text(NEW, NEW))
    assert found.text == text(OLD, OLD)
    assert found.moves == {"buster": (NEW, OLD), "sid": (NEW, OLD)}
    assert found.left == ()


def test_what_did_not_move_with_the_release_stays() -> None:
    found = back(text(NEW, LATER), text(OLD, LATER), text(NEW, LATER))
    assert found.text == text(OLD, LATER)


def test_an_entry_that_somebody_moved_on_is_left_alone_and_named() -> None:
    found = back(text(NEW, LATER), text(OLD, OLD), text(NEW, NEW))
    assert found.text == text(OLD, LATER)
    assert found.left == ("debian_sid_ramdisk",)


@pytest.mark.parametrize("half", [LATER, OLD])
def test_an_entry_of_which_one_half_was_moved_is_left_alone_as_a_whole(half: str) -> None:
    found = back(text(NEW, NEW, half), text(OLD, OLD), text(NEW, NEW))
    assert "nfs: 'buster/" + half in found.text
    assert f"    ramdisk: 'buster/{NEW}/{{arch}}/initrd.cpio.gz'" in found.text
    assert f"    ramdisk: 'buster/{OLD}/{{arch}}/rootfs.cpio.gz'" in found.text
    assert found.left == ("debian_buster_nfs",)


def test_what_is_back_already_is_no_change_and_nothing_to_say() -> None:
    found = back(text(OLD, OLD), text(OLD, OLD), text(NEW, NEW))
    assert (found.text, found.changes, found.left) == (text(OLD, OLD), (), ())


def test_a_name_that_is_gone_by_now_is_nothing_to_take_back() -> None:
    head = text(NEW, NEW).replace("sid/", "trixie/")
    assert back(head, text(OLD, OLD), text(NEW, NEW)).text == head.replace(f"buster/{NEW}", f"buster/{OLD}")
