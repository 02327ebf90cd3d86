"""Runs playbooks by ansible-runner: exactly the command that was shown, and what its events say happened."""

import os
import re
import shlex
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcibot.core.ports import Cancellation, Deployment, DeployResult, Report
from kcibot.errors import Aborted, ConfigError, OutcomeUnknown, PermanentError, TransientError
from kcibot.services import process_tree
from kcibot.services.ansible_events import Story, cut

BECOME_PROMPT = r"^BECOME password.*:\s*?$"
POLL_SECONDS = 0.2

_WORD = re.compile(r"[A-Za-z0-9_./@:+][A-Za-z0-9_./@:+,*!&-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NEVER_REACHED = re.compile(
    r"Failed to connect|Connection refused|timed out|Could not resolve|Name or service not known|No route to host"
    r"|Network is unreachable"
)
_NOT_LET_IN = re.compile(r"Permission denied|Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED")

# The bot's own secrets are in its environment, and a playbook can read its environment.
_KEPT_VARIABLES = ("HOME", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "http_proxy", "https_proxy", "no_proxy")
_FIXED_VARIABLES = {
    "LC_ALL": "C.UTF-8",
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_NOCOWS": "1",
    "ANSIBLE_DEPRECATION_WARNINGS": "0",
}


class AnsibleDeployer:
    """Runs playbooks on this machine's Ansible.

    `become_password` is asked for when a deployment says `ask_become_pass`. `variables` are added to Ansible's
    environment; whether host keys are checked is said there (`ANSIBLE_HOST_KEY_CHECKING`), and they are by default.
    A run that takes longer than `timeout_seconds` is killed.
    """

    def __init__(
        self,
        become_password: Callable[[], str] | None = None,
        variables: Mapping[str, str] | None = None,
        timeout_seconds: float = 1800.0,
    ) -> None:
        self._become_password = become_password
        self._variables = dict(variables or {})
        self._timeout_seconds = timeout_seconds

    def command(self, deployment: Deployment) -> tuple[str, ...]:
        """The exact argv, fit to be shown.

        `--force-handlers` is always there: without it handlers are lost when a later task fails, the next try sees
        "no change", and the old code goes on running.
        """
        words = ["ansible-playbook", "-i", _word("inventory", deployment.inventory), "-l", _limit(deployment.limit)]
        words += ["-D"] if deployment.diff else []
        words += ["-C"] if deployment.check else []
        words += ["-b"] if deployment.become else []
        words += ["--ask-become-pass"] if deployment.ask_become_pass else []
        words += ["--force-handlers"]
        words += [f"--skip-tags={_words('tag', deployment.skip_tags)}"] if deployment.skip_tags else []
        words += ["-t", _words("tag", deployment.tags)] if deployment.tags else []
        words += ["--private-key", _word("key file", deployment.private_key)] if deployment.private_key else []
        for name, value in sorted(deployment.extra_vars.items()):
            words += ["-e", _extra(name, value)]
        return (*words, _word("playbook", deployment.playbook))

    def deploy(self, deployment: Deployment, report: Report, cancellation: Cancellation) -> DeployResult:
        command = self.command(deployment)
        passwords = self._passwords(deployment)
        if not deployment.folder.is_dir():
            raise PermanentError("The folder with the playbooks is not there; nothing was started.")
        if cancellation.cancelled:
            raise Aborted("The deployment was stopped before it began; nothing was changed.")
        story = Story(report)
        with tempfile.TemporaryDirectory(prefix="kcibot-ansible-") as private:
            stop = _Stop(cancellation, time.monotonic() + self._timeout_seconds, marker=private)
            runner = self._runner(Path(private), deployment, command, passwords, story, stop)
            # An option left over from anywhere (a file, a default) would run something else than what was approved.
            if tuple(runner.config.command) != command:
                raise PermanentError("Ansible would have run another command than the one shown; nothing was started.")
            status = _run(runner)
            status = "timeout" if stop.too_long else status
        return _outcome(deployment, status, story)

    def _passwords(self, deployment: Deployment) -> dict[str, str]:
        if not deployment.ask_become_pass:
            return {}
        if self._become_password is None:
            raise ConfigError("The deployment asks for a sudo password, and none is configured.")
        return {BECOME_PROMPT: self._become_password()}

    def _runner(
        self,
        private: Path,
        deployment: Deployment,
        command: Sequence[str],
        passwords: Mapping[str, str],
        story: Story,
        stop: "_Stop",
    ) -> Any:
        """A runner that is ready to run, in a private folder of its own.

        Files in such a folder persist and win over arguments, and events of one identifier are mixed: both are new.
        """
        from ansible_runner.interface import init_runner  # noqa: PLC0415 (heavy, and deployments are rare)

        runner = init_runner(
            private_data_dir=str(private),
            project_dir=str(deployment.folder),
            ident=uuid.uuid4().hex,
            playbook=command[-1],
            cmdline=shlex.join(command[1:-1]),
            passwords=dict(passwords),
            envvars={"ANSIBLE_HOST_KEY_CHECKING": "True", **self._variables},
            suppress_env_files=True,
            quiet=True,
            event_handler=story.hear,
            cancel_callback=stop.asked,
        )
        # Given as a setting it would be forgotten: settings without a file are dropped.
        runner.config.pexpect_timeout = POLL_SECONDS
        runner.config.env = self._environment(runner.config.env, private)
        return runner

    def _environment(self, prepared: Mapping[str, str], private: Path) -> dict[str, str]:
        """What the runner prepared for Ansible, and of the bot's own environment only what is harmless."""
        ours = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        needed = {name: value for name, value in prepared.items() if name.startswith(("ANSIBLE_", "AWX_", "RUNNER_"))}
        programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        places = {"PATH": programs, "ANSIBLE_LOCAL_TEMP": str(private / "tmp")}
        return {**ours, **_FIXED_VARIABLES, **needed, **places, **self._variables}


@dataclass(slots=True)
class _Stop:
    """Asked every moment whether to stop; if so, it ends Ansible's workers too.

    Each worker of ansible-core 2.19 has a session of its own, so that the runner's kill does not reach it and its task
    would go on. `marker` is a text that only this run has in its environment.
    """

    cancellation: Cancellation
    deadline: float
    marker: str
    too_long: bool = False

    def asked(self) -> bool:
        self.too_long = self.too_long or time.monotonic() > self.deadline
        if not (self.too_long or self.cancellation.cancelled):
            return False
        root = process_tree.child_with(self.marker)
        if root is not None:
            process_tree.end_tree(root)
        return True


def _run(runner: Any) -> str:
    from ansible_runner.exceptions import AnsibleRunnerException  # noqa: PLC0415 (see `_runner`)

    try:
        runner.run()
    except (AnsibleRunnerException, OSError) as error:
        raise OutcomeUnknown("Ansible was lost while it ran; look at what is deployed.") from error
    return str(runner.status)


def _outcome(deployment: Deployment, status: str, story: Story) -> DeployResult:
    """The result, or what the ending means."""
    if status in {"canceled", "timeout"}:
        raise _cut_off(deployment, status, story)
    if status == "successful" and story.stats is not None:
        if _total(story.stats, "processed") == 0:
            raise PermanentError("Ansible ran no task at all: no host or no tag fits. Nothing was changed.")
        ok, changed = _total(story.stats, "ok"), _total(story.stats, "changed")
        return DeployResult(ok, changed, tuple(story.changes), tuple(story.handlers))
    if story.failures:
        raise _after(deployment, story, f"The deployment failed: {cut('; '.join(story.failures))}")
    if story.unreachable:
        raise _not_reached(deployment, story)
    if story.effects:
        raise _after(deployment, story, "Ansible ended without a result")
    raise PermanentError(f"Ansible did not start: {_complaint(story.messages)}. Nothing was changed.")


def _cut_off(deployment: Deployment, status: str, story: Story) -> Aborted | OutcomeUnknown | PermanentError:
    how = "was stopped" if status == "canceled" else "took longer than its time limit and was killed"
    if deployment.check:
        text = f"The check {how}; it changes nothing."
        return Aborted(text) if status == "canceled" else PermanentError(text)
    done = f" Changed so far: {', '.join(story.changes)}." if story.changes else ""
    return OutcomeUnknown(f"The deployment {how} in the middle; look at what is deployed.{done}")


def _after(deployment: Deployment, story: Story, what: str) -> PermanentError | OutcomeUnknown:
    if deployment.check or not story.effects:
        return PermanentError(f"{what}. No task had changed anything before.")
    return OutcomeUnknown(f"{what}. Changed before: {', '.join(story.changes) or 'a part of that task'}.")


def _not_reached(deployment: Deployment, story: Story) -> TransientError | PermanentError | OutcomeUnknown:
    """A connection that was lost in a task looks the same as one that was never made, but for its words."""
    said = "; ".join(f"{host}: {reason}" for host, reason in story.unreachable)
    what = f"Ansible could not reach {cut(said)}"
    if all(_NOT_LET_IN.search(reason) for _host, reason in story.unreachable):
        return _after(deployment, story, what)
    if not story.effects and all(_NEVER_REACHED.search(reason) for _host, reason in story.unreachable):
        return TransientError(f"{what}. Nothing was changed.")
    return _after(deployment, story, what) if deployment.check else OutcomeUnknown(f"{what}.")


def _total(stats: Mapping[str, Any], key: str) -> int:
    return sum((stats.get(key) or {}).values())


def _complaint(messages: Sequence[str]) -> str:
    errors = [line for line in messages if "ERROR" in line.upper()]
    return cut(" ".join((errors or list(messages))[-3:]) or "it said nothing").rstrip(".")


def _word(what: str, text: str) -> str:
    """A value for an option; one that could be read as an option itself is refused."""
    if not _WORD.fullmatch(text):
        raise PermanentError(f"{text[:60]!r} cannot be the {what} of a deployment; nothing was started.")
    return text


def _limit(text: str) -> str:
    return _word("host", text)


def _words(what: str, texts: Sequence[str]) -> str:
    return ",".join(_word(what, text) for text in texts)


def _extra(name: str, value: str) -> str:
    """NAME=VALUE, quoted as Ansible splits it; templates are refused, since Ansible would evaluate them."""
    if not _VARIABLE.fullmatch(name) or any(letter in value for letter in "{}\n\r\0'\"\\"):
        raise PermanentError(f"The variable {name[:60]!r} of the deployment has a value that cannot be passed safely.")
    return f"{name}={value}" if " " not in value and value else f"{name}='{value}'"
