"""Root file systems that failed are reported once, where their log is: as an issue, or by mail where there is none."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from kcibot.core.run import Run, RunState, StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.kernelci import definitions as kci
from kcibot.sandbox.kernelci.jobs import Settings
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot.sandbox.mailbox import MailFault
from kcibot.sandbox.storage import rootfs_folder
from kcibot.sandbox.tracker import TrackerStandIn
from kcibot_commands.rootfs.settings import CommitTo
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import Followed, killed, revive
from tests.fakes.rootfs_bench import (
    REPORT_TO,
    approve,
    bot,
    build,
    failing,
    said,
    shown,
    tracker_of,
    with_tracker,
)
from tests.fakes.sandbox_bench import sandbox

FAILED = ("buster-igt", "armhf")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path, Settings(rootfs_failures=frozenset({FAILED}))) as made:
        yield made


@pytest.fixture
def server(world: Sandbox) -> Iterator[TrackerStandIn]:
    with tracker_of(world) as made:
        yield made


def week(bench: Bench, number: int, names: str = "buster-igt") -> Run:
    """One week's builds, approved if anything is asked."""
    build(bench, names)
    if bench.journal.open_asks():
        approve(bench, number)
    return bench.run(number)


def report_of(run: Run) -> str:
    return run.step("report-rootfs").text


# ---- once ------------------------------------------------------------------------------------------------------


def test_a_failed_name_is_an_issue_with_its_log(world: Sandbox, server: TrackerStandIn) -> None:
    bench = bot(world, ports=with_tracker(world, server))
    run = build(bench, "buster-igt buster-ltp")
    version = run.step("build-rootfs").text.partition(" as ")[2].partition(";")[0]
    assert f"rootfs buster-igt failed for armhf ({version})" in [line.strip() for line in shown(bench)]
    assert server.issues == (), "it is shown before it is done"
    run = approve(bench)
    assert run.state is RunState.SUCCEEDED
    (issue,) = server.issues
    assert issue["title"] == f"rootfs buster-igt failed for armhf ({version})"
    assert "- armhf: failed, http://127.0.0.1" in issue["body"]
    assert f"/job/{kci.ROOTFS_BUILDER}/" in issue["body"]
    assert report_of(run) == f"buster-igt: {issue['html_url']}"


def test_without_a_tracker_it_is_a_mail(world: Sandbox) -> None:
    bench = bot(world, report_to=REPORT_TO)
    run = week(bench, 1)
    (mail,) = world.mailbox.messages
    assert mail.recipients == REPORT_TO
    assert str(mail.message["Subject"]).startswith("Root file systems that failed: buster-igt (")
    assert f"/job/{kci.ROOTFS_BUILDER}/" in mail.text
    assert report_of(run) == "buster-igt: mail to release-list@example.org"


def test_one_mail_tells_of_all_that_failed(world: Sandbox) -> None:
    failing(world, FAILED, ("buster-igt", "arm64"), ("buster-ltp", "amd64"))
    week(bot(world, report_to=REPORT_TO), 1, "buster-igt buster-ltp")
    (mail,) = world.mailbox.messages
    assert all(word in mail.text for word in ("- arm64: failed", "- armhf: failed", "buster-ltp", "- amd64: failed"))


def test_nothing_is_sent_without_an_approval(world: Sandbox) -> None:
    bench = bot(world, report_to=REPORT_TO)
    build(bench, "buster-igt")
    assert "send a mail to release-list@example.org" in shown(bench)
    (ask,) = bench.journal.open_asks()
    bench.react("manager-1", ask.message_key, "-1")
    assert world.mailbox.messages == ()


def test_last_weeks_failure_is_not_reported_again(world: Sandbox, server: TrackerStandIn) -> None:
    bench = bot(world, ports=with_tracker(world, server))
    week(bench, 1)
    bench.tick(timedelta(days=7))
    second = week(bench, 2)
    assert second.step("report-rootfs").state is StepState.NOT_NEEDED
    assert report_of(second) == "buster-igt armhf, which failed before, was reported then"
    assert len(server.issues) == 1


def test_only_what_is_new_is_reported_of_a_name_that_failed_before(world: Sandbox, server: TrackerStandIn) -> None:
    bench = bot(world, ports=with_tracker(world, server))
    week(bench, 1)
    failing(world, FAILED, ("buster-igt", "i386"))
    week(bench, 2)
    _first, second = server.issues
    assert second["title"].startswith("rootfs buster-igt failed for i386 (")
    assert "armhf" not in second["body"]


def test_a_name_that_was_built_in_between_is_reported_anew(world: Sandbox, server: TrackerStandIn) -> None:
    bench = bot(world, ports=with_tracker(world, server))
    week(bench, 1)
    failing(world)
    second = week(bench, 2)
    assert second.step("report-rootfs").text == "buster-igt armhf can be built again"
    failing(world, FAILED)
    week(bench, 3)
    assert len(server.issues) == 2


def test_another_life_of_the_bot_knows_what_was_reported(world: Sandbox, server: TrackerStandIn) -> None:
    first = bot(world, ports=with_tracker(world, server))
    week(first, 1)
    first.journal.close()
    week(bot(world, ports=with_tracker(world, server)), 2)
    assert len(server.issues) == 1


def test_a_file_that_is_missing_on_the_file_server_is_reported_with_its_address(
    world: Sandbox, server: TrackerStandIn
) -> None:
    bench = bot(world, ports=with_tracker(world, server))
    version = build(bench, "buster-ltp").step("build-rootfs").text.rpartition(" ")[2]
    lost = f"{rootfs_folder('buster-ltp', version, 'arm64')}/initrd.cpio.gz"
    (world.folder / "storage" / lost).unlink()
    approve(bench)
    approve(bench)
    (issue,) = server.issues
    assert f"{lost} answers 404" in issue["body"]


def test_where_nobody_is_to_be_told_the_room_is(world: Sandbox) -> None:
    bench = bot(world)
    run = week(bench, 1)
    assert report_of(run) == "neither services.tracker nor rootfs.report_to says where"
    assert said(bench).count("armhf: failed, http://") == 1, "the table has it, and it is said once"


# ---- when answers are lost -------------------------------------------------------------------------------------


def test_an_issue_whose_answer_was_lost_is_found_and_not_opened_again(world: Sandbox, server: TrackerStandIn) -> None:
    bench = bot(world, ports=with_tracker(world, server))
    build(bench, "buster-igt")
    server.faults.add(Fault(FaultKind.RESET_AFTER, "POST"))
    run = approve(bench)
    assert run.state is RunState.SUCCEEDED
    assert report_of(run) == f"buster-igt: {server.issues[0]['html_url']}"
    assert len(server.issues) == 1


def test_an_issue_that_was_not_opened_is_opened_by_the_next_try(world: Sandbox, server: TrackerStandIn) -> None:
    bench = bot(world, ports=with_tracker(world, server))
    build(bench, "buster-igt")
    server.faults.add(Fault(FaultKind.RESET_BEFORE, "POST"))
    approve(bench)
    assert server.issues == ()
    for _ in range(3):
        bench.tick(timedelta(minutes=1))
    assert bench.run(1).state is RunState.SUCCEEDED
    assert len(server.issues) == 1


def test_a_tracker_that_cannot_be_seen_is_no_reason_to_open_another(world: Sandbox, server: TrackerStandIn) -> None:
    bench = bot(world, ports=with_tracker(world, server))
    build(bench, "buster-igt")
    server.faults.add(Fault(FaultKind.RESET_AFTER, "POST"))
    server.faults.add(Fault(FaultKind.STATUS, "GET", status=502))
    run = approve(bench)
    assert run.state is RunState.UNKNOWN
    assert "cannot tell whether it happened" in report_of(run)
    bench.say("operator", "!release retry report-rootfs --run 1")
    assert bench.run(1).state is RunState.SUCCEEDED
    assert len(server.issues) == 1


def test_a_mail_whose_answer_was_lost_is_found_in_the_archive(world: Sandbox) -> None:
    bench = bot(world, report_to=REPORT_TO)
    build(bench, "buster-igt")
    world.mailbox.misbehave(MailFault.LOSE_ANSWER)
    assert approve(bench).state is RunState.SUCCEEDED
    assert len(world.mailbox.messages) == 1


def test_a_bot_that_is_killed_after_the_issue_was_opened_finds_it(world: Sandbox, server: TrackerStandIn) -> None:
    place = SimpleNamespace(folder=world.folder / "bot")
    ports = with_tracker(world, server)
    first = bot(world, ports=replace(ports, tracker=Followed(ports.tracker, "open_issue", killed(place))))
    build(first, "buster-igt")
    approve(first)
    assert len(server.issues) == 1
    revive(place, first)
    second = bot(world, ports=ports)
    second.engine.resume()
    second.settle()
    assert second.run(1).state is RunState.SUCCEEDED
    assert report_of(second.run(1)) == f"buster-igt: {server.issues[0]['html_url']}"
    assert len(server.issues) == 1


# ---- pull requests ---------------------------------------------------------------------------------------------


def test_the_branch_for_review_gets_one_pull_request(world: Sandbox, server: TrackerStandIn) -> None:
    bench = bot(world, ports=with_tracker(world, server), commit=CommitTo.BRANCH)
    version = build(bench, "buster-ltp").step("build-rootfs").text.rpartition(" ")[2]
    assert f"open a pull request of rootfs-{version} into main" in shown(bench)
    run = approve(bench)
    (pull,) = server.pulls
    assert (pull["head"]["ref"], pull["base"]["ref"]) == (f"rootfs-{version}", "main")
    assert pull["title"] == f"test-configs.yaml: update rootfs URLs to {version}"
    assert run.step("request-review").text == pull["html_url"]


def test_a_pull_request_whose_answer_was_lost_is_found(world: Sandbox, server: TrackerStandIn) -> None:
    bench = bot(world, ports=with_tracker(world, server), commit=CommitTo.BRANCH)
    build(bench, "buster-ltp")
    server.faults.add(Fault(FaultKind.RESET_AFTER, "POST"))
    assert approve(bench).state is RunState.SUCCEEDED
    assert len(server.pulls) == 1


def test_a_refused_pull_request_leaves_the_branch_and_says_why(world: Sandbox, server: TrackerStandIn) -> None:
    bench = bot(world, ports=with_tracker(world, server), commit=CommitTo.BRANCH)
    version = build(bench, "buster-ltp").step("build-rootfs").text.rpartition(" ")[2]
    server.faults.add(Fault(FaultKind.STATUS, "POST", status=403))
    run = approve(bench)
    assert run.state is RunState.FAILED
    assert "403 and did not open the pull request" in run.step("request-review").text
    assert world.backend.head("core", f"rootfs-{version}")
    bench.say("operator", "!release retry request-review --run 1")
    assert bench.run(1).state is RunState.SUCCEEDED
    assert len(server.pulls) == 1


def test_without_an_api_only_the_branch_is_pushed(world: Sandbox) -> None:
    bench = bot(world, commit=CommitTo.BRANCH)
    version = build(bench, "buster-ltp").step("build-rootfs").text.rpartition(" ")[2]
    assert not any("pull request" in line for line in shown(bench))
    assert approve(bench).state is RunState.SUCCEEDED
    assert world.backend.head("core", f"rootfs-{version}")
