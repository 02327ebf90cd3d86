"""What can be said about a configuration without any network: also the folders, the keys and the secrets it names."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

from pydantic import BaseModel

from kcibot.config.configuration import Config, load
from kcibot.config.problems import ConfigProblems, Problem, Where
from kcibot.config.secrets import SecretSource
from kcibot.core.redact import Redactor
from kcibot.errors import ConfigError

SSH_KEYS = frozenset({"ssh_key", "private_key"})
KEYS = SSH_KEYS | {"certificate"}
"""A certificate of ours is in one file with its key."""
FILES = frozenset({"ca_file", "known_hosts"})


def check(path: Path, sections: Mapping[str, type]) -> list[str]:
    """Load the file and look at everything it names on this machine; a line per problem, empty if all is well.

    Secrets are read (commands are run) and never shown. Nothing is created, and no server is asked.
    """
    try:
        config = load(path, sections)
    except ConfigProblems as found:
        return list(found.lines)
    redactor = Redactor()
    blocks = _blocks(config, sections)
    problems = [*_secrets(config, redactor, blocks), *_folders(config), *_files(config, blocks)]
    return [redactor.text(line) for line in ConfigProblems(path.name, problems).lines]


def _blocks(config: Config, sections: Mapping[str, type]) -> list[tuple[Where, object]]:
    """What may name secrets and files: the networks, the services, and the commands' sections."""
    own: list[tuple[Where, object]] = [(("chat",), config.chat), (("services",), config.services)]
    return [*own, *(((name,), config.section(kind)) for name, kind in sections.items())]


def _secrets(config: Config, redactor: Redactor, blocks: Iterable[tuple[Where, object]]) -> Iterator[Problem]:
    for start, block in blocks:
        for where, source in _values(block, start):
            try:
                if isinstance(source, SecretSource):
                    source.read(redactor)
            except ConfigError as error:
                yield config.problem(where, str(error), "")


def _values(value: object, where: Where) -> Iterator[tuple[Where, object]]:
    """Every value in that one that holds no others, at any depth, with its path."""
    inside = _inside(value)
    if inside is None:
        yield where, value
        return
    for key, inner in inside:
        yield from _values(inner, (*where, key))


def _inside(value: object) -> Iterable[tuple[str | int, object]] | None:
    match value:
        case SecretSource():
            return None
        case BaseModel():
            return [(name, getattr(value, name)) for name in type(value).model_fields]
        case Mapping():
            return [(str(key), inner) for key, inner in value.items()]
        case tuple():
            return enumerate(value)
        case _ if is_dataclass(value):
            return [(field.name, getattr(value, field.name)) for field in fields(value)]
        case _:
            return None


def _folders(config: Config) -> Iterator[Problem]:
    folders: dict[Where, Path] = {("bot", "state"): config.bot.state}
    if config.chat.console:
        folders["chat", "console", "folder"] = config.chat.console.folder
    for where, folder in folders.items():
        there = next(place for place in (folder, *folder.parents) if place.exists())
        if not there.is_dir():
            yield config.problem(where, f"{there} is no folder", "Name a folder that the bot may write to")
        elif not os.access(there, os.W_OK | os.X_OK):
            yield config.problem(where, f"{there} cannot be written to", "Give the folder to the bot's user")


def _files(config: Config, blocks: Iterable[tuple[Where, object]]) -> Iterator[Problem]:
    """The files are known by the names of their keys, since a playbook's key is a word of its command line."""
    for where, value in (found for start, block in blocks for found in _values(block, start)):
        if where[-1] not in KEYS | FILES or not value:
            continue
        path = Path(str(value))
        if not (path.is_file() and os.access(path, os.R_OK)):
            yield config.problem(where, f"{path} is no file that can be read", "Check the path and its owner")
        elif where[-1] in KEYS and stat.S_IMODE(path.stat().st_mode) & 0o077:
            refused = ", and ssh will refuse it" if where[-1] in SSH_KEYS else ""
            yield config.problem(where, f"{path} can be used by others{refused}", f"Run `chmod 600 {path}`")
