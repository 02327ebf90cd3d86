"""How backend and frontend are deployed: which playbook with which options, and how one sees that all was done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from kcibot.sdk import ConfigError, Context, Deployment, PermanentError, Preview
from kcibot_commands.plan.steps import SHORT, frozen, plan

CHECKS = "deployment-checks"
"""Topic: what the last check of a component told, and of which commits."""
SERVICE = "{service}"
"""Stands for a service's name in the commands about it."""
RUNNING_FOR = (
    "sh",
    "-c",
    (
        "systemctl is-active --quiet {service} && awk -v began=$(systemctl show --value"
        " --property=ActiveEnterTimestampMonotonic {service}) '{ print $1 - began / 1000000 }' /proc/uptime"
    ),
)
RESTART = ("systemctl", "restart", SERVICE)


@dataclass(frozen=True)
class Playbook:
    """How one component is deployed, in the words of `ansible-playbook`'s options.

    `git_head` is the name under which the playbook checks out the component; empty means the approved commit itself.

    `services` must have started after the playbook began, whatever it says itself: what has not is restarted by
    `restart`. `running_for` tells for how many seconds a service has been running, and fails if it is not. Of a
    component with a `worker`, `worker_probe` is a command that fails if the worker takes no tasks. All three run on
    the machines of `limit`, as the user that the playbook becomes. `static` is the address of the files that the
    component serves; empty if it serves none.
    """

    repository: str
    limit: str
    branch: str = "main"
    playbook: str = "site.yml"
    inventory: str = "hosts"
    tags: tuple[str, ...] = ("app",)
    skip_tags: tuple[str, ...] = ("secrets",)
    extra_vars: Mapping[str, str] = field(default_factory=dict)
    become: bool = True
    ask_become_pass: bool = False
    remote_user: str = ""
    private_key: str = ""
    git_head: str = ""
    services: tuple[str, ...] = ()
    running_for: tuple[str, ...] = RUNNING_FOR
    restart: tuple[str, ...] = RESTART
    worker: str = ""
    worker_probe: tuple[str, ...] = ()
    static: str = ""

    def __post_init__(self) -> None:
        if "git_head" in self.extra_vars:
            raise ConfigError("git_head is a key of its own, and not among extra_vars")


def default_playbooks() -> Mapping[str, Playbook]:
    """Those of the written procedure."""
    return {
        "backend": Playbook(
            "backend-config",
            "api.kernelci.org",
            services=("kernelci-backend", "kernelci-celery"),
            worker="kernelci-celery",
        ),
        "frontend": Playbook(
            "frontend-config", "kernelci.org", services=("uwsgi",), static="https://kernelci.org/static/"
        ),
    }


@dataclass(frozen=True)
class DeploySettings:
    """Which playbook deploys which component, and how it is proven afterwards.

    `queue_of` is the component whose worker is proven by the task probe of `services.results_api` (empty: nobody's).
    `answers_within` is how long a component may take after its playbook until it answers the new version.
    """

    section: ClassVar[str] = "deploy"
    playbooks: Mapping[str, Playbook] = field(default_factory=default_playbooks)
    queue_of: str = ""
    answers_within: timedelta = timedelta(minutes=1)


def playbook_of(context: Context, component: str) -> Playbook:
    """Raises PermanentError for a component that nobody deploys."""
    playbook = context.settings(DeploySettings).playbooks.get(component)
    if playbook is None:
        raise PermanentError(f"no playbook is configured for {component} under deploy.playbooks")
    return playbook


def deployment(context: Context, component: str, commit: str) -> tuple[Playbook, Deployment]:
    """The playbook's run, its folder still empty of a checkout."""
    playbook = playbook_of(context, component)
    return playbook, Deployment(
        folder=context.folder("playbooks"),
        playbook=playbook.playbook,
        inventory=playbook.inventory,
        limit=playbook.limit,
        tags=playbook.tags,
        skip_tags=playbook.skip_tags,
        extra_vars={**playbook.extra_vars, "git_head": playbook.git_head or commit},
        become=playbook.become,
        ask_become_pass=playbook.ask_become_pass,
        remote_user=playbook.remote_user,
        private_key=playbook.private_key,
    )


def configuration_of(context: Context, playbook: Playbook) -> str:
    """The commit of the playbooks: what the release's plan froze, otherwise the newest."""
    git = context.ports.git.remote(playbook.repository)
    planned = frozen(context.result(plan), playbook.repository) if context.has_result(plan) else ""
    if planned:
        git.fetch()
        return planned
    branches = git.branches()
    if playbook.branch not in branches:
        raise PermanentError(f"{playbook.repository} has no branch {playbook.branch}")
    git.fetch()
    return branches[playbook.branch]


def command_preview(context: Context, component: str, commit: str, configuration: str = "") -> Preview:
    """The exact command line that deploys that commit, with what else decides what it does.

    `configuration` is the commit of the playbooks; if it is empty, the plan's, or the newest.
    """
    playbook, run = deployment(context, component, commit)
    argv, variables = context.ports.deployer.command(run), context.ports.deployer.variables()
    configuration = configuration or configuration_of(context, playbook)
    facts = {
        "argv": list(argv),
        "configuration": configuration,
        "environment": dict(variables),
        "services": list(playbook.services),
        "restart": list(playbook.restart) if playbook.services else [],
    }
    shown = [
        f"{component}: {' '.join(argv)}",
        f"  with {playbook.repository} at {configuration[:SHORT]}",
        f"  and {' '.join(f'{name}={value}' for name, value in variables.items())}",
    ]
    if playbook.services:
        how = " ".join(playbook.restart).replace(SERVICE, "NAME")
        shown.append(f"  then what of {', '.join(playbook.services)} did not start anew: {how}")
    return Preview(facts, (*shown, *_checked(context, component, commit, configuration)))


def _checked(context: Context, component: str, commit: str, configuration: str) -> tuple[str, ...]:
    """What a check of these very commits told, if somebody made one."""
    found = context.recall(CHECKS).get(component)
    if not isinstance(found, Mapping) or (found["commit"], found["configuration"]) != (commit, configuration):
        return ()
    return (f"  checked: {found['text']}; {found['output']}",)
