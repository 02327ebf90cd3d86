"""Every verb and procedure there is: found by scanning packages, looked up by what people type."""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from types import ModuleType
from typing import TypeVar

from kcibot.core.command import Command
from kcibot.core.procedure import Procedure
from kcibot.core.watch import Watch
from kcibot.errors import ConfigError, UserError

V = TypeVar("V")

CLOSE = 0.6


class Registry:
    """Commands, procedures, watches and settings that modules declare at their top level."""

    def __init__(self) -> None:
        self.commands: dict[str, Command] = {}
        self.procedures: dict[str, Procedure] = {}
        self.watches: dict[str, Watch] = {}
        self.sections: dict[str, type[object]] = {}

    def scan(self, package: ModuleType) -> None:
        """Import every module of the package, at any depth, and take what it declares."""
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            self.add(importlib.import_module(found.name))

    def add(self, module: ModuleType) -> None:
        """Take the commands, procedures, watches and settings which that module itself declares."""
        for value in vars(module).values():
            match value:
                case Command():
                    _put(self.commands, value.name, value, "command")
                case Procedure():
                    _put(self.procedures, value.name, value, "procedure")
                case Watch():
                    _put(self.watches, value.name, value, "watch")
                case type() if is_dataclass(value) and isinstance(vars(value).get("section"), str):
                    _put(self.sections, str(vars(value)["section"]), value, "section")
                case _:
                    continue

    def find(self, words: tuple[str, ...]) -> tuple[Command, tuple[str, ...]]:
        """The longest command that the words start with, and the words left. Raises UserError naming the nearest."""
        for length in range(min(3, len(words)), 0, -1):
            found = self.commands.get(" ".join(words[:length]).lower())
            if found:
                return found, words[length:]
        raise UserError(self._unknown(words))

    def family(self, word: str) -> Iterator[Command]:
        """All commands whose name starts with that word."""
        return (c for name, c in sorted(self.commands.items()) if name.split()[0] == word)

    def procedure(self, name: str) -> Procedure:
        if name not in self.procedures:
            raise UserError(f"I know no procedure called {name}; was it renamed since the run started?")
        return self.procedures[name]

    def _unknown(self, words: tuple[str, ...]) -> str:
        typed = " ".join(words[:2]).lower()
        family = {command.name: command for command in self.family(words[0].lower())}
        near = nearest(typed, family or self.commands) or nearest(words[0].lower(), self.commands)
        hint = f" Did you mean {self.commands[near].usage}?" if near else ""
        if family:
            return f"“!{typed}” is no command.{hint} There is: {', '.join(f'!{name}' for name in family)}"
        return f"“!{words[0]}” is no command.{hint} !help lists them all."


def nearest(word: str, among: Iterable[str]) -> str:
    """The name that `word` was most likely meant to be; empty if none is close."""
    return next(iter(difflib.get_close_matches(word, list(among), n=1, cutoff=CLOSE)), "")


def _put(table: dict[str, V], name: str, value: V, what: str) -> None:
    if table.get(name, value) is not value:
        raise ConfigError(f"two modules declare the {what} {name}")
    table[name] = value
