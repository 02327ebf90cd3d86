"""Runs plain `git`: argument lists only, a bare environment, its own process group, a time limit, no prompt."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kcibot.errors import PermanentError, TransientError
from kcibot.services.git.login import Credentials
from kcibot.services.git.words import connection_error, quoted
from kcibot.services.processes import MARK

SHA = re.compile(r"[0-9a-f]{40}")
GRACE_SECONDS = 2.0

# Without these the bot's own secrets, or a stray GIT_DIR, would reach git and every hook that it runs.
# With the mark a push that outlived its bot is found, and ended before the next life looks.
_KEPT_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", MARK)
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_FIXED_VARIABLES = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",  # not what the machine's /etc/gitconfig would ask with
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}
# A helper could write the token to a disk, a redirection could carry it to another host, a hook or a signing program of
# this machine could do anything. What is in /etc/gitconfig stays otherwise: proxies, certificates, safe directories.
_FIXED_SETTINGS = (
    "credential.helper=",
    "http.followRedirects=false",
    "core.hooksPath=/dev/null",
    "push.gpgSign=false",
    "gc.auto=0",
)
_FIXED_OPTIONS = tuple(word for setting in _FIXED_SETTINGS for word in ("-c", setting))


@dataclass(frozen=True, slots=True)
class Finished:
    """How a git process ended; `timed_out` says that it was killed."""

    code: int
    out: bytes
    err: str
    timed_out: bool = False

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class GitProcess:
    """Runs git for one repository name; `folder` is a place for the helper program that answers git's questions."""

    name: str
    folder: Path
    credentials: Credentials = field(default_factory=Credentials)
    timeout_seconds: float = 120.0

    def run(
        self,
        arguments: Sequence[str],
        cwd: Path,
        *,
        given: bytes = b"",
        variables: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Finished:
        """Run to the end, or to the time limit; no exit code is an error here."""
        environment = {**self._environment(), **(variables or {})}
        process = _start(("git", *_FIXED_OPTIONS, *arguments), cwd, environment)
        try:
            out, err = process.communicate(given, timeout=seconds or self.timeout_seconds)
        except subprocess.TimeoutExpired:
            out, err = _end_group(process)
            return Finished(process.returncode, out, err.decode("utf-8", "replace"), timed_out=True)
        return Finished(process.returncode, out, err.decode("utf-8", "replace"))

    def local(
        self, arguments: Sequence[str], cwd: Path, given: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> bytes:
        """Run a command that touches the local mirror alone; what it printed. PermanentError quotes git."""
        finished = self.run(arguments, cwd, given=given, variables=variables)
        if finished.timed_out:
            raise TransientError(f"{self.name}: {_verb(arguments)} took longer than its time limit and was stopped.")
        if finished.code != 0:
            raise PermanentError(f"{self.name}: {_verb(arguments)} failed: {quoted(finished.err)}")
        return finished.out

    def remote(self, arguments: Sequence[str], url: str, cwd: Path, seconds: float | None = None) -> bytes:
        """Run a command that reads from the server; what it printed. Errors say whether to try again."""
        finished = self.run(arguments, cwd, variables=self.login(url), seconds=seconds)
        if finished.timed_out:
            raise TransientError(f"{self.name}: the Git server did not answer within the time limit.")
        if finished.code != 0:
            raise self.connection_error(finished.err, url)
        return finished.out

    def login(self, url: str) -> dict[str, str]:
        """The variables by which git logs in there; the token is in the environment of that one process."""
        return self.credentials.variables(url, self.folder)

    def connection_error(self, err: str, url: str) -> PermanentError | TransientError:
        """What a failed contact means, if nothing was sent yet."""
        error = connection_error(self.name, err, url)
        if isinstance(error, PermanentError) and self.credentials.withheld(url):
            return PermanentError(f"{error}. The token is not sent over http://, where all can read it: use https://")
        return error

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in (*_KEPT_VARIABLES, *_PROXY_VARIABLES) if name in os.environ}
        return {**kept, **_FIXED_VARIABLES, "GIT_SSH_COMMAND": self.credentials.ssh_command()}


def checked_sha(text: str) -> str:
    """The text, if it is a full object id: a tool's message on stdout was once taken for one."""
    if not SHA.fullmatch(text):
        raise PermanentError(f"{text[:60]!r} is not a full commit id.")
    return text


def _verb(arguments: Sequence[str]) -> str:
    return "git " + next(word for word in arguments if re.fullmatch(r"[a-z][a-z-]+", word))


def _start(argv: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 (an argument list; every part is checked or our own)
        argv,
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _end_group(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Ask the group to end, so that git removes its lock files, and then make it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            return process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue  # a child that left the group may hold the pipes open for ever
    return b"", b""
