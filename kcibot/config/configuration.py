"""Loading a configuration: all of it or all of its problems."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from kcibot.config.chat import Chat
from kcibot.config.explain import explain
from kcibot.config.fields import FOLDER
from kcibot.config.gates import policies
from kcibot.config.loader import MAX_BYTES, Document, parse
from kcibot.config.models import Bot, Root
from kcibot.config.problems import ConfigProblems, Problem, Where
from kcibot.config.rules import conflicts
from kcibot.config.sections import attribute, with_sections
from kcibot.config.services import Services
from kcibot.core.access import People
from kcibot.core.gate import GatePolicy
from kcibot.core.hours import Hours
from kcibot.core.message import Place

S = TypeVar("S")


@dataclass(frozen=True)
class Config:
    """A configuration that is sound. `sections` maps each declared dataclass to its configured values."""

    path: Path
    sections: Mapping[type[object], object]
    _root: Root
    _document: Document

    @property
    def bot(self) -> Bot:
        return self._root.bot

    @property
    def chat(self) -> Chat:
        return self._root.chat

    @property
    def services(self) -> Services:
        return self._root.services

    @property
    def procedures(self) -> Mapping[str, tuple[str, ...]]:
        """Configured orders: procedure -> step ids. Whether the steps exist and can go in that order is not checked."""
        return self._root.procedures

    @property
    def hours(self) -> Hours:
        return self._root.production_hours.hours()

    def section(self, kind: type[S]) -> S:
        """The values of the section that was declared by that class, or its defaults."""
        found = self.sections.get(kind)
        return found if isinstance(found, kind) else kind()

    def people(self) -> People:
        return self._root.known()

    def policies(self) -> Mapping[str, GatePolicy]:
        """The policy of every gate that has a default or is configured."""
        return policies(self._root.gates, self.hours)

    def rooms(self) -> tuple[Place, ...]:
        """The rooms that see every step."""
        return self.chat.rooms

    def problem(self, where: Where, what: str, fix: str) -> Problem:
        """A problem at that key, for checks that are made after loading."""
        return Problem(self._document.line(where), where, what, fix)


def load(path: Path, sections: Mapping[str, type]) -> Config:
    """Read the file. `sections` maps a top-level key to the frozen dataclass whose fields may stand below it.

    Raises ConfigProblems holding everything that is wrong. Secrets are not read yet, nothing else is opened.
    """
    document = parse(_read(path))
    folder = path.absolute().parent
    if not document.marks:
        raise ConfigProblems(path.name, document.problems)
    model = with_sections(sections)
    problems = [*document.problems, *conflicts(document, folder)]
    try:
        root = model.model_validate_json(json.dumps(document.value), context={FOLDER: folder})
    except ValidationError as error:
        problems = _merged(problems, explain(error, model, document))
    if problems:
        raise ConfigProblems(path.name, problems)
    found = {kind: getattr(root, attribute(index)) for index, kind in enumerate(sections.values())}
    return Config(path, {kind: kind() if value is None else value for kind, value in found.items()}, root, document)


def commands_path(path: Path) -> Path | None:
    """The folder of commands of one's own that the file names; asked first, since commands declare sections."""
    value = parse(_read(path)).value.get("commands_path")
    return path.absolute().parent / Path(value).expanduser() if isinstance(value, str) and value else None


def _merged(said: list[Problem], found: list[Problem]) -> list[Problem]:
    """Each fault once: of two findings on one key the first, and nothing of what lies below a value that is wrong.

    Below a misplaced secret even a key may be part of it.
    """
    wrong = {problem.where for problem in found}
    kept = [p for p in said if not any(p.where[:length] in wrong for length in range(1, len(p.where)))]
    places = {(problem.line, problem.where) for problem in kept}
    return [*kept, *(p for p in found if (p.line, p.where) not in places)]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        fix = "Copy config.example.yaml there and change it"
        raise ConfigProblems(path.name, [Problem(0, (), "there is no such file", fix)]) from error
    except OSError as error:
        what = f"the file cannot be read: {error.strerror}"
        raise ConfigProblems(path.name, [Problem(0, (), what, "Check its owner and its mode")]) from error
