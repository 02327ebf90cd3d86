"""A release as far as its announcement, with real mail, and what the tests of it ask and read."""

from datetime import time, timedelta

from kcibot.core.hours import Hours
from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import StepState
from kcibot_commands import runs
from kcibot_commands.announce import cancel as announce_cancel
from kcibot_commands.announce import verbs as announce_verbs
from kcibot_commands.announce.steps import comment_window, send_announcement
from kcibot_commands.plan.steps import plan
from kcibot_commands.tags import create_tags
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import Kernelci, lines, start

RELEASE = Procedure("release", plan, Gate("announce", "Send the announcement"), send_announcement, comment_window)
TAGGED = Procedure(
    "release", plan, create_tags, Gate("announce", "Send the announcement"), send_announcement, comment_window
)
AT_ONCE = Procedure("release", plan, send_announcement, comment_window)
VERBS = (announce_verbs, announce_cancel, runs)
PROMPT = "run:{}:gate:announce:{}"
OFFICE = Hours(start=time(8), end=time(16))
LIST = "release-list@example.org"
DAY = timedelta(hours=24)


def ask(place: Kernelci, procedure: Procedure = RELEASE) -> Bench:
    """A release, as far as it goes by itself."""
    bench = place.bench(*VERBS, hours=OFFICE)
    start(bench, procedure)
    return bench


def approve(bench: Bench, number: int = 1, run: int = 1) -> None:
    bench.react("operator", PROMPT.format(run, number))


def sent(bench: Bench) -> tuple[StepState, str]:
    step = bench.run().step("send-announcement")
    return step.state, step.text


def shown_mail(bench: Bench, number: int = 1, run: int = 1) -> str:
    """What the prompt shows of the body."""
    rows = [row.removeprefix("  ") for row in lines(bench, PROMPT.format(run, number)).splitlines()]
    subject = next(index for index, row in enumerate(rows) if row.startswith("Subject: "))
    return "\n".join(rows[subject + 2 : rows.index("-- ")])


def numbered_rows(bench: Bench) -> tuple[str, ...]:
    """What !announce show answers."""
    bench.say("observer", "!announce show")
    key = next(key for key, title in reversed(bench.deliver().items()) if title.startswith("Announcement of"))
    return bench.notices[key].lines


def number_of(bench: Bench, text: str) -> int:
    """The number of the line that says that."""
    (row,) = [row for row in numbered_rows(bench) if text in row]
    return int(row.partition(".")[0])
