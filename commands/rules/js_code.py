"""What a JavaScript file means to a browser: its text without comments and blank space, and the modules it requires.

It is no parser. It knows just enough (strings, comments, regular expressions) not to take a comment for code or code
for a comment. Where it cannot know which of them it sees, it keeps the text as it is, and so errs towards "changed".
"""

import re
from collections.abc import Iterator

_END_OF_LINE = "\n\r\u2028\u2029"
_TOKEN = re.compile(
    rf"""
    (?P<comment>//[^{_END_OF_LINE}]*|/\*.*?\*/)
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)
  | (?P<space>\s+)
  | (?P<word>[\w$]+)
  | (?P<twice>\+\+|--)
  | (?P<other>.)
    """,
    re.DOTALL | re.VERBOSE,
)
_REGEX = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*")
_BEFORE_REGEX = frozenset("([{,;=:?!&|+-*%^~<>")
_WORDS_BEFORE_REGEX = frozenset(
    {"return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do", "instanceof", "yield"}
)
_TWICE = frozenset({"++", "--"})
# `if (a) /b/.test(c)` and `(a) / b` look alike, as do `{} /b/` and `{} / b`, `a++ / b` and `++/b/.c`.
_BEFORE_EITHER = frozenset({")", "}", *_TWICE})
# A line break after these ends the statement, so it is no blank space.
_ENDED_BY_LINE_BREAK = frozenset(
    {"return", "break", "continue", "throw", "yield", "async", "get", "set", "static", *_TWICE}
)
# What is still open at the end of its line makes the lines after it as doubtful.
_GOES_ON = re.compile(r"/\*|`|\\$", re.MULTILINE)
_LINE = re.compile(rf"[^{_END_OF_LINE}]*")
_REQUIRED = re.compile(
    r"\b(?:require|requirejs|define)\s*\(\s*(?:['\"][^'\"]*['\"]\s*,\s*)?\[(?P<names>[^\]]*)\]", re.DOTALL
)
_NAME = re.compile(r"['\"]([^'\"]+)['\"]")


def essence(text: str) -> str:
    """The code without comments and without blank space that has no meaning."""
    parts: list[str] = []
    gap = ""
    for kind, token in _tokens(text):
        if kind in ("comment", "space"):
            # A comment that holds a line break counts as one.
            gap = "\n" if gap == "\n" or any(end in token for end in _END_OF_LINE) else " "
            continue
        parts.append(gap if kind == "doubtful" else _separator(parts[-1] if parts else "", gap, token))
        parts.append(token)
        gap = ""
    return "".join(parts)


def same_code(old: str, new: str) -> bool:
    """True if the two texts differ at most in comments and blank space."""
    return old == new or essence(old) == essence(new)


def required(text: str) -> tuple[str, ...]:
    """The module names that the file passes to `require` or `define`, in their order."""
    # `essence` has no blank space, but keeps the strings as they are.
    found = (name for match in _REQUIRED.finditer(essence(text)) for name in _NAME.findall(match["names"]))
    return tuple(dict.fromkeys(found))


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position, before = 0, ""
    while position < len(text):
        kind, token = _token(text, position, before)
        if kind not in ("comment", "space"):
            # After a dot every word is a name, also `a.of / 2`.
            before = "name" if kind == "word" and before == "." else token
        yield kind, token
        position += len(token)


def _token(text: str, position: int, before: str) -> tuple[str, str]:
    if text.startswith(("<!--", "-->"), position):  # browsers take these for the beginning of a comment too
        return "doubtful", _doubtful(text, position)
    match = _TOKEN.match(text, position)
    kind, token = (match.lastgroup or "other", match[0]) if match else ("other", text[position])
    if kind == "string" and token[0] == "`" and "${" in token:  # it may hold code, with such strings of its own
        return "doubtful", text[position:]
    if token[0] != "/" or text[position + 1 : position + 2] in ("/", "*"):
        return kind, token
    if before in _BEFORE_EITHER:
        return "doubtful", _doubtful(text, position)
    literal = _REGEX.match(text, position) if _regex_may_follow(before) else None
    return ("string", literal[0]) if literal else (kind, token)


def _doubtful(text: str, position: int) -> str:
    """What stays as it is from there on: the line and its end, or all if something on it may go on in the next."""
    match = _LINE.match(text, position)
    line = match[0] if match else ""
    return text[position:] if _GOES_ON.search(line) else text[position : position + len(line) + 1]


def _regex_may_follow(before: str) -> bool:
    return not before or before in _BEFORE_REGEX or before in _WORDS_BEFORE_REGEX


def _separator(before: str, gap: str, token: str) -> str:
    """What must stay between two tokens that were apart: a blank where joining them would make another token."""
    last = before.lstrip()
    if not gap or not last:
        return ""
    if gap == "\n" and (last in _ENDED_BY_LINE_BREAK or token in _TWICE):
        return "\n"
    both_words = _wordy(last[-1]) and _wordy(token[0])
    both_signs = last[-1] == token[0] and token[0] in "+-/"
    return " " if both_words or both_signs else ""


def _wordy(character: str) -> bool:
    return character.isalnum() or character in "_$"
