"""What a pipe cleaner is built on: real Git, and the results API over HTTP, which knows what passed in production."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import Run, RunState, StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot_commands.pipecleaner.configs import (
    BaseRule,
    NewCommit,
    PipecleanerArgs,
    PipecleanerSettings,
    Proven,
    Variants,
)
from kcibot_commands.pipecleaner.prepare import Prepared, prepare_pipe_cleaner
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import Kernelci, kernelci, result, start

GO = Procedure("prepared", Gate("pipecleaner", "Go"), prepare_pipe_cleaner)
AT_ONCE = Procedure("prepared", prepare_pipe_cleaner)
BRANCH = "kernelci.org"
CONFIGS = "config/core/build-configs.yaml"
STABLE = ("stable", "linux-5.10.y")
BUILT = "v5.10.80"
"""The newest release of the repository, which passed in production."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        production(there, BUILT)
        yield there


def production(
    place: Kernelci, kernel: str, passed: int = 20, failed: int = 0, labs: int = 2, *, where: Sequence[str] = STABLE
) -> None:
    """Production has built and tested that release."""
    building(place, kernel, passed, failed, where=where)
    place.api.revision_done(*where, kernel)
    for number in range(labs):
        place.api.post_tests(*where, kernel, f"lab-{number}", "qemu", "baseline", 9, 1)


def building(place: Kernelci, kernel: str, passed: int = 1, failed: int = 0, where: Sequence[str] = STABLE) -> None:
    for number in range(passed + failed):
        status = "PASS" if number < passed else "FAIL"
        place.api.post_kernel(*where, kernel, "0" * 40, "arm", f"config-{number}", "gcc-10", status)


def released(place: Kernelci, *names: str, at: str = BUILT) -> None:
    """Somebody has pushed the tags of stable releases, as mirrors do."""
    for name in names:
        place.git("linux", "tag", name, f"{at}^{{commit}}")


def bench_of(place: Kernelci, **settings: Any) -> Bench:
    return place.bench(sections=(PipecleanerSettings(**settings),))


def prepared(place: Kernelci, config: str = "kernelci", **settings: Any) -> Prepared:
    """Pushed without a question."""
    bench = bench_of(place, **settings)
    run = start(bench, AT_ONCE, PipecleanerArgs(config))
    assert run.state is RunState.SUCCEEDED, run.steps
    return result(bench, run, prepare_pipe_cleaner)


def trouble(place: Kernelci, config: str = "kernelci", **settings: Any) -> str:
    """Why it cannot be proposed. Nothing was pushed."""
    before = place.head("linux", BRANCH)
    run = start(bench_of(place, **settings), AT_ONCE, PipecleanerArgs(config))
    assert run.state is not RunState.SUCCEEDED
    assert place.head("linux", BRANCH) == before
    return run.step(prepare_pipe_cleaner.id).text


def shown(bench: Bench) -> str:
    (ask,) = bench.journal.open_asks()
    return "\n".join(ask.display)


def asked(place: Kernelci, config: str = "kernelci", **settings: Any) -> Bench:
    bench = bench_of(place, **settings)
    start(bench, GO, PipecleanerArgs(config))
    return bench


def approve(bench: Bench) -> Run:
    (ask,) = bench.journal.open_asks()
    bench.react("manager-1", ask.message_key)
    return bench.run()


# ---- known to build and pass -----------------------------------------------------------------------------------


def test_the_newest_release_that_passed_in_production_is_built_on_and_not_a_newer_one(place: Kernelci) -> None:
    released(place, "v5.10.81", "v5.10.82", "v5.10.83", "v5.10.100-rc1", "v5.11.1")
    production(place, "v5.10.81", passed=17, failed=3)
    building(place, "v5.10.82")
    text = shown(asked(place))
    assert f"which is {BUILT} and one commit more" in text
    assert f"{BUILT}: passed 20 of 20 kernels on " in text
    assert "tested by 2 labs, as a build of stable linux-5.10.y" in text
    assert "not a newer one: v5.10.83 was not built in production" in text
    assert "not a newer one: v5.10.82 is being built" in text
    assert "not a newer one: v5.10.81 passed only 17 of 20 kernels" in text
    assert "rc1" not in text


def test_releases_are_compared_as_numbers(place: Kernelci) -> None:
    released(place, "v5.10.9", "v5.10.100")
    production(place, "v5.10.9")
    production(place, "v5.10.100")
    assert prepared(place).base == "v5.10.100"


def test_the_share_that_must_pass_is_configured(place: Kernelci) -> None:
    released(place, "v5.10.81")
    production(place, "v5.10.81", passed=17, failed=3)
    assert prepared(place, proven=Proven(kernels=0.85)).base == "v5.10.81"


def test_a_release_that_no_lab_has_tested_did_not_pass(place: Kernelci) -> None:
    released(place, "v5.10.81")
    production(place, "v5.10.81", labs=0)
    assert "not a newer one: v5.10.81 passed 20 of 20 kernels, untested" in shown(asked(place))
    assert prepared(place, proven=Proven(labs=0)).base == "v5.10.81"


def test_where_production_builds_the_stable_releases_is_configured(place: Kernelci) -> None:
    released(place, "v5.10.81")
    production(place, "v5.10.81", where=("stable-rc", "queue-5.10"))
    proven = Proven(tree="stable-rc", branch="queue-{series}")
    assert prepared(place, proven=proven).base == "v5.10.81"


def test_if_no_release_is_known_to_have_passed_that_is_said_and_nothing_proposed(place: Kernelci) -> None:
    text = trouble(place, proven=Proven(tree="stable-rc"))
    assert "no release of the series 5.10 is known to have passed in production" in text
    assert "v5.10.80 was not built in production; v5.10.79 was not built in production;" in text
    assert "and 4 older ones neither" not in text
    assert "4 older ones neither" in text
    assert "pipecleaner.base: newest" in text


def test_the_newest_is_taken_unasked_only_where_that_is_configured(place: Kernelci) -> None:
    released(place, "v5.10.81")
    place.api.faults.add(Fault(FaultKind.STATUS, status=503, times=50))
    bench = asked(place, base=BaseRule.NEWEST)
    assert "v5.10.81: the newest release; whether it passed was not asked, as configured" in shown(bench)


def test_while_the_results_cannot_be_seen_nothing_is_proposed(place: Kernelci) -> None:
    place.api.faults.add(Fault(FaultKind.STATUS, status=503, times=50))
    text = trouble(place)
    assert "which release of stable linux-5.10.y passed last cannot be seen" in text


def test_auto_is_the_newest_series_of_which_a_release_passed(place: Kernelci) -> None:
    released(place, "v5.15", "v5.15.1", "v5.14.3", "v5.14.2", "v5.16-rc1")
    building(place, "v5.15.1", where=("stable", "linux-5.15.y"))
    production(place, "v5.14.2", where=("stable", "linux-5.14.y"))
    found = prepared(place, series="auto")
    assert (found.base, found.series) == ("v5.14.2", "5.14")
    assert found.skipped == (
        "v5.15.1 is being built",
        "v5.15 was not built in production",
        "v5.14.3 was not built in production",
    )


# ---- one approval, one commit ----------------------------------------------------------------------------------


def test_a_release_that_passes_while_people_think_does_not_void_their_approval(place: Kernelci) -> None:
    bench = asked(place)
    released(place, "v5.10.81")
    production(place, "v5.10.81")
    bench.tick(timedelta(hours=3))
    place.api.faults.add(Fault(FaultKind.STATUS, status=503, times=50))
    run = approve(bench)
    assert run.state is RunState.SUCCEEDED
    assert result(bench, run, prepare_pipe_cleaner).base == BUILT


def test_after_a_day_the_release_is_looked_for_again_and_people_are_asked_again(place: Kernelci) -> None:
    bench = asked(place)
    released(place, "v5.10.81")
    production(place, "v5.10.81")
    bench.tick(timedelta(hours=25))
    approve(bench)
    assert "v5.10.81 and one commit more" in shown(bench)
    assert bench.run().state is not RunState.SUCCEEDED


def test_a_release_whose_tag_was_moved_is_not_built_on_with_the_old_approval(place: Kernelci) -> None:
    bench = asked(place)
    place.git("linux", "tag", "--force", BUILT, "v5.10.78^{commit}")
    approve(bench)
    (ask,) = bench.journal.open_asks()
    assert ask.ask == 2


def test_what_was_known_of_the_release_is_kept_with_the_result(place: Kernelci) -> None:
    released(place, "v5.10.81")
    found = prepared(place)
    assert found.why.startswith("passed 20 of 20 kernels")
    assert found.skipped == ("v5.10.81 was not built in production",)


# ---- a new commit, or none -------------------------------------------------------------------------------------


def test_a_release_that_was_never_built_there_needs_no_commit_if_so_configured(place: Kernelci) -> None:
    found = prepared(place, commit=NewCommit.IF_BUILT)
    assert (found.kernel, found.tag_object) == (BUILT, "")
    assert place.head("linux", BRANCH) == place.git("linux", "rev-parse", f"{BUILT}^{{commit}}") == found.commit


def test_a_release_that_was_built_there_gets_a_new_commit(place: Kernelci) -> None:
    production(place, BUILT, where=("kernelci", BRANCH))
    found = prepared(place, commit=NewCommit.IF_BUILT)
    assert found.kernel.startswith("kernelci-")
    assert place.git("linux", "rev-parse", f"{found.kernel}^{{commit}}") == place.head("linux", BRANCH)


def test_a_commit_that_was_pushed_and_never_built_is_built_as_it_is(place: Kernelci) -> None:
    production(place, BUILT, where=("kernelci", BRANCH))
    first = prepared(place, commit=NewCommit.IF_BUILT)
    bench = asked(place, commit=NewCommit.IF_BUILT)
    text = shown(bench)
    assert f"{BRANCH} stays at {first.commit[:10]}, which is {BUILT} and one commit more" in text
    assert f"{first.kernel} was not built there yet: no new commit, no tag" in text
    run = approve(bench)
    again = result(bench, run, prepare_pipe_cleaner)
    assert (again.commit, again.kernel) == (first.commit, first.kernel)
    production(place, first.kernel, where=("kernelci", BRANCH))
    assert prepared(place, commit=NewCommit.IF_BUILT).kernel != first.kernel


# ---- build configs ---------------------------------------------------------------------------------------------


def full_set(place: Kernelci, text: str) -> None:
    """Production gets another build config."""
    old = place.git("core", "show", f"{BRANCH}:{CONFIGS}")
    place.commit("core", {CONFIGS: f"{old}\n{text}"}, branch=BRANCH)


FULL = "  kernelci_full:\n    tree: kernelci\n    branch: 'kernelci.org'\n"


def test_the_reduced_set_is_warned_of_with_what_it_leaves_out_and_how_all_is_built(place: Kernelci) -> None:
    text = shown(asked(place))
    assert (
        "kernelci builds the reduced set of stable branches: it leaves out fragment debug, fragment kselftest" in text
    )
    assert "allmodconfig (arm64, x86_64)" in text
    assert "add a build config of the tree kernelci and the branch kernelci.org to the file" in text


def test_a_build_config_with_the_full_set_is_offered(place: Kernelci) -> None:
    full_set(place, FULL)
    assert "everything is built by kernelci_full: !pipecleaner kernelci_full" in shown(asked(place))


def test_one_of_another_branch_is_offered_with_its_branch(place: Kernelci) -> None:
    text = shown(asked(place, "gtucker_stable", repositories={"gtucker": "linux"}))
    assert "everything is built by gtucker (branch kernelci-builds): !pipecleaner gtucker" in text


def test_the_full_set_is_built_in_place_of_the_reduced_one_if_so_configured(place: Kernelci) -> None:
    full_set(place, FULL)
    bench = asked(place, variants=Variants.FULL)
    assert "reduced" not in shown(bench)
    run = approve(bench)
    assert result(bench, run, prepare_pipe_cleaner).config == "kernelci_full"


def test_the_full_set_is_not_built_on_another_branch_unasked(place: Kernelci) -> None:
    text = trouble(place, "gtucker_stable", variants=Variants.FULL, repositories={"gtucker": "linux"})
    assert "pipecleaner.variants is full, but gtucker_stable is reduced" in text
    assert "everything is built by gtucker (branch kernelci-builds)" in text


def test_a_personal_tree_is_pushed_to_its_own_repository_and_branch(place: Kernelci) -> None:
    found = prepared(place, "gtucker_stable", repositories={"gtucker": "linux"})
    assert (found.tree, found.branch, found.old) == ("gtucker", "kernelci-stable", "")
    assert place.git("linux", "show", "kernelci-stable:kernelci-stable") == found.kernel
    assert place.git("linux", "rev-parse", "kernelci-stable^") == place.git("linux", "rev-parse", f"{BUILT}^{{commit}}")


def test_a_tree_that_is_not_ours_is_left_as_it_is(place: Kernelci) -> None:
    run = start(bench_of(place), AT_ONCE, PipecleanerArgs("stable_5.10"))
    step = run.step(prepare_pipe_cleaner.id)
    assert step.state is StepState.NOT_NEEDED
    assert "the tree stable has no repository under pipecleaner.repositories" in step.text


# ---- what is wrong ---------------------------------------------------------------------------------------------


def test_an_unknown_build_config_is_answered_with_the_nearest(place: Kernelci) -> None:
    assert trouble(place, "gtucker-stable") == (
        "there is no build config gtucker-stable; did you mean gtucker_stable or gtucker or stable_5.4?"
    )


def test_a_repository_that_is_not_configured_is_named(place: Kernelci) -> None:
    text = trouble(place, repositories={"kernelci": "linus"})
    assert "the tree kernelci is pushed to the repository linus, which is not under services.git.repositories" in text
    assert "and linux" in text


def test_a_series_of_which_the_repository_has_no_release(place: Kernelci) -> None:
    text = trouble(place, series="5.15")
    assert text == (
        "linux has no release of the series 5.15: push the release tags there, or configure another pipecleaner.series"
    )


def test_a_release_tag_that_is_no_commit_is_named(place: Kernelci) -> None:
    blob = place.git("linux", "rev-parse", f"{BUILT}:Makefile")
    place.git("linux", "tag", "v5.10.99", blob)
    production(place, "v5.10.99")
    assert f"nothing can be built on the tag v5.10.99, at {blob[:10]}" in trouble(place)


def test_a_tag_that_somebody_makes_at_that_moment_stops_the_push_and_says_so(place: Kernelci) -> None:
    quicker(place, "refs/tags/kernelci-20261123.0")
    bench = asked(place)
    text = approve(bench).step(prepare_pipe_cleaner.id).text
    assert "nothing was pushed: the tag kernelci-20261123.0 exists already" in text


def test_a_branch_that_moves_at_that_moment_stops_the_push_and_says_where_it_is(place: Kernelci) -> None:
    old, other = place.head("linux", BRANCH), place.git("linux", "rev-parse", "v5.10.78^{commit}")
    quicker(place, f"refs/heads/{BRANCH}")
    text = approve(asked(place)).step(prepare_pipe_cleaner.id).text
    assert f"kernelci.org was expected at {old[:12]}, but it is at {other[:12]}" in text


def quicker(place: Kernelci, ref: str) -> None:
    """Somebody else's push of that reference is done while the server checks ours."""
    place.hook("linux", "pre-receive", f"unset GIT_QUARANTINE_PATH; git update-ref {ref} v5.10.78^{{commit}}")


def test_a_protected_branch_says_what_can_be_done(place: Kernelci) -> None:
    place.git("linux", "config", "receive.denyNonFastForwards", "true")
    text = trouble(place)
    assert "kernelci.org would lose commits by this, which a protected branch does not let happen" in text
