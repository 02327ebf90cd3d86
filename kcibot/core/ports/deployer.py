"""Deployments, in the words of Ansible."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kcibot.core.ports.basics import Cancellation, Report


@dataclass(frozen=True, slots=True)
class Deployment:
    """One run of a playbook, in the words of `ansible-playbook`'s own options."""

    folder: Path
    playbook: str
    inventory: str
    limit: str
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    extra_vars: Mapping[str, str] = field(default_factory=dict)
    diff: bool = True
    check: bool = False
    become: bool = True
    ask_become_pass: bool = False
    private_key: str = ""


@dataclass(frozen=True, slots=True)
class DeployResult:
    """Counts over all hosts, and every line that the playbook's handlers and changes are worth saying in."""

    ok: int
    changed: int
    changes: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()


class Deployer(Protocol):
    """Runs playbooks."""

    def command(self, deployment: Deployment) -> tuple[str, ...]:
        """The exact argv that `deploy` will use, without secrets."""
        ...

    def deploy(self, deployment: Deployment, report: Report, cancellation: Cancellation) -> DeployResult:
        """A failed task, named with its host, is PermanentError if nothing changed before it, else OutcomeUnknown."""
        ...
