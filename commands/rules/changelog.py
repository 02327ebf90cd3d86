"""From commits to the lines that people read: bullets per component and area, and who wrote them.

KernelCI's procedure, step 2, asks for a summary of all changes going to production. The bot drafts it from the
subjects of the commits (domain: `area: text` fits nine of ten in kernelci-core); people edit it afterwards.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

_SUBJECT = re.compile(r"(?P<area>[\w./+-]+): (?P<text>.+)")
_BUMP = re.compile(r"(bump|update) (the )?(app|backend|frontend)?\s*version\b.*", re.IGNORECASE)
_MERGE = re.compile(r"Merge (pull request|branch|tag|remote-tracking branch|commit)\b.*")
_ROOTFS = re.compile(r"(?:update|upgrade|bump) .*\brootfs\b.*", re.IGNORECASE)
_ROOTFS_VERSION = re.compile(r"[0-9]{8}\.[0-9]+(?: except [\w.,\s-]+)?")


class LoggedCommit(Protocol):
    """What is read of a commit."""

    @property
    def sha(self) -> str: ...

    @property
    def author(self) -> str: ...

    @property
    def subject(self) -> str: ...


Logged = TypeVar("Logged", bound=LoggedCommit)


@dataclass(frozen=True, slots=True)
class Bullet:
    """One line of the summary. `area` is empty where the subject named none."""

    area: str
    text: str
    shas: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The bullet as it is read: `area: text`."""
        return f"{self.area}: {self.text}" if self.area else self.text


def split_subject(subject: str) -> tuple[str, str]:
    """Area and text of a subject; the area is empty if the subject has none."""
    match = _SUBJECT.fullmatch(subject.strip())
    return (match["area"], match["text"].strip()) if match else ("", subject.strip())


def by_area(commits: Iterable[Logged]) -> Mapping[str, tuple[Logged, ...]]:
    """The commits by the area that their subjects name, in alphabetical order; what names none, under "", is last.

    Within an area they keep their order.
    """
    found: dict[str, list[Logged]] = {}
    for commit in commits:
        found.setdefault(split_subject(commit.subject)[0], []).append(commit)
    areas = sorted(found, key=lambda area: (not area, area.casefold(), area))
    return {area: tuple(found[area]) for area in areas}


def is_noise(subject: str) -> bool:
    """True for what a release does to itself and nobody wants to read: version bumps and merges."""
    text = subject.strip()
    return bool(_BUMP.fullmatch(text) or _MERGE.fullmatch(text))


def bullets(commits: Sequence[LoggedCommit]) -> tuple[Bullet, ...]:
    """The lines of one component from its log, newest commit first as git gives it.

    Areas come in alphabetical order, what has none comes last, and within an area the oldest commit is first. Equal
    subjects become one line, and all updates of root file system URLs become one short line.
    """
    merged: dict[tuple[str, str], list[str]] = {}
    updates = [commit for commit in reversed(commits) if is_rootfs_update(commit.subject)]
    for commit in reversed(commits):
        if not is_noise(commit.subject) and not is_rootfs_update(commit.subject):
            merged.setdefault(split_subject(commit.subject), []).append(commit.sha)
    lines = [Bullet(area, text, tuple(shas)) for (area, text), shas in merged.items()]
    lines.sort(key=lambda bullet: (not bullet.area, bullet.area.casefold()))
    return (*lines, *_rootfs_bullet(updates))


def is_rootfs_update(subject: str) -> bool:
    """True for `test-configs.yaml: update rootfs URLs to 20190506.0` and its like."""
    area, text = split_subject(subject)
    return area.startswith("test-configs") and bool(_ROOTFS.fullmatch(text))


def _rootfs_bullet(updates: Sequence[LoggedCommit]) -> tuple[Bullet, ...]:
    if not updates:
        return ()
    found = (_ROOTFS_VERSION.search(commit.subject) for commit in updates)
    named = dict.fromkeys(match[0].strip() for match in found if match)
    text = f"new root file systems {', then '.join(named)}" if named else "new root file systems"
    return (Bullet("", text, tuple(commit.sha for commit in updates)),)


def contributors(commits: Iterable[LoggedCommit], leave_out: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of the authors without their addresses, most commits first, then by name; `leave_out` names bots."""
    skipped = {name.casefold() for name in leave_out}
    counts = Counter(_name(commit.author) for commit in commits if not _MERGE.fullmatch(commit.subject))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0].casefold()))
    return tuple(name for name, _ in ranked if name and name.casefold() not in skipped)


def _name(author: str) -> str:
    return author.partition("<")[0].strip()
