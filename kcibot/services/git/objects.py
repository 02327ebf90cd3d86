"""Makes commits and tag objects in a bare mirror, without a work tree: the same input always gives the same id."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from kcibot.errors import PermanentError
from kcibot.services.git.process import GitProcess, checked_sha

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
TAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*")
REGULAR_FILE = "100644"
NOTHING = "0" * 40


@dataclass(frozen=True, slots=True)
class Identity:
    """The name and the mail address under which the bot commits."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who and when, as git's environment variables want it; seconds, in UTC."""

    name: str
    email: str
    seconds: int

    @classmethod
    def of(cls, identity: Identity, at: datetime) -> "Stamp":
        if at.tzinfo is None:
            raise ValueError("a commit needs a time with a time zone")
        return cls(identity.name, identity.email, int(at.timestamp()))

    def variables(self, role: str) -> dict[str, str]:
        """`role` is AUTHOR or COMMITTER."""
        date = f"@{self.seconds} +0000"
        return {f"GIT_{role}_NAME": self.name, f"GIT_{role}_EMAIL": self.email, f"GIT_{role}_DATE": date}

    def line(self) -> str:
        return f"{self.name} <{self.email}> {self.seconds} +0000"


@dataclass(frozen=True, slots=True)
class Mirror:
    """A bare repository on this machine, and git to work on it."""

    path: Path
    process: GitProcess

    def git(self, *arguments: str, given: bytes = b"", variables: Mapping[str, str] | None = None) -> bytes:
        return self.process.local(arguments, self.path, given, variables)

    def words(self, *arguments: str, given: bytes = b"", variables: Mapping[str, str] | None = None) -> str:
        return self.git(*arguments, given=given, variables=variables).decode("utf-8", "replace").strip()

    def made(self, *arguments: str, given: bytes = b"", variables: Mapping[str, str] | None = None) -> str:
        """Run a command that prints the id of what it made."""
        return checked_sha(self.words(*arguments, given=given, variables=variables))

    def tree(self, commit: str) -> str:
        return self.made("rev-parse", "--verify", "--end-of-options", f"{checked_sha(commit)}^{{tree}}")


def make_commit(mirror: Mirror, parent: str, files: Mapping[str, str | None], message: str, stamp: Stamp) -> str:
    """A commit on `parent` with the new texts, None for a file that goes; PermanentError if they change nothing."""
    before = mirror.tree(parent)
    modes = _modes(mirror, parent, tuple(files))
    with tempfile.TemporaryDirectory(prefix="kcibot-index-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        mirror.git("read-tree", before, variables=index)
        mirror.git("update-index", "-z", "--index-info", given=_entries(mirror, files, modes), variables=index)
        after = mirror.made("write-tree", variables=index)
    if after == before:
        raise PermanentError(f"{mirror.process.name}: the commit {_subject(message)!r} would change nothing.")
    return _commit_tree(
        mirror, after, (parent,), message, {**stamp.variables("AUTHOR"), **stamp.variables("COMMITTER")}
    )


def pick_commit(mirror: Mirror, commit: str, onto: str, stamp: Stamp) -> str:
    """Apply one commit onto another; its author stays, the committer is the bot."""
    parent, message, author = _picked(mirror, commit)
    tree = _merged_tree(mirror, commit, onto, mirror.tree(parent) if parent else EMPTY_TREE)
    if tree == mirror.tree(onto):
        raise PermanentError(f"{mirror.process.name}: what {commit[:12]} changes is already in {onto[:12]}.")
    text = f"{message.rstrip()}\n\n(cherry picked from commit {commit})"
    return _commit_tree(mirror, tree, (onto,), text, {**author.variables("AUTHOR"), **stamp.variables("COMMITTER")})


def make_tag(mirror: Mirror, name: str, commit: str, message: str, stamp: Stamp) -> str:
    """An annotated tag object for a commit; git checks that it is one."""
    if not TAG_NAME.fullmatch(name):
        raise PermanentError(f"{name[:60]!r} is no name for a tag.")
    head = f"object {checked_sha(commit)}\ntype commit\ntag {name}\ntagger {stamp.line()}\n\n"
    return mirror.made("mktag", given=(head + _ended(message)).encode())


def _modes(mirror: Mirror, parent: str, paths: tuple[str, ...]) -> dict[str, str]:
    """The file modes that `parent` has for those paths, so that a script stays executable."""
    listed = mirror.git("ls-tree", "-z", "--full-tree", parent, "--", *map(_checked_path, paths)) if paths else b""
    entries = (entry.decode().split("\t", 1) for entry in listed.split(b"\0") if entry)
    return {path: about.split()[0] for about, path in entries}


def _entries(mirror: Mirror, files: Mapping[str, str | None], modes: Mapping[str, str]) -> bytes:
    return "".join(f"{_entry(mirror, path, text, modes)}\t{path}\0" for path, text in files.items()).encode()


def _entry(mirror: Mirror, path: str, text: str | None, modes: Mapping[str, str]) -> str:
    """Mode and object of a file; mode 0 takes it out of git's index."""
    if text is not None:
        return f"{modes.get(path, REGULAR_FILE)} {mirror.made('hash-object', '-w', '--stdin', given=text.encode())}"
    if path not in modes:
        raise PermanentError(f"{mirror.process.name}: there is no {path} to be removed.")
    return f"0 {NOTHING}"


def _checked_path(path: str) -> str:
    parts = PurePosixPath(path).parts
    if (
        not parts
        or path.startswith("/")
        or "\0" in path
        or {"..", ".git"} & set(parts)
        or str(PurePosixPath(path)) != path
    ):
        raise PermanentError(f"{path[:80]!r} is no path inside a repository.")
    return path


def _picked(mirror: Mirror, commit: str) -> tuple[str, str, Stamp]:
    """Parent (empty for the first commit), message, and author of the commit."""
    show = ("show", "--no-patch", "--no-notes", "--format=%P%x00%an%x00%ae%x00%at%x00%B", checked_sha(commit))
    parents, name, email, seconds, message = mirror.git(*show).decode("utf-8", "replace").split("\0", 4)
    if " " in parents:
        raise PermanentError(f"{mirror.process.name}: {commit[:12]} is a merge and cannot be applied as one change.")
    return parents, message, Stamp(name, email, int(seconds))


def _merged_tree(mirror: Mirror, commit: str, onto: str, base: str) -> str:
    """The tree after a three-way merge from the picked commit's parent.

    `git merge-tree` of this age finds the merge base itself, so it is given three commits made for it. They are as
    reproducible as everything here, and no reference ever names them: a conflict leaves nothing behind.
    """
    stamp = Stamp("merge", "merge@localhost", 0)
    variables = {**stamp.variables("AUTHOR"), **stamp.variables("COMMITTER")}
    root = _commit_tree(mirror, base, (), "base", variables)
    ours = _commit_tree(mirror, mirror.tree(onto), (root,), "ours", variables)
    theirs = _commit_tree(mirror, mirror.tree(commit), (root,), "theirs", variables)
    merge = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs)
    finished = mirror.process.run(merge, mirror.path)
    tree, *conflicts = [part for part in finished.text.split("\0") if part] or [""]
    if finished.code == 1:
        paths = ", ".join(sorted(set(conflicts)))
        raise PermanentError(
            f"{mirror.process.name}: {commit[:12]} does not apply to {onto[:12]}: conflict in {paths}."
        )
    if finished.code != 0:
        raise PermanentError(f"{mirror.process.name}: {commit[:12]} could not be applied to {onto[:12]}.")
    return checked_sha(tree.strip())


def _commit_tree(
    mirror: Mirror, tree: str, parents: tuple[str, ...], message: str, variables: Mapping[str, str]
) -> str:
    options = [word for parent in parents for word in ("-p", checked_sha(parent))]
    return mirror.made("commit-tree", *options, tree, given=_ended(message).encode(), variables=variables)


def _ended(message: str) -> str:
    return message if message.endswith("\n") else f"{message}\n"


def _subject(message: str) -> str:
    return message.split("\n", 1)[0]
