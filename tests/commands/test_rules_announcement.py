"""The announcement mail."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kcibot_commands.rules.announcement import (
    WIDTH,
    Announcement,
    Link,
    Section,
    moment,
    numbered,
    render,
    with_bullet,
    with_summary,
)
from kcibot_commands.rules.problem import RuleError

LONG = "dockerfiles: " + "add " * 30 + "https://storage.kernelci.org/images/rootfs/debian/stretch-igt/20190510.0/armhf/"
MAIL = Announcement(
    release="kernelci-20190510",
    opens=datetime(2019, 5, 10, 9, 0, tzinfo=UTC),
    closes=datetime(2019, 5, 10, 15, 0, tzinfo=UTC),
    comments_until=datetime(2019, 5, 10, 8, 30, tzinfo=UTC),
    sections=(
        Section("kernelci-core", "kernelci-20190510", "kernelci-20190506.1", 2, ("build.py: first", LONG)),
        Section("kernelci-backend", "2019.5.1", "2019.5.0", 1, ("Fix test group order",)),
        Section("kernelci-frontend", "", "2018.9", 0, ()),
    ),
    contributors=("A. First", "B. Second"),
    links=(Link("Staging results", "https://staging.kernelci.org/job/kernelci/branch/staging.kernelci.org/"),),
    prepared_by="the operator",
    run="release-7",
    audit_head="0123abcd",
)


def test_the_mail_says_when_what_and_by_whom():
    mail = render(MAIL)
    assert mail.subject == "KernelCI production update kernelci-20190510, Fri 2019-05-10 09:00 UTC"
    assert mail.body.startswith(
        """\
KernelCI production is going to be updated.

  Roll-out: Fri 2019-05-10 09:00 UTC
     until: Fri 2019-05-10 15:00 UTC
  Comments: until Fri 2019-05-10 08:30 UTC

If something in here should not go to production yet, please reply
before then.

Tags:

  kernelci-core     kernelci-20190510
  kernelci-backend  2019.5.1

kernelci-core: 2 commits since kernelci-20190506.1

* build.py: first
* dockerfiles: add add"""
    )
    assert "kernelci-backend: 1 commit since 2019.5.0\n\n* Fix test group order\n\nContributors:" in mail.body
    assert mail.body.endswith("-- \nPrepared by the operator, sent by kcibot.\nRun: release-7\nAudit: 0123abcd\n")
    assert "frontend" not in mail.body


def test_lines_are_short_but_urls_stay_whole():
    body = render(MAIL).body
    for line in body.splitlines():
        assert len(line) <= WIDTH or "https://" in line
    assert "https://storage.kernelci.org/images/rootfs/debian/stretch-igt/20190510.0/armhf/" in body


def test_times_are_absolute_and_in_utc():
    assert moment(datetime(2019, 5, 10, 1, 30, tzinfo=timezone(timedelta(hours=2)))) == "Thu 2019-05-09 23:30 UTC"
    with pytest.raises(RuleError):
        moment(datetime(2019, 5, 10, 1, 30))  # noqa: DTZ001  # that is the point


def test_an_announcement_with_little_to_say_is_short():
    small = Announcement("kernelci-20190510", MAIL.opens, MAIL.closes, MAIL.comments_until, ())
    assert render(small).body.endswith("please reply\nbefore then.\n\n-- \nSent by kcibot.\n")


def test_the_same_announcement_is_the_same_text():
    assert render(MAIL) == render(MAIL)


def test_a_line_can_be_put_in_other_words_or_dropped():
    assert numbered(MAIL)[2] == (3, "kernelci-backend", "Fix test group order")
    reworded = with_bullet(MAIL, 3, " Test groups are in order ")
    assert numbered(reworded)[2] == (3, "kernelci-backend", "Test groups are in order")
    assert numbered(with_bullet(MAIL, 1, "")) == (
        (1, "kernelci-core", LONG),
        (2, "kernelci-backend", "Fix test group order"),
    )
    assert with_bullet(MAIL, 3, "x").sections[0] == MAIL.sections[0]


@pytest.mark.parametrize("number", [0, 4, -1])
def test_an_unknown_line_is_refused(number):
    with pytest.raises(RuleError, match="3 lines"):
        with_bullet(MAIL, number, "x")


def test_people_can_put_lines_in_front():
    body = render(with_summary(MAIL, ["Builds are faster.", "  "])).body
    assert "Summary:\n\n* Builds are faster.\n\nTags:" in body
