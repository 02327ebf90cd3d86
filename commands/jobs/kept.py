"""Definitions that were replaced or deleted, kept so that they can be brought back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kcibot.sdk import Context, PermanentError

KEPT = "job-definitions"
TRIAL = "job-definitions-trial"
"""Topics: run/job -> what that run replaced first; and the same on trial, to see whether it comes back as it was."""


@dataclass(frozen=True)
class Kept:
    """One definition as it was before that run."""

    job: str
    xml: str
    run: int
    at: datetime


def keep_old(context: Context, job: str, live: str) -> None:
    """Remember what this run replaces first: a later revision of the same run must not hide it.

    PermanentError if it does not come back as it was: whatever is stored loses the secrets of the bot.
    """
    key = f"{context.run.id}/{job}"
    if key in context.recall(KEPT):
        return
    context.remember(TRIAL, key, live)
    whole = context.recall(TRIAL).get(key) == live
    context.forget(TRIAL, key)
    if not whole:
        raise PermanentError(
            f"{job}: its definition on Jenkins holds a secret of the bot, which is never stored, so it could not be "
            "brought back. Nothing was changed: put that secret into Jenkins' credentials, or change the job by hand"
        )
    now = context.clock.now().isoformat()
    context.remember(KEPT, key, {"job": job, "xml": live, "run": context.run.id, "at": now})


def is_kept(context: Context, job: str) -> bool:
    """Whether this run keeps that job's definition already."""
    return f"{context.run.id}/{job}" in context.recall(KEPT)


def no_need_to_keep(context: Context, job: str) -> None:
    context.forget(KEPT, f"{context.run.id}/{job}")


def old_definitions(context: Context, run_id: int) -> Mapping[str, str]:
    """Job -> the definition that this run replaced. A job that it made is not among them: it is left for people."""
    return {one.job: one.xml for one in all_kept(context.recall(KEPT)) if one.run == run_id}


def all_kept(recalled: Mapping[str, object]) -> tuple[Kept, ...]:
    """Everything under the topic KEPT, newest first."""
    found = [
        Kept(str(value["job"]), str(value["xml"]), int(value["run"]), datetime.fromisoformat(str(value["at"])))
        for value in recalled.values()
        if isinstance(value, dict) and value.get("xml")
    ]
    return tuple(sorted(found, key=lambda one: (one.at, one.run), reverse=True))
