"""Git repositories on their servers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit; `sha` is always 40 hexadecimal digits."""

    sha: str
    author: str
    at: datetime
    subject: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class TagRef:
    """A tag on the remote. `object_id` is the tag object (equal to `target` if lightweight), `target` is peeled."""

    name: str
    object_id: str
    target: str


@dataclass(frozen=True, slots=True)
class LostCommit:
    """A commit that only the old side has. `twin` is an equal patch on the other side, if there is one."""

    commit: Commit
    twin: str | None


@dataclass(frozen=True, slots=True)
class ChangedPath:
    """`status` is git's letter (A, M, D, R); `old` is the former name of a rename."""

    status: str
    path: str
    old: str = ""


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """Set `ref` (a full name, refs/heads/x) to `new`, provided that it is at `expected` (None: must not exist)."""

    ref: str
    new: str
    expected: str | None


class GitRemote(Protocol):
    """One repository on its server, with a local mirror that `fetch` brings up to date. Commits are full object ids."""

    name: str

    def fetch(self) -> None: ...

    def branches(self) -> Mapping[str, str]:
        """Branch name -> commit, asked of the server now."""
        ...

    def tags(self) -> tuple[TagRef, ...]:
        """All tags, asked of the server now."""
        ...

    def log(self, old: str, new: str) -> tuple[Commit, ...]:
        """Commits in `new` and not in `old`, newest first, merges left out."""
        ...

    def lost(self, old: str, new: str) -> tuple[LostCommit, ...]:
        """Commits in `old` that `new` would lose."""
        ...

    def changed_paths(self, old: str, new: str) -> tuple[ChangedPath, ...]: ...

    def diff(self, old: str, new: str, path: str = "") -> str:
        """A unified diff, of one path if given."""
        ...

    def read(self, commit: str, path: str) -> str:
        """A file's text; NotFound if the commit has no such path, NotText if it is not UTF-8."""
        ...

    def document(self, commit: str, path: str) -> object:
        """A YAML file as plain values: mappings, lists, strings, numbers. PermanentError if it cannot be parsed."""
        ...

    def paths(self, commit: str, under: str = "") -> tuple[str, ...]:
        """All files below a folder of that commit."""
        ...

    def commit(self, parent: str, files: Mapping[str, str | None], message: str, at: datetime) -> str:
        """Make a commit on `parent` with those files' new texts, None for one that goes, in the local mirror only.

        Same input, same id.
        """
        ...

    def cherry_pick(self, commit: str, onto: str, at: datetime) -> str:
        """Apply one commit onto another, in the local mirror only; PermanentError names the conflicting paths."""
        ...

    def annotate(self, name: str, commit: str, message: str, at: datetime) -> str:
        """Make an annotated tag object in the local mirror only; its id. Same input, same id."""
        ...

    def push(self, updates: Sequence[RefUpdate]) -> None:
        """All or nothing, each by an explicit lease; what a branch loses by it stays in the local mirror.

        A moved lease or a refusal is PermanentError, naming which; a server that could not be reached, or could not
        write, TransientError; OutcomeUnknown if nobody can tell.
        """
        ...

    def checkout(self, commit: str, into: Path) -> None:
        """Write that commit's files into an empty folder."""
        ...


class GitHost(Protocol):
    """The configured repositories by name."""

    def remote(self, name: str) -> GitRemote: ...

    def names(self) -> tuple[str, ...]: ...
