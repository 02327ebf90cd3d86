"""The sandbox's kernelci-jenkins: the definitions of production's jobs, and one parameter on its way."""

from datetime import datetime, timedelta

from kcibot.sandbox.kernelci.definitions import NODE_LABEL, Parameter, definitions, groovy
from kcibot.sandbox.repositories.history import History

SUBJECTS = (
    "jobs.groovy: keep less history of kernel-build",
    "jobs.groovy: set the default API token of test-runner",
    "jobs.groovy: describe rootfs-builder",
    "README.md: tell how to run the DSL job",
    "jobs.groovy: no builds of kernel-tree-monitor side by side",
    "jobs.groovy: describe lava-bisection",
)
RELEASED_WEEKS = (8, 5, 2)


def jenkins(now: datetime) -> History:
    """The last release was made two weeks before `now`; since then `kernel-build` got a parameter."""
    history = History()
    history.write("README.md", "# KernelCI Jenkins\n\nThe job definitions of production and staging.\n")
    _write_jobs(history)
    first = history.commit("jobs.groovy: start from the jobs in production", now - timedelta(weeks=9))
    history.light_tag(f"{now - timedelta(weeks=9):%Y%m%d}.0", first)  # the prefix is missing
    released = first
    for number, weeks in enumerate(RELEASED_WEEKS):
        at = now - timedelta(weeks=weeks)
        for days, subject in enumerate(SUBJECTS[2 * number : 2 * number + 2]):
            history.append("README.md", f"- {subject.partition(': ')[2]}")
            released = history.commit(subject, at - timedelta(days=2 - days))
        history.tag(f"kernelci-{at:%Y%m%d}", released, at)
    history.branch("kernelci.org", released)
    _write_jobs(history, NODE_LABEL)
    history.commit("jobs.groovy: add NODE_LABEL to kernel-build", now - timedelta(days=2))
    return history


def _write_jobs(history: History, *more: Parameter) -> None:
    history.write("jobs.groovy", groovy(*more))
    for name, xml in definitions(*more).items():
        history.write(f"jobs/{name}.xml", xml)
