"""The record of one playbook's run: a private folder that its supervisor writes and every life of the bot can read.

Whether the run is alive is said by a lock and not by a process id: whoever may still act holds it, from before its
process is started until its end, whatever kills it.
"""

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kcibot.services import process_tree

SUPERVISOR = "kcibot.services.ansible.supervisor"
PLAYER = "ansible-playbook"
OLD_SECONDS = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a supervisor is told. `variables` win over what ansible-runner sets.

    `added` are files to lie among the playbooks, by name. `looking` says that nothing is changed by any task.
    """

    command: tuple[str, ...]
    check: bool
    ask_become_pass: bool
    timeout_seconds: float
    variables: Mapping[str, str]
    added: Mapping[str, str] = field(default_factory=dict)
    looking: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, as its supervisor saw it.

    `status` is ansible-runner's, or `timeout`, `lost`, or, of what never began, `refused` or `not-begun`. `finished`
    says whether Ansible counted up its hosts; `effects` whether anything changed, as far as was told.
    """

    status: str
    rc: int | None = None
    check: bool = False
    finished: bool = False
    processed: int = 0
    ok: int = 0
    changed: int = 0
    effects: bool = False
    changes: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    unreachable: tuple[tuple[str, str], ...] = ()
    messages: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    answers: tuple[tuple[str, str, int, str, float], ...] = ()


class Record:
    """One run's folder. Nothing in here is removed before the lock is free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.private = folder / "runner"
        self.log = folder / "supervisor.log"
        self.output = folder / "output.txt"
        self._lock = folder / "running.lock"
        self._order = folder / "order.json"
        self._begun = folder / "begun"
        self._events = folder / "events.jsonl"
        self._result = folder / "result.json"
        self._stop = folder / "stop"

    # ---- whoever starts it -------------------------------------------------------------------------------------

    def take(self) -> int | None:
        """The lock, as an open file for the supervisor to inherit; None while somebody else has it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def prepare(self, order: Order, playbooks: Path) -> None:
        """Write down what is to run, with playbooks of its own: the bot's checkout does not outlive the bot."""
        for old in self.folder.iterdir():
            if old != self._lock:
                _remove(old)
        shutil.copytree(playbooks, self.project, symlinks=True)
        for name, text in order.added.items():
            (self.project / name).write_text(text, encoding="utf-8")
        _write(self._order, asdict(order))
        for folder in (self.folder, *list(self.folder.parents)[:2]):
            _sync(folder)

    # ---- the supervisor ----------------------------------------------------------------------------------------

    def order(self) -> Order:
        fields = json.loads(self._order.read_text())
        return Order(**{**fields, "command": tuple(fields["command"])})

    def begin(self) -> None:
        """From here on something may have happened. On the disk when this returns."""
        _write(self._begun, {"at": time.time()})

    def tell(self, line: str) -> None:
        """Append a line for people. It never raises: progress that cannot be told must not end the play."""
        with contextlib.suppress(OSError), self._events.open("a", encoding="utf-8") as events:
            events.write(json.dumps({"line": line}) + "\n")

    def keep_output(self, text: str) -> None:
        """All that Ansible said, for whoever looks into a failure; secrets are masked already."""
        descriptor = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as output:
            output.write(text)

    def end(self, ending: Ending) -> None:
        """All or nothing, and on the disk when this returns."""
        _write(self._result, asdict(ending))

    @property
    def stopping(self) -> bool:
        """Whether people want it to end."""
        return self._stop.exists()

    # ---- whoever wants to know ---------------------------------------------------------------------------------

    @property
    def begun(self) -> bool:
        return self._begun.exists()

    def begun_at(self) -> float | None:
        """When it began, in seconds since 1970; None if it never did, or its record is gone."""
        try:
            return float(json.loads(self._begun.read_text())["at"])
        except FileNotFoundError:
            return None

    def free(self) -> bool:
        """Whether nobody can act any more. Ask this first, and what was written after."""
        try:
            with self._lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except BlockingIOError:
            return False
        return True

    def ending(self) -> Ending | None:
        """None if it has not ended, or was killed before it could say how."""
        try:
            fields: dict[str, Any] = json.loads(self._result.read_text(), object_hook=_frozen_fields)
        except FileNotFoundError:
            return None
        return Ending(**fields)

    def told(self, offset: int) -> tuple[list[str], int]:
        """Every whole line from that offset in bytes on, and the offset behind the last."""
        try:
            with self._events.open("rb") as events:
                events.seek(offset)
                whole, newline, _rest = events.read().rpartition(b"\n")
        except FileNotFoundError:
            return [], offset
        return [str(json.loads(line)["line"]) for line in whole.splitlines()], offset + len(whole + newline)

    def ask_to_stop(self) -> None:
        self._stop.touch()

    def end_processes(self) -> None:
        """Kill the supervisor, and Ansible, which a killed supervisor would leave behind.

        Not everything that carries the run's environment: a service which the playbook started may carry it too.
        """
        for pid in process_tree.running(SUPERVISOR, f"\0{self.folder}\0"):
            process_tree.end_tree(pid)
        for pid in process_tree.running(PLAYER, f"={self.folder}/"):
            process_tree.end_tree(pid)

    def tidy(self) -> None:
        """Keep what tells how it ended, and nothing of what Ansible left, which may hold secrets."""
        for leftover in (self.project, self.private):
            _remove(leftover)


def remove(record: Record) -> None:
    """Forget a run that nobody will ask for."""
    _remove(record.folder)


def remove_old(root: Path) -> None:
    """Forget runs that nobody will ask for any more."""
    for folder in root.iterdir():
        if time.time() - folder.stat().st_mtime > OLD_SECONDS and Record(folder).free():
            _remove(folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, value: object) -> None:
    """Whole, or not at all, whatever happens to this process or this machine."""
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _frozen_fields(fields: Mapping[str, object]) -> Mapping[str, object]:
    return {name: _frozen(value) for name, value in fields.items()}


def _frozen(value: object) -> object:
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value
