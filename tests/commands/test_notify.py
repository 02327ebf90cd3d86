"""Who is told when something ends: `!notify`, and the verdict on a pipe cleaner."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.sandbox.kernelci.jobs import Settings
from kcibot.sandbox.kernelci.world import Sandbox
from tests.fakes.bench import Bench
from tests.fakes.pipecleaner_bench import bot, forward, start
from tests.fakes.sandbox_bench import sandbox


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path, Settings(kernels=12, failure_rate=0.0, kernel_minutes=(1.0, 3.0))) as made:
        yield made


def titles(bench: Bench, who: str, text: str) -> str:
    bench.deliver()
    bench.say(who, text)
    (key,) = [key for key in bench.deliver() if key.startswith("reply:")]
    notice = bench.notices[key]
    return "\n".join((notice.title, *notice.lines))


def test_everybody_who_wants_to_know_is_mentioned_with_the_verdict_when_people_are_asked(world: Sandbox) -> None:
    bench = bot(world)
    assert "I mention you at every verdict on a pipe cleaner" in titles(bench, "observer", "!notify pipecleaner")
    titles(bench, "manager-2", "!notify pipe-cleaner")
    titles(bench, "manager-2", "!notify pipecleaner --off")
    number = start(bench)
    forward(bench, number)
    bench.deliver()
    (told,) = [notice for key, notice in bench.notices.items() if "verdict" in key]
    assert told.mentions == ("operator", "observer")
    assert told.lines[-1] == "People are asked now: “Accept the pipe cleaner's results”."
    assert told.picture
    (ask,) = bench.journal.open_asks()
    assert bench.notices[ask.message_key].mentions == ("manager-1", "manager-2")


def test_alone_it_lists_what_one_is_told_of(world: Sandbox) -> None:
    bench = bot(world)
    titles(bench, "observer", "!notify drain")
    listed = titles(bench, "observer", "!notify").splitlines()
    assert listed == [
        "observer, I mention you",
        "at the end of every drain: !notify drain --off ends that",
        "not at every verdict on a pipe cleaner, when people are asked to accept it: !notify pipecleaner changes that",
        "not at the end of every release: !notify release changes that",
    ]
    assert "Did you mean release?" in titles(bench, "observer", "!notify relase")
    assert "I can tell you of drain, pipecleaner and release" in titles(bench, "observer", "!notify images")
