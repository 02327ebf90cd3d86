"""Step 7, first half: Docker images are built, each on the newest of what it stands on, and nothing is pushed yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kcibot.sdk import (
    Base,
    Context,
    Done,
    ImageBuild,
    Needed,
    NotHappened,
    PermanentError,
    Preview,
    Progress,
    Proof,
    Step,
    listed,
)
from kcibot_commands.images.plan import (
    BUILT_FROM,
    ImagesSettings,
    bases,
    images_of,
    source,
    wanted,
)
from kcibot_commands.plan.steps import SHORT, plan
from kcibot_commands.rules import dockerfiles
from kcibot_commands.rules.dockerfiles import Rebuild
from kcibot_commands.rules.problem import RuleError, worded

BUILDING = "build-images"


@dataclass(frozen=True)
class Built:
    """Image -> local id, all built from that commit. `bases` maps what was pulled for it to its digest."""

    commit: str
    ids: Mapping[str, str]
    bases: Mapping[str, str] = field(default_factory=dict)


def build_needed(context: Context) -> Needed:
    """What people have to build themselves is needed as well: the step stops there and says so."""
    _begin_counting(context)
    try:
        found = wanted(context, source(context))
    except RuleError as error:
        return Needed(needed=True, why=str(error))
    return Needed(bool(found), "" if found else "no Dockerfile changed")


def _begin_counting(context: Context) -> None:
    """The first release takes the registry's images for those of production; from then on each push is counted from.

    It is done before anybody can skip the building, or what the first release left out would never be missed.
    """
    if context.has_result(plan) and any(step.id == BUILDING for step in context.run.steps):
        part = context.result(plan).part(context.settings(ImagesSettings).component)
        context.claim(BUILT_FROM, part.component, part.base or part.production)


def build_preview(context: Context) -> Preview:
    commit = source(context)
    try:
        found = wanted(context, commit)
    except RuleError as error:
        return Preview({"commit": commit, "problem": str(error)}, (f"stops: {error}",))
    facts = {"commit": commit, "images": {one.image.name: list(one.reasons) for one in found}}
    lines = tuple(f"build {one.image.name}: {listed(list(one.reasons))}" for one in found)
    cache = "without cache" if context.settings(ImagesSettings).no_cache else "with cache"
    head = f"{worded(len(found), 'image')} from {commit[:SHORT]}, {cache}"
    return Preview(facts, (head, *lines, *not_rebuilt(context, commit, [one.image.name for one in found])))


def not_rebuilt(context: Context, commit: str, names: list[str]) -> tuple[str, ...]:
    """A line for each image that stays on an older base. Only if some were named: a release takes them all."""
    left = {} if context.has_result(plan) else dockerfiles.stand_on(images_of(context, commit), names)
    return tuple(f"not rebuilt, though it is built FROM {base}: {name}" for name, base in left.items())


def build(context: Context) -> Done[Built]:
    """Build everything that is wanted, in order; an image that was built in this round is not built again."""
    commit = context.keep("commit", lambda: source(context))
    try:
        found = wanted(context, commit)
    except RuleError as error:
        raise PermanentError(str(error)) from error
    folder = context.folder("context")
    context.ports.git.remote(context.settings(ImagesSettings).component).checkout(commit, folder)
    ids: dict[str, str] = {}
    pulled: dict[str, str] = {}
    for number, one in enumerate(found):
        name = one.image.name
        context.report(f"building {name}", Progress(number, len(found), "images"))
        settings, stands_on = context.settings(ImagesSettings), bases(context, one.image)
        arguments = {"PREFIX": settings.prefix}
        request = ImageBuild(name, (folder / one.image.path).parent, settings.no_cache, arguments, stands_on)
        outside = _outside(found, stands_on) if settings.pull_bases else ()
        ids[name] = _build(context, request, outside)
        pulled |= {base.name: _fetched(context, base) for base in outside}
    return Done(f"{worded(len(ids), 'image')} from {commit[:SHORT]}", Built(commit, ids, pulled))


def _outside(found: tuple[Rebuild, ...], stands_on: tuple[Base, ...]) -> tuple[Base, ...]:
    built = {one.image.name for one in found}
    return tuple(base for base in stands_on if base.name not in built)


def _build(context: Context, request: ImageBuild, outside: tuple[Base, ...]) -> str:
    images = context.ports.images

    def probe() -> Proof[str]:
        # A build that was cut off left nothing but cache: building again is the same as building once.
        return NotHappened()

    def act() -> str:
        for base in outside:
            _fetched(context, base)
        return images.build(request, context.report, context.cancellation)

    return context.effect(f"build {request.name}", act, probe)


def _fetched(context: Context, base: Base) -> str:
    """The digest of the base, pulled once for all images of this round."""
    images = context.ports.images
    return context.keep(f"base {base.name}", lambda: images.fetch(base, context.report, context.cancellation))


build_images = Step(
    BUILDING, "Docker images built", build, Built, needed=build_needed, preview=build_preview, after=(plan,)
)
