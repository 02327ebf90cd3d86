"""The announcement as a mail: plain text, and HTML that says the same lines.

Both are made of the same blocks, so that neither says more than the other; what came from commits and people is
escaped. The same announcement always renders to the same bytes.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from html import escape
from typing import assert_never

from kcibot_commands.rules.announcement import Announcement, Section
from kcibot_commands.rules.problem import RuleError, worded

WIDTH = 72
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Rendered:
    """Subject and body of the mail; the text's lines are at most 72 characters, except for what cannot be broken."""

    subject: str
    body: str
    html: str


class _Form(Enum):
    """How the rows of a block are shown: a paragraph each, pairs in two columns, a list, links, the mail's end."""

    PLAIN = auto()
    TIMES = auto()
    PAIRS = auto()
    LIST = auto()
    NAMES = auto()
    LINKS = auto()
    FOOTER = auto()


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows of one kind, of one or two cells, below a heading or without one."""

    form: _Form
    rows: tuple[tuple[str, ...], ...]
    heading: str = ""


def moment(at: datetime) -> str:
    """`Fri 2019-05-10 09:00 UTC`, whatever the machine's locale and time zone."""
    if at.tzinfo is None:
        raise RuleError("a time without its time zone cannot be announced")
    utc = at.astimezone(UTC)
    return f"{_DAYS[utc.weekday()]} {utc.date().isoformat()} {utc.hour:02}:{utc.minute:02} UTC"


def render(announcement: Announcement) -> Rendered:
    """The mail as it is shown in the gate and sent."""
    again = f" (revision {announcement.revision})" if announcement.replaces else ""
    subject = f"KernelCI production update {announcement.release}{again}, {moment(announcement.opens)}"
    return _rendered(subject, _blocks(announcement))


def render_cancellation(release: str, opens: datetime, reason: str, prepared_by: str) -> Rendered:
    """The mail that follows an announcement whose release is called off."""
    what = f"The update of KernelCI production to {release} is called off. It was announced for {moment(opens)}."
    then = "What it would have brought will be announced again before it goes to production."
    blocks = (
        _Block(_Form.PLAIN, ((what,),)),
        _Block(_Form.LIST, ((reason,),), "Reason:"),
        _Block(_Form.PLAIN, ((then,),)),
        _Block(_Form.FOOTER, ((f"Prepared by {prepared_by}, sent by kcibot.",),)),
    )
    return _rendered(f"Called off: KernelCI production update {release}", blocks)


def render_report(
    subject: str, opening: str, sections: Sequence[tuple[str, Sequence[str]]], prepared_by: str
) -> Rendered:
    """The mail that follows a release: what happened, by headings, of which some may be empty."""
    blocks = (
        _Block(_Form.PLAIN, ((opening,),)),
        *(_Block(_Form.LIST, tuple((line,) for line in lines), f"{head}:" if head else "") for head, lines in sections),
        _Block(_Form.FOOTER, ((f"Released by {prepared_by}, sent by kcibot.",),)),
    )
    return _rendered(subject, blocks)


def _rendered(subject: str, blocks: Iterable[_Block]) -> Rendered:
    full = [block for block in blocks if block.rows]
    body = "\n\n".join("\n".join(_text(block)) for block in full) + "\n"
    html = "\n".join(["<!DOCTYPE html>", "<html><body>", *(row for block in full for row in _html(block))])
    return Rendered(subject, body, f"{html}\n</body></html>\n")


# ---- what it says ----------------------------------------------------------------------------------------------


def _blocks(announcement: Announcement) -> tuple[_Block, ...]:
    return (
        _Block(_Form.PLAIN, _opening(announcement)),
        _Block(_Form.TIMES, _times(announcement)),
        _Block(
            _Form.PLAIN,
            (("If something in here should not go to production yet, please reply before then.",),),
        ),
        _Block(_Form.LIST, ((announcement.summary,),) if announcement.summary else (), "Summary:"),
        _Block(_Form.PAIRS, tuple((one.component, one.tag) for one in announcement.sections if one.tag), "Tags:"),
        *(_section(section) for section in announcement.sections),
        _Block(
            _Form.NAMES,
            ((", ".join(announcement.contributors),),) if announcement.contributors else (),
            "Contributors:",
        ),
        _Block(_Form.LINKS, tuple((link.label, link.url) for link in announcement.links), "Links:"),
        _Block(_Form.FOOTER, _footer(announcement)),
    )


def _opening(announcement: Announcement) -> tuple[tuple[str, ...], ...]:
    first = ("KernelCI production is going to be updated.",)
    if announcement.replaces is None:
        return (first,)
    return (first, (f"This replaces the announcement of {moment(announcement.replaces)}.",))


def _times(announcement: Announcement) -> tuple[tuple[str, ...], ...]:
    return (
        ("Roll-out:", moment(announcement.opens)),
        ("until:", moment(announcement.closes)),
        ("Comments:", f"until {moment(announcement.comments_until)}"),
    )


def _section(section: Section) -> _Block:
    since = f" since {section.previous}" if section.previous else ""
    heading = f"{section.component}: {worded(section.commits, 'commit')}{since}"
    return _Block(_Form.LIST, tuple((text,) for text in section.bullets), heading)


def _footer(announcement: Announcement) -> tuple[tuple[str, ...], ...]:
    said = (
        f"Prepared by {announcement.prepared_by}, sent by kcibot." if announcement.prepared_by else "Sent by kcibot.",
        f"Run: {announcement.run}" if announcement.run else "",
        f"Audit: {announcement.audit_head}" if announcement.audit_head else "",
    )
    return tuple((row,) for row in said if row)


# ---- as text ---------------------------------------------------------------------------------------------------


def _text(block: _Block) -> list[str]:
    heading = [block.heading, ""] if block.heading else []
    return [*heading, *_text_rows(block)]


def _text_rows(block: _Block) -> list[str]:
    wide = max(len(row[0]) for row in block.rows)
    match block.form:
        case _Form.PLAIN:
            return [line for (text,) in block.rows for line in _wrapped(text)]
        case _Form.TIMES:
            return [f"  {name:>{wide}} {value}" for name, value in block.rows]
        case _Form.PAIRS:
            return [f"  {name:{wide}}  {value}" for name, value in block.rows]
        case _Form.LIST:
            return [line for (text,) in block.rows for line in _wrapped(text, "* ", "  ")]
        case _Form.NAMES:
            return [line for (text,) in block.rows for line in _wrapped(text, "  ", "  ")]
        case _Form.LINKS:
            return [line for label, url in block.rows for line in (f"  {label}:", f"    {url}")]
        case _Form.FOOTER:
            return ["-- ", *(row[0] for row in block.rows)]
        case _:
            assert_never(block.form)


def _wrapped(text: str, first: str = "", others: str = "") -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


# ---- as HTML ---------------------------------------------------------------------------------------------------


def _html(block: _Block) -> list[str]:
    heading = [f"<p><b>{escape(block.heading)}</b></p>"] if block.heading else []
    return [*heading, *_html_rows(block)]


def _html_rows(block: _Block) -> list[str]:
    cells = [tuple(escape(cell) for cell in row) for row in block.rows]
    match block.form:
        case _Form.PLAIN | _Form.NAMES:
            return [f"<p>{text}</p>" for (text,) in cells]
        case _Form.TIMES | _Form.PAIRS:
            return ["<table>", *(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in cells), "</table>"]
        case _Form.LIST:
            return ["<ul>", *(f"<li>{text}</li>" for (text,) in cells), "</ul>"]
        case _Form.LINKS:
            return ["<ul>", *(f'<li>{label}: <a href="{url}">{url}</a></li>' for label, url in cells), "</ul>"]
        case _Form.FOOTER:
            return ["<hr>", f"<p>{'<br>'.join(row[0] for row in cells)}</p>"]
        case _:
            assert_never(block.form)
