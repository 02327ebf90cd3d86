"""The frontend's dated JavaScript names."""

import pytest

from kcibot_commands.rules.js_names import (
    JS_FOLDER,
    ChangedFile,
    Side,
    View,
    apply_rename,
    js_problems,
    proposed_rename,
)
from kcibot_commands.rules.problem import RuleError, Severity

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


def check(changes, files, module=OLD, common=None, build=None):
    texts = (common or COMMON.format(module), build or BUILD.format(module, module))
    return js_problems(changes, lambda side, path: files[side][path], *texts, files[Side.NEW])


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


@pytest.mark.parametrize(
    ("existing", "new_version", "proposed"),
    [
        (["2020.09"], "2020.10", "2020.10"),
        (["2020.10"], "2020.10.1", "2020.10.1"),
        (["2020.10"], "2020.10", "2020.10.1"),
        (["2020.10", "2020.10.1"], "2020.10", "2020.10.1.1"),
        (["2020.01"], "2020.1", "2020.1.1"),
        (["2021.4"], "2020.10", "2021.4.1"),
        ([], "2021.6", "2021.6"),
    ],
)
def test_the_proposed_name_is_new_and_above_all_others(existing, new_version, proposed):
    assert proposed_rename("builds-id", existing, new_version) == proposed


def test_a_version_that_makes_no_dated_name_is_refused():
    with pytest.raises(RuleError):
        proposed_rename("builds-id", [], "kernelci-20201010")


def test_the_rename_edits_the_three_places_and_nothing_else():
    done = apply_rename(COMMON.format(OLD), BUILD.format(OLD, OLD), OLD, NEW)
    assert done.common_js == COMMON.format(NEW)
    assert done.build_js == BUILD.format(NEW, NEW)


@pytest.mark.parametrize(("in_map", "in_modules"), [(OLD, NEW), (NEW, OLD)])
def test_a_rename_of_what_is_not_named_once_is_refused(in_map, in_modules):
    with pytest.raises(RuleError, match=r"build\.js"):
        apply_rename(COMMON.format(OLD), BUILD.format(in_map, in_modules), OLD, NEW)
