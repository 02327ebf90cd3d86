"""The checklist beside the job definitions: what pipelines and commit messages say about jobs, ticked by people."""

from collections.abc import Iterator, Mapping

from kcibot.sdk import (
    Call,
    Context,
    GitRemote,
    NotFound,
    Notice,
    Outcome,
    Preview,
    Remember,
    UserError,
    Words,
    command,
    listed,
)
from kcibot_commands.plan.steps import ReleaseSettings, plan
from kcibot_commands.rules.job_notes import PIPELINES, JobNote, message_notes, pipeline_notes

TICKED = "job-notes"
SHOWN = "job-notes-shown"
"""Topics: code -> who ticked it and when; and under LAST, code -> line of the checklist that was shown last."""
LAST = "last"


def notes(context: Context) -> tuple[JobNote, ...]:
    """What is said about jobs between production and what would be released, pipelines first."""
    found: list[JobNote] = []
    said: list[JobNote] = []
    for git, old, new in _ranges(context):
        for path in git.changed_paths(old, new):
            if path.path.endswith(PIPELINES):
                found += pipeline_notes(path.path, _text(git, old, path.old or path.path), _text(git, new, path.path))
        said += message_notes(git.log(old, new))
    return tuple(dict.fromkeys((*found, *said)))


def checklist(context: Context) -> tuple[str, ...]:
    """The notes as rows to tick; empty if there are none."""
    all_notes = notes(context)
    if not all_notes:
        return ()
    context.remember(SHOWN, LAST, {note.code: note.text for note in all_notes})
    ticked = context.recall(TICKED)
    return ("To check by hand; !jobs tick CODE ticks a line:", *(_row(note, ticked) for note in all_notes))


def unticked(context: Context) -> tuple[JobNote, ...]:
    ticked = context.recall(TICKED)
    return tuple(note for note in notes(context) if note.code not in ticked)


def about_notes(context: Context) -> Preview:
    """For people only: ticking a line changes nothing that was approved."""
    return Preview({}, checklist(context))


def _row(note: JobNote, ticked: Mapping[str, object]) -> str:
    mark = ticked.get(note.code)
    who = f" ({mark['who']})" if isinstance(mark, dict) else ""
    return f"  [{'x' if who else ' '}] {note.code} {note.text}{who}"


def _ranges(context: Context) -> Iterator[tuple[GitRemote, str, str]]:
    """Of every component: what production has, and what it would get."""
    if context.has_result(plan):
        released = (part for part in context.result(plan).parts.values() if not part.read_only)
        for part in released:
            yield context.ports.git.remote(part.component), part.base or part.production, part.release
        return
    for name, component in context.settings(ReleaseSettings).components.items():
        if component.read_only:
            continue  # a kernel's history is fetched by those only who need it
        git = context.ports.git.remote(name)
        git.fetch()
        branches = git.branches()
        if component.production in branches and component.development in branches:
            yield git, branches[component.production], branches[component.development]


def _text(git: GitRemote, commit: str, path: str) -> str:
    """A pipeline that is not there has no header."""
    try:
        return git.read(commit, path)
    except NotFound:
        return ""


@command("jobs tick", role="operator", example="!jobs tick 4f02aa")
def jobs_tick(call: Call, code: Words) -> Outcome:
    """Tick lines of the checklist that !jobs diff shows: somebody saw to it that the job is right."""
    last = call.world.journal.recall(SHOWN).get(LAST)
    shown = last if isinstance(last, dict) else {}
    unknown = [one for one in code if one not in shown]
    if unknown:
        raise UserError(f"{listed(unknown)} is no line of the checklist. !jobs diff shows it")
    mark = {"who": call.person.id, "at": call.world.clock.now().isoformat()}
    changes = tuple(Remember(TICKED, one, mark) for one in code)
    told = Notice(f"Ticked by {call.person.id}", lines=tuple(str(shown[one]) for one in code))
    return call.audited(Outcome(told, changes), "jobs tick", ", ".join(str(shown[one]) for one in code))
