"""A person's own client: irssi in a terminal that tmux keeps, typed into and looked at."""

import os
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.floor import POLL_SECONDS, folder_for, needed

SESSION = "h"
PATIENCE_SECONDS = 20.0
"""irssi takes some four seconds until it has joined anything."""


class Irssi:
    """What is on the screen, and what is typed."""

    def __init__(self, tmux: Sequence[str]) -> None:
        self._tmux = tmux

    def type(self, line: str) -> None:
        self._do("send-keys", "-t", SESSION, "-l", line)
        self._do("send-keys", "-t", SESSION, "Enter")

    @property
    def screen(self) -> str:
        return self._do("capture-pane", "-p", "-t", SESSION)

    def see(self, text: str) -> str:
        """The screen as soon as that is on it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in (screen := self.screen):
            if time.monotonic() > deadline:
                pytest.fail(f"“{text}” is not to be seen in:\n{screen}")
            time.sleep(POLL_SECONDS)
        return screen

    def _do(self, *words: str) -> str:
        done = subprocess.run([*self._tmux, *words], check=True, capture_output=True, text=True, timeout=20)
        return done.stdout


@contextmanager
def irssi(port: int, nick: str) -> Iterator[Irssi]:
    """Somebody of that nick, connected to the server there; it has joined nothing yet."""
    needed(["irssi", "tmux"], "irssi tmux")
    with folder_for("irssi") as folder:
        tmux = ("tmux", "-L", f"kci-{uuid.uuid4().hex[:8]}", "-f", "/dev/null")
        command = f"irssi --home={folder}/irssi -c 127.0.0.1 -p {port} -n {nick}"
        _start(tmux, command, folder)
        try:
            yield Irssi(tmux)
        finally:
            subprocess.run([*tmux, "kill-server"], check=False, capture_output=True, timeout=20)


def _start(tmux: Sequence[str], command: str, folder: Path) -> None:
    environment = {**os.environ, "TERM": "screen", "LANG": "C.UTF-8", "HOME": str(folder), "TMUX": ""}
    size = ("-x", "160", "-y", "50")
    subprocess.run([*tmux, "new-session", "-d", "-s", SESSION, *size, command], check=True, env=environment, timeout=20)
