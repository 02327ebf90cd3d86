"""`!release plan`: what every step of a release would do, without changing anything, and whatever cannot be seen."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kcibot.core.procedure import Step
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.kernelci.jobs import Settings
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands import release
from tests.fakes.bench import Bench
from tests.fakes.sandbox_bench import sandbox, sandbox_bench

TITLES = [item.title for item in release.RELEASE if isinstance(item, Step) and item.id != "plan"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path, Settings(kernels=4)) as made:
        yield made


def refs(world: Sandbox) -> Mapping[str, str]:
    argv = ("git", "for-each-ref")
    return {
        name: subprocess.run(argv, cwd=path, check=True, capture_output=True, text=True).stdout
        for name, path in world.repositories.items()
    }


def started(world: Sandbox) -> Mapping[str, int]:
    return {job.name: len(job.runs) for job in world.jenkins.world.jobs.walk()}


def shown(bench: Bench, *, run: int = 1) -> list[str]:
    bench.say("observer", "!release plan")
    bench.deliver()
    notice = bench.notices[f"run:{run}:answer"]
    assert notice.title == "A release now would do this"
    return list(notice.lines)


def about(lines: list[str], title: str) -> str:
    """The line of that step."""
    (found,) = [line for line in lines if line == title or line.startswith(f"{title}:")]
    return found


def test_every_step_is_shown_with_what_it_would_do_or_why_it_is_not_needed(world: Sandbox) -> None:
    lines = shown(sandbox_bench(world, release, sections={}))
    assert [about(lines, title).partition(":")[0] for title in TITLES] == TITLES
    assert about(lines, "core").endswith(", to be kernelci-20261123")
    assert not [line for line in lines if "cannot be seen now" in line]
    assert about(lines, "Docker images pushed") == "Docker images pushed: known when “Docker images built” is done"
    assert about(lines, "Monitor enabled again") == "Monitor enabled again: known when “Monitor paused” is done"


def test_nothing_is_changed_anywhere(world: Sandbox) -> None:
    before = refs(world)
    digests = {name: world.registry.digest(name) for name in world.registry.names()}
    bench = sandbox_bench(world, release, sections={})
    builds = started(world)
    shown(bench)
    assert refs(world) == before
    assert {name: world.registry.digest(name) for name in world.registry.names()} == digests
    assert world.mailbox.messages == ()
    assert started(world) == builds
    assert not [key for key in bench.notices if "card" in key or "gate" in key]


def test_a_jenkins_that_cannot_be_seen_hides_its_own_steps_only(world: Sandbox) -> None:
    world.jenkins.faults.add(Fault(FaultKind.STATUS, status=503, times=10_000))
    lines = shown(sandbox_bench(world, release, sections={}))
    assert about(lines, "core").endswith(", to be kernelci-20261123")
    assert about(lines, "Tags pushed") == "Tags pushed:"
    assert [about(lines, title).partition(":")[0] for title in TITLES] == TITLES
    hidden = [line for line in lines if "cannot be seen now" in line]
    assert hidden
    assert not [line for line in hidden if line.startswith(("Tags", "Announcement", "Core"))]
