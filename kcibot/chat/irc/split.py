"""Text cut to what fits in an IRC line after the server has put our own name before it."""

import unicodedata
from collections.abc import Iterator

LONGEST = 510
"""Bytes of a line without its end, when it reaches the others (RFC 1459, 2.3). Servers cut the rest silently."""
LEAST = 40
JOINERS = frozenset("\N{ZERO WIDTH JOINER}\N{VARIATION SELECTOR-15}\N{VARIATION SELECTOR-16}")
SKIN_TONES = frozenset(chr(number) for number in range(0x1F3FB, 0x1F400))


def room(prefix: str, target: str, command: str = "PRIVMSG") -> int:
    """Bytes for text, when `prefix` is the nick!user@host under which the others see us."""
    before = len(f":{prefix} {command} {target} :".encode(errors="replace"))
    return max(LONGEST - before, LEAST)


def split(text: str, most: int) -> Iterator[str]:
    """Pieces of at most so many bytes, cut between words; a longer word is cut between letters, with their accents."""
    rest = text.strip(" ")
    while rest:
        end = _end(rest, most)
        if end < len(rest):
            blank = rest.rfind(" ", 0, end + 1)
            end = blank if blank > end // 3 else _whole(rest, end)
        yield rest[:end].rstrip(" ")
        rest = rest[end:].lstrip(" ")


def _end(text: str, most: int) -> int:
    """How many characters fit in so many bytes; one at least."""
    if len(text) * 4 <= most:
        return len(text)
    used = 0
    for number, letter in enumerate(text):
        used += len(letter.encode(errors="replace"))
        if used > most:
            return max(number, 1)
    return len(text)


def _whole(text: str, end: int) -> int:
    """The same, or a little less: what belongs to the letter before it is not parted from it."""
    whole = end
    while whole > 1 and (_belongs(text[whole]) or text[whole - 1] == "\N{ZERO WIDTH JOINER}"):
        whole -= 1
    return whole if whole > 1 else end


def _belongs(letter: str) -> bool:
    return letter in JOINERS or letter in SKIN_TONES or unicodedata.combining(letter) > 0
