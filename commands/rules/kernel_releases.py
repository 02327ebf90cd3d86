"""Releases of the Linux kernel, as the pipe cleaner needs them: which is the newest of a stable series."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

_RELEASE = re.compile(r"v(?P<major>[0-9]+)\.(?P<minor>[0-9]+)(?:\.(?P<patch>[0-9]+))?")
_SERIES = re.compile(r"v?(?P<series>[0-9]+\.[0-9]+)(?![0-9]).*")


@dataclass(frozen=True, slots=True, order=True)
class KernelRelease:
    """A release tag such as v5.0.4; release candidates are none. Releases sort as numbers: v5.4.9 before v5.4.10."""

    numbers: tuple[int, int, int]
    name: str

    @classmethod
    def parse(cls, tag: str) -> Self | None:
        """None for anything but a full release."""
        match = _RELEASE.fullmatch(tag)
        if match is None:
            return None
        return cls((int(match["major"]), int(match["minor"]), int(match["patch"] or 0)), tag)

    @property
    def series(self) -> str:
        """The stable series, `5.0` of v5.0.4."""
        return f"{self.numbers[0]}.{self.numbers[1]}"


def newest_release(tags: Iterable[str], series: str) -> KernelRelease | None:
    """The newest release of a series (`5.0`), None if there is none (KernelCI's procedure, step 9)."""
    found = [release for tag in tags if (release := KernelRelease.parse(tag)) and release.series == series]
    return max(found, default=None)


def series_of(describe: str) -> str:
    """The series of a kernel as `git describe` names it: `5.0` of v5.0.4-1-gabcdef0; empty if it names none."""
    match = _SERIES.fullmatch(describe)
    return match["series"] if match else ""
