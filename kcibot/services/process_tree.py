"""Ends a process with everything that came out of it, wherever process groups do not reach far enough."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")


def child_with(marker: str) -> int | None:
    """The child of this process that has `marker` in its environment; None if there is none, or no /proc."""
    for pid, parent in _parents():
        if parent == os.getpid() and marker.encode() in _environment(pid):
            return pid
    return None


def running(program: str, marker: str) -> list[int]:
    """Processes that have `marker` in their command line or environment, and the program as the end of a word.

    In both, each word has a zero byte before and behind it.
    """
    found = []
    for pid, _parent in _parents():
        words = _command(pid)
        named = any(word.endswith(program.encode()) for word in words.split(b"\0"))
        if named and pid != os.getpid() and marker.encode() in b"\0" + words + _environment(pid):
            found.append(pid)
    return found


def end_tree(root: int) -> None:
    """Kill a process and its descendants.

    Each is stopped before its children are looked for: a parent that still ran could react to the death of a child,
    or start another one meanwhile.
    """
    stopped: list[int] = []
    found = [root]
    while found:
        for pid in found:
            _signal(pid, signal.SIGSTOP)
        stopped += found
        found = [pid for pid, parent in _parents() if parent in stopped and pid not in stopped]
    for pid in reversed(stopped):
        _signal(pid, signal.SIGKILL)


def _parents() -> Iterator[tuple[int, int]]:
    """Every process and its parent; zombies are left out."""
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                yield int(folder.name), int(fields[1])


def _environment(pid: int) -> bytes:
    return _read(pid, "environ")


def _command(pid: int) -> bytes:
    return _read(pid, "cmdline")


def _read(pid: int, name: str) -> bytes:
    """Empty for a process that is gone, or somebody else's."""
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
