"""Runs playbooks by ansible-runner: exactly the command that was shown, and what its events say happened."""

import contextlib
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kcibot.core.ports import Answer, Cancellation, Deployment, DeployResult, Report, ignore_report
from kcibot.errors import Aborted, ConfigError, OutcomeUnknown, PermanentError, TransientError
from kcibot.services.ansible.command import COMMANDS, command_line, commands_line, playbook_of, shown_variables
from kcibot.services.ansible.endings import CUT_OFF, answers_of, result_of
from kcibot.services.ansible.events import cut
from kcibot.services.ansible.record import SUPERVISOR, Ending, Order, Record, remove, remove_old

FOLLOW_SECONDS = 0.1
REPEAT_SECONDS = 5.0
"""How often the task that runs is told again."""
LOOK_SECONDS = 300.0
"""How long commands that only look may take."""
STOP_SECONDS = 10.0
"""How long a supervisor may take to end what it runs, before it is ended itself."""

_IDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,199}")

# The bot's own secrets are in its environment, and a playbook can read its environment.
_KEPT_VARIABLES = ("HOME", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "http_proxy", "https_proxy", "no_proxy")
_FIXED_VARIABLES = {
    "LC_ALL": "C.UTF-8",
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_NOCOWS": "1",
    "ANSIBLE_DEPRECATION_WARNINGS": "0",
}


class AnsibleDeployer:
    """Runs playbooks on this machine's Ansible, each under a supervisor that outlives a killed bot.

    `folder` holds a record of each run, by the deployment's name, for 30 days. `become_password` is asked for when a
    deployment says `ask_become_pass`. `variables` are added to Ansible's environment; whether host keys are checked is
    said there (`ANSIBLE_HOST_KEY_CHECKING`), and they are by default. A run that takes longer than `timeout_seconds`
    is killed.
    """

    def __init__(
        self,
        folder: Path,
        become_password: Callable[[], str] | None = None,
        variables: Mapping[str, str] | None = None,
        timeout_seconds: float = 1800.0,
    ) -> None:
        self._folder = folder.resolve()
        self._become_password = become_password
        self._variables = dict(variables or {})
        self._timeout_seconds = timeout_seconds

    def command(self, deployment: Deployment) -> tuple[str, ...]:
        return command_line(deployment)

    def variables(self) -> Mapping[str, str]:
        return shown_variables({**_meant(), **self._chosen()})

    def deploy(self, deployment: Deployment, report: Report, cancellation: Cancellation) -> DeployResult:
        record = self._record(deployment.ident or uuid.uuid4().hex)
        order = self._order(deployment, command_line(deployment), check=deployment.check)
        ending = self._run(record, deployment, order, report, cancellation)
        return result_of(ending, _output(record))

    def outcome(self, ident: str, report: Report, cancellation: Cancellation) -> DeployResult | None:
        record = self._record(ident)
        ending = _followed(record, report, cancellation)
        return None if ending is None else result_of(ending, _output(record))

    def ask(
        self,
        deployment: Deployment,
        commands: Sequence[tuple[str, ...]],
        cancellation: Cancellation,
        since: str = "",
    ) -> tuple[Answer, ...]:
        record = self._record(uuid.uuid4().hex)
        added = {COMMANDS: playbook_of(commands, looking=True)}
        order = self._order(deployment, commands_line(deployment), added=added, looking=True)
        try:
            ending = self._run(record, deployment, order, ignore_report, cancellation)
        except (OutcomeUnknown, Aborted) as error:
            raise TransientError("The look at the machines was broken off; nothing was changed.") from error
        finally:
            remove(record)
        return answers_of(ending, commands, self._begun_at(since))

    def act(
        self,
        deployment: Deployment,
        commands: Sequence[tuple[str, ...]],
        report: Report,
        cancellation: Cancellation,
    ) -> None:
        record = self._record(uuid.uuid4().hex)
        added = {COMMANDS: playbook_of(commands, looking=False)}
        order = self._order(deployment, commands_line(deployment), added=added)
        ending = self._run(record, deployment, order, report, cancellation)
        result_of(ending, _output(record))

    def _run(
        self, record: Record, deployment: Deployment, order: Order, report: Report, cancellation: Cancellation
    ) -> Ending:
        """How it ended, in this life or, for a name that was run before, in that one."""
        password = self._password(deployment)
        if not deployment.folder.is_dir():
            raise PermanentError("The folder with the playbooks is not there; nothing was started.")
        if cancellation.cancelled:
            raise Aborted("The deployment was stopped before it began; nothing was changed.")
        supervisor = self._started(record, deployment.folder, order, password)
        try:
            ending = _followed(record, report, cancellation)
        finally:
            if supervisor is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):  # its result counts, not its tidying up
                    supervisor.wait(STOP_SECONDS)
        if ending is None:
            raise PermanentError(f"The deployment could not be started; nothing was changed: {_last_words(record)}")
        return ending

    def _order(
        self,
        deployment: Deployment,
        command: tuple[str, ...],
        *,
        added: Mapping[str, str] | None = None,
        check: bool = False,
        looking: bool = False,
    ) -> Order:
        seconds = min(self._timeout_seconds, LOOK_SECONDS) if looking else self._timeout_seconds
        return Order(command, check, deployment.ask_become_pass, seconds, self._chosen(), added or {}, looking)

    def _chosen(self) -> dict[str, str]:
        return {"ANSIBLE_HOST_KEY_CHECKING": "True", **self._variables}

    def _begun_at(self, ident: str) -> float | None:
        return self._record(ident).begun_at() if ident else None

    def _record(self, ident: str) -> Record:
        if not _IDENT.fullmatch(ident):
            raise PermanentError(f"{ident[:60]!r} cannot be the name of a deployment; nothing was started.")
        return Record(self._folder / ident)

    def _password(self, deployment: Deployment) -> str:
        if not deployment.ask_become_pass:
            return ""
        if self._become_password is None:
            raise ConfigError("The deployment asks for a sudo password, and none is configured.")
        return self._become_password()

    def _started(self, record: Record, playbooks: Path, order: Order, password: str) -> "subprocess.Popen[str] | None":
        """The supervisor; None if there is or was one for this very run."""
        try:
            lock = record.take()
            if lock is None:
                return None
            try:
                if record.begun or record.ending() is not None:
                    return None
                remove_old(self._folder)
                record.prepare(order, playbooks)
                return self._supervisor(record, lock, password)
            finally:
                os.close(lock)  # the supervisor has it too
        except OSError as error:
            raise TransientError(f"The deployment could not be prepared; nothing was started: {error}") from error

    def _supervisor(self, record: Record, lock: int, password: str) -> "subprocess.Popen[str]":
        with record.log.open("w", encoding="utf-8") as log:
            supervisor = subprocess.Popen(  # noqa: S603 (our own program)
                (sys.executable, "-P", "-m", SUPERVISOR, str(record.folder), str(lock)),
                cwd=record.folder,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                encoding="utf-8",
                pass_fds=(lock,),
                start_new_session=True,
            )
        # whatever became of it, its record tells
        with contextlib.suppress(OSError), supervisor.stdin as pipe:  # type: ignore[union-attr]  # it was asked for
            pipe.write(password)
        return supervisor

    def _environment(self) -> dict[str, str]:
        """Of the bot's own environment only what is harmless; nothing that says whose child it is."""
        ours = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        return {**ours, **_FIXED_VARIABLES, **_meant(), "PATH": programs}


def _meant() -> dict[str, str]:
    """What somebody set for the bot's own process so that Ansible has it."""
    return {name: value for name, value in os.environ.items() if name.startswith("ANSIBLE_")}


def _output(record: Record) -> str:
    return str(record.output) if record.output.exists() else ""


def _followed(record: Record, report: Report, cancellation: Cancellation) -> Ending | None:
    """Tell what is told, and wait for the end; None if it certainly never began, and never will.

    Raises OutcomeUnknown if it began and was killed before it could say how it ended.
    """
    told, stop_at, newest, repeat_at = 0, None, "", 0.0
    while True:
        over = record.free()
        lines, told = record.told(told)
        if not lines and newest and time.monotonic() > repeat_at:
            lines = [newest]  # a card that has just been edited took no notice of it
        for line in lines:
            report(line)
            newest, repeat_at = line, time.monotonic() + REPEAT_SECONDS
        ending = record.ending()
        if ending is not None:
            return ending
        if over:
            break
        if cancellation.cancelled and stop_at is None:
            record.ask_to_stop()
            stop_at = time.monotonic() + STOP_SECONDS
        if stop_at is not None and time.monotonic() > stop_at:
            record.end_processes()
        time.sleep(FOLLOW_SECONDS)  # the record is a file, and may be another life's: nothing would wake us
    if not record.begun:
        return None
    record.end_processes()
    record.tidy()
    raise OutcomeUnknown(f"The deployment was killed in the middle; look at what is deployed. {CUT_OFF}")


def _last_words(record: Record) -> str:
    try:
        lines = record.log.read_text(encoding="utf-8").split("\n")
    except OSError:
        lines = []
    return cut(next((line for line in reversed(lines) if line.strip()), "its supervisor said nothing"))
