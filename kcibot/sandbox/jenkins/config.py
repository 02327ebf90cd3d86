"""What the stand-in understands of a job's config.xml."""

import re
from dataclasses import dataclass
from enum import StrEnum
from xml.etree import ElementTree as ET

TIMER = "hudson.triggers.TimerTrigger"
PARAMETERS = "hudson.model.ParametersDefinitionProperty"
SINGLE_PIPELINE = "org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty"


class Kind(StrEnum):
    """The `_class` of an item."""

    FREESTYLE = "hudson.model.FreeStyleProject"
    PIPELINE = "org.jenkinsci.plugins.workflow.job.WorkflowJob"
    FOLDER = "com.cloudbees.hudson.plugins.folder.Folder"


ROOT_ELEMENTS = {"project": Kind.FREESTYLE, "flow-definition": Kind.PIPELINE, Kind.FOLDER.value: Kind.FOLDER}


class BadConfig(ValueError):
    """Jenkins answers such an XML with 500."""


@dataclass(frozen=True, slots=True)
class ParameterDefinition:
    """`kind` is String, Choice, Boolean, Password or Text."""

    kind: str
    name: str
    default: str
    description: str | None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobConfig:
    """The parts of a config.xml that matter here; `timer` is the cron line, empty without one."""

    kind: Kind
    description: str | None
    disabled: bool
    concurrent: bool
    quiet_seconds: float | None
    label: str
    timer: str
    parameters: tuple[ParameterDefinition, ...]
    downstream: tuple[str, ...]


def parse_config(xml: str) -> JobConfig:
    """Raises BadConfig for malformed XML and for items of a kind that is not installed."""
    root = _parse(xml)
    kind = ROOT_ELEMENTS.get(root.tag)
    if kind is None:
        raise BadConfig(f"no such item type: {root.tag}")
    quiet = root.findtext("quietPeriod")
    return JobConfig(
        kind=kind,
        description=root.findtext("description"),
        disabled=root.findtext("disabled") == "true",
        concurrent=_concurrent(root, kind),
        quiet_seconds=float(quiet) if quiet else None,
        label=root.findtext("assignedNode") or "",
        timer=next((timer.findtext("spec") or "" for timer in root.iter(TIMER)), ""),
        parameters=tuple(_parameter(element) for element in root.findall(f"properties/{PARAMETERS}/*/*")),
        downstream=_downstream(root),
    )


def with_disabled(xml: str, *, disabled: bool) -> str:
    """The same config with that flag, in the indented form in which Jenkins saves."""
    root = _parse(xml)
    flag = root.find("disabled")
    if flag is None:
        flag = ET.SubElement(root, "disabled")
    flag.text = "true" if disabled else "false"
    return _saved(root)


def without_timer(xml: str) -> str:
    """The same config without its timer trigger."""
    root = _parse(xml)
    for parent in list(root.iter()):
        for timer in parent.findall(TIMER):
            parent.remove(timer)
    return _saved(root)


def _parse(xml: str) -> ET.Element:
    """Expat knows XML 1.0 only, Jenkins writes 1.1: the declaration is taken off."""
    try:
        return ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", xml))  # noqa: S314 (a sandbox on loopback)
    except ET.ParseError as error:
        raise BadConfig(str(error)) from error


def _saved(root: ET.Element) -> str:
    ET.indent(root)
    return "<?xml version='1.1' encoding='UTF-8'?>\n" + ET.tostring(root, encoding="unicode")


def _concurrent(root: ET.Element, kind: Kind) -> bool:
    if kind is Kind.PIPELINE:
        return root.find(f"properties/{SINGLE_PIPELINE}") is None
    return root.findtext("concurrentBuild") == "true"


def _parameter(element: ET.Element) -> ParameterDefinition:
    kind = element.tag.removeprefix("hudson.model.").removesuffix("ParameterDefinition")
    choices = tuple(choice.text or "" for choice in element.iter("string"))
    return ParameterDefinition(
        kind=kind,
        name=element.findtext("name") or "",
        default=choices[0] if choices else element.findtext("defaultValue") or "",
        description=element.findtext("description"),
        choices=choices,
    )


def _downstream(root: ET.Element) -> tuple[str, ...]:
    names = root.findtext("publishers/hudson.tasks.BuildTrigger/childProjects") or ""
    return tuple(name.strip() for name in names.split(",") if name.strip())
