"""What a rule says when something is not as it should be: a sentence, and how much it weighs."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class RuleError(ValueError):
    """What was given cannot be read by KernelCI's rules; the message is a sentence for the channel."""


class Severity(StrEnum):
    """STOP: do not go on. CONFIRM: go on only if a person says so. WARN: say it and go on."""

    STOP = "stop"
    CONFIRM = "confirm"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `rule` names the check, for tests and logs; `text` is for people."""

    rule: str
    text: str
    severity: Severity = Severity.STOP

    def __str__(self) -> str:
        return self.text


def stopping(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Those that forbid to go on."""
    return tuple(problem for problem in problems if problem.severity is Severity.STOP)


def worded(count: int, noun: str) -> str:
    """`1 commit`, `2 commits`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
