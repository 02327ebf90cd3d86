"""The announcement mail (KernelCI's procedure, step 2): what goes to production and when, as plain text.

The text of past announcements is not known; the form follows the project's promotion pull requests: a summary of
one-line bullets rewritten for people, then links. Everything here is settled when the plan is frozen, so that the
same announcement always renders to the same bytes.
"""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from kcibot_commands.rules.problem import RuleError, worded

WIDTH = 72
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Section:
    """One component: its tag, the release it replaces, how many commits lie between, and a line per change."""

    component: str
    tag: str
    previous: str
    commits: int
    bullets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A page worth opening, and what it is."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """All that the mail says. `opens` and `closes` bound the roll-out window; `comments_until` ends the comments.

    `release` names the release, `summary` holds lines a person put in front, `prepared_by` and `run` are for the
    footer, `audit_head` is the audit trail's hash then.
    """

    release: str
    opens: datetime
    closes: datetime
    comments_until: datetime
    sections: tuple[Section, ...]
    summary: tuple[str, ...] = ()
    contributors: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    prepared_by: str = ""
    run: str = ""
    audit_head: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Subject and body of the mail; the body's lines are at most 72 characters, except for what cannot be broken."""

    subject: str
    body: str


def moment(at: datetime) -> str:
    """`Fri 2019-05-10 09:00 UTC`, whatever the machine's locale and time zone."""
    if at.tzinfo is None:
        raise RuleError("a time without its time zone cannot be announced")
    utc = at.astimezone(UTC)
    return f"{_DAYS[utc.weekday()]} {utc.date().isoformat()} {utc.hour:02}:{utc.minute:02} UTC"


def render(announcement: Announcement) -> Rendered:
    """The mail as it is shown in the gate and sent."""
    subject = f"KernelCI production update {announcement.release}, {moment(announcement.opens)}"
    blocks = [_opening(announcement), _tags(announcement.sections)]
    blocks += [_section(section) for section in announcement.sections if section.bullets]
    blocks += [_contributors(announcement.contributors), _links(announcement.links), _footer(announcement)]
    return Rendered(subject, "\n\n".join("\n".join(block) for block in blocks if block) + "\n")


def _opening(announcement: Announcement) -> list[str]:
    first = "KernelCI production is going to be updated."
    times = [
        f"  Roll-out: {moment(announcement.opens)}",
        f"     until: {moment(announcement.closes)}",
        f"  Comments: until {moment(announcement.comments_until)}",
    ]
    ask = "If something in here should not go to production yet, please reply before then."
    summary = [line for text in announcement.summary for line in _bullet(text)]
    return [first, "", *times, "", *_wrapped(ask), *(["", "Summary:", ""] if summary else []), *summary]


def _tags(sections: Iterable[Section]) -> list[str]:
    tagged = [section for section in sections if section.tag]
    if not tagged:
        return []
    width = max(len(section.component) for section in tagged)
    return ["Tags:", "", *(f"  {section.component:{width}}  {section.tag}" for section in tagged)]


def _section(section: Section) -> list[str]:
    since = f" since {section.previous}" if section.previous else ""
    title = f"{section.component}: {worded(section.commits, 'commit')}{since}"
    return [title, "", *(line for text in section.bullets for line in _bullet(text))]


def _contributors(names: tuple[str, ...]) -> list[str]:
    if not names:
        return []
    return ["Contributors:", "", *_wrapped(", ".join(names), "  ", "  ")]


def _links(links: tuple[Link, ...]) -> list[str]:
    if not links:
        return []
    return ["Links:", "", *(line for link in links for line in (f"  {link.label}:", f"    {link.url}"))]


def _footer(announcement: Announcement) -> list[str]:
    said = [
        f"Prepared by {announcement.prepared_by}, sent by kcibot." if announcement.prepared_by else "Sent by kcibot.",
        f"Run: {announcement.run}" if announcement.run else "",
        f"Audit: {announcement.audit_head}" if announcement.audit_head else "",
    ]
    return ["-- ", *(line for line in said if line)]


def _bullet(text: str) -> list[str]:
    return _wrapped(text, "* ", "  ")


def _wrapped(text: str, first: str = "", others: str = "") -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


# ---- editing ---------------------------------------------------------------------------------------------------


def numbered(announcement: Announcement) -> tuple[tuple[int, str, str], ...]:
    """Every bullet with its number (from 1) and its component, as `!announce edit` names them."""
    every = ((section.component, text) for section in announcement.sections for text in section.bullets)
    return tuple((number, component, text) for number, (component, text) in enumerate(every, start=1))


def with_bullet(announcement: Announcement, number: int, text: str) -> Announcement:
    """The announcement with one bullet in other words; an empty text drops it. RuleError for an unknown number."""
    count = len(numbered(announcement))
    if not 1 <= number <= count:
        raise RuleError(f"there is no line {number}: the announcement has {worded(count, 'line')}")
    sections, start = [], 1
    for section in announcement.sections:
        edited = _replaced(section.bullets, number - start, text)
        sections.append(replace(section, bullets=edited))
        start += len(section.bullets)
    return replace(announcement, sections=tuple(sections))


def _replaced(lines: tuple[str, ...], index: int, text: str) -> tuple[str, ...]:
    if not 0 <= index < len(lines):
        return lines
    return lines[:index] + ((text.strip(),) if text.strip() else ()) + lines[index + 1 :]


def with_summary(announcement: Announcement, lines: Iterable[str]) -> Announcement:
    """The announcement with other lines in front."""
    return replace(announcement, summary=tuple(line.strip() for line in lines if line.strip()))
