"""What every value passes on its way into the database: secrets out, and only what can be stored."""

from datetime import datetime

from kcibot.core.digest import compact
from kcibot.core.redact import Redactor
from kcibot.errors import PermanentError
from kcibot.store.schema import utc_text


class Cleaner:
    """Makes values fit to be stored. Runs in the caller's thread, so that a misfit hurts its caller alone."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def text(self, text: str) -> str:
        return _storable(self._redactor.text(text))

    def name(self, name: str) -> str:
        """A name by which something is found again. Masked it would not be found, so one with a secret is refused."""
        if self._redactor.text(name) != name:
            raise PermanentError("A name with a secret in it cannot be stored; nothing of this was recorded.")
        return _storable(name)

    def time(self, at: datetime) -> str:
        """UTC text. Raises PermanentError for a time without a zone."""
        try:
            return utc_text(at)
        except ValueError as error:
            raise PermanentError(
                f"{at.isoformat()} cannot be stored: {error}; nothing of this was recorded."
            ) from error

    def maybe_time(self, at: datetime | None) -> str | None:
        return None if at is None else self.time(at)

    def json(self, value: object) -> str:
        """Compact JSON, in the given order. Raises PermanentError for what is not JSON."""
        try:
            return _storable(self._clean_json(value))
        except (TypeError, ValueError, RecursionError) as error:
            raise PermanentError(
                f"A {type(value).__name__} that is not JSON cannot be stored; nothing of this was recorded."
            ) from error

    def _clean_json(self, value: object) -> str:
        """Looking through the whole text is cheaper than through every string, and as sure where nothing is escaped."""
        text = compact(value)
        if "\\" not in text and self._redactor.text(text) == text:
            return text
        return compact(self._redactor.value(value))


def _storable(text: str) -> str:
    """Chat text may hold halves of characters, which no database takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
