"""The pipe cleaner's settings, and the build config that it runs, as the code that will run it has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from kcibot.sdk import Context, GitRemote, PermanentError, listed
from kcibot_commands.plan.steps import ReleaseSettings, plan
from kcibot_commands.rules import build_configs
from kcibot_commands.rules.build_configs import BuildConfig
from kcibot_commands.rules.problem import Problem, worded
from kcibot_commands.rules.verdict_reasons import Thresholds
from kcibot_commands.rules.versions import SuffixStyle


class How(StrEnum):
    """What starts the builds: the monitor with one build config, or the trigger job itself."""

    MONITOR = "monitor"
    TRIGGER_JOB = "trigger-job"


class BaseRule(StrEnum):
    """Which release of the series is built on: the newest known to have passed in production, or just the newest."""

    PROVEN = "proven"
    NEWEST = "newest"


class NewCommit(StrEnum):
    """When the branch gets a commit of its own on the release: always, or only if it was built there before."""

    ALWAYS = "always"
    IF_BUILT = "if-built"


class Variants(StrEnum):
    """What is built: the variants of the build config, or those of one that builds every configuration."""

    CONFIGURED = "configured"
    FULL = "full"


AUTO = "auto"
"""The series is the newest of which a release passed."""


@dataclass(frozen=True)
class Proven:
    """When a release counts as known to build and pass in production.

    `tree`, `branch`: where production builds the stable releases; `{series}` stands for the series. `kernels`: the
    share of its kernels that must have passed. `labs`: how many labs must have sent results of it.
    """

    tree: str = "stable"
    branch: str = "linux-{series}.y"
    kernels: float = 0.9
    labs: int = 1


def default_repositories() -> Mapping[str, str]:
    return {"kernelci": "linux"}


@dataclass(frozen=True)
class PipecleanerSettings:
    """What the pipe cleaner builds, how it is started, and how its results are judged.

    `config`: the build config used unless another is asked for. `component`: the repository with the file
    `build_configs`. `repositories`: tree -> the configured git repository that may be pushed to. `series`: the stable
    series of the release that is built on, such as `5.10`; `auto` takes the newest of which a release passed. `base`:
    which release of it: `proven`, the newest known to have passed in production, or `newest`. `proven`: where and when
    it counts as that. `commit`: whether the branch gets a new commit on the release `always`, or `if-built`: only if
    the release was built there before. `variants`: `configured`, or `full` for the build config of the same tree and
    branch that builds every configuration. `suffix`: how the tag is numbered. `how`: `monitor` or `trigger-job`.
    `trigger_job`, `kernel_job`: the Jenkins jobs of a revision and of one kernel.
    `complete_job`, `test_job`: those that end a revision and that submit tests; empty is not followed. `retries`: how
    often a kernel that failed is built again before it counts. `timeout`: after so long the run is judged as it is.
    `silence`: all is built, and the results API has not answered for so long: it is judged as it is, too.
    `look`: the span between two looks. `tests_quiet`: the labs are taken to be done
    when no result came for so long after the builds; zero does not wait for them. `thresholds`: the numbers of the
    verdict. `previous`: the kernel of an earlier good run, to compare with while none was accepted by the bot yet.
    """

    section: ClassVar[str] = "pipecleaner"
    config: str = "kernelci"
    component: str = "core"
    build_configs: str = "config/core/build-configs.yaml"
    repositories: Mapping[str, str] = field(default_factory=default_repositories)
    series: str = "5.10"
    base: BaseRule = BaseRule.PROVEN
    proven: Proven = field(default_factory=Proven)
    commit: NewCommit = NewCommit.ALWAYS
    variants: Variants = Variants.CONFIGURED
    suffix: SuffixStyle = SuffixStyle.ALWAYS
    how: How = How.MONITOR
    trigger_job: str = "kernel-build-trigger"
    kernel_job: str = "kernel-build"
    complete_job: str = "kernel-arch-complete"
    test_job: str = "test-runner"
    retries: int = 1
    timeout: timedelta = timedelta(hours=12)
    silence: timedelta = timedelta(minutes=30)
    look: timedelta = timedelta(minutes=1)
    tests_quiet: timedelta = timedelta(minutes=30)
    thresholds: Thresholds = field(default_factory=Thresholds)
    previous: str = ""


@dataclass(frozen=True)
class PipecleanerArgs:
    """The build config that `!pipecleaner` was given."""

    config: str


def chosen_config(context: Context) -> str:
    """The configured build config inside a release; alone, the one that was asked for, or the full one in its place."""
    name = _asked(context)
    full = context.settings(PipecleanerSettings).variants is Variants.FULL
    return resolved(context, name).name if full else name


def _asked(context: Context) -> str:
    if context.has_result(plan):
        return context.settings(PipecleanerSettings).config
    return context.args(PipecleanerArgs).config


def resolved(context: Context, name: str) -> BuildConfig:
    """The build config as the code that will run it has it: the plan's commit, or the production branch.

    Of a reduced one the full one in its place, if so configured.
    """
    document = _document(context)
    found = build_configs.resolve(document, name)
    if isinstance(found, Problem):
        raise PermanentError(found.text)
    if found.reduced and context.settings(PipecleanerSettings).variants is Variants.FULL:
        return _full(document, found)
    return found


def _full(document: Mapping[str, object], config: BuildConfig) -> BuildConfig:
    """Only one of the same branch is taken unasked: another branch may hold somebody's work."""
    same = [one for one in build_configs.full_sets(document, config) if one.branch == config.branch]
    if not same:
        raise PermanentError(f"pipecleaner.variants is full, but {config.name} is reduced. {_offer(document, config)}")
    return same[0]


def reduced_warning(context: Context, config: BuildConfig) -> tuple[str, ...]:
    """What a reduced build config leaves out, and how all of it can be built; empty for every other."""
    if not config.reduced:
        return ()
    missing = f": it leaves out {listed(list(config.left_out))}" if config.left_out else ""
    warning = f"{config.name} builds the reduced set of stable branches{missing}"
    return (warning, _offer(_document(context), config))


def _offer(document: Mapping[str, object], config: BuildConfig) -> str:
    """The variants are in the file of the very code that is tested, so that another build config must be there."""
    full = build_configs.full_sets(document, config)
    here = [one.name for one in full if one.branch == config.branch]
    if here:
        return f"everything is built by {listed(here)}: !pipecleaner {here[0]}, or pipecleaner.variants: full"
    if full:
        there = listed([f"{one.name} (branch {one.branch})" for one in full])
        return f"everything is built by {there}: !pipecleaner {full[0].name}"
    return (
        f"to have everything built, add a build config of the tree {config.tree} and the branch {config.branch} to the "
        "file, one without variants, and set pipecleaner.variants: full"
    )


def _document(context: Context) -> Mapping[str, object]:
    settings = context.settings(PipecleanerSettings)
    git = context.ports.git.remote(settings.component)
    document = git.document(_core_commit(context, git), settings.build_configs)
    if not isinstance(document, dict):
        raise PermanentError(f"{settings.build_configs} is no list of build configs")
    return document


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
    name = context.settings(PipecleanerSettings).repositories.get(config.tree, "")
    known = context.ports.git.names()
    if name and name not in known:
        raise PermanentError(
            f"pipecleaner.repositories says that the tree {config.tree} is pushed to the repository {name}, which is "
            f"not under services.git.repositories; there are {listed(sorted(known))}"
        )
    return name


def described(config: BuildConfig) -> tuple[str, ...]:
    """`gcc-10 on 7 architectures` for each variant."""
    return tuple(f"{one.environment} on {worded(len(one.architectures), 'architecture')}" for one in config.variants)
