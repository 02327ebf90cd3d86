"""What changed decides which steps a release needs (KernelCI's procedure, steps 5 to 8), and what must not go out.

In doubt a kind is reported: a step too many costs time, a step too few costs production.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from kcibot_commands.rules.jpl import jpl_differences
from kcibot_commands.rules.js_names import JS_FOLDER
from kcibot_commands.rules.problem import Problem, Severity


class Component(StrEnum):
    """The repositories of KernelCI by what they are; their real names are configuration.

    OTHER is released with them, and calls for no step of its own.
    """

    CORE = "core"
    BACKEND = "backend"
    FRONTEND = "frontend"
    JENKINS = "jenkins"
    BACKEND_CONFIG = "backend-config"
    FRONTEND_CONFIG = "frontend-config"
    LINUX = "linux"
    OTHER = "other"


class Kind(StrEnum):
    """What kind of update a change calls for."""

    CODE = "code"
    CONFIGS = "configs"
    IMAGES = "images"
    ROOTFS = "rootfs"
    JOBS = "jobs"
    BACKEND = "backend"
    FRONTEND = "frontend"
    FRONTEND_JS = "frontend js"
    PLAYBOOKS = "playbooks"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a kind of update is needed: the path that calls for it."""

    kind: Kind
    component: Component
    path: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.path} of {self.component} changed"


TextsOf = Callable[[str], tuple[str, str]]
"""Old and new text of a path; empty for the side on which it does not exist."""

_JPL = ".jpl"
_CORE_RULES: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"(jenkins/dockerfiles|config/docker)/.+"), Kind.IMAGES),
    (re.compile(r"(jenkins/debian|config/rootfs)/.+|(.*/)?rootfs-configs\.yaml"), Kind.ROOTFS),
    # In 2019 a root file system's architectures and packages stand in its own pipeline.
    (re.compile(r"jenkins/(rootfs|stretch|buster|bullseye|sid)[\w-]*\.jpl"), Kind.ROOTFS),
    (re.compile(r"(.*/)?jobs\.groovy"), Kind.JOBS),
    (re.compile(r"(.*/)?(build|test|lab|db)-configs\.yaml|(.*/)?labs\.ini"), Kind.CONFIGS),
)
_WHOLE: dict[Component, Kind] = {
    Component.BACKEND: Kind.BACKEND,
    Component.FRONTEND: Kind.FRONTEND,
    Component.BACKEND_CONFIG: Kind.PLAYBOOKS,
    Component.FRONTEND_CONFIG: Kind.PLAYBOOKS,
    Component.JENKINS: Kind.JOBS,
    Component.LINUX: Kind.CODE,
}


def kinds_of(component: Component, path: str) -> frozenset[Kind]:
    """The kinds that a changed path calls for by its name alone; a pipeline's parameters are not looked at."""
    if component is Component.CORE:
        found = {kind for pattern, kind in _CORE_RULES if pattern.fullmatch(path)}
        return frozenset(found or {Kind.CODE})
    if component is Component.OTHER:
        return frozenset()
    kinds = {_WHOLE[component]}
    if component is Component.FRONTEND and path.startswith(JS_FOLDER):
        kinds.add(Kind.FRONTEND_JS)
    return frozenset(kinds)


def causes(component: Component, paths: Iterable[str], texts: TextsOf) -> tuple[Cause, ...]:
    """Every (kind, path) of a component's change, in the order of the paths.

    A core pipeline (`*.jpl`) calls for new job definitions if its header "Jenkins parameters" changed.
    """
    found = []
    for path in paths:
        kinds = set(kinds_of(component, path))
        if component is Component.CORE and path.endswith(_JPL) and jpl_differences(*texts(path)):
            kinds.add(Kind.JOBS)
        found += [Cause(kind, component, path) for kind in sorted(kinds)]
    return tuple(found)


def by_kind(found: Iterable[Cause]) -> Mapping[Kind, tuple[Cause, ...]]:
    """The same, one entry per kind that occurs."""
    grouped: dict[Kind, list[Cause]] = {}
    for cause in found:
        grouped.setdefault(cause.kind, []).append(cause)
    return {kind: tuple(listed) for kind, listed in grouped.items()}


def explained(kind: Kind, grouped: Mapping[Kind, tuple[Cause, ...]]) -> str:
    """A line saying why a kind is needed or not: the first path, and how many more there are."""
    listed = grouped.get(kind, ())
    if not listed:
        return f"no change of {kind}"
    more = f" and {len(listed) - 1} more" if len(listed) > 1 else ""
    return f"{listed[0].path}{more} changed"


# ---- staging leftovers -----------------------------------------------------------------------------------------

_LEAK = re.compile(r"staging-storage|storage\.staging|staging-api")
_LEAKY_FILES = re.compile(r"jenkins/.+|.*\.(ya?ml|jpl|groovy|ini)")


def may_leak(path: str) -> bool:
    """True for the files that are searched: YAML and jobs."""
    return bool(_LEAKY_FILES.fullmatch(path))


def staging_leaks(texts: Mapping[str, str], released: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
    """Lines that name a staging server, of the texts by path that `may_leak`.

    A new line must be confirmed: such a commit once reached the development branch and was reverted a week later. A
    line that production (`released`, texts by path) has already only warns: later files keep a type for staging.
    """
    return tuple(
        Problem(
            "staging",
            f"{path}:{number} names a staging server: {line.strip()}",
            _weight(line, (released or {}).get(path)),
        )
        for path, text in texts.items()
        if may_leak(path)
        for number, line in enumerate(text.split("\n"), start=1)
        if _LEAK.search(line)
    )


def _weight(line: str, released: str | None) -> Severity:
    return Severity.WARN if line in (released or "").split("\n") else Severity.CONFIRM
