"""What commits say about Jenkins jobs: lines that a person goes through, since not every job is defined in Git.

Step 5 of KernelCI's procedure updates the jobs as the release notes say. Two sources: the headers of the pipelines,
which name their job's parameters, and the lines of commit messages that speak of a job.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from kcibot_commands.rules.jpl import jpl_differences

PIPELINES = ".jpl"
_SHORT = 10
_CODE = 6
_SPEAKS_OF_JOBS = re.compile(
    r"\bjenkins\b.*\b(?:jobs?|parameters?|definitions?|triggers?|labels?)\b"
    r"|\b(?:jobs?|pipelines?)\b.*\b(?:parameters?|definitions?|configurations?|configured?|triggers?)\b",
    re.IGNORECASE,
)


class Message(Protocol):
    """What is read of a commit."""

    @property
    def sha(self) -> str: ...

    @property
    def subject(self) -> str: ...

    @property
    def body(self) -> str: ...


@dataclass(frozen=True, slots=True)
class JobNote:
    """One line to go through. `code` is what people type to tick it, and the same as long as the line is."""

    text: str

    @property
    def code(self) -> str:
        return sha256(self.text.encode()).hexdigest()[:_CODE]


def pipeline_notes(path: str, old: str, new: str) -> tuple[JobNote, ...]:
    """What changed in a pipeline's header, and so has to change in its job."""
    return tuple(JobNote(f"{path}: {line}") for line in jpl_differences(old, new))


def message_notes(commits: Iterable[Message]) -> tuple[JobNote, ...]:
    """The lines of their messages that speak of jobs, each once."""
    return tuple(JobNote(text) for text in dict.fromkeys(_lines(commits)))


def _lines(commits: Iterable[Message]) -> Iterator[str]:
    for commit in commits:
        for line in (commit.subject, *commit.body.splitlines()):
            if _SPEAKS_OF_JOBS.search(line):
                yield f"{commit.sha[:_SHORT]} {line.strip()}"
