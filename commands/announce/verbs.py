"""What people say about the announcement: edits of its lines before it goes, less time for comments after."""

import re
from collections.abc import Callable
from datetime import timedelta

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Level,
    Notice,
    Outcome,
    PermissionDenied,
    Procedure,
    Reason,
    Remember,
    Run,
    Step,
    StepState,
    Text,
    UserError,
    command,
    moment,
)
from kcibot_commands.announce.draft import EDITS, SENDING, bare, edits_of, rows, told_of
from kcibot_commands.announce.mail import AnnounceSettings
from kcibot_commands.announce.steps import (
    SHORTENED,
    Shortened,
    announced_as,
    comment_window,
    comments_end,
    send_announcement,
)
from kcibot_commands.plan.steps import Plan, plan
from kcibot_commands.rules.announcement import Announcement, Edits, line, with_line, with_link, with_summary, with_text
from kcibot_commands.rules.problem import RuleError

GATE = "announce"
SUMMARY = "summary"
NUMBER = re.compile(r"[0-9]{1,4}")
SETTLED = frozenset({StepState.DONE, StepState.NOT_NEEDED, StepState.SKIPPED})

Editor = Callable[[Announcement, Edits], Edits]


# ---- showing ---------------------------------------------------------------------------------------------------


def show(context: Context) -> Done[None]:
    frozen = context.result(plan)
    return Done("\n".join([f"A draft of {frozen.name}", *rows(frozen, Edits())]), None)


SHOW = Procedure("announce show", plan, Step("show", "Announcement", show, type(None), after=(plan,)), card=False)


@command("announce show", role="observer")
def announce_show(call: Call) -> Outcome:
    """Show the announcement of the open release, line by line, or a draft of the next one."""
    run = _with_plan(call)
    if run is None:
        return call.start(SHOW)
    frozen, recall = _frozen(call, run), call.world.journal.recall
    title = f"Announcement of {frozen.name}, {_how_far(call, run, frozen)}"
    return Outcome(Notice(title, lines=rows(frozen, edits_of(recall, run))))


def _how_far(call: Call, run: Run, frozen: Plan) -> str:
    told, now = told_of(call.world.journal.recall, run, frozen), call.world.clock.now()
    if told:
        return f"sent {moment(told.at, now)} as “{told.subject}”"
    by_hand = run.step(send_announcement.id).state is StepState.SKIPPED
    return "which I did not send" if by_hand else f"frozen {moment(frozen.frozen_at, now)}, not sent yet"


# ---- editing ---------------------------------------------------------------------------------------------------


@command("announce edit", role="operator", example="!announce edit 3 core: faster builds of the Arm images")
def announce_edit(call: Call, line: str, text: Text = Text("")) -> Outcome:  # noqa: B008 (a str)
    """Change a line of the announcement by its number, or its summary; without a text the line goes."""
    return _reworded(call, line, text, "is changed" if text else "is left out")


@command("announce restore", role="operator", example="!announce restore 3")
def announce_restore(call: Call, line: str) -> Outcome:
    """Let a line of the announcement say again what it said before anybody changed it."""
    return _reworded(call, line, None, "says again what it said first")


@command("announce add", role="operator", example="!announce add core The images are built twice as fast")
def announce_add(call: Call, component: str, text: Text) -> Outcome:
    """Add a line to what the announcement says of a component."""
    return _edited(call, lambda drafted, edits: with_line(drafted, edits, component, text), f"Added to {component}.")


@command("announce link", role="operator", example='!announce link "Tested on staging" https://staging.kernelci.org')
def announce_link(call: Call, label: str, url: str = "") -> Outcome:
    """Name a page in the announcement, under that label; without an address the label goes."""
    done = f"“{label}” is {'linked' if url else 'left out'}."
    return _edited(call, lambda _drafted, edits: with_link(edits, label, url), done)


def _reworded(call: Call, name: str, text: str | None, done: str) -> Outcome:
    """A line or the summary in those words; None are those that it had first."""
    if name == SUMMARY:
        return _edited(call, lambda _drafted, edits: with_summary(edits, text or ""), f"The summary {done}.")
    if not NUMBER.fullmatch(name):
        raise UserError(f"“{name}” is neither the number of a line nor the word summary: !announce edit 3 TEXT")
    number = int(name)

    def edit(drafted: Announcement, edits: Edits) -> Edits:
        found = line(drafted, edits, number)
        return with_text(edits, found, found.original if text is None else text)

    return _edited(call, edit, f"Line {number} {done}.")


def _edited(call: Call, edit: Editor, done: str) -> Outcome:
    """Keep the edit, and ask anew: votes were for the mail as it was."""
    run = _editable(call)
    try:
        edits = edit(bare(_frozen(call, run)), edits_of(call.world.journal.recall, run)).written()
    except RuleError as error:
        raise UserError(str(error)) from error
    asked = run.step(GATE).state is not StepState.PENDING
    outcome = call.engine.retry(run, GATE, call.person) if asked else Outcome()
    changes = (Remember(EDITS, str(run.id), edits), *outcome.changes)
    return call.audited(Outcome(Notice(done), changes, (run.id,)), "announce edit", run.title, edits=edits)


def _editable(call: Call) -> Run:
    run = _with_plan(call)
    if run is None or run.step(send_announcement.id).state in SETTLED:
        raise UserError("there is no open release whose announcement is still to be sent")
    sending = call.world.journal.recall(SENDING).get(str(run.id)) == _frozen(call, run).message_id
    if sending or run.step(send_announcement.id).state is StepState.RUNNING:
        raise UserError("the announcement is being sent now, or may have been sent: it cannot be changed any more")
    return run


def _with_plan(call: Call) -> Run | None:
    """The open release that has a plan and announces it."""
    for run in call.world.journal.open_runs():
        steps = {step.id: step for step in run.steps}
        if {GATE, send_announcement.id} <= set(steps) and plan.id in steps and steps[plan.id].value is not None:
            return run
    return None


def _frozen(call: Call, run: Run) -> Plan:
    return call.world.journal.codec.load(Plan, run.step(plan.id).value)


# ---- the comment window ----------------------------------------------------------------------------------------


@command("announce shorten", role="release-manager", example="!announce shorten 2h a fix for broken boots")
def announce_shorten(call: Call, span: timedelta, reason: Reason) -> Outcome:
    """Leave people only so much more time to comment; for a release-manager who did not start the release."""
    run = _commented(call)
    if call.person.id == run.starter:
        raise PermissionDenied("whoever started the release may not shorten the time that others have to comment")
    frozen, now, recall = _frozen(call, run), call.world.clock.now(), call.world.journal.recall
    before = comments_end(recall, run, frozen, call.settings(AnnounceSettings))
    shortened = Shortened(announced_as(recall, run, frozen), now + span, call.person.id, reason)
    if shortened.end >= before:
        raise UserError(f"comments end {moment(before, now)} already")
    outcome = call.engine.look_now(run, comment_window.id)
    lines = (reason, f"They were to end {moment(before, now)}, as the mail says: answer it, if the list should know.")
    title = f"{run.title}: {call.person.id} lets comments end {moment(shortened.end, now)}"
    loud = Notice(title, Level.ALERT, lines, mentions=(run.starter,))
    changes = (
        Remember(SHORTENED, str(run.id), shortened.written()),
        *outcome.changes,
        *call.world.everywhere(f"run:{run.id}:shortened:{call.event.event_id}", loud),
    )
    done = Outcome(None, changes, outcome.wake)
    return call.audited(done, "shorten", f"{run.title}: {comment_window.title}", reason=reason, end=str(shortened.end))


def _commented(call: Call) -> Run:
    for run in call.world.journal.open_runs():
        if run.current and run.current.id == comment_window.id:
            return run
    raise UserError("no release waits for comments now")
