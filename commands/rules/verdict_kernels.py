"""The part of the verdict that is about kernels: regressions, flaky and known failures, coverage, tool chains."""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass

from kcibot_commands.rules.results import Ended, Kernel, KernelKey, Results, Status
from kcibot_commands.rules.verdict_reasons import Level, Reason, Thresholds, exceeds, listed

_SMALLEST_GROUP = 2


@dataclass(frozen=True, slots=True)
class Suspects:
    """Groups of kernels that all fail, and the kernels that they explain."""

    reasons: tuple[Reason, ...]
    covered: frozenset[KernelKey]


def kernel_reasons(current: Results, baseline: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    """Every case of the table that speaks of kernels, against a baseline of the same series."""
    suspects = suspected_groups(current, baseline, thresholds)
    then = baseline.by_key()
    singles = (
        _single(kernel, then.get(kernel.key), thresholds)
        for kernel in sorted(current.kernels, key=lambda kernel: kernel.key)
        if kernel.key not in suspects.covered
    )
    found = tuple(reason for reason in singles if reason is not None)
    return (*suspects.reasons, *found, *_coverage(current, baseline, thresholds), *_warnings(current, then, thresholds))


def _single(kernel: Kernel, then: Kernel | None, thresholds: Thresholds) -> Reason | None:
    """One kernel against its baseline; None if there is nothing to say."""
    if kernel.status is Status.PASS:
        return _passing(kernel, then)
    if then is None:
        return Reason(
            Level.WARN, "new kernel", f"{kernel.key} is not in the baseline and its result is {kernel.status}"
        )
    if then.status is Status.FAIL and kernel.status is Status.FAIL:
        return Reason(Level.NOTE, "known", f"{kernel.key} fails, as in the baseline")
    if kernel.status is Status.UNKNOWN:
        return Reason(Level.UNKNOWN, "unknown result", f"the result of {kernel.key} is unknown")
    if then.status is Status.UNKNOWN:
        return Reason(Level.WARN, "unknown before", f"{kernel.key} fails; its result in the baseline is unknown")
    if kernel.failures < thresholds.failures:
        return Reason(Level.UNKNOWN, "retry", f"{kernel.key} failed once and was not tried again")
    return Reason(Level.FAIL, "build regression", f"build regression: {kernel.key} failed {kernel.failures} times")


def _passing(kernel: Kernel, then: Kernel | None) -> Reason | None:
    if kernel.failures:
        return Reason(Level.NOTE, "flaky", f"{kernel.key} is flaky: it failed, and passed when tried again")
    if then is not None and then.status is Status.FAIL:
        return Reason(Level.NOTE, "fixed", f"{kernel.key} passes; it failed in the baseline")
    return None


# ---- coverage --------------------------------------------------------------------------------------------------


def _coverage(current: Results, baseline: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    now = current.by_key()
    missing = sorted(key for key in baseline.by_key() if key not in now)
    if not missing:
        return ()
    total = len(baseline.kernels)
    there = total - len(missing)
    names = listed([str(key) for key in missing])
    if current.ended is Ended.RUNNING:
        return (Reason(Level.UNKNOWN, "coverage", f"{there} of {total} kernels so far; not yet: {names}"),)
    if exceeds(total * thresholds.complete, there):
        text = f"incomplete: {there} of the baseline's {total} kernels were built; missing: {names}"
        return (Reason(Level.FAIL, "incomplete", text),)
    return (Reason(Level.FAIL, "coverage", f"coverage: never built: {names}"),)


def _warnings(current: Results, then: Mapping[KernelKey, Kernel], thresholds: Thresholds) -> tuple[Reason, ...]:
    """Compared over the kernels that both have, so that a missing kernel does not hide new warnings."""
    both = [kernel for kernel in current.kernels if kernel.key in then]
    now, before = sum(kernel.warnings for kernel in both), sum(then[kernel.key].warnings for kernel in both)
    if not exceeds(now, before * (1 + thresholds.warnings)):
        return ()
    return (Reason(Level.WARN, "warnings", f"{now} build warnings, the baseline had {before}"),)


# ---- whole architectures and compilers -------------------------------------------------------------------------

_GROUPINGS: tuple[tuple[str, Callable[[KernelKey], str]], ...] = (
    ("compiler", lambda key: key.environment),
    ("architecture", lambda key: key.arch),
    # One image holds one compiler for one architecture.
    ("compiler and architecture", lambda key: f"{key.environment} {key.arch}"),
)


def suspected_groups(current: Results, baseline: Results | None, thresholds: Thresholds) -> Suspects:
    """Compilers and architectures of which all kernels fail: the tool chain or the image is suspected, not the code.

    Each must have failed often enough to count, or be known to fail from the baseline, but not all of them may be
    known. A single kernel is no group.
    """
    then = baseline.by_key() if baseline else {}
    known = {key for key, kernel in then.items() if kernel.status is Status.FAIL}
    reasons: list[Reason] = []
    covered: frozenset[KernelKey] = frozenset()
    for what, name_of in _GROUPINGS:
        for name, group in _groups(current.kernels, name_of).items():
            keys = frozenset(kernel.key for kernel in group)
            if _all_fail(group, known, thresholds) and not keys <= covered:
                text = f"all {len(keys)} kernels of {what} {name} fail: tool chain or image suspected"
                reasons.append(Reason(Level.FAIL, "tool chain", text))
                covered |= keys
    return Suspects(tuple(reasons), covered)


def _groups(kernels: Iterable[Kernel], name_of: Callable[[KernelKey], str]) -> Mapping[str, list[Kernel]]:
    groups: dict[str, list[Kernel]] = {}
    for kernel in kernels:
        groups.setdefault(name_of(kernel.key), []).append(kernel)
    return dict(sorted(groups.items()))


def _all_fail(group: list[Kernel], known: Set[KernelKey], thresholds: Thresholds) -> bool:
    counted = [kernel.failures >= thresholds.failures or kernel.key in known for kernel in group]
    failing = all(kernel.status is Status.FAIL for kernel in group)
    fresh = any(kernel.key not in known for kernel in group)
    return len(group) >= _SMALLEST_GROUP and failing and fresh and all(counted)
