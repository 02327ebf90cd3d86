"""The frontend's dated names in a release and by their own verb: a forgotten rename is offered, shown and pushed."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from kcibot.core.procedure import Done, Gate, Procedure, Step
from kcibot.core.run import Run, RunState, StepState
from kcibot.sandbox.repositories.frontend import JS, view_path
from kcibot_commands import approvals, frontend_names, runs
from kcibot_commands.deploy import steps as deploy
from kcibot_commands.plan.parts import JsNames
from kcibot_commands.plan.steps import Part, ReleaseSettings, default_components, overview, plan
from kcibot_commands.tags import create_tags
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import (
    PRODUCTION,
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

ONLY = Procedure("release", plan)
AT_ONCE = Procedure("release", plan, create_tags)
GATED = Procedure("release", plan, Gate("prepare", "Make the tags"), create_tags)
PROMPT = "run:1:gate:prepare:1"
JOBS = view_path("jobs-all", "2026.10")
NEW_JOBS = view_path("jobs-all", "2026.11.2")
TAG = "2026.11.2"
ALONE = ReleaseSettings({"frontend": default_components()["frontend"]})
"""The other repositories would only take time."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path, machines=True) as there:
        yield there


def file(place: Kernelci, path: str, at: str = "main") -> str:
    return place.git("frontend", "show", f"{at}:{path}") + "\n"


def views(place: Kernelci, at: str = "main") -> dict[str, str]:
    """Page -> version of every dated view."""
    names = place.git("frontend", "ls-tree", "--name-only", at, f"{JS}app/").splitlines()
    found = (name.rsplit("/", 1)[-1].removesuffix(".js").partition(".") for name in names)
    return {page.removeprefix("view-"): version for page, _, version in found}


def change(place: Kernelci, *pages: str, to: str = "99") -> str:
    """Somebody changes those views, and gives them no new name."""
    paths = {page: view_path(page, views(place)[page]) for page in pages}
    texts = {path: file(place, path).replace("pageSize = 25", f"pageSize = {to}") for path in paths.values()}
    return place.commit("frontend", texts, f"{', '.join(pages)}: more rows")


def commit(place: Kernelci, files: Mapping[str, str | None], subject: str = "Work") -> str:
    """Like `place.commit`, with None for a file that goes."""
    gone = [path for path, text in files.items() if text is None]
    head = f"commit refs/heads/main\ncommitter developer-1 <developer-1@example.org> {int(START.timestamp())} +0000\n"
    stream = f"{head}data {len(subject)}\n{subject}\nfrom refs/heads/main^0\n" + "".join(f"D {path}\n" for path in gone)
    place.git("frontend", "fast-import", "--quiet", given=stream.encode())
    return place.commit("frontend", {path: text for path, text in files.items() if text is not None}, subject)


def frontend(bench: Bench, run: Run) -> Part:
    assert run.step("plan").state is StepState.DONE, run.step("plan").text
    return result(bench, run, plan).part("frontend")


def shown(bench: Bench, run: Run) -> str:
    return "\n".join(overview(result(bench, run, plan)).lines)


def named(place: Kernelci, module: str, at: str = "main") -> int:
    return sum(file(place, f"{JS}{name}", at).count(f"'{module}'") for name in ("common.js", "build.js"))


# ---- in a release ----------------------------------------------------------------------------------------------


def test_a_forgotten_rename_is_offered_in_the_gate_and_pushed_with_the_tag(place: Kernelci) -> None:
    changed = change(place, "jobs-all")
    bench = place.bench()
    run = start(bench, GATED)
    assert "renamed, for browsers to load it: view-jobs-all.2026.10 to view-jobs-all.2026.11.2" in shown(bench, run)
    prompt = lines(bench, PROMPT)
    assert "with a commit on main, Rename JS files:" in prompt
    assert f"rename from {JOBS}\n" in prompt
    assert f"rename to {NEW_JOBS}\n" in prompt
    assert prompt.count("-            'app/view-jobs-all': 'app/view-jobs-all.2026.10',") == 2
    assert prompt.count("+            'app/view-jobs-all': 'app/view-jobs-all.2026.11.2',") == 2
    assert "-        {name: 'app/view-jobs-all.2026.10'}," in prompt
    assert "+        {name: 'app/view-jobs-all.2026.11.2'}," in prompt
    assert place.head("frontend") == changed, "nothing is pushed before the approval"
    bench.react("operator", PROMPT)
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    assert place.git("frontend", "rev-parse", f"{TAG}^{{commit}}") == place.head("frontend")
    assert place.git("frontend", "log", "--format=%s", f"{changed}..main").splitlines() == [
        "Bump app version to 2026.11.2",
        "Rename JS files",
    ]
    assert (views(place)["jobs-all"], named(place, "app/view-jobs-all.2026.11.2")) == ("2026.11.2", 3)
    assert named(place, "app/view-jobs-all.2026.10") == 0
    assert "pageSize = 99" in file(place, NEW_JOBS)


def test_rejecting_the_rename_pushes_nothing(place: Kernelci) -> None:
    changed = change(place, "jobs-all")
    bench = place.bench(approvals, sections=[ALONE])
    start(bench, GATED)
    (ask,) = bench.journal.open_asks()
    bench.say("operator", f"!reject {ask.code} the view is to go")
    assert bench.run().step("prepare").state is StepState.FAILED
    assert place.head("frontend") == changed
    assert place.git("frontend", "tag", "--list", TAG) == ""


def test_a_lost_mirror_is_filled_again_with_the_very_same_rename(place: Kernelci) -> None:
    change(place, "jobs-all")
    bench = place.bench(sections=[ALONE])
    run = start(bench, GATED)
    shutil.rmtree(place.config.bot.state / "mirrors")
    bench.react("operator", PROMPT)
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    assert place.head("frontend") == frontend(bench, run).release


def test_a_bot_that_is_killed_after_the_push_finds_its_rename(place: Kernelci) -> None:
    change(place, "jobs-all")
    git = Followed(place.ports.git, "push", killed(place), of="frontend")
    first = place.bench(sections=[ALONE], ports=with_ports(place.ports, git=git))
    start(first, AT_ONCE)
    head = place.head("frontend")
    revive(place, first)
    place.hook("frontend", "pre-receive", "echo a second push >&2; exit 1")
    second = place.bench(sections=[ALONE], procedures=[AT_ONCE])
    second.engine.resume()
    assert second.run().state is RunState.SUCCEEDED, second.run().step("create-tags").text
    assert place.head("frontend") == head


def test_a_version_that_somebody_bumped_already_gets_the_rename_alone(place: Kernelci) -> None:
    text = file(place, "app/dashboard/__init__.py").replace("2026.11.1", TAG)
    place.commit("frontend", {"app/dashboard/__init__.py": text}, "Bump app version")
    before = change(place, "jobs-all")
    bench = place.bench(sections=[ALONE])
    run = start(bench, AT_ONCE)
    assert run.state is RunState.SUCCEEDED, alerts(bench)
    assert frontend(bench, run).bump == ""
    assert place.git("frontend", "rev-parse", "main~1") == before
    assert place.git("frontend", "rev-parse", f"{TAG}^{{commit}}") == place.head("frontend")
    assert views(place)["jobs-all"] == TAG


def test_an_amended_release_keeps_the_rename_that_it_pushed(place: Kernelci) -> None:
    change(place, "jobs-all")
    bench = place.bench(runs, sections=[ALONE])
    start(bench, Procedure("release", plan, create_tags, stuck()))
    head = place.head("frontend")
    bench.say("operator", "!release amend")
    amended = frontend(bench, bench.run())
    assert (amended.release, amended.tagged, amended.renames, amended.blocked) == (head, TAG, (), ())


def test_a_view_mended_once_more_before_it_was_deployed_keeps_its_new_name(place: Kernelci) -> None:
    """Browsers cannot know a name that only a release that is amended had."""
    change(place, "jobs-all")
    bench = place.bench(runs, sections=[ALONE])
    start(bench, Procedure("release", plan, create_tags, stuck()))
    text = file(place, NEW_JOBS).replace("pageSize = 99", "pageSize = 98")
    place.commit("frontend", {NEW_JOBS: text}, "jobs-all: not so many")
    bench.say("operator", "!release amend")
    amended = frontend(bench, bench.run())
    assert (amended.tag, amended.renames, amended.blocked) == ("2026.11.3", (), ())


def test_a_name_that_an_older_release_had_with_other_code_is_not_used_again(place: Kernelci) -> None:
    """The view went, and comes back: browsers that have the old one keep it."""
    old = file(place, JOBS)
    maps = {f"{JS}{name}": file(place, f"{JS}{name}") for name in ("common.js", "build.js")}
    commit(place, {JOBS: None, **{path: text.replace("jobs-all", "gone") for path, text in maps.items()}}, "Remove it")
    place.git("frontend", "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")
    place.commit("frontend", {JOBS: old.replace("25", "24"), **maps}, "jobs-all is back")
    bench = place.bench(sections=[ALONE])
    (rename,) = frontend(bench, start(bench, ONLY)).renames
    assert str(rename) == "view-jobs-all.2026.10 to view-jobs-all.2026.11.2"


def test_comments_and_blank_space_need_no_new_name(place: Kernelci) -> None:
    text = file(place, JOBS)
    place.commit("frontend", {JOBS: "/*! Licensed under the GNU LGPL */\n" + text.replace("    ", "\t")}, "a header")
    bench = place.bench(sections=[ALONE])
    found = frontend(bench, start(bench, ONLY))
    assert (found.renames, found.blocked) == ((), ())


def test_a_view_that_no_map_names_only_warns(place: Kernelci) -> None:
    path = view_path("boots", "2017.3")
    place.commit("frontend", {path: "f(1);\n"}, "an old page")
    place.git("frontend", "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")
    place.commit("frontend", {path: "f(2);\n"}, "change it")
    bench = place.bench(sections=[ALONE])
    run = start(bench, AT_ONCE)
    assert run.state is RunState.SUCCEEDED, alerts(bench)
    warnings = result(bench, run, plan).warnings
    assert "frontend: view-boots.2017.3.js was changed under its old name; nothing names it" in "\n".join(warnings)


# ---- what people must mend -------------------------------------------------------------------------------------


def break_a_map(place: Kernelci) -> None:
    """A changed view, and a map that does not name it: nobody can tell what was meant."""
    text = file(place, f"{JS}build.js").replace("        {name: 'app/view-jobs-all.2026.10'},\n", "")
    place.commit("frontend", {f"{JS}build.js": text}, "build.js: tidy up")
    change(place, "jobs-all")


def test_what_cannot_be_mended_is_shown_by_the_plan_and_stops_the_tags(place: Kernelci) -> None:
    break_a_map(place)
    bench = place.bench(runs)
    run = start(bench, GATED)
    assert "core: 7 commits since kernelci-20261116, to be kernelci-20261123" in shown(bench, run)
    assert "  to be mended before it is tagged: view-jobs-all.2026.10.js was changed under its old name" in shown(
        bench, run
    )
    text = run.step("prepare").text
    assert run.step("prepare").state is StepState.FAILED
    assert "frontend: view-jobs-all.2026.10.js was changed under its old name" in text
    assert "git mv, one line in common.js, two in build.js. Then !release amend plans anew" in text
    assert place.git("core", "tag", "--list", "kernelci-20261123") == ""


def test_the_plan_alone_shows_what_is_to_be_mended_and_everything_else(place: Kernelci) -> None:
    break_a_map(place)
    look = Step("look", "Shown", lambda context: Done(create_tags.needed(context).why, None), type(None), after=(plan,))
    run = start(place.bench(sections=[ALONE]), Procedure("release plan", plan, look, card=False))
    assert run.step("look").state is StepState.DONE
    assert run.step("look").text.startswith("not before this is mended: frontend: view-jobs-all.2026.10.js")


def test_after_people_have_mended_it_an_amended_release_goes_on(place: Kernelci) -> None:
    break_a_map(place)
    bench = place.bench(runs, sections=[ALONE])
    start(bench, GATED)
    maps = {f"{JS}{name}": file(place, f"{JS}{name}") for name in ("common.js", "build.js")}
    renamed = {path: text.replace("jobs-all.2026.10'", "jobs-all.2026.11.2'") for path, text in maps.items()}
    module = "        {name: 'app/view-jobs-all.2026.11.2'},\n        {name: 'kci-init'}"
    renamed[f"{JS}build.js"] = renamed[f"{JS}build.js"].replace("        {name: 'kci-init'}", module)
    commit(place, {JOBS: None, NEW_JOBS: file(place, JOBS), **renamed}, "Rename JS files")
    bench.say("operator", "!release amend")
    bench.react("operator", "run:1:gate:prepare:1")
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    assert frontend(bench, bench.run()).renames == ()


def test_where_it_is_configured_the_tags_wait_for_people(place: Kernelci) -> None:
    change(place, "jobs-all")
    bench = place.bench(frontend_names, runs, sections=[replace(ALONE, js_names=JsNames.STOP)])
    run = start(bench, AT_ONCE)
    assert frontend(bench, run).renames == ()
    assert run.step("create-tags").state is StepState.FAILED
    assert "!frontend names fix mends it" in run.step("create-tags").text
    bench.say("operator", "!frontend names fix")
    bench.react("operator", "run:2:gate:prepare:1")
    assert bench.run(2).state is RunState.SUCCEEDED, alerts(bench)
    bench.say("operator", "!release amend --run 1")
    assert bench.run(1).state is RunState.SUCCEEDED, alerts(bench)
    assert views(place, TAG)["jobs-all"] == TAG


def test_a_release_that_was_tagged_with_a_forgotten_rename_says_so(place: Kernelci) -> None:
    text = file(place, "app/dashboard/__init__.py").replace("2026.11.1", TAG)
    place.commit("frontend", {"app/dashboard/__init__.py": text}, "Bump app version")
    change(place, "jobs-all")
    place.git("frontend", "-c", "user.name=x", "-c", "user.email=x@example.org", "tag", "-a", "-m", TAG, TAG, "main")
    bench = place.bench(sections=[ALONE])
    run = start(bench, AT_ONCE)
    assert frontend(bench, run).tagged == TAG
    assert run.step("create-tags").state is StepState.FAILED
    assert "view-jobs-all.2026.10.js was changed under its old name" in run.step("create-tags").text


def test_a_view_that_is_no_text_stops_the_tags_and_not_the_plan(place: Kernelci) -> None:
    change(place, "jobs-all")
    blob = place.git("frontend", "hash-object", "-w", "--stdin", given=b"f('\xe9');\n")
    tree = f"commit refs/heads/main\ncommitter x <x@example.org> {int(START.timestamp())} +0000\ndata 1\nx\n"
    stream = f"{tree}from refs/heads/main^0\nM 100644 {blob} {JOBS}\n"
    place.git("frontend", "fast-import", "--quiet", given=stream.encode())
    bench = place.bench(sections=[ALONE])
    run = start(bench, AT_ONCE)
    assert run.step("plan").state is StepState.DONE
    assert f"frontend: {JOBS} is not a text in UTF-8" in run.step("create-tags").text


# ---- the verb --------------------------------------------------------------------------------------------------


def answer(bench: Bench, who: str = "observer") -> str:
    bench.say(who, "!frontend names")
    return lines(bench, f"run:{bench.journal.runs(1)[0].id}:answer")


def test_the_names_are_looked_at_days_before_a_release_and_nothing_is_pushed(place: Kernelci) -> None:
    head = change(place, "jobs-all", "index")
    said = answer(place.bench(frontend_names))
    assert said.startswith("Views on main: 2 renames to make\n")
    assert f"rename from {JOBS}" in said
    assert "+        {name: 'app/view-jobs-all.2026.11.2'}," in said
    assert place.head("frontend") == head


def test_names_that_are_right_are_said_to_be(place: Kernelci) -> None:
    assert answer(place.bench(frontend_names)).startswith("Every changed view on main has a new dated name")


def test_what_the_verb_cannot_mend_is_said(place: Kernelci) -> None:
    break_a_map(place)
    said = answer(place.bench(frontend_names))
    assert said.startswith("Views on main: 1 problem to mend by hand")
    assert "By hand: view-jobs-all.2026.10.js was changed under its old name" in said


def fixing(place: Kernelci, bench: Bench | None = None) -> Bench:
    bench = bench or place.bench(frontend_names, approvals)
    bench.say("operator", "!frontend names fix")
    return bench


def test_an_approved_fix_is_one_commit_on_the_development_branch(place: Kernelci) -> None:
    head = change(place, "jobs-all", "index")
    bench = fixing(place)
    assert f"rename to {NEW_JOBS}" in lines(bench, PROMPT)
    assert place.head("frontend") == head
    bench.react("operator", PROMPT)
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    assert place.git("frontend", "rev-parse", "main~1") == head
    assert views(place)["jobs-all"] == views(place)["index"] == TAG
    assert answer(bench).startswith("Every changed view on main has a new dated name")


def test_a_rejected_fix_pushes_nothing(place: Kernelci) -> None:
    head = change(place, "jobs-all")
    bench = fixing(place)
    (ask,) = bench.journal.open_asks()
    bench.say("operator", f"!reject {ask.code} not now")
    assert bench.run().step("prepare").state is StepState.FAILED
    assert place.head("frontend") == head


def test_nobody_is_asked_when_there_is_nothing_to_rename(place: Kernelci) -> None:
    bench = fixing(place)
    assert bench.run().state is RunState.SUCCEEDED
    assert bench.run().step("push-renames").state is StepState.NOT_NEEDED
    assert "has a new dated name" in bench.run().step("look-at-names").text


def test_a_commit_that_somebody_pushed_meanwhile_is_not_lost(place: Kernelci) -> None:
    change(place, "jobs-all")
    bench = fixing(place)
    later = place.commit("frontend", {"README.md": "later\n"}, "later")
    bench.react("operator", PROMPT)
    assert bench.run().step("push-renames").state is StepState.FAILED
    assert "main was expected at" in bench.run().step("push-renames").text
    assert place.head("frontend") == later


def test_a_fix_whose_answer_was_lost_is_found_even_below_a_later_commit(place: Kernelci) -> None:
    change(place, "jobs-all")

    def lost() -> None:
        place.commit("frontend", {"README.md": "later\n"}, "later")
        lost_answer()

    git = Followed(place.ports.git, "push", lost, of="frontend")
    bench = fixing(place, place.bench(frontend_names, ports=with_ports(place.ports, git=git)))
    shutil.rmtree(place.config.bot.state / "mirrors")
    bench.react("operator", PROMPT)
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    assert git.calls == 1
    assert views(place)["jobs-all"] == TAG


# ---- before a deployment alone ---------------------------------------------------------------------------------


def deploying(place: Kernelci, revision: str) -> Bench:
    bench = place.bench(deploy)
    bench.say("operator", f"!deploy frontend {revision}")
    return bench


def test_a_frontend_with_a_view_changed_in_place_is_not_deployed_alone(machines: Kernelci) -> None:
    change(machines, "jobs-all")
    bench = deploying(machines, "main")
    step = bench.run().step("revision")
    assert step.state is StepState.FAILED
    assert step.text.startswith("frontend, compared with 2026.11.1, which runs: view-jobs-all.2026.10.js was changed")
    assert "!frontend names fix mends it" in step.text


def test_a_frontend_whose_views_are_named_right_is_asked_about_without_a_warning(machines: Kernelci) -> None:
    prompt = lines(deploying(machines, "main"), "run:1:gate:deploy:1")
    assert f"frontend: version 2026.11.1, commit {machines.head('frontend')[:10]}" in prompt
    assert "Warning" not in prompt


def test_a_shared_module_is_warned_of_before_a_deployment_alone(machines: Kernelci) -> None:
    path = f"{JS}app/utils/shared.js"
    machines.commit("frontend", {path: "define([], 1);\n"}, "a module")
    machines.git("frontend", "tag", "--force", "2026.11.1", "main")
    machines.commit("frontend", {path: "define([], 2);\n"}, "change it")
    prompt = lines(deploying(machines, "main"), "run:1:gate:deploy:1")
    assert "Warning: app/utils/shared.js has no date in its name" in prompt


def test_going_back_is_not_judged_by_its_names(machines: Kernelci) -> None:
    older = [tag for tag in machines.git("frontend", "tag", "--list", "2026.*").split() if tag != "2026.11.1"][-1]
    assert deploying(machines, older).run().step("revision").state is StepState.DONE


@pytest.mark.parametrize("why", ["is not tagged", "does not answer"])
def test_a_frontend_that_cannot_be_compared_is_deployed_with_a_warning(machines: Kernelci, why: str) -> None:
    """What does not answer may be the very reason for the deployment."""
    change(machines, "jobs-all")
    if why == "is not tagged":
        machines.git("frontend", "tag", "--delete", "2026.11.1")
    else:
        assert machines.targets
        machines.targets.stop()
    prompt = lines(deploying(machines, "main"), "run:1:gate:deploy:1")
    assert "Warning: the views were not compared with those that run: " in prompt
