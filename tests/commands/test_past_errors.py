"""Errors that were really made in KernelCI's production, each with a test named after it in which the bot catches it.

Wrong tags are in test_irregular_tags, root file systems in their own files.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import RunState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.storage import StorageStandIn
from kcibot.services.storage import HttpFileStore
from kcibot_commands.deploy.steps import DeploySettings, deploy_backend
from kcibot_commands.monitor.flags import MonitorSettings
from kcibot_commands.plan.steps import plan
from kcibot_commands.production import push_core
from kcibot_commands.rules.jpl import jpl_differences, renamed_at_once
from kcibot_commands.rules.js_names import BUILD_JS, COMMON_JS, JS_FOLDER, Change, ChangedFile, Side, js_problems
from kcibot_commands.rules.js_renames import Rename, renamed_files, renames
from kcibot_commands.rules.problem import Severity, stopping
from kcibot_commands.rules.results import BoardResult, Ended, Kernel, KernelKey, Mail, MailState, Results, Status
from kcibot_commands.rules.verdict import Kind, judge
from kcibot_commands.rules.verdict_reasons import Level
from kcibot_commands.rules.versions import TagFacts, next_core_tag, tag_problems
from kcibot_commands.tags import create_tags
from tests.fakes.ci_bench import MONITOR, TRIGGER, CiBench, busy, ci_bench
from tests.fakes.kernelci_bench import PRODUCTION, Kernelci, kernelci, lines, start


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


@pytest.fixture
def ci(tmp_path: Path) -> Iterator[CiBench]:
    with ci_bench(tmp_path) as bench:
        yield bench


# ---- dated names of the frontend's views: four of eleven releases before 2020-10 had missed some ---------------

APP = f"{JS_FOLDER}app/"
PAGES = (
    *("boots-all", "boots-all-job", "boots-id", "boots-board", "boots-board-job", "builds-all", "builds-id"),
    *("builds-all-job", "compare-all", "compare-id", "index", "info", "jobs-all", "jobs-id", "socs-all", "socs-id"),
    *(f"tests-{number}" for number in range(23)),
)
VIEW = "define(['utils/init'], function(i) {\n    'use strict';\n    i.page('PAGE', 25);\n});\n"
LICENCE = "/*!\n * kernelci dashboard.\n *\n * Copyright (C) 2014 - 2019  Linaro Ltd.\n */\n"


def tree(version: str, pages: Sequence[str] = PAGES) -> dict[str, str]:
    """The frontend's scripts with every view of that version, rightly named."""
    names = [f"app/view-{page}.{version}" for page in pages]
    entries = "".join(f"'{name.rpartition(f'.{version}')[0]}': '{name}',\n" for name in names)
    modules = "".join(f"{{name: '{name}'}},\n" for name in names)
    views = {f"{JS_FOLDER}{name}.js": VIEW.replace("PAGE", name) for name in names}
    return {COMMON_JS: f"m = {{{entries}}};\n", BUILD_JS: f"({{map: {{{entries}}}, modules: [{modules}]}})\n", **views}


def between(old: Mapping[str, str], new: Mapping[str, str]) -> Change:
    texts = {Side.OLD: old, Side.NEW: new}
    changed = [ChangedFile("M", path) for path in new if path in old and old[path] != new[path]]
    gone = [ChangedFile("D", path) for path in old if path not in new]
    come = [ChangedFile("A", path) for path in new if path not in old]
    return Change.of([*changed, *gone, *come], lambda side, path: texts[side][path], new)


def missed(before: str, release: str, *pages: str) -> None:
    """A release in which those views were changed under their old names is found, and mended."""
    old = tree(before)
    new = {
        **old,
        **{f"{APP}view-{page}.{before}.js": old[f"{APP}view-{page}.{before}.js"] + "f();\n" for page in pages},
    }
    stops = stopping(js_problems(between(old, new)))
    assert [problem.rule for problem in stops] == ["in place"] * len(pages)
    for page, problem in zip(pages, stops, strict=True):
        assert f"view-{page}.{before}.js was changed under its old name" in problem.text
    wanted = renames(between(old, new), lambda _page: (before,), release)
    assert wanted == tuple(Rename(f"app/view-{p}.{before}", f"app/view-{p}.{release}") for p in pages)
    files = {**new, **renamed_files(wanted, new.__getitem__, new.__contains__)}
    mended = {path: text for path, text in files.items() if text is not None}
    assert len(mended) == len(old)
    assert js_problems(between(old, mended)) == ()


def test_2019_10_left_two_changed_views_under_their_old_names() -> None:
    missed("2018.9", "2019.10", "boots-id", "builds-id")


def test_2020_04_left_a_changed_view_under_its_old_name() -> None:
    missed("2020.01", "2020.04", "jobs-all")


def test_2020_07_left_a_changed_view_under_its_old_name() -> None:
    missed("2020.06.1", "2020.07", "tests-1")


def test_2020_09_1_left_a_changed_view_under_its_old_name() -> None:
    missed("2020.09", "2020.09.1", "index")


@pytest.mark.parametrize(("release", "count", "before"), [("2019.10", 39, "2018.9"), ("2020.01", 37, "2019.11")])
def test_new_licence_headers_in_39_views_of_2019_10_and_37_of_2020_01_are_no_change(
    release: str, count: int, before: str
) -> None:
    old = tree(before)
    views = [path for path in old if path.startswith(APP)][:count]
    new = {**old, **{path: LICENCE + old[path] for path in views}}
    assert len(views) == count
    assert js_problems(between(old, new)) == ()
    assert renames(between(old, new), lambda _page: (before,), release) == ()


# ---- tags ------------------------------------------------------------------------------------------------------


def test_the_ddmm_slip_of_the_wiki_makes_no_tag() -> None:
    """The procedure's first step says kernelci-yyyyddmm; the real form is YYYYMMDD."""
    today, slip = date(2019, 5, 6), "kernelci-20190605"
    assert next_core_tag([], today) == "kernelci-20190506"
    found = tag_problems(TagFacts(slip, slip, "a" * 40), today, {})
    assert [problem.rule for problem in stopping(found)] == ["date"]


def test_a_staging_commit_on_the_development_branch_must_be_agreed_to_before_the_tags(place: Kernelci) -> None:
    """A `STAGING ...` commit once reached master, and was reverted a week later."""
    path = "config/core/test-configs.yaml"
    text = place.git("core", "show", f"main:{path}")
    url = "http://staging-storage.kernelci.org/images/rootfs"
    place.commit("core", {path: f"{text}\n# {url}\n"}, "STAGING test-configs.yaml: use its storage")
    bench = place.bench()
    start(bench, Procedure("release", plan, Gate("prepare", "Make the tags"), create_tags))
    (ask,) = bench.journal.open_asks()
    assert url in str(ask.facts), "an approval is for what it shows"
    assert url in lines(bench, "run:1:gate:prepare:1")
    assert place.git("core", "tag", "--list", "kernelci-20261123") == ""


# ---- parameters of jobs ----------------------------------------------------------------------------------------

HEADER = "/*\n * Jenkins parameters\n\n{}\n  Where the images are\nPUBLISH (boolean)\n*/\n"


def test_dockerbase_that_became_docker_base_in_one_step_2018_is_warned_of() -> None:
    old, new = HEADER.format("DOCKERBASE"), HEADER.format("DOCKER_BASE")
    (problem,) = renamed_at_once("jenkins/build.jpl", old, new)
    assert problem.severity is Severity.WARN
    assert "jenkins/build.jpl: DOCKERBASE becomes DOCKER_BASE at once" in problem.text
    both = HEADER.format("DOCKERBASE\nDOCKER_BASE")
    assert renamed_at_once("jenkins/build.jpl", old, both) == ()
    assert renamed_at_once("jenkins/build.jpl", both, new) == ()


@pytest.mark.parametrize("name", ["LABS_WHITELIST", "DOCKER_BASE (boolean)"])
def test_a_parameter_that_merely_comes_when_another_goes_is_no_rename(name: str) -> None:
    assert renamed_at_once("x.jpl", HEADER.format("DOCKERBASE"), HEADER.format(name)) == ()


def test_build_that_moved_out_of_docker_base_2020_is_listed() -> None:
    old, new = HEADER.format("DOCKER_BASE (kernelci/build-)"), HEADER.format("DOCKER_BASE (kernelci/)")
    said = "parameter DOCKER_BASE: string, default kernelci/build- becomes string, default kernelci/"
    assert jpl_differences(old, new) == (said,)


def test_the_plan_warns_of_a_parameter_renamed_in_one_step(place: Kernelci) -> None:
    path = "jenkins/build.jpl"
    text = place.git("core", "show", f"main:{path}")
    place.commit("core", {path: text.replace("SRC_TARBALL", "SRCTARBALL")}, "build.jpl: rename SRC_TARBALL")
    bench = place.bench()
    start(bench, Procedure("release", plan, create_tags))
    assert f"Warning: core: {path}: SRC_TARBALL becomes SRCTARBALL at once: give jobs both" in lines(
        bench, "run:1:plan:1:plan"
    )


# ---- deployments -----------------------------------------------------------------------------------------------


def command_line(place: Kernelci, **changed: object) -> str:
    """What the gate shows of the backend's deployment."""
    settings = place.config.section(DeploySettings)
    backend = replace(settings.playbooks["backend"], **changed)  # type: ignore[arg-type]
    bench = place.bench(sections=[replace(settings, playbooks={**settings.playbooks, "backend": backend})])
    start(bench, Procedure("release", plan, Gate("go", "Update production"), deploy_backend))
    shown = lines(bench, "run:1:gate:go:1")
    return next(line for line in shown.splitlines() if "ansible-playbook" in line)


def test_ask_sudo_pass_which_ansible_dropped_is_never_given(place: Kernelci) -> None:
    """The procedure's command line has `--ask-sudo-pass`, at which today's Ansible stops."""
    shown = command_line(place, ask_become_pass=True)
    assert "--ask-become-pass" in shown
    assert "sudo-pass" not in shown


def test_a_name_that_is_not_set_never_skips_the_checkout(place: Kernelci) -> None:
    """In the later official script an unset variable did, and the code of the week before was used."""
    assert re.search(r" -e git_head=[0-9a-f]{40} ", command_line(place, git_head=""))


# ---- Jenkins ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_storage_that_does_not_answer_keeps_the_monitor_paused(tmp_path: Path, status: int) -> None:
    """The monitor takes any answer but 200 for a new commit, on every tree."""
    with StorageStandIn(tmp_path / "storage") as storage:
        storage.put("index.html", b"files of KernelCI")
        settings = MonitorSettings(storage_url=f"{storage.url}/index.html")
        with ci_bench(tmp_path, sections={MonitorSettings: settings}) as ci:
            files = replace(ci.bench.world.ports, files=HttpFileStore(1.0))
            object.__setattr__(ci.bench.world, "ports", files)
            ci.say("!monitor pause")
            storage.faults.add(Fault(FaultKind.STATUS, status=status, times=1000))
            run = ci.say("!monitor resume")
            for _ in range(10):
                ci.bench.tick(timedelta(minutes=5))
            run = ci.bench.journal.run(run.id)
            assert run.state is RunState.FAILED, run.step("resume-monitor").text
            assert ci.server.job(MONITOR).disabled
            storage.faults.clear()
            ci.say("!release retry resume-monitor")
            assert not ci.server.job(MONITOR).disabled


def test_a_queued_trigger_is_waited_for_and_never_cancelled(ci: CiBench) -> None:
    """From 2022-05 on the monitor has written the revision down already: a trigger that is cancelled loses it."""
    for config in ("mainline", "next", "stable"):
        ci.jenkins.trigger(TRIGGER, {"BUILD_CONFIG": config})
    ci.say("!monitor pause")
    ci.say("!drain wait")
    assert [item.job for item in ci.server.look().queued] == [TRIGGER] * 3
    assert ci.tick_until_ended().state is RunState.SUCCEEDED
    assert [build.result for build in ci.server.builds(TRIGGER)] == ["SUCCESS"] * 3


def test_a_trigger_that_retries_its_repository_for_ever_is_named_and_can_be_overridden(ci: CiBench) -> None:
    """The trigger of 2021 repeats a failing repository update without an end."""
    busy(ci, 30 * 24 * 3600)
    ci.say("!monitor pause")
    ci.say("!drain wait")
    for _ in range(8):
        ci.bench.tick(timedelta(minutes=5))
    assert f"{TRIGGER} #1" in ci.newest().step("drain").text
    ci.bench.say("operator", f"!drain ignore {TRIGGER} its repository is gone")
    run = ci.tick_until_ended()
    assert run.state is RunState.SUCCEEDED
    assert f"apart from {TRIGGER} #1" in run.step("drain").text
    assert any(entry.entry.what == "drain ignore" for entry in ci.bench.journal.audit_tail(50))


# ---- results ---------------------------------------------------------------------------------------------------

GOOD = Results(
    kernel="v5.1",
    series="5.1",
    ended=Ended.COMPLETE,
    kernels=tuple(Kernel(KernelKey("arm64", f"config{n}", "gcc-8"), (Status.PASS,)) for n in range(10)),
    tests=tuple(BoardResult(f"lab-{n}", f"board-{n}", "baseline", 10, 0) for n in range(10)),
    mails=(Mail("build", MailState.SEEN),),
)


def attempts(*of_the_first: Status) -> Results:
    first, *others = GOOD.kernels
    return replace(GOOD, kernel="v5.1.1", kernels=(replace(first, attempts=of_the_first), *others))


def test_an_upload_504_of_one_kernel_is_not_judged_before_it_was_built_again() -> None:
    once = judge(attempts(Status.FAIL), GOOD)
    assert once.kind is Kind.UNKNOWN
    assert judge(attempts(Status.FAIL, Status.PASS), GOOD).kind is Kind.PASS
    assert judge(attempts(Status.FAIL, Status.FAIL), GOOD).kind is Kind.FAIL


def test_a_tree_that_is_on_no_labs_whitelist_is_no_pass() -> None:
    """A lab with a whitelist runs nothing of a new pipe-cleaner tree, until somebody adds the tree there."""
    nowhere = judge(replace(GOOD, kernel="v5.1.1", tests=()), GOOD)
    assert nowhere.kind is Kind.FAIL
    listed = judge(replace(GOOD, kernel="v5.1.1", tests=GOOD.tests[1:]), GOOD)
    assert "lab missing: lab-0 sent no results" in listed.texts(Level.WARN)


# ---- releases whose production branch was no fast-forward -------------------------------------------------------


@pytest.mark.parametrize(
    "releases",
    [
        *("20201113->20201123", "20201123->20201130", "20210426->20210503", "20210503->20210506"),
        *("20220208.0->20220214.0", "20220920.0->20221003.0", "20230712.0->20230717.0", "20230814.0->20230821.0"),
    ],
)
def test_a_release_that_was_not_linear_asks_two_managers_before_it_loses_the_commit(
    place: Kernelci, releases: str
) -> None:
    old, subject = releases.partition("->")[0], "FIXUP job-build db-config kernelci.org"
    alone = place.commit("core", {"FIXUP": f"{old}\n"}, subject, branch=PRODUCTION)
    place.commit("core", {"README.md": "more\n"}, "README.md: more")
    bench = place.bench()
    run = start(bench, Procedure("release", plan, push_core))
    assert run.state is RunState.WAITING
    shown = lines(bench, "run:1:gate:force:push-core:1")
    assert f"{alone[:10]} {subject} (NOT on the development branch)" in shown
    assert "Approvals needed: 2" in shown
    assert place.head("core", PRODUCTION) == alone
