"""The repositories on their Git servers, each with a bare mirror on this machine."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from kcibot.core.ports import ChangedPath, Commit, GitRemote, LostCommit, RefUpdate, TagRef
from kcibot.errors import NotFound, NotText, PermanentError, UserError
from kcibot.services.git import objects as git_objects
from kcibot.services.git import push as git_push
from kcibot.services.git.documents import parse_document
from kcibot.services.git.login import TOKEN_USER, Credentials, Login, checked_url
from kcibot.services.git.objects import Identity, Mirror, Stamp
from kcibot.services.git.process import GitProcess, checked_sha

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
FIRST_FETCH_FACTOR = 15
"""How many times the usual time limit a mirror's first fetch may take: a kernel is two gigabytes."""

_DIFF = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames")
_FETCHED = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_COMMIT_FORMAT = "--format=tformat:%H%x00%an%x00%ct%x00%s%x00%b"
_COMMIT_FIELDS = 5
_PEELED = "^{}"


class GitRepository:
    """One repository. Reading is free for every thread; what changes the mirror is done one at a time."""

    def __init__(self, name: str, url: str, mirror: Path, identity: Identity, process: GitProcess) -> None:
        self.name = name
        self._url = checked_url(name, url)
        self._mirror = Mirror(mirror, process)
        self._identity = identity
        self._process = process
        self._lock = threading.RLock()
        self._filled = mirror / "kcibot-filled"

    # ---- the server --------------------------------------------------------------------------------------------

    def fetch(self) -> None:
        """Make the mirror's branches and tags those of the server: moved ones follow, removed ones go."""
        with self._lock:
            seconds = self._process.timeout_seconds
            if not self._filled.exists():
                self._create()
                seconds *= FIRST_FETCH_FACTOR
            options = ("--prune", "--force", "--no-write-fetch-head", "--no-auto-maintenance", "--quiet")
            self._process.remote(("fetch", *options, "--", self._url, *_FETCHED), self._url, self._mirror.path, seconds)
            self._filled.touch()

    def branches(self) -> Mapping[str, str]:
        found = self._references("--heads")
        return {ref.removeprefix("refs/heads/"): sha for ref, sha in found.items()}

    def tags(self) -> tuple[TagRef, ...]:
        found = self._references("--tags")
        return tuple(
            TagRef(ref.removeprefix("refs/tags/"), sha, found.get(ref + _PEELED, sha))
            for ref, sha in found.items()
            if not ref.endswith(_PEELED)
        )

    def push(self, updates: Sequence[RefUpdate]) -> None:
        with self._lock:
            self._have([update.expected for update in updates if update.expected])
            git_push.push(git_push.Push(self._mirror, self._url, tuple(updates), self._references))

    # ---- reading the mirror ------------------------------------------------------------------------------------

    def log(self, old: str, new: str) -> tuple[Commit, ...]:
        return self._commits("--no-merges", checked_sha(new), f"^{checked_sha(old)}")

    def lost(self, old: str, new: str) -> tuple[LostCommit, ...]:
        lost = self._commits(checked_sha(old), f"^{checked_sha(new)}")
        twins = self._twins(old, new, {commit.sha for commit in lost}) if lost else {}
        return tuple(LostCommit(commit, twins.get(commit.sha)) for commit in lost)

    def changed_paths(self, old: str, new: str) -> tuple[ChangedPath, ...]:
        fields = iter(self._git(*_DIFF, "--name-status", "-z", checked_sha(old), checked_sha(new), "--").split("\0"))
        changed = []
        for status in fields:
            if status.startswith(("R", "C")):
                former = next(fields)
                changed.append(ChangedPath(status[0], next(fields), former))
            elif status:
                changed.append(ChangedPath(status[0], next(fields)))
        return tuple(changed)

    def diff(self, old: str, new: str, path: str = "") -> str:
        return self._git(*_DIFF, checked_sha(old), checked_sha(new), "--", *([path] if path else []))

    def read(self, commit: str, path: str) -> str:
        import git  # noqa: PLC0415 (it takes a tenth of a second, which a start without Git work should not pay)

        missing = f"{self.name}: {commit[:12]} has no file {path}."
        # Without closing, each repository object leaves two `git cat-file` children behind.
        with git.Repo(self._ready()) as repository:
            repository.git.update_environment(GIT_DIR=str(self._mirror.path))
            try:
                item = repository.commit(checked_sha(commit)).tree / path
            except KeyError as error:
                raise NotFound(missing) from error
            except (git.exc.GitError, git.exc.BadName, ValueError) as error:
                raise PermanentError(f"{self.name}: {commit[:12]} is not in the mirror; fetch it first.") from error
            if item.type != "blob":
                raise NotFound(missing)
            return self._decoded(item.data_stream.read(), path)

    def document(self, commit: str, path: str) -> object:
        return parse_document(self.read(commit, path), f"{self.name}: {path} of {commit[:12]}")

    def paths(self, commit: str, under: str = "") -> tuple[str, ...]:
        folder = [under.rstrip("/") + "/"] if under else []
        listed = self._git("ls-tree", "-r", "-z", "--name-only", "--full-tree", checked_sha(commit), "--", *folder)
        return tuple(path for path in listed.split("\0") if path)

    # ---- making things in the mirror ---------------------------------------------------------------------------

    def commit(self, parent: str, files: Mapping[str, str | None], message: str, at: datetime) -> str:
        with self._lock:
            self._ready()
            return git_objects.make_commit(self._mirror, parent, files, message, Stamp.of(self._identity, at))

    def cherry_pick(self, commit: str, onto: str, at: datetime) -> str:
        """Apply one commit onto another: the author stays who it was, the committer is the bot."""
        with self._lock:
            self._ready()
            return git_objects.pick_commit(self._mirror, commit, onto, Stamp.of(self._identity, at))

    def annotate(self, name: str, commit: str, message: str, at: datetime) -> str:
        with self._lock:
            self._ready()
            return git_objects.make_tag(self._mirror, name, commit, message, Stamp.of(self._identity, at))

    def checkout(self, commit: str, into: Path) -> None:
        if into.exists() and any(into.iterdir()):
            raise PermanentError(f"{self.name}: {into.name} is not empty, so nothing was written there.")
        into.mkdir(parents=True, exist_ok=True)
        index = {"GIT_INDEX_FILE": str(into / ".kcibot-index")}
        self._ready()
        try:
            self._mirror.git("read-tree", checked_sha(commit), variables=index)
            where = (f"--git-dir={self._mirror.path}", f"--work-tree={into}", "-c", "core.bare=false")
            self._process.local((*where, "checkout-index", "--all", "--quiet"), into, variables=index)
        finally:
            (into / ".kcibot-index").unlink(missing_ok=True)

    # ---- inside ------------------------------------------------------------------------------------------------

    def _ready(self) -> Path:
        """The mirror's folder, filled by a first fetch if it is new."""
        if not self._filled.exists():
            with self._lock:
                if not self._filled.exists():
                    self.fetch()
        return self._mirror.path

    def _have(self, commits: Sequence[str]) -> None:
        """Fetch if the mirror lacks one: what a push takes off a branch is kept here."""
        self._ready()
        if any(self._process.run(("cat-file", "-e", checked_sha(sha)), self._mirror.path).code for sha in commits):
            self.fetch()

    def _create(self) -> None:
        self._mirror.path.parent.mkdir(parents=True, exist_ok=True)
        self._process.local(("init", "--bare", "--quiet", "--", str(self._mirror.path)), self._mirror.path.parent)

    def _git(self, *arguments: str) -> str:
        self._ready()
        return self._mirror.git(*arguments).decode("utf-8", "replace")

    def _references(self, *kinds: str) -> dict[str, str]:
        """Full names and object ids, asked of the server; peeled ones carry git's mark."""
        self._process.folder.mkdir(parents=True, exist_ok=True)
        arguments = ("ls-remote", "--quiet", *kinds, "--", self._url)
        listed = self._process.remote(arguments, self._url, self._process.folder).decode("utf-8", "replace")
        pairs = (line.split("\t", 1) for line in listed.splitlines())
        return {ref: checked_sha(sha) for sha, ref in pairs}

    def _commits(self, *revisions: str) -> tuple[Commit, ...]:
        fields = self._git("log", "-z", "--date-order", "--no-show-signature", _COMMIT_FORMAT, *revisions, "--").split(
            "\0"
        )
        rows = (fields[i : i + _COMMIT_FIELDS] for i in range(0, len(fields) - 1, _COMMIT_FIELDS))
        return tuple(
            Commit(checked_sha(sha), author, datetime.fromtimestamp(int(seconds), UTC), subject, body.strip())
            for sha, author, seconds, subject, body in rows
        )

    def _twins(self, old: str, new: str, lost: set[str]) -> dict[str, str]:
        """Lost commit -> the commit on the new side that makes the same change.

        Git first says which commits have an equal at all; only these few get their patch ids computed, since the new
        side may be a whole kernel release.
        """
        marked = self._git("rev-list", "--cherry-mark", "--no-merges", f"{old}...{new}", "--").splitlines()
        equal = [line[1:] for line in marked if line.startswith("=")]
        if not equal:
            return {}
        patches = self._mirror.git("diff-tree", "--stdin", "-p", "--root", given="\n".join(equal).encode() + b"\n")
        identified = self._mirror.words("patch-id", "--stable", given=patches)
        patch_of = {sha: patch for patch, sha in (line.split() for line in identified.splitlines())}
        kept = {patch: sha for sha, patch in patch_of.items() if sha not in lost}
        return {sha: kept[patch] for sha, patch in patch_of.items() if sha in lost and patch in kept}

    def _decoded(self, data: bytes, path: str) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise NotText(f"{self.name}: {path} is not a text in UTF-8.") from error


class GitRepositories:
    """The configured repositories by name, with one bare mirror each below `folder`.

    `logins` are by the host name of an HTTPS server, each for that host alone; `token` is for the hosts without one.
    Every command of git is given `timeout_seconds`.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        folder: Path,
        author_name: str,
        author_email: str,
        ssh_key: Path | None = None,
        timeout_seconds: float = 120.0,
        *,
        token: Callable[[], str] | None = None,
        logins: Mapping[str, tuple[str, Callable[[], str]]] | None = None,
        known_hosts: Path | None = None,
    ) -> None:
        default = Login(TOKEN_USER, token) if token else None
        by_host = {host: Login(*login) for host, login in (logins or {}).items()}
        credentials = Credentials(ssh_key, known_hosts, by_host, default)
        identity = Identity(author_name, author_email)
        self._repositories: dict[str, GitRepository] = {}
        for name, url in urls.items():
            if not NAME.fullmatch(name):
                raise UserError(f"{name[:60]!r} is no name for a repository.")
            process = GitProcess(name, folder, credentials, timeout_seconds)
            self._repositories[name] = GitRepository(name, url, folder / f"{name}.git", identity, process)

    def remote(self, name: str) -> GitRemote:
        if name not in self._repositories:
            raise UserError(f"There is no repository {name!r}; configured are {', '.join(self._repositories)}.")
        return self._repositories[name]

    def names(self) -> tuple[str, ...]:
        return tuple(self._repositories)
