"""What a run did to production, as far as it can be taken back: read from the journal, before anybody is asked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from kcibot.sdk import ACTED, Call, Effect, EffectState, Run, RunState, StepState, UserError, listed
from kcibot_commands.announce.draft import Told
from kcibot_commands.deploy.steps import deploy_backend, deploy_frontend
from kcibot_commands.images.digests import DIGESTS, Recorded, recorded
from kcibot_commands.images.push import push_images
from kcibot_commands.jobs.compare import JobsSettings
from kcibot_commands.jobs.kept import KEPT, all_kept
from kcibot_commands.jobs.steps import apply_job_definitions
from kcibot_commands.plan.steps import MOVED, Part, Plan, plan
from kcibot_commands.production import push_core
from kcibot_commands.tags import create_tags

NAME = "rollback"
RELEASE = "release"
CORE = "core"
DEPLOYERS = {"backend": deploy_backend.id, "frontend": deploy_frontend.id}
BY_HAND = "run-playbook"
"""The step of `!deploy`."""
TAKEN_BACK = frozenset({RELEASE, "images push", "jobs apply"})
INSTEAD = {
    "deploy": "!deploy COMPONENT REVISION puts another version there",
    NAME: "!release prepare brings production forward again",
    "jobs restore": "!jobs restore once more brings the other definition back",
}
"""What people do about runs of other procedures."""
NEWEST, EVER = 100, 100_000
"""Runs that are read at first, and when those do not tell."""


@dataclass(frozen=True)
class Move:
    """A production branch that was at `old`, and that the run set to each of `left`, the newest first."""

    old: str
    left: tuple[str, ...]


@dataclass(frozen=True)
class Replaced:
    """An image that was `before` (empty: there was none), and that the run made to be each of `left`."""

    before: str
    left: tuple[str, ...]


@dataclass(frozen=True)
class Playbooks:
    """The version that ran before, and the commit of the playbooks that had deployed it."""

    version: str
    configuration: str


@dataclass(frozen=True)
class RollbackArgs:
    """What a run did, as far as it can be taken back, and what stays.

    `heirs` are rollbacks of the same run that were ended before: what they and the run hold is now this one's.
    `jobs` are those whose definitions were kept, `made` those that the run made anew. `quiet`: it worked while nothing
    was built, and so does what takes it back.
    """

    run: int
    title: str
    heirs: tuple[int, ...] = ()
    branches: Mapping[str, Move] = field(default_factory=dict)
    images: Mapping[str, Replaced] = field(default_factory=dict)
    jobs: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    playbooks: Mapping[str, Playbooks] = field(default_factory=dict)
    stays: tuple[str, ...] = ()
    quiet: bool = False

    @property
    def anything(self) -> bool:
        return bool(self.branches or self.images or self.jobs)

    @property
    def runs(self) -> tuple[int, ...]:
        """Whose lock and pause are to be taken over."""
        return (self.run, *self.heirs)


# ---- which run -------------------------------------------------------------------------------------------------


def chosen(call: Call, number: int) -> RollbackArgs:
    """What that run did; without a number, the newest release that changed production.

    Raises UserError if there is none, or if it cannot be taken back in this way.
    """
    under_way = [run for run in call.world.journal.open_runs() if run.procedure == NAME]
    if under_way:
        one = under_way[0]
        raise UserError(f"{one.title} is under way: !release status --run {one.id} shows it")
    return _of_run(call, call.world.journal.run(number)) if number else _of_last_release(call)


def _of_run(call: Call, run: Run) -> RollbackArgs:
    if not run.ended:
        raise UserError(f"{run.title} is under way: !release abort REASON --run {run.id} ends it")
    if run.procedure not in TAKEN_BACK:
        instead = INSTEAD.get(run.procedure, "a release, !images push and !jobs apply can be taken back")
        raise UserError(f"{run.title} cannot be taken back in this way: {instead}")
    found = undoable(call, run)
    if not found.anything:
        raise UserError(f"{run.title} has not changed production in a way that could be taken back")
    return found


def _of_last_release(call: Call) -> RollbackArgs:
    """A release that came to nothing does not hide the one before it."""
    nothing = ""
    for run in _runs(call):
        if run.procedure != RELEASE:
            continue
        if not run.ended:
            raise UserError(f"{run.title} is under way: !release abort REASON ends it, then it can be rolled back")
        found = undoable(call, run)
        if found.anything:
            _refuse_twice(call, run)
            return found
        nothing = nothing or f"{run.title} has not changed production, so there is nothing to roll back"
    raise UserError(nothing or "there is no release to roll back")


def _refuse_twice(call: Call, run: Run) -> None:
    for one in _rollbacks(call, run):
        if one.state is RunState.SUCCEEDED:
            raise UserError(
                f"{run.title} was rolled back by run {one.id} already. !release rollback --run {run.id} does it once "
                "more; with the number of an older one (!release history) that is rolled back"
            )


def _rollbacks(call: Call, run: Run) -> list[Run]:
    """Newest first."""
    later = (one for one in takewhile(lambda one: one.id > run.id, _runs(call)) if one.procedure == NAME)
    return [one for one in later if isinstance(one.args, dict) and one.args.get("run") == run.id]


def _runs(call: Call) -> Iterator[Run]:
    """Every run, newest first. Verbs that only answer are runs, too: the newest may all be such."""
    newest = call.world.journal.runs(NEWEST)
    yield from newest
    if len(newest) == NEWEST:
        yield from call.world.journal.runs(EVER)[NEWEST:]


# ---- what it did -----------------------------------------------------------------------------------------------


def undoable(call: Call, run: Run) -> RollbackArgs:
    """Also what a step moved that broke later or was skipped after that."""
    parts = _parts(call, run)
    branches = dict(_moves(call, run, parts))
    jobs = tuple(sorted({one.job for one in all_kept(call.world.journal.recall(KEPT)) if one.run == run.id}))
    deployed = [name for name in DEPLOYERS if name in branches]
    return RollbackArgs(
        run=run.id,
        title=run.title,
        heirs=tuple(one.id for one in _rollbacks(call, run)),
        branches=branches,
        images=_replaced(call, run),
        jobs=jobs,
        made=_made(call, run, jobs),
        playbooks=dict(_playbooks(call, run, deployed)) if deployed else {},
        stays=tuple(_stays(call, run, parts)),
        quiet=run.procedure == RELEASE,
    )


def _parts(call: Call, run: Run) -> Mapping[str, Part]:
    """Of the plan that was frozen last; none if it was to be frozen anew and was not."""
    frozen = next((step.value for step in run.steps if step.id == plan.id and step.state is StepState.DONE), None)
    return call.world.journal.codec.load(Plan, frozen).parts if frozen is not None else {}


def _moves(call: Call, run: Run, parts: Mapping[str, Part]) -> Iterator[tuple[str, Move]]:
    standing = call.world.journal.recall(MOVED) if run.procedure == RELEASE else {}
    for component, step_id in _movers(call).items():
        part = parts.get(component)
        old = (part.base or part.production) if part else str(standing.get(component, ""))
        left = dict.fromkeys(_left(call, run, component, step_id, part))
        at = tuple(commit for commit in left if commit and commit != old)
        if old and at:
            yield component, Move(old, at)


def _movers(call: Call) -> Mapping[str, str]:
    """Which step moves which component's production branch."""
    definitions = call.world.settings(JobsSettings).component
    return {CORE: push_core.id, **DEPLOYERS, definitions: apply_job_definitions.id}


def _left(call: Call, run: Run, component: str, step_id: str, part: Part | None) -> Iterator[str]:
    """Where the run left the branch, or may have left it, newest first: also an earlier revision of it."""
    pushes = [one for one in _effects(call, run, step_id) if one.key.startswith(f"push {component} ")]
    for one in (one for one in pushes if one.state in ACTED):
        if one.state is EffectState.DONE and isinstance(one.value, str):
            yield one.value
        elif part:
            yield part.release
    if part and part.base:
        yield part.production


def _effects(call: Call, run: Run, step_id: str) -> Iterator[Effect]:
    """Of every round of that step, newest first."""
    for step in (step for step in run.steps if step.id == step_id):
        for number in range(step.round, 0, -1):
            yield from call.world.journal.effects(run.id, step_id, number).values()


def _replaced(call: Call, run: Run) -> Mapping[str, Replaced]:
    """Every image that it pushed, or may have pushed, also if it did not come to the end of them."""
    known = recorded(call.world.journal.recall(DIGESTS), run.id) or Recorded({}, {}, run.id)
    before = dict(known.before)
    pushed = {name: [digest] for name, digest in known.after.items()}
    for one in _effects(call, run, push_images.id):
        kind, _, name = one.key.partition(" ")
        if kind == "before" and one.state is EffectState.SEEN and one.value:
            before.setdefault(name, str(one.value))
        if kind == "push" and one.state in ACTED:
            pushed.setdefault(name, []).extend([str(one.value)] if one.state is EffectState.DONE else [])
    return {name: Replaced(before.get(name, ""), tuple(dict.fromkeys(left))) for name, left in pushed.items()}


def _made(call: Call, run: Run, kept: Sequence[str]) -> tuple[str, ...]:
    """Jobs that it wrote and that were not there before."""
    written = (one.key for one in _effects(call, run, apply_job_definitions.id) if one.state is EffectState.DONE)
    names = {key.removeprefix("define ") for key in written if key.startswith("define ")}
    return tuple(sorted(names - set(kept)))


def _playbooks(call: Call, run: Run, components: Sequence[str]) -> Iterator[tuple[str, Playbooks]]:
    """The last deployment of each before that run, whoever made it."""
    wanted = set(components)
    for one in (one for one in _runs(call) if one.id < run.id):
        for component in sorted(wanted):
            found = _deployed(one, component)
            if found:
                wanted.remove(component)
                yield component, found
        if not wanted:
            return


def _deployed(run: Run, component: str) -> Playbooks | None:
    ids = {DEPLOYERS[component], BY_HAND, back_id(component)}
    values = [step.value for step in run.steps if step.id in ids and step.state is StepState.DONE]
    for value in (value for value in values if isinstance(value, dict) and value.get("component") == component):
        if value.get("configuration"):
            return Playbooks(str(value["version"]), str(value["configuration"]))
    return None


def back_id(component: str) -> str:
    """The step of a rollback that takes that component back."""
    return f"{component}-back"


def _stays(call: Call, run: Run, parts: Mapping[str, Part]) -> Iterator[str]:
    """What was made for all to see, and is not taken back."""
    made = any(step.id == create_tags.id and step.state is StepState.DONE for step in run.steps)
    tags = [f"{part.component} {part.tag}" for part in parts.values() if part.tag]
    if made and tags:
        yield f"tags stay: {listed(tags)}"
    committed = [part.component for part in parts.values() if part.tag and part.release != part.development]
    if made and committed:
        yield f"what the release committed stays on the development branch of {listed(committed)}"
    told = Told.of(call.world.journal.recall, run.id)
    if told and not told.called_off:
        how = f"!announce cancel REASON --run {run.id} tells" if run.state is RunState.ABORTED else "by hand, tell"
        yield f"the list was told of {told.release}: {how} it that it was taken back"
