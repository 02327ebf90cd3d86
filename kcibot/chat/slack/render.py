"""How Slack shows a notice: Block Kit JSON within the limits that Slack publishes, cut honestly.

Limits: https://docs.slack.dev/reference/block-kit/blocks and .../block-elements/button-element (50 blocks, header 150,
section text 3000, 10 fields of 2000, 25 elements of actions, button text 75, its value 2000, ids 255 characters). About
13,200 characters over all blocks are not published: the text with its containers, by
https://github.com/slackapi/bolt-js/issues/2509 and /2867, so that we count all JSON, and stay well below.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from kcibot.chat.console_render import MARKS, bar, clean
from kcibot.chat.slack.mrkdwn import NOTHING, address, code, escape_to, marked, size
from kcibot.core.notice import Button, Field, Level, Notice
from kcibot.core.sparkline import sparklines

Block = dict[str, Any]

BLOCKS = 50
CHARACTERS = 12_000
OVERHEAD = 60
"""What Slack adds to a block itself, such as its id."""
HEADER = 150
SECTION = 2800
SHOWN_LINES = 10
"""Of one section; Slack's clients fold longer ones away."""
CODE_LINES = 40
FENCES = 9
LINE = 1400
TITLE = 700
WHOLE = 1_000_000
FIELDS = 10
MOST_FIELDS = 20
FIELD = 200
BUTTONS = 25
BUTTON = 75
VALUE = 2000
TEXT = 3000
MENTIONS = 40
ALL_FIELDS, ALL_BUTTONS = 3500, 3000
"""So that there is always room for lines."""


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """`text` is what a notification shows. `rest` is the whole as plain text if the blocks do not hold all of it."""

    text: str
    blocks: list[Block]
    rest: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the notice, without control characters; `is_code` if its blanks matter."""

    text: str
    is_code: bool = False


def blocks(notice: Notice, mention: Callable[[str], str]) -> SlackMessage:
    """The message for `chat.postMessage` or `chat.update`.

    `mention` gives the user id of a person, empty if Slack does not know them; those are not addressed. Nothing that
    people wrote becomes a mention, an emoji, letters in bold, or a link that shows other words than its address.
    """
    called = " ".join(dict.fromkeys(filter(None, (address(mention(person)) for person in notice.mentions[:MENTIONS]))))
    top = [_title(notice), *_fields(notice.fields)]
    bottom = [*_progress(notice), *([_section(called)] if called else []), *_actions(notice.buttons)]
    middle, is_whole = _middle(notice, BLOCKS - len(top) - len(bottom), CHARACTERS - _cost(*top, *bottom))
    is_whole = is_whole and marked(_name(notice), TITLE) == marked(_name(notice), WHOLE)
    return SlackMessage(_text(notice, called), [*top, *middle, *bottom], "" if is_whole else everything(notice))


def everything(notice: Notice) -> str:
    """The notice as a plain text, for a file."""
    told = [_headline(notice), *(f"{clean(field.name)}: {clean(field.value)}" for field in notice.fields)]
    told += [clean(line.expandtabs(4)).rstrip() for text in notice.lines for line in text.splitlines() or [""]]
    told += map(clean, sparklines(notice.picture)) if notice.picture else ()
    told += [bar(notice.progress)] if notice.progress else []
    told += [f"{clean(button.label)}: {clean(button.command)}" for button in notice.buttons]
    return "\n".join(told) + "\n"


def _text(notice: Notice, called: str) -> str:
    """The essence in one line, and whom it concerns."""
    essence = marked(MARKS[notice.level] + (clean(notice.brief) or _name(notice)), TEXT - size(called) - 1)
    return f"{essence} {called}".strip()


def _name(notice: Notice) -> str:
    return clean(notice.title).strip() or "…"


def _headline(notice: Notice) -> str:
    return MARKS[notice.level] + _name(notice)


# ---- blocks ----------------------------------------------------------------------------------------------------


def _section(text: str) -> Block:
    """Verbatim: Slack makes nothing of it but what is in brackets."""
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _plain(text: str, most: int) -> Block:
    return {"type": "plain_text", "text": escape_to(text, most), "emoji": False}


def _cost(*some: Block) -> int:
    return sum(size(json.dumps(block, ensure_ascii=False)) + OVERHEAD for block in some)


def _title(notice: Notice) -> Block:
    """Large for what stays in the channel and is looked at again: cards and prompts."""
    is_large = bool(notice.milestone) or notice.level is Level.PROMPT
    if is_large and escape_to(_headline(notice), HEADER) == escape_to(_headline(notice), SECTION):
        return {"type": "header", "text": _plain(_headline(notice), HEADER)}
    return _section(f"{MARKS[notice.level]}*{marked(_name(notice), TITLE)}*")


def _fields(fields: Sequence[Field]) -> list[Block]:
    """In two columns, if there are few and they are short; else none, and they are lines."""
    if len(fields) > MOST_FIELDS or any(size(field.name) + size(field.value) > FIELD for field in fields):
        return []
    shown = [_mrkdwn(_field(field)) for field in fields]
    parts = [shown[start : start + FIELDS] for start in range(0, len(shown), FIELDS)]
    sections: list[Block] = [{"type": "section", "fields": part} for part in parts]
    return sections if _cost(*sections) <= ALL_FIELDS else []


def _field(field: Field) -> str:
    name = clean(field.name).strip() or "…"
    return f"*{marked(name, LINE)}*\n{marked(clean(field.value), LINE - FIELD)}"


def _progress(notice: Notice) -> Iterator[Block]:
    if notice.progress:
        yield _context(bar(notice.progress))


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(marked(text, BUTTON * 2))]}


def _actions(buttons: Sequence[Button]) -> Iterator[Block]:
    shown = [_button(button) for button in _pressable(buttons)]
    if shown:
        yield {"type": "actions", "elements": shown}


def _pressable(buttons: Sequence[Button]) -> list[Button]:
    """One per command. A command that does not fit cannot be cut, for then it would be another one."""
    known = dict[str, Button]()
    for button in buttons:
        known.setdefault(clean(button.command).strip(), button)
    known.pop("", None)
    shown, used = list[Button](), 0
    for command, button in known.items():
        used += _cost(_button(button))
        if size(command) > VALUE or used > ALL_BUTTONS or len(shown) == BUTTONS:
            break
        shown.append(button)
    return shown


def _button(button: Button) -> Block:
    """Its id is the same whenever its command is."""
    command = clean(button.command).strip()
    shown = {
        "type": "button",
        "text": _plain(clean(button.label).strip() or command, BUTTON),
        "action_id": f"command:{hashlib.sha256(command.encode()).hexdigest()[:16]}",
        "value": command,
    }
    style = {"!approve": "primary", "!reject": "danger"}.get(command.partition(" ")[0])
    return {**shown, "style": style} if style else shown


# ---- lines -----------------------------------------------------------------------------------------------------


def _middle(notice: Notice, places: int, room: int) -> tuple[list[Block], bool]:
    """As many lines as fit, and whether that is all of them, whole. What is approved is never folded away."""
    rows = list(_rows(notice))
    left, shown = len(rows), list[Block]()
    unfolded = {"expand": True} if notice.level is Level.PROMPT else {}
    room -= _cost(_left(left))
    for some in _chunks(rows):
        block = {**_section(_shown(some)), **unfolded}
        room -= _cost(block)
        if room < 0 or len(shown) + 1 >= places:
            break
        shown.append(block)
        left -= len(some)
    is_whole = not left and all(_line(row) == _line(row, WHOLE) for row in rows)
    if not is_whole:
        shown.append(_left(left) if left else _context("… whole in the file"))
    return shown, is_whole


def _left(count: int) -> Block:
    return _context(f"… {count} more {'line' if count == 1 else 'lines'}, in the file")


def _rows(notice: Notice) -> Iterator[Row]:
    if not _fields(notice.fields):
        yield from (Row(f"{clean(field.name)}: {clean(field.value)}") for field in notice.fields)
    lines = [line for text in notice.lines for line in text.splitlines()]
    cleaned = [clean(line.expandtabs(4)).rstrip() for line in lines]
    yield from (Row(line, is_code) for line, is_code in code(cleaned) if line)
    if notice.picture:
        yield from (Row(clean(line), is_code=True) for line in sparklines(notice.picture))
    pressed = {clean(button.command).strip() for button in _pressable(notice.buttons)}
    hidden = (button for button in notice.buttons if clean(button.command).strip() not in pressed)
    yield from (Row(f"{clean(button.label)}: {clean(button.command)}") for button in hidden)


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """What goes into one section each; code stays below the line that says what it is."""
    some, used = list[Row](), 0
    for row in rows:
        needed = size(_line(row)) + 1 + (0 if some and some[-1].is_code is row.is_code else FENCES)
        most = CODE_LINES if row.is_code else SHOWN_LINES
        if some and (used + needed > SECTION or len(some) >= most):
            yield some
            some, used = [], 0
        some.append(row)
        used += needed
    if some:
        yield some


def _shown(rows: Sequence[Row]) -> str:
    return "\n".join(_fenced(list(group)) for _, group in groupby(rows, key=lambda row: row.is_code))


def _fenced(rows: Sequence[Row]) -> str:
    text = "\n".join(map(_line, rows))
    return f"```\n{text}\n```" if rows[0].is_code else text


def _line(row: Row, most: int = LINE) -> str:
    if row.is_code:
        return escape_to(row.text, most).replace("``", f"`{NOTHING}`{NOTHING}")
    return marked(row.text, most)
