"""Children of a killed bot are found by their mark, and ended before the next bot acts."""

import os
import subprocess
import sys

from kcibot.services.processes import MARK, end_orphans


def sleeper(owner: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, MARK: owner})


def test_orphans_of_this_bot_are_ended_and_others_left_alone() -> None:
    ours, theirs = sleeper("bot-a"), sleeper("bot-b")
    try:
        assert end_orphans("bot-a") == 1
        assert ours.wait(5) != 0
        assert theirs.poll() is None
    finally:
        theirs.kill()
        theirs.wait()


def test_without_orphans_nothing_is_ended() -> None:
    assert end_orphans("nobody-has-this-mark") == 0
