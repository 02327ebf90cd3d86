"""A playbook outlives the bot that began it, runs once, and is settled by its own record, never by a guess."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kcibot.core.ports import Deployment, DeployResult, Never, ignore_report
from kcibot.errors import KcibotError, OutcomeUnknown, PermanentError
from kcibot.services import process_tree
from kcibot.services.ansible import adapter as ansible
from kcibot.services.ansible.adapter import AnsibleDeployer
from kcibot.services.ansible.record import OLD_SECONDS, PLAYER, SUPERVISOR, Record
from kcibot.services.processes import end_orphans

LOCAL = f"here ansible_connection=local ansible_python_interpreter={sys.executable}"
NAME = "7-deploy-backend-0-backend-1"
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Change
      command: sh -c 'echo $$ >> {begun}; while [ ! -e {go} ]; do sleep 0.02; done'
      notify: Restart
  handlers:
    - name: Restart
      command: touch {restarted}
"""
LIFE = """
import sys
from pathlib import Path
from kcibot.core.ports import Deployment, Never, ignore_report
from kcibot.services.ansible.adapter import AnsibleDeployer
from kcibot.services.processes import mark_children

folder, name = Path(sys.argv[1]), sys.argv[2]
mark_children(str(folder))
deployment = Deployment(folder / "play", "site.yml", "hosts", "here", become=False, ident=name)
AnsibleDeployer(folder / "records").deploy(deployment, ignore_report, Never())
"""
NEXT_LIFE = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from kcibot.core.ports import Never
from kcibot.services.ansible.adapter import AnsibleDeployer

lines = []
result = AnsibleDeployer(Path(sys.argv[1]) / "records").outcome(sys.argv[2], lines.append, Never())
sys.stdout.write(json.dumps([asdict(result), lines]))
"""


@dataclass
class Cancel:
    """A cancellation that a test sets."""

    cancelled: bool = False

    def wait(self, _seconds: float) -> bool:
        return self.cancelled


@dataclass(frozen=True)
class Play:
    """A playbook that goes on when it is let go, and the deployer of it."""

    folder: Path

    @property
    def begun(self) -> Path:
        return self.folder / "begun"

    @property
    def restarted(self) -> bool:
        return (self.folder / "restarted").exists()

    @property
    def deployer(self) -> AnsibleDeployer:
        return AnsibleDeployer(self.folder / "records")

    @property
    def record(self) -> Record:
        return Record(self.folder / "records" / NAME)

    @property
    def deployment(self) -> Deployment:
        return Deployment(self.folder / "play", "site.yml", "hosts", "here", become=False, ident=NAME)

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def task(self) -> int:
        """The process of its slow task, once that has begun."""
        wait_until(lambda: self.begun.exists() and self.begun.read_text().endswith("\n"))
        return int(self.begun.read_text().split()[0])

    def deploy(self, cancel: Cancel | None = None) -> "Following":
        return Following(lambda: self.deployer.deploy(self.deployment, ignore_report, cancel or Never()))

    def outcome(self) -> DeployResult | None:
        return self.deployer.outcome(NAME, ignore_report, Never())


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

    def end(self) -> "Following":
        self.join(30)
        assert not self.is_alive(), "it never ended"
        return self


@pytest.fixture
def play(tmp_path: Path) -> Play:
    (tmp_path / "play").mkdir()
    (tmp_path / "play" / "hosts").write_text(f"{LOCAL}\n")
    words = {"begun": tmp_path / "begun", "go": tmp_path / "go", "restarted": tmp_path / "restarted"}
    (tmp_path / "play" / "site.yml").write_text(PLAYBOOK.format(**words))
    return Play(tmp_path)


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this never became true"
        threading.Event().wait(0.02)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def supervisor(play: Play) -> int:
    (found,) = process_tree.running(SUPERVISOR, f"\0{play.record.folder}\0")
    return found


def kill_the_life(play: Play) -> None:
    """Deploy in a process of its own, and kill that in the middle."""
    with subprocess.Popen([sys.executable, "-c", LIFE, str(play.folder), NAME]) as life:
        play.task()
        life.kill()


# ---- it outlives the bot ---------------------------------------------------------------------------------------


def test_a_playbook_goes_on_when_its_bot_is_killed_and_the_next_life_finds_its_result(play: Play) -> None:
    kill_the_life(play)
    end_orphans(str(play.folder))
    play.let_go()
    words = [sys.executable, "-c", NEXT_LIFE, str(play.folder), NAME]
    result, lines = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    assert play.restarted
    assert (result["changed"], result["handlers"]) == (2, ["here: Restart"])
    assert [line for line in lines if not line.endswith("...")] == ["here: Change: changed", "here: Restart: changed"]
    assert lines[0] == "Change ..."
    assert len(play.begun.read_text().split()) == 1


def test_it_does_not_need_the_bots_checkout_any_more(play: Play) -> None:
    following = play.deploy()
    play.task()
    for file in (play.folder / "play").iterdir():
        file.unlink()
    (play.folder / "play").rmdir()
    play.let_go()
    assert following.end().error is None
    assert play.restarted


def test_a_name_is_run_once_however_often_it_is_deployed(play: Play) -> None:
    first, second = play.deploy(), play.deploy()
    play.task()
    play.let_go()
    result = first.end().result
    assert result
    assert second.end().result == result == play.outcome()
    assert play.deploy().end().result == result
    assert len(play.begun.read_text().split()) == 1


def test_another_name_is_another_run(play: Play) -> None:
    play.let_go()
    play.deploy().end()
    other = Deployment(play.folder / "play", "site.yml", "hosts", "here", become=False, ident=f"{NAME}2")
    play.deployer.deploy(other, ignore_report, Never())
    assert len(play.begun.read_text().split()) == 2


# ---- what is not known is not made up --------------------------------------------------------------------------


def test_a_run_that_nobody_began_has_no_outcome(play: Play) -> None:
    assert play.outcome() is None


def test_a_run_whose_bot_died_before_it_began_never_began_and_can_be_run(play: Play) -> None:
    lock = play.record.take()
    assert lock is not None
    os.close(lock)
    assert play.outcome() is None
    play.let_go()
    assert play.deploy().end().result


def test_a_run_that_is_being_prepared_is_waited_for(play: Play) -> None:
    lock = play.record.take()
    assert lock is not None
    asked = Following(play.outcome)  # type: ignore[arg-type]  # None is what it is to answer
    asked.join(0.5)
    assert asked.is_alive()
    os.close(lock)
    assert (asked.end().result, asked.error) == (None, None)


def test_a_killed_supervisor_leaves_it_unknown_and_nothing_goes_on(play: Play) -> None:
    following = play.deploy()
    task = play.task()
    os.kill(supervisor(play), signal.SIGKILL)
    assert isinstance(following.end().error, OutcomeUnknown)
    wait_until(lambda: not runs(task))
    assert process_tree.running(PLAYER, f"={play.record.folder}/") == []
    with pytest.raises(OutcomeUnknown, match=r"killed in the middle.*Handlers may not have run"):
        play.outcome()
    assert not play.restarted
    assert isinstance(play.deploy().end().error, OutcomeUnknown), "it is not run a second time"


def test_the_next_life_can_stop_what_an_earlier_one_began(play: Play) -> None:
    kill_the_life(play)
    task = play.task()
    with pytest.raises(OutcomeUnknown, match="was stopped in the middle"):
        play.deployer.outcome(NAME, ignore_report, Cancel(cancelled=True))
    wait_until(lambda: not runs(task))
    with pytest.raises(OutcomeUnknown, match="was stopped in the middle"):
        play.outcome()


def test_a_supervisor_that_does_not_react_is_ended_with_everything_below_it(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ansible, "STOP_SECONDS", 0.3)
    cancel = Cancel()
    following = play.deploy(cancel)
    task, stuck = play.task(), supervisor(play)
    os.kill(stuck, signal.SIGSTOP)
    cancel.cancelled = True
    assert isinstance(following.end().error, OutcomeUnknown)
    wait_until(lambda: not runs(task) and not runs(stuck))


def test_a_supervisor_that_cannot_start_began_nothing(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ansible, "SUPERVISOR", "kcibot.services.no_such_module")
    error = play.deploy().end().error
    assert isinstance(error, PermanentError)
    assert "nothing was changed" in str(error)
    assert "no_such_module" in str(error)
    assert play.outcome() is None


def test_a_sudo_password_that_did_not_arrive_begins_nothing(play: Play) -> None:
    deployer = AnsibleDeployer(play.folder / "records", become_password=str)
    asking = Deployment(play.folder / "play", "site.yml", "hosts", "here", ask_become_pass=True, ident=NAME)
    with pytest.raises(PermanentError, match="password did not arrive; nothing was started"):
        deployer.deploy(asking, ignore_report, Never())
    assert not play.begun.exists()


@pytest.mark.parametrize("name", ["../7", "a/b", "-7", "", "a b"])
def test_a_name_cannot_lead_out_of_the_folder(play: Play, name: str) -> None:
    with pytest.raises(PermanentError, match="cannot be the name"):
        play.deployer.outcome(name, ignore_report, Never())


# ---- records ---------------------------------------------------------------------------------------------------


def test_a_record_is_private_and_an_old_one_is_forgotten(play: Play) -> None:
    play.let_go()
    old = play.folder / "records" / "1-old"
    old.mkdir(parents=True)
    long_ago = time.time() - OLD_SECONDS - 60
    os.utime(old, (long_ago, long_ago))
    play.deploy().end()
    assert not old.exists()
    assert play.record.folder.stat().st_mode & 0o777 == 0o700
    assert play.outcome()
