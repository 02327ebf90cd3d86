"""The plan: what it says of the repositories' history, what it warns of, what it refuses, and what stays frozen."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.procedure import Procedure
from kcibot.core.run import RunState, StepState
from kcibot_commands import runs
from kcibot_commands.plan.steps import Component, Part, Plan, ReleaseSettings, TagStyle, default_components, plan
from kcibot_commands.production import push_core, take_production_lock
from kcibot_commands.rules.versions import SuffixStyle
from kcibot_commands.tags import create_tags
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import PRODUCTION, Kernelci, alerts, kernelci, lines, result, start, stuck

ONLY = Procedure("release", plan)
TAGGED = Procedure("release", plan, create_tags)
RELEASED = tuple(name for name, one in default_components().items() if not one.read_only)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


def planned(bench: Bench, procedure: Procedure = ONLY) -> Plan:
    run = start(bench, procedure)
    assert run.step("plan").state is StepState.DONE, run.step("plan").text
    return result(bench, run, plan)


def part(place: Kernelci, component: str) -> Part:
    return planned(place.bench()).part(component)


def release_by_hand(place: Kernelci, component: str) -> None:
    place.git(component, "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")


# ---- what it says ----------------------------------------------------------------------------------------------


def test_every_component_is_planned_from_its_production_branch_to_its_development_branch(place: Kernelci) -> None:
    found = planned(place.bench())
    assert set(found.parts) == {*RELEASED, "backend-config", "frontend-config", "linux"}
    for component in RELEASED:
        assert found.part(component).production == place.head(component, PRODUCTION)
        assert found.part(component).development == place.head(component)


def test_the_commits_are_those_that_git_lists_without_merges(place: Kernelci) -> None:
    listed = place.git("core", "rev-list", "--no-merges", f"main...{PRODUCTION}").split()
    commits = part(place, "core").commits
    assert sorted(commit.sha for commit in commits) == sorted(listed)
    assert {commit.author for commit in commits} <= {"developer-1", "developer-2", "developer-3"}
    assert commits[0].subject == "README.md: say what kci_rootfs needs"


def test_tags_are_dated_today_and_versions_are_the_next_of_the_month(place: Kernelci) -> None:
    found = planned(place.bench())
    assert {part.component: part.tag for part in found.parts.values() if part.tag} == {
        "core": "kernelci-20261123",
        "backend": "2026.11.1",
        "frontend": "2026.11.2",
        "jenkins": "kernelci-20261123",
    }
    assert found.name == "kernelci-20261123"


def test_the_previous_release_is_the_tag_on_the_production_branch_not_the_newest_name(place: Kernelci) -> None:
    dated = [tag for tag in place.git("core", "tag", "--list", "kernelci-2*").split() if tag > "kernelci-20261123"]
    assert dated, "the history holds a tag with a date to come"
    found = planned(place.bench())
    previous = {part.component: part.previous for part in found.parts.values()}
    assert previous["core"] == "kernelci-20261116"
    assert previous["backend"] == "2026.11.0"
    assert previous["jenkins"] == "kernelci-20261109"


def test_a_release_that_was_tagged_with_a_wrong_date_is_still_the_previous_one(place: Kernelci) -> None:
    place.git("core", "tag", "--delete", "kernelci-20261116")
    place.git("core", "tag", "kernelci-20270116", PRODUCTION)
    assert part(place, "core").previous == "kernelci-20270116"


def test_a_version_that_was_released_is_bumped_on_top_of_the_development_branch(place: Kernelci) -> None:
    bench = place.bench()
    backend = planned(bench).part("backend")
    git = bench.world.ports.git.remote("backend")
    assert backend.bump == "2026.11.0 -> 2026.11.1"
    assert '__version__ = "2026.11.1"' in git.read(backend.release, "app/handlers/__init__.py")
    (bump,) = git.log(backend.development, backend.release)
    assert (bump.subject, bump.author) == ("Bump app version to 2026.11.1", "kcibot")
    assert place.head("backend") == backend.development, "planning pushes nothing"


def test_a_version_that_somebody_bumped_already_is_tagged_as_it_is(place: Kernelci) -> None:
    head = place.commit("backend", {"app/handlers/__init__.py": '__version__ = "2026.11.1"\n'}, "Bump app version")
    backend = part(place, "backend")
    assert (backend.release, backend.tag, backend.bump) == (head, "2026.11.1", "")


def test_what_changed_says_which_steps_are_called_for(place: Kernelci) -> None:
    found = planned(place.bench())
    assert set(found.part("core").causes) == {"code", "configs", "images", "rootfs", "jobs"}
    assert found.part("core").causes["rootfs"] == "config/rootfs/debos/scripts/igt.sh changed"
    assert "frontend js" in found.part("frontend").causes


def test_a_changed_parameter_header_of_a_pipeline_calls_for_new_job_definitions(place: Kernelci) -> None:
    assert part(place, "core").causes["jobs"] == "jenkins/build.jpl changed"


def test_a_pipeline_whose_parameters_stay_calls_for_no_job_definitions(place: Kernelci) -> None:
    release_by_hand(place, "core")
    text = place.git("core", "show", "main:jenkins/monitor.jpl")
    place.commit("core", {"jenkins/monitor.jpl": f"{text}\n// a remark\n"}, "jenkins/monitor.jpl: a remark")
    assert set(part(place, "core").causes) == {"code"}


def test_the_overview_is_said_once_in_a_release_and_not_at_all_by_a_verb_that_only_shows(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, ONLY)
    bench.deliver()
    assert not [key for key in bench.notices if key.endswith(":plan")]
    start(bench, TAGGED)
    overview = lines(bench, "run:2:plan:1:plan")
    assert "core: 7 commits since kernelci-20261116, to be kernelci-20261123" in overview
    assert "backend: 3 commits since 2026.11.0, to be 2026.11.1, version 2026.11.0 -> 2026.11.1" in overview
    assert "28987f6772" in overview or "gcc-10_arm64: install the device tree compiler" in overview


# ---- unchanged, again, amended ---------------------------------------------------------------------------------


def test_an_unchanged_component_gets_no_tag_and_says_since_when(place: Kernelci) -> None:
    release_by_hand(place, "jenkins")
    bench = place.bench()
    start(bench, TAGGED)
    jenkins = result(bench, bench.run(), plan).part("jenkins")
    assert (jenkins.changed, jenkins.tag, jenkins.release) == (False, "", jenkins.production)
    assert "jenkins: unchanged since" in lines(bench, "run:1:plan:1:plan")


def test_nothing_changed_at_all_is_said_in_a_sentence(place: Kernelci) -> None:
    for component in RELEASED:
        release_by_hand(place, component)
    bench = place.bench()
    run = start(bench, TAGGED)
    assert run.step("plan").text == "nothing has changed since the last release"
    assert run.step("create-tags").state is StepState.NOT_NEEDED


def test_a_second_release_of_the_same_day_gets_the_next_number(place: Kernelci) -> None:
    bench = place.bench()
    first = start(bench, TAGGED)
    for component in RELEASED:
        release_by_hand(place, component)
    assert first.state is RunState.SUCCEEDED
    place.commit("core", {"README.md": "hotfix\n"}, "README.md: hotfix")
    place.commit("backend", {"README.md": "hotfix\n"}, "README.md: hotfix")
    found = planned(bench)
    assert found.part("core").tag == "kernelci-20261123.1"
    assert found.part("backend").tag == "2026.11.2"
    assert found.name == "kernelci-20261123.1"


def test_a_release_without_dated_tags_is_not_named_like_the_one_before(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, TAGGED)
    for component in RELEASED:
        release_by_hand(place, component)
    place.commit("backend", {"README.md": "hotfix\n"}, "README.md: hotfix")
    assert planned(bench).name == "kernelci-20261123.1"


def test_an_amended_plan_keeps_the_tag_of_a_commit_that_is_tagged_already(place: Kernelci) -> None:
    bench = place.bench(runs)
    start(bench, Procedure("release", plan, create_tags, stuck()))
    place.commit("core", {"README.md": "a fix\n"}, "README.md: a fix")
    bench.say("operator", "!release amend")
    found = result(bench, bench.run(), plan)
    assert found.revision == 2
    assert found.part("core").tag == "kernelci-20261123.1"
    assert (found.part("jenkins").tag, found.part("jenkins").tagged) == ("kernelci-20261123",) * 2
    assert (found.part("backend").tag, found.part("backend").bump) == ("2026.11.1", "")
    assert "backend: 4 commits since 2026.11.0, tagged 2026.11.1 already" in lines(bench, "run:1:plan:2:plan")


def test_an_amended_plan_still_knows_what_the_first_revision_called_for(place: Kernelci) -> None:
    bench = place.bench(runs)
    before = place.head("core", PRODUCTION)
    start(bench, Procedure("release", plan, create_tags, take_production_lock, push_core, stuck()))
    assert place.head("core", PRODUCTION) == place.head("core")
    bench.say("operator", "!release amend")
    core = result(bench, bench.run(), plan).part("core")
    assert (core.changed, core.base) == (False, before)
    assert {"images", "rootfs", "jobs"} <= set(core.causes)
    assert "left over from a release that did not end: images" in lines(bench, "run:1:plan:2:plan")


def test_two_releases_of_the_same_commits_have_different_mails(place: Kernelci) -> None:
    bench = place.bench()
    assert planned(bench).message_id != planned(bench).message_id


def test_the_plan_is_found_again_after_a_restart(place: Kernelci) -> None:
    first = place.bench()
    found = planned(first)
    first.journal.close()
    second = place.bench()
    assert result(second, second.run(), plan) == found


# ---- warnings and refusals -------------------------------------------------------------------------------------


def test_a_new_line_that_names_a_staging_server_must_be_confirmed(place: Kernelci) -> None:
    path = "config/core/test-configs.yaml"
    text = place.git("core", "show", f"main:{path}")
    place.commit("core", {path: f"{text}\n# http://storage.staging.kernelci.org/images\n"}, "STAGING use its storage")
    found = planned(place.bench())
    (leak,) = found.confirm
    assert leak.startswith(f"core: {path}:")
    assert "names a staging server: # http://storage.staging.kernelci.org/images" in leak


def test_commits_that_only_production_has_are_listed_with_their_twins(place: Kernelci) -> None:
    place.commit("core", {"FIXUP": "alone\n"}, "FIXUP only here", branch=PRODUCTION)
    twin = place.commit("core", {"both": "same\n"}, "the same change on main")
    place.commit("core", {"both": "same\n"}, "the same change in production", branch=PRODUCTION)
    first, second = part(place, "core").lost
    assert first.endswith(f"the same change in production (the same change is {twin[:10]} on the development branch)")
    assert second.endswith("FIXUP only here")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "nothing here\n",
            'backend, app/handlers/__init__.py: the version file must have one line __version__ = "..."',
        ),
        ('__version__ = "soon"\n', "soon is no version: it must look like 2019.5.1"),
        ('__version__ = "2026.9.7"\n', "2026.9.7 is not above 2026.11.0, which exists"),
    ],
)
def test_a_version_file_that_cannot_be_released_stops_the_plan_in_a_sentence(
    place: Kernelci, text: str, said: str
) -> None:
    place.commit("backend", {"app/handlers/__init__.py": text}, "Break the version")
    run = start(place.bench(), ONLY)
    assert run.step("plan").state is StepState.FAILED
    assert said in run.step("plan").text


def test_a_branch_that_is_not_there_is_named_with_those_that_are(place: Kernelci) -> None:
    components = {"core": Component(development="master")}
    run = start(place.bench(sections=[ReleaseSettings(components)]), ONLY)
    assert run.step("plan").text == "core has no branch master; its branches are kernelci.org and main"


def test_a_repository_that_is_no_component_of_kernelci_is_released_without_causes(place: Kernelci) -> None:
    config = {"backend-config": Component(production="main"), "linux": Component("kernelci.org", "kernelci.org")}
    own = Kernelci.bench(place, sections=[ReleaseSettings(config)])
    found = planned(own)
    assert not any(one.changed for one in found.parts.values())
    place.repositories = {**place.repositories, "website": place.repositories["linux"]}
    del place.__dict__["config"], place.__dict__["ports"]
    website = Component(development="kernelci.org", production="old", tags=TagStyle.DATED, suffix=SuffixStyle.ALWAYS)
    place.git("linux", "update-ref", "refs/heads/old", "refs/heads/kernelci.org~1")
    found = planned(place.bench(sections=[ReleaseSettings({"website": website})]))
    assert (found.part("website").tag, found.part("website").causes) == ("kernelci-20261123.0", {})
    (warning,) = found.warnings
    assert warning.startswith("website: nobody said what it is, so no step is called for by its changes")


def test_an_unreachable_repository_is_tried_again_and_then_fails_in_a_sentence(place: Kernelci) -> None:
    bench = place.bench()
    place.repositories["jenkins"].rename(place.folder / "gone")
    run = start(bench, ONLY)
    for _ in range(4):
        if run.step("plan").state is StepState.FAILED:
            break
        bench.tick(timedelta(minutes=2))
        run = bench.run()
    assert run.step("plan").state is StepState.FAILED
    assert "jenkins" in run.step("plan").text
    assert "Traceback" not in run.step("plan").text
    assert "Nothing had been done before it." in alerts(bench)
