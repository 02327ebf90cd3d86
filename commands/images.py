"""Step 7: Docker images. All that need it are built before any is pushed, and every pushed one is proven pullable."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Gate,
    Happened,
    ImageBuild,
    Needed,
    NotHappened,
    Outcome,
    OutcomeUnknown,
    PermanentError,
    Preview,
    Procedure,
    Progress,
    Proof,
    Step,
    Words,
    command,
    listed,
    nearest,
)
from kcibot_commands.plan import SHORT, ReleaseSettings, plan
from kcibot_commands.production import open_production, still_locked, take_production_lock
from kcibot_commands.rules import dockerfiles
from kcibot_commands.rules.dockerfiles import NAMING_2019, NAMING_2021, Image, Naming, Rebuild
from kcibot_commands.rules.problem import RuleError, worded

DIGESTS = "image-digests"


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
    """Where the Dockerfiles are, how images are named, and when they are built."""

    section: ClassVar[str] = "images"
    component: str = "core"
    names: ImageNames = ImageNames.BUILD_PREFIX
    rebuild: Rebuilding = Rebuilding.CHANGED
    no_cache: bool = True

    @property
    def naming(self) -> Naming:
        return NAMING_2019 if self.names is ImageNames.BUILD_PREFIX else NAMING_2021


@dataclass(frozen=True)
class ImagesArgs:
    """Images to build by name; none means all."""

    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Built:
    """Image -> local id, all built from that commit."""

    commit: str
    ids: Mapping[str, str]


@dataclass(frozen=True)
class PushedImages:
    """Image -> digest in the registry before and after; an empty one before means there was none."""

    before: Mapping[str, str]
    after: Mapping[str, str]


# ---- building --------------------------------------------------------------------------------------------------


def wanted(context: Context, commit: str) -> tuple[Rebuild, ...]:
    """What is to be built from that commit, in order, and why."""
    settings = context.settings(ImagesSettings)
    git = context.ports.git.remote(settings.component)
    found = _found(context, commit)
    if not context.has_result(plan):
        return _named(found, context.args(ImagesArgs).names)
    if settings.rebuild is Rebuilding.ALL:
        return dockerfiles.all_images(found, "images.rebuild is “all”")
    part = context.result(plan).part(settings.component)
    changed = [change.path for change in git.changed_paths(part.base or part.production, part.release)]
    return dockerfiles.to_rebuild(found, changed)


def _found(context: Context, commit: str) -> tuple[Image, ...]:
    """Every image of that commit, in building order."""
    settings = context.settings(ImagesSettings)
    git = context.ports.git.remote(settings.component)
    paths = dockerfiles.dockerfiles(git.paths(commit)).values()
    try:
        return dockerfiles.images({path: git.read(commit, path) for path in paths}, settings.naming)
    except RuleError as error:
        raise PermanentError(f"{settings.component} at {commit[:SHORT]}: {error}") from error


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


def build_needed(context: Context) -> Needed:
    found = wanted(context, source(context))
    return Needed(bool(found), "" if found else "no Dockerfile changed")


def build_preview(context: Context) -> Preview:
    commit = source(context)
    found = wanted(context, commit)
    facts = {"commit": commit, "images": {one.image.name: list(one.reasons) for one in found}}
    lines = tuple(f"build {one.image.name}: {listed(list(one.reasons))}" for one in found)
    cache = "without cache" if context.settings(ImagesSettings).no_cache else "with cache"
    return Preview(facts, (f"{worded(len(found), 'image')} from {commit[:SHORT]}, {cache}", *lines))


def build(context: Context) -> Done[Built]:
    commit = context.keep("commit", lambda: source(context))
    found = wanted(context, commit)
    folder = context.folder("context")
    context.ports.git.remote(context.settings(ImagesSettings).component).checkout(commit, folder)
    ids: dict[str, str] = {}
    for number, one in enumerate(found):
        context.report(f"building {one.image.name}", Progress(number, len(found), "images"))
        request = ImageBuild(
            one.image.name,
            (folder / one.image.path).parent,
            no_cache=context.settings(ImagesSettings).no_cache,
        )
        ids[one.image.name] = _build(context, request)
    return Done(f"{worded(len(ids), 'image')} from {commit[:SHORT]}", Built(commit, ids))


def _build(context: Context, request: ImageBuild) -> str:
    def probe() -> Proof[str]:
        # A build that was cut off left nothing but cache: building again is the same as building once.
        return NotHappened()

    return context.effect(f"build {request.name}", lambda: context.ports.images.build(request, context.report), probe)


build_images = Step(
    "build-images", "Docker images built", build, Built, needed=build_needed, preview=build_preview, after=(plan,)
)


# ---- pushing ---------------------------------------------------------------------------------------------------


def push_needed(context: Context) -> Needed:
    there = context.has_result(build_images)
    return Needed(there, "" if there else "no image was built")


def push_preview(context: Context) -> Preview:
    if not context.has_result(build_images):
        return Preview()
    built = context.result(build_images)
    facts = {
        name: {"id": local_id, "replaces": context.ports.images.digest(name) or ""}
        for name, local_id in built.ids.items()
    }
    lines = tuple(
        f"push {name} {fact['id'][7 : 7 + SHORT]}, replacing {fact['replaces'][7 : 7 + SHORT] or 'nothing'}"
        for name, fact in facts.items()
    )
    return Preview(facts, lines)


def push(context: Context) -> Done[PushedImages]:
    built = context.result(build_images)
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    first = _before_this_run(context)
    for number, name in enumerate(built.ids):
        context.report(f"pushing {name}", Progress(number, len(built.ids), "images"))
        before[name] = context.keep(f"before {name}", lambda name=name: context.ports.images.digest(name) or "")  # type: ignore[misc]
        after[name] = _push(context, name, built.ids[name])
        # Kept one by one: if the next push fails, these are what there is to go back to.
        context.remember(DIGESTS, str(context.run.id), {"before": {**before, **first}, "after": dict(after)})
        context.ports.images.pullable(name, after[name])
    return Done(f"{worded(len(after), 'image')} pushed, each pulled back by its digest", PushedImages(before, after))


def _before_this_run(context: Context) -> dict[str, str]:
    """What an earlier revision of this run, or an earlier try, replaced: that is what there is to go back to."""
    known = context.recall(DIGESTS).get(str(context.run.id))
    found = known.get("before") if isinstance(known, dict) else None
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}


def _push(context: Context, name: str, local_id: str) -> str:
    images = context.ports.images
    if images.local_id(name) != local_id:
        raise PermanentError(
            f"the engine's {name} is no longer the image that was approved, so it was not pushed; "
            f"!release retry {build_images.id} builds and asks again"
        )

    def probe() -> Proof[str]:
        pushed, there = images.pushed_digest(name), images.digest(name)
        if pushed is None:
            return NotHappened()
        if there == pushed:
            return Happened(pushed)
        raise OutcomeUnknown(f"{name} was pushed as {pushed}, but somebody put {there} in its place")

    def act() -> str:
        still_locked(context)
        return images.push(name, context.report)

    return context.effect(f"push {name}", act, probe)


push_images = Step(
    "push-images",
    "Docker images pushed",
    push,
    PushedImages,
    needed=push_needed,
    preview=push_preview,
    after=(build_images,),
)


# ---- alone -----------------------------------------------------------------------------------------------------


def _named(found: tuple[Image, ...], names: tuple[str, ...]) -> tuple[Rebuild, ...]:
    known = {image.name: image for image in found} | {image.directory: image for image in found}
    unknown = [name for name in names if name not in known]
    if unknown:
        near = nearest(unknown[0], known)
        hint = f"Did you mean {near}? " if near else ""
        raise PermanentError(
            f"there is no image {listed(unknown)}. {hint}There are {listed([image.directory for image in found])}"
        )
    chosen = {known[name].name for name in names} or {image.name for image in found}
    return tuple(r for r in dockerfiles.all_images(found, "asked for") if r.image.name in chosen)


def show_plan(context: Context) -> Done[None]:
    return Done("\n".join(build_preview(context).display), None)


def show_status(context: Context) -> Done[None]:
    """What the registry has of every image."""
    rows = [
        f"{one.image.name}: {context.ports.images.digest(one.image.name) or 'not in the registry'}"
        for one in wanted(context, source(context))
    ]
    return Done("\n".join(["Images in the registry", *rows]), None)


PLAN = Procedure("images plan", plan, Step("show", "Images planned", show_plan, type(None)), card=False)
STATUS = Procedure("images status", Step("show", "Images", show_status, type(None)), card=False)
BUILD = Procedure("images build", build_images)
PUSH = Procedure(
    "images push", build_images, Gate("images", "Push images"), take_production_lock, push_images, open_production
)


@command("images plan", role="observer")
def images_plan(call: Call) -> Outcome:
    """Say which images a release would build now, and why."""
    return call.start(PLAN)


@command("images build", role="operator", example="!images build gcc-10_x86")
def images_build(call: Call, names: Words = ()) -> Outcome:
    """Build images from the production branch, all or some, without pushing them."""
    return call.start(BUILD, "Images", ImagesArgs(names))


@command("images push", role="operator", example="!images push gcc-10_x86")
def images_push(call: Call, names: Words = ()) -> Outcome:
    """Build images from the production branch, and push them once approved."""
    return call.start(PUSH, "Images", ImagesArgs(names))


@command("images status", role="observer")
def images_status(call: Call) -> Outcome:
    """Say which digest the registry has of every image."""
    return call.start(STATUS, args=ImagesArgs())
