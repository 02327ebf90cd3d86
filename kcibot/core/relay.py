"""What the rooms of a network see of that which happens elsewhere."""

from enum import StrEnum


class Sees(StrEnum):
    """ALERTS are prompts, alerts and errors, and what becomes of them. NONE is what was begun there, and no more."""

    ALL = "all"
    ALERTS = "alerts"
    NONE = "none"
