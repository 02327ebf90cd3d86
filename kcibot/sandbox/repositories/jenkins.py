"""The sandbox's kernelci-jenkins: the definitions of production's jobs, and one parameter on its way."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.sax.saxutils import escape

from kcibot.sandbox.repositories.history import History

KCI = (
    "KCI_API_URL=https://api.kernelci.org",
    "KCI_API_TOKEN_ID=kernel-ci-api-token",
    "KCI_STORAGE_URL=https://storage.kernelci.org",
    "KCI_CORE_URL=https://github.com/kernelci/kernelci-core.git",
    "KCI_CORE_BRANCH=kernelci.org",
)
DOCKER = ("DOCKER_BASE=kernelci/",)
NODE_LABEL = "NODE_LABEL=docker && build-slave"


@dataclass(frozen=True, slots=True)
class Job:
    """A job: `parameters` are NAME=default, `flags` NAME=true|false; `pipeline` is its file in kernelci-core."""

    name: str
    about: str
    parameters: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    pipeline: str = ""
    timer: str = ""
    single: bool = False


JOBS = (
    Job(
        "kernel-tree-monitor",
        "Monitor all the kernel branches and trigger jobs to build them",
        ("CONFIG_LIST=", *KCI, *DOCKER),
        pipeline="jenkins/monitor.jpl",
        timer="H H/2 * * *",
        single=True,
    ),
    Job(
        "kernel-build-trigger",
        "Generate all the jobs to build the kernels for a given revision",
        ("BUILD_CONFIG=", *KCI, *DOCKER, "LABS_WHITELIST="),
        ("PUBLISH=true", "EMAIL=true", "ALLOW_REBUILD=false"),
        "jenkins/build-trigger.jpl",
    ),
    Job(
        "kernel-build",
        "Build a kernel and upload it",
        (
            *("ARCH=", "DEFCONFIG=", "SRC_TARBALL=", "BUILD_CONFIG=", "GIT_DESCRIBE=", "GIT_DESCRIBE_VERBOSE="),
            *("COMMIT_ID=", "BUILD_ENVIRONMENT=", "PARALLEL_BUILDS=4", *KCI, *DOCKER),
        ),
        ("PUBLISH=true", "EMAIL=true"),
        "jenkins/build.jpl",
    ),
    Job(
        "kernel-arch-complete",
        "Tell the backend that all the kernels of a revision are built",
        ("TREE_NAME=", "GIT_DESCRIBE=", "BRANCH=", "API=https://api.kernelci.org"),
        ("PUBLISH=true", "EMAIL=true"),
    ),
    Job(
        "test-runner",
        "Submit the tests of one kernel to the labs",
        (
            *("LABS=", "TRIGGER_JOB_NAME=kernel-build-trigger", "TRIGGER_JOB_NUMBER=", "BUILD_JOB_NAME=kernel-build"),
            *("BUILD_JOB_NUMBER=", "CALLBACK_ID=kernel-ci-callback", "CALLBACK_URL=https://api.kernelci.org", *KCI),
        ),
        pipeline="jenkins/test-runner.jpl",
    ),
    Job(
        "rootfs-build-trigger",
        "Build all the root file systems, or those that are named",
        ("ROOTFS_CONFIG=", "ROOTFS_ARCH=", *KCI, *DOCKER),
        pipeline="jenkins/rootfs-trigger.jpl",
    ),
    Job(
        "rootfs-builder",
        "Build one root file system for one architecture",
        ("ROOTFS_CONFIG=", "ROOTFS_ARCH=", "PIPELINE_VERSION=", *KCI, *DOCKER),
        pipeline="jenkins/rootfs-builder.jpl",
    ),
    Job(
        "lava-bisection",
        "Search for the commit that broke a test",
        (
            *("KERNEL_URL=", "KERNEL_BRANCH=", "KERNEL_TREE=", "KERNEL_NAME=", "GOOD_COMMIT=", "BAD_COMMIT=", "ARCH="),
            *("DEFCONFIG=", "TARGET=", "LAB=", "TEST_CASE=", *KCI, *DOCKER),
        ),
        pipeline="jenkins/bisect.jpl",
    ),
    Job("buildroot", "Build the buildroot images", (*KCI, *DOCKER), pipeline="jenkins/buildroot.jpl"),
    Job("job-dsl", "Generate all the job definitions from jobs.groovy", timer="H/5 * * * *", single=True),
)

SUBJECTS = (
    "jobs.groovy: keep less history of kernel-build",
    "jobs.groovy: set the default API token of test-runner",
    "jobs.groovy: describe rootfs-builder",
    "README.md: tell how to run the DSL job",
    "jobs.groovy: no builds of kernel-tree-monitor side by side",
    "jobs.groovy: describe lava-bisection",
)
RELEASED_WEEKS = (8, 5, 2)


def jenkins(now: datetime) -> History:
    """The last release was made two weeks before `now`; since then `kernel-build` got a parameter."""
    history = History()
    history.write("README.md", "# KernelCI Jenkins\n\nThe job definitions of production and staging.\n")
    _write_jobs(history, JOBS)
    first = history.commit("jobs.groovy: start from the jobs in production", now - timedelta(weeks=9))
    history.light_tag(f"{now - timedelta(weeks=9):%Y%m%d}.0", first)  # the prefix is missing
    released = first
    for number, weeks in enumerate(RELEASED_WEEKS):
        at = now - timedelta(weeks=weeks)
        for days, subject in enumerate(SUBJECTS[2 * number : 2 * number + 2]):
            history.append("README.md", f"- {subject.partition(': ')[2]}")
            released = history.commit(subject, at - timedelta(days=2 - days))
        history.tag(f"kernelci-{at:%Y%m%d}", released, at)
    history.branch("kernelci.org", released)
    _write_jobs(history, tuple(_with_node_label(job) for job in JOBS))
    history.commit("jobs.groovy: add NODE_LABEL to kernel-build", now - timedelta(days=2))
    return history


def definition(job: Job) -> str:
    """The job's config.xml, in the form in which Jenkins accepts it."""
    parameters = [_parameter("String", line) for line in job.parameters]
    parameters += [_parameter("Boolean", line) for line in job.flags]
    kind = "flow-definition" if job.pipeline else "project"
    return "".join(
        (
            f"<?xml version='1.1' encoding='UTF-8'?>\n<{kind}>\n  <description>{escape(job.about)}</description>\n",
            "  <keepDependencies>false</keepDependencies>\n  <properties>\n",
            _single(job),
            f"{_PARAMETERS_HEAD}{''.join(parameters)}{_PARAMETERS_TAIL}" if parameters else "",
            _pipeline_triggers(job) if job.pipeline else "",
            "  </properties>\n",
            _script(job) if job.pipeline else _freestyle(job),
            f"  <disabled>false</disabled>\n</{kind}>\n",
        )
    )


def _with_node_label(job: Job) -> Job:
    if job.name != "kernel-build":
        return job
    return Job(job.name, job.about, (*job.parameters, NODE_LABEL), job.flags, job.pipeline, job.timer, job.single)


def _write_jobs(history: History, jobs: tuple[Job, ...]) -> None:
    history.write("jobs.groovy", "\n".join(map(_dsl, jobs)))
    for job in jobs:
        history.write(f"jobs/{job.name}.xml", definition(job))


def _dsl(job: Job) -> str:
    """The job in the words of the Job DSL plugin; `disabled` is never said, so each run enables the job again."""
    lines = [f"    stringParam('{name}', '{value}')" for name, _, value in (p.partition("=") for p in job.parameters)]
    lines += [f"    booleanParam('{name}', {value})" for name, _, value in (p.partition("=") for p in job.flags)]
    parameters = "".join(f"  {line}\n" for line in lines)
    kind = "pipelineJob" if job.pipeline else "freeStyleJob"
    timer = f"  triggers {{\n    cron('{job.timer}')\n  }}\n" if job.timer else ""
    return f"{kind}('{job.name}') {{\n  description('{job.about}')\n  parameters {{\n{parameters}  }}\n{timer}}}\n"


_PARAMETERS_HEAD = "    <hudson.model.ParametersDefinitionProperty>\n      <parameterDefinitions>\n"
_PARAMETERS_TAIL = "      </parameterDefinitions>\n    </hudson.model.ParametersDefinitionProperty>\n"
_JOB = "org.jenkinsci.plugins.workflow.job.properties"


def _parameter(kind: str, line: str) -> str:
    name, _, default = line.partition("=")
    element = f"hudson.model.{kind}ParameterDefinition"
    trim = "          <trim>false</trim>\n" if kind == "String" else ""
    return (
        f"        <{element}>\n          <name>{name}</name>\n          <description></description>\n"
        f"          <defaultValue>{escape(default)}</defaultValue>\n{trim}        </{element}>\n"
    )


def _timer(job: Job, indent: str) -> str:
    timer = "hudson.triggers.TimerTrigger"
    return f"{indent}<{timer}>\n{indent}  <spec>{job.timer}</spec>\n{indent}</{timer}>\n" if job.timer else ""


def _pipeline_triggers(job: Job) -> str:
    if not job.timer:
        return ""
    name = f"{_JOB}.PipelineTriggersJobProperty"
    return f"    <{name}>\n      <triggers>\n{_timer(job, '        ')}      </triggers>\n    </{name}>\n"


def _single(job: Job) -> str:
    return f"    <{_JOB}.DisableConcurrentBuildsJobProperty/>\n" if job.single and job.pipeline else ""


def _script(job: Job) -> str:
    definition_class = "org.jenkinsci.plugins.workflow.cps.CpsScmFlowDefinition"
    return (
        f'  <definition class="{definition_class}">\n    <scm class="hudson.scm.NullSCM"/>\n'
        f"    <scriptPath>{job.pipeline}</scriptPath>\n    <lightweight>true</lightweight>\n  </definition>\n"
    )


def _freestyle(job: Job) -> str:
    triggers = f"  <triggers>\n{_timer(job, '    ')}  </triggers>\n" if job.timer else "  <triggers/>\n"
    return (
        f'  <scm class="hudson.scm.NullSCM"/>\n{triggers}  <concurrentBuild>{str(not job.single).lower()}'
        "</concurrentBuild>\n  <builders/>\n  <publishers/>\n  <buildWrappers/>\n"
    )
