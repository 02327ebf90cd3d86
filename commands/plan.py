"""The plan: what would go to production now, commit by commit, frozen so that everything after it means the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from kcibot.sdk import (
    ChangedPath,
    Commit,
    Context,
    Done,
    GitRemote,
    NotFound,
    Notice,
    PermanentError,
    Step,
    TagRef,
    digest,
    listed,
)
from kcibot_commands.rules import changes, js_names, versions
from kcibot_commands.rules.problem import Problem, RuleError, stopping, worded
from kcibot_commands.rules.versions import SuffixStyle, TagFacts

SHORT = 10
MOVED = "moved"
"""Component -> where its production branch was before a release moved it that has not come to its end yet."""
TAGGING = "create-tags"
"""The step whose presence tells a release from a verb that only shows something."""


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

    def component(self, name: str) -> Component:
        """Raises PermanentError for one that is not configured."""
        if name not in self.components:
            raise PermanentError(f"{name} is not among the configured components {listed(list(self.components))}")
        return self.components[name]


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
    `version` is what the release's file says, empty for components without one. `base` is where production was before
    this release, or one that was begun and not ended, moved the branch: `causes` count from there, so that what an
    unfinished release left undone is done by the next.
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
    base: str = ""

    @property
    def changed(self) -> bool:
        return self.release != self.production


@dataclass(frozen=True)
class Plan:
    """A release, frozen: repository -> commit, with its tags and everything that follows from them.

    `audit_head` is the hash of the audit log then; the announcement publishes it.
    """

    name: str
    revision: int
    frozen_at: datetime
    message_id: str
    parts: Mapping[str, Part]
    warnings: tuple[str, ...] = ()
    audit_head: str = ""

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
    moved = context.recall(MOVED)
    for name, component in settings.components.items():
        context.report(f"reading {name}")
        look = _Look(context.ports.git.remote(name), name, component, frozen_at, str(moved.get(name, "")))
        part, found = _part(look)
        parts[name] = part
        problems += found
    if stopping(problems):
        raise PermanentError("; ".join(str(problem) for problem in stopping(problems)))
    plan = _plan(context, parts, frozen_at, tuple(str(problem) for problem in problems))
    if any(step.id == TAGGING for step in context.run.steps):
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


def _plan(context: Context, parts: Mapping[str, Part], frozen_at: datetime, warnings: tuple[str, ...]) -> Plan:
    """Named after its first dated tag; one without any is named as if it were tagged."""
    settings, run = context.settings(ReleaseSettings), context.run
    named = [part.tag for part in parts.values() if versions.CoreTag.parse(part.tag)]
    taken = [part.previous for part in parts.values()]
    name = named[0] if named else versions.next_core_tag(taken, frozen_at.date())
    frozen = digest({part.component: [part.release, part.tag] for part in parts.values()})[:16]
    message_id = f"<{name}.{run.id}.{run.revision}.{frozen}@{settings.message_domain}>"
    head = context.keep("audit head", context.audit_head)
    return Plan(name, run.revision, frozen_at, message_id, parts, warnings, head)


@dataclass(frozen=True)
class _Look:
    """What is needed to plan one component. `base` is empty unless an unfinished release moved its branch."""

    git: GitRemote
    name: str
    component: Component
    at: datetime
    base: str

    def text(self, commit: str, path: str) -> str:
        """A file's text, empty if the commit has no such file."""
        try:
            return self.git.read(commit, path)
        except NotFound:
            return ""


def _part(look: _Look) -> tuple[Part, tuple[Problem, ...]]:
    git, component = look.git, look.component
    branches, tags = git.branches(), git.tags()
    development = _head(branches, component.development, look.name)
    production = _head(branches, component.production, look.name)
    git.fetch()  # after the branches were asked for, so that the mirror has what they name
    commits = git.log(production, development)
    new = {commit.sha for commit in commits}  # a tag on these names this release, not the one before
    previous = _previous(component, tuple(t for t in tags if t.target not in new), production, look.at)
    part = Part(
        look.name,
        production,
        development,
        development if commits else production,
        previous=previous,
        commits=tuple(Planned(c.sha, c.author, c.subject) for c in commits),
        lost=tuple(_lost(lost.commit, lost.twin) for lost in git.lost(production, development)) if commits else (),
        base=look.base or production,
    )
    part, problems = _named(look, part, tags) if commits else (_with_version(look, part), ())
    part = replace(part, causes=_causes(look, part.base, part.release))
    return part, (*problems, *_leaks(look, part), *_js_names(look, part))


def _named(look: _Look, part: Part, tags: tuple[TagRef, ...]) -> tuple[Part, tuple[Problem, ...]]:
    """Give the release its tag, and a version bump if its version was released before."""
    existing = {tag.name: tag.target for tag in tags}
    if look.component.tags is TagStyle.DATED:
        mine = versions.core_tags(name for name, target in existing.items() if target == part.development)
        tagged = mine[-1].name if mine else ""
        name = tagged or versions.next_core_tag(existing, look.at.date(), look.component.suffix)
        return replace(part, tag=name, tagged=tagged), ()
    part = _with_version(look, part)
    current = part.version
    if existing.get(current) == part.development:
        return replace(part, tag=current, tagged=current), ()
    if current not in existing:
        facts = TagFacts(current, current, part.release)
        return replace(part, tag=current), versions.version_tag_problems(facts, current, existing)
    new = versions.next_version(existing, look.at.date(), look.component.suffix)
    release = bumped(look.git, look.component, part.development, new, look.at)
    return replace(part, release=release, tag=new, version=new, bump=f"{current} -> {new}"), ()


def _with_version(look: _Look, part: Part) -> Part:
    if look.component.tags is TagStyle.DATED:
        return part
    path = look.component.version_file
    try:
        return replace(part, version=versions.read_version(look.git.read(part.release, path)))
    except RuleError as error:
        raise PermanentError(f"{look.name}, {path}: {error}") from error


def bumped(git: GitRemote, component: Component, parent: str, version: str, at: datetime) -> str:
    """The commit that sets the version, made in the local mirror: the same arguments always give the same id."""
    path = component.version_file
    try:
        text = versions.bump_version(git.read(parent, path), version)
    except RuleError as error:
        raise PermanentError(f"{git.name}, {path}: {error}") from error
    return git.commit(parent, {path: text}, versions.bump_subject(version), at)


def _head(branches: Mapping[str, str], branch: str, name: str) -> str:
    if branch not in branches:
        raise PermanentError(f"{name} has no branch {branch}; its branches are {listed(sorted(branches))}")
    return branches[branch]


def _previous(component: Component, tags: tuple[TagRef, ...], production: str, at: datetime) -> str:
    """The release that is in production: its tag is on that very commit; a newer name may be a slip of the past.

    Dates still to come are slips too (`kernelci-20190910`), but such a tag is believed where there is no other.
    """
    here, every = [tag.name for tag in tags if tag.target == production], [tag.name for tag in tags]
    for names, not_after in ((here, at.date()), (here, None), (every, at.date())):
        if component.tags is TagStyle.DATED:
            dated = versions.latest_core_tag(names, not_after)
            name = dated.name if dated else ""
        else:
            newest = versions.latest_version(names, not_after)
            name = newest.text if newest else ""
        if name:
            return name
    return ""


def _causes(look: _Look, old: str, new: str) -> Mapping[str, str]:
    """Kind of update -> why, from the paths that changed; empty for a component that is not KernelCI's own."""
    if look.name not in set(changes.Component):
        return {}

    def texts(path: str) -> tuple[str, str]:
        return look.text(old, path), look.text(new, path)

    paths = [changed.path for changed in look.git.changed_paths(old, new)]
    grouped = changes.by_kind(changes.causes(changes.Component(look.name), paths, texts))
    return {str(kind): changes.explained(kind, grouped) for kind in grouped}


def _leaks(look: _Look, part: Part) -> tuple[Problem, ...]:
    """New lines that name a staging server, in what would be released."""
    changed: tuple[ChangedPath, ...] = look.git.changed_paths(part.production, part.release)
    paths = [change.path for change in changed if change.status != "D" and changes.may_leak(change.path)]
    texts = {path: look.git.read(part.release, path) for path in paths}
    found = changes.staging_leaks(texts, {path: look.text(part.production, path) for path in paths})
    return tuple(replace(problem, text=f"{look.name}: {problem.text}") for problem in found)


def _js_names(look: _Look, part: Part) -> tuple[Problem, ...]:
    """A changed view of the frontend needs a new dated name, or browsers never load it (procedure, step 6)."""
    if look.name != changes.Component.FRONTEND or not part.changed:
        return ()
    commits = {js_names.Side.OLD: part.production, js_names.Side.NEW: part.release}
    changed = look.git.changed_paths(part.production, part.release)
    found = js_names.js_problems(
        [js_names.ChangedFile(one.status, one.path, one.old) for one in changed],
        lambda side, path: look.text(commits[side], path),
        look.text(part.release, js_names.COMMON_JS),
        look.text(part.release, js_names.BUILD_JS),
        look.git.paths(part.release, js_names.JS_FOLDER),
    )
    return tuple(replace(problem, text=f"{look.name}: {problem.text}") for problem in found)


def _lost(commit: Commit, twin: str | None) -> str:
    where = f" (the same change is {twin[:SHORT]} on the development branch)" if twin else ""
    return f"{commit.sha[:SHORT]} {commit.subject}{where}"


def _part_lines(part: Part) -> list[str]:
    if not part.changed:
        left = [f"  left over from a release that did not end: {kind}: {why}" for kind, why in part.causes.items()]
        return [f"{part.component}: unchanged since {part.previous or 'its first commit'}", *left]
    bump = f", version {part.bump}" if part.bump else ""
    since = f" since {part.previous}" if part.previous else ""
    to_be = f"tagged {part.tag} already" if part.tagged else f"to be {part.tag}"
    head = f"{part.component}: {worded(len(part.commits), 'commit')}{since}, {to_be}{bump}"
    lost = [f"  only on the production branch, would be lost: {line}" for line in part.lost]
    return [
        head,
        *(f"  {commit.sha[:SHORT]} {commit.subject}" for commit in part.commits),
        *(f"  {kind}: {why}" for kind, why in part.causes.items()),
        *lost,
    ]


plan = Step("plan", "Plan frozen", freeze, Plan)
