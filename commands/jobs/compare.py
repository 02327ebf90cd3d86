"""The job definitions in Git beside those on Jenkins: where they come from, and what would change."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from kcibot.sdk import Context, Done, PermanentError, Step, listed
from kcibot_commands.monitor.flags import MonitorSettings, standing_pause
from kcibot_commands.plan.steps import SHORT, ReleaseSettings, plan
from kcibot_commands.rules.job_definitions import content_of, differences, read_definition, with_disabled
from kcibot_commands.rules.job_secrets import left_alone, with_secrets_of
from kcibot_commands.rules.problem import RuleError, worded

SUFFIX = ".xml"


class Mode(StrEnum):
    """Git holds the definitions themselves, or what the seed job makes them from."""

    XML = "xml"
    SEED_JOB = "seed-job"


@dataclass(frozen=True)
class JobsSettings:
    """Where the definitions of the Jenkins jobs come from.

    `component` is the repository of the release that holds them. In the mode `xml` every file of `folder` is the
    definition of the job of that name; in the mode `seed-job`, `seed_job` makes all jobs from the production branch.
    It may also start by itself within `polls` after a push, and enables what the pause has disabled.
    """

    section: ClassVar[str] = "jobs"
    component: str = "jenkins"
    folder: str = "jobs"
    mode: Mode = Mode.XML
    seed_job: str = "job-dsl"
    polls: timedelta = timedelta(minutes=6)


@dataclass(frozen=True)
class Difference:
    """One job whose definition in Git says something else than the live one. `live` is empty for a new job."""

    job: str
    wanted: str
    live: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """The definitions of one commit beside the live ones. `live_only` are jobs that Git does not have.

    `secrets` are those of which Git has something else, which is not written.
    """

    commit: str
    changes: tuple[Difference, ...]
    live_only: tuple[str, ...]
    same: int
    secrets: tuple[str, ...] = ()


def compare(context: Context) -> Comparison:
    """Every definition in Git beside the live one, without the flags that the pause sets and without secrets."""
    commit = definitions_commit(context)
    wanted, live = in_git(context, commit), context.ports.ci.jobs()
    changes, secrets = [], []
    for job, text in wanted.items():
        before = context.ports.ci.definition(job) if job in live else ""
        change = _compared(context, job, text, before)
        changes += [change] if change.lines else []
        with about(job):
            secrets += [f"{job}: {name}" for name in left_alone(text, before)] if before else []
    live_only = tuple(sorted(set(live) - set(wanted)))
    return Comparison(commit, tuple(changes), live_only, len(wanted) - len(changes), tuple(secrets))


def _compared(context: Context, job: str, wanted: str, live: str) -> Difference:
    text = to_write(context, job, wanted, live)
    with about(job):
        lines = differences(live, text) if live else ("a new job", *content_of(text))
    return Difference(job, text, live, lines)


@contextmanager
def about(job: str) -> Iterator[None]:
    """A definition that cannot be read or edited is said with the name of the job."""
    try:
        yield
    except RuleError as error:
        raise PermanentError(f"{job}: {error}") from error


def to_write(context: Context, job: str, wanted: str, live: str) -> str:
    """The definition from Git with the live secrets, and with the live flag if that is one which the pause sets.

    A secret that a job has stays as it is, whatever Git says: what stands there is a placeholder, or has no business
    there. Nothing about secrets has to be shown, approved or kept then, not even as a digest.
    """
    if not live:
        return wanted
    with about(job):
        return with_flag_of_the_pause(context, job, with_secrets_of(wanted, live), live)


def with_flag_of_the_pause(context: Context, job: str, xml: str, live: str) -> str:
    """The text with the live flag, if that is one which the pause sets."""
    if not live or job not in flags_of_the_pause(context):
        return xml
    with about(job):
        return with_disabled(xml, disabled=read_definition(live).disabled)


def flags_of_the_pause(context: Context) -> frozenset[str]:
    """Jobs whose flag is the pause's business, paused or not: an approval must outlive the pause."""
    settings, pause = context.settings(MonitorSettings), standing_pause(context)
    named = (settings.job, settings.bisection_job, settings.run_job, *(pause.jobs if pause else ()))
    return frozenset(name for name in named if name)


def in_git(context: Context, commit: str) -> Mapping[str, str]:
    """Full name of the job -> its definition, in the order of the names."""
    settings = context.settings(JobsSettings)
    git = context.ports.git.remote(settings.component)
    paths = [path for path in git.paths(commit, settings.folder) if path.endswith(SUFFIX)]
    if not paths:
        raise PermanentError(f"{settings.component} has no definitions in {settings.folder} at {commit[:SHORT]}")
    start = len(settings.folder.strip("/")) + 1
    return {path[start:].removesuffix(SUFFIX): git.read(commit, path) for path in sorted(paths)}


def definitions_commit(context: Context) -> str:
    """What the plan froze; used alone, what the production branch has now."""
    settings = context.settings(JobsSettings)
    if context.has_result(plan):
        return context.result(plan).part(settings.component).release
    if context.has_result(freeze_commit):
        return context.result(freeze_commit)
    component = context.settings(ReleaseSettings).components.get(settings.component)
    if component is None:
        raise PermanentError(f"no repository {settings.component} is configured, which would hold job definitions")
    git = context.ports.git.remote(settings.component)
    git.fetch()
    branches = git.branches()
    if component.production not in branches:
        raise PermanentError(f"{settings.component} has no branch {component.production}")
    return branches[component.production]


def _freeze(context: Context) -> Done[str]:
    commit = definitions_commit(context)
    return Done(f"the definitions of {commit[:SHORT]}", commit)


freeze_commit = Step("definitions-commit", "Definitions read", _freeze, str)
"""What is shown is what is applied, whatever is pushed meanwhile."""


def overview(comparison: Comparison) -> tuple[str, ...]:
    """The comparison for people, a job and below it what would change."""
    lines: list[str] = []
    for change in comparison.changes:
        lines += [f"{change.job}:", *(f"  {line}" for line in change.lines)]
    if comparison.live_only:
        lines.append(f"only on Jenkins, left alone (!jobs remove deletes): {listed(comparison.live_only)}")
    if comparison.secrets:
        lines.append(f"secrets stay as they are on Jenkins, whatever Git says: {listed(comparison.secrets)}")
    if comparison.same:
        lines.append(f"{worded(comparison.same, 'job')} as in Git")
    return tuple(lines)
