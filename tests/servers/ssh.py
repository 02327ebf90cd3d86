"""An SSH server of the tests' own: its host key, one client key, and no account or file of this machine changed."""

import getpass
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.floor import folder_for, free_port, listens, needed, running, until

PACKAGES = "openssh-server openssh-client"
SSHD = "/usr/sbin/sshd"
PRIVILEGE_SEPARATION = Path("/run/sshd")
"""A server that root starts wants this empty folder, which a package's service would make."""


@dataclass(frozen=True)
class SshServer:
    """A running server. `key` may log in as `user`; `known_hosts` holds `host_key_line` and nothing else."""

    port: int
    user: str
    key: Path
    host_key_line: str
    known_hosts: Path
    folder: Path
    log: Path


@contextmanager
def ssh_server(user: str = "", key_options: str = "", settings: Sequence[str] = ()) -> Iterator[SshServer]:
    """`user` (that of the tests if empty) logs in with the key alone.

    `key_options` stand before the key in authorized_keys (`command="..."`), `settings` are further lines for sshd.
    Only root can let another user in than the one who runs the tests.
    """
    me = getpass.getuser()
    needed(["sshd", "ssh", "ssh-keygen"], PACKAGES, root=bool(user) and user != me)
    with folder_for("ssh") as folder:
        server = _prepared(folder, user or me, key_options, settings)
        with running([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], server.log):
            until(listens(server.port), server.log)
            yield server


def make_key(path: Path, passphrase: str = "") -> str:
    """A new key pair at `path`; its public line."""
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "of-the-tests", "-f", str(path)]
    subprocess.run(words, check=True, capture_output=True, timeout=20, stdin=subprocess.DEVNULL)
    return path.with_name(path.name + ".pub").read_text().strip()


def _prepared(folder: Path, user: str, key_options: str, settings: Sequence[str]) -> SshServer:
    port = free_port()
    host_key = " ".join(make_key(folder / "hostkey").split()[:2])
    authorized = folder / "authorized_keys"
    authorized.write_text(f"{key_options} {make_key(folder / 'id')}\n".lstrip())
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {host_key}\n")
    (folder / "sshd_config").write_text("\n".join([*_lines(folder, port), *settings]) + "\n")
    if os.geteuid() == 0:
        PRIVILEGE_SEPARATION.mkdir(exist_ok=True)
    return SshServer(port, user, folder / "id", known.read_text().strip(), known, folder, folder / "log")


def _lines(folder: Path, port: int) -> list[str]:
    return [
        f"ListenAddress 127.0.0.1:{port}",
        f"HostKey {folder}/hostkey",
        f"PidFile {folder}/sshd.pid",
        f"AuthorizedKeysFile {folder}/authorized_keys",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "StrictModes no",
        "MaxStartups 100",
        "LogLevel VERBOSE",
        "Subsystem sftp /usr/lib/openssh/sftp-server",
    ]
