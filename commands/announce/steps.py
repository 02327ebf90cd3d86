"""Step 2: the announcement, approved by people, and the time they get to comment."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from kcibot.sdk import (
    Context,
    Done,
    Needed,
    PermanentError,
    Preview,
    Run,
    Step,
    StepState,
    TransientError,
    Wait,
    moment,
)
from kcibot_commands.announce.draft import (
    ANNOUNCED,
    SENDING,
    Recall,
    Told,
    draft,
    draft_mail,
    lost_edits,
    opens_after,
    parts_of,
    told_of,
)
from kcibot_commands.announce.mail import AnnounceSettings, delivered, shown
from kcibot_commands.plan.steps import Plan, plan
from kcibot_commands.rules.hours import comment_window_end
from kcibot_commands.tags import create_tags

SHORTENED = "comments-shortened"
"""Run -> of which mail the comments end before their time, when, who said so, and why."""
COUNTDOWN = (
    (timedelta(hours=1), timedelta(minutes=15)),
    (timedelta(minutes=15), timedelta(minutes=5)),
    (timedelta(), timedelta(minutes=1)),
)
"""While more than so much is left, the card counts down in steps of that length: each is an edit in every room."""


@dataclass(frozen=True)
class Announced:
    """The mail that was accepted by the list's server, and when."""

    message_id: str
    at: datetime


# ---- the mail --------------------------------------------------------------------------------------------------


def changes(context: Context) -> Needed:
    changed = any(part.changed for part in context.result(plan).parts.values())
    return Needed(changed, "" if changed else "nothing changes")


def needed(context: Context) -> Needed:
    """Once for the same commits: a new revision of them says nothing new."""
    told = told_of(context.recall, context.run, context.result(plan))
    if told:
        return Needed(needed=False, why=f"these commits were announced {moment(told.at, context.clock.now())}")
    return changes(context)


def preview(context: Context) -> Preview:
    lost = [f"Without effect, for the line is gone: {line}" for line in lost_edits(context)]
    how = "!announce show numbers the lines, !announce edit NUMBER TEXT changes one; !help announce has more."
    return shown(draft_mail(context, context.clock.now()), *lost, how)


def send(context: Context) -> Done[Announced]:
    """Hand the mail over once, and keep what the list was told."""
    frozen, key = context.result(plan), str(context.run.id)

    def hand_over(at: datetime) -> None:
        context.remember(SENDING, key, frozen.message_id)
        try:
            context.ports.mailer.send(draft_mail(context, at))
        except (TransientError, PermanentError):
            context.forget(SENDING, key)
            raise

    sent_at = delivered(context, frozen.message_id, hand_over)
    if told_of(context.recall, context.run, frozen) is None:
        context.remember(ANNOUNCED, key, _told(context, sent_at).written())
    return Done(f"to {', '.join(context.settings(AnnounceSettings).recipients)}", Announced(frozen.message_id, sent_at))


def _told(context: Context, sent_at: datetime) -> Told:
    frozen, mail = context.result(plan), draft_mail(context, sent_at)
    opens, parts = draft(context).opens, parts_of(frozen)
    return Told(frozen.message_id, context.run.id, frozen.name, mail.subject, sent_at, opens, parts)


send_announcement = Step(
    "send-announcement",
    "Announcement sent",
    send,
    Announced,
    needed=needed,
    preview=preview,
    after=(plan, create_tags),
)


# ---- the comment window ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shortened:
    """Comments on a mail end before their time, by somebody's word."""

    message_id: str
    end: datetime
    by: str
    reason: str

    @classmethod
    def of(cls, recall: Recall, run: Run, frozen: Plan) -> "Shortened | None":
        value = recall(SHORTENED).get(str(run.id))
        if not isinstance(value, dict) or value["message_id"] != announced_as(recall, run, frozen):
            return None
        end = datetime.fromisoformat(str(value["end"]))
        return cls(str(value["message_id"]), end, str(value["by"]), str(value["reason"]))

    def written(self) -> dict[str, object]:
        """As JSON."""
        return {"message_id": self.message_id, "end": self.end.isoformat(), "by": self.by, "reason": self.reason}

    def __str__(self) -> str:
        return f"shortened by {self.by}: {self.reason}"


def announced_as(recall: Recall, run: Run, frozen: Plan) -> str:
    """The Message-ID of the mail on which people comment; that of the plan where people announced it by hand."""
    told = told_of(recall, run, frozen)
    return told.message_id if told else frozen.message_id


def comments_end(recall: Recall, run: Run, frozen: Plan, settings: AnnounceSettings) -> datetime:
    """When comments end. Nobody expects it before the announced time, unless somebody shortened it.

    A sending that was skipped counts from the skip, for people then announce it by hand.
    """
    told, record = told_of(recall, run, frozen), run.step(send_announcement.id)
    if told:
        end = max(comment_window_end(told.at, settings.window, settings.counting), told.opens)
    elif record.state in {StepState.SKIPPED, StepState.DONE} and record.ended_at:
        end = comment_window_end(record.ended_at, settings.window, settings.counting)
    else:
        raise PermanentError(f"nothing was announced yet, so nobody can comment: !release retry {send_announcement.id}")
    shortened = Shortened.of(recall, run, frozen)
    return min(end, shortened.end) if shortened else end


def wait_for_comments(context: Context) -> Done[None] | Wait:
    """The time that people have to comment, from the sending on, then production hours. It counts down."""
    frozen, now = context.result(plan), context.clock.cautious_now()
    end = comments_end(context.recall, context.run, frozen, context.settings(AnnounceSettings))
    opens, shortened = opens_after(context, max(now, end)), Shortened.of(context.recall, context.run, frozen)
    said = [str(shortened)] if shortened else []
    if opens <= now:
        return Done(", ".join(["no hold stands", *said]), None)
    comments = [f"comments until {moment(end, now)}"] if now < end else []
    hours = [f"production hours from {moment(opens, now)}"] if opens > end else []
    return Wait(_next_look(now, opens), ", ".join([*comments, *hours, *said, "!hold REASON stops the release"]))


def _next_look(now: datetime, end: datetime) -> datetime:
    """When the card says next how long it still takes: at round times before the end, at the end at last."""
    left = end - now
    step = next(step for more_than, step in COUNTDOWN if left > more_than)
    return end - step * (-(-left // step) - 1)


comment_window = Step(
    "comment-window",
    "Comment window",
    wait_for_comments,
    type(None),
    needed=changes,
    after=(send_announcement,),
    limit=timedelta(days=365),  # it waits for a time that is known, and for as long as people hold it
    instead_of_skip="!announce shorten SPAN REASON, by a release-manager who did not start the release, "
    "says how much is left of it",
)
