"""Report mails: what their subjects say, when each is due, and what one that came, or did not, means."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from kcibot.errors import ConfigError
from kcibot_commands.pipecleaner.mails import MailsSettings
from kcibot_commands.rules.report_mails import Arrived, Known, Needed, judged, shown
from kcibot_commands.rules.report_subjects import Subject, read_subject
from kcibot_commands.rules.results import Mail, MailState

ENDED = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GRACE = MailsSettings().grace
PLANS_2019 = ("v4l2-compliance-vivid", "v4l2-compliance-uvc", "igt", "sleep")

# ---- subjects --------------------------------------------------------------------------------------------------

BUILD = "stable-rc/linux-5.15.y build: 179 builds: 4 failed,\n 175 passed (v5.15.29-26-g1d4b468d2e8df)"
REAL = {
    BUILD: Subject("build", "stable-rc", "linux-5.15.y", "v5.15.29-26-g1d4b468d2e8df"),
    "arm64/for-kernelci build: 3 builds: 1 failed, 2 passed,\n 1 error (v5.6-rc6-67-gcf89e8c383a6)": Subject(
        "build", "arm64", "for-kernelci", "v5.6-rc6-67-gcf89e8c383a6"
    ),
    "pm/testing build: 7 builds: 0 failed, 7 passed, 1 warning (v5.18-rc7-185-g0f360c018be3)": Subject(
        "build", "pm", "testing", "v5.18-rc7-185-g0f360c018be3"
    ),
    "stable-rc/queue/5.10 build: 183 builds: 45 failed, 138 passed,\r\n 1170 errors, 699 warnings (v5.10.103)": Subject(
        "build", "stable-rc", "queue/5.10", "v5.10.103"
    ),
    "kernelci/staging.kernelci.org boot: 89 boots: 1 failed, 87 passed with 1 untried/unknown (v5.2-rc3-38-gfb9e)": (
        Subject("boot", "kernelci", "staging.kernelci.org", "v5.2-rc3-38-gfb9e")
    ),
    "stable-rc/linux-4.4.y boot: 94 boots: 3 failed, 80 passed with 10 offline, 1 conflict (v4.4.196)": Subject(
        "boot", "stable-rc", "linux-4.4.y", "v4.4.196"
    ),
    "next/master boot: 1 boot: 0 failed, 1 passed (next-20190930) - lab-baylibre": Subject(
        "boot", "next", "master", "next-20190930", lab="lab-baylibre"
    ),
    "media/master v4l2-compliance on uvcvideo: 52 tests,\n 0 regressions (v5.2-rc2-121-g878344de61d0)": Subject(
        "test", "media", "master", "v5.2-rc2-121-g878344de61d0", "v4l2-compliance-uvc"
    ),
    "media/master v4l2-compliance on vivid: 236 tests, 0 regressions (media_v5.1-2-16-gfc8670d1f72b)": Subject(
        "test", "media", "master", "media_v5.1-2-16-gfc8670d1f72b", "v4l2-compliance-vivid"
    ),
    "stable-rc/queue/5.8 baseline: 175 runs,\n 4 regressions (v5.8.9-176-g68ffab81c30e)": Subject(
        "test", "stable-rc", "queue/5.8", "v5.8.9-176-g68ffab81c30e", "baseline"
    ),
    "kselftest/next kselftest-livepatch: 1 runs, 1 regressions (v6.6-rc2-2-g078a2ead544c)": Subject(
        "test", "kselftest", "next", "v6.6-rc2-2-g078a2ead544c", "kselftest-livepatch"
    ),
}


@pytest.mark.parametrize(("text", "said"), REAL.items(), ids=[f"{one.kind} {one.tree}" for one in REAL.values()])
def test_subjects_that_kernelci_really_sent_are_understood(text: str, said: Subject) -> None:
    assert read_subject(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "media/master v4l2-compliance on vivid: 236 tests",
        f"Re: {BUILD}",
        "next build: 0 failed, 10 passed (next-20150401)",
        "kernelci/main build: many builds: 0 failed, 3 passed (v5.10)",
        "kernelci/main baseline: 3 runs, 1 regressions",
        "kernelci/main baseline: 3 runs, 1 regressions (v5.10) and more",
        f"{'a' * 50_000}/b: 1 tests, {'(' * 50_000}",
    ],
    ids=range(8),
)
def test_what_is_no_report_s_subject_is_none(text: str) -> None:
    assert read_subject(text) is None


# ---- when they are due -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "name", "delay"),
    [
        ("gtucker", "build", timedelta(seconds=60)),
        ("gtucker", "boot", timedelta(seconds=1800)),
        *(("gtucker", plan, timedelta(seconds=2700)) for plan in PLANS_2019),
        ("mainline", "build", timedelta(seconds=10)),
        ("mainline", "boot", timedelta(seconds=12600)),
        ("kernelci", "build", timedelta()),
        ("kernelci", "baseline-uefi", timedelta(seconds=1800)),
        ("kernelci", "v4l2-compliance-uvc", timedelta(seconds=2700)),
        ("kernelci", "igt", timedelta(seconds=2700)),
        ("kernelci", "sleep", timedelta(seconds=3600)),
    ],
)
def test_every_tree_has_its_own_delays(tree: str, name: str, delay: timedelta) -> None:
    assert MailsSettings().schedule(tree).delay(name) == delay


def test_the_backend_cuts_a_long_delay() -> None:
    settings = MailsSettings(delays={"kernelci": {"build": timedelta(days=2)}})
    assert settings.schedule("kernelci").delay("build") == timedelta(seconds=18000)
    assert settings.schedule("another").delay("build") == timedelta(seconds=3600)


def known(minutes: float, **more: object) -> Known:
    """So many minutes after the builds."""
    return Known(ended=ENDED, now=ENDED + minutes * MINUTE, **{"api": {}, **more})  # type: ignore[arg-type]


def state(kind: str, mails: tuple[Mail, ...], plan: str = "") -> MailState:
    (found,) = [one.state for one in mails if (one.kind, one.plan) == (kind, plan)]
    return found


def note(mails: tuple[Mail, ...], kind: str = "build") -> str:
    (found,) = [one.note for one in mails if one.kind == kind]
    return found


GTUCKER = MailsSettings(needed=(Needed.BUILD, Needed.BOOT)).schedule("gtucker")
KERNELCI = MailsSettings().schedule("kernelci")


@pytest.mark.parametrize(
    ("minutes", "api", "build", "boot"),
    [
        (0, {}, "waiting", "waiting"),
        (15.9, {}, "waiting", "waiting"),
        (16, {}, "missing", "waiting"),
        (44.9, {"build": "SENT"}, "seen", "waiting"),
        (45, {"build": "SENT"}, "seen", "missing"),
        (45, {"build": "SENT", "boot": "ERROR"}, "seen", "error"),
        (1, {"build": "ERROR", "boot": "SENT"}, "error", "seen"),
    ],
)
def test_a_mail_is_waited_for_until_its_delay_and_the_grace_are_over(
    minutes: float, api: dict[str, str], build: str, boot: str
) -> None:
    found = judged(GTUCKER, known(minutes, api=api))
    assert (state("build", found), state("boot", found)) == (build, boot)


def test_times_of_other_zones_are_the_same_times() -> None:
    there = timezone(timedelta(hours=-8))
    found = judged(GTUCKER, replace(known(0), ended=ENDED.astimezone(there)))
    assert shown(found)[:2] == ("build mail due 14:01 UTC", "boot mail due 14:30 UTC")


def test_boot_mails_are_demanded_where_they_are_configured() -> None:
    assert [one.kind for one in judged(KERNELCI, known(600)) if one.kind != "test"] == ["build"]
    assert state("boot", judged(KERNELCI, known(0, api={"boot": "SENT"}))) is MailState.SEEN, "it is shown all the same"
    assert [one.kind for one in judged(MailsSettings().schedule("another"), known(600))] == ["build"]


def test_the_build_mail_is_always_demanded() -> None:
    with pytest.raises(ConfigError, match="does not hold build"):
        MailsSettings(needed=(Needed.BOOT,))
    with pytest.raises(ConfigError, match="number of architectures, or 0"):
        MailsSettings(done_files=-1)


# ---- test plans ------------------------------------------------------------------------------------------------


def test_all_plans_share_one_entry_of_the_api_so_that_no_single_one_is_proven_by_it() -> None:
    sent = judged(KERNELCI, known(5, api={"build": "SENT", "test": "SENT"}))
    assert [(one.kind, one.plan, one.state) for one in sent] == [
        ("build", "", MailState.SEEN),
        ("test", "", MailState.SEEN),
    ]
    assert note(sent, "test") == "of at least one plan; the results API does not tell which"
    none = judged(KERNELCI, known(45 + 14))
    assert state("test", none) is MailState.WAITING, "until the last plan's is due"
    assert state("test", judged(KERNELCI, known(60))) is MailState.MISSING


def test_the_mailbox_tells_of_each_plan() -> None:
    came = (arrived("build", 0), arrived("test", 30, "baseline"), arrived("test", 31, "baseline-uefi"))
    found = judged(KERNELCI, known(50, api={"build": "SENT", "test": "SENT"}, inbox=came))
    assert {one.plan: one.state.value for one in found if one.kind == "test"} == {
        "baseline": "seen",
        "baseline-uefi": "seen",
        "v4l2*": "waiting",
        "igt": "waiting",
    }
    late = judged(KERNELCI, known(60, inbox=came))
    assert state("test", late, "igt") is MailState.MISSING
    assert shown(late)[1:] == (
        "test mails of baseline, baseline-uefi seen",
        "test mails of v4l2*, igt missing, were due 14:45 UTC",
    )


def test_a_plan_that_nobody_expected_is_shown_and_one_without_a_name_too() -> None:
    found = judged(KERNELCI, known(90, inbox=(arrived("test", 1, "ltp"), arrived("test", 2), arrived("bisect", 3))))
    assert state("test", found, "ltp") is MailState.SEEN
    assert [one.note for one in found if one.state is MailState.SEEN and not one.plan] == ["its subject names no plan"]
    assert "bisect" not in {one.kind for one in found}


def arrived(kind: str, minutes: float, plan: str = "") -> Arrived:
    return Arrived(kind, plan, ENDED + minutes * MINUTE)


# ---- the mailbox and the API -----------------------------------------------------------------------------------


def test_what_lies_in_the_mailbox_counts_and_what_the_api_says_otherwise_is_told() -> None:
    came = (arrived("build", 1),)
    assert (state("build", judged(KERNELCI, known(2, api={"build": "SENT"}, inbox=came)))) is MailState.SEEN
    assert note(judged(KERNELCI, known(2, api={"build": "SENT"}, inbox=came))) == ""
    error = judged(KERNELCI, known(2, api={"build": "ERROR"}, inbox=came))
    assert (state("build", error), note(error)) == (MailState.SEEN, "the results API says ERROR")
    unknown = judged(KERNELCI, known(2, inbox=came))
    assert (state("build", unknown), note(unknown)) == (MailState.SEEN, "the results API knows nothing of it")


def test_a_mail_that_the_api_sent_and_nobody_got_is_missing_after_its_time() -> None:
    early, late = (judged(KERNELCI, known(at, api={"build": "SENT"}, inbox=())) for at in (5, 15))
    assert (state("build", early), state("build", late)) == (MailState.WAITING, MailState.MISSING)
    assert note(late) == "the results API says that it was sent"
    assert state("build", judged(KERNELCI, known(5, api={"build": "ERROR"}, inbox=()))) is MailState.ERROR


def test_a_mailbox_that_cannot_be_seen_is_unknown_and_never_missing_or_seen() -> None:
    trouble = "The mail folder INBOX on imap.example.org refused the login"
    early, late = (judged(KERNELCI, known(at, api={"build": "SENT"}, trouble=trouble)) for at in (5, 15))
    assert (state("build", early), state("build", late)) == (MailState.WAITING, MailState.UNKNOWN)
    assert note(late) == f"{trouble}; the results API says SENT"


# ---- a kernel that is built again ------------------------------------------------------------------------------


def again(hours: float, minutes: float = 600, **more: object) -> Known:
    """Its builds ended so many hours before, too."""
    return known(minutes, before=ENDED - timedelta(hours=hours), **more)


def test_within_a_day_the_earlier_build_s_mail_is_the_one_that_counts() -> None:
    found = judged(KERNELCI, again(3, api={"build": "SENT"}, inbox=(arrived("build", -180),)))
    assert state("build", found) is MailState.SEEN
    assert note(found) == "one for both builds of this kernel: it was built before, until Mon 23 Nov 11:00 UTC"
    by_api = judged(KERNELCI, again(3, api={"build": "SENT"}))
    assert (state("build", by_api), note(by_api)) == (MailState.SEEN, note(found))
    both = (arrived("build", -180), arrived("build", 1))
    assert note(judged(KERNELCI, again(3, api={"build": "SENT"}, inbox=both))) == "", "two came"


def test_after_a_day_a_new_mail_must_come() -> None:
    old = (arrived("build", -48 * 60),)
    found = judged(KERNELCI, again(48, api={"build": "SENT"}, inbox=old))
    assert state("build", found) is MailState.MISSING
    assert note(found) == "the one of Sat 21 Nov 14:00 UTC is of an earlier build"
    assert state("build", judged(KERNELCI, again(48, 5, inbox=old))) is MailState.WAITING
    assert state("build", judged(KERNELCI, known(600, inbox=old))) is MailState.MISSING, "also if a person built it"


def test_after_a_day_the_api_s_entry_may_be_of_the_earlier_build() -> None:
    early, late = (judged(KERNELCI, again(48, minutes, api={"build": "SENT"})) for minutes in (5, 15))
    assert (state("build", early), state("build", late)) == (MailState.WAITING, MailState.UNKNOWN)
    assert note(late) == "what the results API says may be of the earlier build, until Sat 21 Nov 14:00 UTC"
    assert state("build", judged(KERNELCI, again(48, api={"build": "ERROR"}))) is MailState.ERROR
    with_files = judged(replace(KERNELCI, done_files=4), again(48, api={"build": "SENT"}))
    assert state("build", with_files) is MailState.SEEN, "there is one, ever"


def test_a_mail_that_is_missing_since_an_identical_one_is_refused_is_explained() -> None:
    found = judged(KERNELCI, again(3))
    assert state("build", found) is MailState.MISSING
    assert note(found) == (
        "this kernel was built before, until Mon 23 Nov 11:00 UTC, "
        "and the backend refuses an identical mail within a day"
    )
    assert note(judged(KERNELCI, again(30))) == ""


def test_with_done_files_a_kernel_s_mails_come_once_however_long_ago() -> None:
    schedule = replace(GTUCKER, done_files=4)
    found = judged(schedule, again(72, api={"build": "SENT"}, inbox=(arrived("build", -72 * 60),)))
    assert state("build", found) is MailState.SEEN
    assert note(found).startswith("one for both builds of this kernel")
    none = judged(schedule, again(72, inbox=()))
    assert state("build", none) is MailState.MISSING
    assert note(none).endswith("and kernel-arch-complete sends its mails in the first run alone")


def test_with_done_files_fewer_architectures_get_no_mail_at_all() -> None:
    schedule = replace(GTUCKER, done_files=4)
    few = judged(schedule, known(600, architectures=3))
    assert (state("build", few), state("boot", few)) == (MailState.MISSING, MailState.MISSING)
    assert note(few) == ("kernel-arch-complete sends mails when 4 architectures are done, and this kernel has 3")
    for architectures in (0, 4, 7):
        assert note(judged(schedule, known(600, architectures=architectures))) == ""
    assert note(judged(GTUCKER, known(600, architectures=3))) == ""


# ---- in words --------------------------------------------------------------------------------------------------


def test_states_are_said_in_clauses() -> None:
    assert shown(judged(KERNELCI, known(0))) == ("build mail due 14:00 UTC", "test mails due 14:45 UTC")
    assert shown(judged(KERNELCI, known(70, api={"build": "SENT"}))) == (
        "build mail seen",
        "test mails missing, were due 14:45 UTC",
    )
    assert shown(judged(KERNELCI, known(5, api={"build": "ERROR", "test": "SENT"}))) == (
        "build mail could not be sent",
        "test mails seen",
    )
    assert shown(judged(KERNELCI, known(600, trouble="it refused the login")))[0] == (
        "build mail not known (it refused the login)"
    )
