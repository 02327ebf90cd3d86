"""How git logs in: a token for the one host that it is for, an SSH key, known host keys, and never a question."""

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from kcibot.errors import ConfigError

USER_VARIABLE = "KCIBOT_GIT_USER"
TOKEN_VARIABLE = "KCIBOT_GIT_TOKEN"
TOKEN_USER = "x-access-token"
"""The user beside a token where none is named: GitHub's for apps, and accepted by it for every kind of token."""

# Each is said even if it is ssh's default: the service user's own ~/.ssh/config may say otherwise.
_SSH_OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
    "ControlMaster": "no",  # a master would outlive the push that started it
    "ControlPath": "none",
    "ConnectTimeout": "20",
    "ServerAliveInterval": "15",
}
_ASKPASS = f"""#!/bin/sh
case "$1" in
  Username*) printenv {USER_VARIABLE} ;;
  *) printenv {TOKEN_VARIABLE} ;;
esac
"""
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Login:
    """A user of one HTTPS server; the token is asked for just before each use."""

    user: str
    token: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to log in to the servers.

    `logins` are by host name, and a token is only ever given to its own host; `default` is for every other one.
    `known_hosts` is the file of the SSH servers' keys; without it ssh looks where it always does.
    """

    ssh_key: Path | None = None
    known_hosts: Path | None = None
    logins: Mapping[str, Login] = field(default_factory=dict)
    default: Login | None = None

    def variables(self, url: str, folder: Path) -> dict[str, str]:
        """The environment by which git logs in there, of that one process; its helper program is kept in `folder`."""
        login = self._login(url)
        if login is None or not may_carry_token(url):
            return {}
        return {"GIT_ASKPASS": str(_askpass(folder)), USER_VARIABLE: login.user, TOKEN_VARIABLE: login.token()}

    def withheld(self, url: str) -> bool:
        """True if there is a token for that server, which is not given to it because everybody could read along."""
        return self._login(url) is not None and not may_carry_token(url)

    def ssh_command(self) -> str:
        """For GIT_SSH_COMMAND, which git gives to a shell."""
        words = ["ssh"]
        for name, value in _SSH_OPTIONS.items():
            words += ["-o", f"{name}={value}"]
        if self.ssh_key is not None:
            words += ["-o", f"IdentityFile={_literal(self.ssh_key)}", "-o", "IdentitiesOnly=yes"]
        if self.known_hosts is not None:
            words += ["-o", f"UserKnownHostsFile={_literal(self.known_hosts)}", "-o", "GlobalKnownHostsFile=none"]
        return shlex.join(words)

    def _login(self, url: str) -> Login | None:
        parts = _http(url)
        return self.logins.get(parts.hostname or "", self.default) if parts else None


def may_carry_token(url: str) -> bool:
    """True where the connection is encrypted, or never leaves this machine."""
    parts = _http(url)
    return parts is not None and (parts.scheme == "https" or parts.hostname in _LOOPBACK)


def is_local(url: str) -> bool:
    """True for a path on this machine."""
    return url.startswith(("/", ".", "file://"))


def checked_url(name: str, url: str) -> str:
    """The URL as configured; ConfigError if it may hold a secret, since URLs are seen in process lists."""
    if not url or url.startswith("-"):
        raise ConfigError(f"{name}: this is no URL of a Git repository.")
    parts = urlsplit(url) if "://" in url else None
    web = _http(url)
    if (parts and parts.password is not None) or (web and (web.username is not None or web.query)):
        raise ConfigError(f"{name}: the URL of the Git repository holds a login; configure a token or a key instead.")
    return url


def _http(url: str) -> SplitResult | None:
    return urlsplit(url) if url.startswith(("http://", "https://")) else None


def _literal(path: Path) -> str:
    """A path that ssh neither splits at its blanks nor expands."""
    return '"' + str(path).replace("%", "%%") + '"'


def _askpass(folder: Path) -> Path:
    """The program that answers git's questions from its environment; written anew if it is of another version."""
    program = folder / "askpass"
    if not program.exists() or program.read_text() != _ASKPASS:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"askpass.{os.getpid()}.new"
        fresh.write_text(_ASKPASS)
        fresh.chmod(0o700)
        fresh.replace(program)
    return program
