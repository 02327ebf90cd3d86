"""A bench for judging alone: the results API's real adapter and stand-in, and pipe cleaners that are built already."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from kcibot.core.ports import BuildRef, Ports
from kcibot.core.registry import Registry
from kcibot.core.run import Run
from kcibot.sandbox.results_api import ResultsApiStandIn
from kcibot.sdk import Context, Done, Gate, Procedure, Step
from kcibot.services.kernelci_api.adapter import KernelciApi
from kcibot_commands import approvals, runs
from kcibot_commands.pipecleaner import verbs as pipecleaner
from kcibot_commands.pipecleaner.accept import about_results, accept_results
from kcibot_commands.pipecleaner.configs import PipecleanerSettings
from kcibot_commands.pipecleaner.results import Compared, compare_results
from kcibot_commands.pipecleaner.run import LAST, TOPIC, Cleaned, run_pipe_cleaner
from kcibot_commands.rules.results import Ended
from tests.fakes.bench import BEGINS, ROOM, Bench, HandClock, make_bench

TREE, BRANCH, COMMIT = "kernelci", "kernelci.org", "0" * 40
KERNELS = {
    f"{arch} {config}": "PASS" for arch in ("arm", "mips", "x86_64") for config in ("defconfig", "tiny", "small")
}
LABS = ("lab-a", "lab-b", "lab-c", "lab-d")
CASES = {f"case-{n}": "PASS" for n in range(60)}


def _was_built(context: Context) -> Done[Cleaned]:
    context.remember(TOPIC, LAST, {"run": context.run.id})
    return Done("built", context.args(Cleaned))


JUDGED = Procedure(
    "judged",
    Step(run_pipe_cleaner.id, run_pipe_cleaner.title, _was_built, Cleaned),
    compare_results,
    Gate("accept", "Accept the pipe cleaner's results", about=about_results),
    accept_results,
)


@dataclass
class Judging:
    """A bot that judges runs whose results are there already."""

    api: ResultsApiStandIn
    bench: Bench

    def results(
        self,
        kernel: str,
        changed: Mapping[str, str] | None = None,
        *,
        cases: Mapping[str, str] = CASES,
        labs: tuple[str, ...] = LABS,
        done: bool = True,
        warnings: int = 0,
    ) -> None:
        """What the backend has of that revision: all is well but what is `changed`; `gone` is not there."""
        for name, status in {**KERNELS, **(changed or {})}.items():
            if status != "gone":
                arch, config = name.split()
                where = (TREE, BRANCH, kernel, COMMIT, arch, config, "gcc-10")
                self.api.post_kernel(*where, status, warnings=warnings)
        for lab in labs:
            self.api.post_tests(TREE, BRANCH, kernel, lab, f"board-of-{lab}", "igt", 0, 0, cases=cases)
        if done:
            self.api.revision_done(TREE, BRANCH, kernel)

    def judge(self, kernel: str, series: str = "5.10", **given: Any) -> int:
        """Judge that revision; the number of the run, which then waits for people."""
        cleaned = Cleaned(
            *("kernelci", TREE, BRANCH, kernel, COMMIT, series, BuildRef("kernel-build-trigger", 1), "http://ci/1/"),
            *(BEGINS, Ended.COMPLETE, len(KERNELS), ()),
            builds_ended=self.bench.clock.now() - timedelta(hours=6),
        )
        who = self.bench.world.people.get("operator")
        outcome = self.bench.engine.start(JUDGED, who, ROOM, "Test", replace(cleaned, **given))
        self.bench.journal.commit(outcome.changes)
        self.bench.engine.wake(outcome.wake)
        return self.settled(outcome.wake[0]).id

    def settled(self, number: int) -> Run:
        """The run once it has asked as often as it does."""
        for _ in range(6):
            run = self.bench.run(number)
            if run.ended or not run.current or run.current.id != compare_results.id:
                return run
            self.bench.tick(timedelta(minutes=1))
        return self.bench.run(number)

    def accepted(self, kernel: str, changed: Mapping[str, str] | None = None, **given: Any) -> int:
        """A run with these results that manager-1 accepted."""
        self.results(kernel, changed, **given)
        number = self.judge(kernel)
        self.approve()
        return number

    def approve(self) -> None:
        (ask,) = self.bench.journal.open_asks()
        self.bench.say("manager-1", f"!approve {ask.code} looks right")

    def compared(self, number: int) -> Compared:
        return self.bench.journal.codec.load(Compared, self.bench.run(number).step(compare_results.id).value)

    def rules(self, number: int) -> set[str]:
        """The cases of the table that were found, but for mails that may come."""
        reasons = self.compared(number).verdict.reasons
        return {one.rule for one in reasons if one.level.value != "note" or one.rule != "reports"}

    def shown(self) -> str:
        """What the open question shows."""
        (ask,) = self.bench.journal.open_asks()
        return "\n".join(ask.display)

    def said(self) -> str:
        self.bench.deliver()
        return "\n".join("\n".join((one.title, *one.lines)) for one in self.bench.notices.values())


@contextmanager
def judging(folder: Path, **settings: Any) -> Iterator[Judging]:
    clock, registry = HandClock(), Registry()
    for module in (approvals, runs, pipecleaner):
        registry.add(module)
    registry.procedures[JUDGED.name] = JUDGED
    with ResultsApiStandIn("token", lambda: "2026.11", now=clock.now) as api:
        adapter = KernelciApi(api.url, lambda: "token", {}, 2.0)
        nothing = dict.fromkeys(("ci", "git", "deployer", "images", "mailer", "files"))
        ports = Ports(results=adapter, **nothing)  # type: ignore[arg-type]
        sections = {PipecleanerSettings: PipecleanerSettings(**settings)}
        yield Judging(api, make_bench(folder, registry=registry, ports=ports, sections=sections, clock=clock))
