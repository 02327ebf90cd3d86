"""What `--diff` shows of a task, as text: Ansible gives the file before and after, or a text of its own."""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

LINES_KEPT = 200
"""Of one task; the whole is in the run's output."""


def differences(result: Mapping[str, Any]) -> list[str]:
    """Those of one task's result, none of them empty; of a loop, those of each of its turns."""
    turns = [turn for turn in result.get("results") or () if isinstance(turn, dict) and not turn.get("censored")]
    parts = [part for one in (result, *turns) for part in _parts(one.get("diff"))]
    return [text for part in parts if (text := _text(part))]


def _parts(found: object) -> list[Mapping[str, Any]]:
    return [part for part in (found if isinstance(found, list) else [found]) if isinstance(part, dict)]


def _text(part: Mapping[str, Any]) -> str:
    lines = str(part["prepared"]).splitlines() if part.get("prepared") else list(_compared(part))
    left_out = [f"... and {len(lines) - LINES_KEPT} more lines"] if len(lines) > LINES_KEPT else []
    return "\n".join([*lines[:LINES_KEPT], *left_out])


def _compared(part: Mapping[str, Any]) -> Iterator[str]:
    old, new = _readable(part.get("before")), _readable(part.get("after"))
    before, after = (str(part.get(f"{side}_header") or side) for side in ("before", "after"))
    return difflib.unified_diff(old.splitlines(), new.splitlines(), before, after, lineterm="")


def _readable(value: object) -> str:
    """A file's text, or, of a task that sets attributes, what they are."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, indent=1, sort_keys=True)
