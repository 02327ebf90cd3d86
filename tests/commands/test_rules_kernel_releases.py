"""Releases of the kernel that a pipe cleaner builds."""

import pytest

from kcibot_commands.rules.kernel_releases import enough, releases, series_of


def test_releases_are_sorted_by_number_within_their_series_and_none_is_a_candidate():
    tags = ["v5.4.9", "v5.4.10", "v5.4", "v5.4.11-rc1", "v5.40.1", "v5.4.x", "next-20190510"]
    found = {series: [one.name for one in names] for series, names in releases(tags).items()}
    assert list(found) == ["5.40", "5.4"]
    assert found["5.4"] == ["v5.4.10", "v5.4.9", "v5.4"]


def test_a_series_without_releases_is_not_there():
    assert not releases(["v5.1-rc3"])


@pytest.mark.parametrize(
    ("kernels", "passed"),
    [
        ({"PASS": 9, "FAIL": 1}, True),
        ({"PASS": 8, "FAIL": 1}, False),
        ({"PASS": 9, "UNKNOWN": 2}, False),
        ({"FAIL": 3}, False),
        ({}, False),
    ],
)
def test_a_revision_passes_by_the_share_of_its_kernels_and_never_without_any(kernels, passed):
    assert enough(kernels, 0.9) is passed


@pytest.mark.parametrize(
    ("describe", "series"),
    [("v5.0.4", "5.0"), ("v5.10.3-1-gabcdef0", "5.10"), ("v5.2-rc3-38-gfb9efe9dfd51", "5.2"), ("next-20190510", "")],
)
def test_the_series_is_read_from_git_describe(describe, series):
    assert series_of(describe) == series
