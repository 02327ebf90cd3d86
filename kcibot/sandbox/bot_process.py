"""The bot as a process of its own beside the sandbox, so that it can be killed and come back."""

import os
import signal
import subprocess
import sys
from pathlib import Path

STOPPING_SECONDS = 30.0


class BotProcess:
    """One bot on one folder: the sandbox's configuration, clock and room. Its log goes to `bot.log` there.

    However this program ends, the bot stops: it listens to a pipe of which nobody else has the other end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._held: int | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process that was started last; 0 if none was."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        self._hang_up()
        heard, self._held = os.pipe()
        argv = (sys.executable, "-m", "kcibot", "run", "--config", "config.yaml", "--clock", "clock.json")
        bound, null = ("--bound", str(heard)), subprocess.DEVNULL
        with (self._folder / "bot.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (our own program)
                (*argv, *bound),
                cwd=self._folder,
                stdin=null,
                stdout=log,
                stderr=log,
                pass_fds=(heard,),
                start_new_session=True,
            )
        os.close(heard)

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
        finally:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None
