"""One life of the bot, in a process of its own: the real bot between traps, until it is killed or told to stop.

    python -m tests.chaos.life MODULE FOLDER

MODULE has a function `commands` that gives the registry; FOLDER holds config.yaml and clock.json, and the traps.
"""

import importlib
import os
import signal
import sys
import threading
from pathlib import Path

from kcibot import config
from kcibot.app import Bot
from kcibot.core.redact import Redactor
from kcibot.logs import set_up
from kcibot.sandbox.clock import SandboxClock
from tests.chaos.points import AFTER, BEFORE, Traps
from tests.chaos.traps import set_traps

TICK_SECONDS = 0.1
"""Waits are short in the sandbox."""


def live(module: str, folder: Path) -> int:
    traps = Traps(folder, _die)
    commands = importlib.import_module(module).commands()
    redactor = Redactor()
    set_up(redactor, "WARNING")
    traps.reach("opening the store", BEFORE)
    loaded = config.load(folder / "config.yaml", commands.sections)
    bot = Bot(loaded, commands, redactor, SandboxClock(folder / "clock.json"))
    bot._tick_seconds = TICK_SECONDS
    set_traps(bot, traps)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    traps.reach("start", BEFORE)
    bot.start()
    traps.reach("start", AFTER)
    while not stop.wait(0.05) and not bot.failed.is_set():
        pass
    bot.stop()
    return 1 if bot.failed.is_set() else 0


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(live(sys.argv[1], Path(sys.argv[2])))
