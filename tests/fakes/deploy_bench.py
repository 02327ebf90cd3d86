"""Deployments of the sandbox's backend and frontend under a bench: what several files of tests start from."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from kcibot.core.procedure import Procedure
from kcibot.core.run import Run, StepState
from kcibot.sandbox.targets import Targets
from kcibot_commands.deploy import steps as deploy
from kcibot_commands.deploy.steps import DeploySettings, deploy_backend
from kcibot_commands.plan.steps import plan
from tests.fakes.kernelci_bench import Kernelci

AT_ONCE = Procedure("release", plan, deploy_backend)
ALONE = Procedure("deploy again", deploy.wanted_revision, deploy.DEPLOY.item("run-playbook"))  # type: ignore[arg-type]
TASKS = "roles/kernelci-backend/tasks/main.yml"
HANDLERS = "roles/kernelci-backend/handlers/main.yml"
FAIL = "- name: Break off\n  ansible.builtin.fail:\n    msg: the disk is full\n  tags: [app]\n"
DEAF = {
    name: f"- name: Restart kernelci-{name}\n  ansible.builtin.debug:\n    msg: nothing\n"
    for name in ("backend", "celery")
}
"""Handlers that restart nothing."""
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


def machines(place: Kernelci) -> Targets:
    assert place.targets
    return place.targets


def settings(place: Kernelci, component: str = "backend", **changed: object) -> DeploySettings:
    """Those of the sandbox without patience, that component's playbook changed."""
    there = place.config.section(DeploySettings)
    playbook = replace(there.playbooks[component], **changed)  # type: ignore[arg-type]
    return replace(there, playbooks={**there.playbooks, component: playbook}, answers_within=timedelta())


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


def deafened(place: Kernelci) -> None:
    """The playbook restarts nothing, as one that finds nothing to change."""
    place.commit("backend-config", {HANDLERS: "---\n" + "".join(DEAF.values())}, "forget the restarts")


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this never became true"
        threading.Event().wait(0.02)
