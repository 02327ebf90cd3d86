"""Turns the validator's errors into problems: its words are for programmers, ours name the line and the fix."""

import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from kcibot.config.fields import COMPLAINT
from kcibot.config.loader import Document
from kcibot.config.problems import Problem, Where
from kcibot.core.registry import nearest

_LIST = ("must be a list", 'Write it as ["a", "b"], or as one "- entry" a line')
_BLOCK = ("must be a block of keys", "Write its keys indented below it, each as `key: value`")

_BY_TYPE: Mapping[str, tuple[str, str]] = {
    "int_type": ("must be a whole number", "Write it in plain digits and without quotes, such as 5"),
    "int_from_float": ("must be a whole number", "Write it without a decimal point, such as 5"),
    "int_parsing": ("must be a whole number", "Write it in plain digits, such as 5"),
    "float_type": ("must be a number", "Write it without quotes, such as 0.5"),
    "finite_number": ("must be a number", "Write it without quotes, such as 0.5"),
    "bool_type": ("must be true or false", "Write true or false, without quotes"),
    "tuple_type": _LIST,
    "list_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _BLOCK,
    "mapping_type": _BLOCK,
    "model_type": _BLOCK,
    "model_attributes_type": _BLOCK,
    "too_short": ("has fewer entries than {min_length}", "Add what is missing"),
    "too_long": ("has more entries than {max_length}", "Remove what is too much"),
    "string_too_short": ("is shorter than {min_length}", "Write a longer text"),
    "string_too_long": ("is longer than {max_length}", "Write a shorter text"),
    "greater_than": ("must be more than {gt}", "Write a larger number"),
    "greater_than_equal": ("must be at least {ge}", "Write a larger number"),
    "less_than": ("must be less than {lt}", "Write a smaller number"),
    "less_than_equal": ("must be at most {le}", "Write a smaller number"),
    "enum": ("is none of {expected}", "Write one of them"),
    "literal_error": ("is none of {expected}", "Write one of them"),
}
_EXAMPLE_HELPS = frozenset(
    {"string_type", "too_short", *(key for key, said in _BY_TYPE.items() if said in {_LIST, _BLOCK})}
)


def explain(error: ValidationError, root: type[BaseModel], document: Document) -> list[Problem]:
    """A problem for each of the error's findings, without any value in it."""
    findings = error.errors(include_input=False, include_url=False)
    return [_problem(finding, root, document) for finding in findings if not _follows(finding, findings)]


def _follows(finding: Any, findings: Iterable[Any]) -> bool:
    """True of a list that is "too short" because its entries were refused."""
    place = finding["loc"]
    return finding["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in findings
    )


def _problem(finding: Any, root: type[BaseModel], document: Document) -> Problem:
    kind, place = finding["type"], tuple(finding["loc"])
    if kind == "missing":
        where = (*_existing(place[:-1], document), place[-1])
        field = _field(root, where)
        fix = f"Add it, such as {_written(where, field)}" if field and field.examples else "See config.example.yaml"
        return Problem(document.line(where), where, "is missing", fix)
    where = _existing(place, document)
    if kind == "extra_forbidden":
        return Problem(document.line(where), where, *_unknown(root, where))
    what, fix = _said(finding, document, where)
    field = _field(root, where)
    if kind in _EXAMPLE_HELPS and field and field.examples and not fix.startswith("Write it in quotes"):
        fix = f"Write, for example, {_written(where, field)}"
    return Problem(document.line(where), where, what, fix)


def _said(finding: Any, document: Document, where: Where) -> tuple[str, str]:
    kind, context = finding["type"], finding.get("ctx", {})
    if kind == COMPLAINT:
        return context["what"], context["fix"]
    if kind == "string_type":
        return _not_text(document.at(where))
    if kind in _BY_TYPE:
        what, fix = _BY_TYPE[kind]
        return what.format_map(context), fix
    if kind == "value_error":
        return str(context["error"]), "Change this value"
    return str(finding["msg"]).replace("Input should be", "must be"), "Change this value"


def _not_text(value: object) -> tuple[str, str]:
    match value:
        case bool():
            return "is taken for true or false, and must be a text", 'Write it in quotes, such as "no"'
        case float():
            return "is taken for a number, and must be a text", 'Write it in quotes, such as "2019.10"'
        case int():
            return "is taken for a number, and must be a text", 'Write it in quotes, such as "20190506"'
        case _:
            return "must be a text", "Write one text, in quotes"


def _existing(place: Iterable[Any], document: Document) -> Where:
    """The part of an error's place that is a path in the file: the validator adds names of types and of its steps."""
    where: Where = ()
    for part in place:
        try:
            document.at((*where, part))
        except KeyError:
            return where
        where = (*where, part)
    return where


def _written(where: Where, field: FieldInfo) -> str:
    """An example of that key, as it may be written."""
    return f"`{where[-1]}: {(field.examples or [''])[0]}`"


def _unknown(root: type[BaseModel], where: Where) -> tuple[str, str]:
    block, key = _block(root, where[:-1]), str(where[-1])
    refused: Mapping[str, str] = getattr(block, "refused", {})
    if key in refused:
        return refused[key], "Remove it"
    known = list(_fields(block)) if block else []
    near = nearest(key.lower().replace("-", "_"), known)
    return "is unknown here", f"Did you mean {near}?" if near else f"There is: {', '.join(known)}"


def _field(root: type[BaseModel], where: Where) -> FieldInfo | None:
    """The declaration of the key at that path, if it is one of a block."""
    block = _block(root, where[:-1]) if where else None
    return _fields(block).get(str(where[-1])) if block else None


def _block(root: type[BaseModel], where: Where) -> type[BaseModel] | None:
    """The block at that path, if it is one."""
    kind: Any = root
    for part in where:
        kind = _inner(kind, part)
    return _as_block(kind)


def _inner(kind: Any, part: str | int) -> Any:
    """The type of what is below `kind` under that key or index."""
    block = _as_block(kind)
    if block:
        field = _fields(block).get(str(part))
        return field.annotation if field else None
    arguments = get_args(_bare(kind))
    if not arguments:
        return None
    return arguments[-1] if isinstance(part, str) else arguments[0]


def _as_block(kind: Any) -> type[BaseModel] | None:
    kind = _bare(kind)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _bare(kind: Any) -> Any:
    """The type without its annotations and without `| None`."""
    while get_origin(kind) is Annotated or get_origin(kind) in {Union, types.UnionType}:
        kind = next((part for part in get_args(kind) if part is not type(None)), None)
    return kind


def _fields(block: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in block.model_fields.items()}
