"""The end of a release: one report of it in the rooms, on its record and, where that is configured, as a mail."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from kcibot.sdk import (
    Call,
    ConfigError,
    Context,
    Done,
    Level,
    Notice,
    Outcome,
    Step,
    UserError,
    command,
    listed,
    span,
)
from kcibot_commands.announce.mail import wrong_addresses
from kcibot_commands.first_results.state import ENDED, WATCHED, Watched
from kcibot_commands.first_results.watch import progress
from kcibot_commands.notify import Event, forget_once, to_mention
from kcibot_commands.plan.steps import plan
from kcibot_commands.report.parts import RECORDS, TO_FIX, Record, sections, shown, went_in
from kcibot_commands.rules.problem import worded

NEWEST = 0
"""No run was named: the last one that was reported."""


@dataclass(frozen=True)
class ReportSettings:
    """To whom the report of a release goes as a mail, as an answer to the announcement; by default to nobody."""

    section: ClassVar[str] = "report"
    recipients: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wrong = wrong_addresses(self.recipients)
        if wrong:
            raise ConfigError(f"The report cannot be sent to what is no mail address: {listed(wrong)}.")


# ---- the step --------------------------------------------------------------------------------------------------


def make_report(context: Context) -> Done[None]:
    """Tell the rooms what went in, who approved it, how long it took, what was left out and what is left to fix."""
    record = Record.read(context.keep("record", lambda: _made(context).json))
    context.remember(RECORDS, str(context.run.id), record.json)
    mentions = to_mention(context, Event.RELEASE)
    notice = Notice(record.title, Level.SUCCESS, shown(record.sections), mentions=mentions, brief=brief(record))
    context.say("report", notice)
    forget_once(context, Event.RELEASE)
    return Done(f"{worded(len(went_in(context)), 'component')} reported", None)


def _made(context: Context) -> Record:
    run, now = context.run, context.clock.now()
    title = f"{run.title} is in production, {span(now - run.created_at)} after it was begun by {run.starter}"
    name = context.result(plan).name if context.has_result(plan) else run.title
    return Record(name, title, now, sections(context))


def brief(record: Record) -> str:
    """For networks where lines are dear."""
    left = next((len(one.lines) for one in record.sections if one.heading == TO_FIX), 0)
    to_fix = f"{worded(left, 'thing')} to fix next week; " if left else ""
    return f"{record.title}; {to_fix}!release report shows all of it"


report = Step("report", "Release reported", make_report, type(None), after=(plan,), limit=timedelta(hours=1))


# ---- the record ------------------------------------------------------------------------------------------------


@command("release report", role="observer", example="!release report 12")
def release_report(call: Call, run: int = NEWEST) -> Outcome:
    """Show the report of the last release again, or of the run with that number."""
    recall = call.world.journal.recall
    reported = sorted(int(key) for key in recall(RECORDS) if key.isdigit())
    if not reported:
        raise UserError("no release was reported yet. !release history lists what ran")
    number = run or reported[-1]
    value = recall(RECORDS).get(str(number))
    if value is None:
        newest = listed([str(one) for one in reported[-5:]])
        raise UserError(f"run {number} was not reported; reports are there of {newest}. !release history lists runs")
    record = Record.read(value)
    return Outcome(Notice(record.title, Level.INFO, (*shown(record.sections), *_since(call, number))))


def _since(call: Call, number: int) -> tuple[str, ...]:
    """What the first results after it were, or are so far: they come when the report is long made."""
    ended, standing = (call.world.journal.recall(topic).get(str(number)) for topic in (ENDED, WATCHED))
    if isinstance(ended, dict):
        return (str(ended["title"]), *(f"  {line}" for line in ended["lines"]))
    watched = Watched.read(standing)
    if watched is None:
        return ()
    now = progress(watched)
    return (now.title, *(f"  {line}" for line in now.lines))
