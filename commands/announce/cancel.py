"""Telling the list that a release which was announced does not take place: a mail that follows the announcement."""

from dataclasses import dataclass, replace
from datetime import datetime

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Gate,
    Mail,
    Outcome,
    Preview,
    Procedure,
    Reason,
    RunState,
    Step,
    UserError,
    command,
    digest,
)
from kcibot_commands.announce.draft import ANNOUNCED, Told
from kcibot_commands.announce.mail import AnnounceSettings, delivered, mail_of, shown
from kcibot_commands.rules.announcement_mail import render_cancellation

NEWEST = 0
"""No run was named: the one that was announced last."""


@dataclass(frozen=True)
class CancelArgs:
    """Which announcement is called off, and why. `message_id` is that of the mail which says so."""

    told: Told
    reason: str
    message_id: str


def cancellation(context: Context, at: datetime) -> Mail:
    args = context.args(CancelArgs)
    told = args.told
    rendered = render_cancellation(told.release, told.opens, args.reason, context.run.starter)
    return mail_of(context.settings(AnnounceSettings), args.message_id, rendered, at, told.message_id)


def preview(context: Context) -> Preview:
    return shown(cancellation(context, context.clock.now()))


def send(context: Context) -> Done[None]:
    args = context.args(CancelArgs)
    delivered(context, args.message_id, lambda at: context.ports.mailer.send(cancellation(context, at)))
    context.remember(ANNOUNCED, str(args.told.run), replace(args.told, called_off=True).written())
    return Done(f"to {', '.join(context.settings(AnnounceSettings).recipients)}", None)


send_cancellation = Step("send-cancellation", "Cancellation sent", send, type(None), preview=preview)

CANCEL = Procedure(
    "announce cancel", Gate("announce", "Call the announced release off"), send_cancellation, title="Cancellation"
)


@command("announce cancel", role="operator", example="!announce cancel a boot regression on arm64")
def announce_cancel(call: Call, reason: Reason, *, run: int = NEWEST) -> Outcome:
    """Tell the list that a release which was announced, and then aborted, is called off."""
    told = _told(call, run)
    released = call.world.journal.run(told.run)
    if told.called_off:
        raise UserError(f"the list knows already that {told.release} is called off")
    if released.state is not RunState.ABORTED:
        said = f"{released.title} has ended: {released.state.value}"
        raise UserError(said if released.ended else f"{released.title} goes on: !release abort REASON ends it first")
    if any(open_run.procedure == CANCEL.name for open_run in call.world.journal.open_runs()):
        raise UserError("a cancellation is under way already; !status shows it")
    name, _at, domain = told.message_id.strip("<>").rpartition("@")
    message_id = f"<called-off.{digest(reason)[:8]}.{name}@{domain}>"
    return call.start(CANCEL, f"Cancellation of {told.release}", CancelArgs(told, reason, message_id))


def _told(call: Call, run: int) -> Told:
    recall = call.world.journal.recall
    every = [told for number in recall(ANNOUNCED) if number.isdigit() and (told := Told.of(recall, int(number)))]
    chosen = [told for told in every if told.run == run] if run else every
    if not chosen:
        raise UserError(f"I announced nothing{f' in run {run}' if run else ''} that could be called off")
    return max(chosen, key=lambda told: (told.at, told.run))
