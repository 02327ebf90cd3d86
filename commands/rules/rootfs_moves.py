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


class Outcome(StrEnum):
    """How the build of one (name, architecture) ended. UNKNOWN: it could not be seen, which is no success."""

    BUILT = "built"
    FAILED = "failed"
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
    """One file that a test would load: `arch` is the root file system's architecture."""

    name: str
    arch: str
    entry: str
    url: str


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


def urls_of(systems: FileSystems, architectures: Mapping[str, Sequence[str]]) -> tuple[FileUrl, ...]:
    """Every URL to ask for, of each name in `architectures` and each of its architectures.

    Given the file with its new versions; RuleError if an entry's type has no URL.
    """
    found = []
    for entry in systems.entries:
        for line in entry.lines:
            base = systems.type_urls.get(entry.type)
            if base is None:
                raise RuleError(f"{entry.entry}: the file system type '{entry.type}' has no url")
            for arch in architectures.get(line.name, ()):
                url = f"{base.rstrip('/')}/{line.path.replace('{arch}', arch)}"
                found.append(FileUrl(line.name, arch, entry.entry, url))
    return tuple(found)


def confirm(moves: Moves, urls: Iterable[FileUrl], answers: Mapping[str, int]) -> Moves:
    """Keep every name of which a file did not answer 200; `answers` maps URLs to statuses, absent means not known."""
    bad: dict[str, list[FileUrl]] = {}
    for one in urls:
        if one.name in moves.moves and answers.get(one.url) != _OK:
            bad.setdefault(one.name, []).append(one)
    kept = [_kept_for_urls(name, listed, answers) for name, listed in bad.items()]
    left = {name: version for name, version in moves.moves.items() if name not in bad}
    return Moves(left, (*moves.kept, *kept))


def _kept_for_urls(name: str, listed: Sequence[FileUrl], answers: Mapping[str, int]) -> Kept:
    reasons = tuple(f"{one.url} answers {answers.get(one.url, 'nothing')}" for one in listed)
    archs = dict.fromkeys(one.arch for one in listed)
    return Kept(name, reasons, tuple(ArchResult(name, arch, Outcome.MISSING) for arch in archs))


def commit_subject(moves: Mapping[str, str], kept: Iterable[str], file: str = "test-configs.yaml") -> str:
    """`test-configs.yaml: update rootfs URLs to 20190506.0 except stretch-igt`; RuleError if nothing moves."""
    if not moves:
        raise RuleError("no root file system moves: there is nothing to commit")
    versions = sorted(set(moves.values()), key=version_numbers)
    left = sorted(kept)
    suffix = f" except {', '.join(left)}" if left else ""
    return f"{file}: update rootfs URLs to {', '.join(versions)}{suffix}"
