"""The plan: what would go to production now, commit by commit, frozen so that everything after it means the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from kcibot_commands.rules import changes, versions
from kcibot_commands.rules.problem import Problem, stopping, worded
from kcibot_commands.rules.versions import SuffixStyle

from kcibot.sdk import (
    ChangedPath,
    Commit,
    Context,
    Done,
    GitRemote,
    Notice,
    PermanentError,
    Step,
    TagRef,
    digest,
    listed,
)

SHORT = 10


class TagStyle(StrEnum):
    """How a repository names its releases."""

    DATED = "dated"
    VERSION = "version"


@dataclass(frozen=True)
class Component:
    """A repository that is released: its branches and how it is tagged."""

    development: str = "main"
    production: str = "kernelci.org"
    tags: TagStyle = TagStyle.DATED
    suffix: SuffixStyle = SuffixStyle.WHEN_NEEDED
    version_file: str = ""


def default_components() -> Mapping[str, Component]:
    """The repositories of KernelCI."""
    return {
        "core": Component(),
        "backend": Component(tags=TagStyle.VERSION, suffix=SuffixStyle.ALWAYS, version_file="app/handlers/__init__.py"),
        "frontend": Component(tags=TagStyle.VERSION, version_file="app/dashboard/__init__.py"),
        "jenkins": Component(),
    }


@dataclass(frozen=True)
class ReleaseSettings:
    """Which repositories make up a release."""

    section: ClassVar[str] = "release"
    components: Mapping[str, Component] = field(default_factory=default_components)
    message_domain: str = "kernelci.org"


@dataclass(frozen=True)
class Planned:
    """One commit that goes to production."""

    sha: str
    author: str
    subject: str


@dataclass(frozen=True)
class Part:
    """What the plan holds for one component. `release` is the commit to be tagged and pushed.

    It is the development branch's commit, or a version bump on top of it. `tag` is empty if nothing changed.
    """

    component: str
    production: str
    development: str
    release: str
    tag: str = ""
    previous: str = ""
    version: str = ""
    bump: str = ""
    tagged: str = ""
    commits: tuple[Planned, ...] = ()
    lost: tuple[str, ...] = ()
    causes: Mapping[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return self.release != self.production


@dataclass(frozen=True)
class Plan:
    """A release, frozen: repository -> commit, with its tags and everything that follows from them."""

    name: str
    revision: int
    frozen_at: datetime
    message_id: str
    parts: Mapping[str, Part]
    warnings: tuple[str, ...] = ()

    def part(self, component: str) -> Part:
        """Raises PermanentError for a component that is not configured."""
        if component not in self.parts:
            raise PermanentError(f"{component} is not among the configured components {listed(list(self.parts))}")
        return self.parts[component]


def freeze(context: Context) -> Done[Plan]:
    """Read every repository and freeze what a release would be made of. Nothing is written anywhere but here."""
    settings = context.settings(ReleaseSettings)
    frozen_at = datetime.fromisoformat(context.keep("frozen at", lambda: context.clock.now().isoformat()))
    parts: dict[str, Part] = {}
    problems: list[Problem] = []
    for name, component in settings.components.items():
        context.report(f"reading {name}")
        part, found = _part(context.ports.git.remote(name), name, component, frozen_at)
        parts[name] = part
        problems += found
    if stopping(problems):
        raise PermanentError(" ".join(str(problem) for problem in stopping(problems)))
    plan = _plan(settings, parts, frozen_at, context.run.revision, tuple(str(problem) for problem in problems))
    context.say("plan", overview(plan))
    return Done(summary(plan), plan)


def summary(plan: Plan) -> str:
    """The plan in a line."""
    changed = [f"{p.component} {worded(len(p.commits), 'commit')}" for p in plan.parts.values() if p.changed]
    return f"{plan.name}: {listed(changed)}" if changed else "nothing has changed since the last release"


def overview(plan: Plan) -> Notice:
    """The plan for people: per component the commits, and what each kind of change calls for."""
    lines: list[str] = []
    for part in plan.parts.values():
        lines += _part_lines(part)
    lines += [f"Warning: {warning}" for warning in plan.warnings]
    return Notice(f"{plan.name}: what would go to production", lines=tuple(lines), brief=summary(plan))


def _plan(
    settings: ReleaseSettings, parts: Mapping[str, Part], frozen_at: datetime, revision: int, warnings: tuple[str, ...]
) -> Plan:
    named = [part.tag for part in parts.values() if part.tag.startswith("kernelci-")]
    name = named[0] if named else f"kernelci-{frozen_at:%Y%m%d}"
    frozen = digest({part.component: [part.release, part.tag] for part in parts.values()})[:16]
    message_id = f"<{name}.{revision}.{frozen}@{settings.message_domain}>"
    return Plan(name, revision, frozen_at, message_id, parts, warnings)


def _part(git: GitRemote, name: str, component: Component, at: datetime) -> tuple[Part, tuple[Problem, ...]]:
    git.fetch()
    branches, tags = git.branches(), git.tags()
    development = _head(branches, component.development, name)
    production = _head(branches, component.production, name)
    part = Part(name, production, development, development, previous=_previous(component, tags, production, at))
    commits = git.log(production, development)
    part = replace(
        part,
        commits=tuple(Planned(c.sha, c.author, c.subject) for c in commits),
        lost=tuple(_lost(lost.commit, lost.twin) for lost in git.lost(production, development)),
        causes=_causes(git, name, production, development),
    )
    if not commits:
        return replace(part, release=production), ()
    part = _named(git, component, part, tags, at)
    return part, _leaks(git, part)


def _named(git: GitRemote, component: Component, part: Part, tags: tuple[TagRef, ...], at: datetime) -> Part:
    """Give the release its tag, and a version bump if its version was released before."""
    names = [tag.name for tag in tags]
    if component.tags is TagStyle.DATED:
        tagged = [t.name for t in tags if t.target == part.development and versions.CoreTag.parse(t.name)]
        name = tagged[-1] if tagged else versions.next_core_tag(names, at.date(), component.suffix)
        return replace(part, tag=name, tagged=tagged[-1] if tagged else "")
    text = git.read(part.development, component.version_file)
    current = versions.read_version(text)
    tagged = [t.name for t in tags if t.target == part.development and t.name == current]
    if current not in names or tagged:
        return replace(part, tag=current, version=current, tagged=current if tagged else "")
    new = versions.next_version(names, at.date(), component.suffix)
    bumped = versions.bump_version(text, new)
    release = git.commit(part.development, {component.version_file: bumped}, versions.bump_subject(new), at)
    return replace(part, release=release, tag=new, version=new, bump=f"{current} -> {new}")


def _head(branches: Mapping[str, str], branch: str, name: str) -> str:
    if branch not in branches:
        raise PermanentError(f"{name} has no branch {branch}; its branches are {listed(sorted(branches))}")
    return branches[branch]


def _previous(component: Component, tags: tuple[TagRef, ...], production: str, at: datetime) -> str:
    """The release that is in production: its tag is on that very commit; a newer name may be a slip of the past."""
    names = [tag.name for tag in tags if tag.target == production] or [tag.name for tag in tags]
    if component.tags is TagStyle.DATED:
        latest = versions.latest_core_tag(names, at.date())
        return latest.name if latest else ""
    newest = versions.latest_version(names, at.date())
    return newest.text if newest else ""


def _causes(git: GitRemote, name: str, old: str, new: str) -> Mapping[str, str]:
    """Kind of update -> why, from the paths that changed."""

    def texts(path: str) -> tuple[str, str]:
        return _text(git, old, path), _text(git, new, path)

    paths = [changed.path for changed in git.changed_paths(old, new)]
    grouped = changes.by_kind(changes.causes(changes.Component(name), paths, texts))
    return {str(kind): changes.explained(kind, grouped) for kind in grouped}


def _text(git: GitRemote, commit: str, path: str) -> str:
    return git.read(commit, path) if path in git.paths(commit, path) else ""


def _leaks(git: GitRemote, part: Part) -> tuple[Problem, ...]:
    changed: tuple[ChangedPath, ...] = git.changed_paths(part.production, part.release)
    paths = [change.path for change in changed if change.status != "D" and changes.may_leak(change.path)]
    return changes.staging_leaks({path: git.read(part.release, path) for path in paths})


def _lost(commit: Commit, twin: str | None) -> str:
    where = f" (the same change is {twin[:SHORT]} on the development branch)" if twin else ""
    return f"{commit.sha[:SHORT]} {commit.subject}{where}"


def _part_lines(part: Part) -> list[str]:
    if not part.changed:
        return [f"{part.component}: unchanged since {part.previous or 'its first commit'}"]
    bump = f", version {part.bump}" if part.bump else ""
    head = f"{part.component}: {worded(len(part.commits), 'commit')} since {part.previous}, to be {part.tag}{bump}"
    lost = [f"  only on the production branch, would be lost: {line}" for line in part.lost]
    return [
        head,
        *(f"  {commit.sha[:SHORT]} {commit.subject}" for commit in part.commits),
        *(f"  {kind}: {why}" for kind, why in part.causes.items()),
        *lost,
    ]


plan = Step("plan", "Plan frozen", freeze, Plan)
