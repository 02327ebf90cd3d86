"""What is wrong with a configuration, said so that it can be mended: the line, the key, the fix. Never the value."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from kcibot.errors import ConfigError

Where = tuple[str | int, ...]
"""The path of a key, such as ("people", "operator", "roles", 0)."""

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
HIDDEN = "?"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` counts from 1; 0 is the file as a whole."""

    line: int
    where: Where = field(repr=False)
    what: str
    fix: str = ""

    def render(self, file: str) -> str:
        """One line, such as `config.yaml:12: chat.rooms[0]: is empty. Write it in quotes.`."""
        place = f"{file}:{self.line}" if self.line else file
        parts = [place, shown(self.where), _sentences(self.what, self.fix)]
        return ": ".join(part for part in parts if part)


class ConfigProblems(ConfigError):
    """Everything that is wrong with one file, a line each in the file's order."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        self.lines = tuple(dict.fromkeys(problem.render(file) for problem in self.problems))
        super().__init__("\n".join(self.lines))


def shown(where: Where) -> str:
    """`people.operator.roles[0]`; a key that does not look like one is not shown: it might be a misplaced secret."""
    text = ""
    for part in where:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = shown_name(part)
            text += ("." if text else "") + (f'"{name}"' if "." in name else name)
    return text


def shown_name(name: str) -> str:
    """The name, if it looks like one."""
    return name if PLAIN.fullmatch(name) else HIDDEN


def _sentences(*parts: str) -> str:
    return " ".join(part if part.endswith((".", "?", "!")) else f"{part}." for part in parts if part)
