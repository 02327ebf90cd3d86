"""What every server of the tests needs: its programs, a free port, a start that is seen to be over, and an end."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

REQUIRED = "KCIBOT_REQUIRE_SERVICES"
POLL_SECONDS = 0.02
END_SECONDS = 20


def needed(programs: Sequence[str], packages: str, *, root: bool = False) -> None:
    """Skip the test, and say what to install; with KCIBOT_REQUIRE_SERVICES=1 that is a failure."""
    missing = [
        program for program in programs if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    ]
    if not missing and (not root or os.geteuid() == 0):
        return
    why = f"needs {'root and ' if root else ''}{', '.join(programs)}: apt-get install {packages}"
    if os.environ.get(REQUIRED, "0") not in {"", "0"}:
        pytest.fail(why)
    pytest.skip(why)


def _path() -> str:
    """Servers are where only root looks by itself."""
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def folder_for(name: str) -> Iterator[Path]:
    """A short path, since sockets allow some 100 characters, that a server which drops root can enter."""
    with tempfile.TemporaryDirectory(prefix=f"kci-{name}-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def running(argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """The process id of a server; its whole group is ended with the block."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PATH": _path(), **(environment or {})},
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(END_SECONDS)


def until(ready: Callable[[], bool], log: Path, seconds: float = 20) -> None:
    """Wait until the server is ready; if it never is, fail with the end of its log."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return
        time.sleep(POLL_SECONDS)
    pytest.fail(f"it did not start within {seconds} s: {log.read_text(errors='replace')[-2000:]}")


def listens(port: int) -> Callable[[], bool]:
    """Whether something takes connections there."""

    def connects() -> bool:
        with socket.socket() as probe:
            probe.settimeout(2)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return connects
