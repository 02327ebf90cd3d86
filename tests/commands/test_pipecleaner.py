"""Pipe cleaners in the sandbox: preparing and judging."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.run import RunState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.kernelci.jobs import Settings
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands.rules.verdict import Kind
from tests.fakes.pipecleaner_bench import (
    KERNELS,
    approve,
    bot,
    cleaned,
    compared,
    forward,
    git,
    once_accepted,
    start,
)
from tests.fakes.sandbox_bench import sandbox


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox(tmp_path, Settings(kernels=KERNELS, failure_rate=0.1)) as made:
        yield made


# ---- preparing -------------------------------------------------------------------------------------------------


def test_the_branch_gets_one_commit_on_the_newest_release_and_an_annotated_tag(world: Sandbox) -> None:
    bench = bot(world)
    start(bench)
    tag = git(world, "show", "kernelci.org:kernelci.org")
    assert tag.startswith("kernelci-")
    assert git(world, "rev-parse", "kernelci.org^") == git(world, "rev-parse", "v5.10.80^{commit}")
    assert git(world, "log", "-1", "--format=%s", "kernelci.org") == tag
    assert git(world, "cat-file", "-t", tag) == "tag"
    assert git(world, "for-each-ref", "--format=%(contents:subject)", f"refs/tags/{tag}") == tag
    assert git(world, "rev-parse", f"{tag}^{{commit}}") == git(world, "rev-parse", "kernelci.org")


def test_alone_it_asks_first_and_shows_commit_tag_base_and_what_is_built(world: Sandbox) -> None:
    bench = bot(world)
    before = git(world, "rev-parse", "kernelci.org")
    bench.say("operator", "!pipecleaner")
    assert git(world, "rev-parse", "kernelci.org") == before
    (ask,) = bench.journal.open_asks()
    shown = "\n".join(ask.display)
    assert "which is v5.10.80 and one commit more" in shown
    assert "the reduced set of stable branches" in shown
    assert "started by the monitor for it alone" in shown
    approve(bench)
    assert git(world, "rev-parse", "kernelci.org") == ask.facts["prepare-pipe-cleaner"]["new"]  # type: ignore[index,call-overload]


def test_an_approval_is_void_when_somebody_moved_the_branch(world: Sandbox) -> None:
    bench = bot(world)
    bench.say("operator", "!pipecleaner kernelci")
    git(world, "branch", "--force", "kernelci.org", "v5.10.79")
    approve(bench)
    bench.run(1)
    (ask,) = bench.journal.open_asks()
    assert ask.ask == 2
    assert git(world, "rev-parse", "kernelci.org") == git(world, "rev-parse", "v5.10.79^{commit}")


@pytest.mark.parametrize("name", ["kernelcy", "kernel\N{CYRILLIC SMALL LETTER ES}i"])
def test_an_unknown_build_config_is_answered_with_the_nearest(name: str, world: Sandbox) -> None:
    bench = bot(world)
    bench.say("operator", f"!pipecleaner {name}")
    assert f"there is no build config {name}; did you mean kernelci?" in bench.run(1).steps[0].text


# ---- judging ---------------------------------------------------------------------------------------------------


def test_without_a_baseline_the_table_is_shown_and_people_decide(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    forward(bench, number)
    found = compared(bench, number)
    assert found.verdict.kind is Kind.NONE
    (ask,) = bench.journal.open_asks()
    assert ask.facts["accept"] == {"snapshot": found.digest, "verdict": "none"}
    assert any(f"of {KERNELS} passed (was -)" in line for line in ask.display)


def test_an_accepted_run_is_the_next_ones_baseline_and_the_same_failures_are_known(world: Sandbox) -> None:
    bench = bot(world, tests_quiet=timedelta(minutes=30))
    once_accepted(bench)
    number = start(bench)
    forward(bench, number)
    found = compared(bench, number)
    assert (found.verdict.kind, found.baseline) == (Kind.PASS, compared(bench, 1).snapshot.kernel)
    assert found.snapshot.tests
    assert any("fails, as in the baseline" in reason.text for reason in found.verdict.reasons)


def test_a_configured_earlier_run_is_the_first_baseline(world: Sandbox) -> None:
    earlier = world.baseline.kernel
    bench = bot(world, previous=earlier)
    number = start(bench)
    forward(bench, number)
    assert compared(bench, number).baseline == earlier


def test_an_api_that_does_not_answer_at_the_end_is_unknown_and_never_a_pass(world: Sandbox) -> None:
    bench = bot(world)
    once_accepted(bench)
    number = start(bench)
    for _ in range(6):
        bench.tick(timedelta(minutes=1))
    world.api.faults.add(Fault(FaultKind.STATUS, "/test", times=1000, status=502))
    forward(bench, number)
    found = compared(bench, number)
    assert found.verdict.kind is Kind.UNKNOWN
    assert found.snapshot.unreachable == ("results API",)
    (ask,) = bench.journal.open_asks()
    bench.say("manager-1", f"!approve {ask.code} the storage has them all")
    assert "is no baseline" in bench.run(number).step("accept-results").text


def test_an_acceptance_of_a_snapshot_that_is_no_longer_the_newest_is_void(world: Sandbox) -> None:
    bench = bot(world)
    number = start(bench)
    forward(bench, number)
    done = cleaned(bench, number)
    world.api.post_kernel(done.tree, done.branch, done.kernel, "0" * 40, "sparc", "defconfig", "gcc-8", "FAIL")
    bench.say("operator", "!release retry compare-results")
    forward(bench, number)
    approve(bench)
    bench.run(number)
    (ask,) = bench.journal.open_asks()
    assert ask.ask == 2
    approve(bench)
    assert bench.run(number).state is RunState.SUCCEEDED
    kept = bench.journal.recall("baseline")["5.10"]
    assert isinstance(kept, dict)
    assert any(row[0] == "sparc" for row in kept["results"]["kernels"])
