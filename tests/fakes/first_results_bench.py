"""A Jenkins and a results API after a release: what the monitor starts, and what becomes of it, is said by the test."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from kcibot.core.notice import Notice
from kcibot.core.ports import Revision
from kcibot.core.watching import Watching
from kcibot.core.world import World
from kcibot.sandbox.jenkins.model import ParameterValue, Run, UpstreamCause
from kcibot.sandbox.results_api import ResultsApiStandIn
from kcibot.sdk import Remember
from kcibot.services.kernelci_api.adapter import KernelciApi
from kcibot_commands.first_results import steps as first_results
from kcibot_commands.first_results import watch as first_results_watch
from kcibot_commands.first_results.state import WATCHED, Watched
from kcibot_commands.first_results.steps import FirstResultsSettings
from tests.fakes.ci_bench import MONITOR, TRIGGER, CiBench, ci_bench, definition

KERNEL_BUILD = "kernel-build"
TOKEN = "5e0b8f7a-0000-4000-8000-a91f0c3d2b61"
LABS = ("lab-one", "lab-two", "lab-three")
ARCH = "arm64"
SETTINGS = FirstResultsSettings()
RUN = 7


@dataclass
class After:
    """The hours after a release. `world` is the bot's, `watching` its watches: made anew they are its next life."""

    ci: CiBench
    api: ResultsApiStandIn
    world: World
    watching: Watching = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The bot comes back: its watches look at once."""
        self.watching = Watching(self.world)

    def begin(self, first: int = 1, configs: int = 0, run: int = RUN) -> None:
        """What the step of the release leaves behind."""
        now = self.ci.bench.clock.now()
        watched = Watched(run, f"Release {run}", ("operator",), first, configs, now, now + SETTINGS.watch)
        self.world.journal.commit([Remember(WATCHED, str(run), watched.json)])

    def pass_time(self, span: timedelta, step: timedelta = SETTINGS.look) -> None:
        """Let the watch look as often as it does."""
        while span > timedelta():
            self.ci.bench.clock.forward(min(step, span))
            span -= step
            self.watching.tick()

    # ---- Jenkins -----------------------------------------------------------------------------------------------

    def monitor(self, *configs: str, result: str = "SUCCESS") -> int:
        """A build of the monitor, and a trigger of each config; the build's number."""
        number = self._run(MONITOR, {}, None, result)
        for config in configs:
            self.trigger(config, number)
        return number

    def trigger(self, config: str, monitor: int, kernels: int = 2) -> int:
        """A trigger that runs, with some kernel builds; its number."""
        number = self._run(TRIGGER, {"BUILD_CONFIG": config}, (MONITOR, monitor), None)
        for _ in range(kernels):
            self._run(KERNEL_BUILD, self._parameters(config), (TRIGGER, number), None)
        return number

    def end(self, trigger: int, result: str = "SUCCESS") -> None:
        with self.ci.jenkins.loop.lock:
            job = self.ci.jenkins.world.jobs.find(TRIGGER)
            assert job
            job.runs[trigger].result, job.runs[trigger].ended = result, self._now

    def _run(self, job: str, parameters: Mapping[str, str], parent: tuple[str, int] | None, result: str | None) -> int:
        with self.ci.jenkins.loop.lock:
            made = self.ci.jenkins.world.jobs.find(job)
            assert made
            number, made.next_number = made.next_number, made.next_number + 1
            values = tuple(ParameterValue("string", name, value) for name, value in parameters.items())
            causes = (UpstreamCause(*parent, f"job/{parent[0]}/"),) if parent else ()
            ended = self._now if result else None
            made.runs[number] = Run(made, number, 0, values, causes, self._now, ended=ended, result=result)
            return number

    def _parameters(self, config: str) -> Mapping[str, str]:
        revision = revision_of(config)
        return {
            "TREE_NAME": revision.tree,
            "BRANCH": revision.branch,
            "GIT_DESCRIBE": revision.kernel,
            "BUILD_CONFIG": config,
            "ARCH": ARCH,
        }

    @property
    def _now(self) -> float:
        return self.ci.bench.clock.now().timestamp()

    # ---- the results API ---------------------------------------------------------------------------------------

    def results(self, config: str, passed: int, failed: int, kernel: str = "", labs: tuple[str, ...] = LABS) -> None:
        """All builds of the config's revision are done, and labs have sent results."""
        self.build(config, passed, failed, kernel)
        tree, branch, named = self._names(config, kernel)
        self.api.revision_done(tree, branch, named)
        for lab in labs:
            self.api.post_tests(tree, branch, named, lab, "board-1", "baseline", 5, 0)

    def build(self, config: str, passed: int, failed: int, kernel: str = "") -> None:
        """Kernels that are built, with more to come."""
        for number in range(passed + failed):
            status = "PASS" if number < passed else "FAIL"
            self.api.post_kernel(*self._names(config, kernel), "0" * 40, ARCH, f"config-{number}", "gcc-10", status)

    def history(self, config: str, *rates: int, labs: tuple[str, ...] = LABS) -> None:
        """Earlier revisions of the branch with 40 kernels, of which so many passed."""
        for number, passed in enumerate(rates):
            self.results(config, passed, 40 - passed, f"v5.12-rc{number + 1}", labs)
            self.ci.forward(hours=1)

    def _names(self, config: str, kernel: str) -> tuple[str, str, str]:
        revision = revision_of(config)
        return revision.tree, revision.branch, kernel or revision.kernel

    # ---- what is said ------------------------------------------------------------------------------------------

    def said(self, name: str = "", run: int = RUN) -> str:
        """The message that is edited, or the one with that name, as it reads now; empty if there is none."""
        notice = self.notice(name, run)
        return "\n".join((notice.title, *notice.lines)) if notice else ""

    def notice(self, name: str = "", run: int = RUN) -> Notice | None:
        self.ci.bench.deliver()
        return self.ci.bench.notices.get(f"first-results:{run}{f':{name}' if name else ''}")


def revision_of(config: str) -> Revision:
    return Revision(config, "master", f"v5.12-{config}")


@contextmanager
def after(folder: Path) -> Iterator[After]:
    with ci_bench(folder) as ci:
        names = ("TREE_NAME", "BRANCH", "GIT_DESCRIBE", "BUILD_CONFIG", "ARCH")
        ci.jenkins.create_job(KERNEL_BUILD, definition(*names))
        ci.jenkins.create_job(MONITOR, definition("CONFIG_LIST"))  # without a timer: the test says when it runs
        with ResultsApiStandIn(TOKEN, lambda: "", now=ci.bench.clock.now) as api:
            ci.bench.world.registry.add(first_results)
            ci.bench.world.registry.add(first_results_watch)
            adapter = KernelciApi(api.url, lambda: TOKEN, {}, timeout_seconds=1.0)
            ports = replace(ci.bench.world.ports, results=adapter)
            watches = {"first results": first_results_watch.FIRST_RESULTS}
            ci.bench.world.registry.watches.clear()
            ci.bench.world.registry.watches.update(watches)
            yield After(ci, api, replace(ci.bench.world, ports=ports))
