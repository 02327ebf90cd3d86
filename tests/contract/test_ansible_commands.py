"""Commands of the bot's own over Ansible, a check's differences, and what is kept of all that Ansible said."""

import re
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kcibot.core.ports import Deployment, Never, ignore_report
from kcibot.errors import OutcomeUnknown, PermanentError, TransientError
from kcibot.services.ansible import adapter as ansible
from kcibot.services.ansible.adapter import AnsibleDeployer
from kcibot.services.ansible.command import HIDDEN, task_name
from kcibot.services.ansible.endings import answers_of
from kcibot.services.ansible.record import Ending

PASSWORD = "hunter2-of-the-tests"
LOCAL = f"here ansible_connection=local ansible_python_interpreter={sys.executable} ansible_become=false place=there"
CHECKED = """
    - name: Write the public part
      copy: {{content: "new\\n", dest: {folder}/public, mode: "0644"}}
    - name: Write the private part
      copy: {{content: "{password}\\n", dest: {folder}/private, mode: "0600"}}
      no_log: true
    - name: Write each
      copy: {{content: "{{{{ item }}}}\\n", dest: "{folder}/{{{{ item }}}}", mode: "0644"}}
      loop: [one, two]
"""


@pytest.fixture
def deployer(tmp_path: Path) -> AnsibleDeployer:
    return AnsibleDeployer(tmp_path / "records")


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return play(tmp_path, "    - debug: {msg: x}\n")


def play(folder: Path, tasks: str) -> Deployment:
    (folder / "play").mkdir(exist_ok=True)
    (folder / "play" / "hosts").write_text(f"{LOCAL}\n")
    (folder / "play" / "site.yml").write_text(f"- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}")
    return Deployment(folder / "play", "site.yml", "hosts", "here", become=False)


# ---- commands --------------------------------------------------------------------------------------------------


def test_every_command_that_only_looks_is_answered_also_after_one_that_failed(
    tmp_path: Path, deployer: AnsibleDeployer, deployment: Deployment
) -> None:
    commands = [("sh", "-c", "echo oh; echo no >&2; exit 3"), ("no-such-program",), ("echo", "{{ place }} 'and' back")]
    answers = deployer.ask(deployment, commands, Never())
    assert [(one.host, one.command, one.code) for one in answers] == [
        ("here", commands[0], 3),
        ("here", commands[1], 2),
        ("here", commands[2], 0),
    ]
    assert "no" in answers[0].text
    assert answers[2].text == "there 'and' back"
    assert list((tmp_path / "records").iterdir()) == [], "a look leaves no record"


def test_an_answer_says_how_long_after_the_named_run_began_it_was_asked(
    deployer: AnsibleDeployer, deployment: Deployment
) -> None:
    began = time.monotonic()
    deployer.deploy(replace(deployment, ident="7-deploy-1"), ignore_report, Never())
    (answer,) = deployer.ask(deployment, [("true",)], Never(), since="7-deploy-1")
    assert 0 < answer.elapsed < time.monotonic() - began


def test_machines_that_cannot_be_asked_are_no_answer(deployer: AnsibleDeployer, deployment: Deployment) -> None:
    (deployment.folder / "hosts").write_text("here ansible_host=127.0.0.1 ansible_port=1\n")
    with pytest.raises(TransientError, match=r"could not reach here: .*Connection refused.*Nothing was changed"):
        deployer.ask(deployment, [("true",)], Never())
    with pytest.raises(PermanentError, match=r"asked nobody: .*no hosts to target"):
        deployer.ask(replace(deployment, limit="nobody"), [("true",)], Never())


def test_a_machine_that_answers_one_command_and_not_another_is_no_answer() -> None:
    """Who is silent about a service must not be taken for one on which it was started anew."""
    commands = [("status", "one"), ("status", "two")]
    lines = [(host, task_name(0, commands[0]), 0, "5", 9.0) for host in ("here", "there")]
    whole = [*lines, *((host, task_name(1, commands[1]), 0, "5", 9.0) for host in ("here", "there"))]
    assert len(answers_of(Ending(status="successful", finished=True, answers=tuple(whole)), commands, 1.0)) == 4
    with pytest.raises(TransientError, match=r"some did not answer: there to “status two”\. Nothing was changed"):
        answers_of(Ending(status="successful", finished=True, answers=tuple(whole[:-1])), commands, 1.0)


def test_a_command_that_acts_and_fails_is_unknown_and_ends_what_comes_after_it(
    tmp_path: Path, deployer: AnsibleDeployer, deployment: Deployment
) -> None:
    touch = [("touch", str(tmp_path / name)) for name in ("first", "second")]
    lines: list[str] = []
    with pytest.raises(OutcomeUnknown, match=r"2\. false: non-zero return code"):
        deployer.act(deployment, [touch[0], ("false",), touch[1]], lines.append, Never())
    assert (tmp_path / "first").exists()
    assert not (tmp_path / "second").exists()
    assert any("touch" in line for line in lines)
    deployer.act(deployment, [touch[1]], ignore_report, Never())
    assert (tmp_path / "second").exists()


# ---- checks ----------------------------------------------------------------------------------------------------


def test_a_check_tells_the_difference_but_not_one_that_may_not_be_logged(
    tmp_path: Path, deployer: AnsibleDeployer
) -> None:
    (tmp_path / "public").write_text("old\n")
    deployment = replace(play(tmp_path, CHECKED.format(folder=tmp_path, password=PASSWORD)), check=True)
    result = deployer.deploy(deployment, ignore_report, Never())
    shown = "\n".join(result.differences)
    assert "here: Write the public part\n" in shown
    assert "\n-old\n+new" in shown
    assert "+one" in shown
    assert "+two" in shown
    assert PASSWORD not in shown
    assert (tmp_path / "public").read_text() == "old\n"
    everything = [path for path in (tmp_path / "records").rglob("*") if path.is_file()]
    assert not [path for path in everything if PASSWORD.encode() in path.read_bytes()]
    assert "+new" in Path(result.output).read_text()


# ---- what is told and kept -------------------------------------------------------------------------------------


def test_the_output_of_a_failed_run_can_be_read_later_without_the_password(tmp_path: Path) -> None:
    fail = f"    - name: Say too much\n      fail: {{msg: 'the word is {PASSWORD}, {'x' * 600} and the end'}}\n"
    deployer = AnsibleDeployer(tmp_path / "records", lambda: PASSWORD)
    with pytest.raises(PermanentError) as failure:
        deployer.deploy(replace(play(tmp_path, fail), ask_become_pass=True), ignore_report, Never())
    said = re.search(r"All that Ansible said is in (\S+)\.$", str(failure.value))
    assert said
    output = Path(said[1])
    assert output.stat().st_mode & 0o777 == 0o600
    assert "the word is [secret]" in output.read_text()
    assert "and the end" in output.read_text(), "the error itself quotes no more than a chat bears"
    assert "and the end" not in str(failure.value)


def test_a_task_is_told_when_it_begins_and_again_while_it_lasts(
    tmp_path: Path, deployer: AnsibleDeployer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ansible, "REPEAT_SECONDS", 0.1)
    wait = f"    - name: Install\n      command: sh -c 'while [ ! -e {tmp_path}/go ]; do sleep 0.02; done'\n"
    told: list[str] = []
    deployment = play(tmp_path, wait)
    thread = threading.Thread(target=deployer.deploy, args=(deployment, told.append, Never()))
    thread.start()
    deadline = time.monotonic() + 20
    while told.count("Install ...") < 3:
        assert time.monotonic() < deadline, told
        threading.Event().wait(0.02)
    (tmp_path / "go").touch()
    thread.join(20)
    assert told[-1] == "here: Install: changed"


def test_what_else_decides_how_ansible_runs_is_shown_but_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_SKIP_TAGS", "app")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "/etc/vault")
    monkeypatch.setenv("ANSIBLE_GALAXY_TOKEN", PASSWORD)
    shown = AnsibleDeployer(tmp_path, variables={"ANSIBLE_PIPELINING": "True"}).variables()
    assert {name: shown[name] for name in sorted(shown) if "GALAXY_TOKEN" in name or "VAULT" in name} == {
        "ANSIBLE_GALAXY_TOKEN": HIDDEN,
        "ANSIBLE_VAULT_PASSWORD_FILE": "/etc/vault",
    }
    assert (shown["ANSIBLE_SKIP_TAGS"], shown["ANSIBLE_PIPELINING"]) == ("app", "True")
    assert shown["ANSIBLE_HOST_KEY_CHECKING"] == "True"
