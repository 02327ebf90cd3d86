"""The newcomer's way in: one command, no account, and a room that answers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PATIENCE_SECONDS = 40.0


class Visit:
    """`kcibot demo` with its keyboard and its screen."""

    def __init__(self, folder: Path) -> None:
        argv = [sys.executable, "-m", "kcibot", "demo", "--folder", folder.name]
        self.process = subprocess.Popen(
            argv,
            cwd=folder.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self.process.stdout
        os.set_blocking(self.process.stdout.fileno(), False)
        self.screen = ""

    def type(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def see(self, text: str) -> None:
        assert self.process.stdout
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.screen:
            assert time.monotonic() < deadline, f"“{text}” was not seen in:\n{self.screen}"
            self.screen += (self.process.stdout.read() or b"").decode(errors="replace")
            time.sleep(0.02)  # a person looks again


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    one = Visit(tmp_path / "demo")
    try:
        yield one
    finally:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGTERM)
            one.process.wait(30)


def test_a_newcomer_is_told_what_to_type_and_gets_answers(visit: Visit) -> None:
    visit.see("!release prepare")
    visit.type("!ping hello")
    visit.see("pong hello")
    visit.type("!relase plan")
    visit.see("Did you mean !release plan")
    visit.type("/as observer")
    visit.type("!release prepare")
    visit.see("needs the role operator")
    visit.type("/kill")
    visit.see("It starts again")
    visit.type("!whoami")
    visit.see("You are observer")
    visit.type("/quit")
    assert visit.process.wait(60) == 0
