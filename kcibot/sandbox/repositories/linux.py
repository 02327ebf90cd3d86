"""The sandbox's kernelci/linux: stable releases as tags, and the pipe cleaner's branch on top of one of them."""

from datetime import datetime, timedelta

from kcibot.sandbox.repositories.history import History

BRANCH = "kernelci.org"
RELEASES = ("5.10.74", "5.10.75", "5.10.76", "5.10.77", "5.10.78", "5.10.79", "5.10.80")
FIXES = (
    ("drivers/net/usb/lan78xx.c", "net: usb: lan78xx: fix a race when the link goes down"),
    ("arch/arm64/kernel/perf_event.c", "arm64: perf: keep the counters over a suspend"),
    ("fs/ext4/inode.c", "ext4: check the size before the pages are written"),
)


def linux(now: datetime) -> History:
    """The branch is at the last pipe cleaner's commit, made a week before `now` on the release before the newest."""
    history = History(head=BRANCH)
    history.write("README", "Linux kernel\n============\n")
    for path, _subject in FIXES:
        history.write(path, "// SPDX-License-Identifier: GPL-2.0\n")
    history.write("Makefile", "# SPDX-License-Identifier: GPL-2.0\nVERSION = 5\nPATCHLEVEL = 10\nSUBLEVEL = 73\n")
    history.commit("Linux 5.10.73", now - timedelta(weeks=9))
    marks = {version: _stable(history, version, now - timedelta(weeks=8 - n)) for n, version in enumerate(RELEASES)}
    at = now - timedelta(weeks=1)
    name = f"kernelci-{at:%Y%m%d}.0"
    history.start_from(marks["5.10.79"])
    history.write(BRANCH, f"{name}\n")
    history.tag(name, history.commit(name, at), at)
    return history


def _stable(history: History, version: str, at: datetime) -> int:
    sublevel = int(version.rpartition(".")[2])
    for hours, (path, subject) in enumerate(FIXES):
        history.append(path, f"/* {version} */")
        history.commit(subject, at - timedelta(hours=9 - hours))
    history.edit("Makefile", f"SUBLEVEL = {sublevel - 1}\n", f"SUBLEVEL = {sublevel}\n")
    mark = history.commit(f"Linux {version}", at)
    history.tag(f"v{version}", mark, at, f"This is the {version} stable release")
    return mark
