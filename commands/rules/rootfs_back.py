"""Taking back what a release moved in the root file system URLs, as values: only lines that are still as it left them.

What somebody moved since is left alone, and so is the rest of its entry: the halves of an nfs entry go together.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kcibot_commands.rules.problem import RuleError
from kcibot_commands.rules.rootfs_urls import Change, Entry, FileSystems, same_except

Where = tuple[str, str, str]
"""Entry, key and name of a line."""


@dataclass(frozen=True)
class Back:
    """The new text, the lines changed, and the entries that somebody moved on since."""

    text: str
    changes: tuple[Change, ...]
    left: tuple[str, ...]

    @property
    def moves(self) -> Mapping[str, tuple[str, str]]:
        """Name -> the version that it has, and the one that it goes back to."""
        return {change.name: (change.old, change.new) for change in self.changes}


def back(head: str, before: str, after: str) -> Back:
    """What `head` becomes if every line that moved between `before` and `after` goes back.

    Raises RuleError if that would change anything else.
    """
    old, new = _versions(before), _versions(after)
    moved = {where: (old[where], new[where]) for where in new if where in old and old[where] != new[where]}
    changes: list[Change] = []
    left: list[str] = []
    for entry in FileSystems.read(head).entries:
        found = list(_of_entry(entry, moved))
        stayed = [change for change in found if change.old == moved[entry.entry, change.key, change.name][1]]
        if found and len(stayed) == len(found):
            changes += found
        elif any(change.old != change.new for change in found):
            left.append(entry.entry)
    text = _applied(head, changes)
    wrong = same_except(head, text, changes)
    if wrong:
        raise RuleError(f"the edit would change more than the URLs: {wrong[0].text}; nothing was changed")
    return Back(text, tuple(changes), tuple(left))


def _of_entry(entry: Entry, moved: Mapping[Where, tuple[str, str]]) -> Iterator[Change]:
    """Its lines that the release moved, each as the change from what it is now to what it was."""
    for line in entry.lines:
        versions = moved.get((entry.entry, line.key, line.name))
        if versions:
            yield Change(line.number, entry.entry, line.key, line.name, line.version, versions[0])


def _versions(text: str) -> Mapping[Where, str]:
    entries = FileSystems.read(text).entries
    return {(entry.entry, line.key, line.name): line.version for entry in entries for line in entry.lines}


def _applied(text: str, changes: list[Change]) -> str:
    lines = text.split("\n")
    for change in changes:
        number = change.number - 1
        lines[number] = lines[number].replace(f"{change.name}/{change.old}/", f"{change.name}/{change.new}/", 1)
    return "\n".join(lines)
