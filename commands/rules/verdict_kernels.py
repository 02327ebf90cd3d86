"""The part of the verdict that is about kernels: regressions, flaky and known failures, coverage, tool chains."""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass

from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.results import Ended, Kernel, KernelKey, Results, Status
from kcibot_commands.rules.verdict_reasons import Level, Reason, Thresholds, exceeds, listed, times

_WHOLE = 2
"""An architecture of so many kernels is named as a whole when it is missing."""


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
        return _passing(kernel, then, thresholds)
    if kernel.status is Status.UNKNOWN:
        return Reason(Level.UNKNOWN, "unknown result", f"the result of {kernel.key} is unknown")
    if then is not None and then.status is Status.FAIL:
        return Reason(Level.NOTE, "known", f"{kernel.key} fails, as in the baseline")
    if kernel.failures < thresholds.failures:
        return Reason(Level.UNKNOWN, "retry", f"{kernel.key} failed {times(kernel.failures)} and was not tried again")
    if then is None:
        return Reason(Level.WARN, "new kernel", f"{kernel.key} fails, and is not in the baseline")
    if then.status is Status.UNKNOWN:
        return Reason(Level.WARN, "unknown before", f"{kernel.key} fails; its result in the baseline is unknown")
    return Reason(Level.FAIL, "build regression", f"build regression: {kernel.key} failed {times(kernel.failures)}")


def _passing(kernel: Kernel, then: Kernel | None, thresholds: Thresholds) -> Reason | None:
    if kernel.failures:
        # One failure may be chance; of a kernel that failed as often as counts, its last pass may be.
        level = Level.NOTE if kernel.failures < max(2, thresholds.failures) else Level.WARN
        text = f"{kernel.key} is flaky: it failed {times(kernel.failures)}, and passed when tried again"
        return Reason(level, "flaky", text)
    if then is not None and then.status is Status.FAIL:
        return Reason(Level.NOTE, "fixed", f"{kernel.key} passes; it failed in the baseline")
    return None


def unrelated_reasons(current: Results, covered: Set[KernelKey]) -> tuple[Reason, ...]:
    """What is said of single kernels where nothing can be compared: those that fail are named."""
    failing = [kernel for kernel in current.kernels if kernel.status is Status.FAIL and kernel.key not in covered]
    unknown = [kernel for kernel in current.kernels if kernel.status is Status.UNKNOWN]
    named = listed([f"{kernel.key} ({times(kernel.failures)})" for kernel in sorted(failing, key=lambda one: one.key)])
    fails = [Reason(Level.NOTE, "failing", f"{worded(len(failing), 'kernel')} failed: {named}")] if failing else []
    singles = (Reason(Level.UNKNOWN, "unknown result", f"the result of {one.key} is unknown") for one in unknown)
    return (*fails, *singles)


# ---- coverage --------------------------------------------------------------------------------------------------

_BEFORE_ITS_END = {Ended.STOPPED: " before it was stopped", Ended.TIME_LIMIT: " within the time limit"}


def _coverage(current: Results, baseline: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    now = current.by_key()
    missing = [key for key in baseline.by_key() if key not in now]
    if not missing or (current.unreachable and not current.kernels):
        return ()
    total = len(baseline.by_key())
    there, names = total - len(missing), _missing(missing, baseline)
    if current.ended is Ended.RUNNING:
        return (Reason(Level.UNKNOWN, "coverage", f"{there} of {total} kernels so far; not yet: {names}"),)
    if current.unreachable:
        return (Reason(Level.UNKNOWN, "coverage", f"{there} of {total} kernels were seen; not seen: {names}"),)
    if exceeds(total * thresholds.complete, there):
        when = _BEFORE_ITS_END.get(current.ended, "")
        text = f"incomplete: {there} of the baseline's {total} kernels were built{when}; missing: {names}"
        return (Reason(Level.FAIL, "incomplete", text),)
    return (Reason(Level.FAIL, "coverage", f"coverage: never built: {names}"),)


def _missing(missing: list[KernelKey], baseline: Results) -> str:
    """Kernels by name; an architecture that is not there at all is one name."""
    before, gone = _by_arch(baseline.by_key()), _by_arch(missing)
    whole = [arch for arch, keys in gone.items() if len(keys) == len(before[arch]) >= _WHOLE]
    names = [f"all of {arch} ({worded(len(gone[arch]), 'kernel')})" for arch in whole]
    return listed([*names, *(str(key) for key in sorted(missing) if key.arch not in whole)])


def _by_arch(keys: Iterable[KernelKey]) -> Mapping[str, list[KernelKey]]:
    groups: dict[str, list[KernelKey]] = {}
    for key in sorted(keys):
        groups.setdefault(key.arch, []).append(key)
    return groups


def _warnings(current: Results, then: Mapping[KernelKey, Kernel], thresholds: Thresholds) -> tuple[Reason, ...]:
    """Compared over the kernels that passed both times, so that neither a missing nor a failing one hides new ones."""
    both = [one for one in current.kernels if one.status is Status.PASS and _passed(then.get(one.key))]
    more = {one.key: one.warnings - then[one.key].warnings for one in both}
    before = sum(then[key].warnings for key in more)
    if not exceeds(sum(more.values()), before * thresholds.warnings):
        return ()
    most = sorted((key for key in more if more[key] > 0), key=lambda key: (-more[key], key))
    names = listed([f"{key} (+{more[key]})" for key in most], most=3)
    text = f"{worded(before + sum(more.values()), 'build warning')}, the baseline had {before}: {names}"
    return (Reason(Level.WARN, "warnings", text),)


def _passed(kernel: Kernel | None) -> bool:
    return kernel is not None and kernel.status is Status.PASS


# ---- whole architectures and compilers -------------------------------------------------------------------------

_GROUPINGS: tuple[tuple[str, Callable[[KernelKey], str]], ...] = (
    ("compiler", lambda key: key.environment),
    ("architecture", lambda key: key.arch),
    # One image holds one compiler for one architecture.
    ("compiler and architecture", lambda key: f"{key.environment} {key.arch}"),
)


def suspected_groups(current: Results, baseline: Results | None, thresholds: Thresholds) -> Suspects:
    """Compilers and architectures of which all kernels fail: the tool chain or the image is suspected, not the code.

    First failures are enough, since building them all again would tell nothing new. A group that failed in the
    baseline as well is known; one kernel that newly fails beside known ones is judged by itself, as a single one is.
    """
    then = baseline.by_key() if baseline else {}
    known = {key for key, kernel in then.items() if kernel.status is Status.FAIL}
    reasons: list[Reason] = []
    covered: frozenset[KernelKey] = frozenset()
    for what, name_of in _GROUPINGS:
        failed_before = _failed_before(then, name_of)
        for name, group in _groups(current.kernels, name_of).items():
            keys = frozenset(kernel.key for kernel in group)
            if _all_fail(group, known, thresholds) and name not in failed_before and not keys <= covered:
                text = f"all {len(keys)} kernels of {what} {name} fail: tool chain or image suspected"
                reasons.append(Reason(Level.FAIL, "tool chain", text))
                covered |= keys
    return Suspects(tuple(reasons), covered)


def _failed_before(then: Mapping[KernelKey, Kernel], name_of: Callable[[KernelKey], str]) -> Set[str]:
    """Groups of which every kernel failed in the baseline already."""
    groups = _groups(then.values(), name_of)
    return {name for name, group in groups.items() if all(kernel.status is Status.FAIL for kernel in group)}


def _groups(kernels: Iterable[Kernel], name_of: Callable[[KernelKey], str]) -> Mapping[str, list[Kernel]]:
    groups: dict[str, list[Kernel]] = {}
    for kernel in kernels:
        groups.setdefault(name_of(kernel.key), []).append(kernel)
    return dict(sorted(groups.items()))


def _all_fail(group: list[Kernel], known: Set[KernelKey], thresholds: Thresholds) -> bool:
    """Whether all fail, and enough of them newly."""
    failing = all(kernel.status is Status.FAIL for kernel in group)
    fresh = sum(kernel.key not in known for kernel in group)
    return failing and fresh >= thresholds.group
