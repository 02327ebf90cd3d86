"""How IRC shows a notice: a few short lines, the essence first, and what is left for `!more`."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from kcibot.chat.console_render import MARKS as CONSOLE_MARKS
from kcibot.chat.console_render import clean
from kcibot.chat.irc.lines import BOLD
from kcibot.chat.irc.split import split
from kcibot.core.notice import Button, Level, Notice, Progress
from kcibot.core.sparkline import sparklines

MARKS = {**CONSOLE_MARKS, Level.WARNING: "(!) ", Level.ALERT: "(!!) "}
"""As in a terminal, but that no line begins with the sign of a command."""
WIDEST = 380
"""Bytes of a line. What a server puts before it leaves about that much of 512, even with a long name of ours."""
BETWEEN = " · "
REASONED = ("!reject ",)
"""What is answered with a question unless it is typed with a reason."""
OURS = "!"
HARMLESS = "· "
MORE = "!more"


@dataclass(frozen=True, slots=True)
class IrcText:
    """What is said at once, and what `!more` would show."""

    lines: tuple[str, ...]
    rest: tuple[str, ...] = ()


def lines(notice: Notice, mention: Callable[[str], str], longest: int) -> IrcText:
    """At most `longest` lines of at most WIDEST bytes; the last one of a prompt says how to answer.

    A card is one line and has no rest, so that it never takes the place of a prompt's. `mention` gives the name by
    which the network calls a person, empty if it does not know them: those are not addressed, for the same name may be
    somebody else's there. Nothing that people wrote can colour, hide or turn around what is said.
    """
    text = _text(notice, _names(notice.mentions, mention), longest)
    return IrcText(tuple(map(_harmless, text.lines)), tuple(map(_harmless, text.rest)))


def _text(notice: Notice, names: str, longest: int) -> IrcText:
    if _is_card(notice):
        return IrcText((_card(notice),))
    if (notice.brief and not _is_prompt(notice)) or longest == 1:
        return _one_line(notice, names)
    return _prompt(notice, names, longest) if _is_prompt(notice) else _told(notice, names, longest)


def _harmless(line: str) -> str:
    """Another bot in the channel must not take a line of ours for a command, and answer it."""
    return HARMLESS + line if line.lstrip(BOLD).startswith(OURS) else line


def _is_prompt(notice: Notice) -> bool:
    return notice.level is Level.PROMPT and bool(notice.buttons)


def _is_card(notice: Notice) -> bool:
    """What is edited in place elsewhere. An open prompt is, too, but people must see what they approve."""
    return bool(notice.brief and notice.milestone) and not _is_prompt(notice)


def _card(notice: Notice) -> str:
    done = (_count(notice.progress),) if notice.progress else ()
    return _first(BETWEEN.join((_essence(notice), *done)), WIDEST)


def _essence(notice: Notice) -> str:
    return MARKS[notice.level] + (clean(notice.brief).strip() or clean(notice.title).strip() or "…")


def _one_line(notice: Notice, names: str) -> IrcText:
    """The essence, and how much more there is."""
    body = _body(notice)
    text = _called(names) + _essence(notice)
    if len(text.encode()) + len(_left(len(body)).encode()) > WIDEST:
        body = (*_pieces((text,)), *body)
    left = _left(len(body))
    return IrcText((_first(text, WIDEST - len(left.encode())) + left,), body)


def _prompt(notice: Notice, names: str, longest: int) -> IrcText:
    """What it is about in the order in which it was given, then whom it asks and what they type."""
    title, *further = _title(notice)
    body, room = (*further, *_body(notice)), longest - 2
    if len(body) > room:
        body = (*further, *_fields(notice), *_pieces(_joined(_about(notice))))
    answer = " or ".join(map(_typed, notice.buttons)) + _left(len(body) - room)
    asked = _first(names or "Answer", WIDEST - len(f": {answer}".encode()))
    return IrcText((f"{BOLD}{title}{BOLD}", *body[:room], f"{asked}: {answer}"), body[room:])


def _typed(button: Button) -> str:
    command = clean(button.command)
    return f"{command} REASON" if command.startswith(REASONED) else command


def _told(notice: Notice, names: str, longest: int) -> IrcText:
    """An answer that is but a title needs no emphasis; one line of explanation goes behind the title."""
    title, *further = _title(notice, _called(names))
    body = (*further, *_body(notice))
    head = _called(names) + (f"{BOLD}{title}{BOLD}" if body or notice.level is not Level.INFO else title)
    if len(body) == 1 and not further and len(f"{head}{BETWEEN}{body[0]}".encode()) <= WIDEST:
        return IrcText((f"{head}{BETWEEN}{body[0]}",))
    if len(body) < longest:
        return IrcText((head, *body))
    room = longest - 2
    return IrcText((head, *body[:room], _left(len(body) - room).strip(" ()")), body[room:])


def _title(notice: Notice, lead: str = "") -> tuple[str, ...]:
    """In pieces, if it is longer than a line has room."""
    most = max(WIDEST // 2, WIDEST - len(lead.encode()) - 2 * len(BOLD))
    return tuple(split(MARKS[notice.level] + (clean(notice.title).strip() or "…"), most))


def _left(count: int) -> str:
    return f" (… {count} more {'line' if count == 1 else 'lines'}: {MORE})" if count > 0 else ""


def _names(persons: Iterable[str], mention: Callable[[str], str]) -> str:
    """Those who are known there, as far as they go into half a line."""
    names = ", ".join(dict.fromkeys(name for name in (clean(mention(person)).strip() for person in persons) if name))
    return _first(names, WIDEST // 2)


def _called(names: str) -> str:
    return f"{names}: " if names else ""


# ---- what explains it ------------------------------------------------------------------------------------------


def _body(notice: Notice) -> tuple[str, ...]:
    """Everything below the title, in lines that fit."""
    told = (*_fields(notice), *_pieces(_about(notice)))
    said = " ".join((clean(notice.title), *told))
    return told if _is_prompt(notice) else (*told, *_pieces(_joined(_buttons(notice.buttons, said))))


def _fields(notice: Notice) -> tuple[str, ...]:
    return _pieces(_joined(f"{clean(field.name)}: {clean(field.value)}" for field in notice.fields))


def _about(notice: Notice) -> Iterator[str]:
    yield from _folded(notice.lines)
    if notice.picture:
        yield from map(clean, sparklines(notice.picture))
    if notice.progress:
        yield _count(notice.progress)


def _buttons(buttons: Iterable[Button], said: str) -> Iterator[str]:
    """Those whose command was not said already."""
    for button in buttons:
        command = clean(button.command)
        if not re.search(re.escape(command) + r"(?![\w-])", said):
            yield f"{clean(button.label)}: {command}"


def _folded(told: Iterable[str]) -> Iterator[str]:
    """What is indented more than the line before it goes behind that."""
    group, edge = list[str](), 0
    for line in _rows(told):
        indent = len(line) - len(line.lstrip())
        if group and indent <= edge:
            yield _one(group)
            group = []
        edge = edge if group else indent
        group.append(line.strip())
    if group:
        yield _one(group)


def _one(group: Sequence[str]) -> str:
    """`head: a; b: c`, with no sign behind a colon."""
    text, sign = group[0], ": "
    for line in group[1:]:
        text, sign = text + (" " if text.endswith(":") else sign) + line, "; "
    return text


def _rows(told: Iterable[str]) -> Iterator[str]:
    """Single lines that are not blank."""
    for text in told:
        yield from (line for line in map(clean, text.splitlines()) if line.strip())


def _joined(parts: Iterable[str]) -> Iterator[str]:
    """Side by side while they fit in a line."""
    row = ""
    for part in parts:
        longer = f"{row}{BETWEEN}{part}" if row else part
        if row and len(longer.encode()) > WIDEST:
            yield row
            longer = part
        row = longer
    if row:
        yield row


def _count(progress: Progress) -> str:
    """`50/200 kernels`."""
    of = f"/{progress.total}" if progress.total > 0 else ""
    return f"{progress.done}{of} {clean(progress.unit)}".rstrip()


def _pieces(rows: Iterable[str]) -> tuple[str, ...]:
    """In lines that fit."""
    return tuple(piece for row in rows for piece in split(row, WIDEST))


def _first(text: str, most: int) -> str:
    """As much as fits, and a mark if that is not all."""
    if len(text.encode()) <= most:
        return text
    return next(split(text, max(most - len("…".encode()), 1)), "") + "…"
