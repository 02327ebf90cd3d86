"""Release tags: annotated, on the exact commits of the plan, with their version bump in one push, and never moved."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import Run, RunState, StepState
from kcibot_commands import runs, tags
from kcibot_commands.plan.steps import plan
from kcibot_commands.tags import create_tags
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import (
    START,
    Followed,
    Kernelci,
    alerts,
    kernelci,
    killed,
    lines,
    lost_answer,
    result,
    revive,
    start,
    stuck,
    with_ports,
)

AT_ONCE = Procedure("release", plan, create_tags)
GATED = Procedure("release", plan, Gate("prepare", "Make the tags"), create_tags)
PROMPT = "run:1:gate:prepare:1"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


def approved(bench: Bench) -> Run:
    bench.react("operator", PROMPT)
    return bench.run()


def annotate(place: Kernelci, repository: str, name: str) -> None:
    words = ("-c", "user.name=developer-1", "-c", "user.email=developer-1@example.org", "tag", "-m", name, name, "main")
    place.git(repository, *words)


def about(place: Kernelci, component: str, tag: str) -> str:
    """Type of the tag's object, commit, tagger and message, as the server has them."""
    shape = "%(objecttype) %(*objectname) %(taggername) %(taggerdate:unix) %(contents)"
    return place.git(component, "for-each-ref", f"--format={shape}", f"refs/tags/{tag}")


def test_tags_are_annotated_on_the_exact_commit_and_say_nothing_but_their_name(place: Kernelci) -> None:
    bench = place.bench()
    head = place.head("core")
    assert start(bench, AT_ONCE).state is RunState.SUCCEEDED
    when = int(START.timestamp())
    assert about(place, "core", "kernelci-20261123") == f"tag {head} kcibot {when} kernelci-20261123"


def test_a_version_bump_is_pushed_to_the_development_branch_with_its_tag(place: Kernelci) -> None:
    bench = place.bench()
    before = place.head("backend")
    run = start(bench, AT_ONCE)
    after = place.head("backend")
    assert place.git("backend", "rev-parse", "main~1") == before
    assert about(place, "backend", "2026.11.1").startswith(f"tag {after} ")
    assert '__version__ = "2026.11.1"' in place.git("backend", "show", "main:app/handlers/__init__.py")
    assert after == result(bench, run, plan).part("backend").release


def test_the_gate_shows_every_tag_its_commit_and_the_bump_as_a_diff(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, GATED)
    shown = lines(bench, PROMPT)
    assert f"core: tag kernelci-20261123 on {place.head('core')[:10]}" in shown
    assert "with a commit on main, app/handlers/__init__.py:" in shown
    assert '-__version__ = "2026.11.0"' in shown
    assert '+__version__ = "2026.11.1"' in shown
    assert place.git("core", "tag", "--list", "kernelci-20261123") == "", "nothing is pushed before the approval"


def test_what_must_be_confirmed_is_among_the_facts_that_people_approve(place: Kernelci) -> None:
    place.commit("core", {"config/core/lab-configs.yaml": "url: http://staging-api.kernelci.org\n"}, "STAGING")
    annotate(place, "jenkins", "kernelci-20260910")
    bench = place.bench()
    start(bench, GATED)
    leak = "core: config/core/lab-configs.yaml:1 names a staging server: url: http://staging-api.kernelci.org"
    head = place.head("jenkins")[:12]
    twin = f"jenkins: {head} is released already as kernelci-20260910: a second tag needs a confirmation"
    ask = bench.journal.ask(1, "prepare")
    assert ask
    assert ask.facts["create-tags"]["confirm"] == [leak, twin]
    shown = lines(bench, PROMPT)
    assert f"To be confirmed: {leak}" in shown
    assert f"To be confirmed: {twin}" in shown
    assert approved(bench).state is RunState.SUCCEEDED
    assert about(place, "jenkins", "kernelci-20261123").startswith(f"tag {place.head('jenkins')} ")


def test_the_gate_repeats_what_the_plan_warned_of(place: Kernelci) -> None:
    known = "url: http://storage.staging.kernelci.org\n"
    place.commit("core", {"config/core/old.yaml": known}, "in production", branch="kernelci.org")
    place.commit("core", {"config/core/old.yaml": f"{known}priority: high\n"}, "new, with a line more")
    bench = place.bench()
    start(bench, GATED)
    assert "Warning: core: config/core/old.yaml:1 names a staging server" in lines(bench, PROMPT)


def test_people_are_asked_what_must_be_confirmed_even_if_they_made_all_the_tags_themselves(place: Kernelci) -> None:
    for component in ("backend", "frontend", "jenkins"):
        place.git(component, "update-ref", "refs/heads/kernelci.org", "refs/heads/main")
    place.commit("core", {"config/core/lab-configs.yaml": "url: http://staging-api.kernelci.org\n"}, "STAGING")
    annotate(place, "core", "kernelci-20261123")
    bench = place.bench()
    assert start(bench, GATED).current == bench.run().step("prepare")
    assert "names a staging server" in lines(bench, PROMPT)
    assert approved(bench).state is RunState.SUCCEEDED
    assert bench.run().step("create-tags").text == "core kernelci-20261123"


def test_a_tag_that_came_to_the_commit_after_the_approval_was_agreed_to_by_nobody(place: Kernelci) -> None:
    bench = place.bench(runs)
    start(bench, GATED)
    annotate(place, "jenkins", "kernelci-20261122")
    step = approved(bench).step("create-tags")
    assert step.state is StepState.FAILED
    assert "is released already as kernelci-20261122: a second tag needs a confirmation" in step.text
    assert "Nothing of jenkins was pushed" in step.text
    bench.say("operator", "!release amend")
    assert result(bench, bench.run(), plan).part("jenkins").tagged == "kernelci-20261122"
    assert bench.run().state is RunState.SUCCEEDED


def test_commits_that_arrive_after_the_plan_are_not_tagged(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, GATED)
    frozen = place.head("core")
    place.commit("core", {"README.md": "later\n"}, "later")
    assert approved(bench).state is RunState.SUCCEEDED
    assert about(place, "core", "kernelci-20261123").startswith(f"tag {frozen} ")


def test_a_tag_that_exists_on_another_commit_stops_the_step_and_is_not_moved(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, GATED)
    place.git("core", "tag", "kernelci-20261123", "main~1")
    taken = about(place, "core", "kernelci-20261123")
    run = approved(bench)
    assert run.step("create-tags").state is StepState.FAILED
    assert "core: the tag kernelci-20261123 exists already, and a tag is never moved" in run.step("create-tags").text
    assert "Nothing of core was pushed" in run.step("create-tags").text
    assert about(place, "core", "kernelci-20261123") == taken
    assert "!release retry" in alerts(bench)


def test_a_development_branch_that_moved_refuses_the_bump_and_the_tag_together(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, GATED)
    moved = place.commit("backend", {"README.md": "later\n"}, "later")
    run = approved(bench)
    step = run.step("create-tags")
    assert step.state is StepState.FAILED
    assert step.text.startswith("backend: nothing was pushed: main was expected at")
    assert f"but it is at {moved[:12]}" in step.text
    assert place.git("backend", "tag", "--list", "2026.11.1") == ""
    assert place.head("backend") == moved


def test_after_a_refused_tag_an_amended_plan_goes_through_and_keeps_what_was_tagged(place: Kernelci) -> None:
    bench = place.bench(runs)
    start(bench, GATED)
    place.commit("frontend", {"README.md": "later\n"}, "later")
    approved(bench)
    before = about(place, "backend", "2026.11.1")
    assert before, "the backend was tagged before the frontend was refused"
    bench.say("operator", "!release amend")
    bench.react("operator", "run:1:gate:prepare:2")
    assert bench.run().state is RunState.SUCCEEDED
    assert about(place, "backend", "2026.11.1") == before
    assert about(place, "frontend", "2026.11.2").startswith(f"tag {place.head('frontend')} ")


def test_a_release_that_waited_for_days_does_not_make_a_tag_of_an_old_day(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, GATED)
    bench.clock.forward(timedelta(days=3))
    run = approved(bench)
    assert run.step("create-tags").state is StepState.FAILED
    assert "kernelci-20261123 is dated 2026-11-23, but today is 2026-11-26" in run.step("create-tags").text


def test_a_server_that_refuses_is_quoted_and_nothing_is_recorded_as_done(place: Kernelci) -> None:
    place.hook("core", "pre-receive", "echo tags are closed today >&2; exit 1")
    bench = place.bench()
    run = start(bench, AT_ONCE)
    assert run.step("create-tags").state is StepState.FAILED
    assert "tags are closed today" in run.step("create-tags").text
    assert run.step("create-tags").value is None
    place.hook("core", "pre-receive", "exit 0")
    bench = place.bench(runs)
    bench.world.registry.procedures["release"] = AT_ONCE
    bench.say("operator", "!release retry")
    assert bench.run().state is RunState.SUCCEEDED


def test_beginning_the_step_anew_finds_its_own_tags_and_pushes_nothing(place: Kernelci) -> None:
    bench = place.bench(runs)
    start(bench, Procedure("release", plan, create_tags, stuck()))
    before = place.git("core", "for-each-ref")
    place.hook("core", "pre-receive", "exit 1")
    bench.say("operator", "!release retry create-tags")
    assert bench.run().step("create-tags").state is StepState.DONE
    assert place.git("core", "for-each-ref") == before


def test_a_lost_mirror_is_filled_again_with_the_very_same_bump(place: Kernelci) -> None:
    bench = place.bench()
    run = start(bench, GATED)
    shutil.rmtree(place.config.bot.state / "mirrors")
    assert approved(bench).state is RunState.SUCCEEDED
    assert place.head("backend") == result(bench, run, plan).part("backend").release


def test_a_push_whose_answer_was_lost_is_found_by_looking(place: Kernelci) -> None:
    git = Followed(place.ports.git, "push", lost_answer, of="core")
    bench = place.bench(ports=with_ports(place.ports, git=git))
    assert start(bench, AT_ONCE).state is RunState.SUCCEEDED
    assert git.calls == 1


def test_a_bot_that_is_killed_after_the_push_finds_its_tag_and_goes_on(place: Kernelci) -> None:
    git = Followed(place.ports.git, "push", killed(place), of="backend")
    first = place.bench(ports=with_ports(place.ports, git=git))
    start(first, AT_ONCE)
    head = place.head("backend")
    assert place.git("frontend", "tag", "--list", "2026.11.2") == "", "it was killed before the frontend's turn"
    revive(place, first)
    place.hook("backend", "pre-receive", "echo a second push >&2; exit 1")
    second = place.bench(procedures=[AT_ONCE])
    second.engine.resume()
    assert second.run().state is RunState.SUCCEEDED, second.run().step("create-tags").text
    assert place.head("backend") == head


def test_the_newest_tags_are_listed_by_number_not_by_name(place: Kernelci) -> None:
    for version in ("2026.11.9", "2026.11.10"):
        place.git("backend", "tag", version, "main")
    bench = place.bench(tags)
    bench.say("observer", "!tags")
    answer = lines(bench, "run:1:answer")
    assert "backend: 2026.11.10, 2026.11.9 and 2026.11.0" in answer
    assert "Newest release tags" in answer
    assert "linux" not in answer, "what is only read has no releases"
