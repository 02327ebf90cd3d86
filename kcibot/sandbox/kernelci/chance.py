"""What becomes of a kernel or a test in the sandbox: chance that is the same every time, and the faults asked for."""

import zlib
from collections.abc import Mapping

from kcibot.sandbox.kernelci.boards import Board, cases
from kcibot.sandbox.kernelci.kernels import GCC, Kernel
from kcibot.sandbox.kernelci.settings import FOREVER_MINUTES, Faults, Settings, among

MINUTE = 60.0
WARNINGS = (0, 0, 4, 8, 12)
"""So many a kernel has, when nothing is wrong with it."""


def share(settings: Settings, *words: str) -> float:
    """Between 0 and 1, the same for the same words."""
    return zlib.crc32("/".join((settings.seed, *words)).encode()) / 2**32


def seconds(settings: Settings, span: tuple[float, float], *words: str) -> float:
    """Somewhere in a span of minutes."""
    low, high = span
    return MINUTE * (low + (high - low) * share(settings, "minutes", *words))


def build_seconds(settings: Settings, kernel: Kernel) -> float:
    """How long its build takes."""
    if among(settings.faults.hangs, kernel):
        return FOREVER_MINUTES * MINUTE
    return seconds(settings, settings.kernel_minutes, *_words(kernel))


def builds(settings: Settings, faults: Faults, kernel: Kernel, attempt: int = 1) -> bool:
    """Whether the build of that kernel ends well, at the first or a later attempt."""
    if among(faults.fails, kernel) or (attempt == 1 and among(faults.fails_once, kernel)):
        return False
    return share(settings, *_words(kernel), "fails") >= settings.failure_rate


def warnings(faults: Faults, kernel: Kernel) -> int:
    """How many the compiler gives."""
    return round(WARNINGS[zlib.crc32(str(kernel).encode()) % len(WARNINGS)] * (1 + faults.warnings))


def statuses(settings: Settings, faults: Faults, board: Board, plan: str) -> Mapping[str, str]:
    """PASS or FAIL of every case of that plan; by chance the last one fails."""
    names = cases(plan)
    unlucky = names[-1:] if share(settings, *board, plan, "cases") < settings.failure_rate else ()
    failing = {name for name in names if name in unlucky or among(faults.cases, f"{board} {plan} {name}")}
    return {name: "FAIL" if name in failing else "PASS" for name in names}


def _words(kernel: Kernel) -> tuple[str, ...]:
    """What its chance is drawn from; that of the first compiler's kernels without the compiler."""
    return kernel[:2] if kernel.environment == GCC else kernel
