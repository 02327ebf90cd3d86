"""One case of the table from end to end: the real bot starts, follows, tries again, waits, compares and proposes."""

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from kcibot.core.run import Run, RunState, StepState
from kcibot.sandbox.jenkins.model import Run as BuildRun
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.settings import production
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands import approvals, runs
from kcibot_commands.pipecleaner import retry as pipecleaner_retry
from kcibot_commands.pipecleaner import verbs as pipecleaner
from kcibot_commands.pipecleaner.configs import PipecleanerSettings
from kcibot_commands.pipecleaner.results import Compared
from kcibot_commands.rules.verdict import Verdict
from tests.fakes.bench import Bench
from tests.fakes.sandbox_bench import sandbox, sandbox_bench
from tests.verdicts.scenarios import Scenario

SMALL = 60
"""Kernels of a world that is played quickly."""
COMPARES = "compare-results"
STARTING, BUILDING, WAITING = timedelta(seconds=10), timedelta(minutes=4), timedelta(minutes=12)
MOST_TICKS = 400
OVER = frozenset({StepState.DONE, StepState.FAILED, StepState.SKIPPED, StepState.UNKNOWN})


@dataclass(frozen=True)
class Played:
    """What the bot proposed for a case, and what is wrong with that: nothing if it is what was expected."""

    scenario: Scenario
    verdict: Verdict | None
    story: str
    seconds: float

    @property
    def proposed(self) -> str:
        return self.verdict.kind.value if self.verdict else "nothing"

    @property
    def reason(self) -> str:
        """The one that the case is about, else the first; without a verdict, where the run stands."""
        if self.verdict is None:
            return self.story
        wanted = [one.text for one in self.verdict.reasons if self._fits(one.rule, one.text)]
        first = [one.text for one in self.verdict.reasons]
        return next(iter([*wanted, *first]), "")

    @property
    def problem(self) -> str:
        """A sentence, empty if all is well."""
        if self.verdict is None:
            return "no verdict was proposed"
        if self.verdict.kind is not self.scenario.expected:
            return f"{self.scenario.expected.value} was expected"
        if self.scenario.rule and not any(self._fits(one.rule, one.text) for one in self.verdict.reasons):
            return f"no reason “{self.scenario.rule}” names {self.scenario.named or 'anything'}"
        if self.scenario.unnamed and any(self.scenario.unnamed in one.text for one in self.verdict.reasons):
            return f"no reason should name {self.scenario.unnamed}"
        return ""

    def _fits(self, rule: str, text: str) -> bool:
        return rule == self.scenario.rule and self.scenario.named in text


def play(scenario: Scenario, folder: Path, kernels: int) -> Played:
    """Play one case in a sandbox of its own, with so many kernels."""
    began = time.monotonic()
    with sandbox(folder, production(kernels, faults=scenario.faults, past=scenario.past)) as world:
        bench = bot(world, scenario)
        run = driven(world, bench, scenario)
        step = run.step(COMPARES)
        verdict = bench.journal.codec.load(Compared, step.value).verdict if step.state is StepState.DONE else None
        current = run.current
        story = f"{run.state.value} at {current.title}: {current.text}" if current else run.state.value
        return Played(scenario, verdict, story, time.monotonic() - began)


def bot(world: Sandbox, scenario: Scenario) -> Bench:
    """The bot with its verbs for pipe cleaners, in that world."""
    earlier = world.baseline.kernel if scenario.earlier is None else scenario.earlier
    if earlier not in {"", world.baseline.kernel}:
        world.jobs.past_run(replace(world.baseline, kernel=earlier))
    settings = PipecleanerSettings(**{"previous": earlier, **scenario.settings})
    modules = (pipecleaner, pipecleaner_retry, approvals, runs)
    return sandbox_bench(world, *modules, sections={PipecleanerSettings: settings})


def driven(world: Sandbox, bench: Bench, scenario: Scenario) -> Run:
    """Say the verb, approve what it asks, and let time pass until the results were compared, or nothing moves."""
    bench.say("operator", "!pipecleaner kernelci")
    (ask,) = bench.journal.open_asks()
    bench.react("manager-1", ask.message_key)
    happens = scenario.after_builds
    for _ in range(MOST_TICKS):
        run = bench.run(1)
        if run.ended or run.state is RunState.FAILED or run.step(COMPARES).state in OVER:
            return run
        if happens and _built(world):
            happens(world)
            happens = None
        bench.tick(_pause(world))
    return bench.run(1)


def _pause(world: Sandbox) -> timedelta:
    """Until the trigger runs seconds count, then minutes; the labs and the mails take hours."""
    if not _triggers(world):
        return STARTING
    return WAITING if _built(world) else BUILDING


def _built(world: Sandbox) -> bool:
    """Whether Jenkins is through with it."""
    return bool(_triggers(world)) and not any(run.building for run in _triggers(world))


def _triggers(world: Sandbox) -> list[BuildRun]:
    """The pipe cleaner's; somebody's build is number 1."""
    job = world.jenkins.world.jobs.find(kci.TRIGGER)
    return [run for number, run in job.runs.items() if number > 1] if job else []
