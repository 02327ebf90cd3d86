"""Comparing two definitions of a Jenkins job (`config.xml`) so that only what has a meaning shows.

KernelCI's procedure, step 5, goes through all jobs by hand. Jenkins rewrites the XML it is given (order, plugin
versions, empty elements), so texts are never compared: a definition is read into parameters, triggers, commands, the
disabled flag and its other settings, and those are.
"""

import difflib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from kcibot_commands.rules.job_secrets import FLAGS, PASSWORD, SECRET, secrets_in, with_controls_shown
from kcibot_commands.rules.problem import RuleError

_DOCTYPE = re.compile(r"<!(DOCTYPE|ENTITY)", re.IGNORECASE)
_TIMER = "hudson.triggers.TimerTrigger"
_PIPELINE = "flow-definition"
_PIPELINE_TRIGGERS = "org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty"
_CHOICE = "ChoiceParameterDefinition"
_HIDDEN = "(secret)"
# Read apart, or without a meaning for what the job does.
_APART = frozenset({"parameterDefinitions", "triggers", "disabled", "command", "script"})
_NO_MEANING = frozenset({"description", "keepDependencies", "actions"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """A build parameter; `kind` is Jenkins' class in short (`String`), a password's default is never shown."""

    name: str
    kind: str
    default: str
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        choices = f", choices {'/'.join(self.choices)}" if self.choices else ""
        return f"{self.kind}, default '{self.default}'{choices}"


@dataclass(frozen=True, slots=True)
class Definition:
    """What a job is. `triggers` are lines like `hudson.triggers.TimerTrigger spec=H * * * *`, `other` maps paths.

    `secrets` (name -> value) are for comparing only: they are in no text and no digest.
    """

    kind: str
    disabled: bool
    parameters: tuple[Parameter, ...]
    triggers: tuple[str, ...]
    commands: tuple[str, ...]
    other: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def canonical(self) -> str:
        """One text for one meaning: what a digest is made of."""
        parameters = [[one.name, one.kind, one.default, list(one.choices)] for one in self.parameters]
        content = {
            "kind": self.kind,
            "disabled": self.disabled,
            "parameters": sorted(parameters),
            "triggers": sorted(self.triggers),
            "commands": list(self.commands),
            "other": dict(self.other),
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_definition(xml: str) -> Definition:
    """Read a `config.xml`. RuleError if it is no XML."""
    root = _root(xml)
    return Definition(
        kind=root.tag,
        disabled=(root.findtext("disabled") or "").strip() == "true",
        parameters=tuple(_parameter(one) for group in root.iter("parameterDefinitions") for one in group),
        triggers=tuple(_trigger(one) for group in root.iter("triggers") for one in group),
        commands=tuple(_script(one.text) for one in root.iter() if one.tag in ("command", "script") and one.text),
        other=_other(root),
        secrets=_secrets(xml),
    )


def timer_specs(xml: str) -> tuple[str, ...]:
    """The cron lines of the job's timers, wherever they stand in the XML. A Jenkins restart may lose them."""
    return tuple((timer.findtext("spec") or "").strip() for timer in _root(xml).iter(_TIMER))


def _root(xml: str) -> ET.Element:
    if _DOCTYPE.search(xml):
        raise RuleError("a job definition with a document type is not read")
    try:
        # The text declares its own entities only by a document type, which was refused above.
        return ET.fromstring(with_controls_shown(xml).lstrip())  # noqa: S314
    except ET.ParseError as error:
        raise RuleError(f"the job definition is no XML: {error}") from error


def _secrets(xml: str) -> Mapping[str, str]:
    """Several at one place count as one list."""
    found: dict[str, list[str]] = {}
    for one in secrets_in(xml):
        found.setdefault(one.name, []).append(one.value)
    return {name: "\n".join(values) for name, values in found.items()}


def _parameter(element: ET.Element) -> Parameter:
    short = element.tag.rpartition(".")[2]
    kind = short.removesuffix("ParameterDefinition") or short
    default = (element.findtext("defaultValue") or "").strip()
    choices: tuple[str, ...] = ()
    if short == _CHOICE:
        choices = tuple((one.text or "").strip() for one in element.iter("string"))
        default = choices[0] if choices else ""
    return Parameter((element.findtext("name") or "").strip(), kind, _HIDDEN if short == PASSWORD else default, choices)


def _trigger(element: ET.Element) -> str:
    leaves = sorted(_leaves(element, ""))
    return " ".join([element.tag, *(f"{path}={value}" for path, value in leaves)])


def _script(text: str | None) -> str:
    lines = (text or "").replace("\r\n", "\n").strip("\n").split("\n")
    return "\n".join(line.rstrip() for line in lines)


def _other(root: ET.Element) -> Mapping[str, str]:
    found: dict[str, list[str]] = {}
    for path, value in _leaves(root, ""):
        found.setdefault(path, []).append(value)
    return {path: "; ".join(sorted(values)) for path, values in sorted(found.items())}


def _leaves(element: ET.Element, path: str) -> Iterable[tuple[str, str]]:
    """(path, value) of all settings below an element; false, empty and unset are the same to Jenkins."""
    for child in element:
        if child.tag in _APART or child.tag in _NO_MEANING:
            continue
        here = f"{path}/{child.tag}" if path else child.tag
        yield from _leaf(child, here)
        yield from _leaves(child, here)


def _leaf(element: ET.Element, path: str) -> Iterable[tuple[str, str]]:
    text = (element.text or "").strip()
    kind = element.get("class", "")
    if kind and kind != "hudson.scm.NullSCM":
        yield f"{path}@class", kind
    if text not in ("", "false") and not len(element):
        yield path, _HIDDEN if SECRET.search(element.tag) and text not in FLAGS else text
    elif "." in element.tag and not any(child.tag in _APART for child in element):
        # A class by its mere presence, such as "do not build concurrently".
        yield path, "set"


# ---- the comparison --------------------------------------------------------------------------------------------


def differences(live: str, wanted: str) -> tuple[str, ...]:
    """What applying `wanted` would change in `live`, a line each; empty if they mean the same."""
    return definition_differences(read_definition(live), read_definition(wanted))


def definition_differences(live: Definition, wanted: Definition) -> tuple[str, ...]:
    """The same, of definitions read before."""
    lines = [f"kind of job: {live.kind} becomes {wanted.kind}"] if live.kind != wanted.kind else []
    if live.disabled != wanted.disabled:
        lines.append("the job becomes disabled" if wanted.disabled else "the job becomes enabled")
    lines += _parameter_lines(live.parameters, wanted.parameters)
    lines += [f"trigger removed: {one}" for one in live.triggers if one not in wanted.triggers]
    lines += [f"trigger added: {one}" for one in wanted.triggers if one not in live.triggers]
    lines += _command_lines(live.commands, wanted.commands)
    return (*lines, *_other_lines(live.other, wanted.other), *_secret_lines(live.secrets, wanted.secrets))


def content_of(wanted: str) -> tuple[str, ...]:
    """What a new job brings, a line each."""
    read = read_definition(wanted)
    return definition_differences(Definition(read.kind, read.disabled, (), (), (), {}), read)


def _parameter_lines(live: tuple[Parameter, ...], wanted: tuple[Parameter, ...]) -> list[str]:
    before, after = {one.name: one for one in live}, {one.name: one for one in wanted}
    lines = [f"parameter {name} removed ({one})" for name, one in before.items() if name not in after]
    lines += [f"parameter {name} added ({one})" for name, one in after.items() if name not in before]
    both = [name for name in before if name in after and before[name] != after[name]]
    return lines + [f"parameter {name}: {before[name]} becomes {after[name]}" for name in both]


def _command_lines(live: tuple[str, ...], wanted: tuple[str, ...]) -> list[str]:
    if live == wanted:
        return []
    old, new = "\n\n".join(live).split("\n"), "\n\n".join(wanted).split("\n")
    hunks = list(difflib.unified_diff(old, new, n=0, lineterm=""))[2:]
    return ["commands changed:", *(f"  {line}" for line in hunks if not line.startswith("@@"))]


def _other_lines(live: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    lines = []
    for path in sorted({**live, **wanted}):
        before, after = live.get(path), wanted.get(path)
        if before != after:
            lines.append(f"{path}: {before or 'unset'} becomes {after or 'unset'}")
    return lines


def _secret_lines(live: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """A secret that comes or goes shows as a setting or with its parameter."""
    both = [name for name in live if name in wanted and live[name] != wanted[name]]
    changed = [name for name in both if (live[name] and wanted[name]) or name.startswith("parameter ")]
    return [f"{name}: a secret changes" for name in changed]


def with_disabled(xml: str, *, disabled: bool) -> str:
    """The same text with the job's own disabled flag, so that applying a definition does not start a paused job."""
    root = _root(xml)
    value = f"<disabled>{str(disabled).lower()}</disabled>"
    own = [child for child in root if child.tag == "disabled"]
    if not own:
        return _appended(xml, root, value)
    # Only the job itself has this element; a deeper one of that name would make the edit ambiguous.
    changed, count = re.subn(r"<disabled>\s*(?:true|false)\s*</disabled>|<disabled\s*/>", value, xml)
    if count != 1:
        raise RuleError(f"the definition has {count} disabled flags: set it by hand")
    return changed


def with_timer(xml: str, spec: str) -> str:
    """The same text with that cron line as the job's only timer, whatever became of its own.

    RuleError if it cannot be put in without changing anything else: then it is entered by hand.
    """
    root = _root(xml)
    timer = f"<{_TIMER}><spec>{escape(spec)}</spec></{_TIMER}>"
    if len(timer_specs(xml)) == 1:
        changed = _replaced(xml, rf"<{re.escape(_TIMER)}[^>]*>.*?</{re.escape(_TIMER)}>", timer)
    elif root.tag == _PIPELINE:
        changed = _with_pipeline_trigger(xml, root, timer)
    else:
        changed = _with_trigger(xml, root, timer)
    lines = differences(xml, changed)
    if timer_specs(changed) != (spec,) or any(not line.startswith("trigger ") for line in lines):
        raise RuleError("the timer cannot be put into this definition without changing more: enter it by hand")
    return changed


def _with_pipeline_trigger(xml: str, root: ET.Element, timer: str) -> str:
    """A pipeline keeps its triggers among its properties."""
    if root.find(f"properties/{_PIPELINE_TRIGGERS}") is not None:
        return _replaced(xml, r"<triggers\s*/>|<triggers>", f"<triggers>{timer}", closes="triggers")
    group = f"<{_PIPELINE_TRIGGERS}><triggers>{timer}</triggers></{_PIPELINE_TRIGGERS}>"
    if root.find("properties") is None:
        return _appended(xml, root, f"<properties>{group}</properties>")
    return _replaced(xml, r"<properties\s*/>|<properties>", f"<properties>{group}", closes="properties")


def _with_trigger(xml: str, root: ET.Element, timer: str) -> str:
    if root.find("triggers") is None:
        return _appended(xml, root, f"<triggers>{timer}</triggers>")
    return _replaced(xml, r"<triggers\s*/>|<triggers[^/>]*>", f"<triggers>{timer}", closes="triggers")


def _replaced(xml: str, pattern: str, text: str, closes: str = "") -> str:
    """The one place of that pattern replaced; an element that was empty (`<x/>`) is closed again."""

    def new(match: re.Match[str]) -> str:
        return f"{text}</{closes}>" if closes and match[0].endswith("/>") else text

    changed, count = re.subn(pattern, new, xml, flags=re.DOTALL)
    if count != 1:
        raise RuleError(f"the definition has {count} places for a timer: enter it by hand")
    return changed


def _appended(xml: str, root: ET.Element, text: str) -> str:
    return re.sub(rf"</{re.escape(root.tag)}>\s*$", lambda match: text + match[0], xml, count=1)
