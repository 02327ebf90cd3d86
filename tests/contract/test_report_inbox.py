"""Report mails are found by their headers alone; only a mailbox that was seen, and gets them, says that none came."""

import encodings
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import cycle
from pathlib import Path

import pytest

from kcibot.core.ports import Revision
from kcibot.errors import PermanentError, TransientError
from kcibot.sandbox.report_inbox import USER, ReportInboxStandIn, report_mail
from kcibot.services.mail.imap import MailFolder
from kcibot.services.mail.reports import AT_A_TIME, ImapReports

PASSWORD = "an-inbox-secret"
AT = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
OURS = Revision("stable", "linux-5.10.y", "v5.10.103")
SUBJECT = "stable/linux-5.10.y build: 183 builds: 45 failed, 138 passed, 1170 errors, 699 warnings (v5.10.103)"
PLAN = "stable/linux-5.10.y v4l2-compliance on uvcvideo: 2 runs, 3 regressions (v5.10.103)"


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[ReportInboxStandIn]:
    with ReportInboxStandIn(tmp_path, PASSWORD) as made:
        yield made


def place(inbox: ReportInboxStandIn) -> MailFolder:
    return MailFolder("127.0.0.1", USER, lambda: PASSWORD, "INBOX", inbox.port, str(inbox.ca_file))


def looking(inbox: ReportInboxStandIn, seconds: float = 10.0, **other: object) -> ImapReports:
    return ImapReports(replace(place(inbox), **other), seconds)  # type: ignore[arg-type]


def subjects(inbox: ReportInboxStandIn, revision: Revision = OURS) -> list[str]:
    return [mail.subject for mail in looking(inbox).reports(revision.tree, revision.branch, revision.kernel)]


def test_the_reports_of_a_revision_are_found_with_their_kind_whole_subject_and_time(inbox: ReportInboxStandIn) -> None:
    later = AT + timedelta(minutes=45)
    inbox.deliver(OURS, "test", PLAN, later.astimezone(timezone(timedelta(hours=-8))))
    inbox.deliver(OURS, "build", SUBJECT, AT)
    assert b"\r\n " in report_mail(OURS, "build", SUBJECT, AT), "long subjects are folded"
    found = looking(inbox).reports(OURS.tree, OURS.branch, OURS.kernel)
    assert [(mail.kind, mail.subject, mail.at) for mail in found] == [("build", SUBJECT, AT), ("test", PLAN, later)]


@pytest.mark.parametrize(
    "other",
    [
        replace(OURS, tree="stable-rc"),
        replace(OURS, tree="Stable"),
        replace(OURS, branch="linux-5.10.y-queue"),
        replace(OURS, kernel="v5.10.103-94-g8a21dc3cefb9"),
        replace(OURS, kernel="V5.10.103"),
    ],
    ids=str,
)
def test_what_a_server_finds_by_a_part_of_a_header_is_another_revision(
    inbox: ReportInboxStandIn, other: Revision
) -> None:
    inbox.deliver(OURS, "boot", "an older one", AT)
    inbox.deliver(other, "build", SUBJECT, AT)
    assert subjects(inbox) == ["an older one"]


def test_an_answer_to_a_report_is_no_report(inbox: ReportInboxStandIn) -> None:
    inbox.deliver(replace(OURS, kernel="v5.10.102"), "build", SUBJECT, AT)
    inbox.file(f"Subject: Re: {SUBJECT}\r\n\r\nThanks.\r\n".encode(), AT)
    inbox.file(f"Subject: {SUBJECT}\r\n\r\nX-Kernelci-Tree: stable\r\n".encode(), AT)
    assert subjects(inbox) == []


def test_a_mailbox_into_which_no_report_of_the_tree_came_proves_nothing(inbox: ReportInboxStandIn) -> None:
    with pytest.raises(PermanentError, match="never got a report mail of stable, so what it lacks proves nothing"):
        subjects(inbox)
    inbox.deliver(replace(OURS, tree="stable-rc"), "build", SUBJECT, AT)
    with pytest.raises(PermanentError, match="never got a report mail of stable"):
        subjects(inbox)
    inbox.deliver(replace(OURS, kernel="v5.10.1"), "build", SUBJECT, AT)
    assert subjects(inbox) == []


def hostile(name: str) -> bytes:
    """A mail of our revision, with something odd in its headers."""
    raw = report_mail(OURS, "build", SUBJECT, AT)
    tree = b"X-Kernelci-Tree: stable\r\n"
    return {
        "folded": raw.replace(tree, b"X-Kernelci-Tree:\r\n\t stable\r\n"),
        "encoded": raw.replace(b"Subject: ", b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= "),
        "badly encoded": raw.replace(b"Subject: ", b"Subject: =?utf-8?b?%%%?= =?no-such?q?x?= "),
        "smuggled": raw.replace(b"Subject: ", b"Subject: =?utf-8?q?a=0D=0ABcc:=20b=1B[2J?= "),
        "not text": raw.replace(b"Subject: ", b"Subject: \xff\xfe\x00 "),
        "twice": raw.replace(tree, tree + b"X-Kernelci-Tree: next\r\n"),
        "no kind": raw.replace(b"Report-Type: build", b"Report-Type: "),
        "another kind": raw.replace(b"Report-Type: build", b"Report-Type: party"),
        "no subject": raw.replace(b"Subject: ", b"X-Subject: "),
        "no date": raw.replace(b"Date: ", b"Date: never, "),
        "huge": raw.replace(tree, b"".join(b"X-Kernelci-Branch: %d\r\n" % number for number in range(5000)) + tree),
        "empty": b"",
        "no end": b"X-Kernelci-Tree: stable\r\nX-Kernelci-Kernel: v5.10.103",
    }[name]


FOUND = {
    "folded": SUBJECT,
    "encoded": f"Grüße {SUBJECT}",
    "smuggled": f"a Bcc: b [2J {SUBJECT}",
    "no subject": "",
    "no date": SUBJECT,
}


@pytest.mark.parametrize(
    "name", [*FOUND, "twice", "no kind", "another kind", "huge", "empty", "no end", "badly encoded", "not text"]
)
def test_odd_mails_are_read_as_far_as_they_can_be_and_stop_nobody(inbox: ReportInboxStandIn, name: str) -> None:
    inbox.deliver(OURS, "boot", "the next one", AT + timedelta(hours=1))
    inbox.file(hostile(name), AT)
    first, *rest = subjects(inbox)
    if name in FOUND:
        assert (first, rest) == (FOUND[name], ["the next one"])
    elif rest:
        assert first.endswith(SUBJECT), "what cannot be read is left as it is"
        assert first.isprintable()
    else:
        assert first == "the next one"
        assert name not in {"badly encoded", "not text"}


def test_no_text_that_claims_to_be_encoded_stops_a_look_or_reaches_people_unprintable(
    inbox: ReportInboxStandIn,
) -> None:
    """Every codec that Python has, also those that make no text, and what is cut off or nested in the middle."""
    codecs = [module.name for module in pkgutil.iter_modules(encodings.__path__)]
    ends = ["=FF=FE", "AAAA", "=D8=00", "%%%", "4pyT", "+2AA-", "=00=1B", "?= =?x"]
    plain = report_mail(OURS, "build", SUBJECT, AT)
    for codec, letter, end in zip(codecs, cycle("qbx"), cycle(ends)):
        odd = f"=?{codec}?{letter}?{end}?= {end}"
        inbox.file(plain.replace(b"Subject: ", f"Subject: {odd} ".encode()), AT)
        inbox.file(plain.replace(b"Report-Type: ", f"Report-Type: {odd} ".encode()), AT)
    found = subjects(inbox)
    assert len(found) == len(codecs)
    assert all(subject.isprintable() for subject in found)


def test_ten_thousand_mails_take_one_search_and_one_reading(inbox: ReportInboxStandIn) -> None:
    other = report_mail(Revision("next", "master", "next-20261123"), "build", "another", AT)
    for _ in range(10_000):
        inbox.file(other, AT)
    inbox.deliver(OURS, "build", SUBJECT, AT)
    assert subjects(inbox) == [SUBJECT]
    asked = [" ".join(request.split()[:2]) for request in inbox.imap.requests]
    assert [one for one in asked if one.startswith("UID")] == ["UID SEARCH", "UID FETCH"]


def test_of_very_many_that_fit_only_the_newest_are_read_some_at_a_time(inbox: ReportInboxStandIn) -> None:
    inbox.deliver(OURS, "build", "the first of all", AT)
    for _ in range(2 * AT_A_TIME):
        inbox.deliver(OURS, "test", PLAN, AT)
    assert len(subjects(inbox)) == 2 * AT_A_TIME + 1
    fetched = [len(request.split()[2].split(",")) for request in inbox.imap.requests if "FETCH" in request]
    assert fetched == [AT_A_TIME, AT_A_TIME, 1]


def test_nothing_is_changed_in_the_mailbox(inbox: ReportInboxStandIn) -> None:
    inbox.deliver(OURS, "build", SUBJECT, AT)
    subjects(inbox)
    assert any(request.startswith("EXAMINE") for request in inbox.imap.requests)
    assert all("PEEK" in request for request in inbox.imap.requests if "BODY" in request)


@pytest.mark.parametrize(
    ("command", "answer", "error", "said"),
    [
        ("LOGIN", "NO [UNAVAILABLE] Later", TransientError, "refused the login"),
        ("LOGIN", "NO [AUTHENTICATIONFAILED] an-inbox-secret is wrong", PermanentError, "refused the login"),
        ("LOGIN", "", TransientError, "cannot be seen"),
        ("EXAMINE", "NO no such mailbox", PermanentError, "cannot be opened"),
        ("EXAMINE", "NO [INUSE] Later", TransientError, "cannot be opened"),
        ("SEARCH", "NO not now", TransientError, "refused a search"),
        ("SEARCH", "BAD what?", TransientError, "cannot be seen"),
        ("SEARCH", "OK but it says nothing", TransientError, "answered a search with nothing"),
        ("SEARCH", "", TransientError, "cannot be seen"),
        ("FETCH", "NO not now", TransientError, "refused a fetch"),
        ("FETCH", "", TransientError, "cannot be seen"),
        ("SEARCH", "HANG", TransientError, "cannot be seen"),
    ],
)
def test_trouble_is_never_an_empty_mailbox(
    inbox: ReportInboxStandIn, command: str, answer: str, error: type[Exception], said: str
) -> None:
    inbox.deliver(OURS, "build", SUBJECT, AT)
    inbox.imap.answers[command] = answer
    seconds = 0.3 if answer == "HANG" else 10.0
    with pytest.raises(error, match=f"The mail folder INBOX on 127.0.0.1 {said}") as caught:
        looking(inbox, seconds).reports(OURS.tree, OURS.branch, OURS.kernel)
    assert PASSWORD not in str(caught.value)


def test_a_server_that_hangs_up_at_the_end_has_said_all(inbox: ReportInboxStandIn) -> None:
    inbox.deliver(OURS, "build", SUBJECT, AT)
    inbox.imap.answers["LOGOUT"] = ""
    assert subjects(inbox) == [SUBJECT]


def test_a_wrong_login_folder_or_certificate_says_so(inbox: ReportInboxStandIn, tmp_path: Path) -> None:
    inbox.deliver(OURS, "build", SUBJECT, AT)
    names = (OURS.tree, OURS.branch, OURS.kernel)
    with pytest.raises(PermanentError, match="refused the login"):
        looking(inbox, password=lambda: "wrong").reports(*names)
    with pytest.raises(PermanentError, match="line break or a character that is not ASCII"):
        looking(inbox, password=lambda: "gehéim").reports(*names)
    with pytest.raises(PermanentError, match="cannot be opened"):
        looking(inbox, folder="Nowhere").reports(*names)
    with pytest.raises(PermanentError, match="cannot be asked about 'Gelöscht'"):
        looking(inbox, folder="Gelöscht").reports(*names)
    with pytest.raises(PermanentError, match="certificate could not be verified"):
        looking(inbox, ca_file="").reports(*names)
    inbox.imap.stop()
    with pytest.raises(TransientError, match="cannot be seen"):
        looking(inbox).reports(*names)


@pytest.mark.parametrize("kernel", ['v5.10" ALL', "v5.10\\", "v5.10\r\nA1 DELETE INBOX"])
def test_a_name_cannot_smuggle_a_command_in(inbox: ReportInboxStandIn, kernel: str) -> None:
    inbox.deliver(OURS, "build", SUBJECT, AT)
    if "\r" in kernel:
        with pytest.raises(PermanentError, match="cannot be asked about"):
            looking(inbox).reports(OURS.tree, OURS.branch, kernel)
    else:
        assert looking(inbox).reports(OURS.tree, OURS.branch, kernel) == ()
    assert not any("DELETE" in request.split() for request in inbox.imap.requests)
