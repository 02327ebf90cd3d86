"""The verdict on a pipe cleaner (KernelCI's procedure, step 9), proposed with its reasons; a person decides.

No threshold is written anywhere in KernelCI ("number of builds and results and pass rates should be similar"), so the
table of cases and its numbers are this project's, and configurable. Jenkins' own result counts for nothing here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kcibot_commands.rules.results import Ended, Mail, MailState, Results, Status, case_counts
from kcibot_commands.rules.verdict_kernels import kernel_reasons, suspected_groups, unrelated_reasons
from kcibot_commands.rules.verdict_reasons import Level, Reason, Thresholds, exceeds
from kcibot_commands.rules.verdict_tests import lab_reasons

_BUILD, _BOOT = "build", "boot"
_REQUIRED_MAILS = frozenset({_BUILD, _BOOT})
_PERCENT = 100
_UNREACHABLE, _REPORTS = "unreachable", "reports"


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
    """Compare a run with its baseline: the last accepted pipe cleaner, or the nearest run of the same series.

    What was not seen never makes a verdict better: a source that did not answer, a run that was not complete, a kernel
    without a result and a report mail that nobody looked for are all unknown. Without a baseline there is no verdict,
    but what is plainly bad is told all the same.
    """
    always = (*_unseen(current), *_mail_reasons(current, baseline))
    if baseline is None or not baseline.kernels:
        text = "there is nothing to compare with: the table is shown, and people decide"
        alone = (Reason(Level.NOTE, "no baseline", text), *_incomparable(current, thresholds))
        reasons = _ordered((*always, *alone))
        return Verdict(Kind.UNKNOWN if current.unreachable or not current.kernels else Kind.NONE, reasons)
    if not current.series or current.series != baseline.series:
        found = (*_incomparable(current, thresholds), *_rates(current, baseline, thresholds))
    else:
        found = (*kernel_reasons(current, baseline, thresholds), *lab_reasons(current, baseline, thresholds))
    reasons = _ordered((*always, *found))
    return Verdict(_kind(current, reasons), reasons)


def _ordered(found: Iterable[Reason]) -> tuple[Reason, ...]:
    """The weightiest first; what could not be reached before all, since the rest is to be read with it in mind."""
    return tuple(sorted(found, key=lambda reason: (reason.rule != _UNREACHABLE, reason.level.weight)))


def _kind(current: Results, reasons: Iterable[Reason]) -> Kind:
    levels = {reason.level for reason in reasons}
    if current.unreachable:
        # Whatever else was seen, the rest was not: never a pass, and no final fail either.
        return Kind.UNKNOWN
    for level, kind in ((Level.FAIL, Kind.FAIL), (Level.UNKNOWN, Kind.UNKNOWN), (Level.WARN, Kind.WARN)):
        if level in levels:
            return kind
    return Kind.PASS


_NOT_COMPLETE = {
    Ended.RUNNING: ("running", "the run has not ended"),
    Ended.STOPPED: ("stopped", "the run was stopped or cut off before its end: what would have come is not known"),
    Ended.TIME_LIMIT: ("time limit", "the run was not through at its time limit: what came later is not counted"),
}


def _unseen(current: Results) -> tuple[Reason, ...]:
    found = [
        Reason(Level.UNKNOWN, _UNREACHABLE, f"{source} did not answer at the end") for source in current.unreachable
    ]
    if current.ended in _NOT_COMPLETE:
        found.append(Reason(Level.UNKNOWN, *_NOT_COMPLETE[current.ended]))
    if not current.kernels:
        found.append(Reason(Level.UNKNOWN, "nothing seen", "not one kernel was seen"))
    return tuple(found)


def _mail_reasons(current: Results, baseline: Results | None) -> tuple[Reason, ...]:
    """The build mail (and the boot mail of 2019) must come; a test plan without regressions sends none."""
    looked_for = {mail.kind for mail in current.mails}
    expected = {_BUILD} | ({mail.kind for mail in baseline.mails} & _REQUIRED_MAILS if baseline else set())
    unseen = [Mail(kind, MailState.UNKNOWN) for kind in sorted(expected - looked_for)]
    found = (_mail_reason(mail) for mail in (*current.mails, *unseen))
    return tuple(reason for reason in found if reason is not None)


def _mail_reason(mail: Mail) -> Reason | None:
    required = mail.kind in _REQUIRED_MAILS
    name, why = f"{mail.kind} mail{f' of {mail.plan}' if mail.plan else ''}", f" ({mail.note})" if mail.note else ""
    unsure = Level.UNKNOWN if required else Level.NOTE
    match mail.state:
        case MailState.SEEN:
            return None
        case MailState.ERROR:
            return Reason(Level.FAIL if required else Level.WARN, _REPORTS, f"reports: the {name} was not sent{why}")
        case MailState.MISSING if required:
            return Reason(Level.FAIL, _REPORTS, f"reports: the {name} is missing after its delay{why}")
        case MailState.MISSING:
            return Reason(Level.NOTE, _REPORTS, f"no {name} came: without regressions none is sent{why}")
        case MailState.WAITING:
            return Reason(unsure, _REPORTS, f"the {name} is not due yet{why}")
        case MailState.UNKNOWN:
            return Reason(unsure, _REPORTS, f"nobody could see whether the {name} came{why}")


# ---- another series, or none -----------------------------------------------------------------------------------


def _incomparable(current: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    """What is plainly bad whatever was before, and what people have to judge by themselves."""
    suspects = suspected_groups(current, None, thresholds)
    return (*suspects.reasons, *unrelated_reasons(current, suspects.covered))


def _rates(current: Results, baseline: Results, thresholds: Thresholds) -> tuple[Reason, ...]:
    series = "is of another series" if current.series and baseline.series else "may be of another series"
    said = f"the baseline {baseline.kernel} {series}: only rates are compared"
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
    if now is None:
        return (Reason(Level.UNKNOWN, f"no {what}", f"{what}: none were seen, in the baseline {then:.1f} % pass"),)
    return (Reason(Level.WARN, "rate", f"{what}: {now:.1f} % pass, in the baseline {then:.1f} %"),)


def _kernel_rate(results: Results) -> float | None:
    passed = sum(kernel.status is Status.PASS for kernel in results.kernels)
    return _PERCENT * passed / len(results.kernels) if results.kernels else None


def _test_rate(results: Results) -> float | None:
    passed, total = case_counts(results)
    return _PERCENT * passed / total if total else None
