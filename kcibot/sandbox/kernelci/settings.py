"""What the sandbox's KernelCI builds and tests, and what goes wrong with it when it is asked to."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kcibot.sandbox.kernelci.boards import Board, Farm
from kcibot.sandbox.kernelci.kernels import CLANG, GCC, Kernel

Patterns = tuple[str, ...]
"""As a shell's, held against a kernel (`arm exynos_defconfig gcc-8`) or a board (`lab-collabora odroid-xu3`)."""

FOREVER_MINUTES = 60.0 * 24 * 7


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong with one run, nothing unless it is told.

    Kernels: `fails` do not build, `fails_once` only at the first try; `unbuilt` are never started, `hangs` never end;
    Jenkins calls `unnoticed` failures SUCCESS, as it does when only the upload was lost; `warnings` is the share by
    which all have more of them. Labs: `labs` (by name) answer nobody, `boards` are offline, `cases` fail, as
    `LAB DEVICE PLAN CASE`. `mails` are never sent: `build`, or the name of a test plan.
    """

    fails: Patterns = ()
    fails_once: Patterns = ()
    unbuilt: Patterns = ()
    hangs: Patterns = ()
    unnoticed: Patterns = ()
    labs: tuple[str, ...] = ()
    boards: Patterns = ()
    cases: Patterns = ()
    warnings: float = 0.0
    mails: frozenset[str] = frozenset()

    def offline(self, board: Board) -> bool:
        """Whether nothing comes from it."""
        return board.lab in self.labs or among(self.boards, board)


@dataclass(frozen=True, slots=True)
class Settings:
    """`failure_rate` is of kernels; which ones fail depends on `seed` alone. Times are sandbox minutes.

    `compilers` after the first build some architectures only. `farm` is where kernels are tested. `faults` are those
    of every run that is started, `past` those of the earlier run that the sandbox begins with. `told_tree`: kernel
    builds have tree and branch among their parameters, as in March 2019; since then they have the build config alone.
    """

    kernels: int = 200
    failure_rate: float = 0.03
    seed: str = "kernelci"
    rootfs_failures: frozenset[tuple[str, str]] = frozenset()
    kernel_minutes: tuple[float, float] = (4.0, 28.0)
    rootfs_minutes: tuple[float, float] = (15.0, 55.0)
    lab_minutes: tuple[float, float] = (5.0, 45.0)
    bisection_minutes: float = 360.0
    compilers: tuple[str, ...] = (GCC,)
    farm: Farm = Farm.FEW
    faults: Faults = Faults()
    past: Faults = Faults()
    told_tree: bool = False


def among(patterns: Iterable[str], one: Kernel | Board | str) -> bool:
    """Whether one of them fits."""
    text = str(one)
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def production(kernels: int = 220, *, faults: Faults = Faults(), past: Faults = Faults()) -> Settings:
    """As many kernels as production builds, on seven architectures and of two compilers, tested in ten labs."""
    return Settings(kernels, 0.0, compilers=(GCC, CLANG), farm=Farm.TEN, faults=faults, past=past)
