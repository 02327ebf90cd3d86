"""KernelCI's jobs in the Jenkins of the sandbox: their definitions, what they do, and what goes on without us."""

from dataclasses import dataclass

from kcibot.core.ports import Revision
from kcibot.sandbox.jenkins import Behaviour, JenkinsStandIn
from kcibot.sandbox.jenkins.model import SCM_CHANGE, Item, Run, UpstreamCause
from kcibot.sandbox.jenkins.running import FAILURES
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.behaviours import Backend, Behaviours
from kcibot.sandbox.kernelci.chance import MINUTE
from kcibot.sandbox.kernelci.settings import Faults, Settings

POLL_SECONDS = 300.0
"""The seed job polls its repository every five minutes."""
AMBIENT_CONFIG = "mainline"

__all__ = ["Backend", "Faults", "KernelciJobs", "Settings"]


@dataclass(slots=True)
class KernelciJobs:
    """The installed jobs. `install` makes one; the rest is for setting the scene."""

    jenkins: JenkinsStandIn
    backend: Backend
    settings: Settings
    _does: Behaviours
    _seen_definitions: str = ""

    @classmethod
    def install(cls, jenkins: JenkinsStandIn, backend: Backend, settings: Settings | None = None) -> "KernelciJobs":
        """Define all jobs, enabled, and let the seed job watch its repository from now on.

        A Jenkins restart loses the monitor's timer, as production's does.
        """
        settings = settings or Settings()
        jobs = cls(jenkins, backend, settings, Behaviours(jenkins, backend, settings))
        for name, xml in backend.definitions().items():
            jenkins.create_job(name, xml, jobs._behaviours().get(name))
        with jenkins.loop.lock:
            jenkins.world.loses_timer_at_restart.add(kci.MONITOR)
            jobs._seen_definitions = backend.job_definitions()
            jenkins.loop.after(POLL_SECONDS, jobs._poll)
        return jobs

    def start_ambient(self, minutes: float = 40.0, build_config: str = AMBIENT_CONFIG) -> Item:
        """Something that a drain has to wait for: a trigger that the monitor started, over after so many minutes."""
        loop, world = self.jenkins.loop, self.jenkins.world
        with loop.lock:
            loop.catch_up()
            self._does.ambient[build_config] = loop.now() + minutes * MINUTE
            monitor, trigger = world.jobs.find(kci.MONITOR), world.jobs.find(kci.TRIGGER)
            if monitor is None or trigger is None:
                raise LookupError("KernelCI's jobs are not installed")
            number = monitor.next_number
            monitor.next_number += 1
            monitor.runs[number] = Run(
                monitor, number, 0, (), (), loop.now() - MINUTE, ended=loop.now() - 1, result="SUCCESS"
            )
            cause = UpstreamCause(kci.MONITOR, number, monitor.path)
            item = world.schedule(trigger, {"BUILD_CONFIG": build_config}, [cause], quiet=0.0)
            if item is None:
                raise LookupError(f"{kci.TRIGGER} cannot be built")
            return item

    def past_run(self, revision: Revision) -> None:
        """Results of an earlier build, to compare with."""
        self._does.past_run(revision)

    def start_bisection(self) -> Item:
        """A bisection that runs for hours."""
        parameters = {"KERNEL_TREE": "next", "KERNEL_BRANCH": "master", "TARGET": "rk3288-veyron-jaq"}
        return self.jenkins.trigger(kci.BISECTION, parameters)

    def _behaviours(self) -> dict[str, Behaviour]:
        does = self._does
        return {
            kci.MONITOR: does.monitor,
            kci.TRIGGER: does.trigger,
            kci.KERNEL_BUILD: does.kernel_build,
            kci.COMPLETE: does.complete,
            kci.TEST_RUNNER: does.test_runner,
            kci.ROOTFS_TRIGGER: does.rootfs_trigger,
            kci.ROOTFS_BUILDER: does.rootfs_builder,
            kci.BISECTION: does.bisection,
            kci.JOB_DSL: does.job_dsl,
        }

    def _poll(self) -> None:
        """A push to kernelci-jenkins' production branch is enough to start the seed job."""
        self.jenkins.loop.after(POLL_SECONDS, self._poll)
        seed = self.jenkins.world.jobs.find(kci.JOB_DSL)
        try:
            now = self.backend.job_definitions()
        except FAILURES:
            return
        if now != self._seen_definitions and seed and self.jenkins.world.up:
            self._seen_definitions = now
            self.jenkins.world.schedule(seed, {}, [SCM_CHANGE])
