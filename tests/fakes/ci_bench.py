"""A bench with a Jenkins: the real adapter over HTTP to the stand-in, both in one time that is put forward by hand."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import cast

from kcibot.core.gate import GatePolicy, StarterVote
from kcibot.core.notice import Notice
from kcibot.core.ports import GitHost, Ports
from kcibot.core.registry import Registry
from kcibot.core.run import Run
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.jenkins import JenkinsStandIn, succeed_after
from kcibot.sandbox.labs import LavaStandIn
from kcibot.services.jenkins.adapter import JenkinsServer
from kcibot.services.lava.adapter import LavaLab
from kcibot_commands import approvals, drain, drain_verbs, jenkins_restart, notify, production, runs, watch
from kcibot_commands import labs as labs_module
from kcibot_commands.jobs import checklist as jobs_checklist
from kcibot_commands.jobs import remove as jobs_remove
from kcibot_commands.jobs import steps as jobs
from kcibot_commands.monitor import steps as monitor
from kcibot_commands.monitor import verbs as monitor_verbs
from kcibot_commands.monitor.flags import MonitorSettings
from tests.fakes.bench import BEGINS, Bench, HandClock, make_bench

TOKEN = "11aabbccddeeff00112233445566778899"
MODULES: tuple[ModuleType, ...] = (
    *(approvals, drain, drain_verbs, jenkins_restart, jobs, jobs_checklist, jobs_remove, monitor),
    *(labs_module, monitor_verbs, notify, production, runs, watch),
)
MONITOR, TRIGGER, BISECTION = "kernel-tree-monitor", "kernel-build-trigger", "lava-bisection"
TIMER = (
    "<org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty><triggers>"
    "<hudson.triggers.TimerTrigger><spec>H H/2 * * *</spec></hudson.triggers.TimerTrigger>"
    "</triggers></org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty>"
)
PARAMETER = (
    "<hudson.model.StringParameterDefinition><name>{}</name><defaultValue></defaultValue>"
    "</hudson.model.StringParameterDefinition>"
)
SELF = GatePolicy("operator", starter=StarterVote.ALLOWED)


def definition(*parameters: str, timer: str = "", disabled: bool = False, extra: str = "") -> str:
    """A pipeline job's config.xml with these string parameters."""
    shown = "".join(map(PARAMETER.format, parameters))
    block = (
        f"<hudson.model.ParametersDefinitionProperty><parameterDefinitions>{shown}</parameterDefinitions>"
        "</hudson.model.ParametersDefinitionProperty>"
    )
    return (
        f"<flow-definition><properties>{block if parameters else ''}{timer}</properties>{extra}"
        f"<disabled>{str(disabled).lower()}</disabled></flow-definition>"
    )


class CiClock(HandClock):
    """A hand clock that moves the sandbox's time, in which the stand-in lives."""

    def __init__(self, sandbox: SandboxClock) -> None:
        self._sandbox = sandbox

    @property
    def at(self) -> datetime:  # type: ignore[override]
        return self._sandbox.now()

    def now(self) -> datetime:
        return self._sandbox.now()

    def cautious_now(self) -> datetime:
        return self._sandbox.now()

    def forward(self, span: timedelta) -> None:
        self._sandbox.advance(span)


@dataclass
class CiBench:
    """A bench, and the Jenkins that it works with."""

    bench: Bench
    jenkins: JenkinsStandIn
    server: JenkinsServer
    labs: Mapping[str, LavaStandIn]

    def say(self, text: str, who: str = "operator") -> Run:
        """Say it and let everything that is due happen; the newest run, as it stands then."""
        self.bench.say(who, text)
        return self.newest()

    def newest(self) -> Run:
        self.bench.settle()
        return self.bench.journal.runs(1)[0]

    def tick_until_ended(self, span: timedelta = timedelta(seconds=15), most: int = 60) -> Run:
        """Put the time forward until the newest run ends or breaks."""
        for _ in range(most):
            run = self.newest()
            if run.ended or run.state.value in {"failed", "unknown"}:
                return run
            self.bench.tick(span)
        raise AssertionError(f"still {self.newest().state}: {[s.text for s in self.newest().steps]}")

    def approve(self, who: str = "manager-1") -> Run:
        (ask,) = self.bench.journal.open_asks()
        return self.say(f"!approve {ask.code}", who)

    def said(self) -> str:
        """Titles and lines of everything that was said, as it reads now."""
        self.bench.deliver()
        return "\n".join(line for notice in self.bench.notices.values() for line in (notice.title, *notice.lines))

    def notice(self, part: str) -> Notice:
        """The message whose key has that part."""
        self.bench.deliver()
        (found,) = (notice for key, notice in self.bench.notices.items() if part in key)
        return found

    def forward(self, **span: float) -> None:
        self.bench.clock.forward(timedelta(**span))


@contextmanager
def ci_bench(
    folder: Path,
    *,
    git: GitHost | None = None,
    policies: Mapping[str, GatePolicy] | None = None,
    sections: Mapping[type[object], object] | None = None,
    labs: Sequence[str] = (),
) -> Iterator[CiBench]:
    """A Jenkins with the monitor, its trigger, and the bisections; their builds end at once unless told otherwise."""
    clock = SandboxClock.create(folder / "clock.json", begins=BEGINS)
    with JenkinsStandIn(clock, "bot", TOKEN, nodes=2, executors=2) as jenkins, ExitStack() as stack:
        lava = {name: stack.enter_context(LavaStandIn(name, "kernel-ci", TOKEN, clock)) for name in labs}
        jenkins.create_job(MONITOR, definition("CONFIG_LIST", timer=TIMER))
        jenkins.create_job(TRIGGER, definition("BUILD_CONFIG"))
        jenkins.create_job(BISECTION, definition("TARGET"))
        server = JenkinsServer(jenkins.url, "bot", lambda: TOKEN, timeout_seconds=1.0)
        registry = Registry()
        for module in MODULES:
            registry.add(module)
        nothing = dict.fromkeys(("deployer", "images", "mailer", "results", "files"))
        seen = tuple(LavaLab(name, lab.url, "kernel-ci", lambda: TOKEN, "rest", 1.0) for name, lab in lava.items())
        ports = Ports(ci=server, git=cast("GitHost", git), labs=seen, **nothing)  # type: ignore[arg-type]
        bench = make_bench(
            folder,
            registry=registry,
            clock=CiClock(clock),
            ports=ports,
            policies=policies or {},
            sections={MonitorSettings: MonitorSettings(), **(sections or {})},
        )
        yield CiBench(bench, jenkins, server, lava)


def busy(ci: CiBench, seconds: float = 600, job: str = TRIGGER) -> None:
    """A build that runs for so long, begun now."""
    ci.jenkins.behave(job, succeed_after(seconds))
    ci.jenkins.trigger(job, {})
    ci.forward(seconds=11)
