"""Ansible over a real SSH server, as a user who becomes root by a real sudo: what it does, refuses, and never shows."""

import logging
import os
import pwd
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kcibot.core.ports import Deployment, DeployResult, Never, ignore_report
from kcibot.errors import KcibotError, OutcomeUnknown, PermanentError, TransientError
from kcibot.services import process_tree
from kcibot.services.ansible.adapter import AnsibleDeployer
from kcibot.services.ansible.record import PLAYER, SUPERVISOR
from tests.servers.ssh import make_key
from tests.servers.sudo_user import Sudo, SudoUser, processes_of, ssh_variables, sudo_user

PLAYBOOK = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: Install
      ansible.builtin.copy: {{content: "new\\n", dest: "{folder}/installed", mode: "0644"}}
      notify: Restart
    - name: Wait
      ansible.builtin.shell: "echo $$ > {folder}/waiting; while [ ! -e {folder}/go ]; do sleep 0.02; done"
      when: "'slow' in ansible_run_tags"
      tags: [slow]
      changed_when: false
  handlers:
    - name: Restart
      ansible.builtin.shell: "id -u >> {folder}/restarts; cat /proc/$PPID/status | head -1"
"""


@dataclass(frozen=True)
class Place:
    """A folder with a playbook and an inventory that leads to the real server."""

    folder: Path
    user: SudoUser

    @property
    def deployment(self) -> Deployment:
        key = str(self.user.server.key)
        return Deployment(
            self.folder / "play", "site.yml", "hosts", "api.kernelci.org", ask_become_pass=True, private_key=key
        )

    @property
    def slow(self) -> Deployment:
        return replace(self.deployment, tags=("all", "slow"))

    def deployer(self, password: str = "", variables: dict[str, str] | None = None) -> AnsibleDeployer:
        said = password or self.user.password
        return AnsibleDeployer(self.folder / "records", lambda: said, variables or self.user.variables)

    def inventory(self, line: str) -> None:
        (self.folder / "play" / "hosts").write_text(f"{line}\n")

    @property
    def installed(self) -> Path:
        return self.folder / "installed"

    @property
    def restarts(self) -> list[str]:
        path = self.folder / "restarts"
        return path.read_text().split() if path.exists() else []


class Following(threading.Thread):
    """Follows a deployment on a thread of its own."""

    def __init__(self, act: Callable[[], DeployResult]) -> None:
        super().__init__(daemon=True)
        self._act = act
        self.result: DeployResult | None = None
        self.error: KcibotError | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._act()
        except KcibotError as error:
            self.error = error


@pytest.fixture(scope="module")
def user() -> Iterator[SudoUser]:
    with sudo_user() as there:
        yield there


@pytest.fixture
def place(tmp_path: Path, user: SudoUser) -> Place:
    return placed(tmp_path, user)


def placed(folder: Path, user: SudoUser) -> Place:
    (folder / "play").mkdir()
    (folder / "play" / "site.yml").write_text(PLAYBOOK.format(folder=folder))
    there = Place(folder, user)
    there.inventory(user.inventory)
    return there


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this never became true"
        threading.Event().wait(0.02)


def nothing_happened(place: Place) -> None:
    assert not place.installed.exists()
    assert place.restarts == []


# ---- let in ----------------------------------------------------------------------------------------------------


def test_a_playbook_becomes_root_by_the_very_command_that_is_shown_and_its_password_is_nowhere_to_be_seen(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lines: list[str] = []
    following = Following(lambda: place.deployer().deploy(place.slow, lines.append, Never()))
    until((place.folder / "waiting").exists)
    (player,) = [pid for pid in process_tree.running(PLAYER, f"={place.folder}/") if parent_runs_supervisor(pid)]
    words = read(Path(f"/proc/{player}/cmdline")).rstrip(b"\0").split(b"\0")
    shown = place.deployer().command(place.slow)
    assert tuple(word.decode() for word in words[-len(shown) + 1 :]) == shown[1:]
    assert seen_by_others(place.user.password) == []
    assert files_with(place, place.user.password) == []
    (place.folder / "go").touch()
    following.join(30)
    assert following.result, following.error
    assert following.result.handlers == ("api.kernelci.org: Restart",)
    assert (place.installed.stat().st_uid, place.restarts) == (0, ["0"])
    assert files_with(place, place.user.password) == []
    assert place.user.password not in " ".join([*lines, caplog.text, repr(following.result)])


def parent_runs_supervisor(pid: int) -> bool:
    """Ansible's workers have its command line too."""
    parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    return SUPERVISOR.encode() in Path(f"/proc/{parent}/cmdline").read_bytes()


def seen_by_others(secret: str) -> list[str]:
    """Processes of this machine that have it in their command line or environment."""
    found = []
    for path in [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]:
        try:
            if secret.encode() in path.read_bytes():
                found.append(str(path))
        except OSError:  # it ended while we looked
            continue
    return found


def files_with(place: Place, secret: str) -> list[Path]:
    """Files of the deployment, of the user, and of the server."""
    roots = (place.folder, place.user.server.folder, Path("~" + place.user.name).expanduser())
    paths = [path for root in roots for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in paths if secret.encode() in path.read_bytes()]


def test_commands_of_the_bots_own_are_run_as_root_too(place: Place) -> None:
    (answer,) = place.deployer().ask(place.deployment, [("id", "-u")], Never())
    assert (answer.host, answer.code, answer.text) == ("api.kernelci.org", 0, "0")
    place.deployer().act(place.deployment, [("touch", str(place.installed))], ignore_report, Never())
    assert place.installed.stat().st_uid == 0


def test_a_check_shows_the_difference_and_leaves_the_host_alone(place: Place) -> None:
    result = place.deployer().deploy(replace(place.deployment, check=True), ignore_report, Never())
    assert result.changed > 0
    assert "\n+new" in "\n".join(result.differences)
    nothing_happened(place)


def test_where_sudo_asks_nothing_no_password_is_needed(tmp_path: Path) -> None:
    with sudo_user(Sudo.NOTHING) as user:
        place = placed(tmp_path, user)
        place.deployer().deploy(replace(place.deployment, ask_become_pass=False), ignore_report, Never())
        assert place.installed.stat().st_uid == 0


# ---- not let in ------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_refused_at_once_and_changed_nothing(place: Place) -> None:
    wrong = secrets.token_hex(16)
    began = time.monotonic()
    with pytest.raises(PermanentError, match=r"Incorrect sudo password.*No task before it had changed") as refusal:
        place.deployer(wrong).deploy(place.deployment, ignore_report, Never())
    assert time.monotonic() - began < 60, "nobody waits for somebody to type another"
    assert wrong not in str(refusal.value)
    assert files_with(place, wrong) == []
    nothing_happened(place)


def test_a_wrong_password_is_not_tried_again_for_every_question(place: Place) -> None:
    with pytest.raises(PermanentError, match=r"could not be asked: .*Incorrect sudo password") as refusal:
        place.deployer(secrets.token_hex(16)).ask(place.deployment, [("true",), ("id",)], Never())
    assert str(refusal.value).count("Incorrect") == 1


def test_no_password_where_sudo_wants_one_is_refused(place: Place) -> None:
    with pytest.raises(PermanentError, match="Missing sudo password"):
        place.deployer().deploy(replace(place.deployment, ask_become_pass=False), ignore_report, Never())
    nothing_happened(place)


def test_an_unknown_host_key_is_refused_and_not_waited_for(place: Place) -> None:
    nobody = place.folder / "known"
    nobody.touch()
    with pytest.raises(PermanentError, match="Host key verification failed"):
        place.deployer(variables=ssh_variables(nobody)).deploy(place.deployment, ignore_report, Never())
    assert nobody.read_text() == "", "nor is it learned"
    nothing_happened(place)


def test_a_key_that_is_not_let_in_or_that_is_locked_is_refused_and_no_passphrase_waited_for(place: Place) -> None:
    key = place.folder / "other-key"
    make_key(key, "of-the-key")
    with pytest.raises(PermanentError, match="Permission denied"):
        place.deployer().deploy(replace(place.deployment, private_key=str(key)), ignore_report, Never())
    nothing_happened(place)


def test_a_host_that_is_down_is_worth_another_try(place: Place) -> None:
    port = place.user.server.port
    place.inventory(place.user.inventory.replace(f"ansible_port={port}", "ansible_port=1"))
    with pytest.raises(TransientError, match=r"Connection refused.*Nothing was changed"):
        place.deployer().deploy(place.deployment, ignore_report, Never())


# ---- lost ------------------------------------------------------------------------------------------------------


def test_a_connection_lost_in_the_middle_is_unknown_and_nothing_of_it_is_left_running(place: Place) -> None:
    following = Following(lambda: place.deployer().deploy(place.slow, ignore_report, Never()))
    until((place.folder / "waiting").exists)
    os.kill(session(place.user), signal.SIGKILL)
    following.join(60)
    assert isinstance(following.error, OutcomeUnknown), following.error or following.result
    assert place.installed.exists()
    assert place.restarts == [], "its handlers had no way to the machine any more"
    (place.folder / "go").touch()
    place.deployer().deploy(place.deployment, ignore_report, Never())
    assert place.restarts == [], "the retry had nothing to change"
    uid = pwd.getpwnam(place.user.name).pw_uid
    until(lambda: processes_of(uid) == [])
    assert process_tree.running(PLAYER, f"={place.folder}/") == []
    assert [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"[mux]" in read(path)] == []


def session(user: SudoUser) -> int:
    """The server's process that speaks with the user."""
    uid = pwd.getpwnam(user.name).pw_uid
    (found,) = [pid for pid in processes_of(uid) if read(Path(f"/proc/{pid}/cmdline")).startswith(b"sshd: ")]
    return found


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended while we looked
        return b""
