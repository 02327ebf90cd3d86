"""A release in miniature and a Jenkins beside it, so that the release can be taken back as a whole."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType

from kcibot.core.ports import Ports
from kcibot.core.procedure import Procedure
from kcibot.core.run import Run
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.jenkins import JenkinsStandIn
from kcibot.services.jenkins.adapter import JenkinsServer
from kcibot_commands import approvals, production, runs
from kcibot_commands.images.verbs import build_images, push_images
from kcibot_commands.monitor.steps import pause_monitor
from kcibot_commands.plan.steps import plan
from kcibot_commands.production import open_production, push_core, take_production_lock
from kcibot_commands.rollback import verbs as rollback
from tests.fakes.bench import BEGINS, Bench
from tests.fakes.ci_bench import BISECTION, MONITOR, TIMER, TOKEN, TRIGGER, CiClock, definition
from tests.fakes.kernelci_bench import Kernelci, alerts, kernelci, lines, start, stuck, with_ports

SMALL = Procedure("release", plan, take_production_lock, push_core, open_production, title="Release")
WITH_IMAGES = Procedure(
    "release", plan, take_production_lock, push_core, build_images, push_images, open_production, title="Release"
)
BROKEN = Procedure("release", plan, take_production_lock, pause_monitor, push_core, stuck(), title="Release")


@dataclass
class Yard:
    """KernelCI in miniature, and a Jenkins with the monitor in the same time."""

    place: Kernelci
    jenkins: JenkinsStandIn
    ci: JenkinsServer
    clock: SandboxClock

    @property
    def ports(self) -> Ports:
        return with_ports(self.place.ports, ci=self.ci)

    def bench(self, *modules: ModuleType, ports: Ports | None = None, sections: tuple[object, ...] = ()) -> Bench:
        verbs = (approvals, production, rollback, runs, *modules)
        return self.place.bench(*verbs, clock=CiClock(self.clock), ports=ports or self.ports, sections=sections)


@contextmanager
def yard(folder: Path, *, machines: bool = False) -> Iterator[Yard]:
    with kernelci(folder, machines=machines) as place:
        clock = SandboxClock.create(folder / "ci-clock.json", begins=BEGINS)
        with JenkinsStandIn(clock, "bot", TOKEN, nodes=2, executors=2) as jenkins:
            jenkins.create_job(MONITOR, definition("CONFIG_LIST", timer=TIMER))
            jenkins.create_job(TRIGGER, definition("BUILD_CONFIG"))
            jenkins.create_job(BISECTION, definition("TARGET"))
            server = JenkinsServer(jenkins.url, "bot", lambda: TOKEN, timeout_seconds=1.0)
            yield Yard(place, jenkins, server, clock)


def released(bench: Bench, procedure: Procedure = SMALL) -> Run:
    """A release as far as that procedure goes."""
    run = start(bench, procedure)
    return bench.run(run.id)


def asked(bench: Bench, words: str = "") -> Run:
    """A rollback is begun, and people are asked; the run."""
    bench.say("operator", f"!release rollback {words}".strip())
    bench.settle()
    return bench.journal.runs(1)[0]


def shown(bench: Bench, run: Run, times: int = 1) -> str:
    """What the gate says, asked for the how manyth time."""
    return lines(bench, f"run:{run.id}:gate:rollback:{times}")


def approve(bench: Bench, run: Run, times: int = 1) -> Run:
    """It is approved, and goes on until it ends, breaks, or asks again."""
    bench.react("manager-1", f"run:{run.id}:gate:rollback:{times}")
    return until(bench, run, lambda now: stands(bench, now))


def gone_on(bench: Bench, run: Run) -> Run:
    """As far as it goes now."""
    return until(bench, run, lambda now: stands(bench, now))


def stands(bench: Bench, run: Run) -> bool:
    """Whether only people can bring it on."""
    return run.ended or run.state.value in {"failed", "unknown"} or bool(bench.journal.open_asks())


def until(bench: Bench, run: Run, what: Callable[[Run], bool]) -> Run:
    for _ in range(80):
        now = bench.run(run.id)
        if what(now):
            return now
        bench.tick(timedelta(seconds=15))
    raise AssertionError([(step.id, step.state.value, step.text) for step in bench.run(run.id).steps])


def rolled_back(bench: Bench, words: str = "") -> Run:
    """The last release is taken back to the end."""
    run = approve(bench, asked(bench, words))
    assert run.state.value == "succeeded", alerts(bench)
    return run


def texts(run: Run) -> dict[str, str]:
    return {step.id: f"{step.state.value}: {step.text}" for step in run.steps}
