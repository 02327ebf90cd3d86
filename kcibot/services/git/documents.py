"""Reads YAML files of KernelCI's repositories as plain values."""

from functools import cache
from typing import Any

from kcibot.errors import PermanentError

MAX_CHARACTERS = 2_000_000
"""KernelCI's largest is 50 kB; a few lines of aliases can describe gigabytes, so size is not left to the sender."""


def parse_document(text: str, where: str) -> object:
    """Mappings, lists, strings, numbers, booleans and None; dates stay text. PermanentError says where it is wrong."""
    import yaml  # noqa: PLC0415 (not needed to start)

    if len(text) > MAX_CHARACTERS:
        raise PermanentError(f"{where} is too large to be a configuration.")
    try:
        # Chosen below: the safe loader's own rules, less one.
        return yaml.load(text, Loader=_loader())  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark is not None else ""
        raise PermanentError(
            f"{where} is no valid YAML{place}: {getattr(error, 'problem', None) or 'unreadable'}."
        ) from error


@cache
def _loader() -> Any:
    """The C loader where there is one: ten times as fast. Dates are not made of text that looks like one."""
    import yaml  # noqa: PLC0415

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    resolvers = {
        letter: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
        for letter, known in base.yaml_implicit_resolvers.items()
    }
    return type("PlainLoader", (base,), {"yaml_implicit_resolvers": resolvers})
