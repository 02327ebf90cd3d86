"""Mending the frontend's dated JavaScript names."""

from collections.abc import Iterable, Mapping

import pytest

from kcibot_commands.rules.js_names import BUILD_JS, COMMON_JS, JS_FOLDER, Change, ChangedFile, Side, js_problems
from kcibot_commands.rules.js_renames import Rename, apply_rename, proposed_rename, renamed_files, renames
from kcibot_commands.rules.problem import RuleError, stopping

APP = JS_FOLDER + "app/"
COMMON = """\
require.config({{
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
RENAME = Rename(OLD, NEW)


def path(module: str) -> str:
    return f"{JS_FOLDER}{module}.js"


def tree(*maps: str, **views: str) -> dict[str, str]:
    """A revision: the module that common.js, build.js's map and its modules name, and the views' texts."""
    common, build, modules = maps
    dated = {f"{APP}view-{name.replace('__', '-').replace('_', '.')}.js": text for name, text in views.items()}
    return {COMMON_JS: COMMON.format(common), BUILD_JS: BUILD.format(build, modules), **dated}


BEFORE = tree(OLD, OLD, OLD, builds__id_2020_10="draw(1);", builds__all_2020_09="all();")


def change(new: Mapping[str, str], *changed: ChangedFile, served: Iterable[str] = ()) -> Change:
    texts = {Side.OLD: BEFORE, Side.NEW: new}
    return Change.of(changed, lambda side, at: texts[side][at], new, lambda _path: served)


def mended(new: Mapping[str, str], wanted: Iterable[Rename]) -> dict[str, str]:
    files = {**new, **renamed_files(wanted, new.__getitem__, new.__contains__)}
    return {at: text for at, text in files.items() if text is not None}


def offered(one: Change, *existing: str) -> tuple[Rename, ...]:
    return renames(one, lambda _page: existing or ("2020.10",), "2020.10.1")


IN_PLACE = {**BEFORE, path(OLD): "draw(2);"}
TWICE = {**IN_PLACE, COMMON_JS: COMMON.format(OLD) + f"x = {{'app/view-x': '{OLD}'}};"}


def test_a_view_changed_in_place_is_moved_and_named_anew_in_all_three_places():
    wanted = offered(change(IN_PLACE, ChangedFile("M", path(OLD))))
    assert wanted == (RENAME,)
    after = mended(IN_PLACE, wanted)
    expected = tree(NEW, NEW, NEW, builds__id_2020_10_1="draw(2);", builds__all_2020_09="all();")
    assert after == expected
    assert not js_problems(change(after, ChangedFile("R", path(NEW), path(OLD))))


@pytest.mark.parametrize("maps", [(OLD, NEW, NEW), (NEW, OLD, NEW), (NEW, NEW, OLD), (OLD, OLD, OLD)])
@pytest.mark.parametrize("seen", [True, False], ids=["a rename for git", "removed and added for git"])
def test_a_rename_that_forgot_a_place_is_completed(maps: tuple[str, str, str], seen: bool):
    new = tree(*maps, builds__id_2020_10_1="draw(2);", builds__all_2020_09="all();")
    gone = (ChangedFile("D", path(OLD)), ChangedFile("A", path(NEW)))
    moved = (ChangedFile("R", path(NEW), path(OLD)),) if seen else gone
    assert stopping(js_problems(change(new, *moved)))
    wanted = offered(change(new, *moved))
    assert wanted == (RENAME,)
    assert not js_problems(change(mended(new, wanted), *moved))


def test_a_name_that_was_released_before_with_other_code_is_replaced():
    new = tree(NEW, NEW, NEW, builds__id_2020_10_1="draw(2);", builds__all_2020_09="all();")
    one = change(new, ChangedFile("R", path(NEW), path(OLD)), served=["draw(0);"])
    (wanted,) = offered(one, "2020.10", "2020.10.1")
    assert wanted == Rename(NEW, f"{NEW}.1")
    assert path(f"{NEW}.1") in mended(new, [wanted])


@pytest.mark.parametrize(
    ("new", "changed"),
    [
        # a removed view that is still named: who knows what its page is to show
        (tree(OLD, OLD, OLD, builds__all_2020_09="all();"), [ChangedFile("D", path(OLD))]),
        # a place that names it twice
        (
            {**IN_PLACE, COMMON_JS: COMMON.format(OLD) + f"x = {{'app/view-x': '{OLD}'}};"},
            [ChangedFile("M", path(OLD))],
        ),
        # a place that does not name it at all
        ({**IN_PLACE, BUILD_JS: BUILD.format(OLD, "kci-x")}, [ChangedFile("M", path(OLD))]),
        # a place that names the old one and the new one
        (
            tree(NEW, NEW, f"{NEW}'}}, {{name: '{OLD}", builds__id_2020_10_1="x", builds__all_2020_09="all();"),
            [ChangedFile("R", path(NEW), path(OLD))],
        ),
        # a view of a page that nothing shows yet
        (
            tree(OLD, OLD, OLD, builds__id_2020_10="draw(1);", index_2020_10="new();"),
            [ChangedFile("A", APP + "view-index.2020.10.js")],
        ),
    ],
)
def test_what_cannot_be_told_is_left_to_people(new: dict[str, str], changed: list[ChangedFile]):
    assert stopping(js_problems(change(new, *changed)))
    assert offered(change(new, *changed)) == ()


def test_a_view_that_nothing_names_needs_no_new_name():
    new = {**BEFORE, APP + "view-boots.2017.3.js": "f(2);"}
    texts = {Side.OLD: {**BEFORE, APP + "view-boots.2017.3.js": "f(1);"}, Side.NEW: new}
    one = Change.of([ChangedFile("M", APP + "view-boots.2017.3.js")], lambda side, at: texts[side][at], new)
    assert offered(one) == ()
    assert not stopping(js_problems(one))


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
    done = apply_rename(COMMON.format(OLD), BUILD.format(OLD, OLD), RENAME)
    assert done == (COMMON.format(NEW), BUILD.format(NEW, NEW))


@pytest.mark.parametrize(("in_map", "in_modules"), [(OLD, "kci-x"), ("app/view-x.2020.10", OLD)])
def test_a_rename_of_what_is_not_named_once_is_refused(in_map, in_modules):
    with pytest.raises(RuleError, match=r"build\.js"):
        apply_rename(COMMON.format(OLD), BUILD.format(in_map, in_modules), RENAME)
