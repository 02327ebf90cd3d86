"""Test results by lab, device and plan, from what the backend keeps as groups, cases and boots."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kcibot.core.ports import TestResult
from kcibot.services.kernelci_api.documents import Boot, Case, Group

BOOT = "boot"
"""The plan of the 2019 boots, and the name of its only case."""

Key = tuple[str, str, str]
"""Lab, device and plan."""


@dataclass(slots=True)
class _Tally:
    """Of one plan on one device in one lab. A name that passed once and failed once has failed."""

    counts: Counter[str] = field(default_factory=Counter)
    ran: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)

    def add(self, name: str, *, passed: bool) -> None:
        self.counts["passed" if passed else "failed"] += 1
        self.ran.add(name)
        if not passed:
            self.failed.add(name)

    def result(self, key: Key) -> TestResult:
        passed, failed = tuple(sorted(self.ran - self.failed)), tuple(sorted(self.failed))
        return TestResult(*key, self.counts["passed"], self.counts["failed"], passed, failed)


def tally(groups: Sequence[Group], cases: Sequence[Case], boots: Sequence[Boot]) -> tuple[TestResult, ...]:
    """A case in a sub-group counts for the plan at the top of its group, and is named by its path below that plan.

    Skipped cases and boots that were not tried count for nothing; a plan without any other is there, with zeros.
    """
    by_id = {group.id: group for group in groups}
    lines = {group.id: tuple(_line(group, by_id)) for group in groups}
    tallies: defaultdict[Key, _Tally] = defaultdict(_Tally)
    for line in lines.values():
        tallies[_key(line[-1])]  # a plan that sent no case is there all the same
    for case in cases:
        if case.status != "SKIP":
            line = lines[case.test_group_id]
            tallies[_key(line[-1])].add(_path(case, line), passed=case.status == "PASS")
    for boot in boots:
        if boot.status in {"PASS", "FAIL"}:
            tallies[boot.lab_name, boot.device_type, BOOT].add(BOOT, passed=boot.status == "PASS")
    return tuple(tallies[key].result(key) for key in sorted(tallies))


def _line(group: Group, by_id: Mapping[str, Group]) -> Iterator[Group]:
    """The group, its parent, and so on up to the plan; a ring of parents ends where it would begin again."""
    seen = {group.id}
    yield group
    while group.parent_id is not None and group.parent_id in by_id.keys() - seen:
        group = by_id[group.parent_id]
        seen.add(group.id)
        yield group


def _path(case: Case, line: Sequence[Group]) -> str:
    """The backend joins a case's path by dots too, with the plan as its first part."""
    below = [group.name for group in reversed(line[:-1])]
    return ".".join([*below, case.name])


def _key(top: Group) -> Key:
    return top.lab_name, top.device_type or "unknown device", top.name
