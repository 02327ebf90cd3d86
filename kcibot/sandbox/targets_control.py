"""Starts, stops and restarts the sandbox's deployed services: what `systemctl` is on a real machine.

A program of its own, run by the playbooks' handlers and by `Targets`; it needs nothing but Python itself. It keeps no
children: a service it started outlives it.

    python -IS targets_control.py FOLDER start|stop|restart|age NAME...

`age` tells how many seconds each has been running, and fails for one that does not run.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

STOP_SECONDS = 2.0
START_SECONDS = 10.0
CHECK_SECONDS = 0.01


def main(folder: Path, verb: str, names: Sequence[str]) -> int:
    (folder / "run").mkdir(exist_ok=True)
    with (folder / "run" / "control.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if verb in {"stop", "restart"}:
            for name in names:
                stop(folder, name)
        if verb in {"start", "restart"}:
            children = {name: _launch(folder, name) for name in names if not runs(folder, name)}
            for name, child in children.items():
                _wait_until_it_answers(folder, name, child)
        if verb == "age":
            for name in names:
                sys.stdout.write(f"{_age(folder, name):.3f}\n")
    return 0


def _age(folder: Path, name: str) -> float:
    if not runs(folder, name):
        raise SystemExit(f"{name} does not run")
    return time.time() - float(json.loads((folder / "run" / f"{name}.json").read_text())["started"])


def runs(folder: Path, name: str) -> bool:
    """True while the service holds its lock: a process id may belong to somebody else by now."""
    with (folder / "run" / f"{name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def stop(folder: Path, name: str) -> None:
    """Ask it to end, wait for that, and then make it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not runs(folder, name):
            return
        pid = json.loads((folder / "run" / f"{name}.json").read_text())["pid"]
        os.kill(pid, number)
        if _becomes_true(lambda: not runs(folder, name), STOP_SECONDS):
            return
    raise SystemExit(f"{name} does not end")


def _launch(folder: Path, name: str) -> "subprocess.Popen[bytes]":
    program = Path(__file__).with_name("targets_service.py")
    with (folder / "run" / f"{name}.log").open("a") as log:
        return subprocess.Popen(  # noqa: S603 (our own program)
            (sys.executable, "-IS", str(program), str(folder), name),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _wait_until_it_answers(folder: Path, name: str, child: "subprocess.Popen[bytes]") -> None:
    port = json.loads((folder / "services.json").read_text())[name]["port"]

    def answers() -> bool:
        if child.poll() is not None:
            raise SystemExit(f"{name} ended at once, see its log in the folder run")
        state = folder / "run" / f"{name}.json"
        if not state.exists() or json.loads(state.read_text())["pid"] != child.pid:
            return False
        return port == 0 or _asked(port)

    if not _becomes_true(answers, START_SECONDS):
        raise SystemExit(f"{name} does not answer")


def _asked(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=2) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 (OK)
    except OSError:
        return False


def _becomes_true(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(CHECK_SECONDS)
    return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
