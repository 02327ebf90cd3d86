"""Step 2: the announcement, edited and approved by people, and the time they get to comment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from kcibot_commands.plan import Part, Plan, plan
from kcibot_commands.rules import changelog
from kcibot_commands.rules.announcement import (
    Announcement,
    Link,
    Rendered,
    Section,
    numbered,
    render,
    with_bullet,
    with_summary,
)
from kcibot_commands.rules.hours import Counting, comment_window_end
from kcibot_commands.rules.problem import RuleError
from kcibot_commands.tags import create_tags

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Happened,
    Mail,
    NotHappened,
    Notice,
    Outcome,
    OutcomeUnknown,
    PermanentError,
    Preview,
    Procedure,
    Proof,
    Remember,
    Run,
    Sent,
    Step,
    UserError,
    Wait,
    Words,
    command,
    moment,
)

EDITS = "announce"
MAKING = timedelta(hours=1)
"""How long approving and sending may take before the announced time of the roll-out has to move."""
ROLL_OUT = timedelta(hours=6)


@dataclass(frozen=True)
class AnnounceSettings:
    """To whom the announcement goes, and how long people have to comment on it."""

    section: ClassVar[str] = "announce"
    sender: str = "kcibot@kernelci.org"
    recipients: tuple[str, ...] = ("kernelci@groups.io",)
    window: timedelta = timedelta(hours=24)
    counting: Counting = Counting.ALL_DAYS
    links: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Announced:
    """The mail that was accepted by the list's server, and when."""

    message_id: str
    at: datetime


def draft(context: Context) -> Announcement:
    """The announcement of the frozen plan with the edits that people made."""
    frozen = context.result(plan)
    return _edited(_drafted(context, frozen), context.recall(EDITS), context.run.id)


def preview(context: Context) -> Preview:
    settings, rendered = context.settings(AnnounceSettings), render(draft(context))
    facts = {"to": list(settings.recipients), "subject": rendered.subject, "body": rendered.body}
    head = (f"To: {', '.join(settings.recipients)}", f"Subject: {rendered.subject}", "")
    return Preview(facts, (*head, *rendered.body.splitlines(), "!announce edit NUMBER TEXT changes a line of it."))


def send(context: Context) -> Done[Announced]:
    settings, frozen, rendered = context.settings(AnnounceSettings), context.result(plan), render(draft(context))
    sending_at = datetime.fromisoformat(context.keep("date", lambda: context.clock.now().isoformat()))
    mail = _mail(settings, frozen, rendered, sending_at)

    def hand_over() -> str:
        context.ports.mailer.send(mail)
        return context.clock.now().isoformat()

    def probe() -> Proof[str]:
        match context.ports.mailer.sent(mail.message_id):
            case Sent.YES:
                return Happened(context.clock.now().isoformat())
            case Sent.NO:
                return NotHappened()
            case Sent.CANNOT_TELL:
                raise OutcomeUnknown("no sent folder and no archive is configured where I could look for the mail")

    sent_at = datetime.fromisoformat(context.effect(f"mail {mail.message_id}", hand_over, probe))
    return Done(f"to {', '.join(settings.recipients)}", Announced(mail.message_id, sent_at))


send_announcement = Step(
    "send-announcement", "Announcement sent", send, Announced, preview=preview, after=(plan, create_tags)
)


def wait_for_comments(context: Context) -> Done[None] | Wait:
    """The time that people have to comment, then production hours."""
    settings = context.settings(AnnounceSettings)
    if not context.has_result(send_announcement):
        raise PermanentError("nothing was announced, so there is nothing to wait for: skip this with a reason")
    until = _opens(
        context, comment_window_end(context.result(send_announcement).at, settings.window, settings.counting)
    )
    if context.clock.cautious_now() >= until:
        return Done("no hold stands", None)
    return Wait(until, "comments, !hold REASON stops the release")


comment_window = Step(
    "comment-window",
    "Comment window",
    wait_for_comments,
    type(None),
    after=(send_announcement,),
    limit=timedelta(days=14),
)


def _mail(settings: AnnounceSettings, frozen: Plan, rendered: Rendered, at: datetime) -> Mail:
    return Mail(frozen.message_id, settings.sender, settings.recipients, rendered.subject, rendered.body, at)


def _drafted(context: Context, frozen: Plan) -> Announcement:
    settings = context.settings(AnnounceSettings)
    comments_until = comment_window_end(_full_hour(frozen.frozen_at + MAKING), settings.window, settings.counting)
    opens = _opens(context, comments_until)
    closes = context.hours.closing(opens) if context.hours else opens + ROLL_OUT
    commits = [commit for part in frozen.parts.values() for commit in part.commits]
    return Announcement(
        release=frozen.name,
        opens=opens,
        closes=closes,
        comments_until=comments_until,
        sections=tuple(_section(part) for part in frozen.parts.values() if part.changed),
        contributors=changelog.contributors(commits, ("kcibot",)),
        links=tuple(Link(label, url) for label, url in (settings.links or {}).items()),
        prepared_by=context.run.starter,
        run=f"{context.run.title}, revision {frozen.revision}",
    )


def _section(part: Part) -> Section:
    lines = tuple(bullet.line for bullet in changelog.bullets(part.commits))
    return Section(part.component, part.tag, part.previous, len(part.commits), lines)


def _opens(context: Context, at: datetime) -> datetime:
    return context.hours.next_opening(at) if context.hours else at


def _full_hour(at: datetime) -> datetime:
    return (at + timedelta(minutes=59)).replace(minute=0, second=0, microsecond=0)


# ---- editing ---------------------------------------------------------------------------------------------------


class Edit(StrEnum):
    """What is edited besides numbered lines."""

    SUMMARY = "summary"


def show(context: Context) -> Done[None]:
    lines = [f"{number}. {component}: {text}" for number, component, text in numbered(draft(context))]
    return Done("\n".join(["Lines of the announcement", *lines]), None)


SHOW = Procedure("announce show", plan, Step("show", "Announcement", show, type(None), after=(plan,)), card=False)


@command("announce show", role="observer")
def announce_show(call: Call) -> Outcome:
    """Show the announcement of the open release, line by line, or a draft of the next one."""
    run = _announcing(call)
    if run is None:
        return call.start(SHOW)
    frozen = call.world.journal.codec.load(Plan, run.step(plan.id).value)
    sections = tuple(_section(part) for part in frozen.parts.values() if part.changed)
    bare = Announcement(frozen.name, frozen.frozen_at, frozen.frozen_at, frozen.frozen_at, sections)
    edited = _edited(bare, call.world.journal.recall(EDITS), run.id)
    rows = tuple(f"{number}. {component}: {text}" for number, component, text in numbered(edited))
    return Outcome(
        Notice(f"Announcement of {frozen.name}, {moment(frozen.frozen_at, call.world.clock.now())}", lines=rows)
    )


@command("announce edit", role="operator", example="!announce edit 3 core: faster builds of the Arm images")
def announce_edit(call: Call, line: str, text: Words = ()) -> Outcome:
    """Change a line of the announcement by its number, or its summary; without a text the line goes."""
    run = _announcing(call)
    if run is None:
        raise UserError("there is no open release whose announcement is still to be sent")
    if line != Edit.SUMMARY and not line.isdigit():
        raise UserError(f"“{line}” is neither the number of a line nor the word summary: !announce edit 3 TEXT")
    edits = dict(_edits(call.world.journal.recall(EDITS), run.id))
    edits[line] = " ".join(text)
    frozen = call.world.journal.codec.load(Plan, run.step(plan.id).value)
    _check(frozen, edits)
    outcome = call.engine.retry(run, "announce", call.person) if run.step("announce").started_at else Outcome()
    changes = (Remember(EDITS, str(run.id), edits), *outcome.changes)
    return call.audited(Outcome(Notice(f"Line {line} changed."), changes, (run.id,)), "announce edit", line)


def _announcing(call: Call) -> Run | None:
    """The open release that has a plan and has not announced it yet."""
    for run in call.world.journal.open_runs():
        ids = {step.id: step for step in run.steps}
        if "announce" in ids and send_announcement.id in ids and ids[plan.id].value is not None:
            return run if ids[send_announcement.id].value is None else None
    return None


def _check(frozen: Plan, edits: Mapping[str, str]) -> None:
    sections = tuple(_section(part) for part in frozen.parts.values() if part.changed)
    bare = Announcement(frozen.name, frozen.frozen_at, frozen.frozen_at, frozen.frozen_at, sections)
    try:
        _applied(bare, edits)
    except RuleError as error:
        raise UserError(str(error)) from error


def _edited(announcement: Announcement, recalled: Mapping[str, object], run_id: int) -> Announcement:
    return _applied(announcement, _edits(recalled, run_id))


def _edits(recalled: Mapping[str, object], run_id: int) -> Mapping[str, str]:
    found = recalled.get(str(run_id))
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _applied(announcement: Announcement, edits: Mapping[str, str]) -> Announcement:
    """Numbered lines from the last to the first, so that a dropped line leaves the other numbers alone."""
    numbers = sorted((int(key) for key in edits if key.isdigit()), reverse=True)
    for number in numbers:
        announcement = with_bullet(announcement, number, edits[str(number)])
    if Edit.SUMMARY in edits:
        announcement = with_summary(announcement, (edits[Edit.SUMMARY],))
    return announcement
