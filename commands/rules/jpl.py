"""The header "Jenkins parameters" of a pipeline file (`*.jpl`): what the job must define in Jenkins.

KernelCI's pipelines say in a comment which parameters their job needs, with typical defaults in brackets; the job
itself is defined elsewhere, so a changed header is the sign that a job must change.
"""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from kcibot_commands.rules.problem import Problem, Severity

_HEADER = re.compile(r"\* Jenkins parameters[ \t]*\n(?P<body>.*?)\*/", re.DOTALL)
_PARAMETER = re.compile(r"(?P<name>[A-Z][A-Z0-9_]*)(?:[ \t]+\((?P<note>.*)\))?[ \t]*")
_BOOLEAN = ("boolean", "bool")
_TRUTH = ("true", "false")
ALIKE = 0.75
"""From which share of common letters on two names are taken for one that was renamed."""
TWO_STEPS = "give jobs both until the update is over, then remove the old one"


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


def renamed_at_once(path: str, old: str, new: str) -> tuple[Problem, ...]:
    """A parameter of that pipeline that is gone, while one that looks like it has come in the same change.

    What still runs over an update passes the old one, so a rename takes two steps. `DOCKERBASE` once became
    `DOCKER_BASE` in one.
    """
    before, after = ({one.name: one for one in jpl_parameters(text)} for text in (old, new))
    gone = [one for name, one in before.items() if name not in after]
    come = [one for name, one in after.items() if name not in before]
    pairs = [(one.name, other.name) for one in gone for other in come if _alike(one, other)]
    return tuple(
        Problem("renamed", f"{path}: {was} becomes {now} at once: {TWO_STEPS}", Severity.WARN) for was, now in pairs
    )


def _alike(one: JplParameter, other: JplParameter) -> bool:
    names = (one.name.replace("_", ""), other.name.replace("_", ""))
    return one.kind == other.kind and SequenceMatcher(None, *names, autojunk=False).ratio() >= ALIKE


def _default(parameter: JplParameter) -> str:
    return f", default {parameter.default}" if parameter.default else ""
