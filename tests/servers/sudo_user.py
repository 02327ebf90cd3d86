"""An account of the tests' own that may become root: what Ansible logs in as, on the SSH server of `tests.servers.ssh`.

The only things changed on this machine are the account and one file of sudo's; both are gone with the block.
"""

import os
import pwd
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.servers.floor import needed
from tests.servers.ssh import PACKAGES, SshServer, ssh_server

SUDOERS = Path("/etc/sudoers.d")
SECONDS = 20


class Sudo(StrEnum):
    """What sudo asks of the user before it lets them become root."""

    PASSWORD = "ALL=(ALL) ALL"
    NOTHING = "ALL=(ALL) NOPASSWD: ALL"


@dataclass(frozen=True)
class SudoUser:
    """A user who may log in to `server` with its key, and then become root with `password`."""

    server: SshServer
    name: str
    password: str

    @property
    def inventory(self) -> str:
        """Its line in Ansible's inventory, as a host of production."""
        server = self.server
        return (
            f"api.kernelci.org ansible_host=127.0.0.1 ansible_port={server.port} ansible_user={self.name}"
            f" ansible_python_interpreter=/usr/bin/python3"
        )

    @property
    def variables(self) -> dict[str, str]:
        """Ansible's environment: host keys are checked, and no connection outlives its playbook."""
        return ssh_variables(self.server.known_hosts)


def ssh_variables(known_hosts: Path) -> dict[str, str]:
    """The same with other known hosts."""
    options = f"-o ControlMaster=no -o UserKnownHostsFile={known_hosts} -o IdentitiesOnly=yes -o ConnectTimeout=10"
    return {"ANSIBLE_PIPELINING": "True", "ANSIBLE_SSH_ARGS": options}


@contextmanager
def sudo_user(sudo: Sudo = Sudo.PASSWORD) -> Iterator[SudoUser]:
    """Needs root. The password is a new one each time, and is in no command line."""
    needed(
        ["sshd", "ssh", "ssh-keygen", "sudo", "visudo", "useradd", "userdel", "chpasswd"],
        f"{PACKAGES} sudo passwd",
        root=True,
    )
    name, password = f"kci{os.getpid()}{secrets.token_hex(2)}", secrets.token_hex(16)
    with ExitStack() as stack:
        stack.callback(_remove_user, name)
        _run("useradd", "--create-home", "--shell", "/bin/bash", name)
        _run("chpasswd", given=f"{name}:{password}")
        rule = SUDOERS / name
        stack.callback(rule.unlink, missing_ok=True)
        _allow(rule, f"{name} {sudo.value}\n")
        yield SudoUser(stack.enter_context(ssh_server(name)), name, password)


def _allow(rule: Path, text: str) -> None:
    """A wrong file in that folder would break sudo for everybody."""
    with os.fdopen(os.open(rule, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o440), "w") as file:
        file.write(text)
    _run("visudo", "-cf", str(rule))


def _remove_user(name: str) -> None:
    with suppress(KeyError):
        uid = pwd.getpwnam(name).pw_uid
        for pid in processes_of(uid):
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        _run("userdel", "--remove", "--force", name)


def processes_of(uid: int) -> list[int]:
    """What runs as that user."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if folder.stat().st_uid == uid:
                found.append(int(folder.name))
    return found


def _run(*words: str, given: str = "") -> None:
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    done = subprocess.run(
        words, input=given, capture_output=True, text=True, timeout=SECONDS, check=False, env=environment
    )
    assert done.returncode == 0, f"{words[0]}: {done.stderr.strip()}"
