"""When the first results after a release are much worse than those before it: by the numbers."""

import pytest

from kcibot_commands.rules.first_results import Limits, Share, kernel_reasons, lab_reasons, too_many
from kcibot_commands.rules.verdict_reasons import Level

LABS = ("lab-one", "lab-two")
BEFORE = tuple(Share(f"v{n}", 200, passed, LABS) for n, passed in enumerate((190, 192, 188, 60)))
LIMITS = Limits()


def rules(now: Share, *before: Share) -> list[str]:
    return [reason.rule for reason in (*kernel_reasons(now, before, LIMITS), *lab_reasons(now, before))]


@pytest.mark.parametrize(
    ("kernels", "passed", "expected"),
    [
        (200, 190, []),
        (200, 179, []),
        (200, 178, ["pass rate"]),
        (160, 152, []),
        (159, 152, ["kernels"]),
        (100, 50, ["kernels", "pass rate"]),
        (0, 0, ["kernels"]),
        (400, 380, []),
    ],
)
def test_the_median_of_what_was_before_is_what_is_usual(kernels: int, passed: int, expected: list[str]) -> None:
    assert rules(Share("now", kernels, passed, LABS), *BEFORE) == expected


def test_one_bad_revision_before_is_not_the_measure() -> None:
    bad = Share("bad", 200, 20, LABS)
    assert rules(Share("now", 200, 100, LABS), *BEFORE, bad) == ["pass rate"]


def test_without_earlier_revisions_nothing_can_be_said() -> None:
    assert rules(Share("now", 1, 0)) == []


def test_a_lab_counts_as_missing_only_if_it_was_there_each_time_and_more_than_once() -> None:
    now = Share("now", 200, 190, ("lab-one",))
    assert rules(now, BEFORE[0]) == []
    assert rules(now, *BEFORE) == ["lab missing"]
    assert rules(now, *BEFORE, Share("v9", 200, 190, ("lab-one",))) == []
    (reason,) = lab_reasons(Share("now", 200, 190), BEFORE)
    assert (reason.level, reason.rule) == (Level.FAIL, "labs")


@pytest.mark.parametrize(
    ("started", "watched", "alarming"), [(5, 10, False), (6, 10, True), (4, 4, False), (50, 150, False), (9, 0, False)]
)
def test_more_than_half_of_all_build_configs_at_once_are_no_news(started: int, watched: int, *, alarming: bool) -> None:
    assert too_many(started, watched, 0.5, 5) is alarming
