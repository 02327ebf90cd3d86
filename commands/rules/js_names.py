"""The frontend's dated JavaScript names (KernelCI's procedure, step 6).

The web server lets browsers keep every `.js` for ever, only `common.js` and `kci-*.js` for 20 minutes. So a view that
changed under its old name never arrives: it must get a new dated name, which `common.js` maps, and which `build.js`
maps and lists among its modules. Four of the eleven releases before 2020-10 had missed one.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from kcibot_commands.rules.js_code import essence, required, same_code
from kcibot_commands.rules.problem import Problem, RuleError, Severity

JS_FOLDER = "app/dashboard/static/js/"
COMMON_JS = JS_FOLDER + "common.js"
BUILD_JS = JS_FOLDER + "build.js"
_APP = JS_FOLDER + "app/"
_VIEW = re.compile(r"view-(?P<page>[a-z0-9-]+?)\.(?P<ver>[0-9]{4}\.[0-9]{1,2}(?:\.[0-9]+)*)\.js")
_MAPPED = re.compile(r"""['"](?P<key>app/view-[\w.-]+)['"]\s*:\s*['"](?P<module>app/view-[\w.-]+)['"]""")
_MODULE = re.compile(r"""\{\s*name\s*:\s*['"](?P<module>app/view-[\w.-]+)['"]""")
_SHORT_LIVED = re.compile(r"(common|build|kci-[\w.-]+)\.js")


class Side(StrEnum):
    """The released revision, or the one to be released."""

    OLD = "old"
    NEW = "new"


Reader = Callable[[Side, str], str]
"""Text of a path in the old or the new revision; asked only for paths that exist there."""


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


def _modules(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    return tuple(match["module"] for match in pattern.finditer(text))


# ---- the check -------------------------------------------------------------------------------------------------


def js_problems(
    changes: Iterable[ChangedFile], read: Reader, common_js: str, build_js: str, paths: Collection[str]
) -> tuple[Problem, ...]:
    """What is wrong between the last version tag and the new head; `paths` are the JavaScript paths of the new one.

    STOP: a view modified in place (more than comments and blanks), or a view of the change that is not named exactly
    once in each of the three places. WARN: shared modules, which have no dates, and old entries that lead nowhere.
    """
    listed = [change for change in changes if change.path.startswith(JS_FOLDER)]
    names = Names.read(common_js, build_js)
    found = [problem for change in listed for problem in _view_problems(change, read, names)]
    return (*found, *_shared_problems(listed, read, paths), *_old_entries(listed, names, paths))


def _view_problems(change: ChangedFile, read: Reader, names: Names) -> tuple[Problem, ...]:
    view = View.parse(change.path)
    if view is None:
        return ()
    if change.status == "D":
        return _named_though_gone(view, names)
    if change.status == "M":
        same = same_code(read(Side.OLD, change.path), read(Side.NEW, change.path))
        return () if same else (_in_place(view),)
    former = View.parse(change.old)
    left = _named_though_gone(former, names) if former and change.status.startswith("R") else ()
    return (*_not_newer(change, view), *_named_once(view, names), *left)


def _in_place(view: View) -> Problem:
    text = f"view-{view.page}.{view.version}.js was changed under its old name: browsers keep the old one for ever"
    return Problem("in place", text)


def _named_once(view: View, names: Names) -> tuple[Problem, ...]:
    counts = {place: listed.count(view.module) for place, listed in names.places().items()}
    wrong = [f"{'not' if count == 0 else f'{count} times'} in {place}" for place, count in counts.items() if count != 1]
    if not wrong:
        return ()
    return (Problem("named", f"{view.module} must be named once in each place, but is {', '.join(wrong)}"),)


def _named_though_gone(view: View, names: Names) -> tuple[Problem, ...]:
    places = [place for place, listed in names.places().items() if view.module in listed]
    if not places:
        return ()
    return (Problem("gone", f"{view.module} was removed, but is still named in {', '.join(places)}"),)


def _not_newer(change: ChangedFile, view: View) -> tuple[Problem, ...]:
    former = View.parse(change.old) if change.status.startswith("R") else None
    if former is None or former.page != view.page or view.numbers > former.numbers:
        return ()
    text = f"{view.module} replaces {former.module}, but its date is not newer: browsers may know that name already"
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
    needs = {path: {_path_of(name) for name in required(read(Side.NEW, path))} for path in scripts}
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


def _path_of(module: str) -> str:
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


# ---- the fix ---------------------------------------------------------------------------------------------------


def proposed_rename(page: str, existing: Iterable[str], new_version: str) -> str:
    """The version for a page's new name: the release's, or that plus a number if it is taken or not above the others.

    `existing` are the versions under which the page was ever dated.
    """
    used = sorted(existing, key=numbers_of)
    base = new_version
    if used and numbers_of(used[-1]) > numbers_of(new_version):
        base = used[-1]
    taken = {numbers_of(version) for version in used}
    if View.parse(f"{_APP}view-{page}.{base}.js") is None:
        raise RuleError(f"view-{page}.{base}.js is no dated name")
    candidates = (base, *(f"{base}.{number}" for number in range(1, len(used) + 2)))
    return next(version for version in candidates if numbers_of(version) not in taken)


@dataclass(frozen=True, slots=True)
class Renamed:
    """The new texts of both files after a rename; the file itself is moved by git."""

    common_js: str
    build_js: str


def apply_rename(common_js: str, build_js: str, old: str, new: str) -> Renamed:
    """Replace one module name (`app/view-builds-id.2020.10`) in its three places, touching nothing else.

    RuleError if one of the places does not name the old module exactly once.
    """
    in_map = rf"(:\s*['\"]){re.escape(old)}(?=['\"])"
    in_modules = rf"(\{{\s*name\s*:\s*['\"]){re.escape(old)}(?=['\"])"
    build_map = rf"(?<!name)(?<!name )(:\s*['\"]){re.escape(old)}(?=['\"])"
    return Renamed(
        _replace_once(common_js, in_map, new, "the map of common.js"),
        _replace_once(
            _replace_once(build_js, build_map, new, "the map of build.js"), in_modules, new, "the modules of build.js"
        ),
    )


def _replace_once(text: str, pattern: str, new: str, place: str) -> str:
    changed, count = re.subn(pattern, lambda match: match[1] + new, text)
    if count != 1:
        raise RuleError(f"{place} names the old view {count} times, not once; rename it by hand")
    return changed
