"""What came to the development branches after a plan was frozen, and is therefore not in that release."""

from collections.abc import Mapping
from dataclasses import dataclass

from kcibot.sdk import Call, Context, Done, Outcome, Procedure, Run, Step
from kcibot_commands.plan.steps import Plan, ReleaseSettings, plan
from kcibot_commands.rules.problem import worded


@dataclass(frozen=True)
class AheadArgs:
    """Component -> its commit in the release."""

    releases: Mapping[str, str]


def look_ahead(context: Context) -> Done[None]:
    """A line per component whose development branch went on; no text, and so no answer, if none did."""
    found = [_ahead(context, *one) for one in context.args(AheadArgs).releases.items()]
    lines = [line for line in found if line]
    return Done("\n".join([*lines, "!release amend takes them in."]) if lines else "", None)


def _ahead(context: Context, name: str, release: str) -> str:
    """Commits that are not below the release; of a version bump that is yet to be pushed, the branch is no news."""
    branch = context.settings(ReleaseSettings).component(name).development
    git = context.ports.git.remote(name)
    now = git.branches().get(branch, release)
    if now == release:
        return ""
    git.fetch()
    commits = len(git.log(release, now))
    return f"{name}: {worded(commits, 'commit')} on {branch} not in this release" if commits else ""


AHEAD = Procedure("ahead", Step("look-ahead", "Later commits looked for", look_ahead, type(None)), card=False)


def with_later_commits(call: Call, run: Run, outcome: Outcome) -> Outcome:
    """The same answer, and after it what has come to the development branches since the run's plan was frozen."""
    value = next((step.value for step in run.steps if step.id == plan.id), None)
    if run.ended or value is None:
        return outcome
    parts = call.world.journal.codec.load(Plan, value).parts.values()
    releases = {part.component: part.release for part in parts if not part.read_only}
    looking = call.start(AHEAD, f"Commits after the plan of {run.title}", AheadArgs(releases))
    return Outcome(outcome.notice, (*outcome.changes, *looking.changes), (*outcome.wake, *looking.wake))
