"""Which URLs of `test-configs.yaml` move after a round of builds, as values: the new text, and who keeps what and why.

A name moves only if all of it was built and every file that a test would load is there. The others keep their version.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kcibot_commands.rootfs.builds import RootfsBuild
from kcibot_commands.rules.problem import Problem, RuleError, Severity
from kcibot_commands.rules.rootfs_moves import (
    Answers,
    FileUrl,
    Kept,
    Moves,
    confirm,
    decide,
    served,
    unlisted,
    urls_of,
)
from kcibot_commands.rules.rootfs_urls import Change, FileSystems, Update, file_problems, planned_update, same_except

Ask = Callable[[Sequence[FileUrl]], Answers]
"""Asks the file server for files."""


@dataclass(frozen=True)
class Decision:
    """The new text (the old one if nothing moves), what moves and what is kept, and how many files were seen."""

    update: Update
    moves: Mapping[str, str]
    kept: tuple[Kept, ...]
    files: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of the names that stay."""
        return (*(f"{one.name} keeps its version: {'; '.join(one.reasons)}" for one in self.kept), *self.warnings)

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(problem.text for problem in self.update.problems if problem.severity is Severity.WARN)


def decision(text: str, built: RootfsBuild, ask: Ask, dropped: Mapping[str, Sequence[str]] | None = None) -> Decision:
    """Judge the builds, then the file, then the server. Raises RuleError if the edit would not be what was planned.

    `dropped` are architectures that a name no longer has on purpose.
    """
    used = FileSystems.read(text).versions()
    moves = _without_misfits(FileSystems.read(text), decide(built.results, built.architectures))
    before = _served(FileSystems.read(text), built, moves, ask, dropped or {})
    files = 0
    while True:
        update = planned_update(text, moves.moves)
        moving = {change.name: change.new for change in update.changes}
        listed = {name: built.architectures[name] for name in moving}
        urls = urls_of(FileSystems.read(update.text), listed, before)
        confirmed = confirm(Moves(moving, ()), urls, ask(urls) if urls else {})
        files = len(urls)
        if len(confirmed.moves) == len(moving):
            break
        # Taking one name out may leave another's entry in two halves: judge again without it.
        moves = Moves({n: v for n, v in moves.moves.items() if n in confirmed.moves}, (*moves.kept, *confirmed.kept))
    _check(text, update)
    stay = _refused(moves.moves, moving, update.problems, used)
    kept = tuple(one for one in (*moves.kept, *stay) if one.name in used)
    return Decision(update, moving, kept, files)


def _served(
    systems: FileSystems, built: RootfsBuild, moves: Moves, ask: Ask, dropped: Mapping[str, Sequence[str]]
) -> Mapping[str, Mapping[str, str]]:
    """What the versions in use have files for, beside what is listed: the new ones must have it too."""
    changing = {
        name: built.architectures[name] for name, version in moves.moves.items() if _changes(systems, name, version)
    }
    listed = (arch for archs in built.architectures.values() for arch in archs)
    wanted = unlisted(systems, changing, (*listed, *built.others))
    versions = systems.versions()
    now = {
        name: {arch: versions[name][-1] for arch in archs if arch not in dropped.get(name, ())}
        for name, archs in wanted.items()
    }
    urls = tuple(one for one in urls_of(systems, {}, now) if one.served)
    return served(urls, ask(urls)) if urls else {}


def _changes(systems: FileSystems, name: str, version: str) -> bool:
    return any(line.name == name and line.version != version for line in systems.lines)


def _without_misfits(systems: FileSystems, moves: Moves) -> Moves:
    """Names with an entry that boots the wrong file stay until a person has put the entry right."""
    wrong: dict[str, list[str]] = {}
    for entry in systems.entries:
        for problem in file_problems(replace(systems, entries=(entry,))):
            for name in {line.name for line in entry.lines}:
                wrong.setdefault(name, []).append(problem.text)
    kept = tuple(Kept(name, tuple(texts)) for name, texts in wrong.items() if name in moves.moves)
    left = {name: version for name, version in moves.moves.items() if name not in wrong}
    return Moves(left, (*moves.kept, *kept))


def _refused(
    wanted: Mapping[str, str],
    moving: Mapping[str, str],
    problems: Iterable[Problem],
    used: Mapping[str, tuple[str, ...]],
) -> Iterator[Kept]:
    """Names that were built, but whose lines may not change; one that has this version already needs no word."""
    texts = tuple(problem.text for problem in problems if problem.severity is Severity.STOP)
    for name, version in wanted.items():
        if name not in moving and used.get(name) not in {None, (version,)}:
            yield Kept(name, tuple(text for text in texts if name in text) or ("its lines cannot move alone",))


def _check(text: str, update: Update) -> None:
    found = same_except(text, update.text, update.changes)
    if found:
        raise RuleError(f"the edit would change more than the URLs: {found[0].text}; nothing was changed")


# ---- the same, seen as data ------------------------------------------------------------------------------------


def same_leaves_except(old: object, new: object, changes: Iterable[Change]) -> tuple[str, ...]:
    """Empty if the parsed files differ in the planned values only; else where they differ otherwise.

    Aliases are resolved by then, so that an edit which reached further than its own line would be seen here.
    """
    planned: dict[tuple[str, ...], Change] = {("file_systems", one.entry, one.key): one for one in changes}
    before, after = dict(_leaves(old)), dict(_leaves(new))
    differing = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    missing = [path for path in planned if path not in differing]
    wrong = [path for path in differing if path not in planned or not _as_planned(before, after, planned, path)]
    return tuple(".".join(path) for path in sorted({*missing, *wrong}))


Leaves = Mapping[tuple[str, ...], object]


def _as_planned(
    before: Leaves, after: Leaves, planned: Mapping[tuple[str, ...], Change], path: tuple[str, ...]
) -> bool:
    change = planned[path]
    old, new = f"{change.name}/{change.old}/", f"{change.name}/{change.new}/"
    return after.get(path) == str(before.get(path)).replace(old, new, 1)


def _leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, str(index)))
    else:
        yield path, value
