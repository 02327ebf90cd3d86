"""Secrets are taken out of every text by their value, wherever the text is going."""

import base64
import html
import json
import threading
from urllib.parse import quote, quote_plus

MASK = "[secret]"
SHORTEST = 4


class Redactor:
    """Knows the secrets that were read, and masks them and their usual disguises.

    These are: as a line of JSON or of Python shows it, as HTML, in a URL, and in base64, where it may be a part of what
    was encoded, such as the password of `user:password`.

    A secret shorter than four characters is not masked: it would tear holes into every text; the configuration
    refuses such secrets.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._needles: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        if len(secret) < SHORTEST:
            return
        disguises = {secret, quote(secret, safe=""), quote_plus(secret), html.escape(secret), *_encoded(secret)}
        disguises |= {json.dumps(secret)[1:-1], repr(secret)[1:-1]}
        with self._lock:
            self._needles = tuple(sorted({*self._needles, *disguises}, key=len, reverse=True))

    def text(self, text: str) -> str:
        for needle in self._needles:
            if needle in text:
                text = text.replace(needle, MASK)
        return text

    def value(self, value: object) -> object:
        """The same JSON value with every string in it redacted, keys too."""
        if not self._needles:
            return value
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.value(k): self.value(v) for k, v in value.items()}
            case list() | tuple():
                return [self.value(item) for item in value]
            case _:
                return value


def _encoded(secret: str) -> set[str]:
    """In base64, alone and after one or two other bytes: three bytes become four letters, whose edges are others'."""
    data = secret.encode()
    found = {base64.b64encode(data).decode()}
    for before, edge in ((0, 0), (1, 2), (2, 3)):
        whole = (before + len(data)) // 3 * 4
        inner = base64.b64encode(bytes(before) + data).decode()[edge:whole]
        if len(inner) >= SHORTEST:
            found.add(inner)
    return found
