"""What a JavaScript file means to a browser: its text without comments and blank space, and the modules it requires.

It is no parser. It knows just enough (strings, comments, regular expressions) not to take a comment for code or code
for a comment, and errs on the side of "changed".
"""

import re

_TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)
  | (?P<space>\s+)
  | (?P<word>[\w$]+)
  | (?P<other>.)
    """,
    re.DOTALL | re.VERBOSE,
)
_REGEX = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*")
_BEFORE_REGEX = frozenset("([{,;=:?!&|+-*%^~<>")
_WORDS_BEFORE_REGEX = frozenset(
    {"return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do"}
)
# A line break after these ends the statement, so it is no blank space.
_ENDED_BY_LINE_BREAK = frozenset({"return", "break", "continue", "throw"})
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
            gap = "\n" if "\n" in token or gap == "\n" else " "
            continue
        parts.append(_separator(parts[-1] if parts else "", gap, token) + token)
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


def _tokens(text: str) -> list[tuple[str | None, str]]:
    found: list[tuple[str | None, str]] = []
    position, before = 0, ""
    while position < len(text):
        match = _TOKEN.match(text, position)
        kind, token = (match.lastgroup, match[0]) if match else (None, text[position])
        if token == "/" and _regex_may_follow(before):
            literal = _REGEX.match(text, position)
            kind, token = ("string", literal[0]) if literal else (kind, token)
        if kind not in ("comment", "space"):
            before = token
        found.append((kind, token))
        position += len(token)
    return found


def _regex_may_follow(before: str) -> bool:
    return not before or before in _BEFORE_REGEX or before in _WORDS_BEFORE_REGEX


def _separator(before: str, gap: str, token: str) -> str:
    """What must stay between two tokens that were apart: a blank where joining them would make another token."""
    last = before.lstrip()
    if not gap or not last:
        return ""
    if gap == "\n" and last in _ENDED_BY_LINE_BREAK:
        return "\n"
    both_words = _wordy(last[-1]) and _wordy(token[0])
    both_signs = last[-1] == token[0] and token[0] in "+-/"
    return " " if both_words or both_signs else ""


def _wordy(character: str) -> bool:
    return character.isalnum() or character in "_$"
