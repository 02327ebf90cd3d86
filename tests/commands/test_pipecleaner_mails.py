"""The report mails of a pipe cleaner over the real adapters: the word of the API, and what lies in the mailbox."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from kcibot.core.ports import Ports
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.report_inbox import USER, ReportInboxStandIn
from kcibot.sandbox.results_api import ResultsApiStandIn
from kcibot.sdk import Context, Done, Procedure, Retry, Revision, Step
from kcibot.services.kernelci_api.adapter import KernelciApi
from kcibot.services.mail.imap import MailFolder
from kcibot.services.mail.reports import ImapReports
from kcibot_commands.pipecleaner.mails import MailsSettings, mails, shown
from kcibot_commands.rules.report_mails import Needed
from kcibot_commands.rules.results import Mail, MailState
from tests.fakes.bench import BEGINS, ROOM, HandClock, make_bench

TOKEN, PASSWORD = "an-api-token", "an-inbox-secret"
OURS = Revision("kernelci", "kernelci.org", "kernelci-20261123.0")
NAMES = (OURS.tree, OURS.branch, OURS.kernel)
OLD = replace(OURS, kernel="kernelci-20261116.0")
BUILD = f"kernelci/kernelci.org build: 220 builds: 0 failed, 220 passed ({OURS.kernel})"
BASELINE = f"kernelci/kernelci.org baseline: 60 runs, 1 regressions ({OURS.kernel})"
MINUTE = timedelta(minutes=1)
MIXED = ("arc", "arm", "arm64", "i386", "mips", "riscv", "x86_64")


@dataclass(frozen=True)
class Seen:
    """What a look showed."""

    found: tuple[Mail, ...]


@dataclass
class World:
    """The API, and perhaps a mailbox, that one bot looks at."""

    folder: Path
    api: ResultsApiStandIn
    inbox: ReportInboxStandIn
    clock: HandClock
    settings: MailsSettings
    with_inbox: bool

    def ports(self) -> Ports:
        results = KernelciApi(self.api.url, lambda: TOKEN, {})
        place = MailFolder("127.0.0.1", USER, lambda: PASSWORD, "INBOX", self.inbox.port, str(self.inbox.ca_file))
        found = ImapReports(place, 10.0) if self.with_inbox else None
        absent = cast("Any", None)
        others = dict.fromkeys(("ci", "git", "deployer", "images", "mailer", "files"), absent)
        return Ports(**others, results=results, report_inbox=found)

    def look(self, revision: Revision = OURS, ended: datetime = BEGINS) -> tuple[Mail, ...]:
        """As whoever follows a pipe cleaner does, in a run of its own."""

        def run(context: Context) -> Done[Seen]:
            found = mails(context, revision, ended)
            return Done("; ".join(shown(found)), Seen(found))

        procedure = Procedure("look", Step("look", "Look", run, Seen, retry=Retry(1)))
        sections = {MailsSettings: self.settings}
        bench = make_bench(self.folder, procedure, ports=self.ports(), clock=self.clock, sections=sections)
        outcome = bench.engine.start(procedure, bench.world.people.get("operator"), ROOM, "Look")
        bench.journal.commit(outcome.changes)
        bench.engine.wake(outcome.wake)
        step = bench.run(outcome.wake[0]).step("look")
        self.text = step.text
        bench.journal.close()
        bench.journal.database.close()
        return bench.journal.codec.load(Seen, step.value).found if step.value is not None else ()

    def build(self, kind: str = "build") -> Mail:
        (found,) = [one for one in self.look() if one.kind == kind]
        return found


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    clock = HandClock()
    inbox = ReportInboxStandIn(tmp_path / "inbox", PASSWORD)
    api = ResultsApiStandIn(TOKEN, lambda: "", now=clock.now)
    with inbox, api:
        yield lambda *, with_inbox=False, **settings: World(
            tmp_path, api, inbox, clock, MailsSettings(**settings), with_inbox
        )


def test_a_mail_is_due_then_seen(make: Callable[..., World]) -> None:
    world = make(delays={"kernelci": {"build": 5 * MINUTE}})
    assert world.build().state is MailState.WAITING
    assert world.text == "build mail due 09:05 UTC"
    world.api.schedule_report(*NAMES, "build", delay=5 * MINUTE)
    world.clock.forward(5 * MINUTE)
    assert world.build().state is MailState.SEEN
    assert world.text == "build mail seen"


def test_a_mail_that_never_comes_is_missing_after_its_delay_and_the_grace(make: Callable[..., World]) -> None:
    world = make(needed=(Needed.BUILD, Needed.BOOT))
    world.clock.forward(15 * MINUTE)
    assert world.build().state is MailState.MISSING
    assert world.text == "build mail missing, was due 09:00 UTC; boot mail due 10:00 UTC; test mails due 09:45 UTC"


def test_the_mailbox_shows_each_plan_s_mail(make: Callable[..., World]) -> None:
    world = make(with_inbox=True)
    world.api.add_report(*NAMES, "build")
    world.api.add_report(*NAMES, "test")
    world.inbox.deliver(OURS, "build", BUILD, BEGINS + MINUTE)
    world.inbox.deliver(OURS, "test", BASELINE, BEGINS + 30 * MINUTE)
    world.clock.forward(31 * MINUTE)
    world.look()
    assert world.text == "build mail seen; test mails of baseline seen; test mails of v4l2*, igt due 09:45 UTC"


def test_a_mail_that_the_api_calls_sent_and_that_never_came_is_missing(make: Callable[..., World]) -> None:
    world = make(with_inbox=True)
    world.inbox.deliver(OLD, "build", BUILD, BEGINS - timedelta(days=7))
    world.api.add_report(*NAMES, "build")
    assert world.build().state is MailState.WAITING
    world.clock.forward(timedelta(hours=1))
    assert world.build().state is MailState.MISSING
    assert "(the results API says that it was sent)" in world.text


def test_a_mailbox_that_never_got_a_mail_of_the_tree_is_not_believed(make: Callable[..., World]) -> None:
    world = make(with_inbox=True)
    world.inbox.deliver(replace(OURS, tree="next"), "build", BUILD, BEGINS)
    assert world.build().state is MailState.WAITING
    world.clock.forward(timedelta(hours=1))
    assert world.build().state is MailState.UNKNOWN
    assert "never got a report mail of kernelci, so what it lacks proves nothing" in world.text


def test_a_mailbox_that_cannot_be_seen_is_said_and_nothing_is_seen_or_missing(make: Callable[..., World]) -> None:
    world = make(with_inbox=True)
    world.api.add_report(*NAMES, "build")
    world.inbox.imap.answers["LOGIN"] = "NO [UNAVAILABLE] Later"
    assert world.build().state is MailState.WAITING
    world.clock.forward(timedelta(hours=1))
    assert world.build().state is MailState.UNKNOWN
    assert "refused the login; the results API says SENT" in world.text
    world.inbox.imap.answers.clear()
    world.inbox.deliver(OURS, "build", BUILD, BEGINS)
    assert world.build().state is MailState.SEEN


def test_an_api_that_does_not_answer_is_no_missing_mail(make: Callable[..., World]) -> None:
    world = make()
    world.api.faults.add(Fault(FaultKind.STATUS, times=9))
    world.clock.forward(timedelta(hours=1))
    assert world.look() == ()
    assert "answered 500" in world.text


def test_a_kernel_that_is_built_again_within_a_day_has_the_mail_of_the_first_time(make: Callable[..., World]) -> None:
    world = make(with_inbox=True)
    world.inbox.deliver(OURS, "build", BUILD, BEGINS)
    world.api.add_report(*NAMES, "build")
    world.look()
    world.clock.forward(timedelta(hours=6))
    (build, *_tests) = world.look(ended=BEGINS + timedelta(hours=5))
    assert build.state is MailState.SEEN
    assert build.note == "one for both builds of this kernel: it was built before, until Mon 23 Nov 09:00 UTC"
    (again, *_tests) = world.look(ended=BEGINS)
    assert again.note == "", "looking twice at one run is no second build"


def test_a_kernel_that_is_built_again_within_a_day_and_had_no_mail_is_told_why(make: Callable[..., World]) -> None:
    world = make()
    world.look()
    world.clock.forward(timedelta(hours=6))
    (build, *_tests) = world.look(ended=BEGINS + timedelta(hours=5))
    assert build.state is MailState.MISSING
    assert "the backend refuses an identical mail within a day" in build.note


@pytest.mark.parametrize(
    ("architectures", "why"), [(3, "when 4 architectures are done, and this kernel has 3"), (7, "")]
)
def test_in_2019_a_kernel_of_three_architectures_gets_no_mail_and_that_is_said(
    make: Callable[..., World], architectures: int, why: str
) -> None:
    world = make(done_files=4)
    for arch in MIXED[:architectures]:
        for defconfig in ("defconfig", "tinyconfig"):
            world.api.post_kernel(*NAMES, "a" * 40, arch, defconfig, "gcc-8", "PASS")
    world.clock.forward(timedelta(hours=1))
    build = world.build()
    assert build.state is MailState.MISSING
    assert build.note.endswith(why)
    assert bool(build.note) == bool(why)
