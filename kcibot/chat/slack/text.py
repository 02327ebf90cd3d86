"""Text as Slack sends and takes it: three characters are escaped, and what its clients recognise stands in brackets.

Rules from https://docs.slack.dev/messaging/formatting-message-text ("Escaping text", "Retrieving formatted messages"):
only `&`, `<` and `>` are escaped; `<@U1>` is a person, `<#C1|name>` a channel, `<!here>` everybody there, and
`<url|shown>` a link.
"""

import re
from collections.abc import Callable

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_PLAIN = {escaped: char for char, escaped in _ESCAPES.items()}
_SPECIAL = re.compile("[&<>]")
_ESCAPED = re.compile("&(?:amp|lt|gt);")
_BRACKETS = re.compile("<([^<>]*)>")
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2060\ufeff]")
_BLANKS = str.maketrans({"\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ", "\N{FIGURE SPACE}": " "})


def escape(text: str) -> str:
    """The text so that Slack shows it as it is: no mention, no link."""
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], text)


def unescape(text: str) -> str:
    """What `escape` was given; in one pass, so that `&amp;lt;` is `&lt;` again."""
    return _ESCAPED.sub(lambda found: _PLAIN[found[0]], text)


def as_it_is(user: str) -> str:
    """The id of a user, where nobody knows a name."""
    return user


def plain(text: str, name: Callable[[str], str] = as_it_is) -> str:
    """What a person typed, from the text of an event. `name` gives what a user id is called.

    Quotes and code keep their marks, so that a command in them does not begin with the prefix. Of a link with other
    words shown the address counts, for the words may be anything. Quotation marks are straightened where the line is
    parsed, not here.
    """
    parts = _BRACKETS.split(text)
    parts[1::2] = [_unwrapped(part, name) for part in parts[1::2]]
    return _INVISIBLE.sub("", "".join(map(unescape, parts)).translate(_BLANKS))


def _unwrapped(inside: str, name: Callable[[str], str]) -> str:
    """Still escaped, as it was."""
    what, bar, shown = inside.partition("|")
    if what.startswith("@"):
        return f"@{escape(name(what[1:])) or shown or what[1:]}"
    if what.startswith("#"):
        return f"#{shown or what[1:]}"
    if what.startswith("!"):
        return _special(what[1:], shown)
    return shown if bar and _same(what, shown) else what.removeprefix("mailto:")


def _special(what: str, shown: str) -> str:
    """`<!here>`, `<!subteam^S1|@team>`, `<!date^123^{date}|yesterday>`."""
    return shown or f"@{what.partition('^')[0]}"


def _same(url: str, shown: str) -> bool:
    """Whether Slack made a link of what was typed, and only put before it what was missing."""
    return re.sub("^(?:https?://|mailto:|tel:)", "", url).rstrip("/") == re.sub("^https?://", "", shown).rstrip("/")
