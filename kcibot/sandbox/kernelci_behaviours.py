"""What KernelCI's jobs do, in miniature: the same order, the same children, the same ways to end."""

import logging
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from kcibot.core.ports import Revision
from kcibot.sandbox import kernelci_definitions as kci
from kcibot.sandbox.jenkins import JenkinsStandIn, RunningBuild, Sleep, Steps, Stopped, WaitFor
from kcibot.sandbox.jenkins.model import Item
from kcibot.sandbox.jenkins.running import FAILURES

MINUTE = 60.0
TEST_PLANS = ("baseline", "igt", "v4l2-compliance-vivid")
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

    def post_kernel(self, revision: Revision, arch: str, defconfig: str, environment: str, status: str) -> None: ...

    def revision_done(self, revision: Revision) -> None:
        """All kernels were built: the status becomes final and report mails are scheduled."""
        ...

    def post_tests(self, revision: Revision, lab: str, device: str, plan: str, passed: int, failed: int) -> None: ...

    def submit(self, lab: str, device: str, description: str, runs: timedelta) -> None:
        """The lab has one job more, which is over after that time."""
        ...

    def upload(self, path: str, content: bytes) -> None:
        """Put a file on the file server; `path` has no slash in front."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """`failure_rate` is of kernels; which ones fail depends on `seed` alone. Times are sandbox minutes."""

    kernels: int = 200
    failure_rate: float = 0.03
    seed: str = "kernelci"
    rootfs_failures: frozenset[tuple[str, str]] = frozenset()
    kernel_minutes: tuple[float, float] = (4.0, 28.0)
    rootfs_minutes: tuple[float, float] = (15.0, 55.0)
    lab_minutes: tuple[float, float] = (5.0, 45.0)
    bisection_minutes: float = 360.0


class Behaviours:
    """One method a job; `ambient` are build configs whose builds are only for show, with the time at which they end."""

    def __init__(self, jenkins: JenkinsStandIn, backend: Backend, settings: Settings) -> None:
        self._jenkins = jenkins
        self._backend = backend
        self._settings = settings
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
        wanted = kci.kernels(self._settings.kernels)
        about = {**_about(revision), "BUILD_CONFIG": config, "COMMIT_ID": commit, "BUILD_ENVIRONMENT": kci.ENVIRONMENT}
        yield from _all_of(build, kci.KERNEL_BUILD, ({**about, **_kernel(one)} for one in wanted))
        build.log("Complete")
        yield from _all_of(build, kci.COMPLETE, [_about(revision)])
        return "SUCCESS"

    def kernel_build(self, build: RunningBuild) -> Steps:
        values = build.parameters
        if values["BUILD_CONFIG"] in self.ambient:
            yield Sleep(self._ambient_seconds(build))
            return "SUCCESS"
        arch, defconfig = values["ARCH"], values["DEFCONFIG"]
        yield Sleep(self._minutes(self._settings.kernel_minutes, arch, defconfig))
        passed = self._passes(arch, defconfig)
        status = "PASS" if passed else "FAIL"
        build.log(f"{arch} {defconfig}: {status}")
        environment = values["BUILD_ENVIRONMENT"] or kci.ENVIRONMENT
        self._backend.post_kernel(_revision(values), arch, defconfig, environment, status)
        if not passed:
            build.log("make: *** [Makefile:185: sub-make] Error 2")
            return "FAILURE"
        names = ("ARCH", "DEFCONFIG", "TREE_NAME", "BRANCH", "GIT_DESCRIBE", "BUILD_CONFIG")
        about = {name: values[name] for name in names}
        origin = {"BUILD_JOB_NAME": build.job, "BUILD_JOB_NUMBER": str(build.number)}
        yield from _all_of(build, kci.TEST_RUNNER, [{**about, **origin}])
        return "SUCCESS"

    def complete(self, build: RunningBuild) -> Steps:
        yield Sleep(30)
        self._backend.revision_done(_revision(build.parameters))
        return "SUCCESS"

    def test_runner(self, build: RunningBuild) -> Steps:
        """Ends when the jobs are submitted; the labs' results come later, whatever becomes of Jenkins."""
        yield Sleep(MINUTE)
        values = build.parameters
        revision = _revision(values)
        for lab, device in kci.DEVICES.get((values["ARCH"], values["DEFCONFIG"]), ()):
            for plan in TEST_PLANS:
                self._submit(revision, lab, device, plan)
        return "SUCCESS"

    def past_run(self, revision: Revision) -> None:
        """The results of an earlier build of that revision, as if it had gone like every other."""
        for arch, defconfig in kci.kernels(self._settings.kernels):
            passed = self._passes(arch, defconfig)
            self._backend.post_kernel(revision, arch, defconfig, kci.ENVIRONMENT, "PASS" if passed else "FAIL")
            for lab, device in kci.DEVICES.get((arch, defconfig), ()) if passed else ():
                for plan in TEST_PLANS:
                    self._post_tests(revision, lab, device, plan)
        self._backend.revision_done(revision)

    def _passes(self, arch: str, defconfig: str) -> bool:
        return self._share(arch, defconfig, "fails") >= self._settings.failure_rate

    def _submit(self, revision: Revision, lab: str, device: str, plan: str) -> None:
        def post() -> None:
            try:
                self._post_tests(revision, lab, device, plan)
            except FAILURES:
                _log.warning("the callback of %s for %s was lost", lab, device, exc_info=True)

        seconds = self._minutes(self._settings.lab_minutes, lab, device, plan)
        self._backend.submit(lab, device, f"{plan} of {revision.kernel}", timedelta(seconds=seconds))
        self._jenkins.loop.after(seconds, post)

    def _post_tests(self, revision: Revision, lab: str, device: str, plan: str) -> None:
        cases = 5 + zlib.crc32(plan.encode()) % 40
        failed = int(self._share(lab, device, plan, "cases") < self._settings.failure_rate)
        self._backend.post_tests(revision, lab, device, plan, cases - failed, failed)

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
        yield Sleep(self._minutes(self._settings.rootfs_minutes, name, arch))
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
        wanted = ({**about, **_kernel(one)} for one in kci.kernels(12))
        yield from _all_of(build, kci.KERNEL_BUILD, wanted)
        yield Sleep(max(0.0, self.ambient[config] - build.now.timestamp()))
        return "SUCCESS"

    def _ambient_seconds(self, build: RunningBuild) -> float:
        left = self.ambient[build.parameters["BUILD_CONFIG"]] - build.now.timestamp()
        return max(1.0, left * (0.3 + 0.6 * self._share(build.parameters["ARCH"], build.parameters["DEFCONFIG"])))

    # ---- chance that is the same every time --------------------------------------------------------------------

    def _share(self, *words: str) -> float:
        """Between 0 and 1, the same for the same words."""
        return zlib.crc32("/".join((self._settings.seed, *words)).encode()) / 2**32

    def _minutes(self, span: tuple[float, float], *words: str) -> float:
        """Seconds somewhere in a span of minutes."""
        low, high = span
        return MINUTE * (low + (high - low) * self._share("minutes", *words))


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


def _kernel(one: tuple[str, str]) -> dict[str, str]:
    arch, defconfig = one
    return {"ARCH": arch, "DEFCONFIG": defconfig}


def _about(revision: Revision) -> dict[str, str]:
    return {"TREE_NAME": revision.tree, "BRANCH": revision.branch, "GIT_DESCRIBE": revision.kernel}


def _revision(values: Mapping[str, str]) -> Revision:
    return Revision(values["TREE_NAME"], values["BRANCH"], values["GIT_DESCRIBE"])
