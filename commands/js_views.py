"""The dated JavaScript names between two commits of the frontend's repository, and the commit that mends them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from kcibot.sdk import GitRemote, NotFound, PermanentError
from kcibot_commands.rules.js_names import JS_FOLDER, Change, ChangedFile, Side, View
from kcibot_commands.rules.js_renames import Rename, renamed_files, renames
from kcibot_commands.rules.problem import RuleError
from kcibot_commands.rules.versions import Version

MEND = (
    "!frontend names shows what I can mend, and !frontend names fix mends it; the rest is by hand: git mv, one line in "
    "common.js, two in build.js"
)
HEADINGS = ("rename ", "--- ", "+++ ", "@@", "+", "-", " ")
"""How those lines of a diff begin that tell people something."""


@dataclass(frozen=True)
class Views:
    """The frontend's scripts at `new`, beside what browsers have from `old` and from the releases before it.

    `tags` maps every tag of the repository to its commit.
    """

    git: GitRemote
    old: str
    new: str
    tags: Mapping[str, str]

    @cached_property
    def change(self) -> Change:
        changed = self.git.changed_paths(self.old, self.new)
        listed = [ChangedFile(one.status, one.path, one.old) for one in changed]
        return Change.of(listed, self._read, self.git.paths(self.new, JS_FOLDER), self._served)

    def renames(self, version: str) -> tuple[Rename, ...]:
        """What mends the names, for a release of that version."""
        return renames(self.change, self._versions_of, version)

    def _read(self, side: Side, path: str) -> str:
        return self.git.read(self.old if side is Side.OLD else self.new, path)

    @cached_property
    def _released(self) -> Mapping[str, tuple[str, ...]]:
        """Path -> the releases that have it."""
        found: dict[str, list[str]] = {}
        for commit in dict.fromkeys(commit for name, commit in self.tags.items() if Version.parse(name)):
            for path in self.git.paths(commit, JS_FOLDER):
                found.setdefault(path, []).append(commit)
        return {path: tuple(commits) for path, commits in found.items()}

    def _served(self, path: str) -> tuple[str, ...]:
        return tuple(self.git.read(commit, path) for commit in self._released.get(path, ()) if self._was_out(commit))

    def _was_out(self, commit: str) -> bool:
        """A release on top of what is in production is still to come, such as one that is amended."""
        return bool(self.git.log(commit, self.old))

    def _versions_of(self, page: str) -> tuple[str, ...]:
        paths = {*self._released, *self.git.paths(self.old, JS_FOLDER), *self.change.paths}
        return tuple(view.version for view in map(View.parse, paths) if view and view.page == page)


def rename_commit(git: GitRemote, parent: str, wanted: tuple[Rename, ...], at: datetime) -> str:
    """The commit that gives the views their names, made in the local mirror: the same arguments, the same id."""
    paths = frozenset(git.paths(parent, JS_FOLDER))
    try:
        files = renamed_files(wanted, lambda path: git.read(parent, path), paths.__contains__)
    except (RuleError, NotFound) as error:
        raise PermanentError(f"{git.name}, {parent[:10]}: {error}") from error
    lines = "".join(f"{rename}\n" for rename in wanted)
    return git.commit(parent, files, f"Rename JS files\n\n{lines}", at)


def rename_lines(git: GitRemote, parent: str, commit: str) -> tuple[str, ...]:
    """That commit's diff for people, whole but for what only git needs."""
    return tuple(line for line in git.diff(parent, commit).splitlines() if line.startswith(HEADINGS))
