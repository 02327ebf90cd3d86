"""Step 1: version bumps and annotated tags, pushed on the exact commits of the plan. An existing tag is never moved."""

from dataclasses import dataclass
from datetime import date

from kcibot.sdk import (
    EVERYBODY,
    Call,
    Context,
    Done,
    GitRemote,
    Happened,
    Needed,
    NotHappened,
    Outcome,
    PermanentError,
    Preview,
    Procedure,
    Proof,
    RefUpdate,
    Step,
    command,
    listed,
)
from kcibot_commands.js_views import MEND, rename_commit, rename_lines
from kcibot_commands.plan.steps import (
    OURS,
    SHORT,
    Component,
    Part,
    Plan,
    ReleaseSettings,
    TagStyle,
    plan,
    remade,
    remarks,
)
from kcibot_commands.rules import versions
from kcibot_commands.rules.problem import Severity
from kcibot_commands.rules.versions import TagFacts


@dataclass(frozen=True)
class Tags:
    """Component -> tag, as they are on the servers."""

    names: dict[str, str]


def needed(context: Context) -> Needed:
    """Also for what must be agreed to, even if people made all the tags themselves.

    Raises PermanentError in a release of which something is to be mended first: then nothing at all is tagged.
    """
    frozen = context.result(plan)
    blocked = [f"{part.component}: {text}" for part in frozen.parts.values() for text in part.blocked]
    if blocked and any(step.id == create_tags.id for step in context.run.steps):
        raise PermanentError(f"{'; '.join(blocked)}. {MEND}. Then !release amend plans anew")
    if blocked:
        return Needed(needed=True, why=f"not before this is mended: {'; '.join(blocked)}")
    wanted = bool(_wanted(frozen) or frozen.confirm)
    return Needed(wanted, "" if wanted else "every changed component is tagged already")


def preview(context: Context) -> Preview:
    frozen = context.result(plan)
    facts: dict[str, object] = {
        part.component: {"tag": part.tag, "commit": part.release, "bump": part.bump, "branch": part.development}
        for part in _wanted(frozen)
    }
    lines: list[str] = []
    for part in _wanted(frozen):
        lines.append(f"{part.component}: tag {part.tag} on {part.release[:SHORT]}")
        lines += _bump_lines(context, part)
    if frozen.confirm:
        facts["confirm"] = list(frozen.confirm)
    return Preview(facts, (*lines, *remarks(frozen)))


def _bump_lines(context: Context, part: Part) -> list[str]:
    """Renames and version bump as diffs; the commits are in the local mirror until they are pushed with the tag."""
    component, git = _component(context, part), context.ports.git.remote(part.component)
    _recreate(git, component, part, context.result(plan))
    return [*_rename_lines(git, component, part, context.result(plan)), *_version_lines(git, component, part)]


def _rename_lines(git: GitRemote, component: Component, part: Part, frozen: Plan) -> list[str]:
    if not part.renames:
        return []
    commit = rename_commit(git, part.development, part.renames, frozen.frozen_at)
    lines = rename_lines(git, part.development, commit)
    return [f"  with a commit on {component.development}, Rename JS files:", *(f"    {line}" for line in lines)]


def _version_lines(git: GitRemote, component: Component, part: Part) -> list[str]:
    if not part.bump:
        return []
    diff = git.diff(part.development, part.release, component.version_file).splitlines()
    changed = [line for line in diff if line.startswith(("+", "-")) and not line.startswith(("+++", "---"))]
    head = f"  with a commit on {component.development}, {component.version_file}:"
    return [head, *(f"    {line}" for line in changed)]


def make_tags(context: Context) -> Done[Tags]:
    frozen = context.result(plan)
    for part in _wanted(frozen):
        context.report(f"tagging {part.component}")
        _push_tag(context, part, frozen)
    names = {part.component: part.tag for part in frozen.parts.values() if part.tag}
    told = listed([f"{component} {tag}" for component, tag in names.items()])
    return Done(told or "nothing to tag", Tags(names))


def _push_tag(context: Context, part: Part, frozen: Plan) -> None:
    """Bump and tag in one push: both arrive or neither. What is there already, to the bit, is not pushed again."""
    git, component = context.ports.git.remote(part.component), _component(context, part)
    tag = f"refs/tags/{part.tag}"

    def object_id() -> str:
        _recreate(git, component, part, frozen)
        return git.annotate(part.tag, part.release, part.tag, frozen.frozen_at)

    def probe() -> Proof[str]:
        there, mine = {one.name: one.object_id for one in git.tags()}, object_id()
        return Happened(mine) if there.get(part.tag) == mine else NotHappened()

    def push() -> str:
        existing = {one.name: one for one in git.tags()}
        mine = object_id()
        if part.tag in existing and existing[part.tag].object_id == mine:
            return mine
        names = {name: one.target for name, one in existing.items()}
        _refuse_bad_tag(component, part, names, context.clock.now().date(), frozen.confirm)
        updates = [RefUpdate(tag, mine, None)]
        if part.release != part.development:
            updates.insert(0, RefUpdate(f"refs/heads/{component.development}", part.release, part.development))
        git.push(updates)
        return mine

    context.effect(f"tag {part.tag} of {part.component}", push, probe)
    context.remember(OURS, part.component, part.tag)


def _recreate(git: GitRemote, component: Component, part: Part, frozen: Plan) -> None:
    """Make sure that the mirror has the commits that nobody else has: a lost mirror starts empty."""
    if remade(git, component, part, frozen.frozen_at) != part.release:
        raise PermanentError(f"the commit of {part.component} cannot be made again as planned; !release amend")


def _refuse_bad_tag(
    component: Component, part: Part, existing: dict[str, str], today: date, confirmed: tuple[str, ...]
) -> None:
    """The checks that would have caught the slips of past years; what must be confirmed was, with the plan."""
    facts = TagFacts(part.tag, part.tag, part.release)
    if component.tags is TagStyle.DATED:
        found = versions.tag_problems(facts, today, existing)
    else:
        found = versions.version_tag_problems(facts, part.version, today, existing)
    said = [(problem, f"{part.component}: {problem}") for problem in found]
    refused = [text for problem, text in said if problem.severity is Severity.STOP or text not in confirmed]
    if refused:
        raise PermanentError(f"{'; '.join(refused)}. Nothing of {part.component} was pushed")


def _component(context: Context, part: Part) -> Component:
    return context.settings(ReleaseSettings).component(part.component)


def _wanted(frozen: Plan) -> list[Part]:
    return [part for part in frozen.parts.values() if part.changed and part.tag and not part.tagged]


create_tags = Step("create-tags", "Tags pushed", make_tags, Tags, needed=needed, preview=preview, after=(plan,))


def list_tags(context: Context) -> Done[None]:
    """The newest release tags of every component."""
    lines = ["Newest release tags"]
    for name, component in context.settings(ReleaseSettings).components.items():
        if component.read_only:
            continue
        names = [tag.name for tag in context.ports.git.remote(name).tags()]
        dated = component.tags is TagStyle.DATED
        newest = [t.name for t in versions.core_tags(names)] if dated else [v.text for v in versions.versions(names)]
        lines.append(f"{name}: {listed(newest[-3:][::-1]) or 'none'}")
    return Done("\n".join(lines), None)


TAGS = Procedure("tags", Step("list-tags", "Tags listed", list_tags, type(None)), card=False)


@command("tags", role=EVERYBODY)
def tags(call: Call) -> Outcome:
    """List the newest release tags of every component."""
    return call.start(TAGS)
