"""Rollback: each image at the digest that was `latest` before, unless somebody pushed another one since."""

from dataclasses import dataclass

from kcibot.sdk import (
    Context,
    Done,
    Happened,
    Needed,
    NotHappened,
    OutcomeUnknown,
    PermanentError,
    Preview,
    Proof,
    Step,
)
from kcibot_commands.images.digests import count_from_before
from kcibot_commands.plan.steps import SHORT
from kcibot_commands.production import still_locked
from kcibot_commands.rollback.branches import part
from kcibot_commands.rollback.found import Replaced, RollbackArgs
from kcibot_commands.rules.problem import worded

ALGORITHM = len("sha256:")


@dataclass(frozen=True)
class Look:
    """An image as the registry has it now. `kept` tells whether it still has the digest to go back to."""

    name: str
    image: Replaced
    seen: str
    kept: bool

    @property
    def cut_off(self) -> bool:
        """Nobody knows what the push that was cut off would have left: what there is now is shown instead."""
        return not self.image.left and self.seen != self.image.before

    @property
    def theirs(self) -> bool:
        """Somebody pushed another one since."""
        return bool(self.image.left) and self.seen not in {self.image.before, *self.image.left}

    @property
    def back(self) -> bool:
        """Whether it is to go back, and can."""
        return bool(self.image.before) and self.kept and not self.theirs

    @property
    def why_not(self) -> str:
        if self.theirs:
            return f"is {_short(self.seen)}, and the run left {_short(self.image.left[0])}: somebody pushed it since"
        if not self.image.before:
            return "was made by the run, and there is none to go back to"
        return f"cannot go back: the registry no longer has {_short(self.image.before)}"


def _look(context: Context, name: str, image: Replaced) -> Look:
    images = context.ports.images
    seen = images.digest(name) or ""
    kept = bool(image.before) and (seen == image.before or images.keeps(name, image.before))
    return Look(name, image, seen, kept)


def images_needed(context: Context) -> Needed:
    there = bool(context.args(RollbackArgs).images)
    return Needed(there, "" if there else "no image was pushed")


def images_preview(context: Context) -> Preview:
    """The facts are the same before and after an image went back, so that a step which broke later can go on."""
    looks = [_look(context, name, image) for name, image in context.args(RollbackArgs).images.items()]
    facts = {one.name: _facts(one) for one in looks}
    return Preview(facts, tuple(_line(one) for one in looks))


def _facts(one: Look) -> dict[str, object]:
    facts: dict[str, object] = {"before": one.image.before, "left": list(one.image.left)}
    if one.cut_off:
        facts["seen"] = one.seen
    return facts if one.back else {**facts, "stays": one.seen}


def _line(one: Look) -> str:
    if not one.back:
        return f"{one.name} {one.why_not}: left alone"
    if one.seen == one.image.before:
        return f"{one.name} is {_short(one.seen)} already"
    doubt = ", whose push was cut off" if one.cut_off else ""
    return f"{one.name}: {_short(one.seen)}{doubt} -> {_short(one.image.before)}"


def images_back(context: Context) -> Done[None]:
    """Each by what was seen just before, and proven to be pullable then. One that cannot go back stops no other.

    What changed since the old images is built again by the next release.
    """
    done, stay, broken = [], [], []
    for name, image in context.args(RollbackArgs).images.items():
        context.report(f"{name} back")
        now = _look(context, name, image)
        if not now.back:
            stay.append(f"{name} {now.why_not}")
            continue
        try:
            _retag(context, now)
            context.ports.images.pullable(name, image.before)
            done.append(name)
        except PermanentError as error:
            broken.append(f"{name}: {error}")
    if broken:
        raise PermanentError(f"{worded(len(done), 'image')} went back, but not {'; '.join(broken)}")
    count_from_before(context, context.args(RollbackArgs).run)
    left = f"; left alone: {'; '.join(stay)}" if stay else ""
    return Done(f"{worded(len(done), 'image')} back, each pulled by its digest{left}", None)


def _retag(context: Context, now: Look) -> None:
    images, name, digest = context.ports.images, now.name, now.image.before

    def probe() -> Proof[str]:
        seen = images.digest(name)
        if seen == digest:
            return Happened(digest)
        if now.image.left and seen not in now.image.left:
            raise OutcomeUnknown(f"{name} was to be {digest} again, but somebody put {seen} there")
        return NotHappened()

    def retag() -> str:
        still_locked(context)
        seen = images.digest(name) or ""
        if seen not in {now.seen, digest}:
            raise PermanentError(f"somebody pushed {_short(seen)} in the last moment, so it was left alone")
        if seen != digest:
            images.retag(name, digest)
        return digest

    context.effect(f"tag {name} back", retag, probe)


def _short(digest: str) -> str:
    return digest[ALGORITHM : ALGORITHM + SHORT] or "not there"


back_images = part(
    Step("images-back", "Images back", images_back, type(None), needed=images_needed, preview=images_preview)
)
