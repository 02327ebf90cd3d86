"""What Slack's own clients make of the text that a person types, before an app sees it.

Escaping of `& < >`, `<@U1>`, `<#C1|name>` and `<https://x>` are published ("Formatting text for app surfaces"). That a
bare host becomes `<http://x|x>` and an address `<mailto:x|x>` is seen in public recordings of events.
"""

import re
from collections.abc import Mapping

_LINK = re.compile(
    r"(?P<url>https?://[^\s<>|]+)"
    r"|(?P<mail>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<host>(?<![\w./@-])(?:[\w-]+\.)+(?:com|org|net|io|dev)\b(?:/[^\s<>|]*)?)"
    r"|(?P<user>@[\w.-]*\w)"
    r"|(?P<channel>#[\w-]+)"
)
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_TO_EVERYBODY = {"@here": "<!here>", "@channel": "<!channel>", "@everyone": "<!everyone>"}


def escaped(text: str) -> str:
    """The three characters that Slack escapes; no others."""
    return re.sub("[&<>]", lambda found: _ESCAPES[found[0]], text)


def typed(text: str, users: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """The text of the event for what was typed; `users` and `channels` map names to ids."""
    done, end = [], 0
    for found in _LINK.finditer(text):
        done += [escaped(text[end : found.start()]), _wrapped(found, users, channels)]
        end = found.end()
    return "".join([*done, escaped(text[end:])])


def _wrapped(found: re.Match[str], users: Mapping[str, str], channels: Mapping[str, str]) -> str:
    whole = found[0]
    shown = escaped(whole)
    match found.lastgroup:
        case "url":
            return f"<{shown}>"
        case "mail":
            return f"<mailto:{shown}|{shown}>"
        case "host":
            return f"<http://{shown}|{shown}>"
        case "user":
            return _TO_EVERYBODY.get(whole) or (f"<@{users[whole[1:]]}>" if whole[1:] in users else shown)
        case _:
            name = whole[1:]
            return f"<#{channels[name]}|{name}>" if name in channels else shown


def smart(text: str) -> str:
    """The quotes that a telephone or a Mac puts in place of straight ones (not verified against Slack)."""
    text = re.sub(r'(^|[\s(\[])"', "\\1\N{LEFT DOUBLE QUOTATION MARK}", text)
    text = re.sub(r"(^|[\s(\[])'", "\\1\N{LEFT SINGLE QUOTATION MARK}", text)
    return text.replace('"', "\N{RIGHT DOUBLE QUOTATION MARK}").replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
