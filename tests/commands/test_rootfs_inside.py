"""Root file systems inside a release (`rootfs.when: inside`): after the images, and then as its next revision."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import Run, RunState, StepState
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands import release, runs
from kcibot_commands.plan.steps import Plan, plan
from kcibot_commands.release import RELEASE, about_plan, amended
from kcibot_commands.rootfs import verbs as rootfs
from kcibot_commands.rootfs.amend import amend_for_rootfs
from kcibot_commands.rootfs.builds import build_rootfs
from kcibot_commands.rootfs.moving import update_rootfs_urls
from kcibot_commands.rootfs.report import report_failures
from kcibot_commands.rootfs.review import request_review
from kcibot_commands.rootfs.settings import Rebuilding, RootfsSettings, When
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import start
from tests.fakes.rootfs_bench import approve, builds_of, built, failing, git, push_to, said
from tests.fakes.sandbox_bench import sandbox, sandbox_bench

STEPS = (build_rootfs, update_rootfs_urls, request_review, report_failures, amend_for_rootfs)
PART = Procedure("release", plan, Gate("amend", "New revision", about=about_plan, when=amended), *STEPS)
"""What is of interest here of a release."""
RECIPE = {"config/rootfs/debos/scripts/buster-ltp.sh": "#!/bin/sh\n# newer tests\n"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path) as made:
        yield made


def bot(world: Sandbox, *modules: Any, **settings: Any) -> Bench:
    given = RootfsSettings(**{"storage": world.storage.url, "report_to": (), **settings})
    return sandbox_bench(world, *(modules or (rootfs, runs)), sections={RootfsSettings: given})


def released_until_now(world: Sandbox) -> None:
    """Production has all that is on the development branch: what changes after this is the release."""
    git(world, "update-ref", "refs/heads/kernelci.org", "refs/heads/main")


def inside(world: Sandbox, **settings: Any) -> tuple[Bench, Run]:
    """A release whose recipes changed, as far as its root file systems are built."""
    released_until_now(world)
    push_to(world, "main", RECIPE)
    bench = bot(world, when=When.INSIDE, **settings)
    run = start(bench, PART)
    return bench, built(bench, run.id)


def plan_of(bench: Bench, run: Run) -> Plan:
    return bench.journal.codec.load(Plan, run.step(plan.id).value)


# ---- inside ----------------------------------------------------------------------------------------------------


def test_inside_a_release_they_come_after_the_images_and_end_in_an_amended_revision(world: Sandbox) -> None:
    ids = [item.id for item in RELEASE]
    after_images = ids[ids.index("push-images") + 1 : ids.index("prepare-pipe-cleaner")]
    assert after_images == [step.id for step in STEPS]
    bench, run = inside(world)
    assert run.step("build-rootfs").text.startswith("25 of 25 built as ")
    first = plan_of(bench, run).part("core")
    (ask,) = bench.journal.open_asks()
    assert ask.gate_id == "rootfs:update-rootfs-urls"
    assert any(line.startswith("+    ramdisk: 'buster/") for line in ask.display)
    run = approve(bench)
    urls = world.backend.head("core", "main")
    assert run.step("amend-rootfs").state is StepState.WAITING
    assert f"the new URLs are {urls[:10]} on main" in run.step("amend-rootfs").text
    assert "!release amend makes them part of this release" in said(bench)
    bench.say("operator", "!release amend")
    (ask,) = bench.journal.open_asks()
    assert ask.gate_id == "amend"
    run = approve(bench)
    second = plan_of(bench, run).part("core")
    assert (first.release != urls, second.release) == (True, urls)
    assert run.state is RunState.SUCCEEDED
    assert run.step("build-rootfs").text == "revision 1 of this release built them and moved their URLs"
    assert run.step("amend-rootfs").state is StepState.NOT_NEEDED
    assert builds_of(world, kci.ROOTFS_TRIGGER) == 1


def test_the_release_goes_on_without_them_if_people_say_so(world: Sandbox) -> None:
    bench, _run = inside(world)
    approve(bench)
    bench.say("operator", "!release skip amend-rootfs the next release has them")
    assert bench.run(1).state is RunState.SUCCEEDED
    assert plan_of(bench, bench.run(1)).part("core").release != world.backend.head("core", "main")


def test_it_is_said_again_while_nobody_amends(world: Sandbox) -> None:
    bench, _run = inside(world)
    approve(bench)
    assert said(bench).count("!release amend makes them part of this release") == 1
    for _ in range(5):
        bench.tick(timedelta(hours=1))
    assert said(bench).count("!release amend makes them part of this release") == 2


def test_if_nothing_moves_the_release_goes_on_by_itself(world: Sandbox) -> None:
    failing(world, *((name, "amd64") for name in kci.ROOTFS_ARCHITECTURES))
    bench, run = inside(world)
    assert run.state is RunState.SUCCEEDED
    assert run.step("amend-rootfs").text == "no URL was moved in this release"
    assert bench.journal.open_asks() == ()


def test_what_failed_inside_is_reported_after_an_approval_of_its_own(world: Sandbox) -> None:
    failing(world, ("buster-igt", "armhf"))
    bench, _run = inside(world, report_to=("release-list@example.org",))
    approve(bench)
    (ask,) = bench.journal.open_asks()
    assert ask.gate_id == "rootfs:report-rootfs"
    assert world.mailbox.messages == ()
    approve(bench)
    assert len(world.mailbox.messages) == 1
    assert bench.run(1).step("amend-rootfs").state is StepState.WAITING


# ---- whether they are built ------------------------------------------------------------------------------------


def test_by_default_a_release_builds_none(world: Sandbox) -> None:
    released_until_now(world)
    run = start(bot(world), PART)
    assert run.state is RunState.SUCCEEDED
    assert run.step("build-rootfs").state is StepState.NOT_NEEDED
    assert run.step("build-rootfs").text == "they are built days before a release, by !rootfs build"
    assert builds_of(world, kci.ROOTFS_TRIGGER) == 0


def test_recipes_that_go_to_production_without_a_build_are_pointed_at(world: Sandbox) -> None:
    released_until_now(world)
    push_to(world, "main", RECIPE)
    text = start(bot(world), PART).step("build-rootfs").text
    assert text.endswith(f"but {next(iter(RECIPE))} changed, and no commit of this release moves a URL")


def test_recipes_that_did_not_change_need_no_build(world: Sandbox) -> None:
    released_until_now(world)
    push_to(world, "main", {"README.md": "new\n"})
    run = start(bot(world, when=When.INSIDE), PART)
    assert run.step("build-rootfs").text == "no recipe of a root file system changed"
    assert builds_of(world, kci.ROOTFS_TRIGGER) == 0


def test_all_are_built_each_time_where_that_is_configured(world: Sandbox) -> None:
    released_until_now(world)
    bench = bot(world, when=When.INSIDE, rebuild=Rebuilding.ALL)
    run = built(bench, start(bench, PART).id)
    assert run.step("build-rootfs").text.startswith("25 of 25 built as ")


def test_a_plan_that_is_only_shown_does_not_need_jenkins_for_them(world: Sandbox) -> None:
    released_until_now(world)
    push_to(world, "main", RECIPE)
    bench = bot(world, release, when=When.INSIDE)
    world.jenkins.close_port()
    bench.say("observer", "!release plan")
    text = said(bench)
    assert "rootfs-build-trigger for all names, 25 builds" in text
    assert f"Root file systems built: {next(iter(RECIPE))} changed" in text
    world.jenkins.open_port()
