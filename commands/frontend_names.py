"""Step 6: the frontend's dated JavaScript names, looked at and mended days before a release, or when it asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Gate,
    GitRemote,
    Happened,
    KcibotError,
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
)
from kcibot_commands.js_views import MEND, Views, rename_commit, rename_lines
from kcibot_commands.plan.steps import SHORT, Component, ReleaseSettings
from kcibot_commands.rules import changes, versions
from kcibot_commands.rules.js_names import OLD_ENTRIES, js_problems
from kcibot_commands.rules.js_renames import Rename
from kcibot_commands.rules.problem import Problem, Severity, stopping, worded


@dataclass(frozen=True)
class Found:
    """What the development branch needs, and the commit on top of it that gives it, empty if I can give nothing.

    `left` is what is wrong even with that commit, `warnings` what is worth a look.
    """

    component: str
    branch: str
    development: str
    at: datetime
    renames: tuple[Rename, ...] = ()
    commit: str = ""
    left: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def look(context: Context) -> Done[Found]:
    """Compare the development branch with what is in production, and make the commit in the local mirror."""
    name, component = _frontend(context)
    at = datetime.fromisoformat(context.keep("looked at", lambda: context.clock.now().isoformat()))
    git = context.ports.git.remote(name)
    branches, tags = git.branches(), {tag.name: tag.target for tag in git.tags()}
    development = _head(branches, component.development, name)
    production = _head(branches, component.production, name)
    git.fetch()
    version = versions.next_version(tags, at.date(), component.suffix)
    wanted = Views(git, production, development, tags).renames(version)
    commit = rename_commit(git, development, wanted, at) if wanted else ""
    left = js_problems(Views(git, production, commit or development, tags).change)
    warnings = tuple(str(problem) for problem in left if problem.severity is not Severity.STOP)
    stops = tuple(str(problem) for problem in stopping(left))
    found = Found(name, component.development, development, at, wanted, commit, stops, warnings)
    return Done("\n".join([_title(found), *_lines(git, found)]), found)


def _frontend(context: Context) -> tuple[str, Component]:
    """The component that is the frontend, whatever it is called."""
    components = context.settings(ReleaseSettings).components
    for name, component in components.items():
        if is_frontend(name, component):
            return name, component
    raise PermanentError("no frontend is among the configured components")


def is_frontend(name: str, component: Component) -> bool:
    return (component.kind or name) == changes.Component.FRONTEND


def _head(branches: Mapping[str, str], branch: str, name: str) -> str:
    if branch not in branches:
        raise PermanentError(f"{name} has no branch {branch}")
    return branches[branch]


def _title(found: Found) -> str:
    if not found.renames and not found.left:
        return f"Every changed view on {found.branch} has a new dated name"
    wanted = [f"{worded(len(found.renames), 'rename')} to make"] if found.renames else []
    left = [f"{worded(len(found.left), 'problem')} to mend by hand"] if found.left else []
    return f"Views on {found.branch}: {', '.join([*wanted, *left])}"


def _lines(git: GitRemote, found: Found) -> tuple[str, ...]:
    left = (f"By hand: {problem}" for problem in found.left)
    warnings = (f"Warning: {warning}" for warning in found.warnings)
    return (*_commit_lines(git, found), *left, *warnings)


def _commit_lines(git: GitRemote, found: Found) -> tuple[str, ...]:
    if not found.renames:
        return ()
    head = f"{found.component}: a commit on {found.branch} {found.development[:SHORT]}, Rename JS files:"
    return (head, *(f"  {line}" for line in rename_lines(git, found.development, found.commit)))


look_at_names = Step("look-at-names", "Views compared", look, Found)


# ---- mending them ----------------------------------------------------------------------------------------------


def push_needed(context: Context) -> Needed:
    found = context.result(look_at_names)
    return Needed(bool(found.renames), "" if found.renames else "there is no rename that I can make")


def push_preview(context: Context) -> Preview:
    """The whole commit; what it does not mend is said."""
    found, git = context.result(look_at_names), _remade(context)
    facts = {"repository": found.component, "branch": found.branch, "old": found.development, "new": found.commit}
    return Preview(facts, _lines(git, found))


def push_names(context: Context) -> Done[None]:
    """By a lease on the branch as it was looked at: a commit that somebody pushed since is not lost."""
    found, git = context.result(look_at_names), _remade(context)

    def probe() -> Proof[str]:
        head = git.branches().get(found.branch, "")
        git.fetch()
        _remade(context)
        return Happened(found.commit) if head and not git.lost(found.commit, head) else NotHappened()

    def push() -> str:
        git.push([RefUpdate(f"refs/heads/{found.branch}", found.commit, found.development)])
        return found.commit

    context.effect(f"push {found.component} {found.branch}", push, probe)
    return Done(f"{worded(len(found.renames), 'view')} renamed, {found.commit[:SHORT]} on {found.branch}", None)


def _remade(context: Context) -> GitRemote:
    """The repository with the commit in its mirror, where nobody else has it: a lost mirror starts empty."""
    found = context.result(look_at_names)
    git = context.ports.git.remote(found.component)
    if rename_commit(git, found.development, found.renames, found.at) != found.commit:
        raise PermanentError(f"the renames of {found.component} cannot be made again as shown; look again")
    return git


push_renames = Step(
    "push-renames",
    "Views renamed",
    push_names,
    type(None),
    needed=push_needed,
    preview=push_preview,
    after=(look_at_names,),
)
NAMES = Procedure("frontend names", look_at_names, card=False)
FIX = Procedure(
    "frontend names fix", look_at_names, Gate("prepare", "Rename the views"), push_renames, title="Rename the views"
)


@command("frontend names", role="observer")
def frontend_names(call: Call) -> Outcome:
    """Show which changed views of the frontend lack a new dated name, and the commit that would give it."""
    return call.start(NAMES)


@command("frontend names fix", role="operator")
def frontend_names_fix(call: Call) -> Outcome:
    """Give changed views of the frontend their new dated names on the development branch, after an approval."""
    return call.start(FIX)


# ---- before a deployment alone ---------------------------------------------------------------------------------


def check_views(context: Context, name: str, commit: str) -> tuple[str, ...]:
    """What people should know before that commit is deployed by itself; empty for what is no frontend.

    Raises PermanentError for a view whose change browsers would never load. What goes back to code that was deployed
    before is not judged: it puts back what browsers may have.
    """
    if not is_frontend(name, context.settings(ReleaseSettings).component(name)):
        return ()
    git = context.ports.git.remote(name)
    tags = {tag.name: tag.target for tag in git.tags()}
    try:
        running = context.ports.results.version(name)
    except KcibotError as error:
        return (f"the views were not compared with those that run: {error}",)
    if running not in tags:
        return (f"the views were not compared with those that run: there is no tag {running}",)
    if not git.log(tags[running], commit):
        return ()
    found = js_problems(Views(git, tags[running], commit, tags).change)
    if stopping(found):
        said = "; ".join(str(problem) for problem in stopping(found))
        raise PermanentError(f"{name}, compared with {running}, which runs: {said}. {MEND}")
    return tuple(str(problem) for problem in found if _is_new(problem))


def _is_new(problem: Problem) -> bool:
    """Old entries that lead nowhere were there before, and change nothing for browsers."""
    return problem.rule not in OLD_ENTRIES
