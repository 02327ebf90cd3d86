"""Which root file systems move to their new version, and which keep the old one (KernelCI's procedure, step 8).

A name moves only if every architecture of its list was built and every URL of every entry that uses it answers. A
missing check once cost three weeks: a name pointed to a version that had not been built for arm64.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kcibot_commands.rules.problem import RuleError
from kcibot_commands.rules.rootfs_urls import VERSION, FileSystems, version_numbers

_OK = 200
_NOT_THERE = 404

Answers = Mapping[str, int | str]
"""URL -> HTTP status, or why it could not be seen, as a clause. A URL that is not in it was not asked for."""


class Outcome(StrEnum):
    """How the build of one (name, architecture) ended. STOPPED: killed, as by its time limit, which leaves traces.

    UNKNOWN: it could not be seen, which is no success.
    """

    BUILT = "built"
    FAILED = "failed"
    STOPPED = "stopped"
    MISSING = "not built"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ArchResult:
    """The result of one (name, architecture); `version` is the one in its artefacts' paths, `log` a link."""

    name: str
    arch: str
    outcome: Outcome
    version: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A name that stays at its version: why, and the results to be reported."""

    name: str
    reasons: tuple[str, ...]
    failed: tuple[ArchResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Moves:
    """`moves` maps names to their new versions; `kept` are the others."""

    moves: Mapping[str, str]
    kept: tuple[Kept, ...]


@dataclass(frozen=True, slots=True)
class FileUrl:
    """One file that a test would load: `arch` is the root file system's architecture.

    `served` is the version that has files for an architecture which the name's list does not hold (any more).
    """

    name: str
    arch: str
    entry: str
    url: str
    served: str = ""


def decide(results: Iterable[ArchResult], architectures: Mapping[str, Sequence[str]]) -> Moves:
    """Judge the builds alone; `architectures` holds the whole list of each name that was to be built."""
    found: dict[tuple[str, str], ArchResult] = {(one.name, one.arch): one for one in results}
    moves: dict[str, str] = {}
    kept = []
    for name, archs in architectures.items():
        rows = [found.get((name, arch), ArchResult(name, arch, Outcome.MISSING)) for arch in archs]
        reasons = _build_reasons(rows)
        if reasons:
            kept.append(Kept(name, reasons, tuple(row for row in rows if row.outcome is not Outcome.BUILT)))
        else:
            moves[name] = rows[0].version
    return Moves(moves, tuple(kept))


def _build_reasons(rows: Sequence[ArchResult]) -> tuple[str, ...]:
    if not rows:
        return ("no architecture is listed for it",)
    failed = tuple(f"{row.arch}: {row.outcome}" for row in rows if row.outcome is not Outcome.BUILT)
    versions = sorted({row.version for row in rows if row.outcome is Outcome.BUILT})
    if failed:
        return failed
    if not all(VERSION.fullmatch(version) for version in versions):
        return (f"its build names no usable version: '{versions[0]}'",)
    if len(versions) > 1:
        return (f"its architectures have different versions: {', '.join(versions)}",)
    return ()


def unlisted(
    systems: FileSystems, architectures: Mapping[str, Sequence[str]], others: Iterable[str]
) -> Mapping[str, tuple[str, ...]]:
    """Name -> architectures that are not on its list, but on another's (`others`), or in its type's `arch_map`."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in systems.entries:
        every = dict.fromkeys((*others, *systems.type_archs.get(entry.type, ())))
        for name in {line.name for line in entry.lines if line.name in architectures}:
            found[name] = tuple(arch for arch in every if arch not in architectures[name])
    return found


def served(urls: Iterable[FileUrl], answers: Answers) -> Mapping[str, Mapping[str, str]]:
    """Name -> architecture -> the version in use, for which there is a file, or may be one that could not be seen.

    A list that had lost an architecture once moved a name to a version without it: three weeks, three releases.
    """
    found: dict[str, dict[str, str]] = {}
    for one in urls:
        if answers.get(one.url) != _NOT_THERE:
            found.setdefault(one.name, {})[one.arch] = one.served
    return found


def urls_of(
    systems: FileSystems,
    architectures: Mapping[str, Sequence[str]],
    before: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[FileUrl, ...]:
    """Every URL to ask for, of each name in `architectures` and each of its architectures.

    Given the file with its new versions; `before` are those that are served without being listed. RuleError if an
    entry's type has no URL.
    """
    more = before or {}
    found = []
    for entry in systems.entries:
        for line in entry.lines:
            base = systems.type_urls.get(entry.type)
            if base is None:
                raise RuleError(f"{entry.entry}: the file system type '{entry.type}' has no url")
            unlisted_too = more.get(line.name, {})
            for arch in (*architectures.get(line.name, ()), *unlisted_too):
                url = f"{base.rstrip('/')}/{line.path.replace('{arch}', arch)}"
                found.append(FileUrl(line.name, arch, entry.entry, url, unlisted_too.get(arch, "")))
    return tuple(found)


def confirm(moves: Moves, urls: Iterable[FileUrl], answers: Answers) -> Moves:
    """Keep every name of which a file did not answer 200."""
    bad: dict[str, list[FileUrl]] = {}
    for one in urls:
        if one.name in moves.moves and answers.get(one.url) != _OK:
            bad.setdefault(one.name, []).append(one)
    kept = [_kept_for_urls(name, listed, answers) for name, listed in bad.items()]
    left = {name: version for name, version in moves.moves.items() if name not in bad}
    return Moves(left, (*moves.kept, *kept))


def _kept_for_urls(name: str, listed: Sequence[FileUrl], answers: Answers) -> Kept:
    reasons = tuple(_reason(one, answers.get(one.url, "nothing")) for one in listed)
    archs = dict.fromkeys(one.arch for one in listed)
    return Kept(name, reasons, tuple(ArchResult(name, arch, Outcome.MISSING) for arch in archs))


def _reason(one: FileUrl, answer: int | str) -> str:
    seen = f"{one.url} answers {answer}" if isinstance(answer, int) or answer == "nothing" else answer
    return f"{seen}, while {one.served} serves {one.arch}" if one.served else seen


def commit_subject(moves: Mapping[str, str], kept: Iterable[str], file: str = "test-configs.yaml") -> str:
    """`test-configs.yaml: update rootfs URLs to 20190506.0 except stretch-igt`; RuleError if nothing moves."""
    if not moves:
        raise RuleError("no root file system moves: there is nothing to commit")
    versions = sorted(set(moves.values()), key=version_numbers)
    left = sorted(kept)
    suffix = f" except {', '.join(left)}" if left else ""
    return f"{file}: update rootfs URLs to {', '.join(versions)}{suffix}"
