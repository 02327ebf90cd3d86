"""IRC lines: what enters and leaves as bytes. Nothing that people typed can become a second command.

Tags, the decoding of lines, the features of a server (`us`) and the sign of CTCP (`ear`) are the `irc` library's.
Its client is not used: it splits parameters at every Unicode blank and ends its loop for one bad line; and with its
names for numerics and masks it would cost the bot 35 to 50 ms and 2 to 4 MB more at its start.
"""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field

from irc.message import Tag
from jaraco.stream.buffer import LenientDecodingLineBuffer  # type: ignore[import-untyped]  # it ships no types

LONGEST_LINE = 65_536
"""In bytes; far beyond what any network sends. What is longer is thrown away, so that it cannot fill the memory."""
BOLD, PLAIN = "\x02", "\x0f"

_LINE = re.compile(r"(?:@(?P<tags>[^ ]*) +)?(?::(?P<source>[^ ]*) +)?(?P<command>[^ ]+)(?P<params>.*)", re.DOTALL)
_FORMATTING = re.compile("\x03(?:[0-9]{1,2}(?:,[0-9]{1,2})?)?|\x04(?:[0-9A-Fa-f]{6})?")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
_UNSAYABLE = re.compile("[\x00\x01\x03-\x0e\x10-\x1f\x7f-\x9f]")
_ESCAPES = str.maketrans({";": "\\:", " ": "\\s", "\\": "\\\\", "\r": "\\r", "\n": "\\n", "\0": ""})
_ASCII = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_STRICT = _ASCII | str.maketrans("[]\\", "{}|")
_MAPPINGS = {
    "rfc1459": _STRICT | str.maketrans("^", "~"),
    "rfc1459-strict": _STRICT,
    "strict-rfc1459": _STRICT,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line from the server: `command` in upper case or three digits, `source` a nick!user@host or a server."""

    command: str
    params: tuple[str, ...] = ()
    source: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def nick(self) -> str:
        return self.source.partition("!")[0]

    def param(self, number: int) -> str:
        """That parameter, counted from 0; empty if there is none."""
        return self.params[number] if number < len(self.params) else ""

    @property
    def text(self) -> str:
        """The last parameter, which alone may hold blanks."""
        return self.params[-1] if self.params else ""


class Received:
    """Bytes as they arrive, to lines."""

    def __init__(self) -> None:
        self._buffer = LenientDecodingLineBuffer()
        self._too_long = False

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete by now. Bytes that are no UTF-8 are read as Latin-1, as the library does."""
        self._buffer.feed(data)
        found: list[str] = list(self._buffer)
        if found and self._too_long:
            del found[0]  # the end of what was thrown away is not a line
            self._too_long = False
        if len(self._buffer) > LONGEST_LINE:
            self._buffer.buffer, self._too_long = b"", True
        return found


def parse(text: str) -> Line | None:
    """None for a line that holds no command."""
    found = _LINE.fullmatch(text)
    if found is None:
        return None
    tags = {tag["key"]: tag["value"] or "" for tag in Tag.from_group(found["tags"]) or ()}
    return Line(found["command"].upper(), _params(found["params"]), found["source"] or "", tags)


def _params(text: str) -> tuple[str, ...]:
    middle, colon, last = text.partition(" :")
    words = tuple(word for word in middle.split(" ") if word)
    return (*words, last) if colon else words


def compose(command: str, *params: str, text: str | None = None, tags: Mapping[str, str] | None = None) -> bytes:
    """One line with its end, whatever is in its parts. `text` is the parameter that may hold blanks."""
    parts = [command, *(_word(param) for param in params)]
    if text is not None:
        parts.append(f":{text}")
    line = " ".join(parts)
    for end in "\r\n\0":
        line = line.replace(end, " ")
    return f"{_tags(tags or {})}{line}\r\n".encode(errors="replace")


def _word(text: str) -> str:
    """A parameter in the middle of a line cannot hold blanks, be empty, or begin with a colon."""
    return _CONTROLS.sub("", text).replace(" ", "").lstrip(":") or "*"


def _tags(tags: Mapping[str, str]) -> str:
    found = ";".join(f"{key}={value.translate(_ESCAPES)}" for key, value in tags.items())
    return f"@{found} " if found else ""


def sayable(text: str) -> str:
    """Text for a channel on one line: no control code but bold and its end."""
    return _UNSAYABLE.sub(" ", text).strip(" ")


def unemphasised(text: str) -> str:
    """Without what is left of codes."""
    return text.replace(BOLD, "").replace(PLAIN, "")


def heard(text: str) -> str:
    """What somebody typed, without the codes of their client's colours and letters."""
    return _CONTROLS.sub("", _FORMATTING.sub("", text.replace("\t", " "))).strip()


def fold(name: str, mapping: str = "rfc1459") -> str:
    """A nick or channel in the form in which equal ones are equal, by the server's CASEMAPPING; as ASCII by default.

    The library's `IRCFoldedCase` folds all of Unicode, and so takes a nick with a Kelvin sign for another's with a k.
    """
    return name.translate(_MAPPINGS.get(mapping, _ASCII))
