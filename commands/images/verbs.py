"""Step 7: Docker images. All that need it are built before any is pushed, and every pushed one is proven pullable."""

from collections.abc import Iterable

from kcibot.sdk import Call, Context, Done, Gate, Outcome, PermanentError, Procedure, Step, Words, command
from kcibot_commands.images.build import build_images, build_preview
from kcibot_commands.images.digests import DIGESTS, PushedImages, Recorded, newest_first, recorded, short
from kcibot_commands.images.plan import ImageNames, ImagesArgs, ImagesSettings, Rebuilding, images_of, source
from kcibot_commands.images.push import push_images
from kcibot_commands.plan.steps import plan
from kcibot_commands.production import open_production, take_production_lock
from kcibot_commands.rules.problem import RuleError

__all__ = ["DIGESTS", "ImageNames", "ImagesSettings", "PushedImages", "Rebuilding", "build_images", "push_images"]


def show_plan(context: Context) -> Done[None]:
    return Done("\n".join(build_preview(context).display), None)


def show_status(context: Context) -> Done[None]:
    """What the registry has of every image, what that replaced, and whether it is what a run pushed."""
    try:
        found = images_of(context, source(context))
    except RuleError as error:
        raise PermanentError(str(error)) from error
    pushed = newest_first(context.recall(DIGESTS))
    rows = [_row(one.name, context.ports.images.digest(one.name), pushed) for one in found]
    return Done("\n".join(["Images in the registry", *rows]), None)


def _row(name: str, there: str | None, pushed: Iterable[Recorded]) -> str:
    run = next((one for one in pushed if name in one.after), None)
    row = f"{name}: {there or 'not in the registry'}"
    if run is None or there is None:
        return row
    before, after = run.before.get(name, ""), run.after[name]
    if there == after:
        return f"{row}, by run {run.run}, replacing {before or 'nothing'}"
    if there == before:
        return f"{row}, set back after run {run.run} pushed {after}"
    return f"{row}, not by me: run {run.run} pushed {after}"


def digest_lines(context: Context) -> list[str]:
    """For the report: what this run pushed, old and new digest, also where its step was skipped half-way."""
    done = recorded(context.recall(DIGESTS), context.run.id)
    moves = (
        []
        if done is None
        else [f"{n} {short(done.before.get(n, ''))} -> {short(new)}" for n, new in done.after.items()]
    )
    return [f"Images, old and new digest: {', '.join(moves)}"] if moves else []


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
    """Say which digest the registry has of every image, and what it replaced."""
    return call.start(STATUS, args=ImagesArgs())
