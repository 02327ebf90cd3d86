"""The example configuration holds every key there is, loads as it stands, and tells the truth about the defaults."""

import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel

from kcibot.app import registry
from kcibot.config import Config, SecretSource, load
from kcibot.config.fields import ProductionHours
from kcibot.config.gates import policies
from kcibot.config.loader import Document, parse
from kcibot.config.models import Root
from kcibot.core.hours import Hours
from kcibot.core.message import Place

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
ENTRY = object()
"""Any key of a block whose keys are names."""

Where = tuple[Any, ...]

WRITTEN_OTHERWISE = {
    "bot.state",
    "chat.irc.sasl.password",
    "services.git.ssh_key",
    "services.mail.user",
    "services.mail.password",
    "services.mail.archive_url",
    "monitor.cron",
    "monitor.storage_url",
    "jobs.mode",
}
"""Where production wants something else than the default; the file says so there."""

LEAVES = (Hours, Place, SecretSource)
"""What is written in a way of its own, and not as a block of its fields."""


def uncommented() -> str:
    """The file with what is left out by default: a # without a blank after it stands before a key."""
    return re.sub(r"^( *)#(?=[a-z])", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def sections() -> Mapping[str, type]:
    return registry().sections


@pytest.fixture(scope="module")
def document() -> Document:
    return parse(uncommented().encode())


@pytest.fixture(scope="module")
def example(sections: Mapping[str, type]) -> Config:
    return load(EXAMPLE, sections)


def bare(kind: Any) -> Any:
    """The type without its annotations and without `| None`."""
    while get_origin(kind) in {Annotated, Union, types.UnionType}:
        kind = next(part for part in get_args(kind) if part is not type(None))
    return kind


def declared(kind: Any) -> Iterator[tuple[Any, Any]]:
    """Key and type of everything that may stand in a block of that kind; nothing if it is none."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            yield field.alias or name, field.annotation
    elif is_dataclass(kind) and kind not in LEAVES:
        hints = get_type_hints(kind, include_extras=True)
        for one in fields(kind):
            yield one.name, hints[one.name]
    elif isinstance(get_origin(kind), type) and issubclass(get_origin(kind), Mapping):
        inner = bare(get_args(kind)[1])
        if list(declared(inner)):
            yield ENTRY, inner


def keys(kind: Any, where: Where = ()) -> Iterator[Where]:
    """The path of every key of every block."""
    for key, inner in declared(bare(kind)):
        yield (*where, key)
        yield from keys(inner, (*where, key))


def stands(value: Any, where: Where) -> bool:
    """Whether that key is there; a key of named entries, whether one of them has it."""
    if not where:
        return True
    if not isinstance(value, dict):
        return False
    inner = value.values() if where[0] is ENTRY else [value[key] for key in where[:1] if key in value]
    return any(stands(one, where[1:]) for one in inner)


def shown(where: Where) -> str:
    return ".".join("*" if key is ENTRY else str(key) for key in where)


def test_it_loads_as_it_stands(example: Config) -> None:
    assert example.services.git.repositories.keys() >= {"core", "backend", "frontend", "jenkins", "linux"}


def test_it_loads_with_everything_that_is_left_out(sections: Mapping[str, type], tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(uncommented())
    procedures = load(path, sections).procedures
    assert all(registry().procedure(name).reordered(steps) for name, steps in procedures.items())


def test_every_key_of_the_bots_own_blocks_is_there(document: Document) -> None:
    assert [shown(key) for key in keys(Root) if not stands(document.value, key)] == []


def test_every_key_of_the_commands_sections_is_there(document: Document, sections: Mapping[str, type]) -> None:
    wanted = [key for name, kind in sections.items() for key in [(name,), *keys(kind, (name,))]]
    assert [shown(key) for key in wanted if not stands(document.value, key)] == []


def test_the_gates_are_the_defaults(example: Config, document: Document) -> None:
    assert example.policies() == policies({}, example.hours)
    gates = document.value["gates"]
    assert isinstance(gates, dict)
    assert list(gates) == list(policies({}, example.hours))


def test_what_is_written_is_the_default(example: Config, sections: Mapping[str, type]) -> None:
    blocks = {"bot": example.bot, "chat": example.chat, "services": example.services}
    changed = {where for name, block in blocks.items() for where in off_default(block, (name,))}
    changed |= {
        (name, *where)
        for name, kind in sections.items()
        for where, value in flat(example.section(kind))
        if value != dict(flat(kind()))[where]
    }
    assert {shown(where) for where in changed} == WRITTEN_OTHERWISE
    assert example.hours == ProductionHours().hours()


def off_default(block: BaseModel, where: Where) -> Iterator[Where]:
    """The keys that have a default and another value."""
    for name, field in type(block).model_fields.items():
        value = getattr(block, name)
        if isinstance(value, BaseModel):
            yield from off_default(value, (*where, name))
        elif not field.is_required() and value != field.get_default(call_default_factory=True):
            yield (*where, name)


def flat(value: Any, where: Where = ()) -> Iterator[tuple[Where, Any]]:
    """Every field of a section's values, at any depth, with its path."""
    for one in fields(value):
        inner = getattr(value, one.name)
        if is_dataclass(inner) and not isinstance(inner, LEAVES):
            yield from flat(inner, (*where, one.name))
        else:
            yield (*where, one.name), inner


def test_the_file_keeps_to_its_own_words() -> None:
    lines = EXAMPLE.read_text().splitlines()
    assert [line for line in lines if len(line) > 120 or "\t" in line] == []
    plain = re.compile(r"^[^#]*: +\d+[smhd]\b|^[^#]*: +\d{1,2}:\d\d\b")
    assert [line for line in lines if plain.search(line)] == []
