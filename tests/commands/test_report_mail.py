"""The report as a mail: to those who are configured, once, as an answer to the announcement."""

from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import RunState, StepState
from kcibot.errors import ConfigError
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.mailbox import MailFault
from kcibot_commands import approvals, runs
from kcibot_commands.announce.steps import send_announcement
from kcibot_commands.plan.steps import plan
from kcibot_commands.report.mail import send_report
from kcibot_commands.report.steps import ReportSettings, report
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import Followed, Kernelci, kernelci, killed, lines, revive, start, stuck, with_ports

TO = ("reports@example.org", "people@example.org")
MAILED = ReportSettings(recipients=TO)
ENDING = Procedure("release", plan, send_announcement, report, send_report, title="Release")
GATED = Procedure("release", plan, send_announcement, Gate("accept", "Accept"), report, send_report)
ALONE = Procedure("release", plan, report, send_report)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


def ended(place: Kernelci, procedure: Procedure = ENDING, settings: ReportSettings = MAILED) -> Bench:
    bench = place.bench(runs, approvals, sections=[settings])
    start(bench, procedure)
    return bench


def test_the_report_goes_to_those_who_are_configured_as_an_answer_to_the_announcement(place: Kernelci) -> None:
    bench = ended(place)
    assert bench.run().state is RunState.SUCCEEDED
    announced, reported = place.mailbox.messages
    assert set(reported.recipients) == set(TO)
    told = message_from_bytes(announced.raw, policy=default)
    mail = message_from_bytes(reported.raw, policy=default)
    assert mail["In-Reply-To"] == told["Message-ID"]
    frozen = bench.journal.codec.load(plan.result, bench.run().step("plan").value)
    assert mail["Subject"] == f"KernelCI production updated: {frozen.name}"
    assert mail["Message-ID"] == told["Message-ID"].replace("<", "<report.", 1)
    text = reported.text
    assert "is in production, " in text
    assert f"* core: {frozen.part('core').tag}" in text
    assert "Audit head:" in text
    assert max(map(len, text.splitlines())) <= 72
    html = mail.get_body(("html",))
    assert html
    assert "<li>core: " in html.get_content()


def test_nobody_is_mailed_unless_it_is_configured(place: Kernelci) -> None:
    bench = ended(place, settings=ReportSettings())
    step = bench.run().step(send_report.id)
    assert step.state is StepState.NOT_NEEDED
    assert step.text == "report.recipients names nobody"
    assert len(place.mailbox.messages) == 1


def test_without_an_announcement_it_answers_nothing(place: Kernelci) -> None:
    ended(place, ALONE)
    (mail,) = place.mailbox.messages
    assert message_from_bytes(mail.raw, policy=default)["In-Reply-To"] is None


def test_who_accepts_the_pipe_cleaner_sees_to_whom_the_report_goes(place: Kernelci) -> None:
    bench = ended(place, GATED)
    assert "mail the report to reports@example.org, people@example.org" in lines(bench, "run:1:gate:accept:1")


def test_a_kill_between_the_handing_over_and_its_record_sends_no_second_mail(place: Kernelci) -> None:
    port = Followed(place.ports.mailer, "send", killed(place))
    bench = place.bench(runs, sections=[MAILED], ports=with_ports(place.ports, mailer=port))
    start(bench, ALONE)
    revive(place, bench)
    bench = place.bench(runs, procedures=[ALONE], sections=[MAILED])
    bench.engine.resume()
    assert bench.run().step(send_report.id).state is StepState.DONE
    assert len(place.mailbox.messages) == 1


def test_a_lost_answer_is_settled_by_looking(place: Kernelci) -> None:
    place.mailbox.misbehave(MailFault.LOSE_ANSWER)
    bench = ended(place, ALONE)
    assert bench.run().step(send_report.id).state is StepState.DONE
    assert len(place.mailbox.messages) == 1


def test_where_nobody_can_tell_whether_it_went_out_people_decide(place: Kernelci) -> None:
    place.mailbox.misbehave(MailFault.LOSE_MAIL)
    place.mailbox.archive.faults.add(Fault(FaultKind.STATUS, "GET /archive", times=9))
    bench = ended(place, ALONE)
    assert bench.run().step(send_report.id).state is StepState.UNKNOWN
    assert "is in production" in lines(bench, "run:1:report:1:report"), "the rooms have it all the same"
    bench.say("operator", "!release skip mail-report the list is down")
    assert bench.run().state is RunState.SUCCEEDED
    assert place.mailbox.messages == ()


def test_a_report_that_is_made_anew_is_not_mailed_twice(place: Kernelci) -> None:
    bench = ended(place, Procedure("release", plan, report, send_report, stuck()))
    bench.say("operator", "!release retry report")
    bench.say("operator", "!release retry mail-report")
    step = bench.run().step(send_report.id)
    assert (step.state, step.text) == (StepState.NOT_NEEDED, "it went out before")
    assert len(place.mailbox.messages) == 1


def test_what_is_no_mail_address_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match="no mail address: nobody"):
        ReportSettings(recipients=("nobody",))
