"""Deployments: what is shown is what runs, only an answering version is believed, half a playbook is no success."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import Run, RunState, StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.targets import BACKEND, BACKEND_HOST, CELERY, FRONTEND, FRONTEND_HOST, Targets
from kcibot.services import process_tree
from kcibot.services.ansible_record import SUPERVISOR
from kcibot.services.processes import end_orphans
from kcibot_commands import deploy, runs
from kcibot_commands.deploy import Deployable, DeployArgs, Deployed, DeploySettings, deploy_backend, deploy_frontend
from kcibot_commands.plan import plan
from kcibot_commands.tags import create_tags
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import (
    PRODUCTION,
    Followed,
    Kernelci,
    Preceded,
    alerts,
    kernelci,
    killed,
    lines,
    result,
    revive,
    start,
    with_ports,
)

BOTH = Procedure("release", plan, create_tags, deploy_backend, deploy_frontend)
AT_ONCE = Procedure("release", plan, deploy_backend)
GATED = Procedure("release", plan, Gate("go", "Update production"), deploy_backend)
TASKS = "roles/kernelci-backend/tasks/main.yml"
HANDLERS = "roles/kernelci-backend/handlers/main.yml"
FAIL = "- name: Break off\n  ansible.builtin.fail:\n    msg: the disk is full\n  tags: [app]\n"
WITNESS = """{good}

- name: Write down who runs this
  ansible.builtin.copy:
    content: "{{{{ lookup('pipe', 'cat /proc/$PPID/cmdline') }}}}"
    dest: {seen}
    mode: "0644"
  tags: [app]
"""
DEAF = "".join(
    f"- name: Restart kernelci-{name}\n  ansible.builtin.debug:\n    msg: nothing\n" for name in ("backend", "celery")
)

SLOW = """
- name: Restart kernelci-celery
  ansible.builtin.command:
    argv:
      - sh
      - -c
      - >-
        echo once >> {begun}; while [ ! -e {go} ]; do sleep 0.02; done;
        exec {{{{ ansible_python_interpreter }}}} -IS {{{{ service_control }}}} {{{{ service_folder }}}}
        restart kernelci-celery
"""
REPOSITORY = Path(__file__).parents[2]
LIFE = """
import sys
from pathlib import Path
from kcibot import app
from kcibot.config import load
from kcibot.core.redact import Redactor
from kcibot.services.processes import mark_children
from kcibot_commands.deploy import deploy_backend
from kcibot_commands.plan import plan
from kcibot.core.procedure import Procedure
from tests.fakes.bench import make_bench
from tests.fakes.kernelci_bench import SECTIONS, start

folder = Path(sys.argv[1])
mark_children(str(folder))
config = load(folder / "config.yaml", {str(vars(kind)["section"]): kind for kind in SECTIONS})
ports = app.ports(config, Redactor())
procedure = Procedure("release", plan, deploy_backend)
start(make_bench(folder, policies=config.policies(), ports=ports, sections=config.sections), procedure)
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path, machines=True) as there:
        yield there


def machines(place: Kernelci) -> Targets:
    assert place.targets
    return place.targets


def impatient(place: Kernelci) -> DeploySettings:
    return replace(place.config.section(DeploySettings), answers_within=timedelta())


def state(run: Run, step_id: str = "deploy-backend") -> tuple[StepState, str]:
    return run.step(step_id).state, run.step(step_id).text


def tasks(place: Kernelci) -> str:
    return place.git("backend-config", "show", f"main:{TASKS}")


def slow_worker(place: Kernelci) -> tuple[Path, Path]:
    """Its restart is the last of the playbook. The files: there when it has begun, and made to let it go on."""
    begun, go = place.folder / "restarting", place.folder / "go"
    good = place.git("backend-config", "show", f"main:{HANDLERS}").partition("- name: Restart kernelci-celery")[0]
    place.commit("backend-config", {HANDLERS: good + SLOW.format(begun=begun, go=go)}, "slow down")
    return begun, go


def broken_off(place: Kernelci, bench: Bench, begun: Path) -> None:
    """A release whose playbook is lost while it restarts the worker."""
    thread = threading.Thread(target=start, args=(bench, AT_ONCE))
    thread.start()
    wait_until(begun.exists)
    (supervisor,) = process_tree.running(SUPERVISOR, str(place.folder))
    os.kill(supervisor, signal.SIGKILL)
    thread.join(30)


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this never became true"
        threading.Event().wait(0.02)


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


def test_playbooks_that_changed_after_the_approval_are_asked_about_again(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, GATED)
    place.commit("backend-config", {"README.md": "changed\n"}, "change the playbooks")
    bench.react("manager-1", "run:1:gate:go:1")
    assert bench.run().state is RunState.WAITING
    assert machines(place).facts(BACKEND).version == "2026.11.0"
    bench.react("manager-1", "run:1:gate:go:2")
    assert bench.run().state is RunState.SUCCEEDED


def test_a_playbook_that_fails_before_it_changed_anything_fails_the_step(place: Kernelci) -> None:
    place.commit("backend-config", {TASKS: f"---\n{FAIL}"}, "break")
    bench = place.bench()
    said = state(start(bench, AT_ONCE))
    assert said[0] is StepState.FAILED
    assert "the disk is full" in said[1]
    assert "No task had changed anything before" in said[1]
    assert machines(place).facts(BACKEND).version == "2026.11.0"


def test_a_playbook_that_breaks_off_is_not_run_again_without_being_asked(place: Kernelci) -> None:
    place.commit("backend-config", {TASKS: f"{tasks(place)}\n\n{FAIL}", HANDLERS: f"---\n{DEAF}"}, "break")
    bench = place.bench(runs)
    said = state(start(bench, AT_ONCE))
    assert said[0] is StepState.FAILED
    assert "the disk is full" in said[1]
    assert "Changed before:" in said[1]
    assert "Production is half-way: backend answers version 2026.11.0" in said[1]
    assert "!release retry tries again" in alerts(bench)
    bench.tick(timedelta(hours=1))
    assert state(bench.run())[0] is StepState.FAILED


def test_a_run_that_is_ended_half_way_says_so_and_amending_does_not_hide_it(place: Kernelci) -> None:
    """The new version answers already, and what came after its restart was not done."""
    begun, go = slow_worker(place)
    bench = place.bench(runs)
    broken_off(place, bench, begun)
    go.touch()
    bench.say("operator", "!release amend")
    assert state(bench.run())[0] is StepState.UNKNOWN, "the playbook ran again, and restarted nothing"
    bench.say("operator", "!release abort we restart it by hand")
    said = lines(bench, "run:1:aborted")
    assert "In flight, outcome unknown: deploy backend 2026.11.1." in said
    assert "Broken off half-way: deploy backend 2026.11.1." in said


def test_a_name_that_moved_since_the_approval_is_not_deployed(place: Kernelci) -> None:
    by_name = {"backend": replace(place.config.section(DeploySettings).playbooks["backend"], git_head="main")}
    settings = replace(place.config.section(DeploySettings), playbooks=by_name)
    bench = place.bench(sections=[settings])
    said = state(start(bench, AT_ONCE))
    assert said[0] is StepState.FAILED
    assert f"backend main is at {place.head('backend')[:10]}, and " in said[1]
    assert machines(place).facts(BACKEND).version == "2026.11.0"


def test_a_version_that_does_not_answer_is_no_success(place: Kernelci) -> None:
    place.commit("backend-config", {HANDLERS: f"---\n{DEAF}"}, "forget the restarts")
    bench = place.bench(runs, sections=[impatient(place)])
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
    assert state(run) == (StepState.DONE, "version 2026.11.1 answers")
    assert machines(place).facts(BACKEND).version == "2026.11.1"


def test_an_unchanged_component_that_runs_its_version_is_left_alone(place: Kernelci) -> None:
    place.git("backend", "update-ref", "refs/heads/main", f"refs/heads/{PRODUCTION}")
    run = start(place.bench(), AT_ONCE)
    assert state(run) == (StepState.NOT_NEEDED, "backend unchanged since 2026.11.0, and version 2026.11.0 answers")
    assert machines(place).facts(BACKEND).starts == 1


# ---- kills -----------------------------------------------------------------------------------------------------


def test_a_bot_that_is_killed_after_the_playbook_does_not_run_it_again(place: Kernelci) -> None:
    deployer = Followed(place.ports.deployer, "deploy", killed(place))
    first = place.bench(ports=with_ports(place.ports, deployer=deployer))
    start(first, AT_ONCE)
    starts = machines(place).facts(BACKEND).starts
    revive(place, first)
    second = place.bench(procedures=[AT_ONCE])
    second.engine.resume()
    assert second.run().state is RunState.SUCCEEDED
    assert machines(place).facts(BACKEND).starts == starts


def test_a_bot_that_is_killed_before_the_playbook_runs_it_then(place: Kernelci) -> None:
    """The playbook's start is in the journal, and nothing more."""
    deployer = Preceded(place.ports.deployer, "deploy", killed(place))
    first = place.bench(ports=with_ports(place.ports, deployer=deployer))
    start(first, AT_ONCE)
    revive(place, first)
    assert machines(place).facts(BACKEND).version == "2026.11.0"
    second = place.bench(procedures=[AT_ONCE])
    second.engine.resume()
    second.settle()
    second.tick(timedelta(minutes=2))
    assert second.run().state is RunState.SUCCEEDED
    assert machines(place).facts(BACKEND).version == "2026.11.1"


def test_a_bot_that_is_killed_in_the_middle_of_the_playbook_ends_with_every_service_restarted_once(
    place: Kernelci,
) -> None:
    """Killed when the new version answers already, and the worker's restart is still to come."""
    begun, go = slow_worker(place)
    assert place.config
    with subprocess.Popen([sys.executable, "-c", LIFE, str(place.folder)], cwd=REPOSITORY) as life:
        wait_until(begun.exists)
        life.kill()
    end_orphans(str(place.folder))
    assert machines(place).facts(BACKEND).version == "2026.11.1"
    second = place.bench(procedures=[AT_ONCE])
    second.engine.resume()
    assert not second.engine.settle(1.0), "it waits for the playbook"
    go.touch()
    assert second.run().state is RunState.SUCCEEDED, alerts(second)
    for name in (BACKEND, CELERY):
        assert (machines(place).facts(name).starts, machines(place).facts(name).version) == (2, "2026.11.1")
    assert begun.read_text() == "once\n"


def test_a_playbook_that_restarts_nothing_is_not_believed_after_one_that_was_cut_off(place: Kernelci) -> None:
    begun, go = slow_worker(place)
    bench = place.bench(runs)
    broken_off(place, bench, begun)
    said = state(bench.run())
    assert said[0] is StepState.FAILED
    assert "Production is half-way: backend answers version 2026.11.1" in said[1]
    go.touch()
    bench.say("operator", "!release retry")
    said = state(bench.run())
    assert said[0] is StepState.UNKNOWN
    assert "restarted nothing, and one before it broke off" in said[1]
    assert machines(place).facts(CELERY).version == "2026.11.0"
    bench.say("operator", "!release retry --not-done")
    assert state(bench.run())[0] is StepState.UNKNOWN


def test_a_retry_after_a_failure_runs_the_playbook_anew(place: Kernelci) -> None:
    good = tasks(place)
    place.commit("backend-config", {TASKS: f"---\n{FAIL}"}, "break")
    bench = place.bench(runs)
    assert state(start(bench, AT_ONCE))[0] is StepState.FAILED
    place.commit("backend-config", {TASKS: good}, "mend")
    bench.tick(timedelta(minutes=1))
    bench.say("operator", "!release retry")
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    assert machines(place).facts(CELERY).version == "2026.11.1"


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
    procedure = Procedure("deploy again", deploy.wanted_revision, deploy.DEPLOY.item("run-playbook"))  # type: ignore[arg-type]
    bench = place.bench()
    machines(place).stop()
    place.commit("backend-config", {"README.md": "changed\n"}, "change the playbooks")
    place.commit("backend", {"app/handlers/__init__.py": '__version__ = "2026.11.1"\n'}, "Bump app version")
    run = start(bench, procedure, DeployArgs(Deployable.BACKEND.value, "main"))
    assert run.state is RunState.SUCCEEDED, alerts(bench)
    assert machines(place).facts(BACKEND).version == "2026.11.1"


def test_a_killed_deployment_of_the_version_that_ran_before_is_found_done_by_its_record(place: Kernelci) -> None:
    procedure = Procedure("deploy again", deploy.wanted_revision, deploy.DEPLOY.item("run-playbook"))  # type: ignore[arg-type]
    deployer = Followed(place.ports.deployer, "deploy", killed(place))
    first = place.bench(ports=with_ports(place.ports, deployer=deployer))
    start(first, procedure, DeployArgs("backend"))
    revive(place, first)
    second = place.bench(procedures=[procedure])
    second.engine.resume()
    assert state(second.run(), "run-playbook") == (StepState.DONE, "version 2026.11.0 answers")
