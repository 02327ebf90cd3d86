"""Step 7, second half: what was built is pushed, and each image is proven pullable by its digest."""

from kcibot.sdk import (
    Context,
    Done,
    Happened,
    Needed,
    NotHappened,
    OutcomeUnknown,
    PermanentError,
    Preview,
    Progress,
    Proof,
    Step,
)
from kcibot_commands.images.build import build_images, not_rebuilt
from kcibot_commands.images.digests import PushedImages, record, short
from kcibot_commands.images.plan import BUILT_FROM, ImagesSettings, is_whole
from kcibot_commands.production import still_locked
from kcibot_commands.rules.problem import worded


def push_needed(context: Context) -> Needed:
    there = context.has_result(build_images)
    return Needed(there, "" if there else "no image was built")


def _replaced(digest: str) -> str:
    """An image's digest is made by its push: what replaces this one has none yet, only an id."""
    return f"the digest {short(digest)}" if digest else "nothing"


def push_preview(context: Context) -> Preview:
    """Each image with its new local id and the digest that it replaces, and the bases that were pulled for them."""
    if not context.has_result(build_images):
        return Preview()
    built = context.result(build_images)
    facts = {
        name: {"id": local_id, "replaces": context.ports.images.digest(name) or ""}
        for name, local_id in built.ids.items()
    }
    lines = [
        f"push {name}, built with the id {short(fact['id'])}, replacing {_replaced(fact['replaces'])}"
        for name, fact in facts.items()
    ]
    lines += [f"built FROM {base} as it is now, {short(digest)}" for base, digest in built.bases.items()]
    return Preview(facts, (*lines, *not_rebuilt(context, built.commit, list(built.ids))))


def push(context: Context) -> Done[PushedImages]:
    """Push every image that was built, and pull each back. The digests are recorded one by one, before the next."""
    built = context.result(build_images)
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for number, name in enumerate(built.ids):
        context.report(f"pushing {name}", Progress(number, len(built.ids), "images"))
        before[name] = context.keep(f"before {name}", lambda name=name: context.ports.images.digest(name) or "")  # type: ignore[misc]
        # If its answer is lost, this is what there is to go back to.
        record(context, PushedImages(before, after))
        after[name] = _push(context, name, built.ids[name])
        record(context, PushedImages(before, after))
        context.ports.images.pullable(name, after[name])
    if is_whole(context):
        context.remember(BUILT_FROM, context.settings(ImagesSettings).component, built.commit)
    return Done(f"{worded(len(after), 'image')} pushed, each pulled back by its digest", PushedImages(before, after))


def _push(context: Context, name: str, local_id: str) -> str:
    images = context.ports.images
    if images.local_id(name) != local_id:
        raise PermanentError(
            f"the engine's {name} is no longer the image that was approved, so it was not pushed; "
            f"!release retry {build_images.id} --run {context.run.id} builds and asks again"
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
        return images.push(name, context.report, context.cancellation)

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
