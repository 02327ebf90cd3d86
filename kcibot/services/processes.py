"""Child processes that outlived a killed bot are ended before it acts again: nothing is in flight that nobody watches.

Every child inherits an environment variable that names its bot. Linux shows the environment of one's own processes
under /proc, so the orphans of an earlier life are found without any record that a crash could have prevented.
"""

import logging
import os
import signal
import time
from pathlib import Path

log = logging.getLogger(__name__)

MARK = "KCIBOT_CHILD_OF"
PATIENCE_SECONDS = 2.0


def mark_children(owner: str) -> None:
    """From now on every child of this process carries `owner` in its environment."""
    os.environ[MARK] = owner


def end_orphans(owner: str) -> int:
    """End every process that an earlier bot of that owner started; how many there were."""
    orphans = _marked(owner)
    for pid in orphans:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _marked(owner) and time.monotonic() < deadline:
        time.sleep(0.05)  # there is nothing to wait on: they are no children of this process
    for pid in _marked(owner):
        _signal(pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (left := _marked(owner)) and time.monotonic() < deadline:
        time.sleep(0.05)  # a killed process may act until it is gone
    if left:
        log.error("processes %s of an earlier bot cannot be ended: what they began is still in flight", left)
    if orphans:
        log.warning("ended %s processes that an earlier bot left behind", len(orphans))
    return len(orphans)


def _marked(owner: str) -> list[int]:
    needle = f"{MARK}={owner}".encode()
    return [pid for pid in _pids() if pid != os.getpid() and needle in _environment(pid).split(b"\0")]


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _environment(pid: int) -> bytes:
    """Empty for a process that is gone, a zombie, or somebody else's."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        log.debug("process %s has ended by itself", pid)
