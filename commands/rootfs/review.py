"""The pull request for a branch with new root file system URLs, where the repository's server has an API for that."""

from kcibot.sdk import Context, Done, Happened, Needed, NotHappened, PermanentError, Proof, Step
from kcibot_commands.rootfs.moving import update_rootfs_urls


def needed(context: Context) -> Needed:
    """What it asks for was shown and approved with the push of the branch."""
    updated = context.result(update_rootfs_urls) if context.has_result(update_rootfs_urls) else None
    asked = updated is not None and updated.pull is not None
    return Needed(asked, "" if asked else "no branch for review was pushed, or no services.tracker is configured")


def open_pull(context: Context) -> Done[str]:
    """Open it, unless there is one for that branch already."""
    tracker, pull = context.ports.tracker, context.result(update_rootfs_urls).pull
    if tracker is None or pull is None:
        raise PermanentError("services.tracker is not configured any more: open the pull request by hand")

    def opened() -> str:
        return tracker.find_pull(pull.branch) or tracker.open_pull(pull.branch, pull.base, pull.title, pull.text)

    def probe() -> Proof[str]:
        url = tracker.find_pull(pull.branch)
        return Happened(url) if url else NotHappened()

    url = context.effect(f"pull request of {pull.branch}", opened, probe)
    return Done(url, url)


request_review = Step(
    "request-review",
    "Review of the new URLs requested",
    open_pull,
    str,
    needed=needed,
    after=(update_rootfs_urls,),
)
