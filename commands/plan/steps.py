"""The plan: what would go to production now, commit by commit, frozen so that everything after it means the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from kcibot.sdk import (
    Commit,
    Context,
    Done,
    GitRemote,
    NotFound,
    NotText,
    PermanentError,
    Step,
    TagRef,
    digest,
    listed,
)
from kcibot_commands.js_views import Views, rename_commit
from kcibot_commands.plan.parts import (
    CONFIGURED,
    MOVED,
    OURS,
    SHORT,
    Component,
    JsNames,
    Part,
    Plan,
    Planned,
    ReleaseSettings,
    TagStyle,
    default_components,
    frozen,
)
from kcibot_commands.plan.text import overview, remarks, summary
from kcibot_commands.rules import changes, versions
from kcibot_commands.rules.jpl import renamed_at_once
from kcibot_commands.rules.js_names import js_problems
from kcibot_commands.rules.problem import Problem, RuleError, Severity, stopping
from kcibot_commands.rules.versions import CoreTag, TagFacts

__all__ = [
    "CONFIGURED",
    "MOVED",
    "OURS",
    "SHORT",
    "Component",
    "Part",
    "Plan",
    "Planned",
    "ReleaseSettings",
    "TagStyle",
    "bumped",
    "default_components",
    "frozen",
    "overview",
    "plan",
    "remade",
    "remarks",
]

TAGGING = "create-tags"
"""The step whose presence tells a release from a verb that only shows something."""


def freeze(context: Context) -> Done[Plan]:
    """Read every repository and freeze what a release would be made of. Nothing is written anywhere but here."""
    frozen_at = datetime.fromisoformat(context.keep("frozen at", lambda: context.clock.now().isoformat()))
    parts: dict[str, Part] = {}
    problems: list[Problem] = []
    for look in _looks(context, frozen_at):
        context.report(f"reading {look.name}")
        parts[look.name], found = _read_only(look) if look.component.read_only else _part(look)
        problems += (replace(problem, text=f"{look.name}: {problem.text}") for problem in found)
    if stopping(problems):
        raise PermanentError("; ".join(str(problem) for problem in stopping(problems)))
    for part in parts.values():
        if part.tagged:
            context.remember(OURS, part.component, part.tagged)
    plan = _plan(context, parts, frozen_at, problems)
    if any(step.id == TAGGING for step in context.run.steps):
        context.say("plan", overview(plan))
    return Done(summary(plan), plan)


def _plan(context: Context, parts: Mapping[str, Part], frozen_at: datetime, problems: Iterable[Problem]) -> Plan:
    """Named after its first dated tag; one without any is named as if it were tagged."""
    settings, run = context.settings(ReleaseSettings), context.run
    named = [part.tag for part in parts.values() if CoreTag.parse(part.tag)]
    taken = [part.previous for part in parts.values()]
    name = named[0] if named else versions.next_core_tag(taken, frozen_at.date())
    contents = digest({part.component: [part.release, part.tag] for part in parts.values()})[:16]
    message_id = f"<{name}.{run.id}.{run.revision}.{contents}@{settings.message_domain}>"
    head = context.keep("audit head", context.audit_head)
    said = {severity: tuple(str(p) for p in problems if p.severity is severity) for severity in Severity}
    warnings, confirm = said[Severity.WARN], said[Severity.CONFIRM]
    return Plan(name, run.revision, frozen_at, message_id, parts, warnings, head, confirm)


@dataclass(frozen=True)
class _Look:
    """What is needed to plan one component.

    `base` is empty unless an unfinished release moved its branch. `ours` is the newest tag that was this or an earlier
    release's, `deployed` the commit with which something was deployed last, both empty if there is none.
    """

    git: GitRemote
    name: str
    component: Component
    at: datetime
    base: str
    ours: str
    deployed: str
    js_names: JsNames

    @property
    def today(self) -> date:
        return self.at.date()

    @property
    def kind(self) -> changes.Component | None:
        """What it is of KernelCI; None if neither its name nor the configuration says so."""
        known = {kind.value: kind for kind in changes.Component}
        return self.component.kind or known.get(self.name)

    def text(self, commit: str, path: str) -> str:
        """A file's text, empty if the commit has no such file."""
        try:
            return self.git.read(commit, path)
        except NotFound:
            return ""

    def version(self, commit: str) -> str:
        """The version that the commit's file says; empty if it says none."""
        try:
            return versions.read_version(self.text(commit, self.component.version_file))
        except RuleError:
            return ""


def _looks(context: Context, at: datetime) -> Iterable[_Look]:
    moved, ours, deployed = (context.recall(topic) for topic in (MOVED, OURS, CONFIGURED))
    settings = context.settings(ReleaseSettings)
    for name, component in settings.components.items():
        base, tag, commit = (str(topic.get(name, "")) for topic in (moved, ours, deployed))
        yield _Look(context.ports.git.remote(name), name, component, at, base, tag, commit, settings.js_names)


def _read_only(look: _Look) -> tuple[Part, tuple[Problem, ...]]:
    """The branch's head, and what is new since it was deployed with last."""
    head = _head(look.git.branches(), look.component.development, look.name)
    if look.kind is not changes.Component.LINUX:  # two gigabytes, which only the pipe cleaner needs
        look.git.fetch()
    part = Part(look.name, head, head, head, base=head, read_only=True)
    if look.deployed in {"", head}:
        return part, ()
    part = replace(part, previous=look.deployed[:SHORT])
    try:
        commits = tuple(Planned(c.sha, c.author, c.subject) for c in look.git.log(look.deployed, head))
        return replace(part, commits=commits, causes=_causes(look, look.deployed, head)), ()
    except PermanentError:  # the branch was rewritten, and this mirror never had the old commit
        text = f"{look.component.development} was rewritten: what is new since {part.previous} cannot be told"
        return part, (Problem("rewritten", text, Severity.WARN),)


def _part(look: _Look) -> tuple[Part, tuple[Problem, ...]]:
    git, component = look.git, look.component
    branches, tags = git.branches(), git.tags()
    development = _head(branches, component.development, look.name)
    production = _head(branches, component.production, look.name)
    git.fetch()  # after the branches were asked for, so that the mirror has what they name
    # What production would lose by staying is what is new; unlike the log, it names merges too.
    new = {one.commit.sha for one in git.lost(development, production)}
    previous = _previous(component, tuple(t for t in tags if t.target not in new), production, look.at)
    part = Part(
        look.name,
        production,
        development,
        development if new else production,
        previous=previous,
        commits=tuple(Planned(c.sha, c.author, c.subject) for c in git.log(production, development)),
        lost=tuple(_lost(lost.commit, lost.twin) for lost in git.lost(production, development)),
        base=look.base or production,
    )
    part, problems = _named(look, part, tags) if new else (_with_version(look, part), ())
    part, names = _js_names(look, part, tags)
    part = replace(part, causes=_causes(look, part.base, part.release))
    return part, (*problems, *_unknown(look, part), *_leaks(look, part), *_parameters(look, part), *names)


# ---- tags and versions -----------------------------------------------------------------------------------------


def _named(look: _Look, part: Part, tags: tuple[TagRef, ...]) -> tuple[Part, tuple[Problem, ...]]:
    """Give the release its tag, and a version bump if its version was released before.

    A tag that is on its commit already is taken for this release's only if it is right; another one, a slip of the
    past, stays where it is and is told of.
    """
    if look.component.tags is TagStyle.DATED:
        return _dated(look, part, tags)
    return _versioned(look, _with_version(look, part), tags)


def _dated(look: _Look, part: Part, tags: tuple[TagRef, ...]) -> tuple[Part, tuple[Problem, ...]]:
    existing = {tag.name: tag.target for tag in tags}
    annotated = [tag.name for tag in tags if tag.target == part.development and tag.object_id != tag.target]
    right = [tag for tag in versions.core_tags(annotated) if tag.name == look.ours or versions.is_of(tag, look.today)]
    if right:
        return replace(part, tag=right[-1].name, tagged=right[-1].name), ()
    name = versions.next_core_tag(existing, look.today, look.component.suffix)
    return replace(part, tag=name), versions.tag_problems(TagFacts(name, name, part.release), look.today, existing)


def _versioned(look: _Look, part: Part, tags: tuple[TagRef, ...]) -> tuple[Part, tuple[Problem, ...]]:
    """A version that production runs already is as good as released, even if nobody ever tagged it."""
    current, running = part.version, look.version(part.production)
    existing = {tag.name for tag in tags} | {running}
    problems = _version_problems(look, current, part.release, existing - {current})
    if current not in existing:
        return replace(part, tag=current), problems
    here = [tag for tag in tags if tag.name == current and tag.target == part.development]
    if any(tag.object_id != tag.target for tag in here) and current != running and not stopping(problems):
        return replace(part, tag=current, tagged=current), problems
    new = versions.next_version(existing, look.today, look.component.suffix)
    release = bumped(look.git, look.component, part.development, new, look.at)
    part = replace(part, release=release, tag=new, version=new, bump=f"{current} -> {new}")
    slip = Problem("tagged", f"the tag {current} on {part.development[:SHORT]} is not this release's", Severity.WARN)
    return part, (*_version_problems(look, new, release, existing), *([slip] if here else []))


def _version_problems(look: _Look, version: str, commit: str, existing: Iterable[str]) -> tuple[Problem, ...]:
    return versions.version_tag_problems(TagFacts(version, version, commit), version, look.today, existing)


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
        text = versions.bump_version(git.read(parent, path), version, at.date())
    except RuleError as error:
        raise PermanentError(f"{git.name}, {path}: {error}") from error
    return git.commit(parent, {path: text}, versions.bump_subject(version), at)


def remade(git: GitRemote, component: Component, part: Part, at: datetime) -> str:
    """The commit to be released: on top of the development branch new names of views, on top of them the version."""
    parent = rename_commit(git, part.development, part.renames, at) if part.renames else part.development
    return bumped(git, component, parent, part.version, at) if part.bump else parent


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


# ---- what the changes call for ---------------------------------------------------------------------------------


def _causes(look: _Look, old: str, new: str) -> Mapping[str, str]:
    """Kind of update -> why, from the paths that changed; empty for a component that is not KernelCI's own."""
    if look.kind is None:
        return {}

    def texts(path: str) -> tuple[str, str]:
        return look.text(old, path), look.text(new, path)

    changed = look.git.changed_paths(old, new)
    # What a file's old name called for is called for by its going, too.
    paths = [path for one in changed for path in ((one.old, one.path) if one.status == "R" else (one.path,))]
    grouped = changes.by_kind(changes.causes(look.kind, paths, texts))
    return {str(kind): changes.explained(kind, grouped) for kind in grouped}


def _unknown(look: _Look, part: Part) -> tuple[Problem, ...]:
    if look.kind or not part.changed:
        return ()
    text = f"nobody said what it is, so no step is called for by its changes: release.components.{look.name}.kind"
    return (Problem("kind", text, Severity.WARN),)


def _leaks(look: _Look, part: Part) -> tuple[Problem, ...]:
    """New lines that name a staging server, in what would be released."""
    texts, released, unread = {}, {}, []
    for change in look.git.changed_paths(part.production, part.release):
        if change.status == "D" or not changes.may_leak(change.path):
            continue
        try:
            texts[change.path] = look.text(part.release, change.path)
            released[change.path] = look.text(part.production, change.old or change.path)
        except NotText:
            text = f"{change.path} is no text, so it was not searched for staging servers"
            unread.append(Problem("staging", text, Severity.WARN))
    return (*changes.staging_leaks(texts, released), *unread)


def _parameters(look: _Look, part: Part) -> tuple[Problem, ...]:
    """Parameters of jobs that were renamed in one step: what runs over the update knows the old ones only."""
    if look.kind is not changes.Component.CORE or not part.changed:
        return ()
    changed = look.git.changed_paths(part.production, part.release)
    pipelines = [(one.old or one.path, one.path) for one in changed if one.path.endswith(".jpl") and one.status != "D"]
    texts = ((path, look.text(part.production, old), look.text(part.release, path)) for old, path in pipelines)
    return tuple(problem for path, old, new in texts for problem in renamed_at_once(path, old, new))


def _js_names(look: _Look, part: Part, tags: tuple[TagRef, ...]) -> tuple[Part, tuple[Problem, ...]]:
    """A changed view of the frontend needs a new dated name, or browsers never load it (procedure, step 6).

    Views are renamed below the version bump; what cannot be mended so keeps the release from being tagged.
    """
    if look.kind is not changes.Component.FRONTEND or not part.changed:
        return part, ()
    try:
        return _with_names(look, part, {tag.name: tag.target for tag in tags})
    except NotText as error:
        return replace(part, blocked=(str(error),)), ()


def _with_names(look: _Look, part: Part, targets: Mapping[str, str]) -> tuple[Part, tuple[Problem, ...]]:
    if look.js_names is JsNames.OFFER and not part.tagged:
        version = part.version or f"{look.at.year}.{look.at.month}"
        part = replace(part, renames=Views(look.git, part.production, part.development, targets).renames(version))
        part = replace(part, release=remade(look.git, look.component, part, look.at)) if part.renames else part
    found = js_problems(Views(look.git, part.production, part.release, targets).change)
    part = replace(part, blocked=tuple(str(problem) for problem in stopping(found)))
    return part, tuple(problem for problem in found if problem.severity is not Severity.STOP)


def _lost(commit: Commit, twin: str | None) -> str:
    where = f" (the same change is {twin[:SHORT]} on the development branch)" if twin else ""
    return f"{commit.sha[:SHORT]} {commit.subject}{where}"


plan = Step("plan", "Plan frozen", freeze, Plan)
