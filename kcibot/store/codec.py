"""Typed values to JSON and back, by pydantic, for everything that is remembered beyond a process."""

from collections.abc import Callable
from functools import cache
from typing import TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from kcibot.core.digest import compact
from kcibot.errors import PermanentError

T = TypeVar("T")

TELLS_THE_VALUE = frozenset({"value_error", "assertion_error"})
"""Errors whose text is made by our own checks, which may quote the value."""

_adapter = cast("Callable[[type], TypeAdapter[object]]", cache(TypeAdapter))


class PydanticCodec:
    """Frozen dataclasses, tuples, mappings, enums, dates and plain values.

    Loading is strict: a number is never taken for text nor text for a number. A field that the code no longer has is
    passed over, so that a journal outlives an upgrade.
    """

    def dump(self, value: object) -> object:
        """Raises PermanentError if the value does not fit its own type, or has no JSON."""
        try:
            return _adapter(type(value)).dump_python(value, mode="json", warnings="error")
        except PydanticSerializationError as error:
            raise PermanentError(f"A {type(value).__name__} cannot be written as JSON.") from error

    def load(self, kind: type[T], value: object) -> T:
        """Raises PermanentError, which names the places and never the values."""
        # as text, since only there strict validation takes a string for a date or an enum, and a list for a tuple
        return self.read(kind, compact(value))

    def read(self, kind: type[T], text: str) -> T:
        """`load` of a value that is still text."""
        try:
            return cast("T", _adapter(kind).validate_json(text, strict=True))
        except ValidationError as error:
            # without the cause: a traceback of pydantic's shows the values
            raise PermanentError(
                f"A stored {kind.__name__} does not fit this kcibot: {_places(error)}. "
                "The code has changed since it was stored."
            ) from None


def _places(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'value'}: {'refused' if one['type'] in TELLS_THE_VALUE else one['msg']}"
        for one in found
    )
