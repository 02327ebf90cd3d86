"""Step 1: version bumps and annotated tags, pushed on the exact commits of the plan. An existing tag is never moved."""

from dataclasses import dataclass
from datetime import date

from kcibot_commands.plan import SHORT, Part, Plan, ReleaseSettings, TagStyle, plan
from kcibot_commands.rules import versions
from kcibot_commands.rules.problem import stopping
from kcibot_commands.rules.versions import TagFacts

from kcibot.sdk import (
    EVERYBODY,
    Call,
    Context,
    Done,
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


@dataclass(frozen=True)
class Tags:
    """Component -> tag, as they are on the servers."""

    names: dict[str, str]


def needed(context: Context) -> Needed:
    wanted = _wanted(context.result(plan))
    return Needed(bool(wanted), "" if wanted else "every changed component is tagged already")


def preview(context: Context) -> Preview:
    frozen = context.result(plan)
    facts = {
        part.component: {"tag": part.tag, "commit": part.release, "bump": part.bump, "branch": part.development}
        for part in _wanted(frozen)
    }
    lines: list[str] = []
    for part in _wanted(frozen):
        lines.append(f"{part.component}: tag {part.tag} on {part.release[:SHORT]}")
        if part.bump:
            branch = context.settings(ReleaseSettings).components[part.component].development
            lines.append(f"  with a commit on {branch}: version {part.bump}")
    return Preview(facts, tuple(lines))


def make_tags(context: Context) -> Done[Tags]:
    frozen = context.result(plan)
    for part in _wanted(frozen):
        context.report(f"tagging {part.component}")
        _push_tag(context, part, frozen)
    names = {part.component: part.tag for part in frozen.parts.values() if part.tag}
    return Done(listed([f"{component} {tag}" for component, tag in names.items()]), Tags(names))


def _push_tag(context: Context, part: Part, frozen: Plan) -> None:
    """Bump and tag in one push: both arrive or neither."""
    git = context.ports.git.remote(part.component)
    component = context.settings(ReleaseSettings).components[part.component]
    if component.tags is TagStyle.DATED:
        _refuse_bad_tag(part, {tag.name: tag.target for tag in git.tags()}, context.clock.now().date())
    tag_object = git.annotate(part.tag, part.release, part.tag, frozen.frozen_at)
    updates = [RefUpdate(f"refs/tags/{part.tag}", tag_object, None)]
    if part.bump:
        updates.insert(0, RefUpdate(f"refs/heads/{component.development}", part.release, part.development))

    def probe() -> Proof[str]:
        there = {tag.name: tag.object_id for tag in git.tags()}
        return Happened(tag_object) if there.get(part.tag) == tag_object else NotHappened()

    def push() -> str:
        git.push(updates)
        return tag_object

    context.effect(f"tag {part.tag} of {part.component}", push, probe)


def _refuse_bad_tag(part: Part, existing: dict[str, str], today: date) -> None:
    """The checks that would have caught the slips of past years. A tag of this very release is no second one."""
    others = {name: target for name, target in existing.items() if name != part.tag}
    problems = versions.tag_problems(TagFacts(part.tag, part.tag, part.release), today, others)
    if stopping(problems):
        raise PermanentError(" ".join(str(problem) for problem in stopping(problems)))


def _wanted(frozen: Plan) -> list[Part]:
    return [part for part in frozen.parts.values() if part.changed and part.tag and not part.tagged]


create_tags = Step("create-tags", "Tags pushed", make_tags, Tags, needed=needed, preview=preview, after=(plan,))


def list_tags(context: Context) -> Done[None]:
    """The newest release tags of every component."""
    lines = ["Newest release tags"]
    for name, component in context.settings(ReleaseSettings).components.items():
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
