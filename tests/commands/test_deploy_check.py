"""`!deploy check` shows what a deployment would change and changes nothing; one that fails is no half deployment."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.sandbox.targets import BACKEND, BACKEND_HOST, Targets
from kcibot_commands.deploy import check as deploy_check
from kcibot_commands.deploy import steps as deploy
from kcibot_commands.playbook_runs import CUT_OFF, RUNS
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import PRODUCTION, Kernelci, kernelci, lines

TASKS = "roles/kernelci-backend/tasks/main.yml"
FAIL = "- name: Break off\n  ansible.builtin.fail:\n    msg: the disk is full\n  tags: [app]\n"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path, machines=True) as there:
        yield there


def machines(place: Kernelci) -> Targets:
    assert place.targets
    return place.targets


def said_by(bench: Bench) -> str:
    """All that was said."""
    bench.deliver()
    return "\n".join(lines(bench, key) for key in bench.notices)


def test_a_check_shows_the_difference_and_changes_nothing(place: Kernelci) -> None:
    before = machines(place).facts(BACKEND)
    bench = place.bench(deploy, deploy_check)
    bench.say("operator", "!deploy check backend main")
    said = said_by(bench)
    assert re.search(r"backend 2026\.11\.0: a deployment now would change \d of \d tasks", said)
    assert "ansible-playbook -i hosts -l api.kernelci.org -D -C --force-handlers" in said
    assert f"with backend-config at {place.head('backend-config')[:10]}" in said
    assert place.head("backend")[:7] in said
    assert "Tasks that run commands are not covered by a check" in said
    kept = re.search(r"kept for 30 days in (\S+)", said)
    assert kept
    assert "PLAY RECAP" in Path(kept[1]).read_text()
    assert machines(place).facts(BACKEND) == before
    assert machines(place).deployed(BACKEND_HOST) == place.head("backend", PRODUCTION)
    bench.say("operator", "!deploy backend main")
    assert "  checked: would change" in lines(bench, "run:2:gate:deploy:1"), "the gate tells of it"


def test_a_check_that_fails_is_no_half_way_deployment(place: Kernelci) -> None:
    good = place.git("backend-config", "show", f"main:{TASKS}")
    place.commit("backend-config", {TASKS: f"{good}\n\n{FAIL}"}, "break")
    bench = place.bench(deploy, deploy_check)
    bench.say("operator", "!deploy check backend main")
    assert "the disk is full" in said_by(bench)
    assert "half-way" not in said_by(bench)
    assert (bench.journal.recall(CUT_OFF), bench.journal.recall(RUNS)) == ({}, {})


def test_only_operators_may_look_at_the_machines(place: Kernelci) -> None:
    bench = place.bench(deploy, deploy_check)
    bench.say("observer", "!deploy check backend")
    (said,) = bench.replies()
    assert "operator" in said
