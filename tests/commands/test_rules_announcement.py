"""The announcement mail."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html import unescape

import pytest

from kcibot_commands.rules.announcement import (
    Announcement,
    Edits,
    Link,
    Section,
    applied,
    line,
    numbered,
    with_line,
    with_link,
    with_summary,
    with_text,
    without_effect,
)
from kcibot_commands.rules.announcement_mail import WIDTH, moment, render, render_cancellation
from kcibot_commands.rules.problem import RuleError

NONE = Edits()

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
    for row in body.splitlines():
        assert len(row) <= WIDTH or "https://" in row
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


# ---- both forms ------------------------------------------------------------------------------------------------


def words(html: str) -> list[str]:
    """What is read of it."""
    return unescape(re.sub(r"<[^>]*>", " ", html)).split()


def test_both_forms_say_the_same_words():
    mail = render(replace(MAIL, summary="Builds are faster.", replaces=MAIL.opens, revision=2))
    assert words(mail.html.partition("<html>")[2]) == [word for word in mail.body.split() if word not in {"*", "--"}]


def test_nothing_that_people_wrote_becomes_html():
    evil = "<script>alert('x')</script> & \"quotes\""
    section = Section(evil, evil, evil, 1, (evil,))
    links = (Link(evil, "https://example.org/?a=<b>&c='d'\""),)
    mail = render(replace(MAIL, sections=(section,), summary=evil, contributors=(evil,), links=links, run=evil))
    tags = {tag.split()[0] for tag in re.findall(r"</?([^>]*)>", mail.html)}
    assert tags == {"!DOCTYPE", "html", "body", "p", "b", "table", "tr", "td", "ul", "li", "a", "hr", "br"}
    assert 'href="https://example.org/?a=&lt;b&gt;&amp;c=&#x27;d&#x27;&quot;"' in mail.html


@pytest.mark.parametrize("url", ["staging.kernelci.org", "javascript:alert(1)", "https://a b", "https://a\nb", ""])
def test_a_link_is_the_address_of_a_page(url):
    with pytest.raises(RuleError, match="no address"):
        Link("Staging", url)


def test_a_link_says_what_it_is():
    with pytest.raises(RuleError, match="a few words"):
        Link(" ", "https://example.org")


def test_a_later_revision_says_what_it_replaces():
    mail = render(replace(MAIL, revision=2, replaces=datetime(2019, 5, 9, 8, 0, tzinfo=UTC)))
    assert mail.subject == "KernelCI production update kernelci-20190510 (revision 2), Fri 2019-05-10 09:00 UTC"
    assert "going to be updated.\nThis replaces the announcement of Thu 2019-05-09 08:00 UTC.\n" in mail.body
    assert render(replace(MAIL, revision=2)).subject == render(MAIL).subject, "the first was never announced"


def test_a_cancellation_says_of_what_and_why():
    mail = render_cancellation("kernelci-20190510", MAIL.opens, "a <b>regression</b>", "the operator")
    assert mail.subject == "Called off: KernelCI production update kernelci-20190510"
    assert "Reason:\n\n* a <b>regression</b>\n" in mail.body
    assert "<li>a &lt;b&gt;regression&lt;/b&gt;</li>" in mail.html


# ---- edits -----------------------------------------------------------------------------------------------------


def said(announcement, edits):
    return [(line.number, line.component, line.text) for line in numbered(announcement, edits)]


def test_a_line_can_be_put_in_other_words_left_out_and_restored():
    third = line(MAIL, NONE, 3)
    assert (third.component, third.original, third.text) == ("kernelci-backend", "Fix test group order", third.original)
    reworded = with_text(NONE, third, " Test groups \n are in order ")
    assert said(MAIL, reworded)[2] == (3, "kernelci-backend", "Test groups are in order")
    assert applied(MAIL, reworded).sections[1].bullets == ("Test groups are in order",)
    dropped = with_text(reworded, line(MAIL, reworded, 1), "")
    assert [one.bullets for one in applied(MAIL, dropped).sections] == [(LONG,), ("Test groups are in order",), ()]
    assert [number for number, _component, _text in said(MAIL, dropped)] == [1, 2, 3]
    first = line(MAIL, dropped, 1)
    assert with_text(dropped, first, first.original) == reworded


@pytest.mark.parametrize("number", [0, 4, -1])
def test_an_unknown_line_is_refused(number):
    with pytest.raises(RuleError, match="3 lines"):
        line(MAIL, NONE, number)


def test_a_line_that_is_added_comes_last_in_its_component_and_has_the_next_number():
    more = with_line(MAIL, with_line(MAIL, NONE, "kernelci-core", "one more"), "kernelci-backend", "and another")
    assert said(MAIL, more)[3:] == [(4, "kernelci-core", "one more"), (5, "kernelci-backend", "and another")]
    assert applied(MAIL, more).sections[0].bullets == ("build.py: first", LONG, "one more")
    reworded = with_text(more, line(MAIL, more, 4), "one line more")
    assert applied(MAIL, reworded).sections[0].bullets[-1] == "one line more"
    with pytest.raises(RuleError, match="that is line 4"):
        with_line(MAIL, reworded, "kernelci-core", "one  more")
    with pytest.raises(RuleError, match="says nothing of linux"):
        with_line(MAIL, more, "linux", "a scheduler")


def test_people_can_put_a_line_in_front():
    body = render(applied(MAIL, with_summary(NONE, " Builds are  faster. "))).body
    assert "Summary:\n\n* Builds are faster.\n\nTags:" in body
    assert applied(MAIL, with_summary(with_summary(NONE, "x"), "")) == MAIL


def test_a_link_of_this_release_goes_beside_those_that_are_always_there():
    edits = with_link(NONE, "Tested", "https://example.org/1")
    assert [link.label for link in applied(MAIL, edits).links] == ["Staging results", "Tested"]
    assert [link.label for link in applied(MAIL, with_link(edits, "Staging results", "")).links] == ["Tested"]


def test_edits_go_with_their_lines_wherever_those_are_in_the_next_revision():
    edits = with_text(NONE, line(MAIL, NONE, 1), "the first line")
    edits = with_line(MAIL, with_text(edits, line(MAIL, edits, 3), "groups"), "kernelci-backend", "more")
    core = replace(MAIL.sections[0], bullets=("a new one", "build.py: first"))
    following = replace(MAIL, sections=(core,))
    assert applied(following, edits).sections[0].bullets == ("a new one", "the first line")
    assert without_effect(following, edits) == ("kernelci-backend: groups", "kernelci-backend: more")
    assert without_effect(MAIL, edits) == ()


def test_edits_are_read_as_they_were_written():
    edits = with_line(MAIL, with_text(NONE, line(MAIL, NONE, 1), ""), "kernelci-core", "more")
    edits = with_link(with_summary(edits, "a quiet week"), "Tested", "https://example.org")
    assert Edits.read(json.loads(json.dumps(edits.written()))) == edits
    assert Edits.read(None) == Edits.read({}) == NONE
