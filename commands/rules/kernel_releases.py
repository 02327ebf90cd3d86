"""Releases of the Linux kernel, as the pipe cleaner needs them: those of a stable series, and what is known of them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

PASS = "PASS"
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


def releases(tags: Iterable[str]) -> Mapping[str, tuple[KernelRelease, ...]]:
    """The releases among all tags by series (`5.0`), the newest series and in it the newest release first."""
    found = sorted((release for tag in tags if (release := KernelRelease.parse(tag))), reverse=True)
    by_series: dict[str, tuple[KernelRelease, ...]] = {}
    for release in found:
        by_series[release.series] = (*by_series.get(release.series, ()), release)
    return by_series


def series_of(describe: str) -> str:
    """The series of a kernel as `git describe` names it: `5.0` of v5.0.4-1-gabcdef0; empty if it names none."""
    match = _SERIES.fullmatch(describe)
    return match["series"] if match else ""


def enough(kernels: Mapping[str, int], share: float) -> bool:
    """Whether at least that share of a revision's kernels passed. `kernels` counts by status; without any it did not.

    A kernel whose status is unknown did not pass.
    """
    every = sum(kernels.values())
    return bool(every) and kernels.get(PASS, 0) >= share * every
