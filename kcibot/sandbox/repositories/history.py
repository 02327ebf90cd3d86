"""Tells a repository's history to `git fast-import`: one process per repository, however many commits."""

import os
import subprocess
from datetime import datetime
from pathlib import Path

FILES = Path(__file__).parent / "files"

# Trailing hours of work, not names: nobody in the sandbox is a real person.
AUTHORS = ("developer-1", "developer-2", "developer-3")


class History:
    """Commits on one line, with branches and tags; the files' texts so far are in `files`.

    Texts are changed by `write`, `edit`, `append` and `remove`; `commit` records what changed since the last one.
    """

    def __init__(self, head: str = "main") -> None:
        self.files: dict[str, str] = {}
        self._head = head
        self._stream: list[bytes] = []
        self._changed: dict[str, bytes] = {}
        self._last: tuple[int, dict[str, bytes]] = (0, {})
        self._marks = 0
        self._tip = 0

    # ---- files -------------------------------------------------------------------------------------------------

    def write(self, path: str, text: str) -> None:
        self.files[path] = text
        body = text.encode()
        self._changed[path] = b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(body), body)

    def write_all(self, folder: Path, under: str = "") -> None:
        """Every file of a folder of the package, below `under`."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.write(under + path.relative_to(folder).as_posix(), path.read_text())

    def edit(self, path: str, old: str, new: str) -> None:
        if self.files[path].count(old) != 1:
            raise ValueError(f"{path} does not have this text once: {old!r}")
        self.write(path, self.files[path].replace(old, new))

    def append(self, path: str, line: str) -> None:
        self.write(path, f"{self.files[path]}{line}\n")

    def remove(self, path: str) -> None:
        del self.files[path]
        self._changed[path] = b"D %s\n" % path.encode()

    # ---- commits, branches, tags -------------------------------------------------------------------------------

    def commit(self, subject: str, at: datetime, body: str = "") -> int:
        """Record the changes on the current tip; the commit's mark."""
        return self._record(f"{subject}\n\n{body}\n" if body else f"{subject}\n", at)

    def merge_last(self, subject: str, at: datetime) -> int:
        """Make the last commit a side branch of one commit, and merge it into the one before."""
        side, (self._tip, self._changed) = self._tip, self._last
        return self._record(f"{subject}\n", at, merged=side)

    def _record(self, message: str, at: datetime, merged: int = 0) -> int:
        self._last = (self._tip, self._changed)
        self._marks += 1
        author = AUTHORS[self._marks % len(AUTHORS)]
        lines = [f"commit refs/heads/{self._head}".encode(), b"mark :%d" % self._marks]
        lines += [f"{role} {_who(author, at)}".encode() for role in ("author", "committer")]
        lines.append(_data(message))
        lines += [b"%s :%d" % (word, mark) for word, mark in ((b"from", self._tip), (b"merge", merged)) if mark]
        self._stream += [b"\n".join(lines) + b"\n", *self._changed.values(), b"\n"]
        self._changed = {}
        self._tip = self._marks
        return self._tip

    def start_from(self, mark: int) -> None:
        """Make the next commit on that one. What `files` says from here on is only what is written anew."""
        self._tip = mark
        self.files.clear()

    def branch(self, name: str, mark: int) -> None:
        self._reset(f"refs/heads/{name}", mark)

    def light_tag(self, name: str, mark: int) -> None:
        """A tag that is only a name for a commit."""
        self._reset(f"refs/tags/{name}", mark)

    def tag(self, name: str, mark: int, at: datetime, message: str = "") -> int:
        """An annotated tag of a commit or of another tag; its mark."""
        self._marks += 1
        head = f"tag {name}\nmark :{self._marks}\nfrom :{mark}\ntagger {_who('release-manager', at)}\n"
        self._stream.append(head.encode() + _data(f"{message or name}\n") + b"\n")
        return self._marks

    def _reset(self, ref: str, mark: int) -> None:
        self._stream.append(f"reset {ref}\nfrom :{mark}\n\n".encode())

    # ---- to the disk -------------------------------------------------------------------------------------------

    def make(self, path: Path) -> Path:
        """Make the bare repository there; its head is the branch that every commit was made on."""
        _git(path.parent, "init", "--bare", "--quiet", "--template=", f"--initial-branch={self._head}", str(path))
        (path / "hooks").mkdir()
        _git(path, "fast-import", "--quiet", given=b"".join(self._stream))
        return path


def _who(name: str, at: datetime) -> str:
    return f"{name} <{name}@example.org> {int(at.timestamp())} +0000"


def _data(text: str) -> bytes:
    body = text.encode()
    return b"data %d\n%s" % (len(body), body)


def _git(folder: Path, *arguments: str, given: bytes = b"") -> None:
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(  # noqa: S603 (our own words)
        ("git", *arguments),  # noqa: S607 (git is wherever it is)
        cwd=folder,
        env=environment,
        input=given,
        check=True,
        capture_output=True,
    )
