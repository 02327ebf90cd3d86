"""Deployments: what is shown is what runs, only an answering version is believed, half a playbook is no success."""

import shlex
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import RunState, StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.targets import BACKEND, BACKEND_HOST, CELERY, FRONTEND, FRONTEND_HOST
from kcibot.services.ansible import adapter as ansible
from kcibot_commands import runs
from kcibot_commands.deploy import steps as deploy
from kcibot_commands.deploy.steps import Deployable, DeployArgs, Deployed, deploy_backend, deploy_frontend
from kcibot_commands.plan.steps import plan
from kcibot_commands.report.steps import report
from kcibot_commands.tags import create_tags
from tests.fakes.deploy_bench import (
    ALONE,
    AT_ONCE,
    FAIL,
    TASKS,
    deafened,
    machines,
    settings,
    slow_worker,
    state,
    tasks,
    wait_until,
)
from tests.fakes.kernelci_bench import (
    PRODUCTION,
    Kernelci,
    alerts,
    kernelci,
    lines,
    result,
    start,
)

BOTH = Procedure("release", plan, create_tags, deploy_backend, deploy_frontend, report)
GATED = Procedure("release", plan, Gate("go", "Update production"), deploy_backend)
WITNESS = """{good}

- name: Write down who runs this
  ansible.builtin.copy:
    content: "{{{{ lookup('pipe', 'cat /proc/$PPID/cmdline') }}}}"
    dest: {seen}
    mode: "0644"
  tags: [app]
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path, machines=True) as there:
        yield there


def argv(text: str) -> list[str]:
    """The command line that was shown."""
    line = next(line for line in text.splitlines() if "ansible-playbook" in line)
    return shlex.split(line[line.index("ansible-playbook") :])


# ---- in a release ----------------------------------------------------------------------------------------------


def test_both_components_run_their_new_version_afterwards(place: Kernelci) -> None:
    bench = place.bench()
    run = start(bench, BOTH)
    assert run.state is RunState.SUCCEEDED, alerts(bench)
    for name, host, repository, version in (
        (BACKEND, BACKEND_HOST, "backend", "2026.11.1"),
        (CELERY, BACKEND_HOST, "backend", "2026.11.1"),
        (FRONTEND, FRONTEND_HOST, "frontend", "2026.11.2"),
    ):
        facts = machines(place).facts(name)
        assert (facts.running, facts.version, facts.commit) == (True, version, place.head(repository))
        assert machines(place).deployed(host) == place.head(repository, PRODUCTION)
    commit = place.head("backend-config")
    assert result(bench, run, deploy_backend) == Deployed("backend", "2026.11.1", commit)
    said = f"version 2026.11.1 answers, playbooks at {commit[:10]}"
    assert run.step("deploy-backend").text == said
    assert f"backend deployed: {said}" in lines(bench, "run:1:report:1:report")


def test_the_command_that_is_shown_is_the_command_that_runs(place: Kernelci) -> None:
    seen = place.folder / "argv"
    place.commit("backend-config", {TASKS: WITNESS.format(good=tasks(place), seen=seen)}, "witness")
    bench = place.bench()
    start(bench, GATED)
    shown = argv(lines(bench, "run:1:gate:go:1"))
    assert shown[shown.index("-l") + 1] == "api.kernelci.org"
    commit = result(bench, bench.run(), plan).part("backend").release
    assert shown[shown.index("-e") + 1] == f"git_head={commit}"
    assert "--skip-tags=secrets" in shown
    bench.react("manager-1", "run:1:gate:go:1")
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    ran = seen.read_text().strip("\n\0").split("\0")
    assert ran[-len(shown) + 1 :] == shown[1:]
    assert ran[-len(shown)].endswith("/ansible-playbook")
    assert machines(place).facts(BACKEND).commit == commit


def test_the_gate_shows_the_push_the_command_and_the_playbooks_commit(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, GATED)
    shown = lines(bench, "run:1:gate:go:1")
    assert f"backend: kernelci.org {place.head('backend', PRODUCTION)[:10]} -> " in shown
    assert f"with backend-config at {place.head('backend-config')[:10]}" in shown
    assert "and ANSIBLE_HOST_KEY_CHECKING=True" in shown
    assert "then what of kernelci-backend, kernelci-celery did not start anew: " in shown


def test_playbooks_that_changed_after_the_plan_are_not_those_that_run(place: Kernelci) -> None:
    bench = place.bench()
    planned = place.head("backend-config")
    start(bench, GATED)
    place.commit("backend-config", {TASKS: f"---\n{FAIL}"}, "break the playbooks")
    bench.react("manager-1", "run:1:gate:go:1")
    run = bench.run()
    assert run.state is RunState.SUCCEEDED, alerts(bench)
    assert result(bench, run, deploy_backend).configuration == planned


def test_a_playbook_that_fails_before_it_changed_anything_fails_the_step(place: Kernelci) -> None:
    place.commit("backend-config", {TASKS: f"---\n{FAIL}"}, "break")
    bench = place.bench()
    said = state(start(bench, AT_ONCE))
    assert said[0] is StepState.FAILED
    assert "the disk is full" in said[1]
    assert "No task before it had changed anything" in said[1]
    assert machines(place).facts(BACKEND).version == "2026.11.0"


def test_a_name_that_moved_since_the_approval_is_not_deployed(place: Kernelci) -> None:
    bench = place.bench(sections=[settings(place, git_head="main")])
    said = state(start(bench, AT_ONCE))
    assert said[0] is StepState.FAILED
    assert f"backend main is at {place.head('backend')[:10]}, and " in said[1]
    assert machines(place).facts(BACKEND).version == "2026.11.0"


def test_a_version_that_does_not_answer_is_no_success(place: Kernelci) -> None:
    deafened(place)
    bench = place.bench(runs, sections=[settings(place, services=())])
    said = state(start(bench, AT_ONCE))
    assert said[0] is StepState.UNKNOWN
    assert "the playbook ended well, but backend answers version 2026.11.0 instead of 2026.11.1" in said[1]
    machines(place).restart(BACKEND)
    machines(place).restart(CELERY)
    bench.say("operator", "!release retry")
    assert bench.run().state is RunState.SUCCEEDED, "it is found done by looking, once somebody restarted it"


def test_a_worker_that_takes_no_tasks_is_no_success(place: Kernelci) -> None:
    place.api.faults.add(Fault(FaultKind.STATUS, "/task/ping", times=99))
    bench = place.bench(runs)
    run = start(bench, AT_ONCE)
    while run.step("deploy-backend").state is StepState.WAITING:
        bench.tick(timedelta(minutes=2))
        run = bench.run()
    assert run.step("deploy-backend").state in {StepState.FAILED, StepState.UNKNOWN}
    starts = machines(place).facts(BACKEND).starts
    place.api.faults.clear()
    bench.say("operator", "!release retry")
    assert bench.run().state is RunState.SUCCEEDED
    assert machines(place).facts(BACKEND).starts == starts, "the playbook did not run again"


def test_a_component_whose_branch_was_moved_and_never_deployed_is_deployed(place: Kernelci) -> None:
    """As after a release that was amended or aborted between the push and the playbook."""
    place.commit("backend", {"app/handlers/__init__.py": '__version__ = "2026.11.1"\n'}, "Bump app version")
    place.git("backend", "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")
    bench = place.bench()
    run = start(bench, AT_ONCE)
    assert state(run)[0] is StepState.DONE, alerts(bench)
    assert state(run)[1].startswith("version 2026.11.1 answers, ")
    assert machines(place).facts(BACKEND).version == "2026.11.1"


def test_an_unchanged_component_that_runs_its_version_is_left_alone(place: Kernelci) -> None:
    place.git("backend", "update-ref", "refs/heads/main", f"refs/heads/{PRODUCTION}")
    run = start(place.bench(), AT_ONCE)
    assert state(run) == (StepState.NOT_NEEDED, "backend unchanged since 2026.11.0, and version 2026.11.0 answers")
    assert machines(place).facts(BACKEND).starts == 1


def test_the_card_shows_the_task_that_runs(place: Kernelci, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ansible, "REPEAT_SECONDS", 0.1)
    begun, go = slow_worker(place)
    bench = place.bench()
    thread = threading.Thread(target=start, args=(bench, AT_ONCE))
    thread.start()
    wait_until(begun.exists)
    bench.clock.forward(timedelta(seconds=30))
    wait_until(lambda: "handler Restart kernelci-celery ..." in lines(bench, "run:1:card"))
    go.touch()
    thread.join(30)
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)


# ---- alone -----------------------------------------------------------------------------------------------------


def test_a_tag_is_deployed_by_name_after_an_approval(place: Kernelci) -> None:
    older = sorted(place.git("backend", "tag", "--list", "2026.*").split())[-2]
    bench = place.bench(deploy)
    bench.say("operator", f"!deploy backend {older}")
    shown = lines(bench, "run:1:gate:deploy:1")
    assert f"backend: version {older}, commit " in shown
    assert f"git_head={place.git('backend', 'rev-parse', older + '^{commit}').strip()}" in shown
    bench.react("manager-1", "run:1:gate:deploy:1")
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    assert machines(place).facts(BACKEND).version == older
    assert bench.journal.recall("lock") == {}


def test_playbooks_that_changed_after_the_approval_are_asked_about_again(place: Kernelci) -> None:
    bench = place.bench(deploy)
    bench.say("operator", "!deploy backend")
    place.commit("backend-config", {"README.md": "changed\n"}, "change the playbooks")
    bench.react("manager-1", "run:1:gate:deploy:1")
    assert bench.run().state is RunState.WAITING
    assert machines(place).facts(BACKEND).starts == 1
    assert f"at {place.head('backend-config')[:10]}" in lines(bench, "run:1:gate:deploy:2")


def test_a_revision_that_is_not_there_is_named_with_the_nearest(place: Kernelci) -> None:
    bench = place.bench(deploy)
    bench.say("operator", "!deploy backend 2026.11.00")
    assert "backend has no branch or tag 2026.11.00. Did you mean 2026.11.0?" in alerts(bench)


def test_a_component_that_nobody_deploys_is_refused_with_the_usage(place: Kernelci) -> None:
    bench = place.bench(deploy)
    bench.say("operator", "!deploy bakend")
    (answer,) = bench.replies()
    assert "“bakend”" in answer
    assert "backend" in answer
    assert "!deploy backend|frontend [REVISION]" in answer


def test_a_component_that_is_down_can_be_deployed(place: Kernelci) -> None:
    bench = place.bench()
    machines(place).stop()
    place.commit("backend-config", {"README.md": "changed\n"}, "change the playbooks")
    place.commit("backend", {"app/handlers/__init__.py": '__version__ = "2026.11.1"\n'}, "Bump app version")
    run = start(bench, ALONE, DeployArgs(Deployable.BACKEND.value, "main"))
    assert run.state is RunState.SUCCEEDED, alerts(bench)
    assert machines(place).facts(BACKEND).version == "2026.11.1"
