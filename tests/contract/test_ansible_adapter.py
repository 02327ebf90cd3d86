"""The Ansible adapter with real playbooks that really deploy the sandbox's backend and frontend."""

import json
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kcibot.core.ports import Deployment, Never, RefUpdate, ignore_report
from kcibot.errors import Aborted, ConfigError, OutcomeUnknown, PermanentError, TransientError
from kcibot.sandbox.repositories import create_repositories
from kcibot.sandbox.targets import BACKEND, BACKEND_HOST, CELERY, FRONTEND, FRONTEND_HOST, Targets
from kcibot.services.ansible.adapter import AnsibleDeployer
from kcibot.services.git.adapter import GitRepositories

NOW = datetime(2021, 5, 24, 9, 0, tzinfo=UTC)
LOCAL = f"here ansible_connection=local ansible_python_interpreter={sys.executable}"


@dataclass
class Cancel:
    """A cancellation that a test sets."""

    event: threading.Event = field(default_factory=threading.Event)

    @property
    def cancelled(self) -> bool:
        return self.event.is_set()

    def wait(self, seconds: float) -> bool:
        return self.event.wait(seconds)


@dataclass(frozen=True)
class World:
    targets: Targets
    repositories: GitRepositories
    folder: Path

    def deployment(self, name: str, host: str, head: str) -> Deployment:
        folder = self.folder / f"{name}-config"
        if not folder.exists():
            config = self.repositories.remote(f"{name}-config")
            config.checkout(config.branches()["main"], folder)
        usual = {"tags": ("app",), "skip_tags": ("secrets",), "extra_vars": {"git_head": head}}
        return Deployment(folder, "site.yml", "hosts", host, **usual)  # type: ignore[arg-type]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    paths = create_repositories(tmp_path / "repositories", NOW)
    urls = {name: str(path) for name, path in paths.items()}
    repositories = GitRepositories(urls, tmp_path / "mirrors", "kcibot", "bot@example.org")
    with Targets(tmp_path / "targets", paths) as targets:
        yield World(targets, repositories, tmp_path)


@pytest.fixture
def deployer(tmp_path: Path) -> AnsibleDeployer:
    return AnsibleDeployer(tmp_path / "records")


def playbook(folder: Path, tasks: str, head: str = "") -> Deployment:
    """A playbook of its own, on this machine."""
    folder.mkdir(exist_ok=True)
    (folder / "hosts").write_text(f"{LOCAL} ansible_become=false\n")
    (folder / "site.yml").write_text(f"- hosts: all\n  gather_facts: false\n{head}  tasks:\n{tasks}")
    return Deployment(folder, "site.yml", "hosts", "here")


def shown_version(url: str) -> str:
    with urllib.request.urlopen(f"{url}/version", timeout=5) as answer:  # noqa: S310 (loopback)
        return str(json.load(answer)["result"][0]["version"])


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this never became true"
        threading.Event().wait(0.02)


# ---- deploying -------------------------------------------------------------------------------------------------


def test_a_deployment_installs_the_revision_and_restarts_what_serves_it(
    world: World, deployer: AnsibleDeployer
) -> None:
    backend = world.repositories.remote("backend")
    old = backend.branches()["kernelci.org"]
    text = backend.read(old, "app/handlers/__init__.py").replace("2021.5.0", "2021.5.1")
    new = backend.commit(old, {"app/handlers/__init__.py": text}, "Bump app version to 2021.5.1", NOW)
    backend.push([RefUpdate("refs/heads/kernelci.org", new, old)])
    assert shown_version(world.targets.url(BACKEND)) == "2021.5.0"
    lines: list[str] = []
    before = world.targets.facts(BACKEND)
    deployment = world.deployment("backend", BACKEND_HOST, "kernelci.org")
    result = deployer.deploy(deployment, lines.append, Never())
    assert shown_version(world.targets.url(BACKEND)) == "2021.5.1"
    after = world.targets.facts(BACKEND)
    assert (after.starts, after.commit, after.pid != before.pid) == (2, new, True)
    assert world.targets.facts(CELERY).starts == 2
    assert result.handlers == (
        "api.kernelci.org: Restart kernelci-backend",
        "api.kernelci.org: Restart kernelci-celery",
    )
    assert result.changes[0] == f"api.kernelci.org: Check out the code ({old[:12]} -> {new[:12]})"
    assert lines[:2] == ["Check out the code ...", "api.kernelci.org: Check out the code: changed"]
    assert "handler Restart kernelci-backend ..." in lines
    assert result.changed == len(result.changes)


def test_the_frontend_keeps_old_dated_files_beside_the_new_ones(world: World, deployer: AnsibleDeployer) -> None:
    deployment = world.deployment("frontend", FRONTEND_HOST, "main")
    result = deployer.deploy(deployment, ignore_report, Never())
    views = {path.name for path in (world.targets.static(FRONTEND_HOST) / "js/app").glob("view-builds-id.*")}
    assert views == {"view-builds-id.2020.10.js", "view-builds-id.2021.5.js"}
    assert result.handlers == ("kernelci.org: Restart kernelci-frontend",)
    assert world.targets.facts(FRONTEND).commit == world.repositories.remote("frontend").branches()["main"]
    url = f"{world.targets.url(FRONTEND)}/static/js/app/view-builds-id.2021.5.js"
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (loopback)
        assert b"showLog = true" in answer.read()


def test_a_check_changes_nothing(world: World, deployer: AnsibleDeployer) -> None:
    deployment = replace(world.deployment("backend", BACKEND_HOST, "main"), check=True)
    before = world.targets.facts(BACKEND)
    result = deployer.deploy(deployment, ignore_report, Never())
    assert result.changed > 0
    assert world.targets.facts(BACKEND) == before


def test_the_command_is_exactly_the_one_that_ansible_is_given(tmp_path: Path, deployer: AnsibleDeployer) -> None:
    deployment = Deployment(
        folder=tmp_path,
        playbook="site.yml",
        inventory="hosts",
        limit="api.kernelci.org",
        tags=("app",),
        skip_tags=("secrets",),
        extra_vars={"git_head": "kernelci.org", "message": "two words"},
        ask_become_pass=True,
        private_key="/etc/keys/deploy",
    )
    assert deployer.command(deployment) == (
        *("ansible-playbook", "-i", "hosts", "-l", "api.kernelci.org", "-D", "-b", "--ask-become-pass"),
        *("--force-handlers", "--skip-tags=secrets", "-t", "app", "--private-key", "/etc/keys/deploy"),
        *("-e", "git_head=kernelci.org", "-e", "message='two words'", "site.yml"),
    )


# ---- when it goes wrong ----------------------------------------------------------------------------------------


def test_a_task_that_fails_first_changed_nothing(world: World, deployer: AnsibleDeployer) -> None:
    before = world.targets.facts(BACKEND)
    deployment = world.deployment("backend", BACKEND_HOST, "no-such-branch")
    with pytest.raises(PermanentError, match=r"api\.kernelci\.org: Check out the code: .*No task before it had"):
        deployer.deploy(deployment, ignore_report, Never())
    assert world.targets.facts(BACKEND) == before


def test_a_task_that_fails_after_a_change_leaves_it_unknown_but_handlers_did_run(
    world: World, deployer: AnsibleDeployer
) -> None:
    static = world.targets.static(FRONTEND_HOST)
    static.rename(static.with_name("away"))
    static.write_text("in the way")
    deployment = world.deployment("frontend", FRONTEND_HOST, "main")
    with pytest.raises(OutcomeUnknown, match=r"Make the folder.*Changed before: kernelci\.org: Check out the code"):
        deployer.deploy(deployment, ignore_report, Never())
    assert world.targets.facts(FRONTEND).starts == 2
    assert world.targets.facts(FRONTEND).commit == world.targets.deployed(FRONTEND_HOST)


def test_a_host_that_the_inventory_does_not_know_is_refused(world: World, deployer: AnsibleDeployer) -> None:
    deployment = world.deployment("backend", "api.kernelci.example", "main")
    with pytest.raises(PermanentError, match=r"no hosts to target.*Nothing was changed"):
        deployer.deploy(deployment, ignore_report, Never())


def test_a_missing_playbook_or_folder_is_said(tmp_path: Path, deployer: AnsibleDeployer) -> None:
    deployment = playbook(tmp_path / "play", "  - debug: {msg: x}\n")
    with pytest.raises(PermanentError, match=r"other\.yml could not be found"):
        deployer.deploy(replace(deployment, playbook="other.yml"), ignore_report, Never())
    with pytest.raises(PermanentError, match="not there"):
        deployer.deploy(replace(deployment, folder=tmp_path / "none"), ignore_report, Never())


def test_tags_that_fit_no_task_are_no_success(tmp_path: Path, deployer: AnsibleDeployer) -> None:
    deployment = replace(playbook(tmp_path / "play", "  - debug: {msg: x}\n"), tags=("nothing",))
    with pytest.raises(PermanentError, match="no task at all"):
        deployer.deploy(deployment, ignore_report, Never())


def test_a_stopped_deployment_is_unknown_and_its_processes_are_gone(tmp_path: Path, deployer: AnsibleDeployer) -> None:
    mark = tmp_path / "pid"
    deployment = playbook(tmp_path / "play", f"  - shell: echo $$ > {mark}; exec sleep 60\n")
    cancel, failure = Cancel(), []

    def deploy() -> None:
        with pytest.raises(OutcomeUnknown, match="was stopped in the middle") as caught:
            deployer.deploy(deployment, ignore_report, cancel)
        failure.append(caught.value)

    thread = threading.Thread(target=deploy)
    thread.start()
    wait_until(lambda: mark.exists() and mark.read_text().strip() != "")
    cancel.event.set()
    thread.join(10)
    assert failure
    pid = int(mark.read_text())
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid))


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_what_is_cancelled_before_it_begins_is_not_begun(tmp_path: Path, deployer: AnsibleDeployer) -> None:
    cancel = Cancel()
    cancel.event.set()
    with pytest.raises(Aborted, match="nothing was changed"):
        deployer.deploy(playbook(tmp_path / "play", "  - debug: {msg: x}\n"), ignore_report, cancel)


def test_a_time_limit_leaves_it_unknown(tmp_path: Path) -> None:
    deployment = playbook(tmp_path / "play", "  - command: sleep 60\n")
    with pytest.raises(OutcomeUnknown, match="time limit"):
        AnsibleDeployer(tmp_path / "records", timeout_seconds=1).deploy(deployment, ignore_report, Never())


def test_a_host_that_cannot_be_reached_is_worth_another_try(tmp_path: Path) -> None:
    deployment = replace(playbook(tmp_path / "play", "  - ping:\n"), become=False)
    (deployment.folder / "hosts").write_text("here ansible_host=127.0.0.1 ansible_port=1\n")
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'ssh: connect to host here port 1: Connection refused' >&2\nexit 255\n")
    program.chmod(0o755)
    deployer = AnsibleDeployer(tmp_path / "records", variables={"ANSIBLE_SSH_EXECUTABLE": str(program)})
    with pytest.raises(TransientError, match=r"could not reach here: .*Nothing was changed"):
        deployer.deploy(deployment, ignore_report, Never())


# ---- secrets and leftovers -------------------------------------------------------------------------------------


def test_the_sudo_password_is_typed_and_never_shown(tmp_path: Path) -> None:
    fake = tmp_path / "sudo"
    # What sudo does: print the prompt it was given, read the password, run the rest.
    fake.write_text(
        "#!/bin/sh\n"
        "while [ $# -gt 0 ]; do case $1 in -p) p=$2; shift 2;; -u) shift 2;; -*) shift;; *) break;; esac; done\n"
        f'printf "%s" "$p" >&2; read -r word; echo "$word" > {tmp_path}/said; exec "$@"\n'
    )
    fake.chmod(0o755)
    deployment = playbook(tmp_path / "play", "  - command: 'true'\n")
    (deployment.folder / "hosts").write_text(f"{LOCAL} ansible_become_exe={fake} ansible_become_user=nobody\n")
    deployment = replace(deployment, ask_become_pass=True)
    lines: list[str] = []
    deployer = AnsibleDeployer(tmp_path / "records", lambda: "hunter2", {"ANSIBLE_PIPELINING": "True"})
    result = deployer.deploy(deployment, lines.append, Never())
    assert (tmp_path / "said").read_text() == "hunter2\n"
    assert "hunter2" not in " ".join((*lines, *result.changes, *deployer.command(deployment)))
    assert not [
        file for file in (tmp_path / "records").rglob("*") if file.is_file() and b"hunter2" in file.read_bytes()
    ]
    with pytest.raises(ConfigError, match="sudo password"):
        AnsibleDeployer(tmp_path / "records").deploy(deployment, ignore_report, Never())


def test_playbooks_do_not_see_the_bots_own_secrets(
    tmp_path: Path, deployer: AnsibleDeployer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KCIBOT_SLACK_TOKEN", "xoxb-secret")
    out = tmp_path / "out"
    task = f"  - copy: {{content: \"{{{{ lookup('env', 'KCIBOT_SLACK_TOKEN') }}}}-\", dest: {out}}}\n"
    deployer.deploy(playbook(tmp_path / "play", task), ignore_report, Never())
    assert out.read_text() == "-"


def test_an_output_that_may_not_be_logged_is_not_quoted(tmp_path: Path, deployer: AnsibleDeployer) -> None:
    task = "  - command: sh -c 'echo hunter2; exit 1'\n    no_log: true\n"
    with pytest.raises(OutcomeUnknown, match="its output is secret") as failure:  # nor can it be told what it changed
        deployer.deploy(playbook(tmp_path / "play", task), ignore_report, Never())
    assert "hunter2" not in str(failure.value)


def test_nothing_is_left_behind_but_the_record(
    tmp_path: Path, deployer: AnsibleDeployer, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    deployer.deploy(playbook(tmp_path / "play", "  - command: 'true'\n"), ignore_report, Never())
    assert list(temporary.iterdir()) == []
    kept = {"begun", "events.jsonl", "order.json", "output.txt", "result.json", "running.lock", "supervisor.log"}
    assert {path.name for path in (tmp_path / "records").glob("*/*")} == kept


@pytest.mark.parametrize(
    "change",
    [
        {"limit": "--list-hosts"},
        {"playbook": "-e@/etc/passwd"},
        {"extra_vars": {"git_head": "{{ lookup('pipe', 'id') }}"}},
        {"extra_vars": {"git_head": "x' other='y"}},
        {"extra_vars": {"--x": "1"}},
        {"tags": ("app --check",)},
        {"private_key": "key --check"},
    ],
)
def test_what_could_be_read_as_another_option_is_refused(
    tmp_path: Path, deployer: AnsibleDeployer, change: dict[str, object]
) -> None:
    with pytest.raises(PermanentError):
        deployer.command(replace(Deployment(tmp_path, "site.yml", "hosts", "all"), **change))  # type: ignore[arg-type]
