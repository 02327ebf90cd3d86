"""Root file systems: built on the sandbox's Jenkins, their URLs moved in a real repository."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kcibot.core.ports import GitRemote, Ports, RefUpdate
from kcibot.core.run import Run, RunState, StepState
from kcibot.errors import OutcomeUnknown
from kcibot.sandbox import kernelci_definitions as kci
from kcibot.sandbox.kernelci import Sandbox
from kcibot.sandbox.kernelci_jobs import Settings
from kcibot.sandbox.storage import rootfs_folder
from kcibot_commands import rootfs
from kcibot_commands.rootfs import UpdatedUrls
from kcibot_commands.rootfs_builds import build_rootfs
from kcibot_commands.rootfs_orders import CommitTo, RootfsSettings
from tests.fakes.bench import Bench
from tests.fakes.sandbox_bench import sandbox, sandbox_bench, sandbox_ports

FILE = "config/core/test-configs.yaml"
FAILING = frozenset({("buster-igt", "armhf")})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path, Settings(rootfs_failures=FAILING)) as made:
        yield made


def bot(world: Sandbox, ports: Ports | None = None, **settings: Any) -> Bench:
    given = RootfsSettings(storage=world.storage.url, **settings)
    return sandbox_bench(world, rootfs, sections={RootfsSettings: given}, ports=ports)


def build(bench: Bench, names: str = "") -> Run:
    """Start the builds, and let time pass until they have ended."""
    bench.say("operator", f"!rootfs build {names}".strip())
    number = bench.journal.runs(1)[0].id
    for _ in range(12):
        if bench.run(number).step(build_rootfs.id).state is not StepState.WAITING:
            break
        bench.tick(timedelta(minutes=10))
    return bench.run(number)


def approve(bench: Bench, number: int = 1) -> None:
    (ask,) = bench.journal.open_asks()
    bench.react("manager-1", ask.message_key)
    bench.run(number)


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


# ---- building and updating -------------------------------------------------------------------------------------


def test_what_was_built_moves_and_what_failed_keeps_its_version(world: Sandbox) -> None:
    bench = bot(world)
    before = text_at(world, "main")
    run = build(bench)
    assert run.step("build-rootfs").text.startswith("24 of 25 built as ")
    assert run.step("build-rootfs").text.endswith("not built: buster-igt armhf")
    approve(bench)
    run = bench.run(1)
    assert run.state is RunState.SUCCEEDED
    updated = bench.journal.codec.load(UpdatedUrls, run.step("update-rootfs-urls").value)
    assert updated.kept == ("buster-igt",)
    version = updated.moved["buster"]
    assert git(world, "log", "-1", "--format=%s", "main") == (
        f"test-configs.yaml: update rootfs URLs to {version} except buster-igt"
    )
    pairs = list(zip(before.splitlines(), text_at(world, "main").splitlines(), strict=True))
    changed = [(old, new) for old, new in pairs if old != new]
    assert len(changed) == 9
    assert all(version in new and "buster-igt" not in new for _old, new in changed)


def test_the_gate_shows_the_diff_and_who_keeps_what_and_why(world: Sandbox) -> None:
    bench = bot(world)
    build(bench)
    (ask,) = bench.journal.open_asks()
    shown = "\n".join(ask.display)
    assert "buster-igt keeps its version: armhf: failed" in shown
    assert "-    ramdisk: 'buster/" in shown
    assert "+    ramdisk: 'buster/" in shown
    assert "all 42 files asked for are there" in shown


def test_failures_are_said_with_a_link_to_their_log_although_the_trigger_succeeded(world: Sandbox) -> None:
    bench = bot(world)
    build(bench)
    trigger = world.jenkins.world.jobs.find(kci.ROOTFS_TRIGGER)
    assert trigger
    assert trigger.runs[1].result == "SUCCESS"
    text = said(bench)
    assert "armhf: failed, http://" in text
    assert f"/job/{kci.ROOTFS_BUILDER}/" in text


def test_only_the_names_asked_for_are_built_each_with_a_trigger_of_its_own(world: Sandbox) -> None:
    bench = bot(world)
    run = build(bench, "buster-ltp sid")
    assert run.step("build-rootfs").text.startswith("4 of 4 built as ")
    assert builds_of(world, kci.ROOTFS_TRIGGER) == 2
    (ask,) = bench.journal.open_asks()
    assert {"buster-ltp"} == set(ask.facts["update-rootfs-urls"]["moves"])  # type: ignore[index,call-overload]


def test_an_unknown_name_is_refused_with_the_nearest_one(world: Sandbox) -> None:
    bench = bot(world)
    run = build(bench, "buster-lpt")
    assert run.step("build-rootfs").text == "there is no root file system buster-lpt; did you mean buster-ltp?"
    assert builds_of(world, kci.ROOTFS_TRIGGER) == 0


def test_nothing_to_move_needs_no_approval_and_says_why(world: Sandbox) -> None:
    bench = bot(world)
    run = build(bench, "buster-igt")
    assert run.state is RunState.SUCCEEDED
    assert run.step("update-rootfs-urls").state is StepState.NOT_NEEDED
    assert run.step("update-rootfs-urls").text == "no URL moves: buster-igt keeps its version: armhf: failed"


def test_a_file_that_is_gone_when_it_matters_keeps_its_name_where_it_is(world: Sandbox) -> None:
    """The missing check that once cost three weeks; it is made again just before the push."""
    bench = bot(world)
    version = build(bench, "buster-ltp buster-v4l2").step("build-rootfs").text.rpartition(" ")[2]
    (world.folder / "storage" / rootfs_folder("buster-ltp", version, "arm64") / "initrd.cpio.gz").unlink()
    approve(bench)
    (ask,) = bench.journal.open_asks()
    assert ask.ask == 2
    assert any("buster-ltp keeps its version" in line and "answers 404" in line for line in ask.display)
    approve(bench)
    assert f"buster-ltp/{version}" not in text_at(world, "main")
    assert f"buster-v4l2/{version}" in text_at(world, "main")


def test_a_second_round_on_the_same_day_gets_a_version_of_its_own(world: Sandbox) -> None:
    bench = bot(world)
    first = build(bench, "sid").step("build-rootfs").text
    second = build(bench, "sid").step("build-rootfs").text
    version = first.rpartition(" ")[2]
    assert second.endswith(version.removesuffix(".0") + ".1")


# ---- what moved meanwhile --------------------------------------------------------------------------------------


def push_to(world: Sandbox, branch: str, files: dict[str, str]) -> None:
    """Somebody else pushes."""
    remote = sandbox_ports(world).git.remote("core")
    remote.fetch()
    old = remote.branches()[branch]
    new = remote.commit(old, files, "Work of somebody else", world.clock.now())
    remote.push([RefUpdate(f"refs/heads/{branch}", new, old)])


def test_an_approval_is_void_when_the_branch_has_moved(world: Sandbox) -> None:
    bench = bot(world)
    build(bench, "buster-ltp")
    (ask,) = bench.journal.open_asks()
    push_to(world, "main", {"README.md": "new\n"})
    bench.react("manager-1", ask.message_key)
    bench.run(1)
    (asked_again,) = bench.journal.open_asks()
    assert asked_again.ask == 2
    approve(bench)
    assert bench.run(1).state is RunState.SUCCEEDED
    assert git(world, "show", "main:README.md") == "new"
    assert git(world, "log", "-1", "--format=%s", "main").startswith("test-configs.yaml: update rootfs URLs")


def test_the_last_builds_can_be_used_later_after_a_refusal(world: Sandbox) -> None:
    bench = bot(world)
    build(bench, "buster-ltp")
    (ask,) = bench.journal.open_asks()
    bench.react("manager-1", ask.message_key, "-1")
    assert bench.run(1).state is RunState.FAILED
    bench.say("operator", "!rootfs update")
    approve(bench, 2)
    assert bench.run(2).state is RunState.SUCCEEDED
    assert builds_of(world, kci.ROOTFS_TRIGGER) == 1


def test_update_without_any_builds_is_refused(world: Sandbox) -> None:
    bench = bot(world)
    bench.say("operator", "!rootfs update")
    assert bench.replies() == ["No root file systems were built by me yet: !rootfs build does"]


def test_staging_gets_the_same_change_as_a_cherry_pick(world: Sandbox) -> None:
    git(world, "branch", "staging.kernelci.org", "main")
    push_to(world, "staging.kernelci.org", {"STAGING": "only here\n"})
    bench = bot(world, staging_branch="staging.kernelci.org")
    build(bench, "buster-ltp")
    approve(bench)
    assert bench.run(1).state is RunState.SUCCEEDED
    assert text_at(world, "staging.kernelci.org") == text_at(world, "main")
    assert git(world, "show", "staging.kernelci.org:STAGING") == "only here"


def test_a_conflict_on_staging_is_shown_and_staging_stays_as_it_is(world: Sandbox) -> None:
    git(world, "branch", "staging.kernelci.org", "main")
    text = text_at(world, "main") + "\n"
    push_to(world, "staging.kernelci.org", {FILE: text.replace("buster-ltp/", "buster-ltp-next/")})
    before = world.backend.head("core", "staging.kernelci.org")
    bench = bot(world, staging_branch="staging.kernelci.org")
    build(bench, "buster-ltp")
    (ask,) = bench.journal.open_asks()
    assert any("staging stays as it is, pick the commit there by hand" in line for line in ask.display)
    approve(bench)
    assert bench.run(1).state is RunState.SUCCEEDED
    assert world.backend.head("core", "staging.kernelci.org") == before
    assert "not on staging" in said(bench)


def test_a_branch_for_review_leaves_the_development_branch_alone(world: Sandbox) -> None:
    before = world.backend.head("core", "main")
    bench = bot(world, commit=CommitTo.BRANCH)
    run = build(bench, "buster-ltp")
    approve(bench)
    version = run.step("build-rootfs").text.rpartition(" ")[2]
    assert bench.run(1).state is RunState.SUCCEEDED
    assert world.backend.head("core", "main") == before
    assert f"buster-ltp/{version}" in text_at(world, f"rootfs-{version}")


# ---- restarts --------------------------------------------------------------------------------------------------


def test_a_bot_that_was_restarted_goes_on_with_the_same_builds(world: Sandbox) -> None:
    first = bot(world)
    first.say("operator", "!rootfs build buster-ltp")
    first.tick(timedelta(minutes=10))
    first.journal.close()
    second = bot(world)
    second.engine.resume()
    for _ in range(6):
        second.tick(timedelta(minutes=10))
    assert second.run(1).step("build-rootfs").state is StepState.DONE
    assert builds_of(world, kci.ROOTFS_TRIGGER) == 1


@dataclass
class LostAnswer:
    """A repository whose server takes a push, and whose answer to it is lost."""

    inner: GitRemote

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def push(self, updates: Any) -> None:
        self.inner.push(updates)
        raise OutcomeUnknown("the answer to the push was lost")


@dataclass
class LosingHost:
    inner: Any

    def remote(self, name: str) -> Any:
        return LostAnswer(self.inner.remote(name))


def test_a_push_whose_answer_was_lost_is_found_done_and_not_done_twice(world: Sandbox) -> None:
    ports = sandbox_ports(world)
    bench = bot(world, ports=replace(ports, git=LosingHost(ports.git)))
    count = int(git(world, "rev-list", "--count", "main"))
    build(bench, "buster-ltp")
    approve(bench)
    assert bench.run(1).state is RunState.SUCCEEDED
    assert int(git(world, "rev-list", "--count", "main")) == count + 1


def test_status_names_the_versions_in_use(world: Sandbox) -> None:
    bench = bot(world)
    bench.say("observer", "!rootfs status")
    text = said(bench)
    assert "Root file systems in config/core/test-configs.yaml" in text
    assert "buster-ltp: 2" in text
    assert "on main and" in text
