"""What an announcement says (KernelCI's procedure, step 2), and what people change of it before it goes out.

The text of past announcements is not known; the form follows the project's promotion pull requests: a summary of
one-line bullets rewritten for people, then links. How it reads as a mail is in `announcement_mail`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from kcibot_commands.rules.problem import RuleError, worded


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
    """A page worth opening, and what it is. RuleError for what is no address of a page."""

    label: str
    url: str

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://")) or any(letter <= " " for letter in self.url):
            raise RuleError(f"“{self.url}” is no address that starts with https:// or http://")
        if not self.label.strip():
            raise RuleError(f"{self.url} needs a few words that say what it is")


@dataclass(frozen=True, slots=True)
class Announcement:
    """All that the mail says. `opens` and `closes` bound the roll-out window; `comments_until` ends the comments.

    `release` names the release, `summary` is a line that a person put in front, `prepared_by` and `run` are for the
    footer, `audit_head` is the audit trail's hash then. Where an announcement of another revision went out before,
    `replaces` is when that was.
    """

    release: str
    opens: datetime
    closes: datetime
    comments_until: datetime
    sections: tuple[Section, ...]
    summary: str = ""
    contributors: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    prepared_by: str = ""
    run: str = ""
    audit_head: str = ""
    revision: int = 1
    replaces: datetime | None = None


# ---- editing ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """A bullet under the number that it keeps. `text` is what it says now, empty for one that is left out.

    `original` is what it said first: the commit's subject, or the line as somebody added it.
    """

    number: int
    component: str
    original: str
    text: str


@dataclass(frozen=True, slots=True)
class Edits:
    """What people changed. `reworded` is component, original -> text; `links` is label -> URL, empty to leave one out.

    Lines are known by what they said first, not by their number: so the edits of one revision fit the next.
    """

    summary: str = ""
    reworded: Mapping[tuple[str, str], str] = field(default_factory=dict)
    added: tuple[tuple[str, str], ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, value: object) -> "Edits":
        """From JSON as `written` makes it; no edits for anything else."""
        if not isinstance(value, dict):
            return cls()
        return cls(
            str(value.get("summary", "")),
            {(str(component), str(original)): str(text) for component, original, text in value.get("reworded", ())},
            tuple((str(component), str(text)) for component, text in value.get("added", ())),
            {str(label): str(url) for label, url in value.get("links", ())},
        )

    def written(self) -> dict[str, object]:
        """As JSON."""
        return {
            "summary": self.summary,
            "reworded": [[component, original, text] for (component, original), text in self.reworded.items()],
            "added": [list(one) for one in self.added],
            "links": [list(one) for one in self.links.items()],
        }


def numbered(announcement: Announcement, edits: Edits) -> tuple[Line, ...]:
    """Every bullet with its number (from 1), as `!announce edit` names them: those of the commits, then those added."""
    components = {section.component for section in announcement.sections}
    first = [(section.component, text) for section in announcement.sections for text in section.bullets]
    added = [(component, text) for component, text in edits.added if component in components]
    return tuple(
        Line(number, *one, edits.reworded.get(one, one[1])) for number, one in enumerate([*first, *added], start=1)
    )


def line(announcement: Announcement, edits: Edits, number: int) -> Line:
    """RuleError for a number that no line has."""
    lines = numbered(announcement, edits)
    if not 1 <= number <= len(lines):
        raise RuleError(f"there is no line {number}: the announcement has {worded(len(lines), 'line')}")
    return lines[number - 1]


def with_text(edits: Edits, changed: Line, text: str) -> Edits:
    """That line in other words; an empty text leaves it out, its original restores it."""
    others = {key: value for key, value in edits.reworded.items() if key != (changed.component, changed.original)}
    said = _one_line(text)
    kept = {} if said == changed.original else {(changed.component, changed.original): said}
    return replace(edits, reworded={**others, **kept})


def with_summary(edits: Edits, text: str) -> Edits:
    """Another line in front of all others; an empty text leaves none."""
    return replace(edits, summary=_one_line(text))


def with_line(announcement: Announcement, edits: Edits, component: str, text: str) -> Edits:
    """A line more below a component's. RuleError for a component that does not change, and a line that is there."""
    components = [section.component for section in announcement.sections]
    if component not in components:
        raise RuleError(f"the announcement says nothing of {component}, but of {', '.join(components)}")
    same = [
        one for one in numbered(announcement, edits) if (one.component, one.original) == (component, _one_line(text))
    ]
    if same:
        raise RuleError(f"that is line {same[0].number}; !announce restore {same[0].number} brings back what it said")
    return replace(edits, added=(*edits.added, (component, _one_line(text))))


def with_link(edits: Edits, label: str, url: str) -> Edits:
    """A page more, or another address for that label; an empty one leaves it out. RuleError for what is none."""
    return replace(edits, links={**edits.links, label: Link(label, url).url if url else ""})


def applied(announcement: Announcement, edits: Edits) -> Announcement:
    """The announcement as people want it. What they changed of lines that are gone has no effect."""
    lines = numbered(announcement, edits)
    sections = [
        replace(section, bullets=tuple(one.text for one in lines if one.component == section.component and one.text))
        for section in announcement.sections
    ]
    links = {**{link.label: link.url for link in announcement.links}, **edits.links}
    return replace(
        announcement,
        sections=tuple(sections),
        summary=edits.summary,
        links=tuple(Link(label, url) for label, url in links.items() if url),
    )


def without_effect(announcement: Announcement, edits: Edits) -> tuple[str, ...]:
    """What people wrote for lines that this announcement has no more: for them to see, not to be lost in silence."""
    lines = {(one.component, one.original) for one in numbered(announcement, edits)}
    components = {section.component for section in announcement.sections}
    gone = [
        f"{component}: {text or original}"
        for (component, original), text in edits.reworded.items()
        if (component, original) not in lines
    ]
    return (*gone, *(f"{component}: {text}" for component, text in edits.added if component not in components))


def _one_line(text: str) -> str:
    return " ".join(text.split())
