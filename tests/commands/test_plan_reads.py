"""What a plan reads: renames, merges, files that are no text, and repositories that are not released themselves."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kcibot.core.journal import Remember
from kcibot.core.procedure import Procedure
from kcibot.core.run import RunState, StepState
from kcibot_commands.plan.steps import CONFIGURED, Component, Part, Plan, ReleaseSettings, frozen, plan
from kcibot_commands.production import push_core, take_production_lock
from kcibot_commands.rules import changes
from kcibot_commands.tags import create_tags
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import PRODUCTION, START, Kernelci, kernelci, lines, result, start

ONLY = Procedure("release", plan)
TAGGED = Procedure("release", plan, create_tags)
READ = ("backend-config", "frontend-config", "linux")
OVERVIEW = "run:1:plan:1:plan"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


def planned(bench: Bench, procedure: Procedure = ONLY) -> Plan:
    run = start(bench, procedure)
    assert run.step("plan").state is StepState.DONE, run.step("plan").text
    return result(bench, run, plan)


def core(place: Kernelci) -> Part:
    return planned(place.bench()).part("core")


def release_by_hand(place: Kernelci, component: str) -> None:
    place.git(component, "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")


def record(place: Kernelci, repository: str, *changed: bytes, branch: str = "main", merged: str = "") -> None:
    """A commit in the words of `git fast-import`, a merge if another commit is named."""
    ref = f"refs/heads/{branch}"
    head = f"commit {ref}\ncommitter developer-1 <developer-1@example.org> {int(START.timestamp())} +0000\n"
    parents = f"from {ref}^0\n" + (f"merge {merged}\n" if merged else "")
    stream = b"".join((head.encode(), b"data 4\nWork\n", parents.encode(), *changed))
    place.git(repository, "fast-import", "--quiet", given=stream)


def inline(path: str, content: bytes) -> bytes:
    return b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content)


# ---- what the changes call for ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("config/docker/qemu/Dockerfile", "attic/Dockerfile", "images"),
        ("config/rootfs/debos/scripts/igt.sh", "attic/igt.sh", "rootfs"),
        ("config/core/lab-configs.yaml", "attic/labs.txt", "configs"),
    ],
)
def test_a_file_that_left_a_folder_still_calls_for_its_kind_of_update(
    place: Kernelci, old: str, new: str, kind: str
) -> None:
    release_by_hand(place, "core")
    record(place, "core", f"R {old} {new}\n".encode())
    assert core(place).causes[kind].startswith(old)


def test_a_staging_server_that_was_in_production_before_its_file_moved_is_no_news(place: Kernelci) -> None:
    text = place.git("core", "show", "main:config/core/test-configs.yaml")
    line = "# http://storage.staging.kernelci.org/images\n"
    place.commit("core", {"config/core/test-configs.yaml": f"{text}\n{line}"}, "its type")
    release_by_hand(place, "core")
    record(place, "core", b"R config/core/test-configs.yaml config/runtime/test-configs.yaml\n")
    found = planned(place.bench())
    assert (len(found.confirm), len([one for one in found.warnings if "staging server" in one])) == (0, 1)


@pytest.mark.parametrize("path", ["jenkins/tools.tar.gz", "config/core/notes.yaml"])
def test_a_file_that_is_no_text_is_not_searched_and_does_not_stop_the_plan(place: Kernelci, path: str) -> None:
    record(place, "core", inline(path, b"\x1f\x8b\x00\xff staging-api"))
    found = planned(place.bench())
    assert f"core: {path} is no text, so it was not searched for staging servers" in found.warnings


def test_another_repository_inside_one_does_not_stop_the_plan(place: Kernelci) -> None:
    record(place, "core", b"M 160000 %s jenkins/other\n" % (b"12" * 20))
    assert planned(place.bench()).part("core").changed


def test_a_component_under_a_name_of_its_own_is_what_the_configuration_says(place: Kernelci) -> None:
    place.repositories = {**place.repositories, "kernelci-core": place.repositories["core"]}
    own = Component(kind=changes.Component.CORE)
    found = planned(place.bench(sections=[ReleaseSettings({"kernelci-core": own})]))
    assert set(found.part("kernelci-core").causes) == {"code", "configs", "images", "rootfs", "jobs"}
    assert found.warnings == ()


def test_a_component_that_is_none_of_kernelcis_calls_for_nothing_without_a_word(place: Kernelci) -> None:
    place.repositories = {**place.repositories, "website": place.repositories["core"]}
    other = Component(kind=changes.Component.OTHER)
    found = planned(place.bench(sections=[ReleaseSettings({"website": other})]))
    assert (found.part("website").causes, found.warnings) == ({}, ())


# ---- commits, merges, and what only production has -------------------------------------------------------------


def test_the_commits_are_shown_under_the_area_that_their_subjects_name(place: Kernelci) -> None:
    bench, head = place.bench(), place.head("backend")[:10]
    planned(bench, TAGGED)
    shown = lines(bench, OVERVIEW).splitlines()
    first, last = shown.index("  config/docker:"), shown.index("  config/rootfs:")
    docker = shown[first + 1 : last]
    assert [line.split(" ", 5)[-1] for line in docker] == [
        "build-base: install libelf for objtool",
        "gcc-10_arm64: install the device tree compiler",
    ]
    assert all(line.startswith("    ") for line in docker)
    areas = [line.strip(" :") for line in shown[1:first] if line.endswith(":") and line.startswith("  ")]
    assert areas == ["build-configs.yaml"]
    assert f"  {head} Add an index on the kernel of test groups" in shown, "subjects without any area"


def test_commits_that_only_production_has_are_listed_even_if_there_are_no_new_ones(place: Kernelci) -> None:
    release_by_hand(place, "core")
    fixup = place.commit("core", {"FIXUP": "alone\n"}, "FIXUP job-build kernelci.org", branch=PRODUCTION)
    bench = place.bench()
    found = planned(bench, TAGGED).part("core")
    assert (found.changed, found.lost) == (False, (f"{fixup[:10]} FIXUP job-build kernelci.org",))
    shown = lines(bench, OVERVIEW)
    assert "core: unchanged since kernelci-20261116, but 1 commit only on the production branch" in shown
    assert f"  only on the production branch: {fixup[:10]} FIXUP job-build kernelci.org" in shown


def test_a_development_branch_that_is_ahead_by_a_merge_alone_is_released(place: Kernelci) -> None:
    release_by_hand(place, "core")
    record(place, "core", merged=place.git("core", "rev-parse", "main~1"))
    bench = place.bench()
    found = planned(bench, TAGGED).part("core")
    assert (found.changed, found.release, found.tag) == (True, place.head("core"), "kernelci-20261123")
    assert "core: only merges since kernelci-20261116, to be kernelci-20261123" in lines(bench, OVERVIEW)


def test_a_merge_that_only_production_has_is_told_of(place: Kernelci) -> None:
    release_by_hand(place, "core")
    record(place, "core", merged=place.git("core", "rev-parse", "main~1"), branch=PRODUCTION)
    found = core(place)
    assert (found.changed, found.lost) == (False, (f"{place.head('core', PRODUCTION)[:10]} Work",))


# ---- repositories that are only read ---------------------------------------------------------------------------


def refs(place: Kernelci) -> Mapping[str, str]:
    return {name: place.git(name, "for-each-ref") for name in READ}


def test_the_configuration_repositories_and_the_kernel_are_frozen_too(place: Kernelci) -> None:
    bench = place.bench()
    before = refs(place)
    found = planned(bench, Procedure("release", plan, create_tags, take_production_lock, push_core))
    heads = {name: place.head(name, PRODUCTION if name == "linux" else "main") for name in READ}
    assert {name: frozen(found, name) for name in READ} == heads
    for name in READ:
        assert (found.part(name).changed, found.part(name).tag, found.part(name).production) == (False, "", heads[name])
    assert frozen(found, "website") == ""
    assert bench.run().state is RunState.SUCCEEDED
    assert refs(place) == before
    read = f"used as they are now: backend-config at {heads['backend-config'][:10]}, frontend-config at "
    assert read in lines(bench, OVERVIEW)


def test_what_is_pushed_after_the_plan_is_not_what_the_plan_froze(place: Kernelci) -> None:
    bench = place.bench()
    found = planned(bench)
    later = place.commit("backend-config", {"site.yml": "- hosts: none\n"}, "site.yml: later")
    assert frozen(found, "backend-config") == place.git("backend-config", "rev-parse", f"{later}~1")


def test_a_kernel_is_not_fetched_to_freeze_its_branch(place: Kernelci) -> None:
    planned(place.bench())
    mirrors = place.config.bot.state / "mirrors"
    assert {path.name for path in mirrors.glob("*.git")} == {
        f"{name}.git" for name in ("core", "backend", "frontend", "jenkins", "backend-config", "frontend-config")
    }


def test_new_playbooks_are_listed_since_something_was_deployed_with_them_last(place: Kernelci) -> None:
    bench = place.bench()
    last = place.head("backend-config")
    bench.journal.commit([Remember(CONFIGURED, "backend-config", last)])
    place.commit("backend-config", {"site.yml": "- hosts: none\n"}, "site.yml: nothing to do")
    found = planned(bench, TAGGED)
    config = found.part("backend-config")
    assert [commit.subject for commit in config.commits] == ["site.yml: nothing to do"]
    assert (config.changed, config.previous, config.causes) == (False, last[:10], {"playbooks": "site.yml changed"})
    shown = lines(bench, OVERVIEW)
    assert f"backend-config: 1 commit since {last[:10]}, with which was deployed last" in shown
    assert "backend-config" not in bench.run().step("plan").text


def test_playbooks_whose_history_was_rewritten_are_frozen_all_the_same(place: Kernelci) -> None:
    bench = place.bench()
    bench.journal.commit([Remember(CONFIGURED, "backend-config", "12" * 20)])
    found = planned(bench)
    assert frozen(found, "backend-config") == place.head("backend-config")
    assert found.warnings == ("backend-config: main was rewritten: what is new since 1212121212 cannot be told",)


def test_a_branch_of_a_repository_that_is_only_read_must_be_there(place: Kernelci) -> None:
    config = Component(development="master", production="", tags=ReleaseSettings().component("linux").tags)
    run = start(place.bench(sections=[ReleaseSettings({"backend-config": config})]), ONLY)
    assert run.step("plan").text == "backend-config has no branch master; its branches are main"
