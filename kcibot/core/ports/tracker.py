"""The place where a repository's issues and pull requests are, such as GitHub."""

from datetime import datetime
from typing import Protocol


class IssueTracker(Protocol):
    """Issues and pull requests of one repository. What is opened or found is named by its address for people."""

    def find_issue(self, marker: str, since: datetime) -> str | None:
        """The issue, open or closed, that was opened since and has `marker` as a line of its text; None if none has."""
        ...

    def open_issue(self, title: str, text: str) -> str: ...

    def find_pull(self, branch: str) -> str | None:
        """The newest pull request, open or closed, of that branch of the repository itself; None if there is none."""
        ...

    def open_pull(self, branch: str, base: str, title: str, text: str) -> str:
        """Ask for `branch` to be merged into `base`, both of the repository itself."""
        ...
