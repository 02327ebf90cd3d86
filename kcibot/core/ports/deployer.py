"""Deployments, in the words of Ansible."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kcibot.core.ports.basics import Cancellation, Report


@dataclass(frozen=True, slots=True)
class Deployment:
    """One run of a playbook, in the words of `ansible-playbook`'s own options.

    `ident` names this one run, in letters, digits and dashes, so that a later life can ask what became of it; empty
    for a run that nobody will ask for.
    """

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
    remote_user: str = ""
    private_key: str = ""
    ident: str = ""


@dataclass(frozen=True, slots=True)
class DeployResult:
    """Counts over all hosts, and every line that the playbook's handlers and changes are worth saying in.

    `differences` are those of a check's tasks, each with its task's name first, and the longest of them cut. `output`
    names the file on the bot's machine with all that Ansible said, secrets masked; empty if it could not be kept.
    """

    ok: int
    changed: int
    changes: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    output: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said on a host: `code` is its exit code, `text` its output, or its complaint if that is not 0.

    `elapsed` is the time in seconds from the beginning of the run that the question named to that of the command.
    """

    host: str
    command: tuple[str, ...]
    code: int
    text: str
    elapsed: float = 0.0


class Deployer(Protocol):
    """Runs playbooks. A playbook that was begun goes on when the bot is killed, and keeps a record of its own."""

    def command(self, deployment: Deployment) -> tuple[str, ...]:
        """The exact argv that `deploy` will use, without secrets."""
        ...

    def variables(self) -> Mapping[str, str]:
        """What else decides how Ansible runs: its variables of the environment, those named like secrets masked."""
        ...

    def deploy(self, deployment: Deployment, report: Report, cancellation: Cancellation) -> DeployResult:
        """Run it to its end, unless cancelled. A name is run once: called again, it tells what became of that run.

        A failed task, named with its host, is PermanentError if nothing changed before it, else OutcomeUnknown; so is
        a run that was cancelled or killed in the middle, after which handlers may not have run.
        """
        ...

    def outcome(self, ident: str, report: Report, cancellation: Cancellation) -> DeployResult | None:
        """What became of the run of that name, in this life or an earlier one; waited for if it still runs.

        Its result, or an error as `deploy` raises it. None is proof: it never began, and will not begin any more.
        Cancelling ends the run, as in `deploy`. Records are kept for 30 days.
        """
        ...

    def ask(
        self,
        deployment: Deployment,
        commands: Sequence[tuple[str, ...]],
        cancellation: Cancellation,
        since: str = "",
    ) -> tuple[Answer, ...]:
        """Run commands that only look, on the deployment's machines and as the user that its playbook becomes.

        Every host's answers, in the order of the commands, also of those that failed. Templates in the commands are
        Ansible's. `since` names the run that the answers' `elapsed` counts from.
        """
        ...

    def act(
        self,
        deployment: Deployment,
        commands: Sequence[tuple[str, ...]],
        report: Report,
        cancellation: Cancellation,
    ) -> None:
        """Run commands there that change something, each only if those before it ended well.

        One that failed is OutcomeUnknown: what it had done by then is for people to see.
        """
        ...
