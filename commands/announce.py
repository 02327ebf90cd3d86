"""Step 2: the announcement, edited and approved by people, and the time they get to comment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Happened,
    Mail,
    Needed,
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
    StepState,
    TransientError,
    UserError,
    Wait,
    Words,
    command,
    digest,
    moment,
)
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

EDITS = "announce"
TIMES = "announce-times"
SENDING = "announce-sending"
MAKING = timedelta(hours=1)
"""How long approving and sending may take before the announced times have to move."""
ROLL_OUT = timedelta(hours=6)
SETTLED = frozenset({StepState.DONE, StepState.NOT_NEEDED, StepState.SKIPPED})


@dataclass(frozen=True)
class AnnounceSettings:
    """To whom the announcement goes, and how long people have to comment on it.

    `window` is the time for comments, in `counting` days. `links` are shown below it, label -> address. A mail that is
    not in the list's archive within `archive_lag` is taken for one that was never sent.
    """

    section: ClassVar[str] = "announce"
    sender: str = "kcibot@kernelci.org"
    recipients: tuple[str, ...] = ("kernelci@groups.io",)
    window: timedelta = timedelta(hours=24)
    counting: Counting = Counting.ALL_DAYS
    links: Mapping[str, str] | None = None
    archive_lag: timedelta = timedelta(minutes=10)


@dataclass(frozen=True)
class Announced:
    """The mail that was accepted by the list's server, and when."""

    message_id: str
    at: datetime


def needed(context: Context) -> Needed:
    changed = any(part.changed for part in context.result(plan).parts.values())
    return Needed(changed, "" if changed else "nothing changes")


def draft(context: Context) -> Announcement:
    """The announcement of the frozen plan with the edits that people made."""
    frozen = context.result(plan)
    return _applied(_drafted(context, frozen), _edits(context.recall(EDITS), frozen))


def preview(context: Context) -> Preview:
    settings, rendered = context.settings(AnnounceSettings), render(draft(context))
    # The body as its digest: the mail itself is shown, and who reads that it moved does not want it twice more.
    facts = {"to": list(settings.recipients), "subject": rendered.subject, "body": digest(rendered.body)}
    head = (f"To: {', '.join(settings.recipients)}", f"Subject: {rendered.subject}", "")
    how = "!announce show numbers the lines, !announce edit NUMBER TEXT changes one."
    return Preview(facts, (*head, *rendered.body.splitlines(), how))


def send(context: Context) -> Done[Announced]:
    """Hand the mail over once. If the answer is lost, the list's archive tells, once it had the time to."""
    settings, frozen, rendered = context.settings(AnnounceSettings), context.result(plan), render(draft(context))

    def hand_over() -> str:
        now = context.clock.now()
        context.remember(SENDING, frozen.message_id, now.isoformat())
        try:
            context.ports.mailer.send(_mail(settings, frozen, rendered, now))
        except (TransientError, PermanentError):
            context.forget(SENDING, frozen.message_id)
            raise
        return context.clock.now().isoformat()

    def probe() -> Proof[str]:
        match context.ports.mailer.sent(frozen.message_id):
            case Sent.YES:
                return Happened(context.clock.now().isoformat())
            case Sent.NO:
                return NotHappened()
            case Sent.CANNOT_TELL:
                raise OutcomeUnknown("neither a sent folder nor the list's archive tells whether it was sent")

    key = f"mail {frozen.message_id}"
    sent_at = datetime.fromisoformat(context.effect(key, hand_over, probe, settings.archive_lag))
    return Done(f"to {', '.join(settings.recipients)}", Announced(frozen.message_id, sent_at))


send_announcement = Step(
    "send-announcement",
    "Announcement sent",
    send,
    Announced,
    needed=needed,
    preview=preview,
    after=(plan, create_tags),
)


def wait_for_comments(context: Context) -> Done[None] | Wait:
    """The time that people have to comment, from the sending on, then production hours."""
    settings, now = context.settings(AnnounceSettings), context.clock.cautious_now()
    end = comment_window_end(_announced_at(context), settings.window, settings.counting)
    if context.has_result(send_announcement):
        end = max(end, _drafted(context, context.result(plan)).opens)  # nobody expects it before the announced time
    if now >= end and _opens(context, now) <= now:
        return Done("no hold stands", None)
    return Wait(_opens(context, max(now, end)), "comments, !hold REASON stops the release")


def _announced_at(context: Context) -> datetime:
    """When the mail was accepted; a skipped sending counts from the skip, for people then announce it by hand."""
    if context.has_result(send_announcement):
        return context.result(send_announcement).at
    record = context.run.step(send_announcement.id)
    if record.state is StepState.SKIPPED and record.ended_at:
        return record.ended_at
    raise PermanentError("nothing was announced, so there is nothing to wait for: skip this with a reason")


comment_window = Step(
    "comment-window",
    "Comment window",
    wait_for_comments,
    type(None),
    needed=needed,
    after=(send_announcement,),
    limit=timedelta(days=14),
)


def _mail(settings: AnnounceSettings, frozen: Plan, rendered: Rendered, at: datetime) -> Mail:
    return Mail(frozen.message_id, settings.sender, settings.recipients, rendered.subject, rendered.body, at)


def _drafted(context: Context, frozen: Plan) -> Announcement:
    settings = context.settings(AnnounceSettings)
    comments_until = comment_window_end(_sent_by(context, frozen), settings.window, settings.counting)
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
        audit_head=frozen.audit_head,
    )


def _sent_by(context: Context, frozen: Plan) -> datetime:
    """The full hour by which the mail will be sent, from which its times are counted.

    It moves only when it has passed and nothing was handed over yet: what people approve stays the same for an hour,
    and a mail that is approved late does not announce times that are over.
    """
    now = context.clock.now()
    known = context.recall(TIMES).get(frozen.message_id)
    sent_by = datetime.fromisoformat(str(known)) if known else _full_hour(frozen.frozen_at + MAKING)
    if now > sent_by and frozen.message_id not in context.recall(SENDING):
        sent_by = _full_hour(now + MAKING)
        context.remember(TIMES, frozen.message_id, sent_by.isoformat())
    return sent_by


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
    frozen = context.result(plan)
    return Done("\n".join([f"A draft of {frozen.name}", *_rows(frozen, {})]), None)


SHOW = Procedure("announce show", plan, Step("show", "Announcement", show, type(None), after=(plan,)), card=False)


@command("announce show", role="observer")
def announce_show(call: Call) -> Outcome:
    """Show the announcement of the open release, line by line, or a draft of the next one."""
    run = _announcing(call)
    if run is None:
        return call.start(SHOW)
    frozen = _frozen(call, run)
    title = f"Announcement of {frozen.name}, frozen {moment(frozen.frozen_at, call.world.clock.now())}"
    return Outcome(Notice(title, lines=_rows(frozen, _edits(call.world.journal.recall(EDITS), frozen))))


@command("announce edit", role="operator", example="!announce edit 3 core: faster builds of the Arm images")
def announce_edit(call: Call, line: str, text: Words = ()) -> Outcome:
    """Change a line of the announcement by its number, or its summary; without a text the line goes."""
    run = _announcing(call)
    if run is None:
        raise UserError("there is no open release whose announcement is still to be sent")
    if line != Edit.SUMMARY and not line.isdigit():
        raise UserError(f"“{line}” is neither the number of a line nor the word summary: !announce edit 3 TEXT")
    frozen, name = _frozen(call, run), line if line == Edit.SUMMARY else str(int(line))
    sending = frozen.message_id in call.world.journal.recall(SENDING)
    if sending or run.step(send_announcement.id).state is StepState.RUNNING:
        raise UserError("the announcement is being sent now, or may have been sent: it cannot be changed any more")
    edits = {**_edits(call.world.journal.recall(EDITS), frozen), name: " ".join(text)}
    _check(frozen, edits)
    asked = run.step("announce").state is not StepState.PENDING
    outcome = call.engine.retry(run, "announce", call.person) if asked else Outcome()
    changes = (Remember(EDITS, frozen.message_id, edits), *outcome.changes)
    what = "The summary" if name == Edit.SUMMARY else f"Line {name}"
    told = Notice(f"{what} {'is changed' if text else 'is left out'}.")
    return call.audited(Outcome(told, changes, (run.id,)), "announce edit", name, text=edits[name])


def _announcing(call: Call) -> Run | None:
    """The open release that has a plan and has not announced it yet."""
    for run in call.world.journal.open_runs():
        ids = {step.id: step for step in run.steps}
        waits = "announce" in ids and send_announcement.id in ids and ids[send_announcement.id].state not in SETTLED
        if waits and plan.id in ids and ids[plan.id].value is not None:
            return run
    return None


def _frozen(call: Call, run: Run) -> Plan:
    return call.world.journal.codec.load(Plan, run.step(plan.id).value)


def _bare(frozen: Plan) -> Announcement:
    """The announcement without its times and edits: enough to number its lines."""
    sections = tuple(_section(part) for part in frozen.parts.values() if part.changed)
    return Announcement(frozen.name, frozen.frozen_at, frozen.frozen_at, frozen.frozen_at, sections)


def _rows(frozen: Plan, edits: Mapping[str, str]) -> tuple[str, ...]:
    """Every line under the number it keeps, whatever other lines were left out."""
    summary = (f"summary: {edits[Edit.SUMMARY]}",) if edits.get(Edit.SUMMARY) else ()
    texts = [(n, component, edits.get(str(n), text)) for n, component, text in numbered(_bare(frozen))]
    return (*summary, *(f"{n}. {component}: {text or '(left out)'}" for n, component, text in texts))


def _check(frozen: Plan, edits: Mapping[str, str]) -> None:
    try:
        _applied(_bare(frozen), edits)
    except RuleError as error:
        raise UserError(str(error)) from error


def _edits(recalled: Mapping[str, object], frozen: Plan) -> Mapping[str, str]:
    """What people changed of the announcement of that very plan: another one has other lines under the numbers."""
    found = recalled.get(frozen.message_id)
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _applied(announcement: Announcement, edits: Mapping[str, str]) -> Announcement:
    """Numbered lines from the last to the first, so that a dropped line leaves the other numbers alone."""
    numbers = sorted((int(key) for key in edits if key.isdigit()), reverse=True)
    for number in numbers:
        announcement = with_bullet(announcement, number, edits[str(number)])
    if edits.get(Edit.SUMMARY):
        announcement = with_summary(announcement, (edits[Edit.SUMMARY],))
    return announcement
