"""Pipe cleaners in the sandbox: real Git, real HTTP, two dozen kernels, time put forward by hand."""

from datetime import timedelta
from typing import Any

from kcibot.core.run import Run, RunState, StepState
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot.sdk import Gate, Procedure
from kcibot_commands import approvals, notify, runs
from kcibot_commands.pipecleaner import history as pipecleaner_history
from kcibot_commands.pipecleaner import status as pipecleaner_status
from kcibot_commands.pipecleaner import verbs as pipecleaner
from kcibot_commands.pipecleaner.configs import PipecleanerArgs, PipecleanerSettings
from kcibot_commands.pipecleaner.results import Compared
from kcibot_commands.pipecleaner.run import Cleaned
from kcibot_commands.pipecleaner.verbs import (
    about_results,
    accept_results,
    compare_results,
    prepare_pipe_cleaner,
    run_pipe_cleaner,
)
from tests.fakes.bench import ROOM, Bench
from tests.fakes.sandbox_bench import sandbox_bench

KERNELS = 24
ACCEPTED = Procedure(
    "accepted",
    prepare_pipe_cleaner,
    run_pipe_cleaner,
    compare_results,
    Gate("accept", "Accept the pipe cleaner's results", about=about_results),
    accept_results,
)
"""As inside a release: with the gate that accepts."""


def bot(world: Sandbox, **settings: Any) -> Bench:
    given = PipecleanerSettings(**{"tests_quiet": timedelta(), **settings})
    modules = (pipecleaner, pipecleaner_status, pipecleaner_history, notify, approvals, runs)
    bench = sandbox_bench(world, *modules, sections={PipecleanerSettings: given})
    bench.world.registry.procedures[ACCEPTED.name] = ACCEPTED
    return bench


def start(bench: Bench, config: str = "kernelci") -> int:
    """A run that ends with the gate `accept`."""
    outcome = bench.engine.start(ACCEPTED, bench.world.people.get("operator"), ROOM, "Test", PipecleanerArgs(config))
    bench.journal.commit(outcome.changes)
    bench.engine.wake(outcome.wake)
    return bench.run(outcome.wake[0]).id


def forward(bench: Bench, number: int, until: str = "compare-results", minutes: float = 3) -> Run:
    """Let time pass until that step is over, or the run is stuck or over."""
    for _ in range(60):
        run = bench.run(number)
        step = run.step(until)
        if run.ended or step.state not in {StepState.PENDING, StepState.WAITING} or run.state is RunState.FAILED:
            return run
        short = run.current and "monitor" in run.current.text
        bench.tick(timedelta(seconds=10) if short else timedelta(minutes=minutes))
    raise AssertionError(f"{until} is still {bench.run(number).step(until)}")


def approve(bench: Bench) -> None:
    (ask,) = bench.journal.open_asks()
    bench.react("manager-1", ask.message_key)


def compared(bench: Bench, number: int) -> Compared:
    return bench.journal.codec.load(Compared, bench.run(number).step("compare-results").value)


def cleaned(bench: Bench, number: int) -> Cleaned:
    return bench.journal.codec.load(Cleaned, bench.run(number).step("run-pipe-cleaner").value)


def job(world: Sandbox, name: str) -> Any:
    found = world.jenkins.world.jobs.find(name)
    assert found
    return found


def triggers(world: Sandbox, config: str = "kernelci") -> list[dict[str, str]]:
    given = [{one.name: one.value for one in run.parameters} for run in job(world, kci.TRIGGER).runs.values()]
    return [one for one in given if one["BUILD_CONFIG"] == config]


def git(world: Sandbox, *words: str) -> str:
    return world.backend._git("linux", *words)


def said(bench: Bench) -> str:
    bench.deliver()
    return "\n".join("\n".join((one.title, *one.lines)) for one in bench.notices.values())


def once_accepted(bench: Bench) -> int:
    """A first run, accepted, which is the baseline from then on."""
    number = start(bench)
    forward(bench, number)
    approve(bench)
    assert bench.run(number).state is RunState.SUCCEEDED
    return number
