"""The sandbox's kernelci-frontend: dashboard pages with dated JavaScript views, mapped in two files."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from kcibot.sandbox.repositories.history import FILES, History
from kcibot.sandbox.repositories.versions import old_tags, release, version_at

VERSION_FILE = "app/dashboard/__init__.py"
JS = "app/dashboard/static/js/"
RELEASED_WEEKS = (9, 6, 3, 1)
PAGES = ("boots-all", "builds-all", "builds-id", "index", "jobs-all", "tests-plan-id")
CHANGED_PAGES = ("index", "jobs-all", "builds-all", "tests-plan-id")
LICENCE = "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"


def frontend(now: datetime) -> History:
    """The last version was made seven days before `now`; since then one view changed and got its new name."""
    history = History()
    history.write_all(FILES / "frontend")
    history.write(VERSION_FILE, '"""The dashboard."""\n\n__version__ = "2020.11"\n__versionfull__ = __version__\n')
    views = dict.fromkeys(PAGES, "2020.10")
    for page, version in views.items():
        history.write(view_path(page, version), _view(page))
    _map(history, views)
    first = history.commit("Start from the code that runs", now - timedelta(weeks=10))
    for name in ("2014.12.1", *old_tags(now)):
        history.light_tag(name, first)
    released = first
    for page, weeks in zip(CHANGED_PAGES, RELEASED_WEEKS, strict=True):
        released = _version(history, views, page, now, weeks)
    history.branch("kernelci.org", released)
    _ahead(history, views, now)
    return history


def view_path(page: str, version: str) -> str:
    return f"{JS}app/view-{page}.{version}.js"


def _version(history: History, views: dict[str, str], page: str, now: datetime, weeks: int) -> int:
    at = now - timedelta(weeks=weeks)
    _change_view(history, views, page, at - timedelta(days=2), "        pageSize = 50;", f"Show more rows in {page}")
    history.append("app/dashboard/static/css/kernelci.css", f".week-{weeks} {{ margin: 0; }}")
    history.commit("css: remove a stray margin", at - timedelta(days=1))
    return release(history, VERSION_FILE, version_at(now, weeks, RELEASED_WEEKS), at)


def _ahead(history: History, views: dict[str, str], now: datetime) -> None:
    line = "        showLog = true;"
    _change_view(history, views, "builds-id", now - timedelta(days=3), line, "builds-id: link to the build log")
    path = view_path("boots-all", views["boots-all"])
    history.write(path, LICENCE + history.files[path])
    history.commit("js: add a licence header to view-boots-all", now - timedelta(days=2))
    history.append("app/dashboard/templates/footer.html", "<!-- the version is a link to its tag -->")
    history.commit("templates: say what the footer's link is", now - timedelta(days=1))


def _change_view(history: History, views: dict[str, str], page: str, at: datetime, line: str, subject: str) -> None:
    """Change a view and give it a new dated name, in a commit for each as people do."""
    old = view_path(page, views[page])
    text = history.files[old].replace("        // options\n", f"        // options\n{line}\n")
    history.write(old, text)
    history.commit(subject, at)
    month = f"{at.year}.{at.month}"
    views[page] = f"{month}.1" if views[page].startswith(month) else month
    history.remove(old)
    history.write(view_path(page, views[page]), text)
    _map(history, views)
    history.commit(f"js: rename view-{page} to {views[page]}", at + timedelta(minutes=20))


def _map(history: History, views: Mapping[str, str]) -> None:
    """Name every view in common.js, and twice in build.js."""
    lines = "".join(f"            'app/view-{page}': 'app/view-{page}.{views[page]}',\n" for page in PAGES)
    modules = "".join(f"        {{name: 'app/view-{page}.{views[page]}'}},\n" for page in PAGES)
    history.write(f"{JS}common.js", COMMON.replace("@VIEWS@", lines))
    history.write(f"{JS}build.js", BUILD.replace("@VIEWS@", lines).replace("@MODULES@", modules))


def _view(page: str) -> str:
    return f"""define([
    'jquery',
    'utils/init',
    'tables/{page.partition("-")[0]}'
], function($, init, table) {{
    'use strict';
    var pageSize = 25, showLog = false;

    function setUp() {{
        // options
        table.draw($('#{page}'), pageSize, showLog);
    }}

    setTimeout(setUp, 10);
    init.hotkeys();
}});
"""


COMMON = """require.config({
    baseUrl: '/static/js',
    paths: {
        'jquery': 'lib/jquery-3.4.1.min'
    },
    map: {
        '*': {
@VIEWS@        }
    }
});
"""

BUILD = """({
    baseUrl: './',
    dir: '../../../../assets-build/js',
    optimize: 'uglify2',
    map: {
        '*': {
@VIEWS@        }
    },
    modules: [
        {name: 'common'},
@MODULES@        {name: 'kci-init'}
    ]
})
"""
