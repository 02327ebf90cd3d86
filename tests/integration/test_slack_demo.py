"""The whole release of the demonstration on Slack: approved by reactions, through everything that Slack may do."""

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest

from kcibot.chat.room import Room
from kcibot.sandbox.bot_process import BotProcess
from kcibot.sandbox.demo import AUTO_RATE, BUSY_MINUTES, PERSONS
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot.sandbox.play import Play
from kcibot.sandbox.proof import Proof
from kcibot.sandbox.slack.room import CHANNEL, SlackRoom, slack_room
from kcibot.sandbox.slack.stand_in import SlackStandIn
from kcibot.sandbox.voices import voices

BETWEEN_SECONDS = 1.0

pytestmark = pytest.mark.slow


def test_a_whole_release_is_played_on_slack(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "kcibot", "demo", "--auto", "--chat", "slack", "--folder", str(tmp_path / "demo")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_nothing_is_lost_or_said_twice_whatever_slack_does_and_however_often_the_bot_is_killed(tmp_path: Path) -> None:
    with slack_room(tmp_path / "demo", PERSONS) as place, played_on(tmp_path / "demo", place) as (sandbox, bot):
        room = Room(tmp_path / "demo" / "room", sandbox.clock.now)
        proof = Proof(sandbox)
        with voices(room, [place], PERSONS) as stage, troubles(place.slack, bot) as happened:
            told = Play(stage, sandbox.clock, lambda: True, lambda: sandbox.keep_busy(BUSY_MINUTES)).run()
        assert [*told, *proof.missing()] == []
    assert min(Counter(happened).values()) > 1
    assert place.slack.lost == ()
    assert said_twice(place.slack) == []


def said_twice(slack: SlackStandIn) -> list[str]:
    keys = Counter(str(one.metadata["event_payload"]["key"]) for one in slack.posted(CHANNEL) if one.metadata)
    return [key for key, count in keys.items() if count > 1]


@contextmanager
def played_on(folder: Path, place: SlackRoom) -> Iterator[tuple[Sandbox, BotProcess]]:
    sandbox, bot = Sandbox(folder, AUTO_RATE, networks=[place.network]), BotProcess(folder)
    sandbox.start()
    try:
        bot.start()
        yield sandbox, bot
    finally:
        bot.stop()
        sandbox.stop()


@contextmanager
def troubles(slack: SlackStandIn, bot: BotProcess) -> Iterator[list[str]]:
    """One after the other, until the end: events twice, connections lost, too many requests, and the bot killed."""

    def kill() -> None:
        bot.kill()
        bot.start()

    kinds = {
        "duplicate": lambda: slack.duplicate(5),
        "disconnect": slack.disconnect,
        "drop": slack.drop_sockets,
        "429 of posts": lambda: slack.rate_limit("chat.postMessage", 1, 2),
        "429 of edits": lambda: slack.rate_limit("chat.update", 1, 2),
        "kill": kill,
    }
    happened: list[str] = []
    over = threading.Event()

    def make() -> None:
        for name in cycle(kinds):
            if over.wait(BETWEEN_SECONDS):
                return
            kinds[name]()
            happened.append(name)

    maker = threading.Thread(target=make)
    maker.start()
    try:
        yield happened
    finally:
        over.set()
        maker.join()
