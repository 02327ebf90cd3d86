"""`!deploy backend` through the room, over a real SSH server and a real sudo that asks for a password."""

import logging
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kcibot.config import load
from kcibot.core.run import RunState
from kcibot.sandbox.targets import BACKEND, CELERY, Targets
from kcibot_commands.deploy import steps as deploy
from kcibot_commands.deploy.steps import DeploySettings
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import SECTIONS, Kernelci, alerts, kernelci, lines, start
from tests.servers.sudo_user import SudoUser, sudo_user

VARIABLES = "group_vars/all.yml"
LOCAL = ("ansible_connection: ", "ansible_become: ")
"""What makes the sandbox's playbooks run on this machine, as the user who started it."""


@pytest.fixture(scope="module")
def user() -> Iterator[SudoUser]:
    with sudo_user() as there:
        yield there


@pytest.fixture
def place(tmp_path: Path, user: SudoUser) -> Iterator[Kernelci]:
    with kernelci(tmp_path, machines=True) as there:
        kept = there.git("backend-config", "show", f"main:{VARIABLES}").splitlines()
        files = {
            "hosts": f"[prod]\n{user.inventory.partition(' ansible_python')[0]}\n",
            VARIABLES: "\n".join(line for line in kept if not line.startswith(LOCAL)) + "\n",
        }
        there.commit("backend-config", files, "Deploy over SSH")
        yield there


def bench_with(place: Kernelci, user: SudoUser, password: str) -> Bench:
    """A bot that was given that password by its configuration, as in production."""
    assert place.config, "it is written"
    secret = place.folder / "secrets" / "become"
    secret.write_text(password)
    secret.chmod(0o600)
    variables = ", ".join(f'{name}: "{value}"' for name, value in user.variables.items())
    block = f"  ansible: {{become_password: {{file: secrets/become}}, environment: {{{variables}}}}}\n"
    path = place.folder / "config.yaml"
    path.write_text(path.read_text().replace("services:\n", f"services:\n{block}", 1))
    place.__dict__["config"] = load(path, {str(vars(kind)["section"]): kind for kind in SECTIONS})
    there = place.config.section(DeploySettings)
    key = str(user.server.key)
    backend = replace(there.playbooks["backend"], become=True, ask_become_pass=True, private_key=key)
    return place.bench(deploy, sections=[replace(there, playbooks={"backend": backend})])


def machines(place: Kernelci) -> Targets:
    assert place.targets
    return place.targets


def test_a_component_is_deployed_over_ssh_with_a_sudo_password_that_is_nowhere_to_be_seen(
    place: Kernelci, user: SudoUser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    place.commit("backend", {"app/handlers/__init__.py": '__version__ = "2026.11.1"\n'}, "Bump app version")
    bench = bench_with(place, user, user.password)
    bench.say("operator", "!deploy backend main")
    shown = lines(bench, "run:1:gate:deploy:1")
    assert (
        f" -b --ask-become-pass --force-handlers --skip-tags=secrets -t app --private-key {user.server.key} " in shown
    )
    bench.react("manager-1", "run:1:gate:deploy:1")
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    for name in (BACKEND, CELERY):
        facts = machines(place).facts(name)
        assert (facts.starts, facts.version, facts.commit) == (2, "2026.11.1", place.head("backend"))
    bench.journal.close()
    said = "\n".join(str(notice) for notice in bench.notices.values())
    assert user.password not in f"{said}\n{caplog.text}"
    files = [path for path in place.folder.rglob("*") if path.is_file() and path.parent.name != "secrets"]
    assert [path for path in files if user.password.encode() in path.read_bytes()] == []


def test_a_wrong_sudo_password_is_told_as_such_and_leaves_production_as_it_was(place: Kernelci, user: SudoUser) -> None:
    bench = bench_with(place, user, secrets.token_hex(16))
    run = start(bench, deploy.DEPLOY, deploy.DeployArgs("backend"))
    bench.react("manager-1", f"run:{run.id}:gate:deploy:1")
    assert bench.run().state is RunState.FAILED
    assert "Incorrect sudo password" in alerts(bench)
    assert "half-way" not in alerts(bench)
    assert machines(place).facts(BACKEND).starts == 1
