"""The frontend's dated JavaScript names (KernelCI's procedure, step 6).

The web server lets browsers keep every `.js` for ever, only `common.js` and `kci-*.js` for 20 minutes. So a view that
changed under its old name never arrives: it must get a new dated name, which `common.js` maps, and which `build.js`
maps and lists among its modules. Four of the eleven releases before 2020-10 had missed one. `js_renames` mends that.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from kcibot_commands.rules.js_code import essence, required, same_code
from kcibot_commands.rules.problem import Problem, Severity

JS_FOLDER = "app/dashboard/static/js/"
COMMON_JS = JS_FOLDER + "common.js"
BUILD_JS = JS_FOLDER + "build.js"
_APP = JS_FOLDER + "app/"
_LIB = JS_FOLDER + "lib/"
_VIEW = re.compile(r"view-(?P<page>[a-z0-9-]+?)\.(?P<ver>[0-9]{4}\.[0-9]{1,2}(?:\.[0-9]+)*)\.js")
_MAPPED = re.compile(r"""['"](?P<key>app/view-[\w.-]+)['"]\s*:\s*['"](?P<module>app/view-[\w.-]+)['"]""")
_MODULE = re.compile(r"""\{\s*name\s*:\s*['"](?P<module>app/view-[\w.-]+)['"]""")
_SHORT_LIVED = re.compile(r"(common|build|kci-[\w.-]+)\.js")
OLD_ENTRIES = frozenset({"dangling", "unnamed"})
"""The rules about what no change has touched."""
MODIFIED = ("M", "T")
COMING = ("A", "R", "C")
"""Git's letters of a path that is new: added, renamed or copied."""


class Side(StrEnum):
    """The released revision, or the one to be released."""

    OLD = "old"
    NEW = "new"


Reader = Callable[[Side, str], str]
"""Text of a path in the old or the new revision; asked only for paths that exist there."""
Served = Callable[[str], Iterable[str]]
"""The texts under which a path was ever released: what browsers may have kept under that name."""


def never_served(_path: str) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """`status` is git's letter (A, M, D, R); `old` is the former path of a rename."""

    status: str
    path: str
    old: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """A dated view file."""

    page: str
    version: str
    path: str

    @classmethod
    def parse(cls, path: str) -> Self | None:
        """None for anything but a dated view below `js/app/`."""
        match = _VIEW.fullmatch(path.removeprefix(_APP)) if path.startswith(_APP) else None
        return cls(match["page"], match["ver"], path) if match else None

    @property
    def module(self) -> str:
        """Its name in the maps, `app/view-builds-id.2020.10`."""
        return module_of(self.page, self.version)

    @property
    def numbers(self) -> tuple[int, ...]:
        return numbers_of(self.version)


def module_of(page: str, version: str) -> str:
    """The module name of a page's view in a version."""
    return f"app/view-{page}.{version}"


def numbers_of(version: str) -> tuple[int, ...]:
    """A dated name's version as integers: padding changed over the years."""
    return tuple(int(part) for part in version.split("."))


@dataclass(frozen=True, slots=True)
class Names:
    """Where modules are named: the map of common.js, the map of build.js, the modules of build.js."""

    common: tuple[str, ...]
    build: tuple[str, ...]
    modules: tuple[str, ...]

    @classmethod
    def read(cls, common_js: str, build_js: str) -> Self:
        """Read both files, without what is commented out."""
        common, build = essence(common_js), essence(build_js)
        return cls(_modules(_MAPPED, common), _modules(_MAPPED, build), _modules(_MODULE, build))

    def places(self) -> Mapping[str, tuple[str, ...]]:
        """The three lists by what people call them."""
        return {"the map of common.js": self.common, "the map of build.js": self.build, "its modules": self.modules}

    def anywhere(self, module: str) -> bool:
        return any(module in listed for listed in self.places().values())


def _modules(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    return tuple(match["module"] for match in pattern.finditer(text))


# ---- the check -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """What differs between the last release and the new head, below `js/`; `paths` are the new one's paths there."""

    changes: tuple[ChangedFile, ...]
    read: Reader
    paths: Collection[str]
    maps: tuple[str, str]
    names: Names
    served: Served = never_served

    @classmethod
    def of(
        cls, changes: Iterable[ChangedFile], read: Reader, paths: Collection[str], served: Served = never_served
    ) -> Self:
        """Leaves out what is elsewhere, and reads what names the views."""
        listed = tuple(change for change in changes if change.path.startswith(JS_FOLDER))
        common, build = (read(Side.NEW, path) if path in paths else "" for path in (COMMON_JS, BUILD_JS))
        return cls(listed, read, paths, (common, build), Names.read(common, build), served)

    def views(self, *statuses: str) -> tuple[tuple[ChangedFile, View], ...]:
        """The dated views among them, of those letters of git."""
        found = ((change, View.parse(change.path)) for change in self.changes if change.status in statuses)
        return tuple((change, view) for change, view in found if view)

    def in_place(self) -> tuple[View, ...]:
        """Views with other code under a name that browsers may know: changed, or named as an older one once was."""
        modified = (view for change, view in self.views(*MODIFIED) if self._other_code(change))
        again = (view for _, view in self.views(*COMING) if self._served_otherwise(view))
        return (*modified, *again)

    def formers(self, change: ChangedFile, view: View) -> tuple[View, ...]:
        """The views of the same page that went when this one came, whether git saw a rename or not."""
        gone = [former for _, former in self.views("D")]
        renamed = [View.parse(one.old) for one in self.changes if one.status == "R"]
        mine = [View.parse(change.old)] if change.status == "R" else []
        found = dict.fromkeys(former for former in (*mine, *gone, *renamed) if former and former.page == view.page)
        return tuple(former for former in found if former != view)

    def is_used(self, view: View) -> bool:
        """Whether one of the maps names it, or a script requires it by its dated name."""
        scripts = (path for path in self.paths if path.endswith(".js") and not path.startswith(_LIB))
        return self.names.anywhere(view.module) or any(
            view.module in required(self.read(Side.NEW, path)) for path in scripts
        )

    def _other_code(self, change: ChangedFile) -> bool:
        return not same_code(self.read(Side.OLD, change.path), self.read(Side.NEW, change.path))

    def _served_otherwise(self, view: View) -> bool:
        texts = tuple(self.served(view.path))
        return any(not same_code(text, self.read(Side.NEW, view.path)) for text in texts)


def js_problems(change: Change) -> tuple[Problem, ...]:
    """What is wrong between the last version tag and the new head.

    STOP: a view modified in place (more than comments and blanks), one under a name that was released with other code,
    or a view of the change that is not named exactly once in each of the three places. WARN: shared modules, which
    have no dates, views that nothing uses, and old entries that lead nowhere.
    """
    found = [_in_place(change, view) for view in change.in_place()]
    for one, view in change.views(*COMING):
        found += [*_not_newer(change.formers(one, view), view), *_named_once(view, change.names)]
    found += _named_though_gone(change)
    shared = _shared_problems(change.changes, change.read, change.paths)
    return (*found, *shared, *_old_entries(change.changes, change.names, change.paths))


def _in_place(change: Change, view: View) -> Problem:
    name = f"view-{view.page}.{view.version}.js"
    if not change.is_used(view):
        text = f"{name} was changed under its old name; nothing names it, so nobody sees the change"
        return Problem("in place", text, Severity.WARN)
    if any(view == one for _, one in change.views(*COMING)):
        return Problem("in place", f"{name} was released before with other code: browsers keep the old one for ever")
    return Problem("in place", f"{name} was changed under its old name: browsers keep the old one for ever")


def _named_once(view: View, names: Names) -> tuple[Problem, ...]:
    counts = {place: listed.count(view.module) for place, listed in names.places().items()}
    wrong = [f"{'not' if count == 0 else f'{count} times'} in {place}" for place, count in counts.items() if count != 1]
    if not wrong:
        return ()
    return (Problem("named", f"{view.module} must be named once in each place, but is {', '.join(wrong)}"),)


def _named_though_gone(change: Change) -> Iterator[Problem]:
    renamed = (View.parse(one.old) for one in change.changes if one.status == "R")
    for view in dict.fromkeys((*(former for _, former in change.views("D")), *filter(None, renamed))):
        if places := [place for place, listed in change.names.places().items() if view.module in listed]:
            yield Problem("gone", f"{view.module} was removed, but is still named in {', '.join(places)}")


def _not_newer(formers: Iterable[View], view: View) -> tuple[Problem, ...]:
    newest = max(formers, key=lambda former: former.numbers, default=None)
    if newest is None or view.numbers > newest.numbers:
        return ()
    text = f"{view.module} replaces {newest.module}, but its date is not newer: browsers may know that name already"
    return (Problem("not newer", text, Severity.CONFIRM),)


def _shared_problems(changes: Iterable[ChangedFile], read: Reader, paths: Collection[str]) -> tuple[Problem, ...]:
    changed = [change.path for change in changes if _is_changed_shared(change, read)]
    if not changed:
        return ()
    users = _users(read, paths)
    return tuple(_shared(path, users.get(path, ())) for path in changed)


def _is_changed_shared(change: ChangedFile, read: Reader) -> bool:
    name = change.path.removeprefix(JS_FOLDER)
    if change.status != "M" or View.parse(change.path) or not name.endswith(".js") or _SHORT_LIVED.fullmatch(name):
        return False
    return not same_code(read(Side.OLD, change.path), read(Side.NEW, change.path))


def _shared(path: str, views: Collection[str]) -> Problem:
    name = path.removeprefix(JS_FOLDER)
    by = f"; it is required by {', '.join(sorted(views))}" if views else "; no view requires it"
    text = f"{name} has no date in its name, so browsers may keep the old one{by}"
    return Problem("shared", text, Severity.WARN)


def _users(read: Reader, paths: Collection[str]) -> Mapping[str, frozenset[str]]:
    """For each shared module the dated views that require it, also by way of other modules."""
    scripts = [path for path in paths if path.startswith(_APP) and path.endswith(".js")]
    needs = {path: {path_of(name) for name in required(read(Side.NEW, path))} for path in scripts}
    users: dict[str, set[str]] = {}
    for view in filter(None, map(View.parse, scripts)):
        for path in _reached(view.path, needs):
            users.setdefault(path, set()).add(f"view-{view.page}.{view.version}")
    return {path: frozenset(views) for path, views in users.items()}


def _reached(start: str, needs: Mapping[str, set[str]]) -> set[str]:
    seen, waiting = set[str](), [start]
    while waiting:
        for path in needs.get(waiting.pop(), set()) - seen:
            seen.add(path)
            waiting.append(path)
    return seen


def path_of(module: str) -> str:
    """`utils/base` -> its file: common.js maps the short folders into `app/`; what starts with lib or app stands."""
    inside = module if module.startswith(("app/", "lib/")) else f"app/{module}"
    return f"{JS_FOLDER}{inside}.js"


def _old_entries(changes: Iterable[ChangedFile], names: Names, paths: Collection[str]) -> tuple[Problem, ...]:
    """Entries without a file and files without an entry, apart from those of the change itself."""
    existing = {view.module for view in filter(None, map(View.parse, paths))}
    touched = {view.module for change in changes for path in (change.path, change.old) if (view := View.parse(path))}
    named = {module for listed in names.places().values() for module in listed}
    dangling = sorted(named - existing - touched)
    unnamed = sorted(existing - named - touched)
    found = [Problem("dangling", f"{module} is named, but does not exist", Severity.WARN) for module in dangling]
    found += [Problem("unnamed", f"{module} exists, but is named nowhere", Severity.WARN) for module in unnamed]
    return tuple(found)
