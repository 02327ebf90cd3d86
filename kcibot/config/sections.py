"""Sections that commands declare: frozen dataclasses, read as strictly as the bot's own blocks.

A standard dataclass is read through a model of the same fields; `timedelta`, `Path`, `Hours` and `Place` in it, at
any depth, are written as everywhere else in the file. Defaults are the dataclass's own.
"""

import operator
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import timedelta
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, Field, create_model

from kcibot.config.fields import Block, Duration, FilePath, ProductionHours, Room, complain
from kcibot.config.models import Root
from kcibot.core.hours import Hours
from kcibot.core.message import Place
from kcibot.errors import ConfigError, KcibotError

_WRITTEN_AS: Mapping[Any, Any] = {
    timedelta: Duration,
    Path: FilePath,
    Place: Room,
    Hours: Annotated[ProductionHours, AfterValidator(ProductionHours.hours)],
}


def with_sections(sections: Mapping[str, type]) -> type[Root]:
    """The model of the whole file: the bot's own blocks and those sections, which are attributes `section_N`."""
    taken = sorted(set(sections) & set(Root.model_fields))
    if taken:
        raise ConfigError(f"A command declares the section {taken[0]}, which is the bot's own.")
    blocks: dict[str, Any] = {}
    for index, (name, kind) in enumerate(sections.items()):
        required = any(_required(field) for field in fields(kind))
        default: Any = ... if required else None
        blocks[attribute(index)] = (_block(kind), Field(default=default, alias=name))
    return create_model("Configuration", __base__=Root, **blocks)


def attribute(index: int) -> str:
    """Where the model keeps the section that was declared at that index; a section's name may be any text."""
    return f"section_{index}"


def _block(kind: Any) -> Any:
    """What reads that dataclass."""
    hints = get_type_hints(kind, include_extras=True)
    names = {f"field_{index}": field for index, field in enumerate(fields(kind)) if field.init}
    blocks: dict[str, Any] = {
        attribute: (_readable(hints[field.name]), Field(default=... if _required(field) else None, alias=field.name))
        for attribute, field in names.items()
    }
    model = create_model(kind.__name__, __base__=Block, **blocks)

    def build(block: Block) -> object:
        given = {names[attribute].name: getattr(block, attribute) for attribute in block.model_fields_set}
        try:
            return kind(**given)
        except (KcibotError, ValueError) as error:
            raise complain(str(error).removesuffix("."), "Change the values of this block") from error

    return Annotated[model, AfterValidator(build)]


def _readable(kind: Any) -> Any:
    """The same type, with everything in it replaced that is written in a way of ours."""
    if kind in _WRITTEN_AS:
        return _WRITTEN_AS[kind]
    if is_dataclass(kind) and not hasattr(kind, "__get_pydantic_core_schema__"):
        return _block(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return Annotated[(_readable(arguments[0]), *arguments[1:])]
    if origin in {Union, types.UnionType}:
        return reduce(operator.or_, (_readable(argument) for argument in arguments))
    if isinstance(origin, type) and arguments:
        return origin[tuple(_readable(argument) for argument in arguments)]  # type: ignore[index]  # such as tuple[X, ...]
    return kind


def _required(field: Any) -> bool:
    return field.init and field.default is MISSING and field.default_factory is MISSING
