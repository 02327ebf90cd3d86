"""The sandbox's room on IRC: a whole release by accounts and reactions, and a visitor who is told how to come in."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kcibot.errors import TransientError, UserError
from kcibot.sandbox.irc import network as irc_network
from kcibot.sandbox.irc.network import PACKAGES, IrcNetwork
from kcibot.sandbox.irc.person import IrcPerson
from tests.fakes.irc_server import until
from tests.servers.floor import needed

PATIENCE_SECONDS = 60.0


def demo(folder: Path, *words: str) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-m", "kcibot", "demo", "--chat", "irc", "--folder", str(folder), *words]
    pipe, same = subprocess.PIPE, subprocess.STDOUT
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=same, start_new_session=True)


@pytest.fixture
def visit(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    needed(["inspircd", "atheme-services", "setpriv"], PACKAGES)
    process = demo(tmp_path / "demo")
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def screen_with(process: "subprocess.Popen[bytes]", text: str) -> str:
    assert process.stdout
    os.set_blocking(process.stdout.fileno(), False)
    deadline, screen = time.monotonic() + PATIENCE_SECONDS, ""
    while text not in screen:
        assert time.monotonic() < deadline, screen
        screen += (process.stdout.read() or b"").decode(errors="replace")
        time.sleep(0.02)  # a person looks again
    return screen


def port_on(screen: str) -> int:
    found = re.search(r"at 127\.0\.0\.1, port (\d+), or port \d+ with TLS", screen)
    assert found, screen
    return int(found[1])


def test_a_visitor_comes_in_with_what_the_screen_says(visit: "subprocess.Popen[bytes]") -> None:
    screen = screen_with(visit, "passer-by")
    port = port_on(screen)
    [row] = [line.split() for line in screen.splitlines() if line.strip().startswith("manager-2 ")]
    person = IrcPerson(port, "me", account=row[0], password=row[1])
    person.join("#kernelci")
    person.wait(lambda one: ("kcibot" in one.text and one.command in {"353", "JOIN"}) or one.nick == "kcibot")
    person.say("#kernelci", "!whoami")
    person.wait_for_text("You are manager-2", "kcibot")
    person.close()
    assert visit.stdin
    visit.stdin.write(b"/quit\n")
    visit.stdin.flush()
    assert visit.wait(60) == 0


def test_of_a_killed_demo_neither_the_bot_nor_the_network_is_left(
    visit: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    screen = screen_with(visit, "passer-by")
    [folder] = {Path(word).parent for word in screen.split() if word.endswith("/cert.pem")}
    port = port_on(screen)
    IrcPerson(port, "me").close()
    parts = (folder / "inspircd.conf", folder / "svc", tmp_path / "demo" / "config.yaml")
    assert all(map(processes_of, parts))
    visit.kill()
    try:
        until(lambda: not any(map(processes_of, parts)))
        with pytest.raises(TransientError, match="nobody answers"):
            IrcPerson(port, "me")
    finally:
        shutil.rmtree(folder)


def processes_of(path: Path) -> list[int]:
    """Those that were told of it in their command line or work beside it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile, or is somebody else's
            words = (process / "cmdline").read_bytes().split(b"\0")
            beside = path.name.encode() in words and (process / "cwd").resolve() == path.parent
            if beside or any(word.startswith(str(path).encode()) for word in words):
                found.append(int(process.name))
    return found


@pytest.mark.slow
def test_a_whole_release_is_played_on_irc(tmp_path: Path) -> None:
    needed(["inspircd", "atheme-services", "setpriv"], PACKAGES)
    process = demo(tmp_path / "demo", "--auto")
    story, _ = process.communicate(timeout=280)
    assert process.returncode == 0, story.decode(errors="replace")[-3000:]


def test_who_has_no_irc_server_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(irc_network, "SERVER_PROGRAM", "an-inspircd-that-is-not-there")
    with pytest.raises(UserError, match="apt-get install inspircd atheme-services"):
        IrcNetwork()
