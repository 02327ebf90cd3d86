"""The recordings: what was asked and answered, and what of it is not asked of a real server, and why."""

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

RECORDED_VERSION = "2.263.4"
FOLDER = Path(__file__).parent
THEMES = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
NOT_ASKED: dict[str, dict[str, str]] = json.loads((FOLDER / "not_asked_of_a_real_server.json").read_text())
"""By theme: patterns of names, and the reason."""
NEEDS_FOLDERS = "needs the Folders plugin"
WHOLE_THEME = "*"


def exchanges(theme: str) -> list[dict[str, Any]]:
    """What one request was and got; measured values are left out."""
    lines = (FOLDER / f"{theme}.jsonl").read_text().splitlines()
    return [exchange for exchange in map(json.loads, lines) if "request" in exchange]


def why_not_asked(theme: str, *, folders: bool) -> dict[str, str]:
    """The reason by exchange, for a server with or without the Folders plugin."""
    patterns = {
        pattern: why for pattern, why in NOT_ASKED.get(theme, {}).items() if not (folders and why == NEEDS_FOLDERS)
    }
    names = [exchange["name"] for exchange in exchanges(theme)]
    return {name: why for pattern, why in patterns.items() for name in names if fnmatchcase(name, pattern)}


def is_asked_at_all(theme: str) -> bool:
    return WHOLE_THEME not in NOT_ASKED.get(theme, {})
