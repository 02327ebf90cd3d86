"""The pipe cleaner's settings, and the build config that it runs, as the code that will run it has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from kcibot.sdk import Context, GitRemote, PermanentError, listed
from kcibot_commands.plan import ReleaseSettings, plan
from kcibot_commands.rules import build_configs
from kcibot_commands.rules.build_configs import BuildConfig
from kcibot_commands.rules.problem import Problem, worded
from kcibot_commands.rules.verdict_reasons import Thresholds
from kcibot_commands.rules.versions import SuffixStyle


class How(StrEnum):
    """What starts the builds: the monitor with one build config, or the trigger job itself."""

    MONITOR = "monitor"
    TRIGGER_JOB = "trigger-job"


def default_repositories() -> Mapping[str, str]:
    return {"kernelci": "linux"}


@dataclass(frozen=True)
class PipecleanerSettings:
    """What the pipe cleaner builds, how it is started, and how its results are judged.

    `config`: the build config used unless another is asked for. `component`: the repository with the file
    `build_configs`. `repositories`: tree -> the configured git repository that may be pushed to. `series`: the stable
    series whose newest release is the base, such as `5.10`. `suffix`: how the tag is numbered. `how`: `monitor` or
    `trigger-job`. `trigger_job`, `kernel_job`: the Jenkins jobs of a revision and of one kernel. `timeout`: after so
    long the run is judged as it is. `look`: the span between two looks. `tests_quiet`: the labs are taken to be done
    when no result came for so long after the builds; zero does not wait for them. `thresholds`: the numbers of the
    verdict. `previous`: the kernel of an earlier good run, to compare with while none was accepted by the bot yet.
    """

    section: ClassVar[str] = "pipecleaner"
    config: str = "kernelci"
    component: str = "core"
    build_configs: str = "config/core/build-configs.yaml"
    repositories: Mapping[str, str] = field(default_factory=default_repositories)
    series: str = "5.10"
    suffix: SuffixStyle = SuffixStyle.ALWAYS
    how: How = How.MONITOR
    trigger_job: str = "kernel-build-trigger"
    kernel_job: str = "kernel-build"
    timeout: timedelta = timedelta(hours=12)
    look: timedelta = timedelta(minutes=1)
    tests_quiet: timedelta = timedelta(minutes=30)
    thresholds: Thresholds = field(default_factory=Thresholds)
    previous: str = ""


@dataclass(frozen=True)
class PipecleanerArgs:
    """The build config that `!pipecleaner` was given."""

    config: str


def chosen_config(context: Context) -> str:
    """The configured build config inside a release; alone, the one that was asked for."""
    if context.has_result(plan):
        return context.settings(PipecleanerSettings).config
    return context.args(PipecleanerArgs).config


def resolved(context: Context, name: str) -> BuildConfig:
    """The build config as the code that will run it has it: the plan's commit, or the production branch."""
    settings = context.settings(PipecleanerSettings)
    git = context.ports.git.remote(settings.component)
    document = git.document(_core_commit(context, git), settings.build_configs)
    if not isinstance(document, dict):
        raise PermanentError(f"{settings.build_configs} is no list of build configs")
    found = build_configs.resolve(document, name)
    if isinstance(found, Problem):
        raise PermanentError(found.text)
    return found


def _core_commit(context: Context, git: GitRemote) -> str:
    component = context.settings(PipecleanerSettings).component
    if context.has_result(plan):
        return context.result(plan).part(component).release
    git.fetch()
    branch = context.settings(ReleaseSettings).components[component].production
    branches = git.branches()
    if branch not in branches:
        raise PermanentError(f"{component} has no branch {branch}; its branches are {listed(sorted(branches))}")
    return branches[branch]


def repository_of(context: Context, config: BuildConfig) -> str:
    """The git repository of the config's tree, empty if it is not ours to push to."""
    return context.settings(PipecleanerSettings).repositories.get(config.tree, "")


def described(config: BuildConfig) -> tuple[str, ...]:
    """`gcc-10 on 7 architectures` for each variant."""
    return tuple(f"{one.environment} on {worded(len(one.architectures), 'architecture')}" for one in config.variants)
