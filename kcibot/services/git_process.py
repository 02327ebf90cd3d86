"""Runs plain `git`: argument lists only, a bare environment, its own process group, a time limit, no prompt."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from kcibot.errors import ConfigError, PermanentError, TransientError
from kcibot.services.processes import MARK

SHA = re.compile(r"[0-9a-f]{40}")
TOKEN_VARIABLE = "KCIBOT_GIT_TOKEN"
GRACE_SECONDS = 2.0
QUOTED_CHARACTERS = 300

# Without these the bot's own secrets, or a stray GIT_DIR, would reach git and every hook that it runs.
# With the mark a push that outlived its bot is found, and ended before the next life looks.
_KEPT_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", MARK)
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_FIXED_VARIABLES = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}
# A helper could write the token to a disk; a redirection could carry it to another host.
_FIXED_OPTIONS = ("-c", "credential.helper=", "-c", "http.followRedirects=false", "-c", "gc.auto=0")

_ASKPASS = f"""#!/bin/sh
case "$1" in
  Username*) echo x-access-token ;;
  *) printenv {TOKEN_VARIABLE} ;;
esac
"""

_REFUSED = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|Permission denied|Host key verification failed"
    r"|returned error: 40[13]|access denied",
    re.IGNORECASE,
)
_MISSING = re.compile(
    r"repository .*not found|does not appear to be a git repository|returned error: 404", re.IGNORECASE
)
_UNREACHED = re.compile(
    r"Could not resolve|Connection refused|Connection timed out|Failed to connect|No route to host|unable to connect"
    r"|Network is unreachable|Name or service not known|unable to access",
    re.IGNORECASE,
)


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
class Credentials:
    """How to log in to the servers. `token` is asked for just before each use and is only ever given to HTTPS."""

    ssh_key: Path | None = None
    token: Callable[[], str] | None = None


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
        if self.credentials.token is None or not may_carry_token(url):
            return {}
        return {"GIT_ASKPASS": str(self._askpass()), TOKEN_VARIABLE: self.credentials.token()}

    def connection_error(self, err: str, url: str) -> PermanentError | TransientError:
        """What a failed contact means, if nothing was sent yet."""
        if _REFUSED.search(err):
            return PermanentError(f"{self.name}: the Git server refused the login: {quoted(err)}")
        if _MISSING.search(err) and not is_local(url):
            return PermanentError(f"{self.name}: the Git server does not have this repository: {quoted(err)}")
        return TransientError(f"{self.name}: the Git server cannot be reached: {quoted(err)}")

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in (*_KEPT_VARIABLES, *_PROXY_VARIABLES) if name in os.environ}
        return {**kept, **_FIXED_VARIABLES, "GIT_SSH_COMMAND": self._ssh_command()}

    def _ssh_command(self) -> str:
        words = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"]
        if self.credentials.ssh_key is not None:
            words += ["-i", str(self.credentials.ssh_key), "-o", "IdentitiesOnly=yes"]
        return shlex.join(words)

    def _askpass(self) -> Path:
        program = self.folder / "askpass"
        if not program.exists():
            fresh = self.folder / f"askpass.{os.getpid()}.new"
            fresh.write_text(_ASKPASS)
            fresh.chmod(0o700)
            fresh.replace(program)
        return program


def checked_url(name: str, url: str) -> str:
    """The URL as configured; ConfigError if it holds a password, since URLs are seen in process lists."""
    if not url or url.startswith("-"):
        raise ConfigError(f"{name}: this is no URL of a Git repository.")
    if "://" in url and urlsplit(url).password is not None:
        raise ConfigError(
            f"{name}: the URL of the Git repository holds a password; configure a token or a key instead."
        )
    return url


def checked_sha(text: str) -> str:
    """The text, if it is a full object id: a tool's message on stdout was once taken for one."""
    if not SHA.fullmatch(text):
        raise PermanentError(f"{text[:60]!r} is not a full commit id.")
    return text


def is_local(url: str) -> bool:
    """True for a path on this machine."""
    return url.startswith(("/", ".", "file://"))


def may_carry_token(url: str) -> bool:
    """True where the connection is encrypted, or never leaves this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"})


def unreached(err: str) -> bool:
    """True if git's words prove that the server was never spoken to, or that it refused to listen."""
    return bool(_REFUSED.search(err) or _MISSING.search(err) or _UNREACHED.search(err))


def quoted(err: str) -> str:
    """The telling part of git's complaint, on one line and fit to be shown."""
    lines = [" ".join(line.split()) for line in err.splitlines()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))] or [
        line for line in lines if line
    ]
    text = "; ".join(dict.fromkeys(telling)) or "git gave no reason"
    return "".join(letter for letter in text if letter.isprintable())[:QUOTED_CHARACTERS]


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
