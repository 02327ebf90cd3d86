"""Which Docker images are to be built, from which commit, in which order, and why."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

from kcibot.sdk import Base, Context, GitRemote, Origin, PermanentError, listed, nearest
from kcibot_commands.plan.steps import SHORT, Part, ReleaseSettings, plan
from kcibot_commands.rules import dockerfiles
from kcibot_commands.rules.dockerfiles import NAMING_2019, NAMING_2021, Image, Naming, Rebuild
from kcibot_commands.rules.problem import RuleError

ALL = "all"
BUILT_FROM = "images-built-from"
"""Component -> the commit from which all its images were last built and pushed, or taken to have been."""


class Rebuilding(StrEnum):
    """What is built in a release: what changed needs, or everything (KernelCI's procedure: in doubt, always)."""

    CHANGED = "changed"
    ALL = "all"


class ImageNames(StrEnum):
    """How a directory names its image: `build-` before it until 2021-10, none since."""

    BUILD_PREFIX = "build-prefix"
    DIRECTORY = "directory"


@dataclass(frozen=True)
class ImagesSettings:
    """Where the Dockerfiles are, how images are named, and when they are built.

    `prefix` is what all names begin with, also in FROM lines that say ${PREFIX}. `pull_bases`: the images of FROM lines
    that are not built themselves are pulled before; without it they are taken as the engine has them.
    """

    section: ClassVar[str] = "images"
    component: str = "core"
    names: ImageNames = ImageNames.BUILD_PREFIX
    prefix: str = NAMING_2019.prefix
    rebuild: Rebuilding = Rebuilding.CHANGED
    no_cache: bool = True
    pull_bases: bool = True

    @property
    def naming(self) -> Naming:
        style = NAMING_2019 if self.names is ImageNames.BUILD_PREFIX else NAMING_2021
        return replace(style, prefix=self.prefix)


@dataclass(frozen=True)
class ImagesArgs:
    """Images to build by name; none means all."""

    names: tuple[str, ...] = ()


def wanted(context: Context, commit: str) -> tuple[Rebuild, ...]:
    """What is to be built from that commit, in order, and why. RuleError if it cannot be told or built."""
    settings = context.settings(ImagesSettings)
    found = images_of(context, commit)
    if not context.has_result(plan):
        return _named(found, context.args(ImagesArgs).names)
    part = context.result(plan).part(settings.component)
    git = context.ports.git.remote(settings.component)
    changed = _changed(git, part.base or part.production, part.release)
    left = dockerfiles.by_hand(found, changed)
    if left:
        raise RuleError(
            f"{settings.component}: {listed(left)} changed, and no Dockerfile of its own folder says how its images "
            "are built, so I cannot build them: build and push them by hand"
        )
    if settings.rebuild is Rebuilding.ALL:
        return dockerfiles.all_images(found, "images.rebuild is “all”")
    return dockerfiles.to_rebuild(found, list(dict.fromkeys([*changed, *_owed(context, git, found, part)])))


def _owed(context: Context, git: GitRemote, found: tuple[Image, ...], part: Part) -> Iterable[str]:
    """What earlier releases changed for which no image was pushed: their step was skipped, or did not get there."""
    since = context.recall(BUILT_FROM).get(part.component)
    if not isinstance(since, str) or since == part.release:
        return ()
    try:
        changed = _changed(git, since, part.release)
    except PermanentError:
        # The commit is gone from the repository, so what changed since cannot be told: in doubt, always.
        return [image.path for image in found]
    by_hand = dockerfiles.by_hand(found, changed)
    return [path for path in changed if path not in by_hand]  # people were told of those when they were new


def _changed(git: GitRemote, old: str, new: str) -> list[str]:
    """The paths that differ, with the former names of what was renamed."""
    return [path for one in git.changed_paths(old, new) for path in (one.path, one.old) if path]


def images_of(context: Context, commit: str) -> tuple[Image, ...]:
    """Every image of that commit, in building order. RuleError if they stand on each other in a circle."""
    settings = context.settings(ImagesSettings)
    git = context.ports.git.remote(settings.component)
    paths = dockerfiles.dockerfiles(git.paths(commit)).values()
    try:
        return dockerfiles.images({path: git.read(commit, path) for path in paths}, settings.naming)
    except RuleError as error:
        raise RuleError(f"{settings.component} at {commit[:SHORT]}: {error}") from error


def source(context: Context) -> str:
    """The commit that images are built from: the plan's, or the production branch as it is now."""
    settings = context.settings(ImagesSettings)
    if context.has_result(plan):
        return context.result(plan).part(settings.component).release
    git = context.ports.git.remote(settings.component)
    branch = context.settings(ReleaseSettings).component(settings.component).production
    branches = git.branches()
    if branch not in branches:
        raise PermanentError(f"{settings.component} has no branch {branch}")
    git.fetch()
    return branches[branch]


def bases(context: Context, image: Image) -> tuple[Base, ...]:
    """What it stands on. Names with a variable that nobody sets are left out: the engine says what it makes of them."""
    prefix = context.settings(ImagesSettings).prefix
    namespace = prefix[: prefix.rfind("/") + 1] or prefix
    known = [parent for parent in image.parents if "$" not in parent]
    return tuple(Base(name, _origin(name, namespace)) for name in known)


def _origin(name: str, namespace: str) -> Origin:
    return Origin.OURS if namespace and name.startswith(namespace) else Origin.ELSEWHERE


def is_whole(context: Context) -> bool:
    """Whether everything is built that needs it, and not only what somebody named."""
    return context.has_result(plan) or _all_of(context.args(ImagesArgs).names)


def _all_of(names: tuple[str, ...]) -> bool:
    return names in {(), (ALL,)}


def _named(found: tuple[Image, ...], names: tuple[str, ...]) -> tuple[Rebuild, ...]:
    known = {image.name: image for image in found} | {image.directory: image for image in found}
    if not found:
        raise RuleError(f"there is no Dockerfile in a folder of {listed(dockerfiles.ROOTS)}, so there is no image")
    if _all_of(names):
        return dockerfiles.all_images(found, "asked for")
    unknown = [name for name in names if name not in known]
    if unknown:
        near = nearest(unknown[0], known)
        hint = f"Did you mean {near}? " if near else ""
        raise RuleError(
            f"there is no image {listed(unknown)}. {hint}There are {listed([image.directory for image in found])}"
        )
    chosen = {known[name].name for name in names}
    return tuple(r for r in dockerfiles.all_images(found, "asked for") if r.image.name in chosen)
