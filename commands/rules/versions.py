"""Names of releases: core tags `kernelci-YYYYMMDD[.N]`, and backend and frontend versions `YYYY.M[.N]`.

A repository's tags hold staging builds, other projects' versions and human errors, so nothing here trusts an order
of tags: names are matched against their pattern and compared as numbers.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Self

from kcibot_commands.rules.problem import Problem, RuleError, Severity

_CORE = re.compile(r"kernelci-(?P<date>[0-9]{8})(?:\.(?P<n>[0-9]+))?")
_VERSION = re.compile(r"(?P<year>[0-9]{4})\.(?P<month>[0-9]{1,2})(?:\.(?P<n>[0-9]+))?")
_VERSION_LINE = re.compile(
    r"^(?P<head>__version__[ \t]*=[ \t]*)(?P<quote>[\"'])(?P<version>[^\"'\n]*)(?P=quote)", re.MULTILINE
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PREFIX = "kernelci-"
_MONTHS = 12


class SuffixStyle(StrEnum):
    """Whether the first release of a day or month is bare, or ends in `.0` (KernelCI's core from 2021-12 on)."""

    WHEN_NEEDED = "when needed"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class CoreTag:
    """A release of kernelci-core, kernelci-jenkins or the pipe-cleaner kernel. `n` is None for a bare tag."""

    name: str
    day: date
    n: int | None

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """None if the name is no release tag, or its date does not exist."""
        match = _CORE.fullmatch(name)
        day = _day(match["date"]) if match else None
        if match is None or day is None:
            return None
        return cls(name, day, None if match["n"] is None else int(match["n"]))

    @property
    def order(self) -> tuple[date, int, int]:
        """Sorts by day, then by number: a bare tag counts as 0."""
        return (self.day, self.n or 0, 0 if self.n is None else 1)


@dataclass(frozen=True, slots=True)
class Version:
    """A release of the backend or the frontend. `numbers` are year, month and N; a missing N is 0."""

    text: str
    numbers: tuple[int, int, int]

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None if the text is no version."""
        match = _VERSION.fullmatch(text)
        if match is None:
            return None
        return cls(text, (int(match["year"]), int(match["month"]), int(match["n"] or 0)))


def _day(digits: str) -> date | None:
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


# ---- core tags -------------------------------------------------------------------------------------------------


def core_tags(names: Iterable[str]) -> tuple[CoreTag, ...]:
    """The release tags among all tags, oldest first."""
    found = (CoreTag.parse(name) for name in names)
    return tuple(sorted((tag for tag in found if tag is not None), key=lambda tag: tag.order))


def next_core_tag(existing: Iterable[str], day: date, style: SuffixStyle = SuffixStyle.WHEN_NEEDED) -> str:
    """The name of that day's next release (KernelCI's procedure, step 1).

    N is the highest of that day + 1, where a bare tag counts as 0. It is never a count of tags:
    `kernelci-20220815.1` exists without `.0`.
    """
    stem = f"{_PREFIX}{day.isoformat().replace('-', '')}"
    used = [tag.n or 0 for tag in core_tags(existing) if tag.day == day]
    if used:
        return f"{stem}.{max(used) + 1}"
    return stem if style is SuffixStyle.WHEN_NEEDED else f"{stem}.0"


def latest_core_tag(existing: Iterable[str], not_after: date | None = None) -> CoreTag | None:
    """The release tag with the highest date. Tags dated after `not_after` are slips (`kernelci-20190910`): left out."""
    tags = [tag for tag in core_tags(existing) if not_after is None or tag.day <= not_after]
    return tags[-1] if tags else None


# ---- backend and frontend versions -----------------------------------------------------------------------------


def versions(names: Iterable[str]) -> tuple[Version, ...]:
    """The versions among all tags, lowest first."""
    found = (Version.parse(name) for name in names)
    return tuple(sorted((one for one in found if one is not None), key=lambda one: one.numbers))


def next_version(existing: Iterable[str], day: date, style: SuffixStyle = SuffixStyle.ALWAYS) -> str:
    """The next version in that month: `YYYY.M.N`, where N restarts each month and `2020.10` counts as N = 0.

    The backend writes the first of a month as `2021.5.0`, the frontend (style WHEN_NEEDED) as `2021.5`.
    """
    used = [one.numbers[2] for one in versions(existing) if one.numbers[:2] == (day.year, day.month)]
    stem = f"{day.year}.{day.month}"
    if used:
        return f"{stem}.{max(used) + 1}"
    return stem if style is SuffixStyle.WHEN_NEEDED else f"{stem}.0"


def latest_version(existing: Iterable[str], not_after: date | None = None) -> Version | None:
    """The highest version by number, of no later month than `not_after`."""
    limit = None if not_after is None else (not_after.year, not_after.month)
    found = [one for one in versions(existing) if limit is None or one.numbers[:2] <= limit]
    return found[-1] if found else None


def is_to_come(version: Version, today: date) -> bool:
    """Whether its month has not begun by tomorrow: people do not release ahead of time, they mistype."""
    tomorrow = today + timedelta(days=1)
    return version.numbers[:2] > (tomorrow.year, tomorrow.month)


def read_version(file_text: str) -> str:
    """The version that the file declares by its one line `__version__ = "2019.5.0"`; RuleError without it."""
    return _version_line(file_text)["version"]


def bump_version(file_text: str, new: str, today: date) -> str:
    """The same text with the new version in that line; `today` is the UTC date.

    RuleError unless it is a version above the old one. Only from a month still to come, a slip of the past such as
    2062.11.0, does it go down.
    """
    match = _version_line(file_text)
    old_version, new_version = Version.parse(match["version"]), Version.parse(new)
    if new_version is None:
        raise RuleError(f"{new} is no version: it must look like 2019.5.1")
    slipped = old_version is not None and is_to_come(old_version, today)
    if old_version is not None and not slipped and new_version.numbers <= old_version.numbers:
        raise RuleError(f"the file already says {old_version.text}; {new} is not above it")
    return file_text[: match.start("version")] + new + file_text[match.end("version") :]


def bump_subject(new: str) -> str:
    """The subject of the commit that changes the version, as the projects write it."""
    return f"Bump app version to {new}"


def _version_line(file_text: str) -> re.Match[str]:
    found = list(_VERSION_LINE.finditer(file_text))
    if len(found) != 1:
        raise RuleError(f'the version file must have one line __version__ = "...", and has {len(found)}')
    return found[0]


# ---- checks before a tag is made ------------------------------------------------------------------------------


class TargetType(StrEnum):
    """What git says that a tag points at."""

    COMMIT = "commit"
    TAG = "tag"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class TagFacts:
    """A tag that is to be made, or that was made. `target` is the full id of what it points at, not peeled."""

    name: str
    message: str
    target: str
    target_type: TargetType = TargetType.COMMIT
    annotated: bool = True


def tag_problems(tag: TagFacts, today: date, existing: Mapping[str, str]) -> tuple[Problem, ...]:
    """What is wrong with a core release tag; `today` is the UTC date, `existing` maps tag names to peeled commits.

    Each check stands for an error that was really made between 2019 and 2023.
    """
    return (*core_name_problems(tag.name, today, existing), *_object_problems(tag), *_released_twice(tag, existing))


def version_tag_problems(tag: TagFacts, file_version: str, today: date, existing: Iterable[str]) -> tuple[Problem, ...]:
    """What is wrong with a backend or frontend version tag on a commit whose file says `file_version`.

    `today` is the UTC date, `existing` holds the names of all tags. Of those, a version of a month still to come
    (2062.1.0) is a slip of the past and stands in no later version's way.
    """
    return (*_version_name_problems(tag.name, file_version, today, frozenset(existing)), *_object_problems(tag))


def core_name_problems(name: str, today: date, existing: Iterable[str]) -> tuple[Problem, ...]:
    """What is wrong with the name alone."""
    parsed = CoreTag.parse(name)
    names = frozenset(existing)
    if parsed is None:
        return (Problem("pattern", f"{name} is no release tag: {_why_no_tag(name)}"),)
    return (*_taken(name, names), *_date_problems(parsed, today), *_number_problems(parsed, names))


def _why_no_tag(name: str) -> str:
    if CoreTag.parse(f"{_PREFIX}{name}"):
        return f"the prefix {_PREFIX} is missing"
    match = _CORE.fullmatch(name)
    if match:
        return f"there is no date {match['date']}"
    if re.fullmatch(r"kernelci-[0-9]{4}\.[0-9]{2}\.[0-9]{2}", name):
        return "the date is written without dots"
    return f"it must look like {_PREFIX}YYYYMMDD or {_PREFIX}YYYYMMDD.N"


def _taken(name: str, names: frozenset[str]) -> tuple[Problem, ...]:
    if name not in names:
        return ()
    return (Problem("exists", f"the tag {name} exists already, and a tag is never moved"),)


def is_of(tag: CoreTag, today: date) -> bool:
    """Whether it may have been made today: servers and people differ by a day."""
    return abs(tag.day - today) <= timedelta(days=1)


def _date_problems(tag: CoreTag, today: date) -> tuple[Problem, ...]:
    if is_of(tag, today):
        return ()
    return (Problem("date", f"{tag.name} is dated {tag.day}, but today is {today} (UTC)"),)


def _number_problems(tag: CoreTag, names: frozenset[str]) -> tuple[Problem, ...]:
    others = names - {tag.name}
    expected = {next_core_tag(others, tag.day, style) for style in SuffixStyle}
    if tag.name in expected:
        return ()
    wanted = " or ".join(sorted(expected))
    latest = latest_core_tag(name for name in others if (t := CoreTag.parse(name)) and t.day == tag.day)
    lower = latest is not None and (tag.n or 0) <= (latest.n or 0)
    severity = Severity.STOP if lower else Severity.CONFIRM
    return (Problem("number", f"{tag.name} is out of turn: the next tag of that day is {wanted}", severity),)


def _object_problems(tag: TagFacts) -> tuple[Problem, ...]:
    found = []
    if tag.message.strip() != tag.name:
        found.append(Problem("message", f"the message of {tag.name} is '{tag.message.strip()}', not the tag's name"))
    if not tag.annotated:
        found.append(Problem("annotated", f"{tag.name} is lightweight: release tags are annotated"))
    if tag.target_type is not TargetType.COMMIT:
        found.append(Problem("target", f"{tag.name} points at a {tag.target_type}, not at a commit"))
    elif not _COMMIT.fullmatch(tag.target):
        found.append(Problem("target", f"'{tag.target}' is no full commit id"))
    return tuple(found)


def _released_twice(tag: TagFacts, existing: Mapping[str, str]) -> tuple[Problem, ...]:
    twins = [one.name for one in core_tags(existing) if existing[one.name] == tag.target and one.name != tag.name]
    if not twins:
        return ()
    text = f"{tag.target[:12]} is released already as {', '.join(twins)}: a second tag needs a confirmation"
    return (Problem("released", text, Severity.CONFIRM),)


def _version_name_problems(name: str, file_version: str, today: date, existing: frozenset[str]) -> tuple[Problem, ...]:
    parsed = Version.parse(name)
    if parsed is None:
        return (Problem("pattern", f"{name} is no version: it must look like 2019.5.1"),)
    found = list(_taken(name, existing))
    if name != file_version:
        found.append(Problem("file", f"the version file says {file_version}, the tag {name}"))
    return (*found, *_month_problems(parsed, today), *_order_problems(parsed, today, existing))


def _month_problems(version: Version, today: date) -> tuple[Problem, ...]:
    """Real versions were tagged up to a month late, and never early."""
    _year, month, _n = version.numbers
    if not 1 <= month <= _MONTHS:
        return (Problem("date", f"{version.text} names month {month}, which no year has"),)
    if is_to_come(version, today):
        return (Problem("date", f"{version.text} is of a month still to come: today is {today} (UTC)"),)
    return ()


def _order_problems(version: Version, today: date, existing: frozenset[str]) -> tuple[Problem, ...]:
    others = [one for one in versions(existing) if one.text != version.text and not is_to_come(one, today)]
    if not others or others[-1].numbers < version.numbers:
        return ()
    return (Problem("order", f"{version.text} is not above {others[-1].text}, which exists"),)
