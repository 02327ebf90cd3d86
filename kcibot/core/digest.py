"""Canonical JSON and the digests made of it: two equal values have one text, on every machine."""

import hashlib
import json

_COMPACT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
"""Made once: `json.dumps` makes one for every text that is not as by default."""


def canonical(value: object) -> str:
    """JSON with sorted keys and no blanks. Raises TypeError for what is not JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def compact(value: object) -> str:
    """JSON without blanks, in the order in which it was made: for keeping, not for comparing."""
    return _COMPACT.encode(value)


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
