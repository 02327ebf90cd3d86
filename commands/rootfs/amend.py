"""The end of root file systems inside a release: the commit with their URLs came after what was tagged and pushed.

It gets to production as the release's next revision, which people ask for as they do for any other: by
`!release amend`, whose gate and tags they know. Until then the release goes no further.
"""

from datetime import datetime, timedelta

from kcibot.sdk import Button, Context, Done, Level, Needed, Notice, Preview, Step, Wait
from kcibot_commands.plan.steps import SHORT, plan
from kcibot_commands.rootfs.inside import in_release, moved_in
from kcibot_commands.rootfs.moving import update_rootfs_urls
from kcibot_commands.rootfs.report import report_failures
from kcibot_commands.rootfs.settings import CommitTo, RootfsSettings

REMIND = timedelta(hours=4)
LOOK_AGAIN = timedelta(minutes=10)
STEP_ID = "amend-rootfs"
AMEND = Button("Amend", "!release amend")


def needed(context: Context) -> Needed:
    if in_release(context) and context.has_result(update_rootfs_urls):
        return Needed(needed=True)
    revision = moved_in(context)
    return Needed(needed=False, why=f"moved by revision {revision}" if revision else "no URL was moved in this release")


def preview(_context: Context) -> Preview:
    return Preview(display=("waits for !release amend, which makes the new URLs part of this release",))


def ask_for_amend(context: Context) -> Wait | Done[None]:
    """Never done by itself: amending begins every step anew, and skipping it leaves the URLs to the next release."""
    now, updated = context.clock.now(), context.result(update_rootfs_urls)
    since = _since(context.memory) or now
    review = context.settings(RootfsSettings).commit is CommitTo.BRANCH
    merge = f"Once {updated.branch} is merged, " if review else ""
    text = f"the new URLs are {updated.commit[:SHORT]} on {updated.branch}, and not in what this release tagged"
    how = (
        f"{merge}!release amend makes them part of this release, as its next revision.",
        f"!release skip {STEP_ID} REASON leaves them to the next release.",
    )
    notice = Notice(f"{context.run.title}: {text}", Level.ALERT, how, buttons=(AMEND,), mentions=(context.run.starter,))
    context.say(f"amend {int((now - since) / REMIND)}", notice)
    return Wait(now + LOOK_AGAIN, f"{text}: !release amend, or !release skip {STEP_ID} REASON", since.isoformat())


def _since(memory: object) -> datetime | None:
    return datetime.fromisoformat(memory) if isinstance(memory, str) else None


amend_for_rootfs = Step(
    STEP_ID,
    "New root file systems part of the release",
    ask_for_amend,
    type(None),
    needed=needed,
    preview=preview,
    after=(plan, update_rootfs_urls, report_failures),
    limit=timedelta(days=7),
)
