"""Tags and versions of a plan: a slip of the past is never taken for this release, and never stands in its way."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.procedure import Procedure
from kcibot.core.run import RunState, StepState
from kcibot_commands import runs
from kcibot_commands.plan.steps import Part, Plan, plan
from kcibot_commands.tags import create_tags
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import PRODUCTION, Kernelci, kernelci, result, start, stuck

ONLY = Procedure("release", plan)
TAGGED = Procedure("release", plan, create_tags)
VERSION_FILE = "app/handlers/__init__.py"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


def planned(bench: Bench, procedure: Procedure = ONLY) -> Plan:
    run = start(bench, procedure)
    assert run.step("plan").state is StepState.DONE, run.step("plan").text
    return result(bench, run, plan)


def annotate(place: Kernelci, repository: str, name: str, commit: str = "main") -> None:
    words = ("-c", "user.name=developer-1", "-c", "user.email=developer-1@example.org", "tag", "-m", name, name, commit)
    place.git(repository, *words)


def say_version(place: Kernelci, version: str, branch: str = "main") -> str:
    return place.commit("backend", {VERSION_FILE: f'__version__ = "{version}"\n'}, f"Say {version}", branch)


def backend(place: Kernelci) -> Part:
    return planned(place.bench()).part("backend")


# ---- dated tags on the development branch's head ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("slip", "name"),
    [
        ("kernelci-20260910", "kernelci-20261123"),
        ("kernelci-20270910", "kernelci-20261123"),
        ("kernelci-20261116.1", "kernelci-20261123"),
    ],
)
def test_a_tag_of_another_day_on_the_head_is_not_this_release_and_must_be_confirmed(
    place: Kernelci, slip: str, name: str
) -> None:
    annotate(place, "core", slip)
    found = planned(place.bench())
    assert (found.part("core").tag, found.part("core").tagged) == (name, "")
    assert found.name == name
    head = place.head("core")[:12]
    assert found.confirm == (f"core: {head} is released already as {slip}: a second tag needs a confirmation",)


def test_a_lightweight_tag_of_today_on_the_head_is_not_this_release(place: Kernelci) -> None:
    place.git("core", "tag", "kernelci-20261123", "main")
    found = planned(place.bench())
    assert (found.part("core").tag, found.part("core").tagged) == ("kernelci-20261123.1", "")
    assert "is released already as kernelci-20261123:" in found.confirm[0]


def test_an_annotated_tag_of_yesterday_that_people_made_on_the_head_is_this_release(place: Kernelci) -> None:
    annotate(place, "core", "kernelci-20261122")
    bench = place.bench()
    found = planned(bench, TAGGED)
    assert (found.part("core").tag, found.part("core").tagged) == ("kernelci-20261122",) * 2
    assert found.confirm == ()
    assert bench.run().state is RunState.SUCCEEDED


def test_a_tag_that_a_release_made_is_its_own_however_many_days_later_it_is_amended(place: Kernelci) -> None:
    bench = place.bench(runs)
    start(bench, Procedure("release", plan, create_tags, stuck()))
    bench.clock.forward(timedelta(days=3))
    place.commit("core", {"README.md": "a fix\n"}, "README.md: a fix")
    bench.say("operator", "!release amend")
    found = result(bench, bench.run(), plan)
    assert found.part("core").tag == "kernelci-20261126"
    assert (found.part("jenkins").tag, found.part("jenkins").tagged) == ("kernelci-20261123",) * 2
    assert found.confirm == ()


# ---- versions --------------------------------------------------------------------------------------------------


def test_a_version_that_production_runs_already_is_bumped_even_if_it_was_never_tagged(place: Kernelci) -> None:
    place.git("backend", "tag", "--delete", "2026.11.0")
    assert (backend(place).bump, backend(place).tag) == ("2026.11.0 -> 2026.11.1", "2026.11.1")


def test_a_lightweight_version_on_the_head_is_passed_over_and_said(place: Kernelci) -> None:
    head = say_version(place, "2026.11.1")
    place.git("backend", "tag", "2026.11.1", "main")
    found = planned(place.bench())
    assert (found.part("backend").bump, found.part("backend").tagged) == ("2026.11.1 -> 2026.11.2", "")
    assert f"backend: the tag 2026.11.1 on {head[:10]} is not this release's" in found.warnings


def test_an_annotated_version_on_the_head_is_this_release(place: Kernelci) -> None:
    head = say_version(place, "2026.11.1")
    annotate(place, "backend", "2026.11.1")
    found = backend(place)
    assert (found.release, found.tagged, found.bump) == (head, "2026.11.1", "")


def test_a_mistyped_version_of_the_past_stands_in_no_later_ones_way(place: Kernelci) -> None:
    for slip in ("2062.1.0", "2026.13.0", "2026.12.5"):
        annotate(place, "backend", slip, PRODUCTION)
    assert backend(place).bump == "2026.11.0 -> 2026.11.1"
    say_version(place, "2026.11.1")
    bench = place.bench()
    assert (planned(bench, TAGGED).part("backend").tag, bench.run().state) == ("2026.11.1", RunState.SUCCEEDED)


@pytest.mark.parametrize("tagged", [True, False])
def test_from_a_mistyped_version_that_production_runs_the_next_bump_goes_back_to_this_month(
    place: Kernelci, *, tagged: bool
) -> None:
    say_version(place, "2062.1.0")
    place.git("backend", "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")
    if tagged:
        annotate(place, "backend", "2062.1.0")
    place.commit("backend", {"README.md": "more\n"}, "More")
    assert (backend(place).previous == "2062.1.0") is tagged
    assert backend(place).bump == "2062.1.0 -> 2026.11.1"


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("2062.11.0", "backend: 2062.11.0 is of a month still to come: today is 2026-11-23 (UTC)"),
        ("2026.12.0", "backend: 2026.12.0 is of a month still to come: today is 2026-11-23 (UTC)"),
        ("2026.31.0", "backend: 2026.31.0 names month 31, which no year has"),
    ],
)
def test_a_version_that_was_mistyped_now_stops_the_plan_before_anything_is_tagged(
    place: Kernelci, version: str, said: str
) -> None:
    say_version(place, version)
    run = start(place.bench(), TAGGED)
    assert (run.step("plan").state, run.step("plan").text) == (StepState.FAILED, said)
    assert place.git("core", "tag", "--list", "kernelci-20261123") == ""
