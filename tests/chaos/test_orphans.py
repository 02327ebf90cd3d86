"""What a killed bot had begun on this machine is ended before the next life looks, or watched by it to its end."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kcibot.core.ports import Never, ignore_report
from kcibot.services.ansible.adapter import AnsibleDeployer
from kcibot.services.processes import end_orphans

pytestmark = pytest.mark.chaos

DEPLOY = """
import sys
from pathlib import Path
from kcibot.core.ports import Deployment, Never, ignore_report
from kcibot.services.ansible.adapter import AnsibleDeployer
from kcibot.services.processes import mark_children

folder = Path(sys.argv[1])
mark_children(sys.argv[2])
deployment = Deployment(folder / "play", "site.yml", "hosts", "here", become=False, ident="7-deploy-1")
AnsibleDeployer(folder / "records").deploy(deployment, ignore_report, Never())
"""
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - command: sh -c 'touch {begun}; sleep 1.5; touch {ended}'
"""
PUSH = """
import sys
from pathlib import Path
from kcibot.core.ports import RefUpdate
from kcibot.services.git.adapter import GitRepositories
from kcibot.services.processes import mark_children

folder = Path(sys.argv[1])
mark_children(sys.argv[2])
git = GitRepositories({"core": str(folder / "core.git")}, folder / "mirrors", "bot", "bot@example.org").remote("core")
git.push([RefUpdate("refs/heads/kernelci.org", git.branches()["main"], None)])
"""
HOOK = "#!/bin/sh\ntouch {begun}\nsleep 1.5\ntouch {ended}\n"


def killed_in_the_middle(code: str, folder: Path, begun: Path) -> int:
    """Run the code until it has begun, kill it, and start as the next life does; how many orphans there were."""
    with subprocess.Popen([sys.executable, "-c", code, str(folder), str(folder)]) as life:
        wait_until(begun.exists)
        life.kill()
    return end_orphans(str(folder))


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this never became true"
        time.sleep(0.02)  # between two looks at the condition


def stays_away(path: Path, seconds: float) -> bool:
    """Nothing can be waited for that must not happen: so long, then."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not path.exists():
        time.sleep(0.02)  # between two looks
    return not path.exists()


def test_a_playbook_of_a_killed_bot_goes_on_to_its_end_and_the_next_life_finds_its_result(tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    play = tmp_path / "play"
    play.mkdir()
    (play / "hosts").write_text(f"here ansible_connection=local ansible_python_interpreter={sys.executable}\n")
    (play / "site.yml").write_text(PLAYBOOK.format(begun=begun, ended=ended))
    killed_in_the_middle(DEPLOY, tmp_path, begun)
    assert not ended.exists()
    result = AnsibleDeployer(tmp_path / "records").outcome("7-deploy-1", ignore_report, Never())
    assert ended.exists()
    assert result
    assert result.changes == ("here: command",)


def test_a_push_of_a_killed_bot_is_ended(tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    repository = tmp_path / "core.git"
    git("init", "--quiet", "--bare", "--initial-branch=main", str(repository))
    tree = git("-C", str(repository), "hash-object", "-w", "-t", "tree", "/dev/null")
    who = ("-c", "user.name=bot", "-c", "user.email=bot@example.org")
    commit = git("-C", str(repository), *who, "commit-tree", tree, "-m", "Begin")
    git("-C", str(repository), "update-ref", "refs/heads/main", commit)
    hook = repository / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK.format(begun=begun, ended=ended))
    hook.chmod(0o755)
    assert killed_in_the_middle(PUSH, tmp_path, begun) > 0
    assert stays_away(ended, 2.0)
    assert "kernelci.org" not in git("-C", str(repository), "branch", "--list")


def git(*words: str) -> str:
    done = subprocess.run(("git", *words), check=True, capture_output=True, text=True)
    return done.stdout.strip()
