"""What the announcement of a frozen plan says: drafted from the commits, with what people changed of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kcibot.sdk import Context, Mail, Run
from kcibot_commands.announce.mail import AnnounceSettings, mail_of
from kcibot_commands.plan.steps import Part, Plan, plan
from kcibot_commands.rules import changelog
from kcibot_commands.rules.announcement import (
    Announcement,
    Edits,
    Line,
    Link,
    Section,
    applied,
    numbered,
    without_effect,
)
from kcibot_commands.rules.announcement_mail import render
from kcibot_commands.rules.hours import comment_window_end

EDITS = "announce"
"""Run -> what people changed of its announcement."""
TIMES = "announce-times"
"""Message-ID -> the full hour by which the mail is to be sent, where that is not the first one any more."""
SENDING = "announce-sending"
"""Run -> the Message-ID of the mail that was handed over, or may have been."""
ANNOUNCED = "announced"
"""Run -> the newest announcement that the list has of it."""
MAKING = timedelta(hours=1)
"""How long approving and sending may take before the announced times have to move."""
ROLL_OUT = timedelta(hours=6)

Recall = Callable[[str], Mapping[str, object]]


@dataclass(frozen=True)
class Told:
    """An announcement that was sent: of what, when, and when it said that the roll-out begins.

    `parts` is component -> commit and tag, of those that change.
    """

    message_id: str
    run: int
    release: str
    subject: str
    at: datetime
    opens: datetime
    parts: Mapping[str, tuple[str, str]]
    called_off: bool = False

    @classmethod
    def of(cls, recall: Recall, run_id: int) -> "Told | None":
        """The newest of that run, if one was sent."""
        value = recall(ANNOUNCED).get(str(run_id))
        if not isinstance(value, dict):
            return None
        return cls(
            message_id=str(value["message_id"]),
            run=run_id,
            release=str(value["release"]),
            subject=str(value["subject"]),
            at=datetime.fromisoformat(str(value["at"])),
            opens=datetime.fromisoformat(str(value["opens"])),
            parts={str(name): (str(commit), str(tag)) for name, (commit, tag) in value["parts"].items()},
            called_off=bool(value["called_off"]),
        )

    def written(self) -> dict[str, object]:
        """As JSON."""
        return {
            "message_id": self.message_id,
            "release": self.release,
            "subject": self.subject,
            "at": self.at.isoformat(),
            "opens": self.opens.isoformat(),
            "parts": {name: list(part) for name, part in self.parts.items()},
            "called_off": self.called_off,
        }

    def covers(self, frozen: Plan) -> bool:
        """Whether everything that the plan would still change was announced in it."""
        return all(self.parts.get(name) == part for name, part in parts_of(frozen).items())


def parts_of(frozen: Plan) -> dict[str, tuple[str, str]]:
    """Component -> commit and tag, of those that change."""
    return {name: (part.release, part.tag) for name, part in frozen.parts.items() if part.changed}


def told_of(recall: Recall, run: Run, frozen: Plan) -> Told | None:
    """What the list knows of that very plan, if anything: a revision of the same commits is not announced again."""
    told = Told.of(recall, run.id)
    return told if told and told.covers(frozen) else None


def draft(context: Context) -> Announcement:
    """The announcement of the frozen plan with the edits that people made."""
    frozen = context.result(plan)
    return applied(_drafted(context, frozen), edits_of(context.recall, context.run))


def draft_mail(context: Context, at: datetime) -> Mail:
    """The announcement as the mail that would be sent; it follows the one that it replaces."""
    message_id = context.result(plan).message_id
    earlier = _earlier(context)
    rendered = render(draft(context))
    return mail_of(context.settings(AnnounceSettings), message_id, rendered, at, earlier.message_id if earlier else "")


def edits_of(recall: Recall, run: Run) -> Edits:
    return Edits.read(recall(EDITS).get(str(run.id)))


def lost_edits(context: Context) -> tuple[str, ...]:
    """What people changed for an earlier revision, of lines that this one does not have."""
    return without_effect(bare(context.result(plan)), edits_of(context.recall, context.run))


def bare(frozen: Plan) -> Announcement:
    """The announcement without its times and edits: enough to number its lines."""
    sections = tuple(_section(part) for part in frozen.parts.values() if part.changed)
    return Announcement(frozen.name, frozen.frozen_at, frozen.frozen_at, frozen.frozen_at, sections)


def rows(frozen: Plan, edits: Edits) -> tuple[str, ...]:
    """Every line under the number that it keeps, with what it said first where people changed it."""
    summary = (f"summary: {edits.summary}",) if edits.summary else ()
    links = (f"link: {label}: {url or '(left out)'}" for label, url in edits.links.items())
    return (*summary, *(_row(line) for line in numbered(bare(frozen), edits)), *links)


def opens_after(context: Context, at: datetime) -> datetime:
    """The first moment of production hours from then on."""
    return context.hours.next_opening(at) if context.hours else at


def _row(line: Line) -> str:
    was = f" (was: {line.original})" if line.text != line.original else ""
    return f"{line.number}. {line.component}: {line.text or '(left out)'}{was}"


def _drafted(context: Context, frozen: Plan) -> Announcement:
    settings = context.settings(AnnounceSettings)
    comments_until = comment_window_end(_sent_by(context, frozen), settings.window, settings.counting)
    opens = opens_after(context, comments_until)
    closes = context.hours.closing(opens) if context.hours else opens + ROLL_OUT
    commits = [commit for part in frozen.parts.values() if part.changed for commit in part.commits]
    earlier = _earlier(context)
    return replace(
        bare(frozen),
        opens=opens,
        closes=closes,
        comments_until=comments_until,
        contributors=changelog.contributors(commits, settings.leave_out),
        links=tuple(Link(label, url) for label, url in (settings.links or {}).items()),
        prepared_by=context.run.starter,
        run=f"{context.run.title}, revision {frozen.revision}",
        audit_head=frozen.audit_head,
        revision=frozen.revision,
        replaces=earlier.at if earlier else None,
    )


def _earlier(context: Context) -> Told | None:
    """The announcement of other commits by this run, which the list has."""
    told = Told.of(context.recall, context.run.id)
    return told if told and not told.covers(context.result(plan)) else None


def _sent_by(context: Context, frozen: Plan) -> datetime:
    """The full hour by which the mail will be sent, from which its times are counted.

    It moves only when it has passed and nothing was handed over yet: what people approve stays the same for an hour,
    and a mail that is approved late does not announce times that are over.
    """
    now = context.clock.now()
    known = context.recall(TIMES).get(frozen.message_id)
    sent_by = datetime.fromisoformat(str(known)) if known else _full_hour(frozen.frozen_at + MAKING)
    if now > sent_by and context.recall(SENDING).get(str(context.run.id)) != frozen.message_id:
        sent_by = _full_hour(now + MAKING)
        context.remember(TIMES, frozen.message_id, sent_by.isoformat())
    return sent_by


def _section(part: Part) -> Section:
    lines = tuple(bullet.line for bullet in changelog.bullets(part.commits))
    return Section(part.component, part.tag, part.previous, len(part.commits), lines)


def _full_hour(at: datetime) -> datetime:
    return (at + timedelta(minutes=59)).replace(minute=0, second=0, microsecond=0)
