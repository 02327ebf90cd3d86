"""Freestyle jobs as config.xml."""

from collections.abc import Mapping
from xml.etree import ElementTree as ET

from tests.contract.jenkins.subject import Work

UNSTABLE = 3
COMMON_PARTS = ("properties", "scm", "triggers", "publishers", "buildWrappers")
"""What every project that Jenkins saved has."""


def project(*, versioned: bool = False, more: str = "", parameters: tuple[str, ...] = ()) -> str:
    """`versioned` has the parameters VERSION and SECS; the default of every one is 0."""
    return freestyle(dict.fromkeys(("VERSION", "SECS") if versioned else parameters, "0"), more)


def freestyle(parameters: Mapping[str, str], more: str = "") -> str:
    """With those parameters and their defaults."""
    kind = "hudson.model.StringParameterDefinition"
    shown = "".join(
        f"<{kind}><name>{name}</name><description/><defaultValue>{value}</defaultValue></{kind}>"
        for name, value in parameters.items()
    )
    group = "hudson.model.ParametersDefinitionProperty"
    inner = f"<{group}><parameterDefinitions>{shown}</parameterDefinitions></{group}>" if shown else ""
    return f"<project><description/><properties>{inner}</properties>{more}</project>"


def with_shell(xml: str, work: Work) -> str:
    """A project that does that work in a shell, wherever it has no label, also beside the built-in node."""
    root = ET.fromstring(xml)  # noqa: S314 (our own text)
    if root.tag != "project":
        return xml
    for part in COMMON_PARTS:
        if root.find(part) is None:
            ET.SubElement(root, part, {"class": "hudson.scm.NullSCM"} if part == "scm" else {})
    if root.find("assignedNode") is None:
        ET.SubElement(root, "canRoam").text = "true"
    shell = ET.SubElement(ET.SubElement(root, "builders"), "hudson.tasks.Shell")
    ET.SubElement(shell, "command").text = _script(work)
    ET.SubElement(shell, "unstableReturn").text = str(UNSTABLE)
    publishers = root.find("publishers")
    if work.artifact and publishers is not None:
        ET.SubElement(ET.SubElement(publishers, "hudson.tasks.ArtifactArchiver"), "artifacts").text = "out.txt"
    return ET.tostring(root, encoding="unicode")


def _script(work: Work) -> str:
    """The first line keeps every command of it out of the log."""
    lines = [
        "#!/bin/sh -e",
        'i=0; while [ "$i" -lt "${SECS:-0}" ]; do echo "tick $i"; sleep 1; i=$((i+1)); done',
        f"seq -f 'line %g' 0 {work.lines - 1}" if work.lines else "",
        f"echo {work.artifact} > out.txt" if work.artifact else "",
        f"sleep {work.seconds}",
        'if [ "${VERSION:-}" = bad ]; then exit 1; fi',
        f"exit {UNSTABLE if work.unstable else 0}",
    ]
    return "\n".join(line for line in lines if line)
