"""Going back with images alone: the registry's `latest` is set to the digest that was recorded before a push."""

from kcibot.sdk import Call, Gate, Outcome, Procedure, Run, UserError, command
from kcibot_commands.images.digests import DIGESTS, newest_first
from kcibot_commands.production import open_production
from kcibot_commands.rollback.found import RELEASE, RollbackArgs, undoable
from kcibot_commands.rollback.images import back_images
from kcibot_commands.rollback.verbs import take_over_production

NEWEST = 0


BACK = Procedure(
    "images rollback",
    Gate("images", "Set images back"),
    take_over_production,
    back_images,
    open_production,
)


@command("images rollback", role="operator", example="!images rollback 42")
def images_rollback(call: Call, run: int = NEWEST) -> Outcome:
    """Set images back to what they were before !images push, the last one or the one with that number."""
    chosen = call.world.journal.run(run) if run else _newest(call)
    if not chosen.ended:
        raise UserError(f"{chosen.title} is under way: !release abort REASON --run {chosen.id} ends it first")
    found = undoable(call, chosen).images
    if not found:
        raise UserError(f"run {chosen.id} ({chosen.title}) pushed no image")
    args = RollbackArgs(chosen.id, chosen.title, images=found)
    return call.start(BACK, f"Images of run {chosen.id} set back", args)


def _newest(call: Call) -> Run:
    """The last run that pushed images; a release is rolled back as a whole, or its number is given."""
    pushes = newest_first(call.world.journal.recall(DIGESTS))
    if not pushes:
        raise UserError("no run has pushed an image yet")
    chosen = call.world.journal.run(pushes[0].run)
    if chosen.procedure == RELEASE:
        raise UserError(
            f"the last to push images was {chosen.title}: !release rollback takes all of it back, "
            f"!images rollback {chosen.id} its images alone"
        )
    return chosen
