"""What KernelCI's jobs do, in miniature: the same order, the same children, the same ways to end."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import timedelta
from typing import Protocol

from kcibot.core.ports import Revision
from kcibot.sandbox.jenkins import JenkinsStandIn, RunningBuild, Sleep, Steps, Stopped, WaitFor
from kcibot.sandbox.jenkins.model import Item, Run
from kcibot.sandbox.jenkins.running import FAILURES
from kcibot.sandbox.kernelci import chance
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.boards import PLANS, Board, boards, boards_of
from kcibot.sandbox.kernelci.chance import MINUTE
from kcibot.sandbox.kernelci.kernels import GCC, Kernel, kernels
from kcibot.sandbox.kernelci.settings import Faults, Settings, among

AMBIENT_KERNELS = 12
_log = logging.getLogger(__name__)


class Backend(Protocol):
    """The rest of the sandbox as the jobs see it. Trouble is raised as OSError, LookupError or a KcibotError."""

    def build_configs(self) -> Sequence[str]:
        """All build configs that are watched."""
        ...

    def branch_head(self, build_config: str) -> str:
        """The commit that the config's branch is at; LookupError if there is no such branch."""
        ...

    def revision(self, build_config: str, commit: str) -> Revision:
        """The commit as the results name it."""
        ...

    def last_commit(self, build_config: str) -> str | None:
        """What storage says was built last; None also if it does not answer 200, as the real monitor reads it."""
        ...

    def set_last_commit(self, build_config: str, commit: str) -> None: ...

    def job_definitions(self) -> str:
        """The commit of kernelci-jenkins' production branch, which the seed job polls."""
        ...

    def definitions(self) -> Mapping[str, str]:
        """Every job's config.xml at that commit, by name."""
        ...

    def post_kernel(self, revision: Revision, kernel: Kernel, status: str, warnings: int) -> None: ...

    def revision_done(self, revision: Revision, lost: Set[str]) -> None:
        """All kernels were built: the status becomes final and report mails are scheduled, except those that get lost.

        `lost` are `build` and names of test plans.
        """
        ...

    def post_tests(self, revision: Revision, board: Board, plan: str, statuses: Mapping[str, str]) -> None:
        """Every case with PASS or FAIL."""
        ...

    def submit(self, lab: str, device: str, description: str, runs: timedelta) -> None:
        """The lab has one job more, which is over after that time."""
        ...

    def upload(self, path: str, content: bytes) -> None:
        """Put a file on the file server; `path` has no slash in front."""
        ...


class Behaviours:
    """One method a job; `ambient` are build configs whose builds are only for show, with the time at which they end."""

    def __init__(self, jenkins: JenkinsStandIn, backend: Backend, settings: Settings) -> None:
        self._jenkins = jenkins
        self._backend = backend
        self._settings = settings
        self._revisions: dict[tuple[str, str], Revision] = {}
        self._tries: Counter[tuple[Revision, Kernel]] = Counter()
        self._broken: set[int] = set()
        self.ambient: dict[str, float] = {}

    # ---- kernels -----------------------------------------------------------------------------------------------

    def monitor(self, build: RunningBuild) -> Steps:
        names = build.parameters["CONFIG_LIST"].split() or self._backend.build_configs()
        yield Sleep(20)
        for name in names:
            try:
                new = self._backend.branch_head(name) != self._backend.last_commit(name)
            except LookupError as error:
                build.log(f"{name}: {error}")
                continue
            build.log(f"{name}: {'new commit' if new else 'nothing new'}")
            if new:
                build.trigger(kci.TRIGGER, {"BUILD_CONFIG": name})
        yield Sleep(10)
        return "SUCCESS"

    def trigger(self, build: RunningBuild) -> Steps:
        config = build.parameters["BUILD_CONFIG"]
        if config in self.ambient:
            return (yield from self._ambient_trigger(build, config))
        yield Sleep(40)
        for lab in sorted(self._labs()):
            build.artifact(f"{lab}.json", b"{}")
        commit = build.parameters["COMMIT_ID"] or self._backend.branch_head(config)
        rebuild = build.parameters["ALLOW_REBUILD"] == "true"
        if self._backend.last_commit(config) == commit and not rebuild:
            build.log("Revision already built")
            return "ABORTED"
        revision = self._backend.revision(config, commit)
        build.log("Tarball")
        yield Sleep(2 * MINUTE)
        folder = f"{revision.tree}/{revision.branch}/{revision.kernel}"
        self._backend.upload(f"{folder}/linux-src.tar.gz", f"{commit}\n".encode())
        self._backend.set_last_commit(config, commit)
        build.log("Configs", "Build")
        about = {"BUILD_CONFIG": config, "COMMIT_ID": commit, "GIT_DESCRIBE": revision.kernel}
        self._revisions[config, commit] = revision
        yield from self._build_all(build, {**about, **(_about(revision) if self._settings.told_tree else {})})
        build.log("Complete")
        yield from _all_of(build, kci.COMPLETE, [_about(revision)])
        return "SUCCESS"

    def _build_all(self, build: RunningBuild, about: Mapping[str, str]) -> Steps:
        """Every kernel is built, and tested if it was built well and a lab has a board for it.

        Each in a branch of its own: the quickest is waited for first, so that none waits for another.
        """
        children: list[Item] = []
        try:
            waiting: list[tuple[float, Item]] = []
            for kernel in self._wanted(self._settings.faults):
                children.append(build.trigger(kci.KERNEL_BUILD, {**about, **_kernel(kernel)}))
                waiting.append((chance.build_seconds(self._settings, kernel), children[-1]))
            for _, item in sorted(waiting, key=lambda one: one[0]):
                (run,) = yield WaitFor([item])
                children.extend(self._schedule_tests(build, run))
            yield WaitFor(children)
        except Stopped:
            build.abort(children)
            raise
        return "SUCCESS"

    def _schedule_tests(self, build: RunningBuild, built: Run | None) -> Iterator[Item]:
        if built is None or built.result != "SUCCESS" or built.number in self._broken:
            return
        able = sorted(self._labs() & {board.lab for board in boards_of(self._settings.farm, _kernel_of(built))})
        if able:
            origin = {"BUILD_JOB_NAME": built.job.full_name, "BUILD_JOB_NUMBER": str(built.number)}
            trigger = {"TRIGGER_JOB_NAME": build.job, "TRIGGER_JOB_NUMBER": str(build.number)}
            yield build.trigger(kci.TEST_RUNNER, {"LABS": " ".join(able), **trigger, **origin})

    def kernel_build(self, build: RunningBuild) -> Steps:
        values = build.parameters
        if values["BUILD_CONFIG"] in self.ambient:
            yield Sleep(self._ambient_seconds(build))
            return "SUCCESS"
        kernel, faults, revision = _kernel_in(values), self._settings.faults, self._revision_of(values)
        yield Sleep(chance.build_seconds(self._settings, kernel))
        self._tries[revision, kernel] += 1
        passed = chance.builds(self._settings, faults, kernel, self._tries[revision, kernel])
        build.log(f"{kernel.arch} {kernel.defconfig}: {'PASS' if passed else 'FAIL'}")
        if not passed:
            build.log("make: *** [Makefile:185: sub-make] Error 2")
            self._broken.add(build.number)
        self._post_kernel(revision, kernel, faults, passed=passed)
        return "SUCCESS" if passed or among(faults.unnoticed, kernel) else "FAILURE"

    def complete(self, build: RunningBuild) -> Steps:
        yield Sleep(30)
        self._backend.revision_done(_revision(build.parameters), self._settings.faults.mails)
        return "SUCCESS"

    def test_runner(self, build: RunningBuild) -> Steps:
        """Ends when the jobs are submitted; the labs' results come later, whatever becomes of Jenkins."""
        yield Sleep(MINUTE)
        values = build.parameters
        job = self._jenkins.world.jobs.find(values["BUILD_JOB_NAME"])
        built = job.runs.get(int(values["BUILD_JOB_NUMBER"])) if job else None
        if built is None:
            raise LookupError(f"there are no artifacts of {values['BUILD_JOB_NAME']} {values['BUILD_JOB_NUMBER']}")
        revision = self._revision_of({one.name: one.value for one in built.parameters})
        for board in boards_of(self._settings.farm, _kernel_of(built)):
            for plan in PLANS if board.lab in values["LABS"].split() else ():
                self._submit(revision, board, plan)
        return "SUCCESS"

    def past_run(self, revision: Revision) -> None:
        """The results of an earlier build of that revision, as if it had gone like every other."""
        past = self._settings.past
        for kernel in self._wanted(past):
            passed = chance.builds(self._settings, past, kernel)
            self._post_kernel(revision, kernel, past, passed=passed)
            for board in boards_of(self._settings.farm, kernel) if passed else ():
                for plan in PLANS if not past.offline(board) else ():
                    self._post_tests(revision, board, plan, past)
        self._backend.revision_done(revision, past.mails)

    def _labs(self) -> Set[str]:
        """Those that answer."""
        return {board.lab for board in boards(self._settings.farm)} - set(self._settings.faults.labs)

    def _revision_of(self, values: Mapping[str, str]) -> Revision:
        """What a kernel build's parameters name; git is asked once, not by hundreds of builds."""
        if values["TREE_NAME"]:
            return _revision(values)
        config, commit = values["BUILD_CONFIG"], values["COMMIT_ID"]
        if (config, commit) not in self._revisions:
            self._revisions[config, commit] = self._backend.revision(config, commit)
        return self._revisions[config, commit]

    def _wanted(self, faults: Faults) -> list[Kernel]:
        wanted = kernels(self._settings.kernels, self._settings.compilers)
        return [kernel for kernel in wanted if not among(faults.unbuilt, kernel)]

    def _post_kernel(self, revision: Revision, kernel: Kernel, faults: Faults, *, passed: bool) -> None:
        self._backend.post_kernel(revision, kernel, "PASS" if passed else "FAIL", chance.warnings(faults, kernel))

    def _submit(self, revision: Revision, board: Board, plan: str) -> None:
        faults = self._settings.faults

        def post() -> None:
            try:
                self._post_tests(revision, board, plan, faults)
            except FAILURES:
                _log.warning("the callback of %s for %s was lost", board.lab, board.device, exc_info=True)

        seconds = chance.seconds(self._settings, self._settings.lab_minutes, *board, plan)
        self._backend.submit(*board, f"{plan} of {revision.kernel}", timedelta(seconds=seconds))
        if not faults.offline(board):
            self._jenkins.loop.after(seconds, post)

    def _post_tests(self, revision: Revision, board: Board, plan: str, faults: Faults) -> None:
        self._backend.post_tests(revision, board, plan, chance.statuses(self._settings, faults, board, plan))

    # ---- root file systems -------------------------------------------------------------------------------------

    def rootfs_trigger(self, build: RunningBuild) -> Steps:
        values = build.parameters
        names = [values["ROOTFS_CONFIG"]] if values["ROOTFS_CONFIG"] else list(kci.ROOTFS_ARCHITECTURES)
        version = values["PIPELINE_VERSION"] or f"{build.now:%Y%m%d}.{build.number - 1}"
        yield Sleep(30)
        wanted = [
            {"ROOTFS_CONFIG": name, "ROOTFS_ARCH": arch, "PIPELINE_VERSION": version}
            for name in names
            for arch in kci.ROOTFS_ARCHITECTURES.get(name, ())
            if values["ROOTFS_ARCH"] in {"", arch}
        ]
        if not wanted:
            build.log(f"no such rootfs config: {' '.join(names)} {values['ROOTFS_ARCH']}")
            return "FAILURE"
        yield from _all_of(build, kci.ROOTFS_BUILDER, wanted)
        return "SUCCESS"

    def rootfs_builder(self, build: RunningBuild) -> Steps:
        name, arch = build.parameters["ROOTFS_CONFIG"], build.parameters["ROOTFS_ARCH"]
        version = build.parameters["PIPELINE_VERSION"]
        yield Sleep(chance.seconds(self._settings, self._settings.rootfs_minutes, name, arch))
        if (name, arch) in self._settings.rootfs_failures:
            build.log("Action `run` failed at stage Run, error: exit status 100", "debos failed")
            return "FAILURE"
        for file in kci.ROOTFS_FILES:
            content = f"{name} {version} {arch} {file}\n".encode()
            build.artifact(f"{version}/{arch}/{file}", content)
            self._backend.upload(f"images/rootfs/debian/{name}/{version}/{arch}/{file}", content)
        return "SUCCESS"

    # ---- others ------------------------------------------------------------------------------------------------

    def bisection(self, build: RunningBuild) -> Steps:
        steps = 12
        for step in range(steps):
            build.log(f"Bisecting: step {step + 1} of about {steps}")
            yield Sleep(self._settings.bisection_minutes * MINUTE / steps)
        return "SUCCESS"

    def job_dsl(self, build: RunningBuild) -> Steps:
        """Generates every definition anew. None of them says `disabled`, so a paused monitor is enabled by it."""
        yield Sleep(45)
        for name, xml in self._backend.definitions().items():
            if name != kci.JOB_DSL:
                self._jenkins.create_job(name, xml)
                build.log(f"GeneratedJob{{name='{name}'}}")
        return "SUCCESS"

    def _ambient_trigger(self, build: RunningBuild, config: str) -> Steps:
        """Some kernels of somebody's tree: nothing is uploaded or posted."""
        yield Sleep(5)
        about = {"BUILD_CONFIG": config, "TREE_NAME": config, "GIT_DESCRIBE": "ambient"}
        wanted = ({**about, **_kernel(one)} for one in kernels(AMBIENT_KERNELS))
        yield from _all_of(build, kci.KERNEL_BUILD, wanted)
        yield Sleep(max(0.0, self.ambient[config] - build.now.timestamp()))
        return "SUCCESS"

    def _ambient_seconds(self, build: RunningBuild) -> float:
        left = self.ambient[build.parameters["BUILD_CONFIG"]] - build.now.timestamp()
        words = (build.parameters["ARCH"], build.parameters["DEFCONFIG"])
        return max(1.0, left * (0.3 + 0.6 * chance.share(self._settings, *words)))


def _all_of(build: RunningBuild, job: str, wanted: Iterable[Mapping[str, str]]) -> Steps:
    """Children in parallel, whose failures are not passed on; they are aborted with their parent."""
    children: list[Item] = []
    try:
        children.extend(build.trigger(job, parameters) for parameters in wanted)
        runs = yield WaitFor(children)
    except Stopped:
        build.abort(children)
        raise
    failed = sum(run is None or run.result != "SUCCESS" for run in runs)
    build.log(f"{job}: {len(runs)} builds, {failed} of them not SUCCESS")
    return "SUCCESS"


def _kernel(one: Kernel) -> dict[str, str]:
    return {"ARCH": one.arch, "DEFCONFIG": one.defconfig, "BUILD_ENVIRONMENT": one.environment}


def _kernel_in(values: Mapping[str, str]) -> Kernel:
    return Kernel(values["ARCH"], values["DEFCONFIG"], values["BUILD_ENVIRONMENT"] or GCC)


def _kernel_of(built: Run) -> Kernel:
    return _kernel_in({one.name: one.value for one in built.parameters})


def _about(revision: Revision) -> dict[str, str]:
    return {"TREE_NAME": revision.tree, "BRANCH": revision.branch, "GIT_DESCRIBE": revision.kernel}


def _revision(values: Mapping[str, str]) -> Revision:
    return Revision(values["TREE_NAME"], values["BRANCH"], values["GIT_DESCRIBE"])
