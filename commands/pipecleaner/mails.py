"""Step 9: the report mails of a pipe cleaner, as the mailbox or the results API show them, in the light of the rules.

Nothing here waits: whoever follows a pipe cleaner asks again until no mail that must come is still due.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar

from kcibot.sdk import ConfigError, Context, KcibotError, Revision
from kcibot_commands.rules import report_mails
from kcibot_commands.rules.report_mails import Arrived, Known, Needed, Schedule
from kcibot_commands.rules.report_subjects import read_subject
from kcibot_commands.rules.results import Mail, MailState

OTHERS = "*"
BUILDS = "report-mails"
"""Revision -> run -> when its builds ended: a kernel that is built again may get no mails again."""
SAME = timedelta(minutes=1)
MAILS = "mails"
"""Beside the builds of a round: the report mails as they were at the last look, in clauses."""


def default_delays() -> Mapping[str, Mapping[str, timedelta]]:
    minutes = timedelta(minutes=1)
    plans_2019 = ("v4l2-compliance-vivid", "v4l2-compliance-uvc", "igt", "sleep")
    return {
        "gtucker": {"build": minutes, "boot": 30 * minutes, **dict.fromkeys(plans_2019, 45 * minutes)},
        "kernelci": {"build": timedelta(), "baseline*": 30 * minutes, "v4l2*": 45 * minutes, "igt": 45 * minutes},
        OTHERS: {"build": timedelta(seconds=10), "boot": timedelta(hours=3, minutes=30)},
    }


@dataclass(frozen=True)
class MailsSettings:
    """Which report mails of a pipe cleaner must come, and when.

    `needed`: the kinds without which nothing passes: build, and in 2019 boot. `delays`: tree -> kind or test plan
    (also as a pattern) -> how long after the builds its mail is sent; `*` stands for all other trees. `default_delay`:
    of what is not in `delays`. `longest_delay`: what the backend cuts longer ones to. `grace`: how late a mail may be.
    `refused_within`: for how long the backend refuses an identical mail. `done_files`: how many architectures must be
    done for mails to be sent, and for one run only; 4 in 2019, 0 where there is no such rule.
    """

    section: ClassVar[str] = "report_mails"
    needed: tuple[Needed, ...] = (Needed.BUILD,)
    delays: Mapping[str, Mapping[str, timedelta]] = field(default_factory=default_delays)
    default_delay: timedelta = timedelta(hours=1)
    longest_delay: timedelta = timedelta(hours=5)
    grace: timedelta = timedelta(minutes=15)
    refused_within: timedelta = timedelta(hours=24)
    done_files: int = 0

    def __post_init__(self) -> None:
        if Needed.BUILD not in self.needed:
            raise ConfigError("needed does not hold build, the one report that every kernel has")
        if self.done_files < 0:
            raise ConfigError("done_files is a number of architectures, or 0")

    def schedule(self, tree: str) -> Schedule:
        """The rules for one tree's mails."""
        return Schedule(
            delays=self.delays.get(tree, self.delays.get(OTHERS, {})),
            needed=self.needed,
            default=self.default_delay,
            cap=self.longest_delay,
            grace=self.grace,
            guard=self.refused_within,
            done_files=self.done_files,
        )


def mails(context: Context, revision: Revision, builds_ended: datetime) -> tuple[Mail, ...]:
    """Every report mail that must or may come, with its state as of now.

    Those of builds (and boots, where configured) must come; ask again while one of them is WAITING. A mailbox that
    cannot be seen makes their state UNKNOWN once they are due. Raises what the results API raises.
    """
    schedule = context.settings(MailsSettings).schedule(revision.tree)
    known = Known(
        ended=builds_ended,
        now=context.clock.now(),
        api=context.ports.results.reports(revision),
        before=_built_before(context, revision, builds_ended),
    )
    known = _with_inbox(context, revision, known)
    found = report_mails.judged(schedule, known)
    if schedule.done_files and any(one.state is MailState.MISSING and one.kind != "test" for one in found):
        found = report_mails.judged(schedule, replace(known, architectures=_architectures(context, revision)))
    return found


def shown(mails: tuple[Mail, ...]) -> tuple[str, ...]:
    """A clause for each: `build mail due 14:05 UTC`, `test mails of baseline, igt seen`."""
    return report_mails.shown(mails)


def _with_inbox(context: Context, revision: Revision, known: Known) -> Known:
    inbox = context.ports.report_inbox
    if inbox is None:
        return known
    try:
        found = inbox.reports(revision.tree, revision.branch, revision.kernel)
    except KcibotError as error:
        return replace(known, trouble=str(error).rstrip("."))
    return replace(known, inbox=tuple(Arrived(one.kind, _plan(one.subject), one.at) for one in found))


def _architectures(context: Context, revision: Revision) -> int:
    """How many it was built for, counted once: all its builds are over."""

    def look() -> int:
        return len({kernel.arch for kernel in context.ports.results.kernels(revision)})

    return context.keep(f"architectures of {revision.kernel}", look)


def _plan(subject: str) -> str:
    read = read_subject(subject)
    return read.plan if read else ""


def _built_before(context: Context, revision: Revision, ended: datetime) -> datetime | None:
    """When an earlier run's builds of the same kernel ended; this run's are noted for later ones."""
    name = f"{revision.tree}/{revision.branch} {revision.kernel}"
    kept = context.recall(BUILDS).get(name)
    rows = {str(run): str(at) for run, at in kept.items()} if isinstance(kept, dict) else {}
    mine = str(context.run.id)
    if mine not in rows:
        context.remember(BUILDS, name, {**rows, mine: ended.isoformat()})
    others = [datetime.fromisoformat(at) for run, at in rows.items() if run != mine]
    return max((at for at in others if at < ended - SAME), default=None)
