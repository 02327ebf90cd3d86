"""The bot as a process of its own beside the sandbox, so that it can be killed and come back."""

import os
import signal
import subprocess
import sys
from pathlib import Path

STOPPING_SECONDS = 30.0


class BotProcess:
    """One bot on one folder: the sandbox's configuration, clock and room. Its log goes to `bot.log` there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process that was started last; 0 if none was."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        argv = (sys.executable, "-m", "kcibot", "run", "--config", "config.yaml", "--clock", "clock.json")
        with (self._folder / "bot.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (our own program)
                argv, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """As a power cut would: no warning, no last word."""
        self._signal(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to stop, and wait; its exit status."""
        return self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self.alive:
            os.kill(self._process.pid, number)
        try:
            return self._process.wait(STOPPING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
