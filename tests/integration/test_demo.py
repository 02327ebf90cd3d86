"""The newcomer's way in: one command, no account, and a room that answers."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.chat.room import Room
from kcibot.chat.terminal import Terminal
from tests.fakes.irc_server import until

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


def bots(folder: Path) -> list[int]:
    """The processes that run a bot on that folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"run" in words and b"kcibot" in words and (process / "cwd").resolve() == folder.resolve():
                found.append(int(process.name))
        except OSError:
            continue  # it has ended meanwhile, or is somebody else's
    return found


def test_a_demo_that_is_killed_takes_its_bot_along(visit: Visit, tmp_path: Path) -> None:
    visit.see("!release prepare")
    visit.type("!ping hello")
    visit.see("pong hello")
    assert len(bots(tmp_path / "demo")) == 1
    visit.process.kill()
    until(lambda: bots(tmp_path / "demo") == [], seconds=PATIENCE_SECONDS)


@pytest.mark.parametrize("closed", [False, True])
def test_where_nobody_can_type_the_demo_says_what_to_do(closed: bool, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "kcibot", "demo", "--folder", str(tmp_path / "demo")]
    before = (lambda: os.close(0)) if closed else None
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, preexec_fn=before, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Nobody can type here: ")
    assert "--auto" in done.stderr
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert not (tmp_path / "demo").exists()


def test_what_is_typed_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("!ping\n/as observer\nhello\n")
    room, screen = Room(tmp_path / "room"), io.StringIO()
    with (tmp_path / "lines").open() as lines:
        Terminal(room, ("operator", "observer"), stdin=lines, stdout=screen, linger=0.1).run()
    assert [(event.speaker, event.text) for event in room.read()] == [("operator", "!ping"), ("observer", "hello")]
