"""Playbooks that break off, and bots that are killed: what is half-way is said, made good, and never done twice."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.journal import EffectState
from kcibot.core.run import RunState, StepState
from kcibot.sandbox.targets import BACKEND, CELERY
from kcibot.services import process_tree
from kcibot.services.ansible.record import SUPERVISOR
from kcibot.services.processes import end_orphans
from kcibot_commands import runs
from kcibot_commands.deploy.steps import DeployArgs
from kcibot_commands.playbook_runs import CUT_OFF
from tests.fakes.bench import Bench
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
    Followed,
    Kernelci,
    Preceded,
    alerts,
    kernelci,
    killed,
    lines,
    revive,
    start,
    with_ports,
)

FULL = """---
- name: See whether there is room
  ansible.builtin.stat:
    path: {full}
  register: full
  tags: [app]

- name: Break off
  ansible.builtin.fail:
    msg: the disk is full
  when: full.stat.exists
  tags: [app]

{good}
"""
REPOSITORY = Path(__file__).parents[2]
LIFE = """
import sys
from pathlib import Path
from kcibot import app
from kcibot.config import load
from kcibot.core.redact import Redactor
from kcibot.services.processes import mark_children
from kcibot_commands.deploy.steps import deploy_backend
from kcibot_commands.plan.steps import plan
from kcibot.core.journal import EffectState
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


def broken_off(place: Kernelci, bench: Bench, begun: Path) -> None:
    """A release whose playbook is lost while it restarts the worker."""
    thread = threading.Thread(target=start, args=(bench, AT_ONCE))
    thread.start()
    wait_until(begun.exists)
    (supervisor,) = process_tree.running(SUPERVISOR, str(place.folder))
    os.kill(supervisor, signal.SIGKILL)
    thread.join(30)


# ---- half-way --------------------------------------------------------------------------------------------------------


def test_a_playbook_that_breaks_off_is_not_run_again_without_being_asked(place: Kernelci) -> None:
    deafened(place)
    place.commit("backend-config", {TASKS: f"{tasks(place)}\n\n{FAIL}"}, "break")
    bench = place.bench(runs)
    said = state(start(bench, AT_ONCE))
    assert said[0] is StepState.FAILED
    assert "the disk is full" in said[1]
    assert "Changed before:" in said[1]
    assert "Production is half-way: backend answers version 2026.11.0" in said[1]
    assert "!release retry tries again" in alerts(bench)
    bench.tick(timedelta(hours=1))
    assert state(bench.run())[0] is StepState.FAILED


def test_a_run_that_is_ended_half_way_says_so(place: Kernelci) -> None:
    """The new version answers already, and what came after its restart was not done."""
    begun, go = slow_worker(place)
    bench = place.bench(runs)
    broken_off(place, bench, begun)
    go.touch()
    bench.say("operator", "!release abort we restart it by hand")
    assert "Broken off half-way: deploy backend 2026.11.1." in lines(bench, "run:1:aborted")


def test_amending_makes_good_what_broke_off(place: Kernelci) -> None:
    begun, go = slow_worker(place)
    bench = place.bench(runs)
    broken_off(place, bench, begun)
    go.touch()
    bench.say("operator", "!release amend")
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    assert machines(place).facts(CELERY).version == "2026.11.1", "the playbook ran again, and restarted nothing"


def test_a_retry_that_changes_nothing_restarts_the_services_itself(place: Kernelci) -> None:
    begun, go = slow_worker(place)
    bench = place.bench(runs)
    broken_off(place, bench, begun)
    said = state(bench.run())
    assert said[0] is StepState.FAILED
    assert "Production is half-way: backend answers version 2026.11.1" in said[1]
    assert machines(place).facts(CELERY).version == "2026.11.0"
    go.touch()
    bench.say("operator", "!release retry")
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    assert machines(place).facts(CELERY).version == "2026.11.1"
    assert "kernelci-celery restarted by me" in state(bench.run())[1]
    assert bench.journal.recall(CUT_OFF) == {}


def test_without_configured_services_a_playbook_that_restarts_nothing_after_a_break_is_asked_about_once(
    place: Kernelci,
) -> None:
    begun, go = slow_worker(place)
    bench = place.bench(runs, sections=[settings(place, services=())])
    broken_off(place, bench, begun)
    go.touch()
    bench.say("operator", "!release retry")
    said = state(bench.run())
    assert said[0] is StepState.UNKNOWN
    assert "restarted nothing, and one before it broke off" in said[1]
    assert machines(place).facts(CELERY).version == "2026.11.0"
    machines(place).restart(CELERY)
    bench.say("operator", "!release retry")
    assert bench.run().state is RunState.SUCCEEDED, "people have restarted it, as they were asked to"


def test_a_component_whose_broken_playbook_was_skipped_is_made_good_by_the_next_release_and_then_left_alone(
    place: Kernelci,
) -> None:
    begun, go = slow_worker(place)
    bench = place.bench(runs)
    broken_off(place, bench, begun)
    go.touch()
    bench.say("operator", "!release skip deploy-backend we look at it next week")
    assert bench.run().state is RunState.SUCCEEDED
    place.git("backend", "update-ref", "refs/heads/main", f"refs/heads/{PRODUCTION}")
    next_week = start(bench, AT_ONCE)
    assert state(next_week)[0] is StepState.DONE, alerts(bench)
    assert machines(place).facts(CELERY).version == "2026.11.1"
    assert state(start(bench, AT_ONCE))[0] is StepState.NOT_NEEDED


def test_a_retry_after_a_failure_runs_the_playbook_anew(place: Kernelci) -> None:
    full = place.folder / "full"
    full.touch()
    place.commit("backend-config", {TASKS: FULL.format(full=full, good=tasks(place).removeprefix("---"))}, "check")
    bench = place.bench(runs)
    assert state(start(bench, AT_ONCE))[0] is StepState.FAILED
    full.unlink()
    bench.tick(timedelta(minutes=1))
    bench.say("operator", "!release retry")
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    assert machines(place).facts(CELERY).version == "2026.11.1"


# ---- kills -----------------------------------------------------------------------------------------------------------


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


def test_a_killed_deployment_of_the_version_that_ran_before_is_found_done_by_its_record(place: Kernelci) -> None:
    deployer = Followed(place.ports.deployer, "deploy", killed(place))
    first = place.bench(ports=with_ports(place.ports, deployer=deployer))
    start(first, ALONE, DeployArgs("backend"))
    revive(place, first)
    second = place.bench(procedures=[ALONE])
    second.engine.resume()
    assert state(second.run(), "run-playbook")[0] is StepState.DONE
    assert state(second.run(), "run-playbook")[1].startswith("version 2026.11.0 answers, ")


def test_a_bot_that_is_killed_after_it_restarted_a_service_restarts_the_others_and_that_one_no_more(
    place: Kernelci,
) -> None:
    deafened(place)
    deployer = Followed(place.ports.deployer, "act", killed(place))
    first = place.bench(ports=with_ports(place.ports, deployer=deployer))
    start(first, ALONE, DeployArgs("backend"))
    assert (machines(place).facts(BACKEND).starts, machines(place).facts(CELERY).starts) == (2, 1)
    revive(place, first)
    second = place.bench(procedures=[ALONE])
    second.engine.resume()
    run = second.run()
    assert run.state is RunState.SUCCEEDED, alerts(second)
    assert (machines(place).facts(BACKEND).starts, machines(place).facts(CELERY).starts) == (2, 2)
    assert "kernelci-backend and kernelci-celery restarted by me" in state(run, "run-playbook")[1]
    effects = second.journal.effects(run.id, "run-playbook", 1).values()
    assert EffectState.IN_FLIGHT not in {effect.state for effect in effects}
