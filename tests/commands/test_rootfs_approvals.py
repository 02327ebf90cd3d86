"""What was approved of root file systems is what is pushed, whatever moves between the gate and the push."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kcibot.core.ports import FileStore
from kcibot.core.run import RunState, StepState
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot.sandbox.storage import rootfs_folder
from kcibot_commands.rootfs.settings import CommitTo
from tests.fakes.rootfs_bench import approve, bot, build, git, push_to, shown, text_at
from tests.fakes.sandbox_bench import sandbox, sandbox_ports


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path) as made:
        yield made


@dataclass
class Overtaken:
    """Repositories to which somebody else pushes just before the bot's first push; or one of them."""

    inner: Any
    before: Callable[[], None]
    times: int = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def remote(self, name: str) -> Any:
        return Overtaken(self.inner.remote(name), self._once)

    def push(self, updates: Any) -> None:
        self.before()
        self.inner.push(updates)

    def _once(self) -> None:
        self.times -= 1
        if self.times == 0:
            self.before()


def test_after_a_refused_push_the_newly_approved_commit_is_pushed(world: Sandbox) -> None:
    ports = sandbox_ports(world)
    theirs: list[str] = []
    overtaken = Overtaken(ports.git, lambda: theirs.append(push_to(world, "main", {"README.md": "x\n"})))
    bench = bot(world, ports=replace(ports, git=overtaken))
    build(bench, "buster-ltp")
    assert approve(bench).state is RunState.FAILED
    assert world.backend.head("core", "main") == theirs[0]
    bench.say("operator", "!release retry update-rootfs-urls --run 1")
    (ask,) = bench.journal.open_asks()
    assert ask.ask == 2
    assert approve(bench).state is RunState.SUCCEEDED
    assert ask.facts["update-rootfs-urls"]["commit"] == world.backend.head("core", "main")  # type: ignore[index,call-overload]
    assert git(world, "rev-parse", "main~1") == theirs[0]


def test_a_review_branch_gets_what_was_approved_last(world: Sandbox) -> None:
    hook = world.repositories["core"] / "hooks" / "pre-receive"
    bench = bot(world, commit=CommitTo.BRANCH)
    build(bench, "buster-ltp")
    hook.write_text("#!/bin/sh\necho the office is closed >&2\nexit 1\n")
    hook.chmod(0o755)
    assert approve(bench).state is RunState.FAILED
    hook.unlink()
    theirs = push_to(world, "main", {"README.md": "x\n"})
    bench.say("operator", "!release retry update-rootfs-urls --run 1")
    (ask,) = bench.journal.open_asks()
    assert approve(bench).state is RunState.SUCCEEDED
    (branch,) = [name for name in git(world, "branch", "--format=%(refname:short)").split() if "rootfs-" in name]
    assert git(world, "rev-parse", f"{branch}~1") == theirs
    assert git(world, "rev-parse", branch) == ask.facts["update-rootfs-urls"]["commit"]  # type: ignore[index,call-overload]


def initrd(world: Sandbox, name: str, version: str) -> Path:
    return world.folder / "storage" / rootfs_folder(name, version, "arm64") / "initrd.cpio.gz"


def test_a_file_that_came_late_ends_the_asking(world: Sandbox) -> None:
    bench = bot(world)
    version = build(bench, "buster-ltp buster-v4l2").step("build-rootfs").text.rpartition(" ")[2]
    late = initrd(world, "buster-ltp", version)
    content = late.read_bytes()
    late.unlink()
    approve(bench)
    assert any("buster-ltp keeps its version" in line for line in shown(bench))
    late.write_bytes(content)
    approve(bench)
    assert not any("keeps its version" in line for line in shown(bench))
    assert approve(bench).state is RunState.SUCCEEDED
    assert f"buster-ltp/{version}" in text_at(world, "main")


def test_a_file_that_went_between_two_approvals_is_seen(world: Sandbox) -> None:
    bench = bot(world)
    version = build(bench, "buster-ltp buster-v4l2").step("build-rootfs").text.rpartition(" ")[2]
    push_to(world, "main", {"README.md": "new\n"})
    approve(bench)
    initrd(world, "buster-ltp", version).unlink()
    approve(bench)
    (ask,) = bench.journal.open_asks()
    assert ask.ask == 3
    assert approve(bench).state is RunState.SUCCEEDED
    assert f"buster-ltp/{version}" not in text_at(world, "main")
    assert f"buster-v4l2/{version}" in text_at(world, "main")


@dataclass
class Vanishing:
    """A file server that loses a file once it was asked often enough."""

    inner: FileStore
    file: Path | None = None
    asked: int = 0
    left: int = 0

    def exists(self, url: str) -> bool:
        self.asked += 1
        if self.file and self.asked > self.left:
            self.file.unlink(missing_ok=True)
        return self.inner.exists(url)


def test_a_file_that_goes_at_the_last_moment_is_not_pushed(world: Sandbox) -> None:
    ports = sandbox_ports(world)
    files = Vanishing(ports.files)
    bench = bot(world, ports=replace(ports, files=files))
    version = build(bench, "buster-ltp").step("build-rootfs").text.rpartition(" ")[2]
    before = world.backend.head("core", "main")
    files.file, files.left = initrd(world, "buster-ltp", version), 2 * files.asked
    run = approve(bench)
    assert "what would be pushed has changed since it was approved" in run.step("update-rootfs-urls").text
    bench.tick(timedelta(minutes=1))
    assert bench.run(1).step("update-rootfs-urls").state is StepState.NOT_NEEDED
    assert world.backend.head("core", "main") == before
