"""Step 8, before it begins: which root file systems are built, how, for which architectures, as which version."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from kcibot.sdk import CiServer, Context, PermanentError, listed, nearest
from kcibot_commands.plan.steps import ReleaseSettings, plan
from kcibot_commands.rootfs.settings import RootfsSettings
from kcibot_commands.rules.rootfs_urls import VERSION, FileSystems, version_numbers

BUILT_LATELY = 100
"""Builds that are looked through for versions: several rounds of them, in one request."""
VERSIONS = "rootfs versions"
"""Version -> the run that builds it, from before its start on."""
VERSION_PARAMETER = "PIPELINE_VERSION"

_ARCH_LIST = re.compile(r"['\"]?arch_list['\"]?\s*:\s*\[(?P<archs>[^\]]*)\]")
_QUOTED = re.compile(r"['\"]([\w-]+)['\"]")


class Way(StrEnum):
    """How this Jenkins builds: since 2022 with a version of ours, in 2021 with its own, in 2019 by a job per name."""

    VERSIONED = "versioned"
    NUMBERED = "numbered"
    JOBS = "jobs"


@dataclass(frozen=True)
class RootfsArgs:
    """Names to build; none means all."""

    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What is to be built; `triggers` are the names to start, or one empty name for all of them.

    `others` are all architectures that any name has.
    """

    triggers: tuple[str, ...]
    architectures: Mapping[str, tuple[str, ...]]
    others: tuple[str, ...] = ()

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, arch) for name, archs in self.architectures.items() for arch in archs)


@dataclass(frozen=True)
class Order(Wanted):
    """The same, and how it is built. `version` is empty where Jenkins makes the version."""

    version: str = ""
    way: Way = Way.VERSIONED


# ---- what to build ---------------------------------------------------------------------------------------------


def next_version(used: Iterable[str], day: date) -> str:
    """`YYYYMMDD.N` above every version in use: of that day, or of the highest day if somebody's slip lies ahead."""
    highest = max((version_numbers(one) for one in used if VERSION.fullmatch(one)), default=(0, 0))
    today = int(f"{day:%Y%m%d}")
    return f"{today}.0" if highest[0] < today else f"{highest[0]}.{highest[1] + 1}"


def architectures(document: object) -> Mapping[str, tuple[str, ...]]:
    """Name -> its architectures, of a `rootfs-configs.yaml`. Raises PermanentError if it is none."""
    configs = document.get("rootfs_configs") if isinstance(document, dict) else None
    if not isinstance(configs, dict):
        raise PermanentError("the list of root file systems has no rootfs_configs")
    found: dict[str, tuple[str, ...]] = {}
    for name, config in configs.items():
        archs = config.get("arch_list") if isinstance(config, dict) else None
        if not isinstance(archs, list) or not archs:
            raise PermanentError(f"the root file system {name} lists no architectures")
        found[str(name)] = tuple(str(arch) for arch in archs)
    return found


def pipeline_architectures(text: str, path: str) -> tuple[str, ...]:
    """Those that a name's own pipeline lists (2019). Raises PermanentError if it lists none."""
    match = _ARCH_LIST.search(text)
    archs = tuple(_QUOTED.findall(match["archs"])) if match else ()
    if not archs:
        raise PermanentError(f"{path} lists no architectures: there is no arch_list in it")
    return archs


def chosen(known: Mapping[str, tuple[str, ...]], names: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """Those names, or all if none is named; PermanentError names the nearest of an unknown one."""
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f"; did you mean {near}?" if near else f"; there are {listed(list(known))}"
            raise PermanentError(f"there is no root file system {name}{hint}")
    return {name: archs for name, archs in known.items() if name in names or not names}


def wanted(context: Context) -> Wanted:
    """What this run is to build, as the development branch lists it now. Jenkins is not asked."""
    settings = context.settings(RootfsSettings)
    context.ports.git.remote(settings.component).fetch()
    known = _known(context, development_head(context))
    inside = any(step.id == plan.id for step in context.run.steps)
    names = () if inside or context.run.args is None else context.args(RootfsArgs).names
    archs = chosen(known, names)
    every = tuple(dict.fromkeys(arch for one in known.values() for arch in one))
    each = bool(settings.jobs) or len(archs) < len(known)
    return Wanted(tuple(archs) if each else ("",), archs, every)


def _known(context: Context, head: str) -> Mapping[str, tuple[str, ...]]:
    settings = context.settings(RootfsSettings)
    git = context.ports.git.remote(settings.component)
    if not settings.jobs:
        return architectures(git.document(head, settings.rootfs_configs))
    paths = {name: settings.pipeline.replace("{name}", name) for name in settings.jobs}
    return {name: pipeline_architectures(git.read(head, path), path) for name, path in paths.items()}


def ordered(context: Context) -> Order:
    """What this round of the step builds; the same each time it is asked, also after a restart."""
    kept = context.keep("what is built", lambda: _order(context))
    archs = {str(name): tuple(one) for name, one in _mapping(kept["architectures"]).items()}
    way = Way(str(kept.get("way", Way.VERSIONED)))  # a round that an earlier version of the bot began knows no other
    return Order(_words(kept["triggers"]), archs, _words(kept.get("others")), str(kept["version"]), way)


def _mapping(value: object) -> Mapping[str, list[str]]:
    return value if isinstance(value, dict) else {}


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


def _order(context: Context) -> Mapping[str, object]:
    """As JSON."""
    what, way = wanted(context), _way(context)
    return {
        "version": _claimed(context) if way is Way.VERSIONED else "",
        "way": way.value,
        "triggers": list(what.triggers),
        "architectures": {name: list(archs) for name, archs in what.architectures.items()},
        "others": list(what.others),
    }


def _way(context: Context) -> Way:
    """A trigger that takes no version must not be given one: Jenkins drops it, and nobody finds the builds."""
    settings = context.settings(RootfsSettings)
    if settings.jobs:
        return Way.JOBS
    takes = VERSION_PARAMETER in context.ports.ci.parameters(settings.trigger_job)
    return Way.VERSIONED if takes else Way.NUMBERED


# ---- the version -----------------------------------------------------------------------------------------------


def _claimed(context: Context) -> str:
    """A version that nobody else uses, and that no other run gets from now on."""
    used = _used(context)
    while True:
        version = next_version(used, context.clock.now().date())
        if context.claim(VERSIONS, version, context.run.id) == context.run.id:
            return version
        used.add(version)


def _used(context: Context) -> set[str]:
    """Those in the file; and of that day, not yet in the file, those built, started, or waiting in the queue.

    What has files on the file server must not be overwritten.
    """
    settings, ci = context.settings(RootfsSettings), context.ports.ci
    text = context.ports.git.remote(settings.component).read(development_head(context), settings.test_configs)
    in_file = {one for name in FileSystems.read(text).versions().values() for one in name}
    return in_file | _on_jenkins(ci, (settings.trigger_job, settings.builder_job))


def _on_jenkins(ci: CiServer, jobs: tuple[str, ...]) -> set[str]:
    """The queue first: what leaves it meanwhile is then seen as a build."""
    queued = {item.parameters.get(VERSION_PARAMETER, "") for item in ci.look().queued if item.job in jobs}
    builds = [build for job in jobs for build in ci.builds(job, BUILT_LATELY)]
    return queued | {build.parameters.get(VERSION_PARAMETER, "") for build in builds}


def development_head(context: Context) -> str:
    """The commit that the component's development branch is at now."""
    component = context.settings(RootfsSettings).component
    branch = context.settings(ReleaseSettings).components[component].development
    branches = context.ports.git.remote(component).branches()
    if branch not in branches:
        raise PermanentError(f"{component} has no branch {branch}; its branches are {listed(sorted(branches))}")
    return branches[branch]
