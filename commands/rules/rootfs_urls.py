"""The root file system URLs of `test-configs.yaml` (KernelCI's procedure, step 8), edited line by line.

The file is never loaded and dumped: it has anchors, aliases, merge keys and comments which a dump loses. Only the
version in the lines of the chosen names is replaced. Which names move is decided in `rootfs_moves`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from kcibot_commands.rules.problem import Problem, RuleError, Severity

_LINE = re.compile(
    r"^ {4}(?P<key>ramdisk|nfs): (?P<quote>['\"]?)(?P<name>[a-z0-9.-]+)/(?P<ver>[0-9]{8}\.[0-9]+)"
    r"/\{arch\}/(?P<file>[A-Za-z0-9_.]+)(?P=quote)$"
)
_NEAR_MISS = re.compile(r"^\s*(ramdisk|nfs)\s*:.*/[0-9]{8}\.[0-9]+/")
_SECTION = re.compile(r"^(?P<name>[\w-]+):")
_ENTRY = re.compile(r"^ {2}(?P<name>[^\s#:'\"][^:]*):")
_TYPE = re.compile(r"^ {4}type: ['\"]?(?P<value>[\w.-]+)['\"]?\s*(?:#.*)?$")
_URL = re.compile(r"^ {4}url: ['\"]?(?P<value>[^'\"\s]+)['\"]?\s*(?:#.*)?$")
_ARCH = re.compile(r"^ {6}(?P<arch>[\w-]+):")
_ROOT_TYPE_NFS = re.compile(r"^ {4}root_type: ['\"]?nfs['\"]?\s*(?:#.*)?$")
VERSION = re.compile(r"([0-9]{8})\.([0-9]+)")
RAMDISK_FILE = "rootfs.cpio.gz"
INITRD_FILE = "initrd.cpio.gz"
NFS_FILE = "full.rootfs.tar.xz"


@dataclass(frozen=True, slots=True)
class Line:
    """One URL line; `number` counts from 1, `key` is ramdisk or nfs."""

    number: int
    key: str
    name: str
    version: str
    file: str

    @property
    def path(self) -> str:
        """What is appended to the type's URL, `{arch}` still in it."""
        return f"{self.name}/{self.version}/{{arch}}/{self.file}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of `file_systems` with dated URLs."""

    entry: str
    type: str
    lines: tuple[Line, ...]
    nfs_root: bool = False

    def line(self, key: str) -> Line | None:
        return next((line for line in self.lines if line.key == key), None)


@dataclass(frozen=True, slots=True)
class FileSystems:
    """What a `test-configs.yaml` says of dated root file systems. `near_misses` are lines the pattern does not read.

    `type_archs` are the root file systems' architectures that a type's `arch_map` names.
    """

    type_urls: Mapping[str, str]
    entries: tuple[Entry, ...]
    near_misses: tuple[int, ...] = ()
    type_archs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the text line by line."""
        reading = _Reading()
        for number, line in enumerate(text.split("\n"), start=1):
            reading.take(number, line)
        dated = tuple(entry for entry in reading.entries if entry.lines)
        archs = {kind: tuple(found) for kind, found in reading.type_archs.items()}
        return cls(reading.type_urls, dated, tuple(reading.near_misses), archs)

    @property
    def lines(self) -> tuple[Line, ...]:
        """All dated lines, in the file's order."""
        return tuple(line for entry in self.entries for line in entry.lines)

    def versions(self) -> Mapping[str, tuple[str, ...]]:
        """The versions of each name, lowest first; more than one if the file is not consistent."""
        found: dict[str, set[str]] = {}
        for line in self.lines:
            found.setdefault(line.name, set()).add(line.version)
        return {name: tuple(sorted(all_of, key=version_numbers)) for name, all_of in found.items()}


@dataclass(slots=True)
class _Reading:
    """Where the reader is in the file."""

    section: str = ""
    key: str = ""
    type_urls: dict[str, str] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    near_misses: list[int] = field(default_factory=list)
    type_archs: dict[str, list[str]] = field(default_factory=dict)

    def take(self, number: int, line: str) -> None:
        section, entry = _SECTION.match(line), _ENTRY.match(line)
        if section:
            self.section, self.key = section["name"], ""
        elif entry:
            self.key = entry["name"].strip()
            if self.section == "file_systems":
                self.entries.append(Entry(self.key, "", ()))
        elif self.section == "file_system_types":
            self._take_type(line)
        elif self.section == "file_systems" and self.entries:
            self._take_value(number, line)

    def _take_type(self, line: str) -> None:
        url, arch = _URL.match(line), _ARCH.match(line)
        if url:
            self.type_urls[self.key] = url["value"]
        elif arch:
            self.type_archs.setdefault(self.key, []).append(arch["arch"])

    def _take_value(self, number: int, line: str) -> None:
        current = self.entries[-1]
        dated, kind = _LINE.match(line), _TYPE.match(line)
        if dated:
            added = Line(number, dated["key"], dated["name"], dated["ver"], dated["file"])
            self.entries[-1] = replace(current, lines=(*current.lines, added))
        elif kind:
            self.entries[-1] = replace(current, type=kind["value"])
        elif _ROOT_TYPE_NFS.match(line):
            self.entries[-1] = replace(current, nfs_root=True)
        elif _NEAR_MISS.match(line):
            self.near_misses.append(number)


def version_numbers(version: str) -> tuple[int, int]:
    """`20190322.1` as integers, so that `.10` comes after `.9`. RuleError for anything else."""
    match = VERSION.fullmatch(version)
    if match is None:
        raise RuleError(f"'{version}' is no version of a root file system: it must look like 20190322.1")
    return (int(match[1]), int(match[2]))


# ---- the rule of the files -------------------------------------------------------------------------------------


def file_problems(systems: FileSystems) -> tuple[Problem, ...]:
    """Entries that name the wrong file: an nfs entry boots an initrd and mounts a tarball, a ramdisk is a rootfs.

    A reviewer once had to catch `rootfs.cpio.gz` as the ramdisk of an nfs entry.
    """
    return tuple(Problem("file", text) for entry in systems.entries for text in _wrong_files(entry))


def _wrong_files(entry: Entry) -> Iterable[str]:
    ramdisk, nfs = entry.line("ramdisk"), entry.line("nfs")
    wanted = INITRD_FILE if nfs or entry.nfs_root else RAMDISK_FILE
    kind = "nfs" if nfs or entry.nfs_root else "ramdisk"
    if ramdisk is None:
        yield f"{entry.entry}: an nfs entry needs a ramdisk with {INITRD_FILE}"
    elif ramdisk.file != wanted:
        yield f"{entry.entry}: the ramdisk of {_an(kind)} entry must be {wanted}, not {ramdisk.file}"
    if nfs is None and entry.nfs_root:
        yield f"{entry.entry}: root_type is nfs, but there is no nfs line"
    if nfs and nfs.file != NFS_FILE:
        yield f"{entry.entry}: the nfs root must be {NFS_FILE}, not {nfs.file}"
    if nfs and not entry.nfs_root:
        yield f"{entry.entry}: an nfs entry needs root_type: nfs"


def _an(kind: str) -> str:
    return f"an {kind}" if kind == "nfs" else f"a {kind}"


# ---- the update ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One line that gets another version."""

    number: int
    entry: str
    key: str
    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Update:
    """The new text, the lines changed, and why some names were left alone."""

    text: str
    changes: tuple[Change, ...]
    problems: tuple[Problem, ...] = ()


def planned_update(text: str, new_versions: Mapping[str, str]) -> Update:
    """Give the chosen names their new versions. Every other character stays; no line goes down in version.

    A name is left alone, with a problem, if it would go down, if the file does not use it, or if one of its entries
    would end up with two different versions in its ramdisk and nfs lines.
    """
    systems = FileSystems.read(text)
    refused = _refused(systems, new_versions)
    moving = {name: version for name, version in new_versions.items() if name not in refused}
    changes = tuple(
        Change(line.number, entry.entry, line.key, line.name, line.version, moving[line.name])
        for entry in systems.entries
        for line in entry.lines
        if line.name in moving and line.version != moving[line.name]
    )
    unread = tuple(
        Problem("unread", f"line {number} has a version, but not the usual form: it is left alone", Severity.WARN)
        for number in systems.near_misses
    )
    return Update(_applied(text, changes), changes, (*refused.values(), *unread))


def _refused(systems: FileSystems, new_versions: Mapping[str, str]) -> Mapping[str, Problem]:
    refused: dict[str, Problem] = {}
    present = systems.versions()
    for name, version in new_versions.items():
        used = present.get(name)
        if used is None:
            refused[name] = Problem("unused", f"no entry uses {name}: there is nothing to update", Severity.WARN)
        elif not VERSION.fullmatch(version):
            refused[name] = Problem("version", f"'{version}' is no version of a root file system ({name})")
        elif version_numbers(used[-1]) > version_numbers(version):
            refused[name] = Problem("down", f"{name} is at {used[-1]} already: it does not go down to {version}")
    split = _split_entries(systems, {n: v for n, v in new_versions.items() if n not in refused})
    return {**refused, **split}


def _split_entries(systems: FileSystems, moving: Mapping[str, str]) -> Mapping[str, Problem]:
    """Names whose move would leave an nfs entry in two halves; taking one out may split another, so until it rests."""
    refused: dict[str, Problem] = {}
    while True:
        left = {name: version for name, version in moving.items() if name not in refused}
        fresh = {
            line.name: Problem("split", f"{entry.entry} would have two versions: its lines must move together")
            for entry in systems.entries
            if len({left.get(line.name, line.version) for line in entry.lines}) > 1
            for line in entry.lines
            if line.name in left
        }
        if not fresh:
            return refused
        refused.update(fresh)


def _applied(text: str, changes: Iterable[Change]) -> str:
    lines = text.split("\n")
    for change in changes:
        index = change.number - 1
        lines[index] = lines[index].replace(f"{change.name}/{change.old}/", f"{change.name}/{change.new}/", 1)
    return "\n".join(lines)


def same_except(old_text: str, new_text: str, changes: Sequence[Change]) -> tuple[Problem, ...]:
    """Empty if the new text is the old one with exactly the planned changes, every line accounted for."""
    planned = {change.number: change for change in changes}
    old_lines, new_lines = old_text.split("\n"), new_text.split("\n")
    if len(old_lines) != len(new_lines):
        return (Problem("lines", f"the file would have {len(new_lines)} lines instead of {len(old_lines)}"),)
    found = []
    for number, (old, new) in enumerate(zip(old_lines, new_lines, strict=True), start=1):
        change = planned.get(number)
        wanted = _applied(old, [replace(change, number=1)]) if change else old
        if new != wanted or (change and new == old):
            found.append(Problem("line", f"line {number} would become '{new.strip()}', which was not planned"))
    beyond = [number for number in planned if not 1 <= number <= len(old_lines)]
    found += [Problem("line", f"there is no line {number} to change") for number in beyond]
    return tuple(found)
