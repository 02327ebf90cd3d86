"""The frontend's dated JavaScript names."""

import pytest

from kcibot_commands.rules.js_names import (
    BUILD_JS,
    COMMON_JS,
    JS_FOLDER,
    Change,
    ChangedFile,
    Side,
    View,
    js_problems,
    never_served,
)
from kcibot_commands.rules.problem import Severity

APP = JS_FOLDER + "app/"
COMMON = """\
require.config({{
    paths: {{ 'lib': './lib', 'app': './app' }},
    map: {{
        '*': {{
            'app/view-builds-all': 'app/view-builds-all.2020.09',
            'app/view-builds-id': '{}'
        }}
    }}
}});
"""
BUILD = """\
({{
    map: {{
        '*': {{
            'app/view-builds-all': 'app/view-builds-all.2020.09',
            'app/view-builds-id': '{}'
        }}
    }},
    modules: [
        {{name: 'app/view-builds-all.2020.09'}},
        {{name: '{}'}},
        {{name: 'kci-builds-id'}}
    ]
}})
"""
OLD, NEW = "app/view-builds-id.2020.10", "app/view-builds-id.2020.10.1"
FILES = {
    Side.OLD: {
        APP + "view-builds-id.2020.10.js": "require(['tables/build'], function(t) { t.draw(1); });",
        APP + "view-builds-all.2020.09.js": "require(['utils/init']);",
        APP + "tables/build.js": "define(['utils/base'], function(b) { return b; });",
        APP + "utils/base.js": "define([], function() { return 1; });",
        APP + "utils/init.js": "define([], function() { return 1; });",
        JS_FOLDER + "kci-index.js": "require(['common'], 1);",
    }
}


def world():
    """The same files on both sides, to be changed."""
    return {side: dict(FILES[Side.OLD]) for side in Side}


def check(changes, files, module=OLD, common=None, build=None, served=never_served):
    maps = {COMMON_JS: common or COMMON.format(module), BUILD_JS: build or BUILD.format(module, module)}
    new = {**files[Side.NEW], **maps}
    texts = {Side.OLD: files[Side.OLD], Side.NEW: new}
    return js_problems(Change.of(changes, lambda side, path: texts[side][path], new, served))


def renamed(new_name="view-builds-id.2020.10.1.js"):
    files = world()
    text = files[Side.NEW].pop(APP + "view-builds-id.2020.10.js")
    files[Side.NEW][APP + new_name] = text.replace("1", "2")
    return ChangedFile("R", APP + new_name, APP + "view-builds-id.2020.10.js"), files


def rules(problems):
    return [problem.rule for problem in problems]


@pytest.mark.parametrize(
    ("name", "page", "version"),
    [
        ("view-builds-id.2020.10.js", "builds-id", "2020.10"),
        ("view-boots-all-job-branch-kernel.2017.3.3.js", "boots-all-job-branch-kernel", "2017.3.3"),
        ("view-index.2020.10.1.1.js", "index", "2020.10.1.1"),
    ],
)
def test_a_dated_view_is_read_from_its_path(name, page, version):
    view = View.parse(APP + name)
    assert (view.page, view.version) == (page, version)


@pytest.mark.parametrize(
    "path",
    [
        APP + "view-base.js",
        APP + "tables/build.js",
        APP + "view-x.20150625.js",
        "view-x.2020.10.js",
        JS_FOLDER + "x.js",
    ],
)
def test_other_files_are_no_dated_views(path):
    assert View.parse(path) is None


def test_a_view_changed_under_its_old_name_is_an_error():
    path = APP + "view-builds-id.2020.10.js"
    files = world()
    files[Side.NEW][path] = files[Side.OLD][path].replace("draw(1)", "draw(2)")
    (problem,) = check([ChangedFile("M", path)], files)
    assert (problem.rule, problem.severity) == ("in place", Severity.STOP)
    assert "view-builds-id.2020.10.js" in problem.text


def test_a_licence_header_is_no_change():
    path = APP + "view-builds-id.2020.10.js"
    files = world()
    files[Side.NEW][path] = "/*! Licensed under the GNU LGPL */\n\n" + files[Side.OLD][path]
    assert check([ChangedFile("M", path)], files) == ()


def test_a_view_with_a_new_dated_name_in_all_three_places_is_right():
    change, files = renamed()
    assert check([change], files, NEW) == ()


def test_a_forgotten_place_is_named():
    change, files = renamed()
    (problem, old) = check([change], files, common=COMMON.format(NEW), build=BUILD.format(NEW, OLD))
    assert problem.rule == "named"
    assert "not in its modules" in problem.text
    assert old.rule == "gone"
    assert rules(check([change], files)) == ["named", "gone"]


def test_a_view_named_twice_is_an_error():
    change, files = renamed()
    twice = COMMON.format(NEW).replace("'app/view-builds-all.2020.09'", f"'{NEW}'")
    found = [problem for problem in check([change], files, NEW, common=twice) if problem.rule == "named"]
    assert "2 times in the map of common.js" in found[0].text


def test_a_name_in_a_comment_does_not_count():
    change, files = renamed()
    hidden = COMMON.format(NEW).replace("            'app/view-builds-id", "            // 'app/view-builds-id")
    assert "named" in rules(check([change], files, NEW, common=hidden))


def test_a_new_name_that_is_not_newer_asks():
    change, files = renamed("view-builds-id.2020.9.js")
    (problem,) = check([change], files, "app/view-builds-id.2020.9")
    assert (problem.rule, problem.severity) == ("not newer", Severity.CONFIRM)


def test_a_removed_view_must_not_be_named_any_more():
    path = APP + "view-builds-id.2020.10.js"
    files = world()
    del files[Side.NEW][path]
    assert rules(check([ChangedFile("D", path)], files)) == ["gone"]
    assert check([ChangedFile("D", path)], files, "app/view-builds-all.2020.09") == ()


def test_a_shared_module_warns_and_names_the_views_that_reach_it():
    path = APP + "utils/base.js"
    files = world()
    files[Side.NEW][path] = "define([], function() { return 2; });"
    (problem,) = check([ChangedFile("M", path)], files)
    assert (problem.rule, problem.severity) == ("shared", Severity.WARN)
    assert "required by view-builds-id.2020.10" in problem.text
    assert "builds-all" not in problem.text


def test_short_lived_and_new_files_do_not_warn():
    files = world()
    files[Side.NEW][JS_FOLDER + "kci-index.js"] = "require(['common'], 2);"
    files[Side.NEW][APP + "utils/new.js"] = "define([]);"
    changes = [
        ChangedFile("M", JS_FOLDER + "kci-index.js"),
        ChangedFile("M", JS_FOLDER + "common.js"),
        ChangedFile("M", JS_FOLDER + "build.js"),
        ChangedFile("A", APP + "utils/new.js"),
        ChangedFile("M", "app/dashboard/templates/base.html"),
    ]
    assert check(changes, files) == ()


def test_old_entries_that_lead_nowhere_only_warn():
    files = world()
    del files[Side.NEW][APP + "view-builds-all.2020.09.js"]
    files[Side.NEW][APP + "view-index.2018.9.js"] = ""
    found = check([], files)
    assert rules(found) == ["dangling", "unnamed"]
    assert {problem.severity for problem in found} == {Severity.WARN}


def test_a_view_that_nothing_uses_only_warns_when_it_is_changed():
    path = APP + "view-boots.2017.3.js"
    files = world()
    files[Side.OLD][path], files[Side.NEW][path] = "f(1);", "f(2);"
    (problem,) = check([ChangedFile("M", path)], files)
    assert (problem.rule, problem.severity) == ("in place", Severity.WARN)
    assert "nothing names it" in problem.text


def test_a_view_that_a_script_requires_by_its_dated_name_is_used():
    path = APP + "view-boots.2017.3.js"
    files = world()
    files[Side.OLD][path], files[Side.NEW][path] = "f(1);", "f(2);"
    files[Side.NEW][JS_FOLDER + "kci-boots.js"] = "require(['app/view-boots.2017.3']);"
    assert [p.severity for p in check([ChangedFile("M", path)], files) if p.rule == "in place"] == [Severity.STOP]


def test_a_rename_that_git_does_not_see_must_be_newer_too():
    """A view that is rewritten is a removed and an added file for git."""
    files = world()
    del files[Side.NEW][APP + "view-builds-id.2020.10.js"]
    files[Side.NEW][APP + "view-builds-id.2020.9.js"] = "something('else');"
    changes = [
        ChangedFile("D", APP + "view-builds-id.2020.10.js"),
        ChangedFile("A", APP + "view-builds-id.2020.9.js"),
    ]
    (problem,) = check(changes, files, "app/view-builds-id.2020.9")
    assert (problem.rule, problem.severity) == ("not newer", Severity.CONFIRM)


def test_a_new_name_that_was_released_before_with_other_code_is_an_error():
    change, files = renamed()
    (problem,) = check([change], files, NEW, served=lambda _path: ["something('else');"])
    assert (problem.rule, problem.severity) == ("in place", Severity.STOP)
    assert "view-builds-id.2020.10.1.js was released before with other code" in problem.text


def test_a_name_that_comes_back_with_the_code_that_it_had_is_right():
    change, files = renamed()
    text = files[Side.NEW][change.path]
    assert check([change], files, NEW, served=lambda _path: [f"// then\n{text}"]) == ()


def test_without_its_maps_a_changed_view_is_named_nowhere():
    change, files = renamed()
    texts = files[Side.NEW]
    found = js_problems(Change.of([change], lambda _side, path: texts[path], texts))
    assert "named" in rules(found)
