"""Root file systems: built on the sandbox's Jenkins, their URLs moved in a real repository."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kcibot.core.journal import Remember
from kcibot.core.ports import GitRemote
from kcibot.core.run import RunState, StepState
from kcibot.errors import OutcomeUnknown
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.jobs import Settings
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot.sandbox.storage import rootfs_folder
from kcibot_commands.rootfs.builds import TOPIC
from kcibot_commands.rootfs.moving import UpdatedUrls
from kcibot_commands.rootfs.settings import CommitTo
from tests.fakes.rootfs_bench import (
    FILE,
    approve,
    bot,
    build,
    builds_of,
    built,
    git,
    lock_production,
    open_production,
    push_to,
    said,
    shown,
    text_at,
)
from tests.fakes.sandbox_bench import sandbox, sandbox_ports

FAILING = frozenset({("buster-igt", "armhf")})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path, Settings(rootfs_failures=FAILING)) as made:
        yield made


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
    """The missing check that once cost three weeks; it is made again just before the approval is used."""
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
    assert any("staging.kernelci.org stays as it is, pick the commit there by hand" in line for line in ask.display)
    approve(bench)
    assert bench.run(1).state is RunState.SUCCEEDED
    assert world.backend.head("core", "staging.kernelci.org") == before
    assert "conflict in config/core/test-configs.yaml" in said(bench)


def test_a_branch_for_review_leaves_the_development_branch_alone(world: Sandbox) -> None:
    before = world.backend.head("core", "main")
    bench = bot(world, commit=CommitTo.BRANCH)
    run = build(bench, "buster-ltp")
    approve(bench)
    version = run.step("build-rootfs").text.rpartition(" ")[2]
    assert bench.run(1).state is RunState.SUCCEEDED
    assert world.backend.head("core", "main") == before
    assert f"buster-ltp/{version}" in text_at(world, f"rootfs-{version}")


def test_a_reviewers_commit_is_never_overwritten(world: Sandbox) -> None:
    bench = bot(world, commit=CommitTo.BRANCH)
    version = build(bench, "buster-ltp").step("build-rootfs").text.rpartition(" ")[2]
    approve(bench)
    theirs = push_to(world, f"rootfs-{version}", {"README.md": "reviewed\n"})
    bench.say("operator", "!rootfs update")
    assert any(line.startswith(f"push rootfs-{version}-2: nothing -> ") for line in shown(bench))
    assert approve(bench, 2).state is RunState.SUCCEEDED
    assert world.backend.head("core", f"rootfs-{version}") == theirs
    assert f"buster-ltp/{version}" in text_at(world, f"rootfs-{version}-2")


def test_a_branch_for_review_that_is_there_already_is_left_as_it_is(world: Sandbox) -> None:
    bench = bot(world, commit=CommitTo.BRANCH)
    version = build(bench, "buster-ltp").step("build-rootfs").text.rpartition(" ")[2]
    approve(bench)
    before = world.backend.head("core", f"rootfs-{version}")
    bench.say("operator", "!rootfs update")
    assert approve(bench, 2).state is RunState.SUCCEEDED
    assert world.backend.head("core", f"rootfs-{version}") == before
    assert f"rootfs-{version}-2" not in git(world, "branch", "--format=%(refname:short)")


def test_staging_that_has_the_urls_already_is_no_conflict(world: Sandbox) -> None:
    bench = bot(world, staging_branch="staging.kernelci.org")
    git(world, "branch", "staging.kernelci.org", "main")
    version = build(bench, "buster-ltp").step("build-rootfs").text.rpartition(" ")[2]
    old = next(line for line in text_at(world, "main").splitlines() if "'buster-ltp/" in line).split("/")[1]
    text = text_at(world, "main") + "\n"
    push_to(world, "staging.kernelci.org", {FILE: text.replace(f"buster-ltp/{old}", f"buster-ltp/{version}")})
    approve(bench)
    assert "staging.kernelci.org has these URLs already" in shown(bench)
    assert approve(bench).state is RunState.SUCCEEDED


# ---- rounds ----------------------------------------------------------------------------------------------------


def test_two_rounds_begun_at_once_get_two_versions(world: Sandbox) -> None:
    bench = bot(world)
    bench.say("operator", "!rootfs build sid")
    bench.say("operator", "!rootfs build buster-ltp")
    texts = [built(bench, number).step("build-rootfs").text for number in (1, 2)]
    assert [text.rpartition(".")[2] for text in texts] == ["0", "1"]
    assert builds_of(world, kci.ROOTFS_TRIGGER) == 2


def test_builds_wait_while_a_run_changes_production(world: Sandbox) -> None:
    bench = bot(world)
    lock_production(bench)
    bench.say("operator", "!rootfs build sid")
    bench.tick(timedelta(minutes=10))
    assert "production is locked by manager-2's run 99" in bench.run(1).step("build-rootfs").text
    assert builds_of(world, kci.ROOTFS_TRIGGER) == 0
    open_production(bench)
    bench.tick(timedelta(minutes=1))
    assert built(bench).step("build-rootfs").state is StepState.DONE
    assert builds_of(world, kci.ROOTFS_TRIGGER) == 1


def test_a_later_round_of_one_name_leaves_the_others_for_an_update(world: Sandbox) -> None:
    bench = bot(world)
    build(bench, "buster-ltp buster-v4l2")
    (ask,) = bench.journal.open_asks()
    bench.react("manager-1", ask.message_key, "-1")
    build(bench, "sid")
    bench.say("operator", "!rootfs update")
    (ask,) = bench.journal.open_asks()
    assert set(ask.facts["update-rootfs-urls"]["moves"]) == {"buster-ltp", "buster-v4l2"}  # type: ignore[index,call-overload]


def test_a_round_that_is_not_over_is_not_offered(world: Sandbox) -> None:
    """A bot may be killed between the note of the round and the end of its step."""
    bench = bot(world)
    bench.say("operator", "!rootfs build sid")
    bench.journal.commit([Remember(TOPIC, "sid", {"run": 1})])
    bench.say("operator", "!rootfs update")
    assert "No root file systems were built by me yet: !rootfs build does" in bench.replies()


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
