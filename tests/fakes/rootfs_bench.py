"""Root file systems in the sandbox: a bot with their verbs, and what is done around it by hand."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from kcibot.core.journal import Forget, Remember
from kcibot.core.ports import Ports, RefUpdate
from kcibot.core.run import Run, StepState
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot.sandbox.tracker import REPOSITORY, TOKEN, TrackerStandIn
from kcibot.services.tracker import HttpTracker
from kcibot_commands import runs
from kcibot_commands.locks import LOCK, PRODUCTION
from kcibot_commands.rootfs import verbs as rootfs
from kcibot_commands.rootfs.builds import build_rootfs
from kcibot_commands.rootfs.settings import RootfsSettings
from tests.fakes.bench import Bench
from tests.fakes.sandbox_bench import sandbox_bench, sandbox_ports

FILE = "config/core/test-configs.yaml"
REPORT_TO = ("release-list@example.org",)


def bot(world: Sandbox, ports: Ports | None = None, **settings: Any) -> Bench:
    """A life of the bot; nobody is told of what failed unless `report_to` says so."""
    given = RootfsSettings(**{"storage": world.storage.url, "report_to": (), **settings})
    return sandbox_bench(world, rootfs, runs, sections={RootfsSettings: given}, ports=ports)


def build(bench: Bench, names: str = "") -> Run:
    """Start the builds, and let time pass until they have ended."""
    bench.say("operator", f"!rootfs build {names}".strip())
    return built(bench, bench.journal.runs(1)[0].id)


def built(bench: Bench, number: int = 1) -> Run:
    for _ in range(6):
        if bench.run(number).step(build_rootfs.id).state is not StepState.WAITING:
            break
        bench.tick(timedelta(minutes=30))
    return bench.run(number)


def approve(bench: Bench, number: int = 1) -> Run:
    (ask,) = bench.journal.open_asks()
    bench.react("manager-1", ask.message_key)
    return bench.run(number)


def shown(bench: Bench) -> list[str]:
    """What the open gate shows, without the indent below each step's name."""
    (ask,) = bench.journal.open_asks()
    return [line.removeprefix("  ") for line in ask.display]


def git(world: Sandbox, *words: str) -> str:
    return world.backend._git("core", *words)


def text_at(world: Sandbox, branch: str) -> str:
    return git(world, "show", f"{branch}:{FILE}")


def said(bench: Bench) -> str:
    bench.deliver()
    return "\n".join("\n".join((one.title, *one.lines)) for one in bench.notices.values())


def builds_of(world: Sandbox, job: str) -> int:
    found = world.jenkins.world.jobs.find(job)
    assert found
    return len(found.runs)


def push_to(world: Sandbox, branch: str, files: dict[str, str]) -> str:
    """Somebody else pushes; the commit."""
    remote = sandbox_ports(world).git.remote("core")
    remote.fetch()
    old = remote.branches()[branch]
    new = remote.commit(old, files, "Work of somebody else", world.clock.now())
    remote.push([RefUpdate(f"refs/heads/{branch}", new, old)])
    return new


def lock_production(bench: Bench) -> None:
    value = {"who": "manager-2", "reason": "Release of today", "since": bench.clock.now().isoformat(), "run": 99}
    bench.journal.commit([Remember(LOCK, PRODUCTION, value)])


def open_production(bench: Bench) -> None:
    bench.journal.commit([Forget(LOCK, PRODUCTION)])


def failing(world: Sandbox, *pairs: tuple[str, str]) -> None:
    """Which root file systems fail from now on."""
    world.jobs._does._settings = replace(world.jobs._does._settings, rootfs_failures=frozenset(pairs))


def tracker_of(world: Sandbox) -> TrackerStandIn:
    """A tracker of the sandbox's core repository; whoever takes it starts it."""
    return TrackerStandIn(branches=lambda: git(world, "for-each-ref", "--format=%(refname:short)").split())


def with_tracker(world: Sandbox, server: TrackerStandIn) -> Ports:
    return replace(sandbox_ports(world), tracker=HttpTracker(server.url, REPOSITORY, lambda: TOKEN, 5.0))
