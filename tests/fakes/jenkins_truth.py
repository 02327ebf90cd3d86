"""What is true of the Jenkins stand-in, seen and set past HTTP, as somebody does who is not the bot."""

from collections.abc import Iterator
from contextlib import contextmanager

from kcibot.sandbox.jenkins.world import World
from tests.fakes.ci_bench import CiBench


@contextmanager
def truth(ci: CiBench) -> Iterator[World]:
    """The stand-in's own world, as it is now."""
    with ci.jenkins.loop.lock:
        ci.jenkins.loop.catch_up()
        yield ci.jenkins.world


def is_disabled(ci: CiBench, job: str) -> bool:
    with truth(ci) as jenkins:
        found = jenkins.jobs.find(job)
        assert found
        return found.config.disabled


def disable(ci: CiBench, job: str, *, disabled: bool = True) -> None:
    """As somebody does who is not the bot."""
    with truth(ci) as jenkins:
        found = jenkins.jobs.find(job)
        assert found
        jenkins.set_disabled(found, disabled=disabled)


def at_work(ci: CiBench) -> bool:
    with truth(ci) as jenkins:
        places = [place for node in jenkins.nodes for place in (*node.executors, *node.one_offs)]
        return bool(jenkins.queue.active) or any(not place.idle for place in places)


def results(ci: CiBench, job: str) -> list[str | None]:
    """Of its builds, oldest first; None for one that runs."""
    with truth(ci) as jenkins:
        found = jenkins.jobs.find(job)
        return [run.result for run in found.runs.values()] if found else []


def end_everything(ci: CiBench) -> None:
    """Nothing runs or waits afterwards."""
    with truth(ci) as jenkins:
        for item in list(jenkins.queue.active):
            jenkins.queue.leave(item, ci.jenkins.loop.now(), cancelled=True)
        for job in jenkins.jobs.walk():
            for run in job.running:
                jenkins.stop(run, "somebody")
    ci.forward(seconds=1)
