"""The report of a release as a mail, which follows the announcement: handed over once, whatever happens meanwhile.

It has no gate of its own. Its recipients are the operators' choice, its contents are what the rooms have read already,
and it promises nothing: who approves the pipe cleaner sees beforehand that it goes out, and to whom.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from kcibot.sdk import Context, Done, Mail, Needed, PermanentError, Preview, Step, listed
from kcibot_commands.announce.draft import Told
from kcibot_commands.announce.mail import AnnounceSettings, delivered, mail_of
from kcibot_commands.plan.steps import plan
from kcibot_commands.report.parts import RECORDS, Record
from kcibot_commands.report.steps import ReportSettings, report
from kcibot_commands.rules.announcement_mail import render_report

MAILED = "release-report-mailed"
"""Message-ID of a report -> when it went out: a report that is made anew is not mailed twice."""


def needed(context: Context) -> Needed:
    if not context.settings(ReportSettings).recipients:
        return Needed(needed=False, why="report.recipients names nobody")
    at = context.recall(MAILED).get(_message_id(context)) if context.has_result(plan) else None
    return Needed(at is None, "" if at is None else "it went out before")


def preview(context: Context) -> Preview:
    """The contents are not known before the end, and nobody has to approve them."""
    recipients = context.settings(ReportSettings).recipients
    return Preview({"to": list(recipients)}, (f"mail the report to {', '.join(recipients)}",))


def send(context: Context) -> Done[str]:
    message_id = _message_id(context)
    at = delivered(context, message_id, lambda at: context.ports.mailer.send(mail(context, at)))
    context.remember(MAILED, message_id, at.isoformat())
    return Done(f"to {listed(list(context.settings(ReportSettings).recipients))}", message_id)


def mail(context: Context, at: datetime) -> Mail:
    """The report that the rooms got, in both forms."""
    value = context.recall(RECORDS).get(str(context.run.id))
    if value is None:
        raise PermanentError(f"there is no report to be mailed: !release retry {report.id} makes it")
    record = Record.read(value)
    told = Told.of(context.recall, context.run.id)
    settings = replace(context.settings(AnnounceSettings), recipients=context.settings(ReportSettings).recipients)
    rendered = render_report(
        f"KernelCI production updated: {record.name}",
        f"{record.title}.",
        tuple((one.heading, one.lines) for one in record.sections),
        context.run.starter,
    )
    return mail_of(settings, _message_id(context), rendered, at, told.message_id if told else "")


def _message_id(context: Context) -> str:
    """The same at every try, and of this plan alone."""
    name, _at, domain = context.result(plan).message_id.strip("<>").rpartition("@")
    return f"<report.{name}@{domain}>"


send_report = Step(
    "mail-report",
    "Report mailed",
    send,
    str,
    needed=needed,
    preview=preview,
    after=(report,),
    limit=timedelta(days=2),
)
