"""The verdict on a pipe cleaner (KernelCI's procedure, step 9), proposed with its reasons; a person decides.

No threshold is written anywhere in KernelCI ("number of builds and results and pass rates should be similar"), so the
table of cases and its numbers are this project's, and configurable. Jenkins' own result counts for nothing here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kcibot_commands.rules.results import Ended, Mail, MailState, Results, Status, case_counts
from kcibot_commands.rules.verdict_kernels import kernel_reasons, suspected_groups
from kcibot_commands.rules.verdict_reasons import Level, Reason, Thresholds, exceeds
from kcibot_commands.rules.verdict_tests import lab_reasons

_REQUIRED_MAILS = frozenset({"build", "boot"})
_PERCENT = 100


class Kind(StrEnum):
    """PASS, WARN and FAIL are proposals. UNKNOWN: not enough was seen. NONE: nothing to compare with."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is proposed and why, the weightiest reasons first."""

    kind: Kind
    reasons: tuple[Reason, ...]

    def texts(self, level: Level) -> tuple[str, ...]:
        """The sentences of one level."""
        return tuple(reason.text for reason in self.reasons if reason.level is level)


_DEFAULTS = Thresholds()


def judge(current: Results, baseline: Results | None, thresholds: Thresholds = _DEFAULTS) -> Verdict:
    """Compare a run with its baseline: the last accepted pipe cleaner, or the nearest run of the same series."""
    always = (*_unseen(current), *_mail_reasons(current.mails))
    if baseline is None:
        text = "there is nothing to compare with: the table is shown, and people decide"
        return Verdict(Kind.NONE, (Reason(Level.NOTE, "no baseline", text), *always))
    if current.series != baseline.series:
        found = (*always, *suspected_groups(current, None, thresholds).reasons, *_rates(current, baseline, thresholds))
    else:
        compared = (*kernel_reasons(current, baseline, thresholds), *lab_reasons(current, baseline, thresholds))
        found = (*always, *compared)
    ordered = tuple(sorted(found, key=lambda reason: list(Level).index(reason.level)))
    return Verdict(_kind(current, ordered), ordered)


def _kind(current: Results, reasons: Iterable[Reason]) -> Kind:
    levels = {reason.level for reason in reasons}
    if current.unreachable:
        # Whatever else was seen, the rest was not: never a pass, and no final fail either.
        return Kind.UNKNOWN
    for level, kind in ((Level.FAIL, Kind.FAIL), (Level.UNKNOWN, Kind.UNKNOWN), (Level.WARN, Kind.WARN)):
        if level in levels:
            return kind
    return Kind.PASS


def _unseen(current: Results) -> tuple[Reason, ...]:
    found = [
        Reason(Level.UNKNOWN, "unreachable", f"{source} did not answer at the end") for source in current.unreachable
    ]
    if current.ended is Ended.RUNNING:
        found.append(Reason(Level.UNKNOWN, "running", "the run has not ended"))
    if not current.kernels:
        found.append(Reason(Level.UNKNOWN, "nothing seen", "not one kernel was seen"))
    return tuple(found)


def _mail_reasons(mails: Iterable[Mail]) -> tuple[Reason, ...]:
    """The build mail (and the boot mail of 2019) must come; a test plan without regressions sends none."""
    found = []
    for mail in mails:
        name = f"{mail.kind} mail" + (f" of {mail.plan}" if mail.plan else "")
        required = mail.kind in _REQUIRED_MAILS
        if mail.state is MailState.ERROR:
            found.append(Reason(Level.FAIL if required else Level.WARN, "reports", f"reports: the {name} was not sent"))
        elif mail.state is MailState.MISSING and required:
            found.append(Reason(Level.FAIL, "reports", f"reports: the {name} is missing after its delay"))
        elif mail.state is MailState.MISSING:
            found.append(Reason(Level.NOTE, "reports", f"no {name} came: without regressions none is sent"))
        elif mail.state is MailState.WAITING:
            level = Level.UNKNOWN if required else Level.NOTE
            found.append(Reason(level, "reports", f"the {name} is not due yet"))
    return tuple(found)


# ---- another series --------------------------------------------------------------------------------------------


def _rates(current: Results, baseline: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    said = f"the baseline {baseline.kernel} is of another series: only rates are compared"
    kernels = _rate_drop("kernels", _kernel_rate(current), _kernel_rate(baseline), thresholds)
    tests = _rate_drop("tests", _test_rate(current), _test_rate(baseline), thresholds)
    return (Reason(Level.NOTE, "other series", said), *_fewer(current, baseline, thresholds), *kernels, *tests)


def _fewer(current: Results, baseline: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    now, then = len(current.kernels), len(baseline.kernels)
    if not exceeds(then * thresholds.complete, now):
        return ()
    return (Reason(Level.WARN, "fewer", f"{now} kernels, the baseline had {then}"),)


def _rate_drop(what: str, now: float | None, then: float | None, thresholds: Thresholds) -> tuple[Reason, ...]:
    if then is None or (now is not None and not exceeds(then - now, thresholds.rate_points)):
        return ()
    seen = "none were seen" if now is None else f"{now:.1f} % pass"
    return (Reason(Level.WARN, "rate", f"{what}: {seen}, in the baseline {then:.1f} %"),)


def _kernel_rate(results: Results) -> float | None:
    passed = sum(kernel.status is Status.PASS for kernel in results.kernels)
    return _PERCENT * passed / len(results.kernels) if results.kernels else None


def _test_rate(results: Results) -> float | None:
    passed, total = case_counts(results)
    return _PERCENT * passed / total if total else None
