"""Secrets are taken out of every text by their value, wherever the text is going."""

import base64
import threading
from urllib.parse import quote

MASK = "[secret]"
SHORTEST = 4


class Redactor:
    """Knows the secrets that were read, and masks them and their usual disguises (URL and base64 encoded).

    A secret shorter than four characters is not masked: it would tear holes into every text; the configuration
    refuses such secrets.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._needles: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        if len(secret) < SHORTEST:
            return
        disguises = {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
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
