"""KernelCI's job definitions and what they build, as far as the sandbox imitates them (the state of 2021)."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

MONITOR = "kernel-tree-monitor"
TRIGGER = "kernel-build-trigger"
KERNEL_BUILD = "kernel-build"
COMPLETE = "kernel-arch-complete"
TEST_RUNNER = "test-runner"
ROOTFS_TRIGGER = "rootfs-build-trigger"
ROOTFS_BUILDER = "rootfs-builder"
BISECTION = "lava-bisection"
JOB_DSL = "job-dsl"

MONITOR_TIMER = "H H/2 * * *"

ROOTFS_ARCHITECTURES: dict[str, tuple[str, ...]] = {
    "buster": ("amd64", "arm64", "armel", "armhf", "i386", "mips", "mips64el", "mipsel"),
    "buster-cros-ec": ("amd64", "arm64", "armhf"),
    "buster-igt": ("amd64", "arm64", "armhf", "i386"),
    "buster-kselftest": ("amd64", "arm64", "armhf"),
    "buster-ltp": ("amd64", "arm64", "armhf"),
    "buster-v4l2": ("amd64", "arm64", "armhf"),
    "sid": ("amd64",),
}
ROOTFS_FILES = (
    "initrd.cpio.gz",
    "rootfs.cpio.gz",
    "full.rootfs.tar.xz",
    "full.rootfs.cpio.gz",
    "rootfs.ext4.xz",
    "build_info.json",
)


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    default: str = ""
    is_bool: bool = False


KCI = (
    Parameter("KCI_API_URL", "https://api.kernelci.org"),
    Parameter("KCI_API_TOKEN_ID", "kernelci-api-token"),
    Parameter("KCI_STORAGE_URL", "https://storage.kernelci.org"),
    Parameter("KCI_CORE_URL", "https://github.com/kernelci/kernelci-core.git"),
    Parameter("KCI_CORE_BRANCH", "kernelci.org"),
    Parameter("DOCKER_BASE", "kernelci/"),
)
SWITCHES = (Parameter("PUBLISH", "true", is_bool=True), Parameter("EMAIL", "true", is_bool=True))


def _strings(names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name) for name in names.split())


PIPELINES: dict[str, tuple[str, tuple[Parameter, ...], str]] = {
    MONITOR: ("Looks for new commits", (*_strings("CONFIG_LIST"), *KCI), MONITOR_TIMER),
    TRIGGER: (
        "Builds one revision of one build config",
        (
            *_strings("BUILD_CONFIG COMMIT_ID LABS_WHITELIST"),
            *SWITCHES,
            Parameter("ALLOW_REBUILD", "false", is_bool=True),
            *KCI,
        ),
        "",
    ),
    KERNEL_BUILD: (
        "Builds one kernel",
        (
            *_strings("ARCH DEFCONFIG BUILD_CONFIG BUILD_ENVIRONMENT TREE_NAME BRANCH COMMIT_ID GIT_DESCRIBE"),
            *_strings("GIT_DESCRIBE_VERBOSE SRC_TARBALL LABS"),
            Parameter("PARALLEL_BUILDS", "4"),
            *SWITCHES,
            *KCI,
        ),
        "",
    ),
    COMPLETE: ("Ends a revision", (*_strings("TREE_NAME BRANCH GIT_DESCRIBE"), *SWITCHES, *KCI), ""),
    TEST_RUNNER: (
        "Submits test jobs to the labs",
        (
            *_strings("LABS TRIGGER_JOB_NAME TRIGGER_JOB_NUMBER BUILD_JOB_NAME BUILD_JOB_NUMBER"),
            *_strings("CALLBACK_ID CALLBACK_URL ARCH DEFCONFIG TREE_NAME BRANCH GIT_DESCRIBE BUILD_CONFIG"),
            *KCI,
        ),
        "",
    ),
    ROOTFS_TRIGGER: ("Builds root file systems", (*_strings("ROOTFS_CONFIG ROOTFS_ARCH PIPELINE_VERSION"), *KCI), ""),
    ROOTFS_BUILDER: (
        "Builds one root file system",
        (*_strings("ROOTFS_CONFIG ROOTFS_ARCH PIPELINE_VERSION"), *KCI),
        "",
    ),
    BISECTION: (
        "Searches the commit that broke a test",
        (
            *_strings("KERNEL_URL KERNEL_BRANCH KERNEL_TREE KERNEL_NAME GOOD_COMMIT BAD_COMMIT ARCH DEFCONFIG"),
            *_strings("TARGET LAB TEST_PLAN"),
            *KCI,
        ),
        "",
    ),
}


NODE_LABEL = Parameter("NODE_LABEL", "docker && build-slave")
"""What the next release of the definitions adds to kernel-build."""


def pipelines(*more: Parameter) -> dict[str, tuple[str, tuple[Parameter, ...], str]]:
    """Description, parameters and timer of every pipeline job; `more` are added to kernel-build's parameters."""
    about, parameters, timer = PIPELINES[KERNEL_BUILD]
    return {**PIPELINES, KERNEL_BUILD: (about, (*parameters, *more), timer)}


def definitions(*more: Parameter) -> dict[str, str]:
    """Every job's config.xml, by name; none says `disabled`, so applying them enables. `more` as in `pipelines`."""
    found = {name: pipeline_xml(*parts) for name, parts in pipelines(*more).items()}
    return {name: _indented(xml) for name, xml in {**found, JOB_DSL: SEED_JOB}.items()}


def _indented(xml: str) -> str:
    root = ET.fromstring(xml)  # noqa: S314 (our own text)
    ET.indent(root)
    return f"<?xml version='1.1' encoding='UTF-8'?>\n{ET.tostring(root, encoding='unicode')}\n"


def groovy(*more: Parameter) -> str:
    """The same in the words of the Job DSL plugin; `disabled` is never said, so each run enables the jobs again."""
    return "\n".join(_dsl(name, *parts) for name, parts in pipelines(*more).items())


def _dsl(name: str, about: str, parameters: Sequence[Parameter], timer: str) -> str:
    lines = [f"    {'boolean' if p.is_bool else 'string'}Param('{p.name}', '{p.default}')\n" for p in parameters]
    cron = f"  triggers {{\n    cron('{timer}')\n  }}\n" if timer else ""
    head = f"pipelineJob('{name}') {{\n  description('{about}')\n"
    return f"{head}  parameters {{\n{''.join(lines)}  }}\n{cron}}}\n"


SEED_JOB = (
    "<project><description>Generates all job definitions</description><properties/><disabled>false</disabled>"
    "<triggers><hudson.triggers.SCMTrigger><spec>H/5 * * * *</spec></hudson.triggers.SCMTrigger></triggers>"
    "<concurrentBuild>false</concurrentBuild><builders/></project>"
)


def pipeline_xml(description: str, parameters: Sequence[Parameter], timer: str = "") -> str:
    """A pipeline job's config.xml. Where its timer stands is not verified on a live server."""
    shown = "".join(map(_parameter_xml, parameters))
    trigger = (
        "<org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty><triggers>"
        f"<hudson.triggers.TimerTrigger><spec>{timer}</spec></hudson.triggers.TimerTrigger>"
        "</triggers></org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty>"
    )
    return (
        '<flow-definition plugin="workflow-job">'
        f"<description>{escape(description)}</description><keepDependencies>false</keepDependencies><properties>"
        "<org.jenkinsci.plugins.workflow.job.properties.DisableResumeJobProperty/>"
        f"<hudson.model.ParametersDefinitionProperty><parameterDefinitions>{shown}</parameterDefinitions>"
        f"</hudson.model.ParametersDefinitionProperty>{trigger if timer else ''}</properties>"
        '<definition class="org.jenkinsci.plugins.workflow.cps.CpsScmFlowDefinition" plugin="workflow-cps"/>'
        "<triggers/><disabled>false</disabled></flow-definition>"
    )


def _parameter_xml(one: Parameter) -> str:
    kind = f"hudson.model.{'Boolean' if one.is_bool else 'String'}ParameterDefinition"
    return f"<{kind}><name>{one.name}</name><defaultValue>{escape(one.default)}</defaultValue></{kind}>"
