"""The model as Jenkins exports it: which fields an object has, in which order, and how deep they are shown.

The visibilities (the numbers) are read off the recorded answers.
"""

from collections.abc import Sequence
from urllib.parse import quote

from kcibot.sandbox.jenkins.config import Kind, ParameterDefinition
from kcibot.sandbox.jenkins.model import (
    PERMALINKS,
    Cause,
    Item,
    ItemState,
    Job,
    ParameterValue,
    Run,
    TriggerCause,
    UpstreamCause,
    UserCause,
)
from kcibot.sandbox.jenkins.tree import Bean, Field, Value
from kcibot.sandbox.jenkins.waiting import stuck, why
from kcibot.sandbox.jenkins.world import World

RUN_CLASSES = {
    Kind.FREESTYLE: "hudson.model.FreeStyleBuild",
    Kind.PIPELINE: "org.jenkinsci.plugins.workflow.job.WorkflowRun",
}
NEWEST_BUILDS = 100
"""`builds` shows no more than these; `allBuilds` has them all."""
LONGEST_PROGRESS = 99
HEALTH_STEPS = ((80, "80plus"), (60, "60to79"), (40, "40to59"), (20, "20to39"), (0, "00to19"))


def plain(name: str, value: Value, visibility: int = 1, *, inline: bool = False) -> Field:
    return Field(name, lambda: value, visibility, inline)


def quoted(path: str) -> str:
    """A path in an address, with the characters that Jenkins leaves alone."""
    return quote(path, safe="/()+=~,!*'@:$&")


class Exporter:
    """Makes beans of what one request asks for; `base` is the root address in `url` fields, with its slash."""

    def __init__(self, world: World, base: str) -> None:
        self.world = world
        self.base = base

    def address(self, path: str) -> str:
        return self.base + quoted(path)

    # ---- jobs --------------------------------------------------------------------------------------------------

    def jobs(self, parent: Job | None = None) -> list[Value]:
        return [self.job(job) for job in self.world.jobs.sorted(parent)]

    def job(self, job: Job) -> Bean:
        if job.is_folder:
            return Bean(job.config.kind, (*self._names(job), *self._folder_fields(job)))
        return Bean(job.config.kind, (*self._names(job), *self._job_fields(job), *self._kind_fields(job)))

    def _names(self, job: Job) -> tuple[Field, ...]:
        return (
            Field("actions", lambda: self._job_actions(job)),
            plain("description", job.config.description),
            plain("displayName", job.name),
            plain("displayNameOrNull", None),
            plain("fullDisplayName", job.display_name),
            plain("fullName", job.full_name),
            plain("name", job.name, 3),
            plain("url", self.address(job.path), 9),
        )

    def _folder_fields(self, job: Job) -> tuple[Field, ...]:
        view = Bean("hudson.model.AllView", (plain("name", "All", 3), plain("url", self.address(job.path), 3)))
        return (
            plain("healthReport", ()),
            Field("jobs", lambda: self.jobs(job), 1),
            plain("primaryView", view),
            plain("views", (view,)),
        )

    def _job_fields(self, job: Job) -> tuple[Field, ...]:
        links = tuple(self._link(job, name) for name in PERMALINKS)
        queued = self.world.queue.of_job(job)
        return (
            Field("allBuilds", lambda: [self.run(run) for run in job.newest_first], -2),
            plain("buildable", job.buildable),
            Field("builds", lambda: [self.run(run) for run in job.newest_first[:NEWEST_BUILDS]]),
            Field("color", lambda: job.colour, 2),
            Field("firstBuild", lambda: self.run(job.newest_first[-1]) if job.runs else None),
            Field("healthReport", lambda: _health(job)),
            plain("inQueue", bool(queued)),
            plain("keepDependencies", value=False),
            *links,
            plain("nextBuildNumber", job.next_number),
            Field("property", lambda: _properties(job), 1, inline=True),
            Field("queueItem", lambda: self.item(queued[0]) if queued else None),
        )

    def _link(self, job: Job, name: str) -> Field:
        return Field(name, lambda: self._maybe_run(job.permalink(name)))

    def _maybe_run(self, run: Run | None) -> Bean | None:
        return self.run(run) if run else None

    def _kind_fields(self, job: Job) -> tuple[Field, ...]:
        concurrent = plain("concurrentBuild", job.config.concurrent)
        if job.config.kind is Kind.PIPELINE:
            return (concurrent, plain("resumeBlocked", value=True))
        source = Bean("hudson.scm.NullSCM", (plain("browser", None), plain("type", "hudson.scm.NullSCM")))
        return (
            concurrent,
            plain("disabled", job.config.disabled),
            Field("downstreamProjects", lambda: self._named(job.config.downstream)),
            plain("labelExpression", job.config.label or None),
            plain("scm", source),
            Field("upstreamProjects", lambda: self._upstream(job)),
        )

    def _job_actions(self, job: Job) -> Sequence[Value]:
        definitions = _properties(job) if job.config.parameters else []
        return [*definitions, Bean(), Bean()]

    def _named(self, names: Sequence[str]) -> Sequence[Value]:
        return [self.job(job) for job in map(self.world.jobs.find, names) if job]

    def _upstream(self, job: Job) -> Sequence[Value]:
        return [self.job(other) for other in self.world.jobs.walk() if job.full_name in other.config.downstream]

    # ---- builds ------------------------------------------------------------------------------------------------

    def run(self, run: Run) -> Bean:
        fields = (
            Field("actions", lambda: _run_actions(run)),
            plain("artifacts", [_artifact(path) for path in run.artifacts]),
            plain("building", run.building),
            plain("description", run.description),
            plain("displayName", f"#{run.number}"),
            plain("duration", run.duration_ms),
            Field("estimatedDuration", lambda: run.job.estimate_ms),
            Field("executor", lambda: self.executor(run)),
            plain("fingerprint", (), 0),
            plain("fullDisplayName", f"{run.job.display_name} #{run.number}"),
            plain("id", str(run.number)),
            plain("keepLog", run.keep),
            plain("number", run.number, 3),
            plain("queueId", run.queue_id),
            plain("result", run.result),
            plain("timestamp", int(run.started * 1000)),
            plain("url", self.address(run.path), 3),
        )
        return Bean(RUN_CLASSES[run.job.config.kind], (*fields, *self._run_kind_fields(run)))

    def _run_kind_fields(self, run: Run) -> tuple[Field, ...]:
        culprits = plain("culprits", ())
        if run.job.config.kind is Kind.PIPELINE:
            return (
                plain("changeSets", ()),
                culprits,
                self._neighbour("nextBuild", run, 1),
                self._neighbour("previousBuild", run, -1),
            )
        changes = Bean("hudson.scm.EmptyChangeLogSet", (plain("items", (), 3), plain("kind", None, 3)))
        return (plain("builtOn", "" if run.node == "master" else run.node), plain("changeSet", changes), culprits)

    def _neighbour(self, name: str, run: Run, step: int) -> Field:
        other = run.job.runs.get(run.number + step)
        if other is None:
            return plain(name, None)
        fields = (plain("number", other.number, 3), plain("url", self.address(other.path), 3))
        return plain(name, Bean("", fields))

    def executor(self, run: Run) -> Bean | None:
        """Of a running build; the class is shown for one-off executors only."""
        if run.executor is None:
            return None
        return self.executor_bean(run.executor.number, run, idle=False)

    def executor_bean(self, number: int, run: Run | None, *, idle: bool) -> Bean:
        fields = (
            Field("currentExecutable", lambda: self._maybe_run(run)),
            plain("idle", idle),
            plain("likelyStuck", value=False),
            plain("number", number),
            Field("progress", lambda: self._progress(run)),
        )
        return Bean("hudson.model.OneOffExecutor" if number < 0 else "", fields)

    def _progress(self, run: Run | None) -> int:
        if run is None or run.job.estimate_ms < 0:
            return -1
        passed = (self.world.loop.now() - run.started) * 1000
        return min(int(passed * 100 / run.job.estimate_ms), LONGEST_PROGRESS)

    # ---- queue -------------------------------------------------------------------------------------------------

    def queue(self) -> Bean:
        items = [self.item(item) for item in self.world.queue.listed()]
        return Bean("hudson.model.Queue", (plain("discoverableItems", ()), plain("items", items, inline=True)))

    def item(self, item: Item) -> Bean:
        world, now = self.world, self.world.loop.now()
        reason = why(item, world.nodes, now, quieting_down=world.queue.quieting_down)
        fields = (
            Field("actions", lambda: _actions(item.parameters, item.causes)),
            plain("blocked", item.state is ItemState.BLOCKED),
            plain("buildable", item.state is ItemState.BUILDABLE),
            plain("id", item.item_id),
            plain("inQueueSince", int(item.since * 1000)),
            plain("params", "".join(f"\n{one.name}={one.value}" for one in item.parameters)),
            plain("stuck", stuck(item, world.nodes, now)),
            Field("task", lambda: self.job(item.job)),
            plain("url", f"queue/item/{item.item_id}/"),
            plain("why", reason),
        )
        return Bean(item.state, (*fields, *self._state_fields(item)))

    def _state_fields(self, item: Item) -> tuple[Field, ...]:
        since = plain("buildableStartMilliseconds", int(item.buildable_since * 1000))
        match item.state:
            case ItemState.WAITING:
                return (plain("timestamp", int(item.due * 1000)),)
            case ItemState.BLOCKED:
                return (since,)
            case ItemState.BUILDABLE:
                return (since, plain("pending", value=False))
            case ItemState.LEFT:
                return (
                    plain("cancelled", item.cancelled),
                    Field("executable", lambda: self._maybe_run(item.run)),
                )


def _properties(job: Job) -> list[Value]:
    if not job.config.parameters:
        return []
    definitions = [_definition(one) for one in job.config.parameters]
    return [Bean("hudson.model.ParametersDefinitionProperty", (plain("parameterDefinitions", definitions, 3),))]


def _definition(one: ParameterDefinition) -> Bean:
    default = ParameterValue(one.kind, one.name, one.default)
    choices = (plain("choices", one.choices, 3),) if one.choices else ()
    fields = (
        plain("defaultParameterValue", _parameter(default), 3),
        plain("description", one.description, 3),
        plain("name", one.name, 3),
        plain("type", f"{one.kind}ParameterDefinition", 3),
    )
    return Bean(f"hudson.model.{one.kind}ParameterDefinition", (*fields, *choices))


def _parameter(one: ParameterValue) -> Bean:
    name = plain("name", one.name, 3)
    match one.kind:
        case "Password":
            return Bean("hudson.model.PasswordParameterValue", (name,))
        case "Boolean":
            return Bean("hudson.model.BooleanParameterValue", (name, plain("value", one.value == "true", 4)))
    return Bean("hudson.model.StringParameterValue", (name, plain("value", one.value, 4)))


def _run_actions(run: Run) -> list[Value]:
    actions = _actions(run.parameters, run.causes)
    if run.aborted_by:
        text = plain("shortDescription", f"Aborted by {run.aborted_by}", 3)
        causes = [Bean("jenkins.model.CauseOfInterruption$UserInterruption", (text,))]
        actions.append(Bean("jenkins.model.InterruptedBuildAction", (plain("causes", causes),)))
    return actions


def _actions(parameters: Sequence[ParameterValue], causes: Sequence[Cause]) -> list[Value]:
    actions: list[Value] = []
    if parameters:
        values = plain("parameters", [_parameter(one) for one in parameters], 2)
        actions.append(Bean("hudson.model.ParametersAction", (values,)))
    if causes:
        actions.append(Bean("hudson.model.CauseAction", (plain("causes", [_cause(one) for one in causes], 2),)))
    return actions


def _cause(cause: Cause) -> Bean:
    text = plain("shortDescription", cause.text, 3)
    match cause:
        case UserCause(user):
            return Bean("hudson.model.Cause$UserIdCause", (text, plain("userId", user, 3), plain("userName", user, 3)))
        case UpstreamCause(project, build, url):
            where = (
                plain("upstreamBuild", build, 3),
                plain("upstreamProject", project, 3),
                plain("upstreamUrl", url, 3),
            )
            return Bean("hudson.model.Cause$UpstreamCause", (text, *where))
        case TriggerCause(kind):
            return Bean(kind, (text,))


def _artifact(path: str) -> Bean:
    name = path.rsplit("/", 1)[-1]
    return Bean("", (plain("displayPath", name, 3), plain("fileName", name, 3), plain("relativePath", path, 3)))


def _health(job: Job) -> Sequence[Value]:
    failed, counted = job.stability
    if not counted:
        return ()
    score = 100 * (counted - failed) // counted
    icon = next(name for least, name in HEALTH_STEPS if score >= least)
    text = {0: "No recent builds failed.", counted: "All recent builds failed."}
    shown = text.get(failed, f"{failed} out of the last {counted} builds failed.")
    return (
        Bean(
            "",
            (
                plain("description", f"Build stability: {shown}", 2),
                plain("iconClassName", f"icon-health-{icon}", 2),
                plain("iconUrl", f"health-{icon}.png", 2),
                plain("score", score, 2),
            ),
        ),
    )
