"""Mending the frontend's dated JavaScript names: a view that was changed gets a new one (KernelCI's procedure, step 6).

One rename is `git mv` and three edits: the map of common.js, the map of build.js, and the modules of build.js.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kcibot_commands.rules.js_names import (
    BUILD_JS,
    COMING,
    COMMON_JS,
    Change,
    View,
    module_of,
    numbers_of,
    path_of,
)
from kcibot_commands.rules.problem import RuleError

_IN_MAP = r"(?<!name)(?<!name )(?P<before>:\s*['\"]){}(?=['\"])"
_IN_MODULES = r"(?P<before>\{{\s*name\s*:\s*['\"]){}(?=['\"])"


@dataclass(frozen=True, slots=True)
class Rename:
    """A view's module name (`app/view-builds-id.2020.10`) and the one it gets, or got but not everywhere."""

    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.old.removeprefix('app/')} to {self.new.removeprefix('app/')}"


def renames(change: Change, versions_of: Callable[[str], Iterable[str]], version: str) -> tuple[Rename, ...]:
    """The renames that mend a change, as far as it can be told what was meant; the rest is for people.

    A view changed in place gets a new name after the release's `version`; a view that was renamed, but not in every
    place, gets its new name in the others too. `versions_of` tells under which versions a page was ever dated.
    """
    changed = {view.module: view for view in change.in_place() if change.names.anywhere(view.module)}
    new = [
        Rename(module, module_of(view.page, proposed_rename(view.page, versions_of(view.page), version)))
        for module, view in changed.items()
    ]
    found = (*new, *(rename for rename in _half_made(change) if rename.new not in changed))
    return tuple(rename for rename in found if _is_possible(rename, change))


def _is_possible(rename: Rename, change: Change) -> bool:
    try:
        apply_rename(*change.maps, rename)
    except RuleError:
        return False
    return True


def _half_made(change: Change) -> tuple[Rename, ...]:
    """Those whose file was moved, while a place still names the old one; if several views went, nobody can tell."""
    found = []
    for one, view in change.views(*COMING):
        named = [former for former in change.formers(one, view) if change.names.anywhere(former.module)]
        if len(named) == 1:
            found.append(Rename(named[0].module, view.module))
    return tuple(found)


def proposed_rename(page: str, existing: Iterable[str], new_version: str) -> str:
    """The version for a page's new name: the release's, or that plus a number if it is taken or not above the others.

    `existing` are the versions under which the page was ever dated.
    """
    used = sorted(existing, key=numbers_of)
    base = new_version
    if used and numbers_of(used[-1]) > numbers_of(new_version):
        base = used[-1]
    taken = {numbers_of(version) for version in used}
    if View.parse(path_of(module_of(page, base))) is None:
        raise RuleError(f"view-{page}.{base}.js is no dated name")
    candidates = (base, *(f"{base}.{number}" for number in range(1, len(used) + 2)))
    return next(version for version in candidates if numbers_of(version) not in taken)


def renamed_files(
    wanted: Iterable[Rename], read: Callable[[str], str], exists: Callable[[str], bool]
) -> Mapping[str, str | None]:
    """Path -> new text, None for one that goes. A file that was moved already stays; texts change in the names alone.

    RuleError if one of the places does not name the view exactly once, by its old or by its new name.
    """
    common, build, files = read(COMMON_JS), read(BUILD_JS), dict[str, str | None]()
    for rename in wanted:
        common, build = apply_rename(common, build, rename)
        if exists(path_of(rename.old)):
            files |= {path_of(rename.old): None, path_of(rename.new): read(path_of(rename.old))}
    return {**files, COMMON_JS: common, BUILD_JS: build}


def apply_rename(common_js: str, build_js: str, rename: Rename) -> tuple[str, str]:
    """Both texts with the view's new name in its three places, and nothing else touched; RuleError as above."""
    common = _replace_once(common_js, _IN_MAP, rename, "the map of common.js")
    build = _replace_once(build_js, _IN_MAP, rename, "the map of build.js")
    return common, _replace_once(build, _IN_MODULES, rename, "the modules of build.js")


def _replace_once(text: str, shape: str, rename: Rename, place: str) -> str:
    old, new = (re.compile(shape.format(re.escape(name))) for name in (rename.old, rename.new))
    counts = len(old.findall(text)), len(new.findall(text))
    if counts == (0, 1):
        return text
    if counts != (1, 0):
        raise RuleError(f"{place} names {rename.old} {counts[0]} times, not once; rename it by hand")
    return old.sub(lambda match: match["before"] + rename.new, text)
