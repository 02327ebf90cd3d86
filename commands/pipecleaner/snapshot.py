"""Results of a pipe cleaner as a fixed snapshot: made of what the results API says, and kept as JSON as a baseline."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple
from datetime import datetime
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


def kernels(found: Iterable[KernelResult], failed_before: Mapping[str, int]) -> tuple[Kernel, ...]:
    """One row per kernel. `failed_before` counts, by the key's text, the failures that came before a retry."""
    rows = {KernelKey(one.arch, one.defconfig, one.environment): one for one in found}
    return tuple(
        Kernel(
            key,
            (*(Status.FAIL for _ in range(failed_before.get(str(key), 0))), Status(one.status)),
            one.warnings,
        )
        for key, one in sorted(rows.items())
    )


def boards(found: Iterable[TestResult]) -> tuple[BoardResult, ...]:
    """One row per test plan, lab and device type; a case that is said to pass and to fail has failed."""
    return tuple(
        BoardResult(
            one.lab,
            one.device,
            one.plan,
            one.passed,
            one.failed,
            tuple(sorted(set(one.passed_cases) - set(one.failed_cases))),
            tuple(sorted(set(one.failed_cases))),
        )
        for one in found
    )


def snapshot_digest(results: Results) -> str:
    """Names the snapshot: two equal ones have one digest."""
    return digest(as_json(results))


# ---- as JSON ---------------------------------------------------------------------------------------------------


def as_json(results: Results) -> Json:
    """Short rows, since a pipe cleaner has hundreds of kernels and tens of thousands of test cases.

    Every case's name is there once, and every set of cases that ran together; a board's row tells which of its set
    failed.
    """
    names = sorted({case for one in results.tests for case in (*one.passed_cases, *one.failed_cases)})
    place = {name: index for index, name in enumerate(names)}
    sets: dict[tuple[int, ...], int] = {}
    return {
        "kernel": results.kernel,
        "series": results.series,
        "ended": results.ended.value,
        "kernels": [[*astuple(one.key), [a.value for a in one.attempts], one.warnings] for one in results.kernels],
        "cases": names,
        "tests": [_board_row(one, place, sets) for one in results.tests],
        "sets": [list(one) for one in sets],
        "mails": [_mail_row(one) for one in results.mails],
        "unreachable": list(results.unreachable),
    }


def _board_row(one: BoardResult, place: Mapping[str, int], sets: dict[tuple[int, ...], int]) -> list[object]:
    row: list[object] = [one.lab, one.device, one.test, one.passed, one.failed]
    if not one.named:
        return row
    ran = tuple(sorted(place[case] for case in (*one.passed_cases, *one.failed_cases)))
    return [*row, sets.setdefault(ran, len(sets)), [place[case] for case in one.failed_cases]]


def _mail_row(one: Mail) -> list[object]:
    return [one.kind, one.state.value, one.plan, one.due.isoformat() if one.due else "", one.note]


def from_json(value: object) -> Results | None:
    """What `as_json` wrote, also before cases had names; None for anything else, as after a change of its shape."""
    try:
        return _read(cast("Json", value))
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _read(value: Json) -> Results:
    rows = {name: cast("list[list[object]]", value[name]) for name in ("kernels", "tests", "mails")}
    names = cast("list[str]", value.get("cases", []))
    sets = cast("list[list[int]]", value.get("sets", []))
    return Results(
        kernel=str(value["kernel"]),
        series=str(value["series"]),
        ended=Ended(str(value["ended"])),
        kernels=tuple(_kernel(*row) for row in rows["kernels"]),
        tests=tuple(_board(names, sets, *row) for row in rows["tests"]),
        mails=tuple(_mail(*map(str, row)) for row in rows["mails"]),
        unreachable=tuple(map(str, cast("list[object]", value["unreachable"]))),
    )


def _kernel(arch: object, defconfig: object, environment: object, attempts: object, warnings: object) -> Kernel:
    key = KernelKey(str(arch), str(defconfig), str(environment))
    return Kernel(key, tuple(Status(one) for one in cast("list[str]", attempts)), int(str(warnings)))


def _board(names: list[str], sets: list[list[int]], *row: object) -> BoardResult:
    lab, device, test, passed, failed, *cases = row
    ran, bad = (sets[int(str(cases[0]))], frozenset(cast("list[int]", cases[1]))) if cases else ([], frozenset())
    return BoardResult(
        str(lab),
        str(device),
        str(test),
        int(str(passed)),
        int(str(failed)),
        tuple(names[one] for one in ran if one not in bad),
        tuple(names[one] for one in ran if one in bad),
    )


def _mail(kind: str, state: str, plan: str = "", due: str = "", note: str = "") -> Mail:
    return Mail(kind, MailState(state), plan, datetime.fromisoformat(due) if due else None, note)
