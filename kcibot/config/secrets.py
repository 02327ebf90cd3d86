"""Secrets are named in the configuration, never written there: they are read when they are needed."""

import os
import re
import signal
import stat
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from kcibot.config.fields import FOLDER, complain, resolve
from kcibot.core.redact import SHORTEST, Redactor
from kcibot.errors import ConfigError

COMMAND_SECONDS = 20.0
LARGEST = 65_536

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_ONE_OF = "Name exactly one source: {env: NAME}, {file: path} or {command: [program, argument]}"


class SourceKind(StrEnum):
    """Where a secret is kept."""

    ENV = "env"
    FILE = "file"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where one secret is. `words` is the variable, the absolute path, or the command's words.

    Command lines may hold what should not be there, so only the program is ever shown.
    """

    kind: SourceKind
    words: tuple[str, ...]
    folder: Path = Path()

    def __repr__(self) -> str:
        return f"SecretSource({self.name})"

    @property
    def name(self) -> str:
        """The source in words, for messages."""
        match self.kind:
            case SourceKind.ENV:
                return f"the environment variable {self.words[0]}"
            case SourceKind.FILE:
                return f"the file {self.words[0]}"
            case SourceKind.COMMAND:
                return f"the command {Path(self.words[0]).name}"

    def read(self, redactor: Redactor) -> str:
        """The secret now, without its final newline, made known to the redactor first.

        Raises ConfigError that names the source and says what to do, and never holds what was read.
        """
        match self.kind:
            case SourceKind.ENV:
                found = self._from_environment()
            case SourceKind.FILE:
                found = self._from_file()
            case SourceKind.COMMAND:
                found = self._from_command()
        secret = found.removesuffix("\n").removesuffix("\r")
        if not secret.strip():
            raise ConfigError(f"{_capital(self.name)} holds no secret: it is empty. Put the secret there.")
        if len(secret) < SHORTEST:
            raise ConfigError(
                f"{_capital(self.name)} holds less than {SHORTEST} characters, too few to be masked in texts."
                " Use a longer secret."
            )
        redactor.add(secret)
        return secret

    def reader(self, redactor: Redactor) -> Callable[[], str]:
        """What services ask each time they need it. Variables and files are read anew, a command runs only once."""
        if self.kind is not SourceKind.COMMAND:
            return lambda: self.read(redactor)
        lock, known = threading.Lock(), list[str]()

        def read_once() -> str:
            with lock:
                if not known:
                    known.append(self.read(redactor))
                return known[0]

        return read_once

    def _from_environment(self) -> str:
        found = os.environ.get(self.words[0])
        if found is None:
            raise ConfigError(f"{_capital(self.name)} is not set. Set it for the bot's process.")
        return found

    def _from_file(self) -> str:
        path = Path(self.words[0])
        try:
            with os.fdopen(_open_at_once(path), "rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise ConfigError(f"{_capital(self.name)} is no regular file. Name the file that holds the secret.")
                if found.st_mode & stat.S_IROTH:
                    raise ConfigError(f"{_capital(self.name)} can be read by everybody. Run `chmod 600 {path}`.")
                data = file.read(LARGEST + 1)
        except OSError as error:
            raise ConfigError(
                f"{_capital(self.name)} cannot be read: {error.strerror}. Check path and owner."
            ) from error
        if len(data) > LARGEST:
            raise ConfigError(f"{_capital(self.name)} is larger than {LARGEST} bytes. Is it the right one?")
        return self._decoded(data)

    def _from_command(self) -> str:
        """Its output. Its messages are not repeated: some programs print the secret there too."""
        by_hand = "Run it by hand to see why."
        try:
            process = subprocess.Popen(  # noqa: S603 (the words are the administrator's own, and no shell reads them)
                self.words,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ConfigError(f"{_capital(self.name)} cannot be started. Is it installed, and in PATH?") from error
        with process:
            try:
                data, _ = process.communicate(timeout=COMMAND_SECONDS)
            except subprocess.TimeoutExpired:
                _kill_group(process.pid)
                # From None: the error holds the whole command line.
                raise ConfigError(
                    f"{_capital(self.name)} did not end within {COMMAND_SECONDS:.0f} seconds. {by_hand}"
                ) from None
        if process.returncode:
            raise ConfigError(f"{_capital(self.name)} failed with exit status {process.returncode}. {by_hand}")
        return self._decoded(data)

    def _decoded(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            # From None: the error holds the bytes.
            raise ConfigError(f"{_capital(self.name)} holds no UTF-8 text. Is it the right one?") from None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(_source)


Secret = SecretSource
"""The type of a field that is a secret."""


def _source(value: object, info: ValidationInfo) -> SecretSource:
    if isinstance(value, SecretSource):
        return value
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        raise complain("a secret never stands in the configuration: use env, file or command", _ONE_OF)
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in set(SourceKind):
        raise complain("must name one source of the secret", _ONE_OF)
    [(key, inner)] = value.items()
    kind = SourceKind(key)
    return SecretSource(kind, _words(kind, inner, info), Path((info.context or {}).get(FOLDER, ".")))


def _words(kind: SourceKind, value: object, info: ValidationInfo) -> tuple[str, ...]:
    match kind:
        case SourceKind.ENV:
            if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
                raise complain("env is no name of a variable", "Write it in capitals, such as {env: KCIBOT_TOKEN}")
            return (value,)
        case SourceKind.FILE:
            if not isinstance(value, str) or not value.strip() or "\0" in value:
                raise complain("file is no path", "Write it as {file: /etc/kcibot/token}")
            return (str(resolve(value, info)),)
        case SourceKind.COMMAND:
            if not isinstance(value, list) or not value or not all(isinstance(word, str) and word for word in value):
                raise complain("command is no list of words", 'Write it as {command: ["pass", "show", "kcibot"]}')
            return tuple(value)


def _open_at_once(path: Path) -> int:
    """Opening a named pipe would wait for its other end."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended by itself meanwhile


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
