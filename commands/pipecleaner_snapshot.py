"""Results of a pipe cleaner as a fixed snapshot: made of what the results API says, and kept as JSON as a baseline."""

from collections.abc import Iterable, Mapping
from typing import cast

from kcibot.sdk import KernelResult, TestResult, digest
from kcibot_commands.rules.results import (
    BoardResult,
    Ended,
    Kernel,
    KernelKey,
    Mail,
    MailState,
    Results,
    Status,
)

Json = dict[str, object]
BUILT = ("build", "boot")
"""Report types whose mail tells something; `test` is one document for all plans, each overwriting the last."""


def kernels(found: Iterable[KernelResult], failed_before: Mapping[str, int]) -> tuple[Kernel, ...]:
    """One row per kernel. `failed_before` counts, by the key's text, the failures that came before a retry."""
    rows: dict[KernelKey, Status] = {}
    for one in found:
        rows[KernelKey(one.arch, one.defconfig, one.environment)] = Status(one.status)
    return tuple(
        Kernel(key, (*(Status.FAIL for _ in range(failed_before.get(str(key), 0))), status))
        for key, status in sorted(rows.items())
    )


def boards(found: Iterable[TestResult]) -> tuple[BoardResult, ...]:
    return tuple(BoardResult(one.lab, one.device, one.plan, one.passed, one.failed) for one in found)


def mails(reports: Mapping[str, str]) -> tuple[Mail, ...]:
    """Those that the API has a word of; one that is not due yet has none."""
    return tuple(
        Mail(kind, MailState.SEEN if status == "SENT" else MailState.ERROR)
        for kind, status in sorted(reports.items())
        if kind in BUILT
    )


def snapshot_digest(results: Results) -> str:
    """Names the snapshot: two equal ones have one digest."""
    return digest(as_json(results))


# ---- as JSON ---------------------------------------------------------------------------------------------------


def as_json(results: Results) -> Json:
    """Short rows, since a pipe cleaner has hundreds of kernels and thousands of tests."""
    return {
        "kernel": results.kernel,
        "series": results.series,
        "ended": results.ended.value,
        "kernels": [[*_words(one.key), [a.value for a in one.attempts], one.warnings] for one in results.kernels],
        "tests": [[one.lab, one.device, one.test, one.passed, one.failed] for one in results.tests],
        "mails": [[one.kind, one.state.value, one.plan] for one in results.mails],
        "unreachable": list(results.unreachable),
    }


def _words(key: KernelKey) -> tuple[str, str, str]:
    return (key.arch, key.defconfig, key.environment)


def from_json(value: object) -> Results | None:
    """What `as_json` wrote; None for anything else, as after a change of its shape."""
    try:
        return _read(cast("Json", value))
    except (KeyError, TypeError, ValueError):
        return None


def _read(value: Json) -> Results:
    rows = {name: cast("list[list[object]]", value[name]) for name in ("kernels", "tests", "mails")}
    return Results(
        kernel=str(value["kernel"]),
        series=str(value["series"]),
        ended=Ended(str(value["ended"])),
        kernels=tuple(_kernel(*row) for row in rows["kernels"]),
        tests=tuple(
            BoardResult(str(lab), str(device), str(test), int(str(passed)), int(str(failed)))
            for lab, device, test, passed, failed in rows["tests"]
        ),
        mails=tuple(Mail(str(kind), MailState(str(state)), str(plan)) for kind, state, plan in rows["mails"]),
        unreachable=tuple(map(str, cast("list[object]", value["unreachable"]))),
    )


def _kernel(arch: object, defconfig: object, environment: object, attempts: object, warnings: object) -> Kernel:
    key = KernelKey(str(arch), str(defconfig), str(environment))
    return Kernel(key, tuple(Status(one) for one in cast("list[str]", attempts)), int(str(warnings)))
