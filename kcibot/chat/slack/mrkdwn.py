"""Text inside Slack's mrkdwn that shows as it is, and what of a notice is set as code."""

import re
from collections.abc import Callable, Iterable, Iterator

from kcibot.chat.slack.text import escape

NOTHING = "\N{ZERO WIDTH SPACE}"
"""Put behind a sign that would format what follows: Slack does not format then, and nothing is seen of it."""

_USER = re.compile("[UW][A-Z0-9]{2,30}")
_URL = re.compile(r"https?://[^\s<>|\"'`]+[^\s<>|\"'`.,;:!?)\]]")
_EMOJI = re.compile(r":(?!\d\d:)(?=[\w+'-]+:)")
_CODE = re.compile(r" {2,}\S|\$ |.*\S {2,}\S")
_DIFF = re.compile(r"diff --git |@@ |--- \S|\+\+\+ \S")


def size(text: str) -> int:
    """How long Slack takes it to be at most: in UTF-16 units, of which an emoji has two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def address(user: str) -> str:
    """The mention of a user id; empty for what is none."""
    return f"<@{user}>" if _USER.fullmatch(user) else ""


def escape_to(text: str, most: int) -> str:
    """The text escaped, cut with a mark if it is longer than `most` then."""
    whole = escape(text)
    return whole if size(whole) <= most else _cut(text, most, escape)


def marked(text: str, most: int) -> str:
    """One line for mrkdwn in which nothing is formatted, cut as in `escape_to`. A link shows its own address."""
    whole = _literal(text)
    return whole if size(whole) <= most else _cut(text, most, _literal)


def _cut(text: str, most: int, shown: Callable[[str], str]) -> str:
    """The longest beginning that fits with the mark behind it."""
    low, high = 0, min(len(text), most)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(shown(text[:middle])) < most else (low, middle - 1)
    return shown(text[:low]) + "…"


def _literal(text: str) -> str:
    parts, end = [], 0
    for found in _URL.finditer(text):
        parts += [text[end : found.start()], found[0]]
        end = found.end()
    parts.append(text[end:])
    defused = [f"<{escape(part)}>" if number % 2 else _defused(part, text) for number, part in enumerate(parts)]
    return (NOTHING if text.startswith(">") else "") + "".join(defused)


def _defused(part: str, line: str) -> str:
    """A sign that stands alone formats nothing, and is left as people may want to copy it."""
    for sign in "*_~`":
        if line.count(sign) > 1:
            part = re.sub(rf"(?<![^\W_]){re.escape(sign)}", sign + NOTHING, part)
    return escape(_EMOJI.sub(":" + NOTHING, part))


def code(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Each line, and whether its blanks matter: columns, what is indented, what goes into a shell, differences."""
    in_diff = False
    for line in lines:
        in_diff = bool(_DIFF.match(line)) or (in_diff and line[:1] in {"+", "-", " ", "@"})
        yield line, in_diff or bool(_CODE.match(line))
