"""Step 8, before it begins: which root file systems are built, for which architectures, as which version."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import ClassVar, TypedDict

from kcibot.sdk import Context, PermanentError, listed, nearest
from kcibot_commands.plan import ReleaseSettings, plan
from kcibot_commands.rules.rootfs_urls import VERSION, FileSystems, version_numbers

BUILT_LATELY = 100
"""Builds that are looked through for versions: several rounds of them, in one request."""


class CommitTo(StrEnum):
    """Where the new URLs go: onto the development branch, or onto a branch of their own for a review."""

    DEVELOPMENT = "development"
    BRANCH = "branch"


@dataclass(frozen=True)
class RootfsSettings:
    """Where root file systems are listed, built and used.

    `component`: the repository with the files `test_configs` (URLs) and `rootfs_configs` (architectures of each name).
    `trigger_job`, `builder_job`: the Jenkins jobs that start and do the builds. `commit`: `development` pushes the
    new URLs to the development branch, `branch` to a new branch for review. `staging_branch`: cherry-picked there as
    well; empty where staging follows the development branch by itself.
    `storage`: the file server's address as the bot reaches it, if it is not the one in the URLs. `look`: the span
    between two looks at the builds.
    """

    section: ClassVar[str] = "rootfs"
    component: str = "core"
    test_configs: str = "config/core/test-configs.yaml"
    rootfs_configs: str = "config/core/rootfs-configs.yaml"
    trigger_job: str = "rootfs-build-trigger"
    builder_job: str = "rootfs-builder"
    commit: CommitTo = CommitTo.DEVELOPMENT
    staging_branch: str = ""
    storage: str = ""
    look: timedelta = timedelta(minutes=1)


@dataclass(frozen=True)
class RootfsArgs:
    """Names to build; none means all."""

    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """What is to be built; `triggers` are the names to start, or one empty name for all of them."""

    version: str
    triggers: tuple[str, ...]
    architectures: Mapping[str, tuple[str, ...]]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, arch) for name, archs in self.architectures.items() for arch in archs)


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


def chosen(known: Mapping[str, tuple[str, ...]], names: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """Those names, or all if none is named; PermanentError names the nearest of an unknown one."""
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f"; did you mean {near}?" if near else f"; there are {listed(list(known))}"
            raise PermanentError(f"there is no root file system {name}{hint}")
    return {name: archs for name, archs in known.items() if name in names or not names}


def ordered(context: Context) -> Order:
    """What this run builds; the same each time it is asked, also after a restart."""
    kept = context.keep("what is built", lambda: _order(context))
    archs = {name: tuple(one) for name, one in kept["architectures"].items()}
    return Order(kept["version"], tuple(kept["triggers"]), archs)


class _Kept(TypedDict):
    """An order as JSON."""

    version: str
    triggers: list[str]
    architectures: dict[str, list[str]]


def _order(context: Context) -> _Kept:
    settings = context.settings(RootfsSettings)
    git = context.ports.git.remote(settings.component)
    git.fetch()
    head = development_head(context)
    known = architectures(git.document(head, settings.rootfs_configs))
    names = () if context.has_result(plan) else context.args(RootfsArgs).names
    wanted = chosen(known, names)
    versions = FileSystems.read(git.read(head, settings.test_configs)).versions().values()
    used = {one for name in versions for one in name}
    # A version that was built today, and not yet put into the file, must not be overwritten on the file server.
    used |= {
        one.parameters.get("PIPELINE_VERSION", "")
        for one in context.ports.ci.builds(settings.builder_job, BUILT_LATELY)
    }
    return {
        "version": next_version(used, context.clock.now().date()),
        "triggers": [""] if len(wanted) == len(known) else list(wanted),
        "architectures": {name: list(archs) for name, archs in wanted.items()},
    }


def development_head(context: Context) -> str:
    """The commit that the component's development branch is at now."""
    component = context.settings(RootfsSettings).component
    branch = context.settings(ReleaseSettings).components[component].development
    branches = context.ports.git.remote(component).branches()
    if branch not in branches:
        raise PermanentError(f"{component} has no branch {branch}; its branches are {listed(sorted(branches))}")
    return branches[branch]
