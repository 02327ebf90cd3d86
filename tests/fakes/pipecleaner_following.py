"""Looking at a pipe cleaner of the sandbox while it is followed: what its step and its messages say."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from kcibot.core.run import StepState
from kcibot.sandbox.kernelci.settings import Faults, Settings
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands.pipecleaner.record import topic
from tests.fakes.bench import Bench
from tests.fakes.sandbox_bench import sandbox

KERNELS = 20
AMBIENT = 12
"""So many kernel builds are somebody's, before ours."""
STEP = "run-pipe-cleaner"
ALWAYS = 1_000_000
TWO = timedelta(minutes=2)


@contextmanager
def kernelci(folder: Path, **faults: Any) -> Iterator[Sandbox]:
    with sandbox(folder, Settings(kernels=KERNELS, failure_rate=0.0, faults=Faults(**faults))) as made:
        yield made


def text(bench: Bench, number: int) -> str:
    return bench.run(number).step(STEP).text


def until(bench: Bench, number: int, words: str, step: timedelta = TWO) -> str:
    """Let time pass until the step says that."""
    for _ in range(120):
        if words in text(bench, number) or bench.run(number).step(STEP).state is not StepState.WAITING:
            break
        bench.tick(step)
    assert words in text(bench, number)
    return text(bench, number)


def messages(bench: Bench, word: str) -> list[str]:
    bench.deliver()
    return ["\n".join((one.title, *one.lines)) for one in bench.notices.values() if word in one.title]


def given(run: Any) -> dict[str, str]:
    """A build's parameters."""
    return {one.name: one.value for one in run.parameters}


def kept(bench: Bench, number: int) -> Mapping[str, object]:
    return bench.journal.recall(topic(number, 1))
