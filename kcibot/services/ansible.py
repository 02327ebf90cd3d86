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

from kcibot.core.ports import Cancellation, Deployment, DeployResult, Report
from kcibot.errors import Aborted, ConfigError, OutcomeUnknown, PermanentError, TransientError
from kcibot.services.ansible_endings import CUT_OFF, result_of
from kcibot.services.ansible_events import cut
from kcibot.services.ansible_record import SUPERVISOR, Ending, Order, Record, remove_old

FOLLOW_SECONDS = 0.1
STOP_SECONDS = 10.0
"""How long a supervisor may take to end what it runs, before it is ended itself."""

_WORD = re.compile(r"[A-Za-z0-9_./@:+][A-Za-z0-9_./@:+,*!&-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
        password = self._password(deployment)
        record = self._record(deployment.ident or uuid.uuid4().hex)
        if not deployment.folder.is_dir():
            raise PermanentError("The folder with the playbooks is not there; nothing was started.")
        if cancellation.cancelled:
            raise Aborted("The deployment was stopped before it began; nothing was changed.")
        supervisor = self._started(record, deployment, command, password)
        try:
            ending = _followed(record, report, cancellation)
        finally:
            if supervisor is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):  # its result counts, not its tidying up
                    supervisor.wait(STOP_SECONDS)
        if ending is None:
            raise PermanentError(f"The deployment could not be started; nothing was changed: {_last_words(record)}")
        return result_of(ending)

    def outcome(self, ident: str, report: Report, cancellation: Cancellation) -> DeployResult | None:
        ending = _followed(self._record(ident), report, cancellation)
        return None if ending is None else result_of(ending)

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

    def _started(
        self, record: Record, deployment: Deployment, command: tuple[str, ...], password: str
    ) -> "subprocess.Popen[str] | None":
        """The supervisor; None if there is or was one for this very run."""
        try:
            lock = record.take()
            if lock is None:
                return None
            try:
                if record.begun or record.ending() is not None:
                    return None
                remove_old(self._folder)
                variables = {"ANSIBLE_HOST_KEY_CHECKING": "True", **self._variables}
                order = Order(command, deployment.check, deployment.ask_become_pass, self._timeout_seconds, variables)
                record.prepare(order, deployment.folder)
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
        meant = {name: value for name, value in os.environ.items() if name.startswith("ANSIBLE_")}
        programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        return {**ours, **_FIXED_VARIABLES, **meant, "PATH": programs}


def _followed(record: Record, report: Report, cancellation: Cancellation) -> Ending | None:
    """Tell what is told, and wait for the end; None if it certainly never began, and never will.

    Raises OutcomeUnknown if it began and was killed before it could say how it ended.
    """
    told, stop_at = 0, None
    while True:
        over = record.free()
        lines, told = record.told(told)
        for line in lines:
            report(line)
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
