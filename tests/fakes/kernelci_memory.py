"""A backend in memory for KernelCI's jobs, and hands to let time pass for them and to see what they did."""

from collections.abc import Mapping, Sequence, Set
from datetime import timedelta

from kcibot.core.ports import Revision
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.jenkins.model import Run
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.boards import Board
from kcibot.sandbox.kernelci.jobs import KernelciJobs
from kcibot.sandbox.kernelci.kernels import Kernel


class Memory:
    """Everything the jobs tell, and what they are told."""

    def __init__(self) -> None:
        self.heads = {"kernelci": "a" * 40, "gtucker_stable": "b" * 40}
        self.built: dict[str, str] = {"gtucker_stable": "b" * 40}
        self.kernels: dict[Kernel, str] = {}
        self.warnings: dict[Kernel, int] = {}
        self.done: list[tuple[Revision, frozenset[str]]] = []
        self.tests: dict[tuple[Board, str], Mapping[str, str]] = {}
        self.submitted: list[tuple[str, str, timedelta]] = []
        self.files: dict[str, bytes] = {}
        self.definitions_commit = "1" * 40

    def build_configs(self) -> Sequence[str]:
        return list(self.heads)

    def branch_head(self, build_config: str) -> str:
        return self.heads[build_config]

    def revision(self, build_config: str, commit: str) -> Revision:
        return Revision("kernelci", "kernelci.org", f"v5.15-{commit[:4]}")

    def last_commit(self, build_config: str) -> str | None:
        return self.built.get(build_config)

    def set_last_commit(self, build_config: str, commit: str) -> None:
        self.built[build_config] = commit

    def definitions(self) -> Mapping[str, str]:
        return kci.definitions()

    def job_definitions(self) -> str:
        return self.definitions_commit

    def post_kernel(self, revision: Revision, kernel: Kernel, status: str, warnings: int) -> None:
        self.kernels[kernel] = status
        self.warnings[kernel] = warnings

    def revision_done(self, revision: Revision, lost: Set[str]) -> None:
        self.done.append((revision, frozenset(lost)))

    def post_tests(self, revision: Revision, board: Board, plan: str, statuses: Mapping[str, str]) -> None:
        self.tests[board, plan] = statuses

    def submit(self, lab: str, device: str, description: str, runs: timedelta) -> None:
        self.submitted.append((lab, device, runs))

    def upload(self, path: str, content: bytes) -> None:
        self.files[path] = content


def forward(jobs: KernelciJobs, clock: SandboxClock, minutes: float) -> None:
    clock.advance(timedelta(minutes=minutes))
    jobs.jenkins.loop.catch_up()


def runs(jobs: KernelciJobs, job: str) -> list[Run]:
    found = jobs.jenkins.world.jobs.find(job)
    assert found
    return list(found.runs.values())


def parameters(run: Run) -> Mapping[str, str]:
    return {one.name: one.value for one in run.parameters}
