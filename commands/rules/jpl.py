"""The header "Jenkins parameters" of a pipeline file (`*.jpl`): what the job must define in Jenkins.

KernelCI's pipelines say in a comment which parameters their job needs, with typical defaults in brackets; the job
itself is defined elsewhere, so a changed header is the sign that a job must change.
"""

import re
from dataclasses import dataclass

_HEADER = re.compile(r"\* Jenkins parameters[ \t]*\n(?P<body>.*?)\*/", re.DOTALL)
_PARAMETER = re.compile(r"(?P<name>[A-Z][A-Z0-9_]*)(?:[ \t]+\((?P<note>.*)\))?[ \t]*")
_BOOLEAN = ("boolean", "bool")
_TRUTH = ("true", "false")


@dataclass(frozen=True, slots=True)
class JplParameter:
    """One parameter. `kind` is `string` or `boolean`; `default` is the typical value, empty where none is named."""

    name: str
    kind: str
    default: str
    description: str


def jpl_parameters(text: str) -> tuple[JplParameter, ...]:
    """The parameters of the header in their order; none if the file has no such header."""
    match = _HEADER.search(text)
    found: list[JplParameter] = []
    for line in match["body"].split("\n") if match else ():
        named = _PARAMETER.fullmatch(line)
        if named:
            found.append(_parameter(named["name"], named["note"] or ""))
        elif found and line.startswith("  "):
            found[-1] = _described(found[-1], line.strip())
    return tuple(found)


def _parameter(name: str, note: str) -> JplParameter:
    """`(boolean)`, `(boolean, true)`, `(false)` or `(https://api.kernelci.org)`: kind, default, or both."""
    words = [word.strip() for word in note.split(",")] if note.lower().startswith(_BOOLEAN) else [note.strip()]
    boolean = words[0].lower() in (*_BOOLEAN, *_TRUTH)
    values = [word for word in words if word.lower() not in _BOOLEAN]
    return JplParameter(name, "boolean" if boolean else "string", values[0] if values else "", "")


def _described(parameter: JplParameter, line: str) -> JplParameter:
    text = f"{parameter.description} {line}".strip()
    return JplParameter(parameter.name, parameter.kind, parameter.default, text)


def jpl_differences(old: str, new: str) -> tuple[str, ...]:
    """What changed between two headers, a line each: added, removed, other kind or default. Words do not count."""
    before = {one.name: one for one in jpl_parameters(old)}
    after = {one.name: one for one in jpl_parameters(new)}
    lines = [f"parameter {name} removed" for name in before if name not in after]
    for name, one in after.items():
        was = before.get(name)
        if was is None:
            lines.append(f"parameter {name} added ({one.kind}{_default(one)})")
        elif (was.kind, was.default) != (one.kind, one.default):
            lines.append(f"parameter {name}: {was.kind}{_default(was)} becomes {one.kind}{_default(one)}")
    return tuple(lines)


def _default(parameter: JplParameter) -> str:
    return f", default {parameter.default}" if parameter.default else ""
