"""The sandbox's reports: sent when they are due, with the backend's own subjects, and not without anything to say."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from kcibot.core.ports import Revision
from kcibot.errors import PermanentError
from kcibot.sandbox.report_inbox import USER, ReportInboxStandIn
from kcibot.sandbox.results_api import ResultsApiStandIn
from kcibot.services.kernelci_api.adapter import KernelciApi
from kcibot.services.mail.imap import MailFolder
from kcibot.services.mail.reports import ImapReports
from kcibot_commands.rules.report_subjects import read_subject
from tests.fakes.bench import HandClock

TOKEN, PASSWORD = "an-api-token", "an-inbox-secret"
REVISION = ("kernelci", "kernelci.org", "v5.10.80")


class Place:
    """A backend whose mails arrive, and the two ways to see them."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.inbox = ReportInboxStandIn(folder, PASSWORD)
        self.server = ResultsApiStandIn(TOKEN, lambda: "", now=self.clock.now, mailed=self.inbox.deliver)
        self.inbox.before_look = self.server.deliver_reports

    def mails(self) -> list[tuple[str, str]]:
        inbox = MailFolder("127.0.0.1", USER, lambda: PASSWORD, "INBOX", self.inbox.port, str(self.inbox.ca_file))
        return [(mail.kind, mail.subject) for mail in ImapReports(inbox).reports(*REVISION)]

    def told(self) -> dict[str, str]:
        return dict(KernelciApi(self.server.url, lambda: TOKEN, {}).reports(Revision(*REVISION)))

    def kernel(self, arch: str, status: str, warnings: int = 0) -> None:
        self.server.post_kernel(*REVISION, "a" * 40, arch, "defconfig", "gcc-10", status, warnings=warnings)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    with ExitStack() as stack:
        stack.enter_context(made.inbox)
        stack.enter_context(made.server)
        yield made


def test_the_build_mail_comes_when_the_builds_are_done(place: Place) -> None:
    place.kernel("arm", "PASS", warnings=2)
    place.kernel("arm64", "FAIL")
    with pytest.raises(PermanentError, match="never got"):
        place.mails()
    place.server.revision_done(*REVISION)
    subject = "kernelci/kernelci.org build: 2 builds: 1 failed, 1 passed, 1 error, 2 warnings (v5.10.80)"
    assert (place.mails(), place.told()) == ([("build", subject)], {"build": "SENT"})
    assert read_subject(subject)


def test_the_mail_of_a_plan_comes_after_its_delay_if_there_are_regressions(place: Place) -> None:
    place.kernel("arm", "PASS")
    place.server.revision_done(*REVISION)
    place.server.post_tests(*REVISION, "lab-one", "beaglebone", "igt", 4, 0)
    for lab in ("lab-one", "lab-two"):
        cases = {"login": "PASS", "bootrr.rtc-probed": "FAIL"}
        place.server.post_tests(*REVISION, lab, "beaglebone", "v4l2-compliance-vivid", 0, 0, cases=cases)
    for plan in ("igt", "v4l2-compliance-vivid", "never-run"):
        place.server.schedule_report(*REVISION, "test", plan, timedelta(minutes=45))
    place.clock.forward(timedelta(minutes=44))
    assert (len(place.mails()), place.told()) == (1, {"build": "SENT"})
    place.clock.forward(timedelta(minutes=1))
    vivid = "kernelci/kernelci.org v4l2-compliance on vivid: 2 runs, 2 regressions (v5.10.80)"
    assert place.mails()[1:] == [("test", vivid)]
    assert place.told() == {"build": "SENT", "test": "SENT"}


def test_a_report_that_was_asked_for_over_http_is_a_mail_too(place: Place) -> None:
    place.kernel("arm", "PASS")
    place.server.post_tests(*REVISION, "lab-one", "beaglebone", "boot", 3, 1)
    names = dict(zip(("job", "git_branch", "kernel"), REVISION, strict=True))
    body = {**names, "boot_report": 1, "send_to": ["somebody@example.org"], "delay": 1800}
    asked = requests.post(f"{place.server.url}/send", json=body, headers={"Authorization": TOKEN}, timeout=5)
    assert asked.status_code == 202
    place.clock.forward(timedelta(minutes=30))
    assert place.mails() == [("boot", "kernelci/kernelci.org boot: 4 boots: 1 failed, 3 passed (v5.10.80)")]
